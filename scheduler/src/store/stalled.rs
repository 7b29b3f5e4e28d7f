//! What was lost on its way, to be made up for by the sweep.

use std::time::Duration;

use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::{ImageId, ScrapeId};
use tagfleet_shared::lane::Lane;

use super::{Client, SCRAPE, Scrape};

/// The longest that a stalled scrape waits for its next sweep.
const LONGEST: &str = "1 day";

/// Scrapes that are named in one go.
const NAMED_AT_ONCE: u32 = 20;

/// Takes one scrape in which nothing has moved for `after`, doubled by each
/// sweep that it had; for a day in lanes other than `idle`. The claim counts
/// as a movement, so no other scheduler sweeps it too.
///
/// # Errors
///
/// If the database is away.
pub async fn claim_stalled(
    client: &Client,
    after: Duration,
    idle: &[Lane],
) -> Result<Option<Scrape>, DbError> {
    let sql = format!(
        "UPDATE scrapes SET swept_at = now(), sweeps = sweeps + 1
          WHERE key = (
                SELECT key FROM scrapes s
                 WHERE state IN ('tagging', 'changing') AND announced_at IS NULL
                   AND greatest(published_at, swept_at,
                                (SELECT max(recorded_at) FROM scrape_progress WHERE scrape = s.key))
                     < now() - CASE WHEN lane = ANY($2)
                                    THEN least($1 * power(2, least(sweeps, 20)) * interval '1 second', '{LONGEST}')
                                    ELSE '{LONGEST}' END
                 ORDER BY key LIMIT 1
                   FOR NO KEY UPDATE SKIP LOCKED)
         RETURNING {SCRAPE}"
    );
    let idle: Vec<&str> = idle.iter().map(|lane| lane.as_str()).collect();
    let row = client.query_opt(&sql, &[&after.as_secs_f64(), &idle]).await?;
    Ok(row.as_ref().map(Scrape::from_row))
}

/// Scrapes whose fan-out nobody has gone on with for a day: their event was
/// dead-lettered, or is lost. Naming them counts as a movement, so that one
/// scheduler names each, once a day.
///
/// The lock of a fan-out that is at work cannot be had; it is given back at the
/// end of this statement.
///
/// # Errors
///
/// If the database is away.
pub async fn claim_abandoned(client: &Client) -> Result<Vec<ScrapeId>, DbError> {
    let sql = format!(
        "WITH old AS MATERIALIZED (
                SELECT key, scrape_id FROM scrapes
                 WHERE state = 'fanning_out' AND announced_at IS NULL
                   AND greatest(received_at, swept_at) < now() - interval '{LONGEST}'
                 ORDER BY key LIMIT {NAMED_AT_ONCE}
                   FOR NO KEY UPDATE SKIP LOCKED
         ), abandoned AS MATERIALIZED (
                SELECT key FROM old WHERE pg_try_advisory_xact_lock(hashtextextended('scrape ' || scrape_id, 0))
         )
         UPDATE scrapes SET swept_at = now() WHERE key IN (SELECT key FROM abandoned) RETURNING scrape_id"
    );
    let rows = client.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| ScrapeId(row.get(0))).collect())
}

/// Images with a fix whose pass over the rows seems lost.
///
/// Whoever made the fix runs the pass at once, unless its process dies. In no order: `limit` passes that
/// fail each time would be the oldest for ever.
///
/// # Errors
///
/// If the database is away.
pub async fn pending_fixes(client: &Client, limit: i64) -> Result<Vec<ImageId>, DbError> {
    const SQL: &str = "
        SELECT image_id FROM pending_fixes WHERE requested_at < now() - interval '5 seconds'
         ORDER BY random() LIMIT $1";
    let rows = client.query(SQL, &[&limit]).await?;
    Ok(rows.iter().map(|row| ImageId(row.get(0))).collect())
}
