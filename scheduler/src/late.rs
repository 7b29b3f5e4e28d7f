//! The images that announcements are news of, and which had their outcome late: the service level.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use deadpool_postgres::Pool;
use futures::FutureExt;
use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::outage::Outage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::metrics::Metrics;
use crate::store::{self, Announcement, News};

/// Before all images of a scrape are taken for late: some seconds.
const TRIES: u32 = 6;

/// Where announced scrapes go to be counted. A count holds up no announcement: those for which images have to be
/// read are made elsewhere, one after the other.
pub struct LateImages {
    in_time: Duration,
    metrics: Metrics,
    late: mpsc::UnboundedSender<Vec<Announcement>>,
}

/// The other end of [`LateImages`]: counts those for which images have to be read.
pub struct LateCount {
    pool: Pool,
    in_time: Duration,
    metrics: Metrics,
    late: mpsc::UnboundedReceiver<Vec<Announcement>>,
}

impl LateImages {
    /// Images should have their outcome `in_time`. The second of the two runs on its own.
    pub fn new(pool: Pool, in_time: Duration, metrics: Metrics) -> (Self, LateCount) {
        let (late, received) = mpsc::unbounded_channel();
        let count = LateCount { pool, in_time, metrics: metrics.clone(), late: received };
        (Self { in_time, metrics, late }, count)
    }

    /// Counts the images of these scrapes, now or soon.
    pub fn count(&self, announced: Vec<Announcement>) {
        let (late, in_time): (Vec<_>, Vec<_>) = announced
            .into_iter()
            .partition(|ended| ended.took() > self.in_time || ended.reopened_at.is_some());
        for ended in in_time {
            self.metrics.tagged(ended.lane, ended.images(), 0);
        }
        if !late.is_empty() {
            // Err: the process ends, and its counters with it.
            let _ = self.late.send(late);
        }
    }
}

impl LateCount {
    /// Counts until `stop`; what waits then is not counted.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(late)) = stop.run_until_cancelled(self.late.recv()).await {
            if let Err(error) = self.patiently(&late).await {
                warn!(%error, scrapes = late.len(), "the late images of these scrapes cannot be counted");
                // All of them, then.
                late.iter().for_each(|ended| self.metrics.tagged(ended.lane, ended.images(), ended.images()));
            }
        }
    }

    /// A server that is away for a moment makes no image late.
    async fn patiently(&self, ended: &[Announcement]) -> Result<(), Outage> {
        let mut backoff = Backoff::for_outage();
        let mut tries = 0;
        loop {
            let counted = AssertUnwindSafe(self.count(ended)).catch_unwind().await;
            tries += 1;
            match counted.unwrap_or(Err(Outage::Panic)) {
                Err(_) if tries < TRIES => backoff.wait().await,
                counted => return counted,
            }
        }
    }

    async fn count(&self, ended: &[Announcement]) -> Result<(), Outage> {
        let keys: Vec<_> = ended.iter().map(|ended| ended.key).collect();
        let news = store::announced_images(&*self.pool.get().await?, &keys, self.in_time).await?;
        for ended in ended {
            let News { images, late } = news.get(&ended.key).copied().unwrap_or_default();
            self.metrics.tagged(ended.lane, images, late);
        }
        Ok(())
    }
}
