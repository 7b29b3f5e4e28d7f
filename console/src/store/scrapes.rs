//! Which scrapes are there, and how far is each?

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;

use crate::web::Listing;

/// Which scrapes are meant; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this advertiser.
    pub advertiser: Option<String>,
    /// In this state.
    pub state: Option<String>,
}

/// One scrape, and how far it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Scrape {
    /// Our own short name of it, for cursors.
    #[serde(skip)]
    pub key: i64,
    /// What the scrape pipeline calls it.
    pub scrape_id: String,
    /// Whose inventory it is.
    pub advertiser_id: String,
    /// The lane of its jobs: `express`, `standard` or `bulk`.
    pub lane: String,
    /// `fanning_out`, `tagging`, `tagged` or `refused`; of pictures that changed, `changing` or `changed`.
    pub state: String,
    /// Images of the inventory that are listed so far.
    pub images: i32,
    /// Of these, images that have their outcome.
    pub ended: i64,
    /// How many images came to which outcome.
    pub outcomes: BTreeMap<String, i64>,
    /// Images a second that came to their outcome in the last minute: since the half minute in which it began,
    /// 60 to 90 seconds ago.
    pub per_second: f64,
    /// Whether it is not tagged yet, and no image has come to its outcome for long, nor one of an earlier scrape in its
    /// lane, behind which it might wait for its turn.
    pub stuck: bool,
    /// When the last image came to its outcome, as far as that is still known.
    pub moved_at: Option<Timestamp>,
    /// The newer scrape of the advertiser that overtook it.
    pub superseded_by: Option<String>,
    /// When the pipeline had it.
    pub finished_at: Timestamp,
    /// When the scheduler took it.
    pub received_at: Timestamp,
    /// When its last job was published.
    pub published_at: Option<Timestamp>,
    /// When its last image had its outcome.
    pub tagged_at: Option<Timestamp>,
}

impl Scrape {
    /// Whether its skipped images can be run again, as soon as it is listed.
    pub fn can_be_run_again(&self) -> bool {
        self.superseded_by.is_none() && matches!(&*self.state, "fanning_out" | "tagging" | "tagged")
    }
}

/// SQL for the half minute in which the last minute began: the scheduler keeps what came to its outcome in
/// the same one together.
const SINCE: &str = "date_bin(interval '30 seconds', now() - interval '1 minute', 'epoch')";

/// `$1` is how long a scrape may stand still, in seconds. One behind others of its lane that move may only wait for its
/// turn, for a day at most; what is run again waits behind all. (Of those that have come to their end the last are enough.)
fn columns() -> String {
    format!(
        "
    WITH moving AS MATERIALIZED (
        SELECT lane, min(key) AS key FROM (
            SELECT key, lane, (SELECT max(recorded_at) FROM scrape_progress WHERE scrape = o.key) AS moved_at FROM scrapes o
             WHERE state IN ('tagging', 'changing') AND announced_at IS NULL
            UNION ALL (SELECT key, lane, tagged_at FROM scrapes WHERE state = 'tagged' ORDER BY key DESC LIMIT 1000)) AS o
         WHERE moved_at > now() - $1::float8 * interval '1 second' GROUP BY lane)
    SELECT s.key, s.scrape_id, s.advertiser_id, s.lane, s.state, s.listed,
           coalesce(s.outcomes, p.outcomes, '{{}}'), coalesce(p.per_second, 0),
           CASE WHEN s.state IN ('fanning_out', 'tagging', 'changing')
                 AND greatest(p.moved_at, s.published_at, s.received_at) < now() - $1::float8 * interval '1 second'
                THEN s.state = 'fanning_out'
                     OR greatest(p.moved_at, s.published_at, s.received_at) < now() - interval '1 day'
                     OR NOT EXISTS (SELECT FROM moving m
                                     WHERE m.lane = s.lane AND (m.key < s.key OR s.reopened_at IS NOT NULL))
                ELSE false END,
           coalesce(p.moved_at, s.tagged_at), n.scrape_id, s.finished_at, s.received_at, s.published_at, s.tagged_at
      FROM scrapes s
      LEFT JOIN scrapes n ON n.key = s.superseded_by
      LEFT JOIN LATERAL (
          SELECT jsonb_object_agg(outcome, images) AS outcomes, max(moved_at) AS moved_at,
                 sum(recent)::float8 / extract(epoch FROM now() - {SINCE})::float8 AS per_second
            FROM (SELECT outcome, sum(images) AS images, max(recorded_at) AS moved_at,
                         sum(images) FILTER (WHERE recorded_at >= {SINCE} AND images > 0) AS recent
                    FROM scrape_progress WHERE scrape = s.key GROUP BY outcome) AS of_outcome
      ) p ON true"
    )
}

