//! What workers say of themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tagfleet_shared::db::DbError;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::reports::{EndingsReport, FailedImage, LaneReport};
use tokio_postgres::types::Json;

use super::Client;

/// What a worker said of itself.
#[derive(Debug)]
pub struct Worker {
    /// The host and the process.
    pub name: String,
    /// Workers with one configuration.
    pub pool: String,
    /// The version of its program.
    pub version: String,
    /// The model set that answers.
    pub model_set: String,
    /// The digest of that set, which no other has.
    pub digest: String,
    /// What the models run on.
    pub provider: String,
    /// When the worker started.
    pub started_at: Timestamp,
    /// Seconds since it said this.
    pub reported_seconds: f64,
    /// Seconds from one report to the next.
    pub every_seconds: f64,
    /// Its lanes, by their words.
    pub lanes: BTreeMap<String, LaneReport>,
    /// The last images that it skipped or defaulted.
    pub failures: Vec<FailedImage>,
    /// What came of its jobs of the last quarter of an hour.
    pub endings: EndingsReport,
}

impl Worker {
    /// Whether it has missed reports: it died, hangs, or has lost the database.
    pub fn is_silent(&self) -> bool {
        self.reported_seconds > 3.0 * self.every_seconds
    }

    /// What it says of a lane; all zero where it says nothing.
    pub fn lane(&self, lane: Lane) -> LaneReport {
        self.lanes.get(lane.as_str()).copied().unwrap_or_default()
    }
}

/// All workers that have reported within a day and were not stopped.
///
/// # Errors
///
/// If the database is away.
pub async fn workers(client: &Client) -> Result<Vec<Worker>, DbError> {
    const SQL: &str = "
        SELECT *, extract(epoch FROM now() - reported_at)::float8 AS reported_seconds
          FROM worker_reports WHERE reported_at > now() - interval '1 day' ORDER BY pool, worker";
    let rows = client.query(SQL, &[]).await?;
    let worker = |row: &tokio_postgres::Row| Worker {
        name: row.get("worker"),
        pool: row.get("pool"),
        version: row.get("version"),
        model_set: row.get("model_set"),
        digest: row.get("digest"),
        provider: row.get("provider"),
        started_at: row.get("started_at"),
        reported_seconds: row.get("reported_seconds"),
        every_seconds: row.get("every_seconds"),
        lanes: row.get::<_, Json<_>>("lanes").0,
        failures: row.get::<_, Json<_>>("failures").0,
        endings: row.get::<_, Json<_>>("endings").0,
    };
    Ok(rows.iter().map(worker).collect())
}

/// Forgets workers that died and have not reported since.
///
/// # Errors
///
/// If the database is away.
pub async fn forget_old_reports(client: &Client) -> Result<u64, DbError> {
    const SQL: &str = "DELETE FROM worker_reports WHERE reported_at < now() - interval '1 day'";
    Ok(client.execute(SQL, &[]).await?)
}
