//! Days come and go: partitions, and failures that are remembered for a while.

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::jobs::REPLACED_LATELY;

use super::Client;

/// Makes the partitions of today and the next two days: one that is made in
/// advance is not waited for at midnight.
///
/// # Errors
///
/// If the database is away.
pub async fn ensure_partitions(client: &Client) -> Result<(), DbError> {
    // One transaction each: a new partition locks the whole table for a moment.
    for days in 0..=2 {
        const SQL: &str = "SELECT ensure_partition((now() AT TIME ZONE 'UTC')::date + $1::int)";
        client.execute(SQL, &[&days]).await?;
    }
    Ok(())
}

/// Deletes the images of scrapes that are older than `days`. Returns how many
/// partitions went.
///
/// # Errors
///
/// If the database is away.
pub async fn drop_old_partitions(client: &Client, days: i32) -> Result<i32, DbError> {
    const SQL: &str = "SELECT drop_partitions_before((now() AT TIME ZONE 'UTC')::date - $1::int)";
    Ok(client.query_one(SQL, &[&days]).await?.get(0))
}

/// A scrape whose images are kept although they are old.
#[derive(Debug)]
pub struct Kept {
    /// The pipeline's name of it.
    pub scrape_id: ScrapeId,
    /// The partition of its images.
    pub day: Date,
    /// `fanning_out`, `tagging` or `changing`.
    pub state: String,
}

/// The oldest scrapes, a few, for which a partition older than `days` is kept.
///
/// # Errors
///
/// If the database is away.
pub async fn kept_for(client: &Client, days: i32) -> Result<Vec<Kept>, DbError> {
    const SQL: &str = "
        SELECT scrape_id, day, state FROM scrapes
         WHERE state IN ('fanning_out', 'tagging', 'changing') AND announced_at IS NULL
           AND day < (now() AT TIME ZONE 'UTC')::date - $1::int
         ORDER BY day, key LIMIT 10";
    let rows = client.query(SQL, &[&days]).await?;
    let kept = |row: &tokio_postgres::Row| Kept {
        scrape_id: ScrapeId(row.get(0)),
        day: row.get(1),
        state: row.get(2),
    };
    Ok(rows.iter().map(kept).collect())
}

/// Rows of each table that are forgotten in one statement: one about all of them might never come to its end.
const PIECE: i64 = 5000;

// A row may be another one when its turn comes: a change of the same place has come, or a failure of the same image.
// Postgres asks the newest row again what stands outside the inner SELECT, and only that: so it stands there twice.

/// Forgets failures of downloads that nobody takes for granted any more, a piece at a time. Returns whether
/// there may be more.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_failures(client: &Client) -> Result<bool, DbError> {
    const SQL: &str = "
        DELETE FROM image_failures
         WHERE image_id IN (SELECT image_id FROM image_failures WHERE until < now() LIMIT $1) AND until < now()";
    Ok(client.execute(SQL, &[&PIECE]).await? >= PIECE.unsigned_abs())
}

/// Forgets micro-scrapes whose images are gone, and the changes that they were made of, a piece at a time.
/// Returns whether there may be more.
///
/// A picture that was replaced is not forgotten while the memory of workers may be out of date of it, however
/// few the `days` are.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_changes(client: &Client, days: i32) -> Result<bool, DbError> {
    const SCRAPES: &str = "
        DELETE FROM scrapes WHERE key IN (
            SELECT key FROM scrapes
             WHERE state = 'changed' AND day < (now() AT TIME ZONE 'UTC')::date - $1::int
               AND to_regclass('scrape_images_' || to_char(day, 'YYYYMMDD')) IS NULL LIMIT $2)
           AND state = 'changed'";
    const CHANGES: &str = "
        DELETE FROM image_changes WHERE id IN (
            SELECT id FROM image_changes
             WHERE scrape IS NOT NULL AND received_at < now() - $1 * interval '1 day'
               AND coalesce(replaced_at < now() - $3 * interval '1 second', true) LIMIT $2)
           AND scrape IS NOT NULL AND received_at < now() - $1 * interval '1 day'
           AND coalesce(replaced_at < now() - $3 * interval '1 second', true)";
    let lately = REPLACED_LATELY.as_secs_f64();
    let scrapes = client.execute(SCRAPES, &[&days, &PIECE]).await?;
    let changes = client.execute(CHANGES, &[&f64::from(days), &PIECE, &lately]).await?;
    Ok(scrapes.max(changes) >= PIECE.unsigned_abs())
}
