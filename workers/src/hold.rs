//! Holding jobs while a server is away.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tagfleet_shared::backoff::Backoff;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;

/// An outage is told once in so long, however many jobs meet it.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Holds jobs of one worker. Clones share what was told.
#[derive(Clone)]
pub struct Holder {
    metrics: Metrics,
    told: Arc<Mutex<HashMap<&'static str, Told>>>,
    /// How many servers there are whose outage was told, and not its end: who
    /// was not held looks no further.
    open: Arc<AtomicUsize>,
}

/// What the log says of one server.
struct Told {
    /// When its outage was told last.
    at: Instant,
    /// When this outage was told first; none where its end was told as well.
    since: Option<Instant>,
}

impl Holder {
    /// Counts outages in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, told: Arc::default(), open: Arc::default() }
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

    /// Says that `server` is well again, if its outage was told: once, however
    /// many jobs find it well.
    pub fn over(&self, server: &'static str) {
        if let Some(lasted) = self.ends(server, Instant::now()) {
            let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            info!(server, lasted_ms, "the {server} is well again");
        }
    }

    fn is_news(&self, server: &'static str, now: Instant) -> bool {
        let mut told = self.told();
        let before = told.get(server);
        if before.is_some_and(|told| now.duration_since(told.at) < TELL_EVERY) {
            return false;
        }
        let since = before.and_then(|told| told.since);
        self.open.fetch_add(usize::from(since.is_none()), Ordering::Relaxed);
        told.insert(server, Told { at: now, since: since.or(Some(now)) });
        true
    }

    /// How long the outage lasted, if that is news.
    fn ends(&self, server: &'static str, now: Instant) -> Option<Duration> {
        if self.open.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let since = self.told().get_mut(server)?.since.take()?;
        self.open.fetch_sub(1, Ordering::Relaxed);
        Some(now.duration_since(since))
    }

    fn told(&self) -> MutexGuard<'_, HashMap<&'static str, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn the_end_of_an_outage_is_told_once_however_many_jobs_find_it_over() {
        let holder = Holder::new(Metrics::register(&Registry::new()).unwrap());
        let now = Instant::now();
        assert_eq!(holder.ends("database", now), None, "there was none");

        holder.is_news("database", now);
        holder.is_news("database", now + TELL_EVERY);

        assert_eq!(holder.ends("broker", now), None);
        assert_eq!(holder.ends("database", now + 2 * TELL_EVERY), Some(2 * TELL_EVERY));
        assert_eq!(holder.ends("database", now + 2 * TELL_EVERY), None);
    }

    /// A server that comes and goes fills no log.
    #[test]
    fn an_outage_is_told_once_in_ten_seconds() {
        let holder = Holder::new(Metrics::register(&Registry::new()).unwrap());
        let (now, second) = (Instant::now(), Duration::from_secs(1));

        let told = (0..30).filter(|i| {
            let at = now + second * *i;
            let told = holder.is_news("database", at);
            assert_eq!(holder.ends("database", at).is_some(), told);
            told
        });

        assert_eq!(told.count(), 3);
    }
}
