//! Turns at the hosts that pictures come from: politeness, and patience with the sick.
//!
//! At most `per_host` downloads run at one host at the same time, and the lanes
//! share them: nobody waits for a host behind a whole lane.
//!
//! A host that fails many times in a row, or asks to be left alone, is away for
//! a while: whoever wants a picture of it then is told so at once, without
//! asking it, and comes back later. After that one that fails has to answer
//! before anybody waits for it again, so that it costs others no more than
//! `per_host` places now and then. And a host that is slow has a line, in each
//! lane, that is no longer than what it serves in [`LONGEST_WAIT`], so that it
//! cannot take the whole prefetch: as soon as its pace is known, whoever came
//! last is put off, and whoever comes then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use tagfleet_shared::lane::{Lane, LaneWeights};
use url::Url;

use super::error::{Attempt, Cause, DownloadError, Limit, Transient};
use super::health::Health;
use super::pace::Pace;
use crate::places::{Place, Places};

/// A line is so long that the last one waits for about this time. Long: a slow
/// host takes more of the prefetch. Short: more jobs go through the retry queues,
/// and the host may be idle until they are back.
const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// Who is put off stays away for this long at least, so that the line has room
/// again; and, with the usual delays of the retry queues, comes back before it
/// has run dry.
const AWAY: Duration = Duration::from_secs(20);

/// A host that nobody asks is forgotten after so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Hosts that are remembered at once.
const REMEMBERED: u64 = 10_000;

/// How hosts are treated.
#[derive(Clone, Copy, Debug)]
pub struct Politeness {
    /// Downloads from one host at the same time.
    pub per_host: usize,
    /// How the lanes share them.
    pub lanes: LaneWeights,
    /// The longest that a host is left alone because it asked for it.
    pub longest_pause: Duration,
}

/// Every host that was asked lately.
#[derive(Clone, Debug)]
pub struct Hosts {
    hosts: Cache<String, Arc<Host>>,
    politeness: Politeness,
}

#[derive(Debug)]
struct Host {
    name: String,
    places: Places,
    health: Mutex<Health>,
    pace: Mutex<Pace>,
}

/// The right to ask one host for one picture.
#[must_use]
pub struct Turn {
    host: Arc<Host>,
    _place: Place,
}

impl Hosts {
    /// Treats every host with the same `politeness`.
    pub fn new(politeness: Politeness) -> Self {
        let hosts = Cache::builder().max_capacity(REMEMBERED).time_to_idle(FORGET_AFTER).build();
        Self { hosts, politeness }
    }

    /// Waits for a turn at the host of `url`. Where it redirects to is not
    /// looked at.
    ///
    /// # Errors
    ///
    /// If the host is away: what it failed with, and when to come back; if it
    /// has too long a line: when to come back.
    pub async fn turn(&self, url: &Url, lane: Lane) -> Result<Turn, Transient> {
        // Host and port: two servers on one machine are two hosts.
        let name =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
        let new = async { Arc::new(Host::new(name.clone(), self.politeness)) };
        let host = self.hosts.get_with_by_ref(&name, new).await;
        host.health().here(Instant::now())?;
        let place = match host.places.take_free() {
            Some(place) => place,
            None => wait(&host, lane).await?,
        };
        // It may have gone away while we waited.
        host.health().here(Instant::now())?;
        Ok(Turn { host, _place: place })
    }
}

/// Waits until one of those who are asking `host` is done.
async fn wait(host: &Host, lane: Lane) -> Result<Place, Transient> {
    host.health().worth_waiting_for(Instant::now())?;
    if host.places.line(lane) >= host.longest_line() {
        return Err(put_off());
    }
    host.places.take(lane).await.ok_or_else(put_off)
}

fn put_off() -> Transient {
    Transient { cause: Cause::Timeout(Limit::Turn), retry_after: Some(AWAY), attempt: Attempt::PutOff }
}

impl Turn {
    /// Notes how the download ended, and how long it took, for those who come next.
    pub fn ended<T>(self, end: &Result<T, DownloadError>, took: Duration) {
        let (host, now) = (&self.host, Instant::now());
        host.pace().ended(took, now);
        host.places.cut(host.longest_line());
        match end {
            Err(DownloadError::Transient(failure)) => host.health().failed(&host.name, failure, now),
            // A picture that is gone was answered for by a host that is well.
            Ok(_) | Err(DownloadError::Final(_)) => host.health().answered(&host.name, now),
        }
    }
}

