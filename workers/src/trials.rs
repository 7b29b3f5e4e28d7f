//! Trials of suspects, counted where the count outlives the worker.
//!
//! That a suspect was delivered again says little: it may only have waited for its turn in the hands
//! of a worker that was killed. So a trial begins with a note in the row of its image, and a worker
//! that survives one without an outcome takes the note back.

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use tagfleet_shared::jobs::TagImage;
use tagfleet_shared::outcome::PARKED;

use crate::hold::OutageLog;

/// The notes of trials: `scrape_images.trials`.
pub struct Trials {
    /// Where they are.
    pub pool: Pool,
    /// What to do while it is away.
    pub outages: OutageLog,
}

/// What became of a note.
pub enum Begun {
    /// It is there; so many trials before this one came to no end.
    Noted(u32),
    /// The image has its outcome, or is no longer kept: there is nothing to try. This is a second copy
    /// of the job, and may have killed as many workers as the first.
    Ended,
    /// It has the defaults because its job was parked, for this reason. Whoever parked it may have died before
    /// anybody was told.
    Parked(&'static str),
}

/// Nobody waits for a note to be taken back for longer.
const TAKING_BACK: Duration = Duration::from_millis(500);

impl Trials {
    /// Notes that a trial begins; waits through outages.
    pub async fn begin(&self, job: &TagImage) -> Begun {
        let mut hold = self.outages.hold();
        loop {
            match self.try_begin(job).await {
                Ok(begun) => {
                    hold.done_by("database");
                    return begun;
                }
                Err(error) if error.is_about_data() => return Begun::Noted(0),
                Err(outage) => hold.wait(&outage, outage.server()).await,
            }
        }
    }

    /// The worker has survived a trial that was noted, and the job goes elsewhere. Where the database is
    /// away the trial counts after all.
    pub async fn survived(&self, job: &TagImage) {
        let _ = tokio::time::timeout(TAKING_BACK, self.add(-1, job)).await;
    }

    async fn try_begin(&self, job: &TagImage) -> Result<Begun, DbError> {
        const REASON: &str = "
            SELECT reason FROM scrape_images
             WHERE day = $1 AND scrape = $2 AND seq = $3 AND outcome = 'defaulted'";
        if let Some(trials) = self.add(1, job).await? {
            return Ok(Begun::Noted(u32::try_from(trials - 1).unwrap_or_default()));
        }
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(REASON).await?;
        let row = client.query_opt(&statement, &[&job.day, &job.scrape, &job.seq]).await?;
        let reason: Option<String> = row.and_then(|row| row.get(0));
        let parked = PARKED.into_iter().find(|parked| reason.as_deref() == Some(parked));
        Ok(parked.map_or(Begun::Ended, Begun::Parked))
    }

    async fn add(&self, number: i16, job: &TagImage) -> Result<Option<i16>, DbError> {
        const SQL: &str = "
            UPDATE scrape_images SET trials = trials + $4
             WHERE day = $1 AND scrape = $2 AND seq = $3 AND outcome IS NULL
         RETURNING trials";
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&job.day, &job.scrape, &job.seq, &number]).await?;
        Ok(row.map(|row| row.get(0)))
    }
}
