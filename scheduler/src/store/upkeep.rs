//! Partitions come and go; how the scrapes stand.

use tagfleet_shared::db::DbError;

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

/// Forgets failures of downloads that nobody takes for granted any more.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_failures(client: &Client) -> Result<u64, DbError> {
    Ok(client.execute("DELETE FROM image_failures WHERE until < now()", &[]).await?)
}

/// How many scrapes are in a state, and since when the oldest.
#[derive(Debug)]
pub struct Standing {
    /// `fanning_out` or `tagging`.
    pub state: String,
    /// Scrapes in it.
    pub scrapes: i64,
    /// Time since the oldest of them came.
    pub oldest_seconds: f64,
}

/// The scrapes that are not tagged yet, by state.
///
/// # Errors
///
/// If the database is away.
pub async fn standing(client: &Client) -> Result<Vec<Standing>, DbError> {
    const SQL: &str = "
        SELECT state, count(*), extract(epoch FROM now() - min(received_at))::float8
          FROM scrapes WHERE state IN ('fanning_out', 'tagging') GROUP BY state";
    let rows = client.query(SQL, &[]).await?;
    let standing = |row: &tokio_postgres::Row| Standing {
        state: row.get(0),
        scrapes: row.get(1),
        oldest_seconds: row.get(2),
    };
    Ok(rows.iter().map(standing).collect())
}
