//! Which pictures are there? The grid of the pages, and `/v1/images`.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagfleet_shared::db::DbError;
use tagfleet_shared::tags::{Scores, Tags};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{FIX_OF_ROW, IS_FIXED, REPLACED_AT, lookup, version};
use crate::web::Listing;

/// Row by row in the order of the primary key, until there are enough. Several processes would bring rows out of
/// order; a planner that thinks a filter is rare would rather read and sort a whole scrape for one page, and
/// compile what runs for a millisecond. And not for long: what matches hardly any of millions is not looked for while
/// everybody else waits.
const ORDERLY: &str = "
    SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off;
    SET LOCAL statement_timeout = '3s'";

/// SQL for whether `s` is the inventory of its advertiser, as of `$12`: the newest that was complete then, also while the
/// next is at work; where none was, the newest of which something is there. What a newer one had overtaken before it was
/// complete never is. Scrapes whose rows are not kept any more do not count, and are not read.
const CURRENT: &str = "
    state IN ('fanning_out', 'tagging', 'tagged') AND received_at <= coalesce($12, now()) AND
    CASE WHEN coalesce(complete_since, CASE WHEN superseded_by IS NULL THEN tagged_at END) <= coalesce($12, now())
         THEN NOT EXISTS (
              SELECT FROM scrapes n WHERE n.advertiser_id = s.advertiser_id AND n.key >= (SELECT key FROM kept)
                 AND (n.finished_at, n.key) > (s.finished_at, s.key) AND n.state IN ('tagging', 'tagged')
                 AND coalesce(n.complete_since, CASE WHEN n.superseded_by IS NULL THEN n.tagged_at END)
                     <= coalesce($12, now()))
         ELSE listed > 0 AND NOT EXISTS (
              SELECT FROM scrapes n WHERE n.advertiser_id = s.advertiser_id AND n.key >= (SELECT key FROM kept)
                 AND n.state IN ('fanning_out', 'tagging', 'tagged') AND n.received_at <= coalesce($12, now())
                 AND (coalesce(n.complete_since, CASE WHEN n.superseded_by IS NULL THEN n.tagged_at END)
                          <= coalesce($12, now())
                      OR n.listed > 0 AND (n.finished_at, n.key) > (s.finished_at, s.key))) END";

/// Which pictures are meant; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this scrape. Without one: of the newest complete inventory of each advertiser.
    pub scrape_id: Option<String>,
    /// Of this advertiser.
    pub advertiser: Option<String>,
    /// About this attribute is what follows.
    pub attribute: Option<String>,
    /// With this value of it, or one that lies within; `null` is the text of null.
    pub value: Option<String>,
    /// Of whose value the models were less sure than this.
    pub score_below: Option<f64>,
    /// With this outcome; `none`: with none yet.
    pub outcome: Option<String>,
    /// Whether a person corrected something of it.
    pub fixed: Option<bool>,
    /// With this text in URL or key; what is the whole of one means just that picture.
    pub text: Option<String>,
}

impl Filter {
    /// Whether pictures are passed over that are listed: with that alone a list may be long in finding any.
    pub fn chooses(&self) -> bool {
        let Self { scrape_id: _, advertiser: _, attribute: _, value, score_below, outcome, fixed, text } =
            self;
        value.is_some() || score_below.is_some() || outcome.is_some() || fixed.is_some() || text.is_some()
    }
}

/// The place of a picture in the grid: scrape and place in its inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub i64, pub i32);

/// Where a piece of the grid ended, and when the first piece was told.
///
/// The inventories are those of then: one that is complete since is for the next look from the start, or the one
/// before it would be told by no piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct After(i64, i32, Option<Timestamp>);

/// A cursor as consoles have written it; those of before said no time.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    AsOf(i64, i32, Option<Timestamp>),
    Before(i64, i32),
}

impl From<Written> for After {
    fn from(written: Written) -> Self {
        match written {
            Written::AsOf(key, seq, as_of) => Self(key, seq, as_of),
            Written::Before(key, seq) => Self(key, seq, None),
        }
    }
}

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
    /// When the models looked at another picture that is at this address since. The tags are those of the one before,
    /// and no scores are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replaced_at: Option<Timestamp>,
}

/// SQL for rows `i` of images, with what their model sets say of them now as `t`.
pub(super) const ROWS: &str =
    "scrape_images i LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set";

/// SQL for what [`columns`] are of, beside the row itself.
pub(super) fn beside() -> String {
    format!(
        "CASE WHEN ({REPLACED_AT}) IS NULL THEN t.scores END AS scores, {REPLACED_AT} AS replaced_at, i.image_id AS image"
    )
}

