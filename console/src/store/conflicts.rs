//! Over which pictures do people disagree?

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagfleet_shared::db::DbError;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::version::OF_IMAGE;
use crate::web::Listing;

/// An advertiser may have a side in hardly any of a million: nobody holds a connection for that.
const NOT_FOR_LONG: &str = "SET LOCAL statement_timeout = '3s'";

/// A picture that several share, and that people have tagged differently. Each keeps their value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Conflict {
    /// The image.
    pub image_id: Uuid,
    /// About this attribute.
    pub attribute: String,
    /// Where the picture is, as it was listed last.
    pub url: Option<String>,
    /// What a correction says was seen.
    pub version: String,
    /// What was said, and by whom: two sides at least.
    pub sides: Vec<Side>,
}

/// One side.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Side {
    /// For whom it was said; absent: for everyone who says nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub advertiser_id: Option<String>,
    /// The value.
    pub value: Option<String>,
    /// Who said so.
    pub by: String,
    /// Why.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The place of a conflict in the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place(String, Uuid);

/// A piece of the conflicts, by attribute and image, after `after`.
///
/// # Errors
///
/// If the database is away, or finds too few within its time limit.
pub async fn list(
    pool: &Pool,
    attribute: Option<&str>,
    advertiser: Option<&str>,
    after: Option<Place>,
    limit: u32,
) -> Result<Listing<Conflict>, DbError> {
    let sql = format!(
        "WITH conflict AS (
            SELECT attribute, image_id FROM fix_conflicts c
             WHERE ($1::text IS NULL OR attribute = $1) AND ($2::text IS NULL OR (attribute, image_id) > ($2, $3))
               AND ($4::text IS NULL OR EXISTS (SELECT FROM fixes f WHERE f.image_id = c.image_id
                                                   AND f.advertiser_id = $4 AND f.attribute = c.attribute))
             ORDER BY attribute, image_id LIMIT $5)
        SELECT f.image_id, f.attribute, i.url, nullif(f.advertiser_id, ''), f.value, f.fixed_by, f.note, f.fixed_at,
               v.version
          FROM conflict c JOIN fixes f USING (attribute, image_id)
          LEFT JOIN LATERAL (SELECT url FROM scrape_images WHERE image_id = c.image_id
                              ORDER BY day DESC LIMIT 1) i ON true
         CROSS JOIN LATERAL (SELECT {OF_IMAGE} AS version FROM (SELECT c.image_id AS image) one) v
         ORDER BY f.attribute, f.image_id, f.advertiser_id"
    );
    let (last_attribute, last_image) = after.map(|Place(attribute, image)| (attribute, image)).unzip();
    let one_more = i64::from(limit) + 1;
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(NOT_FOR_LONG).await?;
    let rows =
        transaction.query(&sql, &[&attribute, &last_attribute, &last_image, &advertiser, &one_more]).await?;
    transaction.commit().await?;
    let place = |conflict: &Conflict| Place(conflict.attribute.clone(), conflict.image_id);
    Ok(Listing::cut(gather(&rows), limit, place))
}

fn gather(rows: &[Row]) -> Vec<Conflict> {
    let mut conflicts: Vec<Conflict> = Vec::new();
    for row in rows {
        let (image_id, attribute): (Uuid, String) = (row.get(0), row.get(1));
        let side = Side {
            advertiser_id: row.get(3),
            value: row.get(4),
            by: row.get(5),
            note: row.get(6),
            at: row.get(7),
        };
        match conflicts.last_mut() {
            Some(last) if last.image_id == image_id && last.attribute == attribute => last.sides.push(side),
            _ => {
                let (url, version, sides) = (row.get(2), row.get(8), vec![side]);
                conflicts.push(Conflict { image_id, attribute, url, version, sides });
            }
        }
    }
    conflicts
}
