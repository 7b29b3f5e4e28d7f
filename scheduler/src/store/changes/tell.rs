//! From the outcome of a picture that changed to its announcement.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::Change;
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_shared::tags::Tags;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::change;

/// Micro-scrapes of which images are announced in one transaction.
pub const TOLD_AT_ONCE: usize = 100;

/// A picture that changed and has its outcome.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// Its micro-scrape.
    pub scrape_id: ScrapeId,
    /// Its place there.
    pub seq: i32,
    /// Whose it is.
    pub advertiser_id: AdvertiserId,
    /// What happened to it.
    pub change: Change,
    /// When it happened, as the event says.
    pub changed_at: Timestamp,
    /// What its tags are known by.
    pub image_id: Uuid,
    /// Where it is.
    pub url: String,
    /// The pipeline's name of it.
    pub image_key: Option<String>,
    /// The listing that shows it.
    pub listing_id: Option<String>,
    /// Its place within the listing.
    pub position: Option<i32>,
    /// The word of its outcome.
    pub outcome: String,
    /// Why it was skipped or defaulted.
    pub reason: Option<String>,
    /// The valid tags.
    pub tags: Tags,
    /// When the first event of its micro-scrape came.
    pub received_at: Timestamp,
    /// When its wait began: then, or when it was opened again.
    pub waits_since: Timestamp,
    /// When it had its outcome.
    pub tagged_at: Timestamp,
}

/// Images of one micro-scrape that are to be announced.
#[derive(Debug)]
pub struct Told {
    key: i64,
    day: Date,
    /// The images.
    pub images: Vec<Tagged>,
}

/// At most `most` images that changed, have their outcome and are not announced, of a few micro-scrapes. Until
/// the end of the transaction no other scheduler gets them.
///
/// It is done all the time: one index look-up for each micro-scrape in work, and rows of images are read only
/// where there is news.
///
/// # Errors
///
/// If the database is away.
pub async fn untold(transaction: &impl GenericClient, most: usize) -> Result<Vec<Told>, DbError> {
    const NEWS: &str = "
        SELECT key, day, scrape_id, advertiser_id, received_at, coalesce(reopened_at, received_at) AS waits_since
          FROM scrapes s
         WHERE state = 'changing' AND announced_at IS NULL AND published_at IS NOT NULL
           AND (SELECT coalesce(sum(images), 0) FROM scrape_progress WHERE scrape = s.key) > s.announced
         ORDER BY key LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED";
    const IMAGES: &str = "
        SELECT * FROM scrape_images
         WHERE scrape = $1 AND day = $2 AND outcome IS NOT NULL AND announced_at IS NULL
         ORDER BY seq LIMIT $3";
    let statement = transaction.prepare_cached(NEWS).await?;
    let scrapes = transaction.query(&statement, &[&(TOLD_AT_ONCE as i64)]).await?;
    let mut told = Vec::with_capacity(scrapes.len());
    let mut left = most as i64;
    for scrape in &scrapes {
        if left == 0 {
            break;
        }
        let (key, day): (i64, Date) = (scrape.get("key"), scrape.get("day"));
        let statement = transaction.prepare_cached(IMAGES).await?;
        let images = transaction.query(&statement, &[&key, &day, &left]).await?;
        left -= images.len() as i64;
        told.push(Told { key, day, images: images.iter().map(|image| tagged(scrape, image)).collect() });
    }
    Ok(told)
}

fn tagged(scrape: &Row, image: &Row) -> Tagged {
    Tagged {
        scrape_id: ScrapeId(scrape.get("scrape_id")),
        seq: image.get("seq"),
        advertiser_id: AdvertiserId(scrape.get("advertiser_id")),
        change: change(image.get("change")),
        changed_at: image.get("changed_at"),
        image_id: image.get("image_id"),
        url: image.get("url"),
        image_key: image.get("image_key"),
        listing_id: image.get("listing_id"),
        position: image.get("position"),
        outcome: image.get("outcome"),
        reason: image.get("reason"),
        tags: image.get::<_, Option<Json<_>>>("tags").map(|Json(tags)| tags).unwrap_or_default(),
        received_at: scrape.get("received_at"),
        waits_since: scrape.get("waits_since"),
        tagged_at: image.get("recorded_at"),
    }
}

/// These images are announced. A micro-scrape of which all are has come to its end.
///
/// # Errors
///
/// If the database is away.
pub async fn mark_told(transaction: &impl GenericClient, told: &[Told]) -> Result<(), DbError> {
    const IMAGES: &str = "
        UPDATE scrape_images SET announced_at = now() WHERE scrape = $1 AND day = $2 AND seq = ANY($3)";
    const SCRAPE: &str = "
        UPDATE scrapes SET announced = announced + $2 WHERE key = $1 RETURNING announced >= listed";
    const ENDED: &str = "
        WITH counted AS (DELETE FROM scrape_progress WHERE scrape = $1),
             ended AS (SELECT outcome, count(*) AS images, max(recorded_at) AS last
                         FROM scrape_images WHERE scrape = $1 AND day = $2 GROUP BY outcome)
        UPDATE scrapes s
           SET state = 'changed', announced_at = now(), outcomes = e.outcomes,
               tagged_at = greatest(e.last, s.published_at)
          FROM (SELECT jsonb_object_agg(outcome, images) AS outcomes, max(last) AS last FROM ended) e
         WHERE s.key = $1";
    for Told { key, day, images } in told {
        let seqs: Vec<i32> = images.iter().map(|image| image.seq).collect();
        let statement = transaction.prepare_cached(IMAGES).await?;
        transaction.execute(&statement, &[key, day, &seqs]).await?;
        let statement = transaction.prepare_cached(SCRAPE).await?;
        let ended = transaction.query_one(&statement, &[key, &(seqs.len() as i32)]).await?;
        if ended.get(0) {
            let statement = transaction.prepare_cached(ENDED).await?;
            transaction.execute(&statement, &[key, day]).await?;
        }
    }
    Ok(())
}
