//! Partitions in time, and numbers that only the database knows.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::RetentionConfig;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::store::Kept;
use crate::{periodic, store};

/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3600);

/// How often the gauges of `/metrics` are read from the database.
const GAUGES_EVERY: Duration = Duration::from_secs(5);

/// Keeps house.
pub struct Housekeeping {
    /// The house.
    pub pool: Pool,
    /// How long images are kept.
    pub retention: RetentionConfig,
    /// Where the gauges are.
    pub metrics: Metrics,
}

impl Housekeeping {
    /// Keeps house until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            periodic::every(PARTITIONS_EVERY, "keeping partitions", &self.metrics, &stop, || self
                .partitions()),
            periodic::every(GAUGES_EVERY, "counting scrapes", &self.metrics, &stop, || self.gauges()),
        );
    }

    async fn partitions(&self) -> Result<(), Outage> {
        let client = self.pool.get().await?;
        store::ensure_partitions(&client).await?;
        store::forget_old_failures(&client).await?;
        let dropped = store::drop_old_partitions(&client, self.retention.days).await?;
        if dropped > 0 {
            info!(dropped, "dropped {dropped} partitions older than {} days", self.retention.days);
        }
        for Kept { scrape_id, day, state } in store::kept_for(&client, self.retention.days).await? {
            warn!(scrape.id = %scrape_id, state, "scrape {scrape_id} of {day} is not tagged, its day is kept");
        }
        Ok(())
    }

    async fn gauges(&self) -> Result<(), Outage> {
        let standing = store::standing(&*self.pool.get().await?).await?;
        self.metrics.sample(&standing, self.pool.status());
        Ok(())
    }
}
