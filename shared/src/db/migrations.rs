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
    let client = pool.get().await?;
    let applied = applied(&client).await?;
    let known = embedded::migrations::runner();
    let missing = known.get_migrations().iter().filter(|migration| !applied.contains(&migration.version()));
    Ok(missing.map(ToString::to_string).collect())
}

/// The versions of the migrations that the database has.
async fn applied(client: &Client) -> Result<Vec<i32>, tokio_postgres::Error> {
    const APPLIED: &str = "SELECT version FROM refinery_schema_history";
    match client.query(APPLIED, &[]).await {
        Ok(rows) => Ok(rows.iter().map(|row| row.get(0)).collect()),
        // Nobody has ever migrated it.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Brings the schema up to date. Several may call it at once: an advisory lock
/// lets one work and the others find nothing left to do.
///
/// Whoever waits for a table keeps everybody else waiting who comes after. So nobody waits for one that is in use
/// for longer than a moment, by a backup perhaps: each migration is a transaction, and is tried again until it
/// gets its turn.
///
/// A database that a later release has migrated is left as it is: this one works with it (the schema of a release
/// suits the programs of the one before), and whoever goes back to it by an upgrade migrates too.
///
/// # Errors
///
/// If the database is away, or its migrations are not those that this binary knows.
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
    let result = match newer(client).await {
        Ok(Some(version)) => {
            info!(version, "the schema is that of a later release (V{version}), nothing to do");
            Ok(())
        }
        Ok(None) => apply(client).await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    // Where it fails the connection is gone, and the lock with it; `result` knows why.
    let _ = client.batch_execute("SELECT pg_advisory_unlock(hashtextextended('tagfleet migrate', 0))").await;
    result.context("cannot migrate the database")
}

/// The database's version, if it has all migrations that this binary knows and later ones.
async fn newer(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let applied = applied(client).await?;
    let known = embedded::migrations::runner();
    let mut known = known.get_migrations().iter().map(|migration| migration.version());
    let latest = known.clone().max();
    let has_all = known.all(|version| applied.contains(&version));
    Ok(applied.into_iter().max().filter(|version| has_all && latest.is_some_and(|latest| *version > latest)))
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
