//! The past of a fleet: images that it tagged long ago, and the scrapes of today that listed them.

use std::fmt::Write;
use std::pin::pin;

use bytes::Bytes;
use deadpool_postgres::Pool;
use futures::SinkExt;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use uuid::Uuid;

/// Rows in one transaction.
const AT_ONCE: usize = 50_000;

/// Images of a scrape.
const SCRAPE: usize = 50_000;

/// The first key of a scrape that is not there: the fleet's own count from 1.
const FIRST_KEY: usize = 1_000_000_000;

/// Rows for both tables, as workers and schedulers leave them.
pub struct Stock {
    images: usize,
}

/// Where the image of this number was.
pub fn url(number: usize) -> String {
    format!("https://images.example/inventory/photos/{number:08}.jpg")
}

impl Stock {
    /// The stock of so many images.
    pub fn of(images: usize) -> Self {
        Self { images }
    }

    /// Puts the rows into the tables with their indexes in place, as they come in real life, and has
    /// the database tidy up.
    pub async fn fill(&self, pool: &Pool) -> anyhow::Result<()> {
        const TAGS: &str =
            "COPY image_tags (image_id, model_set, tags, scores, bytes_hash, width, height) FROM STDIN";
        const LISTED: &str = "
            COPY scrape_images (day, scrape, seq, image_id, url, listing_id, position, outcome, tags, model_set,
                                recorded_at) FROM STDIN";
        let client = pool.get().await?;
        let row =
            client.query_one("SELECT max(id), current_date::text, now()::text FROM model_sets", &[]).await?;
        let (set, day, now): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
        for first in (0..self.images).step_by(AT_ONCE) {
            let numbers = first..self.images.min(first + AT_ONCE);
            let (mut tags, mut listed) = (String::new(), String::new());
            for number in numbers {
                let (url, hash) = (url(number), Uuid::new_v4());
                let id = ImageId::of(None, &url).0;
                writeln!(
                    tags,
                    "{id}\t{set}\t{{\"color\": \"red\", \"image_type\": \"Dealer\"}}\t\
                     {{\"color\": 0.8765432, \"image_type\": 0.9876543}}\t{hash}\t1024\t768"
                )?;
                let (scrape, seq) = (FIRST_KEY + number / SCRAPE, number % SCRAPE);
                writeln!(
                    listed,
                    "{day}\t{scrape}\t{seq}\t{id}\t{url}\tlisting-{:06}\t{}\tcached\t\
                     {{\"color\": \"red\", \"image_type\": \"Dealer\"}}\t{set}\t{now}",
                    number / 8,
                    number % 8
                )?;
            }
            copy(pool, TAGS, tags).await?;
            copy(pool, LISTED, listed).await?;
        }
        client.batch_execute("SET statement_timeout = 0").await?;
        for table in ["image_tags", "scrape_images"] {
            client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
        }
        // What was filled in shall not be written back while something is measured.
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}

async fn copy(pool: &Pool, sql: &str, rows: String) -> anyhow::Result<()> {
    let client = pool.get().await?;
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await.map_err(DbError::from)?);
    sink.send(rows.into()).await.map_err(DbError::from)?;
    sink.finish().await.map_err(DbError::from)?;
    Ok(())
}
