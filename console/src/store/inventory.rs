//! What did an advertiser list last?

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ScrapeId;

/// The newest inventory of an advertiser.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The scrape that listed it.
    pub scrape_id: ScrapeId,
    /// When the pipeline had it.
    pub finished_at: Timestamp,
    /// Whether it is still at work.
    pub unfinished: bool,
    /// Whether its images are still kept.
    pub kept: bool,
}

/// The newest inventory of `advertiser`; none if they never had one. A micro-scrape of pictures that
/// changed is none.
///
/// # Errors
///
/// If the database is away.
pub async fn newest(pool: &Pool, advertiser: &str) -> Result<Option<Inventory>, DbError> {
    const SQL: &str = "
        SELECT s.scrape_id, s.finished_at, s.state <> 'tagged',
               EXISTS (SELECT FROM scrape_images i WHERE i.day = s.day AND i.scrape = s.key)
          FROM scrapes s
         WHERE s.advertiser_id = $1 AND s.state IN ('fanning_out', 'tagging', 'tagged')
         ORDER BY s.finished_at DESC, s.key DESC LIMIT 1";
    let row = pool.get().await?.query_opt(SQL, &[&advertiser]).await?;
    Ok(row.map(|row| Inventory {
        scrape_id: ScrapeId(row.get(0)),
        finished_at: row.get(1),
        unfinished: row.get(2),
        kept: row.get(3),
    }))
}
