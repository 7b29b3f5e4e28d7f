//! Fixes: corrections by people, which win over everything else.
//!
//! Whoever writes one does it by [`correct()`] and then, after its commit, by [`apply_all`]; [`fix`] does both.

mod apply;
mod correct;

use deadpool_postgres::{ClientWrapper, Pool};

pub use self::apply::{apply, apply_all};
pub use self::correct::{Correction, Entry, Place, Verdict, correct, lock};
use crate::db::DbError;

/// The advertiser of a fix that is for everyone.
pub const EVERYONE: &str = "";

/// Corrects, commits, and merges the correction into every row that is kept.
///
/// # Errors
///
/// If the database is away. What was committed by then holds, and the scheduler's sweep merges it.
pub async fn fix(pool: &Pool, correction: &Correction<'_>) -> Result<Vec<Entry>, DbError> {
    let mut client = pool.get().await?;
    let entries = loop {
        match try_fix(&mut client, correction).await {
            Err(error) if error.is_conflict() => {}
            done => break done?,
        }
    };
    apply_all(&client, correction.images).await?;
    Ok(entries)
}

async fn try_fix(client: &mut ClientWrapper, correction: &Correction<'_>) -> Result<Vec<Entry>, DbError> {
    let transaction = client.transaction().await?;
    lock(&transaction, correction.images).await?;
    let entries = correct(&transaction, correction).await?;
    transaction.commit().await?;
    Ok(entries)
}
