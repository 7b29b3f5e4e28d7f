//! Publishing jobs and listing images alone: what broker and database can do at best.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::ids::{ImageId, ScrapeId};
use tagfleet_shared::jobs::{Job, TagImage};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::bench::fleet::{Fleet, LANE};

/// Messages that are published, and then waited for, at a time.
const PAGE: usize = 1000;

/// Pages on their way: the broker has work while one is waited for.
const PAGES_AT_ONCE: usize = 2;

/// The jobs of an inventory, ready to be published.
pub struct Jobs {
    jobs: Vec<TagImage>,
    messages: Vec<Outgoing>,
}

impl Jobs {
    /// Makes the messages that a scheduler would make of `images`.
    pub fn of(images: &[ListedImage], fleet: &Fleet, day: Date, scrape: i64) -> anyhow::Result<Self> {
        let job = |(seq, listed): (usize, &ListedImage)| {
            Ok(TagImage {
                day,
                scrape,
                seq: i32::try_from(seq)?,
                scrape_id: ScrapeId(format!("bench-{scrape}")),
                image: ImageId::of(listed.image_key.as_deref(), &listed.url),
                url: listed.url.clone(),
            })
        };
        let jobs = images.iter().enumerate().map(job).collect::<anyhow::Result<Vec<_>>>()?;
        let message = |job: &TagImage| {
            let body = serde_json::to_vec(&Job::TagImageV1(job.clone()))?;
            anyhow::Ok(Outgoing::job(fleet.broker.topology(), LANE, body))
        };
        let messages = jobs.iter().map(message).collect::<anyhow::Result<_>>()?;
        Ok(Self { jobs, messages })
    }

    /// Publishes all of them, and returns when the last one is confirmed.
    ///
    /// Publishes as the scheduler does: the publisher of `shared::broker` waits for a page of
    /// confirms at a time.
    pub async fn publish(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let publisher = &fleet.broker.publisher();
        let pages = self.messages.chunks(PAGE).map(|page| publisher.publish(page));
        Ok(stream::iter(pages).buffer_unordered(PAGES_AT_ONCE).try_collect().await?)
    }

    /// Copies the rows of all of them into the database, in one transaction.
    pub async fn copy(&self, fleet: &Fleet) -> anyhow::Result<()> {
        const SQL: &str = "COPY scrape_images (day, scrape, seq, image_id, url) FROM STDIN (FORMAT binary)";
        const TYPES: [Type; 5] = [Type::DATE, Type::INT8, Type::INT4, Type::UUID, Type::TEXT];
        let client = fleet.pool.get().await?;
        let mut rows = pin!(BinaryCopyInWriter::new(client.copy_in(SQL).await?, &TYPES));
        for job in &self.jobs {
            rows.as_mut().write(&[&job.day, &job.scrape, &job.seq, &job.image.0, &job.url]).await?;
        }
        rows.finish().await.map_err(DbError::from)?;
        Ok(())
    }
}
