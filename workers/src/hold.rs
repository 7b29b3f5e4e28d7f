//! Holding jobs while a server is away.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tagfleet_shared::backoff::Backoff;
use tracing::{debug, warn};

use crate::metrics::Metrics;

/// An outage is told once in so long, however many jobs meet it.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Holds jobs of one worker. Clones share what was told.
#[derive(Clone)]
pub struct Holder {
    metrics: Metrics,
    told: Arc<Mutex<HashMap<&'static str, Instant>>>,
}

impl Holder {
    /// Counts outages in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, told: Arc::default() }
    }

    /// Holds one job, which met `outage` of `server`, until it is time to try again.
    pub async fn hold(&self, outage: &(dyn Error + Sync), server: &'static str, backoff: &mut Backoff) {
        self.metrics.outage(server);
        if self.is_news(server, Instant::now()) {
            warn!(server, error = %outage, "outage of the {server}, holding all jobs that need it");
        } else {
            debug!(server, error = %outage, "outage, holding the job");
        }
        backoff.wait().await;
    }

    fn is_news(&self, server: &'static str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get(server) {
            Some(at) if now.duration_since(*at) < TELL_EVERY => false,
            _ => {
                told.insert(server, now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    #[test]
    fn an_outage_is_told_once_however_many_jobs_meet_it() {
        let holder = Holder::new(Metrics::register(&Registry::new()).unwrap());

        let now = Instant::now();

        assert!(holder.is_news("database", now));
        assert!(!holder.clone().is_news("database", now));
        assert!(holder.is_news("broker", now));
        assert!(holder.is_news("database", now + TELL_EVERY));
    }
}
