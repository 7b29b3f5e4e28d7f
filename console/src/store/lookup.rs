//! Which images have this key, or this URL?

use deadpool_postgres::{ClientWrapper, Pool};
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::version;

/// An image that somebody looked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Found {
    /// The image.
    pub image_id: Uuid,
    /// What a fix has to say that it saw (`If-Match`).
    pub version: String,
    /// Whether any scrape that is still kept lists it.
    pub listed: bool,
}

/// Of the ids in `candidates`, and of the images with a key that are listed with exactly this `url`, those
/// that the fleet knows.
///
/// # Errors
///
/// If the database is away.
pub async fn find(pool: &Pool, candidates: &[Uuid], url: Option<&str>) -> Result<Vec<Found>, DbError> {
    known(&*pool.get().await?, candidates, url).await
}

async fn known(
    client: &ClientWrapper,
    candidates: &[Uuid],
    url: Option<&str>,
) -> Result<Vec<Found>, DbError> {
    let sql = format!(
        "SELECT image, {}, listed
           FROM (SELECT image, EXISTS (SELECT FROM scrape_images WHERE image_id = image) AS listed
                   FROM (SELECT unnest($1::uuid[]) AS image
                          UNION
                         SELECT image_id FROM scrape_images
                          WHERE hashtextextended(url, 0) = hashtextextended($2::text, 0) AND url = $2
                            AND image_key IS NOT NULL) AS candidate) AS known
          WHERE listed OR EXISTS (SELECT FROM image_tags WHERE image_id = image)
                OR EXISTS (SELECT FROM fix_history WHERE image_id = image)
          ORDER BY image LIMIT 100",
        version::OF_IMAGE
    );
    let rows = client.query(&sql, &[&candidates, &url]).await?;
    let found = |row: &Row| Found { image_id: row.get(0), version: row.get(1), listed: row.get(2) };
    Ok(rows.iter().map(found).collect())
}

/// The images whose whole URL or key is `text`, which an index finds at once; none if it is a part of one at most.
/// Of other advertisers or scrapes than those that are meant none: their keys are their own.
pub(super) async fn named(
    client: &ClientWrapper,
    text: &str,
    advertiser: Option<&str>,
    scrape_id: Option<&str>,
) -> Result<Option<Vec<Uuid>>, DbError> {
    const MEANT: &str = "
        SELECT image FROM unnest($1::uuid[]) AS image
         WHERE EXISTS (SELECT FROM scrape_images i JOIN scrapes s ON s.key = i.scrape
                        WHERE i.image_id = image AND ($2::text IS NULL OR s.advertiser_id = $2)
                          AND ($3::text IS NULL OR s.scrape_id = $3))";
    let candidates = [ImageId::of(Some(text), "").0, ImageId::of(None, text).0];
    let found = known(client, &candidates, Some(text)).await?;
    let listed: Vec<_> = found.iter().filter(|found| found.listed).map(|found| found.image_id).collect();
    let meant = if listed.is_empty() || advertiser.or(scrape_id).is_none() {
        listed
    } else {
        let statement = client.prepare_cached(MEANT).await?;
        let rows = client.query(&statement, &[&listed, &advertiser, &scrape_id]).await?;
        rows.iter().map(|row| row.get(0)).collect()
    };
    Ok((!meant.is_empty()).then_some(meant))
}
