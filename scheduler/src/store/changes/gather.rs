//! What has changed within a moment becomes a micro-scrape.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::{AdvertiserId, ImageId};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::tags::Tags;
use tokio_postgres::types::Json;
use tokio_postgres::{Row as DbRow, Transaction};
use uuid::Uuid;

use super::super::accept::ensure_today;
use super::super::list::copy;
use super::super::supersede::take_turns;
use super::super::{Client, SCRAPE, Scrape, change};
use super::removed::{REMOVED_AT_ONCE, is_removed, mark_removed};
use crate::inventory::Row;

/// What a look at the changes has led to.
#[derive(Debug)]
pub enum Gathered {
    /// A micro-scrape, with its images in the table. None of its jobs is published.
    Scrape(Scrape),
    /// Another scheduler was faster.
    Taken,
    /// No change has waited for long enough.
    Nothing,
}

/// Writes a micro-scrape of the changes of one advertiser, at most `most`, if the oldest of them has waited
/// for `coalesce`.
///
/// Pictures that were removed are marked in what the advertiser shows; of very many some wait for the next one. All of
/// it is one transaction: a change is in one micro-scrape, or still waits.
///
/// # Errors
///
/// If the database is away.
pub async fn gather(client: &mut Client, coalesce: Duration, most: usize) -> Result<Gathered, DbError> {
    loop {
        match try_gather(client, coalesce, most).await {
            // Workers and passes over fixed images hold the rows of what was removed.
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
}

async fn try_gather(client: &mut Client, coalesce: Duration, most: usize) -> Result<Gathered, DbError> {
    const OLDEST: &str = "
        SELECT advertiser_id FROM image_changes
         WHERE scrape IS NULL AND received_at <= now() - $1 * interval '1 second'
         ORDER BY received_at LIMIT 1";
    const WAITING: &str = "
        SELECT * FROM image_changes WHERE scrape IS NULL AND advertiser_id = $1
         ORDER BY id LIMIT $2 FOR NO KEY UPDATE";
    const GATHERED: &str = "UPDATE image_changes SET scrape = $1 WHERE id = ANY($2)";
    let statement = client.prepare_cached(OLDEST).await?;
    let Some(oldest) = client.query_opt(&statement, &[&coalesce.as_secs_f64()]).await? else {
        return Ok(Gathered::Nothing);
    };
    let advertiser = AdvertiserId(oldest.get(0));
    // As for any scrape, before the transaction.
    let day = ensure_today(client).await?;

    let transaction = client.transaction().await?;
    take_turns(&transaction, &advertiser).await?;
    let mut waiting = transaction.query(WAITING, &[&advertiser.0, &(most as i64)]).await?;
    if waiting.is_empty() {
        return Ok(Gathered::Taken);
    }
    let mut rows: Vec<Row> = waiting.iter().map(row).collect();
    if let Some((one_more, _)) =
        rows.iter().enumerate().filter(|(_, row)| is_removed(row)).nth(REMOVED_AT_ONCE)
    {
        rows.truncate(one_more);
        waiting.truncate(one_more);
    }
    let mut scrape = insert(&transaction, &advertiser, day, &waiting).await?;
    copy(&transaction, &scrape, &rows).await?;
    mark_removed(&transaction, &scrape, &rows).await?;
    let ids: Vec<Uuid> = waiting.iter().map(|row| row.get("id")).collect();
    transaction.execute(GATHERED, &[&scrape.key, &ids]).await?;
    transaction.commit().await?;
    scrape.listed = rows.len() as i32;
    Ok(Gathered::Scrape(scrape))
}

fn row(waiting: &DbRow) -> Row {
    Row {
        image: ImageId(waiting.get("image_id")),
        url: waiting.get("url"),
        image_key: waiting.get("image_key"),
        listing_id: waiting.get("listing_id"),
        position: waiting.get("position"),
        configured: waiting.get::<_, Option<Json<Tags>>>("configured").map(|Json(tags)| tags),
        change: Some((change(waiting.get("change")), waiting.get("changed_at"))),
        removed_at: None,
        malformed: false,
    }
}

/// It ended with its last change, and came with its first event.
async fn insert(
    transaction: &Transaction<'_>,
    advertiser: &AdvertiserId,
    day: Date,
    waiting: &[DbRow],
) -> Result<Scrape, DbError> {
    let sql = format!(
        "INSERT INTO scrapes (scrape_id, advertiser_id, finished_at, received_at, lane, day, state, listed)
         VALUES ($1, $2, $3, $4, $5, $6, 'changing', $7) RETURNING {SCRAPE}"
    );
    let times = |column: &'static str| waiting.iter().map(move |row| row.get::<_, Timestamp>(column));
    let scrape_id = format!("changes-{}", Uuid::new_v4());
    let (finished_at, received_at) = (times("changed_at").max(), times("received_at").min());
    let (lane, listed) = (Lane::Express.as_str(), waiting.len() as i32);
    let row = transaction
        .query_one(&sql, &[&scrape_id, &advertiser.0, &finished_at, &received_at, &lane, &day, &listed])
        .await?;
    // The first place that is copied to.
    Ok(Scrape { listed: 0, ..Scrape::from_row(&row) })
}

/// Micro-scrapes whose jobs are published in one transaction.
const AT_ONCE: i64 = 20;

/// A few micro-scrapes whose jobs are not known to be published, of at most `most` images together, or else
/// one. Until the end of the transaction no other scheduler gets them.
///
/// # Errors
///
/// If the database is away.
pub async fn unpublished(transaction: &impl GenericClient, most: usize) -> Result<Vec<Scrape>, DbError> {
    let sql = format!(
        "SELECT {SCRAPE} FROM scrapes
          WHERE state = 'changing' AND announced_at IS NULL AND published_at IS NULL
          ORDER BY key LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&AT_ONCE]).await?;
    let mut scrapes: Vec<_> = rows.iter().map(Scrape::from_row).collect();
    scrapes.truncate(first_of(scrapes.iter().map(|scrape| scrape.listed as usize), most));
    Ok(scrapes)
}

/// How many of these sizes, from the first on, are at most `most` together; the first in any case.
fn first_of(sizes: impl Iterator<Item = usize>, most: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.enumerate().take_while(|(n, sum)| *n == 0 || *sum <= most).count()
}

/// The jobs of these micro-scrapes are confirmed.
///
/// # Errors
///
/// If the database is away.
pub async fn mark_published(transaction: &impl GenericClient, keys: &[i64]) -> Result<(), DbError> {
    const SQL: &str = "UPDATE scrapes SET published = listed, published_at = now() WHERE key = ANY($1)";
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&keys]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_micro_scrapes_are_taken_as_are_at_most_that_many_images_together_or_else_one() {
        let first = |sizes: &[usize]| first_of(sizes.iter().copied(), 10);
        assert_eq!(
            [first(&[]), first(&[10]), first(&[11, 1]), first(&[4, 6, 1]), first(&[4, 7])],
            [0, 1, 1, 2, 1]
        );
    }
}
