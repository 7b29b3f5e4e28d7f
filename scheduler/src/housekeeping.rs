//! Partitions in time, and numbers that only the database knows.

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::broker::Broker;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::RetentionConfig;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::store::Kept;
use crate::{periodic, queues, store};

/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3600);

/// How often the gauges of `/metrics` are read from the database.
const GAUGES_EVERY: Duration = Duration::from_secs(5);

/// Keeps house.
pub struct Housekeeping {
    /// The house.
    pub pool: Pool,
    /// Where the queues are.
    pub broker: Broker,
    /// How long images are kept.
    pub retention: RetentionConfig,
    /// How long a scrape may stand still before it is called stuck.
    pub stuck_after: Duration,
    /// Where the gauges are.
    pub metrics: Metrics,
}

impl Housekeeping {
    /// Keeps house until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            periodic::every(PARTITIONS_EVERY, "keeping partitions", &self.metrics, &stop, || self
                .partitions()),
            periodic::every(PARTITIONS_EVERY, "forgetting changes", &self.metrics, &stop, || self
                .forget_old_changes(&stop)),
            periodic::every(PARTITIONS_EVERY, "forgetting failures", &self.metrics, &stop, || self
                .forget_old_failures(&stop)),
            periodic::every(GAUGES_EVERY, "counting scrapes", &self.metrics, &stop, || self.gauges()),
        );
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

    /// Likewise.
    async fn forget_old_failures(&self, stop: &CancellationToken) -> Result<(), Outage> {
        while !stop.is_cancelled() && store::forget_old_failures(&*self.pool.get().await?).await? {}
        Ok(())
    }

    async fn gauges(&self) -> Result<(), Outage> {
        // A broker that is away keeps nobody from knowing what the database says.
        let queues = queues::depths(&self.broker).await;
        let idle = queues.as_ref().map_or_else(|_| Vec::new(), |queues| queues::idle_lanes(queues));
        if let Ok(queues) = &queues {
            self.metrics.sample_queues(queues);
        }
        let client = self.pool.get().await?;
        let standing = store::standing(&client, self.stuck_after, &idle).await?;
        let upkeep = store::upkeep(&client).await?;
        drop(client);
        self.metrics.sample(&standing, upkeep, self.pool.status());
        Ok(queues.map(drop)?)
    }
}
