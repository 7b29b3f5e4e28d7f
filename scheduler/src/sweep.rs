//! What was lost on its way is made up for: jobs of scrapes that stopped
//! moving, and passes over the rows of a fixed image. An event that was lost
//! is only told of: it cannot be made up for.

use deadpool_postgres::Pool;
use tagfleet_shared::broker::{Broker, Publisher};
use tagfleet_shared::db::DbError;
use tagfleet_shared::fixes;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::SweepConfig;
use crate::metrics::Metrics;
use crate::sampling::Sampling;
use crate::store::{self, Scrape};
use crate::{periodic, queues};

/// Passes over fixed images in one go.
const FIXES_AT_ONCE: i64 = 100;

/// Sweeps, together with the sweeps of other schedulers.
pub struct Sweep {
    /// Where scrapes are recorded.
    pub pool: Pool,
    /// Knows which lanes are idle.
    pub broker: Broker,
    /// Where jobs go.
    pub publisher: Publisher,
    /// How often, and what stands still for too long.
    pub config: SweepConfig,
    /// Jobs in one publication.
    pub page_size: usize,
    /// Which scrapes and jobs are traced.
    pub sampling: Sampling,
    /// Counts what happens.
    pub metrics: Metrics,
}

impl Sweep {
    /// Sweeps until `stop`. Loops of their own, so that a fix that cannot be
    /// applied holds up no scrape.
    pub async fn run(self, stop: CancellationToken) {
        let (every, metrics) = (self.config.every, &self.metrics);
        tokio::join!(
            periodic::every(every, "sweeping scrapes", metrics, &stop, || self.sweep_stalled(&stop)),
            periodic::every(every, "applying lost fixes", metrics, &stop, || self.apply_lost_fixes()),
            periodic::every(every, "looking for lost events", metrics, &stop, || self.name_abandoned()),
        );
    }

    async fn sweep_stalled(&self, stop: &CancellationToken) -> Result<(), Outage> {
        let idle = self.idle_lanes().await?;
        while !stop.is_cancelled() {
            let claimed = store::claim_stalled(&*self.pool.get().await?, self.config.after, &idle).await?;
            let Some(scrape) = claimed else { break };
            self.sweep(&scrape).await?;
        }
        Ok(())
    }

    /// Lanes whose queue is empty: a scrape that stands still there is not
    /// just waiting for its turn. None while jobs wait to be tried alone, which may be
    /// of any lane: their copies would be tried among others.
    async fn idle_lanes(&self) -> Result<Vec<Lane>, Outage> {
        let queues = queues::depths(&self.broker).await?;
        let tried_alone = queues.iter().any(|queue| queue.name == queues::SUSPECTS && queue.ready > 0);
        Ok(if tried_alone { Vec::new() } else { queues::idle_lanes(&queues) })
    }

    /// Publishes the jobs of all images without an outcome again. One whose
    /// first job is still somewhere gets two, which is harmless.
    async fn sweep(&self, scrape: &Scrape) -> Result<(), Outage> {
        let (mut from, mut jobs) = (0, 0);
        let traces = self.sampling.jobs(&scrape.scrape_id);
        loop {
            let name = (scrape.key, scrape.day);
            let client = self.pool.get().await?;
            let images = store::open_images(&**client, name, from, self.page_size).await?;
            drop(client);
            let Some(last) = images.last() else { break };
            from = last.seq + 1;
            let topology = self.publisher.topology();
            let again = images.iter().map(|image| scrape.open_job(topology, traces.as_ref(), image));
            self.publisher.publish(&again.collect::<Vec<_>>()).await?;
            jobs += images.len();
        }
        self.metrics.swept(jobs);
        warn!(
            scrape.id = %scrape.scrape_id, jobs,
            "nothing moved in scrape {}, its jobs are published again", scrape.scrape_id
        );
        Ok(())
    }

    /// While events wait in the queue, those of old scrapes may be among them.
    async fn name_abandoned(&self) -> Result<(), Outage> {
        let (waiting, _) = self.broker.depth(&self.broker.topology().finished_queue()).await?;
        if waiting > 0 {
            return Ok(());
        }
        for scrape_id in store::claim_abandoned(&*self.pool.get().await?).await? {
            warn!(
                scrape.id = %scrape_id,
                "nobody goes on with scrape {scrape_id}: its event is lost or dead-lettered, send it again"
            );
        }
        Ok(())
    }

    /// A fix that cannot be applied holds up no other.
    async fn apply_lost_fixes(&self) -> Result<(), Outage> {
        let lost = store::pending_fixes(&*self.pool.get().await?, FIXES_AT_ONCE).await?;
        let mut last = Ok(());
        for image in lost {
            match fixes::apply(&self.pool, image).await {
                Ok(rows) => {
                    self.metrics.fix_applied();
                    info!(image.id = %image, rows, "made up for a lost pass over a fixed image");
                }
                // The database is away, for all of them.
                Err(error @ DbError::Pool(_)) => return Err(error.into()),
                Err(error) => {
                    warn!(image.id = %image, %error, "a lost fix of this image cannot be applied");
                    last = Err(error.into());
                }
            }
        }
        last
    }
}
