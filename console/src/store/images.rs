//! Which pictures are there? The grid of the pages, and `/v1/images`.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use serde::{Deserialize, Serialize};
use tagfleet_shared::db::DbError;
use tagfleet_shared::tags::{Scores, Tags};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::version;
use crate::web::Listing;

/// Row by row in the order of the primary key, until there are enough. Several processes would bring rows out of
/// order; a planner that thinks a filter is rare would rather read and sort a whole scrape for one page, and
/// compile what runs for a millisecond.
const ORDERLY: &str = "
    SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off";

/// Which pictures are meant; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this scrape. Without one: of the newest scrape of each advertiser.
    pub scrape_id: Option<String>,
    /// Of this advertiser.
    pub advertiser: Option<String>,
    /// About this attribute is what follows.
    pub attribute: Option<String>,
    /// With this value of it; `null` is the text of null.
    pub value: Option<String>,
    /// Of whose value the models were less sure than this.
    pub score_below: Option<f64>,
    /// With this outcome; `none`: with none yet.
    pub outcome: Option<String>,
    /// Whether a person corrected something of it.
    pub fixed: Option<bool>,
    /// With this text in URL or key.
    pub text: Option<String>,
}

/// The place of a picture in the grid: scrape and place in its inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(pub i64, pub i32);

/// One picture, as one scrape lists it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Image {
    /// Where it is in the grid.
    #[serde(skip)]
    pub place: Place,
    /// The image, wherever and however often it is listed.
    pub image_id: Uuid,
    /// What a fix has to say that it saw (`If-Match`).
    pub version: String,
    /// The scrape that lists it.
    pub scrape_id: String,
    /// Whose inventory it is in.
    pub advertiser_id: String,
    /// Its place in the inventory, from 0.
    pub seq: i32,
    /// Where it is, exactly as scraped.
    pub url: String,
    /// The pipeline's own name of it.
    pub image_key: Option<String>,
    /// The listing that shows it.
    pub listing_id: Option<String>,
    /// `inferred`, `cached`, `matched`, `skipped` or `defaulted`; null: none yet.
    pub outcome: Option<String>,
    /// Why it was skipped or defaulted.
    pub reason: Option<String>,
    /// The valid tags.
    pub tags: BTreeMap<String, Option<String>>,
    /// The attributes that a person corrected, for this advertiser or for everyone.
    pub fixed: Vec<String>,
    /// How sure the models were, 0 to 1, by attribute.
    pub scores: BTreeMap<String, f32>,
}

/// A piece of the pictures that `filter` means, after `after`: those of the newest scrape first, in the order
/// of its inventory.
///
/// # Errors
///
/// If the database is away, or finds too few within its time limit.
pub async fn list(
    pool: &Pool,
    filter: &Filter,
    after: Option<Place>,
    limit: u32,
) -> Result<Listing<Image>, DbError> {
    // One scrape after the other, each by its own partition and primary key, until there are enough: no plan
    // reads more. The order is that of the nested loop, which no plan can do without: the limit is within.
    let sql = format!(
        "SELECT i.image_id, {}, s.scrape_id, s.advertiser_id, i.seq, i.url, i.image_key, i.listing_id, i.outcome,
                i.reason, i.tags, ARRAY(SELECT jsonb_object_keys(coalesce(i.fix, '{{}}'))), i.scores, s.key
           FROM (SELECT key, day, scrape_id, advertiser_id FROM scrapes s
                  WHERE ($1::text IS NULL OR scrape_id = $1) AND ($2::text IS NULL OR advertiser_id = $2)
                    AND ($10::int8 IS NULL OR key <= $10)
                    AND state <> 'refused'
                    AND ($1 IS NOT NULL OR state NOT IN ('changing', 'changed') AND NOT EXISTS (
                            SELECT FROM scrapes n WHERE n.advertiser_id = s.advertiser_id
                               AND (n.finished_at, n.key) > (s.finished_at, s.key)
                               AND n.state NOT IN ('refused', 'changing', 'changed')))
                  ORDER BY key DESC) s
          CROSS JOIN LATERAL (
                SELECT i.*, t.scores, i.image_id AS image FROM scrape_images i
                  LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set
                 WHERE i.day = s.day AND i.scrape = s.key AND ($10 IS NULL OR s.key < $10 OR i.seq > $11)
                   AND ($3::text IS NULL OR $4::text IS NULL
                        OR i.tags ? $3 AND i.tags ->> $3 IS NOT DISTINCT FROM nullif($4, 'null'))
                   AND ($5::float8 IS NULL OR (t.scores ->> $3)::float8 < $5)
                   AND ($6::text IS NULL OR coalesce(i.outcome, 'none') = $6)
                   AND ($7::bool IS NULL OR (coalesce(i.fix, '{{}}') <> '{{}}') = $7)
                   AND ($8::text IS NULL OR i.url ILIKE $8 OR i.image_key ILIKE $8)
                 ORDER BY i.seq LIMIT $9) i
          LIMIT $9",
        version::OF_IMAGE
    );
    let Filter { scrape_id, advertiser, attribute, value, score_below, outcome, fixed, text } = filter;
    let pattern = text.as_deref().map(containing);
    let one_more = i64::from(limit) + 1;
    let (key, seq) = (after.map(|place| place.0), after.map(|place| place.1));
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(ORDERLY).await?;
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction
        .query(
            &statement,
            &[
                scrape_id,
                advertiser,
                attribute,
                value,
                score_below,
                outcome,
                fixed,
                &pattern,
                &one_more,
                &key,
                &seq,
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(Listing::cut(rows.iter().map(read).collect(), limit, |image: &Image| image.place))
}

pub(super) fn read(row: &Row) -> Image {
    let tags: Option<Json<Tags>> = row.get(10);
    let scores: Option<Json<Scores>> = row.get(12);
    Image {
        place: Place(row.get(13), row.get(4)),
        image_id: row.get(0),
        version: row.get(1),
        scrape_id: row.get(2),
        advertiser_id: row.get(3),
        seq: row.get(4),
        url: row.get(5),
        image_key: row.get(6),
        listing_id: row.get(7),
        outcome: row.get(8),
        reason: row.get(9),
        tags: tags.map(|Json(tags)| tags.0).unwrap_or_default(),
        fixed: row.get(11),
        scores: scores.map(|Json(scores)| scores.0).unwrap_or_default(),
    }
}

/// A pattern for all that contains `text`, whatever is special in it.
fn containing(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

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
    let rows = pool.get().await?.query(&sql, &[&candidates, &url]).await?;
    let found = |row: &Row| Found { image_id: row.get(0), version: row.get(1), listed: row.get(2) };
    Ok(rows.iter().map(found).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_special() {
        assert_eq!(containing(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
