//! From progress to announcement.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_shared::lane::Lane;
use tokio_postgres::types::Json;

use super::Client;

/// More rows of progress than this are folded: some more than the twenty or so that [`fold`] may leave, or each look would
/// fold. Each row may cost a page: a look at 1000 scrapes with 32 rows took 43 ms.
const FOLDED_ABOVE: i64 = 32;

/// Scrapes that one look brings to their end: after an evening without a
/// scheduler there are thousands, and no statement should be about all of them.
const LOOKED_AT: i64 = 500;

/// What a look at the scrapes in work has found, by key.
#[derive(Debug, Default)]
pub struct Tick {
    /// Those whose images all have their outcome.
    pub ended: Vec<i64>,
    /// Those with so many rows of progress that a look at them is slow.
    pub crowded: Vec<i64>,
}

/// Looks at the scrapes in work.
///
/// It is done all the time, so it must be cheap: one index look-up for each
/// scrape, and few rows, because [`fold`] keeps them few. Those of micro-scrapes too, which
/// [`untold`](super::untold) sums up as often; they come to their end there.
///
/// # Errors
///
/// If the database is away.
pub async fn look(client: &Client) -> Result<Tick, DbError> {
    const SQL: &str = "
        SELECT s.key, s.state = 'tagging' AND p.images >= s.listed AS ended
          FROM scrapes s
         CROSS JOIN LATERAL (SELECT count(*) AS rows, coalesce(sum(images), 0) AS images
                               FROM scrape_progress WHERE scrape = s.key) p
         WHERE s.state IN ('tagging', 'changing') AND s.announced_at IS NULL
           AND (s.state = 'tagging' AND p.images >= s.listed OR p.rows > $1)
         ORDER BY s.key LIMIT $2";
    let statement = client.prepare_cached(SQL).await?;
    let mut tick = Tick::default();
    for row in client.query(&statement, &[&FOLDED_ABOVE, &LOOKED_AT]).await? {
        let of_its_kind = if row.get(1) { &mut tick.ended } else { &mut tick.crowded };
        of_its_kind.push(row.get(0));
    }
    Ok(tick)
}

/// Keeps other schedulers' hands off the progress of these scrapes, or leaves
/// them to the scheduler that was first. Progress is only ever read in a later
/// statement than this one: only that is sure to see what a fold by another
/// scheduler has left.
async fn claim(transaction: &Transaction<'_>, keys: &[i64]) -> Result<Vec<i64>, DbError> {
    const SQL: &str = "
        SELECT key FROM scrapes WHERE key = ANY($1) AND state IN ('tagging', 'changing')
         ORDER BY key FOR NO KEY UPDATE SKIP LOCKED";
    let statement = transaction.prepare_cached(SQL).await?;
    let rows = transaction.query(&statement, &[&keys]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Sums up the progress of these scrapes, and what is counted is deleted.
///
/// It leaves a row for each outcome. The last three half minutes are kept apart, as that is what the console tells
/// the rate of a scrape by, and so is what was taken back.
///
/// # Errors
///
/// If the database is away.
pub async fn fold(client: &mut Client, keys: &[i64]) -> Result<(), DbError> {
    const SQL: &str = "
        WITH counted AS (DELETE FROM scrape_progress WHERE scrape = ANY($1) RETURNING *)
        INSERT INTO scrape_progress (scrape, outcome, images, recorded_at)
        SELECT scrape, outcome, sum(images), max(recorded_at) FROM counted
         GROUP BY scrape, outcome, images < 0,
                  greatest(date_bin(interval '30 seconds', recorded_at, 'epoch'),
                           date_bin(interval '30 seconds', now() - interval '1 minute', 'epoch') - interval '30 seconds')";
    let transaction = client.transaction().await?;
    let claimed = claim(&transaction, keys).await?;
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&claimed]).await?;
    Ok(transaction.commit().await?)
}

