//! How the fleet stands: what its gauges and `status` tell.

use std::collections::BTreeMap;
use std::time::Duration;

use tagfleet_shared::db::DbError;
use tagfleet_shared::lane::Lane;

use super::Client;

/// The scrapes of a lane that are in one state, not tagged yet.
#[derive(Debug)]
pub struct Standing {
    /// The lane of their last jobs.
    pub lane: Lane,
    /// `fanning_out`, `tagging` or `changing`.
    pub state: String,
    /// Scrapes.
    pub scrapes: i64,
    /// Of these, scrapes that are stuck.
    pub stuck: i64,
    /// Their images that are listed and have no outcome.
    pub untagged: i64,
    /// Time since the event of the oldest of them came.
    pub oldest_seconds: f64,
}

/// The scrapes that are not tagged yet, by lane and state.
///
/// Stuck is one in which nothing has moved for
/// `stuck_after`, though it is in one of the lanes that are `idle`: elsewhere it may only be waiting for its
/// turn, for up to a day.
///
/// It is done every few seconds: one index look-up for each open scrape, as the announcer does. That it is
/// not announced is true of each of them, and lets them be found by an index.
///
/// # Errors
///
/// If the database is away.
pub async fn standing(
    client: &Client,
    stuck_after: Duration,
    idle: &[Lane],
) -> Result<Vec<Standing>, DbError> {
    const SQL: &str = "
        SELECT s.lane, s.state, count(*) AS scrapes,
               count(*) FILTER (WHERE greatest(s.received_at, s.published_at, p.last)
                                      < now() - CASE WHEN s.lane = ANY($2) THEN $1 * interval '1 second'
                                                     ELSE greatest($1 * interval '1 second', interval '1 day') END
                               ) AS stuck,
               sum(greatest(s.listed - p.images, 0))::int8 AS untagged,
               extract(epoch FROM now() - min(s.received_at))::float8 AS oldest
          FROM scrapes s
         CROSS JOIN LATERAL (SELECT coalesce(sum(images), 0) AS images, max(recorded_at) AS last
                               FROM scrape_progress WHERE scrape = s.key) p
         WHERE s.state IN ('fanning_out', 'tagging', 'changing') AND s.announced_at IS NULL GROUP BY s.lane, s.state";
    let idle: Vec<&str> = idle.iter().map(|lane| lane.as_str()).collect();
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&stuck_after.as_secs_f64(), &idle]).await?;
    let standing = |row: &tokio_postgres::Row| Standing {
        lane: Lane::of_word(row.get("lane")),
        state: row.get("state"),
        scrapes: row.get("scrapes"),
        stuck: row.get("stuck"),
        untagged: row.get("untagged"),
        oldest_seconds: row.get("oldest"),
    };
    Ok(rows.iter().map(standing).collect())
}

/// What else only the database knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    /// Corrections by people, ever. A gap where one was rolled back.
    pub fixes: u64,
    /// The database's size on its disk.
    pub database_bytes: i64,
}

/// Reads it. Both are cheap: the end of an index, and sizes of files.
///
/// # Errors
///
/// If the database is away.
pub async fn upkeep(client: &Client) -> Result<Upkeep, DbError> {
    const SQL: &str = "
        SELECT coalesce((SELECT max(id) FROM fix_history), 0), pg_database_size(current_database())";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_one(&statement, &[]).await?;
    let fixes: i64 = row.get(0);
    Ok(Upkeep { fixes: u64::try_from(fixes).unwrap_or_default(), database_bytes: row.get(1) })
}

/// Images that had their outcome later than `in_time` after the event of their scrape, by scrape.
///
/// Ask only for scrapes that ended later than that themselves: for all others there are none, and nothing
/// is read.
///
/// # Errors
///
/// If the database is away.
pub async fn late_images(
    client: &Client,
    keys: &[i64],
    in_time: Duration,
) -> Result<BTreeMap<i64, u64>, DbError> {
    const SQL: &str = "
        SELECT s.key, late.images FROM scrapes s
         CROSS JOIN LATERAL (SELECT count(*) AS images FROM scrape_images i
                              WHERE i.scrape = s.key AND i.day = s.day
                                AND i.recorded_at > s.received_at + $2 * interval '1 second') late
         WHERE s.key = ANY($1)";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&keys, &in_time.as_secs_f64()]).await?;
    let late =
        |row: &tokio_postgres::Row| (row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or_default());
    Ok(rows.iter().map(late).collect())
}
