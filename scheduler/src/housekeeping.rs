//! Partitions in time, and numbers that only the database knows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tagfleet_shared::broker::Broker;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::RetentionConfig;
use crate::metrics::Metrics;
use crate::store::{Kept, Standing, Upkeep};
use crate::{periodic, queues, store};

/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3600);

/// How often the gauges of `/metrics` are read from the database.
const GAUGES_EVERY: Duration = Duration::from_secs(5);

/// A gauge that could not be read for so long is told no more: `max` over all schedulers would take the number
/// of long ago for that of now.
const STALE: Duration = Duration::from_secs(60);

/// Makes and drops partitions, forgets old rows, and reads the gauges that only database and broker know.
pub struct Housekeeping {
    /// The database that is looked after.
    pub pool: Pool,
    /// Knows how long the queues are.
    pub broker: Broker,
    /// How long images and changes are kept.
    pub retention: RetentionConfig,
    /// How long a scrape may stand still before it is called stuck.
    pub stuck_after: Duration,
    /// Shows the gauges.
    pub metrics: Metrics,
}

impl Housekeeping {
    /// Goes on until `stop`: once an hour, and every five seconds for the gauges.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            periodic::every(PARTITIONS_EVERY, "keeping partitions", &self.metrics, &stop, || self
                .partitions()),
            periodic::every(PARTITIONS_EVERY, "forgetting changes", &self.metrics, &stop, || self
                .forget_old_changes(&stop)),
            periodic::every(PARTITIONS_EVERY, "forgetting failures", &self.metrics, &stop, || self
                .forget_old_failures(&stop)),
            self.gauges(&stop),
        );
    }

    async fn gauges(&self, stop: &CancellationToken) {
        let (queues, scrapes) = (LastRead::now(), LastRead::now());
        periodic::every(GAUGES_EVERY, "counting scrapes", &self.metrics, stop, || {
            self.read_gauges(&queues, &scrapes)
        })
        .await;
    }

    async fn partitions(&self) -> Result<(), Outage> {
        let client = self.pool.get().await?;
        store::ensure_partitions(&client).await?;
        store::forget_old_reports(&client).await?;
        let dropped = store::drop_old_partitions(&client, self.retention.days).await?;
        if dropped > 0 {
            info!(dropped, "dropped {dropped} partitions older than {} days", self.retention.days);
        }
        for Kept { scrape_id, day, state } in store::kept_for(&client, self.retention.days).await? {
            warn!(scrape.id = %scrape_id, state, "scrape {scrape_id} of {day} is not tagged, its day is kept");
        }
        Ok(())
    }

    /// In a loop of its own, so that it keeps no partition, however much there is to forget.
    async fn forget_old_changes(&self, stop: &CancellationToken) -> Result<(), Outage> {
        while !stop.is_cancelled()
            && store::forget_old_changes(&*self.pool.get().await?, self.retention.days).await?
        {}
        Ok(())
    }

    /// In a loop of its own for the same reason.
    async fn forget_old_failures(&self, stop: &CancellationToken) -> Result<(), Outage> {
        while !stop.is_cancelled() && store::forget_old_failures(&*self.pool.get().await?).await? {}
        Ok(())
    }

    async fn read_gauges(&self, of_queues: &LastRead, of_scrapes: &LastRead) -> Result<(), Outage> {
        // A broker that is away keeps nobody from knowing what the database says.
        let queues = queues::depths(&self.broker).await;
        let idle = queues.as_ref().map_or_else(|_| Vec::new(), |queues| queues::idle_lanes(queues));
        match &queues {
            Ok(queues) => {
                self.metrics.sample_queues(queues);
                of_queues.read();
            }
            Err(_) if of_queues.is_stale() => self.metrics.forget_queues(),
            Err(_) => {}
        }
        self.metrics.sample_connections(self.pool.status());
        let scrapes = self.read_scrapes(&idle).await;
        match &scrapes {
            Ok((standing, upkeep)) => {
                self.metrics.sample(standing, *upkeep);
                of_scrapes.read();
            }
            Err(_) if of_scrapes.is_stale() => self.metrics.forget_scrapes(),
            Err(_) => {}
        }
        queues?;
        scrapes.map(drop)
    }

    async fn read_scrapes(&self, idle: &[Lane]) -> Result<(Vec<Standing>, Upkeep), Outage> {
        let client = self.pool.get().await?;
        let standing = store::standing(&client, self.stuck_after, idle).await?;
        Ok((standing, store::upkeep(&client).await?))
    }
}

/// When gauges were last read.
struct LastRead(Mutex<Instant>);

impl LastRead {
    fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn read(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_stale(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > STALE
    }
}
