//! Turns at the hosts that pictures come from: politeness, and patience with the sick.
//!
//! At most `per_host` downloads run at one host at the same time, and the lanes
//! share them: nobody waits for a host behind a whole lane. A host that has
//! enough (429, 503, no answer in time) gets half of that, and one more for each
//! round of answers; so does its rate, where one is set.
//!
//! A host that fails many times in a row, or asks to be left alone, is away for
//! a while: whoever wants a picture of it then is told so at once, without
//! asking it, and comes back later. After that one question at a time goes out
//! until one is answered: a host that is down costs one for each pause. And a
//! host that is slow has a line, in each lane, that is no longer than what it
//! serves in [`LONGEST_WAIT`](host::LONGEST_WAIT), so that it cannot take the whole
//! prefetch: as soon as its pace is known, whoever came last is put off, and
//! whoever comes then. So is whoever has waited for [`ALL_WAITS`], at all hosts that
//! a picture's redirects lead to.

mod host;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use tagfleet_shared::lane::{Lane, LaneWeights};
use url::Url;

use self::host::Host;
use super::error::{DownloadError, Transient};
use super::health::LONGEST_NAMED;
use crate::permits::Permit;

/// A host that nobody asks is forgotten after so long: not before the time that
/// it has named is there.
const FORGET_AFTER: Duration = LONGEST_NAMED;

/// Hosts that are remembered at once.
const REMEMBERED: u64 = 10_000;

/// The longest that a download waits for turns, at all of its hosts together. Long: its job is given back to
/// its lane first (`work.give_back_after` of a worker), and begins at the first host again. Short: pictures
/// behind redirects are put off where each host has a line.
pub const ALL_WAITS: Duration = Duration::from_secs(120);

/// How hosts are treated.
#[derive(Clone, Debug)]
pub struct Politeness {
    /// Downloads from one host at the same time.
    pub per_host: usize,
    /// Questions to one host per second; 0: as many as it answers.
    pub per_host_rate: f64,
    /// The longest that a host is left alone because one picture's answer asked for it.
    pub longest_pause: Duration,
    /// How the lanes share them.
    pub lanes: LaneWeights,
    /// After which whoever is put off comes back, ascending.
    pub delays: Vec<Duration>,
}

/// Every host that was asked lately.
#[derive(Clone, Debug)]
pub struct Hosts {
    hosts: Cache<String, Arc<Host>>,
    politeness: Arc<Politeness>,
}

/// Hosts that were asked lately, by how they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Asked as much as they may be.
    pub well: i64,
    /// Asked for less, because they had enough.
    pub limited: i64,
    /// Left alone for a while.
    pub away: i64,
}

/// The right to ask one host for one picture.
#[must_use]
pub struct Turn {
    host: Arc<Host>,
    lane: Lane,
    asked: Instant,
    /// How long its download has waited for turns, this one included.
    waited: Duration,
    _permit: Permit,
}

impl Hosts {
    /// Treats every host with the same `politeness`.
    pub fn new(politeness: Politeness) -> Self {
        let hosts = Cache::builder().max_capacity(REMEMBERED).time_to_idle(FORGET_AFTER).build();
        Self { hosts, politeness: Arc::new(politeness) }
    }

    /// Waits for a turn at the host of `url`. Where it redirects to another one, that
    /// has turns of its own.
    ///
    /// # Errors
    ///
    /// If the host is away: what it failed with, and when to come back; if it
    /// has too long a line: when to come back.
    pub async fn turn(&self, url: &Url, lane: Lane) -> Result<Turn, Transient> {
        self.turn_after(Duration::ZERO, url, lane).await
    }

    /// The same for a download that has `waited` for so long at other hosts, as [`Turn::waited`] tells.
    ///
    /// # Errors
    ///
    /// As [`Self::turn`]; and if it would wait for longer than [`ALL_WAITS`] in all.
    pub async fn turn_after(&self, waited: Duration, url: &Url, lane: Lane) -> Result<Turn, Transient> {
        let name = server_of(url);
        let new = async { Arc::new(Host::new(name.clone(), &self.politeness)) };
        let host = self.hosts.get_with_by_ref(&name, new).await;
        let since = Instant::now();
        let permit = host.permit(lane, ALL_WAITS.saturating_sub(waited)).await?;
        let asked = Instant::now();
        Ok(Turn { host, lane, asked, waited: waited + (asked - since), _permit: permit })
    }
}

/// Host and port: two servers on one machine are two hosts. A dot at the end of a name changes nothing.
pub fn server_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("{}:{}", host.strip_suffix('.').unwrap_or(host), url.port_or_known_default().unwrap_or(0))
}

impl Hosts {
    /// Counts those that are remembered: asked within a day, and 10,000 at most.
    pub fn counts(&self) -> HostCounts {
        let (mut counts, now) = (HostCounts::default(), Instant::now());
        for (_, host) in &self.hosts {
            let state = host.state();
            let of_it = if state.health.here(now).is_err() {
                &mut counts.away
            } else if state.is_limited() {
                &mut counts.limited
            } else {
                &mut counts.well
            };
            *of_it += 1;
        }
        counts
    }
}

impl Turn {
    /// Whose share it is of.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// How long its download has waited for turns until it had this one.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Notes what its host failed with, if it did, and how long the download took, for those who come next.
    pub fn ended(self, error: Option<&DownloadError>, took: Duration) {
        let failure = match error {
            Some(DownloadError::Transient(failure)) => Some(failure),
            // A picture that is gone was answered for by a host that is well.
            None | Some(DownloadError::Final(_)) => None,
        };
        self.host.ended(failure, self.asked, took);
    }
}
