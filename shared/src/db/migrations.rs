//! The schema, brought up to date.

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::Pool;
use refinery::Report;
use refinery::error::Kind;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tracing::{info, warn};

use super::DbError;
use crate::backoff::Backoff;
use crate::patience::patiently;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// Waits for the database at the start, and sees that it has all that this binary needs.
///
/// # Errors
///
/// If it stays away, or lacks a migration.
pub async fn ensure_migrated(pool: &Pool) -> anyhow::Result<()> {
    let missing = patiently("the database", || missing_migrations(pool)).await?;
    anyhow::ensure!(
        missing.is_empty(),
        "the database lacks {}: run `tagfleet-scheduler migrate`",
        missing.join(", ")
    );
    Ok(())
}

/// Migrations that this binary knows and the database does not have.
///
/// # Errors
///
/// If the database is away.
async fn missing_migrations(pool: &Pool) -> Result<Vec<String>, DbError> {
    const APPLIED: &str = "SELECT version FROM refinery_schema_history";
    let client = pool.get().await?;
    let applied: Vec<i32> = match client.query(APPLIED, &[]).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        // Nobody has ever migrated it.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let known = embedded::migrations::runner();
    let missing = known.get_migrations().iter().filter(|migration| !applied.contains(&migration.version()));
    Ok(missing.map(ToString::to_string).collect())
}

/// Brings the schema up to date. Several may call it at once: an advisory lock
/// lets one work and the others find nothing left to do.
///
/// Whoever waits for a table keeps everybody else waiting who comes after. So nobody waits for one that is in use
/// for longer than a moment, by a backup perhaps: each migration is a transaction, and is tried again until it
/// gets its turn.
///
/// # Errors
///
/// If the database is away, or holds migrations that this binary does not know.
pub async fn migrate(pool: &Pool) -> anyhow::Result<()> {
    // Taken out of the pool: its statements have other limits from now on.
    let client = pool.get().await.context("no database connection")?;
    let mut client = deadpool_postgres::Object::take(client);
    client
        .batch_execute(
            "SET statement_timeout = 0; SELECT pg_advisory_lock(hashtextextended('tagfleet migrate', 0));
             SET lock_timeout = '3s'",
        )
        .await?;
    let client: &mut Client = &mut client;
    let result = apply(client).await;
    // Where it fails the connection is gone, and the lock with it; `result` knows why.
    let _ = client.batch_execute("SELECT pg_advisory_unlock(hashtextextended('tagfleet migrate', 0))").await;
    result.context("cannot migrate the database")
}

async fn apply(client: &mut Client) -> Result<(), refinery::Error> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
    loop {
        match embedded::migrations::runner().set_abort_missing(true).run_async(client).await {
            Ok(report) => {
                tell(&report);
                return Ok(());
            }
            Err(error) if is_in_use(&error) => {
                error.report().inspect(|report| tell(report));
                warn!(%error, "a table is in use, trying again");
                backoff.wait().await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn tell(report: &Report) {
    for applied in report.applied_migrations() {
        info!(migration = %applied, "applied migration {applied}");
    }
}

/// Whether somebody else had what the migration needs, or both waited for each other.
fn is_in_use(error: &refinery::Error) -> bool {
    let Kind::Connection(_, source) = error.kind() else { return false };
    let code = source.downcast_ref().and_then(tokio_postgres::Error::code);
    matches!(code, Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED))
}
