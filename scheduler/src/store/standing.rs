//! How the fleet stands: what its gauges and `status` tell.

use std::collections::BTreeMap;
use std::time::Duration;

use tagfleet_shared::db::DbError;
use tagfleet_shared::lane::Lane;

use super::Client;

/// The scrapes of a lane that are in one state, not announced yet.
#[derive(Debug)]
pub struct Standing {
    /// The lane of their last jobs.
    pub lane: Lane,
    /// `fanning_out`, `tagging`, `changing` or `announcing`: all images have their outcome, and nobody is told yet.
    pub state: String,
    /// How many they are.
    pub scrapes: i64,
    /// Of these, scrapes that are stuck.
    pub stuck: i64,
    /// Their images that are listed and have no outcome.
    pub untagged: i64,
    /// Seconds since the event of the oldest of them came, or since it was opened again.
    pub oldest_seconds: f64,
    /// The same of the oldest with an untagged image; none without any.
    pub oldest_untagged_seconds: Option<f64>,
}

/// The scrapes that are not announced yet, by lane and state.
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
        SELECT s.lane, CASE s.state WHEN 'tagged' THEN 'announcing' ELSE s.state END AS state, count(*) AS scrapes,
               count(*) FILTER (WHERE greatest(s.received_at, s.published_at, s.tagged_at, p.last)
                                      < now() - CASE WHEN s.lane = ANY($2) THEN $1 * interval '1 second'
                                                     ELSE greatest($1 * interval '1 second', interval '1 day') END
                               ) AS stuck,
               coalesce(sum(greatest(s.listed - p.images, 0)) FILTER (WHERE s.state <> 'tagged'), 0)::int8 AS untagged,
               extract(epoch FROM now() - min(coalesce(s.reopened_at, s.received_at)))::float8 AS oldest,
               extract(epoch FROM now() - min(coalesce(s.reopened_at, s.received_at))
                                          FILTER (WHERE s.listed > p.images AND s.state <> 'tagged'))::float8 AS oldest_untagged
          FROM scrapes s
         CROSS JOIN LATERAL (SELECT coalesce(sum(images), 0) AS images, max(recorded_at) AS last
                               FROM scrape_progress WHERE scrape = s.key) p
         WHERE s.state IN ('fanning_out', 'tagging', 'changing', 'tagged') AND s.announced_at IS NULL GROUP BY s.lane, s.state";
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
        oldest_untagged_seconds: row.get("oldest_untagged"),
    };
    Ok(rows.iter().map(standing).collect())
}

/// What else only the database knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    /// Corrections by people, ever. A gap where one was rolled back.
    pub fixes: u64,
    /// The database's size on its disk, in bytes.
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

/// Images of a scrape that an announcement is news of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// How many they are.
    pub images: u64,
    /// Of these, images that had their outcome late.
    pub late: u64,
}

/// What the announcements of these scrapes are news of, by scrape.
///
/// That is all their images, or those alone that were opened again after the announcement before. Late is an
/// outcome later than `in_time` after the event, or after that.
///
/// Every image of these scrapes is read: ask only for those that ended late themselves, or were opened again.
///
/// # Errors
///
/// If the database is away.
pub async fn announced_images(
    client: &Client,
    keys: &[i64],
    in_time: Duration,
) -> Result<BTreeMap<i64, News>, DbError> {
    const SQL: &str = "
        SELECT s.key, news.images, news.late FROM scrapes s
         CROSS JOIN LATERAL (
               SELECT count(*) AS images,
                      count(*) FILTER (WHERE i.recorded_at > coalesce(s.reopened_at, s.received_at)
                                                             + $2 * interval '1 second') AS late
                 FROM scrape_images i
                WHERE i.scrape = s.key AND i.day = s.day
                  AND (s.reopened_at IS NULL OR i.recorded_at > s.reopened_at)) news
         WHERE s.key = ANY($1)";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&keys, &in_time.as_secs_f64()]).await?;
    let count =
        |row: &tokio_postgres::Row, of: usize| u64::try_from(row.get::<_, i64>(of)).unwrap_or_default();
    let news = |row: &tokio_postgres::Row| (row.get(0), News { images: count(row, 1), late: count(row, 2) });
    Ok(rows.iter().map(news).collect())
}