/// The columns of an [`Image`], of a row `i` with what is [`beside`] it, in a scrape `s`.
pub(super) fn columns() -> String {
    format!(
        "i.image_id, {}, s.scrape_id, s.advertiser_id, i.seq, i.url, i.image_key, i.listing_id, i.outcome,
         i.reason, i.tags, ARRAY(SELECT jsonb_object_keys({FIX_OF_ROW})), i.scores, s.key,
         i.replaced_at",
        version::OF_IMAGE
    )
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
    after: Option<After>,
    limit: u32,
) -> Result<Listing<Image>, DbError> {
    // One scrape after the other, each by its own partition and primary key, until there are enough: no plan
    // reads more. The order is that of the nested loop, which no plan can do without: the limit is within. Reasons
    // and fixes are written as the partial indexes have them, so that what hardly any row has is found by them.
    let sql = format!(
        "WITH kept AS (SELECT min(scrape) AS key FROM scrape_images)
         SELECT {}, coalesce($12::timestamptz, now())
           FROM (SELECT key, day, scrape_id, advertiser_id FROM scrapes s
                  WHERE key >= (SELECT key FROM kept)
                    AND ($1::text IS NULL OR scrape_id = $1) AND ($2::text IS NULL OR advertiser_id = $2)
                    AND ($10::int8 IS NULL OR key <= $10)
                    AND ($13::uuid[] IS NULL
                         OR key = ANY(ARRAY(SELECT scrape FROM scrape_images WHERE image_id = ANY($13))))
                    AND state <> 'refused'
                    AND ($1 IS NOT NULL OR {CURRENT})
                  ORDER BY key DESC) s
          CROSS JOIN LATERAL (
                SELECT i.*, {} FROM {ROWS}
                 WHERE i.day = s.day AND i.scrape = s.key AND ($10 IS NULL OR s.key < $10 OR i.seq > $11)
                   AND ($1 IS NOT NULL OR i.removed_at IS NULL)
                   AND ($3::text IS NULL OR $4::text IS NULL
                        OR i.tags ? $3 AND CASE WHEN $4 = 'null' THEN i.tags ->> $3 IS NULL
                                                ELSE starts_with((i.tags ->> $3) || '/', $4 || '/') END)
                   AND ($5::float8 IS NULL OR (t.scores ->> $3)::float8 < $5 AND ({REPLACED_AT}) IS NULL)
                   AND ($6::text IS NULL OR coalesce(i.outcome, 'none') = $6)
                   AND ($6 IS NULL OR $6 NOT IN ('skipped', 'defaulted') OR i.reason IS NOT NULL)
                   AND ($7::bool IS NULL OR ({IS_FIXED}) = $7)
                   AND ($8::text IS NULL OR i.url ILIKE $8 OR i.image_key ILIKE $8)
                   AND ($13 IS NULL OR i.image_id = ANY($13))
                 ORDER BY i.seq LIMIT $9) i
          LIMIT $9",
        columns(),
        beside()
    );
    let Filter { scrape_id, advertiser, attribute, value, score_below, outcome, fixed, text } = filter;
    let mut client = pool.get().await?;
    let named = match text {
        Some(text) => lookup::named(&client, text, advertiser.as_deref(), scrape_id.as_deref()).await?,
        None => None,
    };
    let pattern = text.as_deref().filter(|_| named.is_none()).map(containing);
    let one_more = i64::from(limit) + 1;
    let (key, seq) = after.map(|After(key, seq, _)| (key, seq)).unzip();
    let as_of = after.and_then(|After(_, _, as_of)| as_of);
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
                &as_of,
                &named,
            ],
        )
        .await?;
    transaction.commit().await?;
    let as_of: Option<Timestamp> = rows.first().map(|row| row.get(15));
    let cursor = |image: &Image| After(image.place.0, image.place.1, as_of);
    Ok(Listing::cut(rows.iter().map(read).collect(), limit, cursor))
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
        replaced_at: row.get(14),
    }
}

/// A pattern for all that contains `text`, whatever is special in it.
fn containing(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_special() {
        assert_eq!(containing(r"50%_a\b"), r"%50\%\_a\\b%");
    }

    #[test]
    fn a_cursor_of_before_goes_on_too() {
        let read = |text: &str| serde_json::from_str::<After>(text).unwrap();
        assert_eq!(read("[7,3]"), After(7, 3, None));
        let after = After(7, 3, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(read(&serde_json::to_string(&after).unwrap()), after);
    }
}
