//! What was lost on its way, to be made up for by the sweep.

use std::time::Duration;

use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::lane::Lane;

use super::{Client, SCRAPE, Scrape};

/// The longest that a stalled scrape waits for its next sweep.
const LONGEST: &str = "1 day";

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
                 WHERE state = 'tagging' AND announced_at IS NULL
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

/// Images with a fix whose pass over the rows seems lost: whoever made the fix
/// runs the pass at once, unless its process dies.
///
/// # Errors
///
/// If the database is away.
pub async fn pending_fixes(client: &Client, limit: i64) -> Result<Vec<ImageId>, DbError> {
    const SQL: &str = "
        SELECT image_id FROM pending_fixes WHERE requested_at < now() - interval '5 seconds'
         ORDER BY requested_at LIMIT $1";
    let rows = client.query(SQL, &[&limit]).await?;
    Ok(rows.iter().map(|row| ImageId(row.get(0))).collect())
}
