//! Trials of suspects, counted where the count outlives the worker.
//!
//! That a suspect was delivered again says little: it may only have waited for its turn in the hands
//! of a worker that was killed. So a trial begins with a note in the row of its image, and a worker
//! that survives one without an outcome takes the note back.

use deadpool_postgres::Pool;
use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::db::DbError;
use tagfleet_shared::jobs::TagImage;

use crate::hold::Holder;

/// The notes of trials.
pub struct Trials {
    /// The database.
    pub pool: Pool,
    /// What to do while it is away.
    pub holder: Holder,
}

impl Trials {
    /// Notes that a trial begins; waits through outages. How many trials before it came to no end:
    /// none where the image has its outcome, or is no longer kept.
    pub async fn begin(&self, job: &TagImage) -> u32 {
        let mut backoff = Backoff::for_outage();
        loop {
            match self.add(1, job).await {
                Ok(trials) => {
                    self.holder.over("database");
                    return trials.and_then(|trials| u32::try_from(trials - 1).ok()).unwrap_or_default();
                }
                Err(error) if error.is_about_data() => return 0,
                Err(outage) => self.holder.hold(&outage, "database", &mut backoff).await,
            }
        }
    }

    /// The worker has survived the trial, and the job goes elsewhere. Where the database is away the
    /// trial counts after all: nobody waits for that.
    pub async fn survived(&self, job: &TagImage) {
        let _ = self.add(-1, job).await;
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
