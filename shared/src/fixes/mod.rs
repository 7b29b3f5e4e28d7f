//! Fixes: corrections by people, which win over everything else.
//!
//! Whoever writes one does it by [`correct()`] and then, after its commit, by [`apply_all`]; [`fix`] does both.

mod correct;

use deadpool_postgres::Pool;

pub use self::correct::{Correction, Entry, Place, Verdict, correct, lock};
use crate::db::DbError;
use crate::ids::ImageId;

/// The advertiser of a fix that is for everyone.
pub const EVERYONE: &str = "";

/// Corrects, commits, and merges the correction into every row that is kept.
///
/// # Errors
///
/// If the database is away. What was committed by then holds, and the scheduler's sweep merges it.
pub async fn fix(pool: &Pool, correction: &Correction<'_>) -> Result<Vec<Entry>, DbError> {
    let entries = loop {
        match try_fix(pool, correction).await {
            Err(error) if error.is_conflict() => {}
            done => break done?,
        }
    };
    apply_all(pool, correction.images).await?;
    Ok(entries)
}

async fn try_fix(pool: &Pool, correction: &Correction<'_>) -> Result<Vec<Entry>, DbError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    lock(&transaction, correction.images).await?;
    let entries = correct(&transaction, correction).await?;
    transaction.commit().await?;
    Ok(entries)
}

/// Merges the fixes of `image` into every row of it that is kept, and returns
/// how many rows those are. Call it after the commit of a fix.
///
/// # Errors
///
/// As [`apply_all`].
pub async fn apply(pool: &Pool, image: ImageId) -> Result<u64, DbError> {
    apply_all(pool, &[image]).await
}

/// The same for many images, in one transaction.
///
/// Another transaction that holds the same rows in another order is waited
/// for: the pass is tried again.
///
/// # Errors
///
/// If the database is away: the pass is then still due, and the scheduler's
/// sweep makes up for it.
pub async fn apply_all(pool: &Pool, images: &[ImageId]) -> Result<u64, DbError> {
    let images: Vec<_> = images.iter().map(|image| image.0).collect();
    loop {
        let client = pool.get().await?;
        let statement = client.prepare_cached("SELECT apply_fixes_to($1)").await?;
        let rows = client.query_one(&statement, &[&images]).await.map_err(DbError::from);
        match rows {
            Ok(row) => return Ok(u64::try_from(row.get::<_, i32>(0)).unwrap_or_default()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
}