/// Ends those of these scrapes whose images all have their outcome, with the sums of their progress.
/// Returns how many were not ended by another scheduler.
///
/// What [`look`] has seen may be over: images may be open again that a person has sent back. Whoever
/// opens them needs the same row of `scrapes`, so what is summed here, behind the claim, stays true.
///
/// # Errors
///
/// If the database is away.
pub async fn mark_tagged(client: &mut Client, keys: &[i64]) -> Result<u64, DbError> {
    const SQL: &str = "
        WITH ended AS (SELECT key FROM scrapes
                        WHERE key = ANY($1) AND state = 'tagging'
                          AND listed <= (SELECT coalesce(sum(images), 0) FROM scrape_progress WHERE scrape = key)),
             counted AS (DELETE FROM scrape_progress p USING ended WHERE p.scrape = ended.key RETURNING p.*),
             sums AS (SELECT scrape, outcome, sum(images) AS images, max(recorded_at) AS last
                        FROM counted GROUP BY scrape, outcome),
             ends AS (SELECT scrape, jsonb_object_agg(outcome, images) AS outcomes, max(last) AS last
                        FROM sums GROUP BY scrape)
        UPDATE scrapes s
           SET state = 'tagged', outcomes = coalesce(e.outcomes, '{}'),
               tagged_at = greatest(e.last, s.published_at)
          FROM ended LEFT JOIN ends e ON e.scrape = ended.key
         WHERE s.key = ended.key";
    let transaction = client.transaction().await?;
    let claimed = claim(&transaction, keys).await?;
    let statement = transaction.prepare_cached(SQL).await?;
    let tagged = transaction.execute(&statement, &[&claimed]).await?;
    transaction.commit().await?;
    Ok(tagged)
}

/// A scrape whose end is to be told.
#[derive(Debug)]
pub struct Announcement {
    /// Our own short name of it.
    pub key: i64,
    /// The pipeline's name of it.
    pub scrape_id: ScrapeId,
    /// Whose inventory it is.
    pub advertiser_id: AdvertiserId,
    /// The lane of its last jobs.
    pub lane: Lane,
    /// Images of the inventory.
    pub images: i32,
    /// Images by outcome, without those that no image came to.
    pub outcomes: BTreeMap<String, u64>,
    /// The scrape that has overtaken it.
    pub superseded_by: Option<ScrapeId>,
    /// When the scrape ended.
    pub finished_at: Timestamp,
    /// When its event came.
    pub received_at: Timestamp,
    /// When images of it were last opened again, after it had been tagged.
    pub reopened_at: Option<Timestamp>,
    /// When its last job was confirmed.
    pub published_at: Timestamp,
    /// When its last image had its outcome.
    pub tagged_at: Timestamp,
}

/// At most `limit` scrapes that are tagged and not announced. Until the end of
/// the transaction no other scheduler gets them.
///
/// # Errors
///
/// If the database is away.
pub async fn unannounced(transaction: &Transaction<'_>, limit: i64) -> Result<Vec<Announcement>, DbError> {
    const SQL: &str = "
        SELECT s.key, s.scrape_id, s.advertiser_id, s.lane, s.listed, s.outcomes, n.scrape_id AS superseded_by,
               s.finished_at, s.received_at, s.reopened_at, s.published_at, s.tagged_at
          FROM scrapes s LEFT JOIN scrapes n ON n.key = s.superseded_by
         WHERE s.state = 'tagged' AND s.announced_at IS NULL
         ORDER BY s.key LIMIT $1
           FOR NO KEY UPDATE OF s SKIP LOCKED";
    let statement = transaction.prepare_cached(SQL).await?;
    let rows = transaction.query(&statement, &[&limit]).await?;
    let announcement = |row: &tokio_postgres::Row| Announcement {
        key: row.get("key"),
        scrape_id: ScrapeId(row.get("scrape_id")),
        advertiser_id: AdvertiserId(row.get("advertiser_id")),
        lane: Lane::of_word(row.get("lane")),
        images: row.get("listed"),
        outcomes: row.get::<_, Json<_>>("outcomes").0,
        superseded_by: row.get::<_, Option<_>>("superseded_by").map(ScrapeId),
        finished_at: row.get("finished_at"),
        received_at: row.get("received_at"),
        reopened_at: row.get("reopened_at"),
        published_at: row.get("published_at"),
        tagged_at: row.get("tagged_at"),
    };
    Ok(rows.iter().map(announcement).collect())
}

/// These scrapes are announced.
///
/// # Errors
///
/// If the database is away.
pub async fn mark_announced(transaction: &Transaction<'_>, keys: &[i64]) -> Result<(), DbError> {
    const SQL: &str = "UPDATE scrapes SET announced_at = now() WHERE key = ANY($1)";
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&keys]).await?;
    Ok(())
}
