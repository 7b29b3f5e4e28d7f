//! Days come and go: partitions, and failures that are remembered for a while.

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ScrapeId;

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
         WHERE state IN ('fanning_out', 'tagging', 'changing') AND day < (now() AT TIME ZONE 'UTC')::date - $1::int
         ORDER BY day, key LIMIT 10";
    let rows = client.query(SQL, &[&days]).await?;
    let kept = |row: &tokio_postgres::Row| Kept {
        scrape_id: ScrapeId(row.get(0)),
        day: row.get(1),
        state: row.get(2),
    };
    Ok(rows.iter().map(kept).collect())
}

/// Forgets failures of downloads that nobody takes for granted any more.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_failures(client: &Client) -> Result<u64, DbError> {
    Ok(client.execute("DELETE FROM image_failures WHERE until < now()", &[]).await?)
}

/// Forgets micro-scrapes whose images are gone, and the changes that they were made of.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_changes(client: &Client, days: i32) -> Result<u64, DbError> {
    const SQL: &str = "
        WITH gone AS (DELETE FROM scrapes
                       WHERE state = 'changed' AND day < (now() AT TIME ZONE 'UTC')::date - $1::int RETURNING key)
        DELETE FROM image_changes
         WHERE scrape IS NOT NULL AND received_at < now() - $1 * interval '1 day'";
    Ok(client.execute(SQL, &[&days]).await?)
}