/// A piece of the scrapes that `filter` means, the newest first, after the one with the key `after`.
///
/// # Errors
///
/// If the database is away.
pub async fn list(
    pool: &Pool,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
    stuck_after: Duration,
) -> Result<Listing<Scrape>, DbError> {
    const WHICH: &str = "
         WHERE ($2::text IS NULL OR s.advertiser_id = $2) 
           AND CASE WHEN $3::text IS NULL THEN s.state NOT IN ('changing', 'changed') ELSE s.state = $3 END
           AND ($4::int8 IS NULL OR s.key < $4)
         ORDER BY s.key DESC LIMIT $5";
    let client = pool.get().await?;
    let sql = columns() + WHICH;
    let one_more = i64::from(limit) + 1;
    let seconds = stuck_after.as_secs_f64();
    let rows = client.query(&sql, &[&seconds, &filter.advertiser, &filter.state, &after, &one_more]).await?;
    Ok(Listing::cut(rows.iter().map(read).collect(), limit, |scrape: &Scrape| scrape.key))
}

/// The scrape that the pipeline calls `scrape_id`.
///
/// # Errors
///
/// If the database is away.
pub async fn one(pool: &Pool, scrape_id: &str, stuck_after: Duration) -> Result<Option<Scrape>, DbError> {
    let client = pool.get().await?;
    let sql = columns() + " WHERE s.scrape_id = $2";
    let row = client.query_opt(&sql, &[&stuck_after.as_secs_f64(), &scrape_id]).await?;
    Ok(row.as_ref().map(read))
}

/// How many images of a scrape ended for one reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reason {
    /// Their outcome.
    pub outcome: String,
    /// Why: a stable word.
    pub reason: String,
    /// How many.
    pub images: i64,
}

/// Why images of the scrape `scrape_id` were skipped or defaulted, the most frequent reason first: none when
/// its rows are not kept any more.
///
/// # Errors
///
/// If the database is away.
pub async fn reasons(pool: &Pool, scrape_id: &str) -> Result<Vec<Reason>, DbError> {
    const SQL: &str = "
        SELECT i.outcome, i.reason, count(*) FROM scrapes s JOIN scrape_images i ON i.day = s.day AND i.scrape = s.key
         WHERE s.scrape_id = $1 AND i.reason IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2";
    let rows = pool.get().await?.query(SQL, &[&scrape_id]).await?;
    let read = |row: &Row| Reason { outcome: row.get(0), reason: row.get(1), images: row.get(2) };
    Ok(rows.iter().map(read).collect())
}

fn read(row: &Row) -> Scrape {
    let Json(outcomes): Json<BTreeMap<String, i64>> = row.get(6);
    Scrape {
        key: row.get(0),
        scrape_id: row.get(1),
        advertiser_id: row.get(2),
        lane: row.get(3),
        state: row.get(4),
        images: row.get(5),
        ended: outcomes.values().sum(),
        outcomes,
        per_second: row.get(7),
        stuck: row.get(8),
        moved_at: row.get(9),
        superseded_by: row.get(10),
        finished_at: row.get(11),
        received_at: row.get(12),
        published_at: row.get(13),
        tagged_at: row.get(14),
    }
}