impl Host {
    fn new(name: String, politeness: Politeness) -> Self {
        Self {
            name,
            places: Places::new(politeness.per_host, politeness.lanes),
            health: Mutex::new(Health::new(politeness.longest_pause)),
            pace: Mutex::new(Pace::new(politeness.per_host)),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn longest_line(&self) -> usize {
        self.pace().longest_line(LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::Undownloadable;
    use crate::download::health::{FAILURES, PAUSE};
    use futures::FutureExt;
    use std::pin::Pin;
    use tokio::task::unconstrained;

    fn hosts(per_host: usize) -> Hosts {
        let lanes = LaneWeights { express: 6, standard: 3, bulk: 1 };
        Hosts::new(Politeness { per_host, lanes, longest_pause: Duration::from_secs(120) })
    }

    fn url() -> Url {
        Url::parse("http://cdn.example/1.jpg").unwrap()
    }

    fn timeout() -> DownloadError {
        Cause::Timeout(Limit::Headers).into()
    }

    const QUICK: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn at_most_per_host_downloads_run_at_one_host_at_the_same_time() {
        let hosts = hosts(2);
        let first = hosts.turn(&url(), Lane::Bulk).await.unwrap();
        let _second = hosts.turn(&url(), Lane::Bulk).await.unwrap();
        let elsewhere = Url::parse("http://cdn.example:8080/1.jpg").unwrap();

        assert!(hosts.turn(&url(), Lane::Express).now_or_never().is_none());
        assert!(hosts.turn(&elsewhere, Lane::Bulk).await.is_ok());
        first.ended(&Ok(()), QUICK);
        assert!(hosts.turn(&url(), Lane::Bulk).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_host_behind_a_whole_lane() {
        let (hosts, url) = (hosts(1), url());
        let first = hosts.turn(&url, Lane::Bulk).await.unwrap();
        let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(hosts.turn(&url, Lane::Bulk))).collect();
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut express = Box::pin(hosts.turn(&url, Lane::Express));
        assert!((&mut express).now_or_never().is_none());

        first.ended(&Ok(()), QUICK);

        assert!(express.now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_gets_a_turn_at_a_host_that_is_away() {
        let hosts = hosts(2);
        for _ in 0..FAILURES {
            hosts.turn(&url(), Lane::Bulk).await.unwrap().ended::<()>(&Err(timeout()), QUICK);
        }

        let away = hosts.turn(&url(), Lane::Express).await.err().unwrap();
        assert_eq!(DownloadError::from(away.cause), timeout());
        assert_eq!(away.attempt, Attempt::LeftAlone);
        assert!(away.retry_after.unwrap() <= PAUSE);
    }

    /// It costs others no more than `per_host` places now and then.
    #[tokio::test]
    async fn nobody_waits_for_a_host_that_fails_until_it_has_answered() {
        let (hosts, url) = (hosts(3), url());
        hosts.turn(&url, Lane::Bulk).await.unwrap().ended(&Ok(()), QUICK);
        let host = hosts.hosts.get("cdn.example:80").await.unwrap();
        let long_ago = Instant::now().checked_sub(2 * PAUSE).unwrap();
        for _ in 0..FAILURES {
            host.health().failed(&host.name, &Cause::Timeout(Limit::Headers).into(), long_ago);
        }
        let mut asking = Vec::new();
        for _ in 0..3 {
            asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        }

        let sent_away = hosts.turn(&url, Lane::Express).await.err().unwrap();
        assert_eq!(sent_away.attempt, Attempt::LeftAlone);
        asking.pop().unwrap().ended(&Ok(()), QUICK);
        asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        assert!(hosts.turn(&url, Lane::Bulk).now_or_never().is_none(), "there is a line again");
    }

    #[tokio::test]
    async fn a_host_that_answers_now_and_then_is_not_away() {
        let hosts = hosts(2);
        for i in 0..5 * FAILURES {
            let gone = Undownloadable::Gone(404).into();
            let end = if i % (FAILURES - 1) == 0 { gone } else { timeout() };
            hosts.turn(&url(), Lane::Bulk).await.unwrap().ended::<()>(&Err(end), QUICK);
        }
    }

    /// How many of a line were put off by now.
    fn put_off_of(line: &mut [Pin<Box<impl Future<Output = Result<Turn, Transient>>>>]) -> usize {
        let ends = line.iter_mut().filter_map(|waiting| unconstrained(waiting).now_or_never());
        let ends = ends.map(|end| end.err().unwrap().attempt);
        ends.inspect(|attempt| assert_eq!(*attempt, Attempt::PutOff)).count()
    }

    /// How many of 4096 in a line stay at a host when its pictures prove to take
    /// `time` each; and how many of as many again may come.
    async fn stay(time: Duration) -> (usize, usize) {
        let (hosts, url) = (hosts(32), url());
        let mut turns = Vec::new();
        for _ in 0..32 {
            turns.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        }
        let host = hosts.hosts.get("cdn.example:80").await.unwrap();
        let come = || (0..4096).map(|_| Box::pin(hosts.turn(&url, Lane::Bulk))).collect::<Vec<_>>();
        let mut line = come();
        assert_eq!(put_off_of(&mut line), 0, "nothing is known of the host");

        let now = Instant::now();
        (1..1000).for_each(|i| host.pace().ended(time, now + time / 32 * i));
        host.places.cut(host.longest_line());

        let stayed = 4096 - put_off_of(&mut line);
        let mut more = come();
        let came = 4096 - put_off_of(&mut more);
        let elsewhere = hosts.turn(&url, Lane::Express).now_or_never();
        assert!(elsewhere.is_none(), "each lane has a line of its own");
        (stayed, came)
    }

    #[tokio::test]
    async fn a_slow_host_has_a_line_no_longer_than_what_it_serves_in_the_longest_wait() {
        assert_eq!(stay(Duration::from_secs(5)).await, (45 / 5 * 32, 0));
    }

    #[tokio::test]
    async fn a_fast_host_puts_nobody_off() {
        assert_eq!(stay(Duration::from_millis(160)).await, (4096, 4096));
    }
}
