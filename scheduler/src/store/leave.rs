//! A scrape leaves the fan-out.

use tagfleet_shared::db::DbError;

use super::supersede::supersede_older;
use super::{Client, Scrape};

/// All images are listed, and each has its outcome or a job that is confirmed.
/// An empty inventory had no first page to supersede older scrapes with: it
/// does so here. Returns how many it supersedes.
///
/// # Errors
///
/// If the database is away.
pub async fn mark_fanned_out(client: &mut Client, scrape: &Scrape) -> Result<u64, DbError> {
    const SQL: &str = "
        UPDATE scrapes SET state = 'tagging', published_at = now(), listed = $2, published = $3
         WHERE key = $1 AND state = 'fanning_out'";
    let transaction = client.transaction().await?;
    let superseded = if scrape.listed == 0 { supersede_older(&transaction, scrape).await? } else { 0 };
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&scrape.key, &scrape.listed, &scrape.published]).await?;
    transaction.commit().await?;
    Ok(superseded)
}

/// Nothing of the scrape is listed, and nothing will be unless its event comes
/// again: it keeps nobody waiting, neither a person nor the retention.
///
/// # Errors
///
/// If the database is away.
pub async fn refuse(client: &Client, scrape: &Scrape) -> Result<(), DbError> {
    const SQL: &str = "
        UPDATE scrapes SET state = 'refused' WHERE key = $1 AND state = 'fanning_out' AND listed = 0";
    client.execute(SQL, &[&scrape.key]).await?;
    Ok(())
}
