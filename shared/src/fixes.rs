//! Fixes: corrections by people, which win over everything else.

use deadpool_postgres::Pool;

use crate::db::DbError;
use crate::ids::ImageId;

/// Merges the fixes of `image` into every row of it that is kept, and returns
/// how many rows those are. Call it after the commit of a fix.
///
/// Another transaction that holds the same rows in another order is waited
/// for: the pass is tried again.
///
/// # Errors
///
/// If the database is away: the pass is then still due, and the scheduler's
/// sweep makes up for it.
pub async fn apply(pool: &Pool, image: ImageId) -> Result<u64, DbError> {
    loop {
        let client = pool.get().await?;
        let rows = client.query_one("SELECT apply_fixes($1)", &[&image.0]).await.map_err(DbError::from);
        match rows {
            Ok(row) => return Ok(u64::try_from(row.get::<_, i32>(0)).unwrap_or_default()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
}
