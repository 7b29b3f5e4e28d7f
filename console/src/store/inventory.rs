//! What did an advertiser list last?

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::tags::Tags;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// The newest inventory of an advertiser.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The scrape that listed it.
    pub scrape_id: String,
    /// Whether it is still at work.
    pub unfinished: bool,
    /// Its images, in their order: none if they are not kept any more.
    pub images: Vec<ListedImage>,
}

/// The newest inventory of `advertiser`; none if they never had one.
///
/// # Errors
///
/// If the database is away.
pub async fn newest(pool: &Pool, advertiser: &str) -> Result<Option<Inventory>, DbError> {
    const SCRAPE: &str = "
        SELECT key, day, scrape_id, state <> 'tagged' FROM scrapes
         WHERE advertiser_id = $1 AND state <> 'refused' ORDER BY finished_at DESC, key DESC LIMIT 1";
    const IMAGES: &str = "
        SELECT url, image_key, listing_id, position, configured FROM scrape_images
         WHERE day = $1 AND scrape = $2 ORDER BY seq";
    let client = pool.get().await?;
    let Some(scrape) = client.query_opt(SCRAPE, &[&advertiser]).await? else { return Ok(None) };
    let (key, day): (i64, jiff::civil::Date) = (scrape.get(0), scrape.get(1));
    let rows = client.query(IMAGES, &[&day, &key]).await?;
    let image = |row: &Row| ListedImage {
        url: row.get(0),
        image_key: row.get(1),
        listing_id: row.get(2),
        position: row.get(3),
        configured: row.get::<_, Option<Json<Tags>>>(4).map(|Json(tags)| tags),
    };
    let images = rows.iter().map(image).collect();
    Ok(Some(Inventory { scrape_id: scrape.get(2), unfinished: scrape.get(3), images }))
}
