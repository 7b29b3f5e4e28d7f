//! Turns at the hosts that pictures come from: politeness, and patience with the sick.
//!
//! At most `per_host` downloads run at one host at the same time. A host that
//! fails many times in a row, or asks to be left alone, is away for a while:
//! whoever wants a picture of it then is told so at once, without asking it,
//! and comes back later. So a dead host costs its own scrape time, and others
//! no more than `per_host` places now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};
use url::Url;

use super::error::{Cause, DownloadError, Transient};

/// Failures in a row, without a success between them, after which a host is away.
const FAILURES: u32 = 20;

/// How long it is then left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest that a host is left alone because it asked for it; who comes
/// back earlier than it wished is told again.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// A host that nobody asks is forgotten after so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Hosts that are remembered at once.
const REMEMBERED: u64 = 10_000;

/// Every host that was asked lately.
#[derive(Clone, Debug)]
pub struct Hosts {
    hosts: Cache<String, Arc<Host>>,
    per_host: usize,
}

#[derive(Debug)]
struct Host {
    places: Arc<Semaphore>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    away: Option<(Instant, Cause)>,
}

/// The right to ask one host for one picture.
#[must_use]
pub struct Turn {
    name: String,
    host: Arc<Host>,
    _place: OwnedSemaphorePermit,
}

impl Hosts {
    /// Lets `per_host` downloads run at one host at the same time.
    pub fn new(per_host: usize) -> Self {
        let hosts = Cache::builder().max_capacity(REMEMBERED).time_to_idle(FORGET_AFTER).build();
        Self { hosts, per_host }
    }

    /// Waits for a turn at the host of `url`. Where it redirects to is not
    /// looked at.
    ///
    /// # Errors
    ///
    /// If the host is away: what it failed with, and when to come back.
    pub async fn turn(&self, url: &Url) -> Result<Turn, Transient> {
        // Host and port: two servers on one machine are two hosts.
        let name =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
        let host = self.hosts.get_with_by_ref(&name, async { Arc::new(Host::new(self.per_host)) }).await;
        host.health().here(Instant::now())?;
        let place = host.places.clone().acquire_owned().await.expect("places are never closed");
        // It may have gone away while we waited.
        host.health().here(Instant::now())?;
        Ok(Turn { name, host, _place: place })
    }
}

impl Turn {
    /// Notes how the download ended, for those who come next.
    pub fn ended<T>(self, end: &Result<T, DownloadError>) {
        let Self { name, host, .. } = self;
        let now = Instant::now();
        match end {
            Err(DownloadError::Transient(failure)) => host.health().failed(&name, failure, now),
            // A picture that is gone was answered for by a host that is well.
            Ok(_) | Err(DownloadError::Final(_)) => host.health().answered(&name, now),
        }
    }
}

impl Host {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), health: Mutex::default() }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health {
    fn here(&self, now: Instant) -> Result<(), Transient> {
        match &self.away {
            Some((until, cause)) if *until > now => {
                let retry_after = Some(until.duration_since(now));
                Err(Transient { cause: cause.clone(), retry_after, asked: false })
            }
            _ => Ok(()),
        }
    }

    /// The first failure after a pause begins the next one: `failures` goes
    /// back to 0 only with an answer.
    fn failed(&mut self, name: &str, failure: &Transient, now: Instant) {
        // The file is to blame, or the way: part of the body was there.
        if let Cause::Truncated { .. } = failure.cause {
            return;
        }
        self.failures += 1;
        let asked = match failure.cause {
            Cause::Throttled(_) | Cause::ServerError(_) => failure.retry_after,
            _ => None,
        };
        if asked.is_none() && self.failures < FAILURES {
            return;
        }
        let until = now + asked.unwrap_or(PAUSE).min(LONGEST_PAUSE);
        match &self.away {
            // What it asked for holds, whatever else fails meanwhile.
            Some((later, _)) if *later >= until => return,
            Some(_) => {}
            None if asked.is_some() => {
                debug!(host = name, error = %failure.cause, "{name} asks for patience")
            }
            None => {
                warn!(host = name, error = %failure.cause, "{name} fails again and again, leaving it alone")
            }
        }
        self.away = Some((until, failure.cause.clone()));
    }

    fn answered(&mut self, name: &str, now: Instant) {
        self.failures = 0;
        // An answer to a question from before the pause does not end it.
        if self.away.take_if(|(until, _)| *until <= now).is_some() {
            debug!(host = name, "{name} answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::{Limit, Undownloadable};

    fn url() -> Url {
        Url::parse("http://cdn.example/1.jpg").unwrap()
    }

    fn timeout() -> Transient {
        Cause::Timeout(Limit::Headers).into()
    }

    fn fail(health: &mut Health, times: u32, now: Instant) {
        (0..times).for_each(|_| health.failed("cdn.example", &timeout(), now));
    }

    #[tokio::test]
    async fn at_most_per_host_downloads_run_at_one_host_at_the_same_time() {
        let hosts = Hosts::new(2);
        let first = hosts.turn(&url()).await.unwrap();
        let _second = hosts.turn(&url()).await.unwrap();
        let elsewhere = Url::parse("http://cdn.example:8080/1.jpg").unwrap();

        assert!(futures::poll!(std::pin::pin!(hosts.turn(&url()))).is_pending());
        assert!(hosts.turn(&elsewhere).await.is_ok());
        first.ended(&Ok(()));
        assert!(hosts.turn(&url()).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_gets_a_turn_at_a_host_that_is_away() {
        let hosts = Hosts::new(2);
        for _ in 0..FAILURES {
            hosts.turn(&url()).await.unwrap().ended::<()>(&Err(timeout().into()));
        }

        let away = hosts.turn(&url()).await.err().unwrap();
        assert_eq!(away.cause, timeout().cause);
        assert!(!away.asked);
        assert!(away.retry_after.unwrap() <= PAUSE);
    }

    #[test]
    fn a_host_that_fails_many_times_in_a_row_is_left_alone_for_a_while() {
        let (mut health, start) = (Health::default(), Instant::now());
        fail(&mut health, FAILURES, start);
        assert!(health.here(start).is_err());

        // The first failure after a pause begins the next one.
        let later = start + PAUSE;
        assert!(health.here(later).is_ok());
        fail(&mut health, 1, later);
        assert!(health.here(later).is_err());

        health.answered("cdn.example", later + PAUSE);
        fail(&mut health, FAILURES - 1, later + PAUSE);
        assert!(health.here(later + PAUSE).is_ok());
    }

    #[tokio::test]
    async fn a_host_that_answers_now_and_then_is_not_away() {
        let hosts = Hosts::new(2);
        for i in 0..5 * FAILURES {
            let gone = Undownloadable::Gone(404).into();
            let end = if i % (FAILURES - 1) == 0 { gone } else { timeout().into() };
            hosts.turn(&url()).await.unwrap().ended::<()>(&Err(end));
        }
    }

    #[test]
    fn a_host_that_asks_to_be_left_alone_is_but_not_for_ever() {
        let (mut health, now) = (Health::default(), Instant::now());
        let mut ask = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            health.failed(
                "cdn.example",
                &Transient { cause: Cause::Throttled(429), retry_after, asked: true },
                now,
            );
            health.here(now).unwrap_err().retry_after
        };

        assert_eq!(ask(7), Some(Duration::from_secs(7)));
        assert_eq!(ask(1_000_000), Some(LONGEST_PAUSE));
        assert_eq!(ask(1), Some(LONGEST_PAUSE), "a later failure does not cut it short");
    }
}
