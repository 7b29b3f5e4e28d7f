//! An earlier scrape, as it was listed.

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::{AdvertiserId, ImageId, ScrapeId};
use tokio_postgres::types::Json;

use super::Client;
use crate::inventory::Row;

/// A scrape whose images are listed once more.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Our own short name of it.
    pub key: i64,
    /// The partition of its images.
    pub day: Date,
    /// Images in `scrape_images`: those before this `seq`.
    pub listed: i32,
    /// Whether these are all that it has.
    pub whole: bool,
}

/// The scrape of `advertiser` that the pipeline calls `scrape_id`.
///
/// # Errors
///
/// If the database is away.
pub async fn source(
    client: &Client,
    scrape_id: &ScrapeId,
    advertiser: &AdvertiserId,
) -> Result<Option<Source>, DbError> {
    const SQL: &str = "
        SELECT key, day, listed, state IN ('tagging', 'tagged') FROM scrapes
         WHERE scrape_id = $1 AND advertiser_id = $2";
    let row = client.query_opt(SQL, &[&scrape_id.0, &advertiser.0]).await?;
    Ok(row.map(|row| Source { key: row.get(0), day: row.get(1), listed: row.get(2), whole: row.get(3) }))
}

/// At most `limit` images of `source` from place `from` on, in their order: none where they are not kept any more.
///
/// Those that the advertiser has removed since keep their place, and stay removed.
///
/// # Errors
///
/// If the database is away.
pub async fn listed_images(
    client: &Client,
    source: &Source,
    from: i32,
    limit: usize,
) -> Result<Vec<Row>, DbError> {
    // A malformed line kept its place without a URL, which no other image is without.
    const SQL: &str = "
        SELECT image_id, url, image_key, listing_id, position, configured, removed_at FROM scrape_images
         WHERE scrape = $1 AND day = $2 AND seq >= $3 ORDER BY seq LIMIT $4";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&source.key, &source.day, &from, &(limit as i64)]).await?;
    let row = |row: &tokio_postgres::Row| {
        let url: String = row.get(1);
        Row {
            image: ImageId(row.get(0)),
            malformed: url.is_empty(),
            url,
            image_key: row.get(2),
            listing_id: row.get(3),
            position: row.get(4),
            configured: row.get::<_, Option<Json<_>>>(5).map(|Json(tags)| tags),
            change: None,
            removed_at: row.get(6),
        }
    };
    Ok(rows.iter().map(row).collect())
}
