//! Holding jobs while a server of ours is away.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tagfleet_shared::backoff::Backoff;
use tracing::{debug, info, warn};

use crate::metrics::{Held, Metrics};

/// An outage is told once in so long, however many jobs meet it.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The outages that the jobs of one worker meet, each told once. Clones share what was told.
#[derive(Clone)]
pub struct OutageLog {
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

impl OutageLog {
    /// Counts outages, and the jobs that are held, in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, told: Arc::default(), open: Arc::default() }
    }

    /// For one piece of work, which meets no outage as yet.
    pub fn hold(&self) -> Hold<'_> {
        Hold { log: self, backoff: Backoff::for_outage(), held: None }
    }

    fn met(&self, outage: &(dyn Error + Sync), server: &'static str) {
        self.metrics.outage(server);
        if self.is_news(server, Instant::now()) {
            warn!(server, error = %outage, "outage of the {server}, holding all jobs that need it");
        } else {
            debug!(server, error = %outage, "outage, holding the job");
        }
    }

    /// Says that `server` is well again, if its outage was told: once, however
    /// many jobs find it well.
    fn over(&self, server: &'static str) {
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

/// A piece of work that is tried again until no server is away. From its first outage until it is dropped it
/// counts as held, its tries included.
pub struct Hold<'a> {
    log: &'a OutageLog,
    backoff: Backoff,
    held: Option<(&'static str, Held)>,
}

impl Hold<'_> {
    /// The work met `outage` of `server`: returns when it is to be tried again, later each time.
    pub async fn wait(&mut self, outage: &(dyn Error + Sync), server: &'static str) {
        self.log.met(outage, server);
        if self.held.as_ref().is_none_or(|(held_by, _)| *held_by != server) {
            self.held = Some((server, self.log.metrics.held(server)));
        }
        self.backoff.wait().await;
    }

    /// The work is done, and `server` did its part of it.
    pub fn done_by(self, server: &'static str) {
        self.log.over(server);
        self.done();
    }

    /// The work is done: what it was held by last is well again.
    pub fn done(self) {
        if let Some((server, _)) = &self.held {
            self.log.over(server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    #[test]
    fn an_outage_is_told_once_however_many_jobs_meet_it() {
        let log = OutageLog::new(Metrics::register(&Registry::new()).unwrap());

        let now = Instant::now();

        assert!(log.is_news("database", now));
        assert!(!log.clone().is_news("database", now));
        assert!(log.is_news("broker", now));
        assert!(log.is_news("database", now + TELL_EVERY));
    }

    #[test]
    fn the_end_of_an_outage_is_told_once_however_many_jobs_find_it_over() {
        let log = OutageLog::new(Metrics::register(&Registry::new()).unwrap());
        let now = Instant::now();
        assert_eq!(log.ends("database", now), None, "there was none");

        log.is_news("database", now);
        log.is_news("database", now + TELL_EVERY);

        assert_eq!(log.ends("broker", now), None);
        assert_eq!(log.ends("database", now + 2 * TELL_EVERY), Some(2 * TELL_EVERY));
        assert_eq!(log.ends("database", now + 2 * TELL_EVERY), None);
    }

    /// A server that comes and goes fills no log.
    #[test]
    fn an_outage_is_told_once_in_ten_seconds() {
        let log = OutageLog::new(Metrics::register(&Registry::new()).unwrap());
        let (now, second) = (Instant::now(), Duration::from_secs(1));

        let told = (0..30).filter(|i| {
            let at = now + second * *i;
            let told = log.is_news("database", at);
            assert_eq!(log.ends("database", at).is_some(), told);
            told
        });

        assert_eq!(told.count(), 3);
    }

    #[tokio::test]
    async fn what_is_held_counts_from_its_first_outage_to_its_end() {
        let registry = Registry::new();
        let log = OutageLog::new(Metrics::register(&registry).unwrap());
        let held = |server: &str| {
            let families = registry.gather();
            let held = families.iter().find(|family| family.name().ends_with("_held")).unwrap();
            let of_it =
                |of: &&prometheus::proto::Metric| of.get_label().iter().any(|label| label.value() == server);
            held.get_metric().iter().find(of_it).map(|of| of.get_gauge().get_value())
        };
        assert_eq!(held("database"), Some(0.0), "from the start");

        let mut hold = log.hold();
        hold.wait(&std::fmt::Error, "database").await;
        hold.wait(&std::fmt::Error, "database").await;
        assert_eq!(held("database"), Some(1.0), "also while it is tried again");
        hold.wait(&std::fmt::Error, "models").await;
        assert_eq!((held("database"), held("models")), (Some(0.0), Some(1.0)));
        hold.done();
        assert_eq!(held("models"), Some(0.0));

        let mut given_up = log.hold();
        given_up.wait(&std::fmt::Error, "broker").await;
        drop(given_up);
        assert_eq!(held("broker"), Some(0.0));
    }
}
