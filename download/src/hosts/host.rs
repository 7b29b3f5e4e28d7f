//! One host: what is known of it, and what that means for those who want something of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tagfleet_shared::lane::Lane;

use super::Politeness;
use crate::aimd::Aimd;
use crate::error::{Attempt, Cause, Limit, Transient};
use crate::health::Health;
use crate::pace::Pace;
use crate::permits::{Permit, Permits};
use crate::rate::Rate;
use crate::recall::Recall;

/// A line is so long that the last one waits for about this time. Long: a slow
/// host takes more of the prefetch. Short: more jobs go through the retry queues,
/// and the host may be idle until they are back.
pub const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// How often it is looked how a host gets on of which nothing is known.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A host that was asked lately.
#[derive(Debug)]
pub struct Host {
    name: String,
    permits: Permits,
    state: Mutex<State>,
}

/// What is known of a host.
#[derive(Debug)]
pub(super) struct State {
    pub(super) health: Health,
    pub(super) pace: Pace,
    at_once: Aimd,
    rate: Option<Rate>,
    recall: Recall,
    /// Downloads that have ended.
    ended: u64,
    /// Whether somebody looks how a host gets on of which nothing is known.
    watched: bool,
    /// Downloads per second and permit at most, by what has not ended yet.
    no_faster_than: Option<f64>,
}

impl Host {
    /// A host that nobody has asked yet.
    pub fn new(name: String, politeness: &Politeness) -> Self {
        let Politeness { per_host, per_host_rate, longest_pause, lanes, ref delays } = *politeness;
        let state = State {
            health: Health::new(longest_pause),
            pace: Pace::new(per_host),
            at_once: Aimd::of_permits(per_host),
            rate: (per_host_rate > 0.0).then(|| Rate::new(per_host_rate)),
            recall: Recall::new(delays),
            ended: 0,
            watched: false,
            no_faster_than: None,
        };
        Self { name, permits: Permits::new(per_host, lanes), state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more may ask, for `longest` at most.
    ///
    /// # Errors
    ///
    /// If it is away, or too many wait already, or the next question that its rate allows is too far away.
    pub async fn permit(self: &Arc<Self>, lane: Lane, longest: Duration) -> Result<Permit, Transient> {
        let since = Instant::now();
        self.state().health.here(since)?;
        let permit = match self.permits.take_free() {
            Some(permit) => permit,
            None => {
                let waiting = tokio::time::timeout(longest, self.wait(lane)).await;
                waiting.unwrap_or_else(|_| Err(self.put_off()))?
            }
        };
        let left = longest.saturating_sub(since.elapsed());
        let until_next = self.state().book(Instant::now(), LONGEST_WAIT.min(left))?;
        if !until_next.is_zero() {
            tokio::time::sleep(until_next).await;
        }
        // It may have gone away while we waited.
        self.state().health.here(Instant::now())?;
        Ok(permit)
    }

    /// Waits until one of those who are asking is done.
    async fn wait(self: &Arc<Self>, lane: Lane) -> Result<Permit, Transient> {
        let longest = {
            let mut state = self.state();
            state.health.worth_waiting_for(Instant::now())?;
            if state.pace.of_a_permit().is_none() && !std::mem::replace(&mut state.watched, true) {
                tokio::spawn(self.clone().watch());
            }
            state.longest_line()
        };
        if self.permits.line(lane) < longest
            && let Some(permit) = self.permits.take(lane).await
        {
            return Ok(permit);
        }
        Err(self.put_off())
    }

    /// What whoever gets no permit is told: that it is away, if it is.
    fn put_off(&self) -> Transient {
        let (mut state, now) = (self.state(), Instant::now());
        let away = state.health.here(now).err();
        away.unwrap_or_else(|| state.put_off(now))
    }

    /// Until the pace of the host is known: cuts the line by what has not ended
    /// yet, so that a slow one does not take the whole prefetch while it is found
    /// out how slow it is.
    async fn watch(self: Arc<Self>) {
        let (since, before) = (Instant::now(), self.state().ended);
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let at_work = self.permits.taken();
            let longest = {
                let mut state = self.state();
                let known = state.pace.of_a_permit().is_some();
                if known || at_work == 0 || Lane::ALL.iter().all(|&lane| self.permits.line(lane) == 0) {
                    (state.watched, state.no_faster_than) = (false, None);
                    return;
                }
                let ended = (state.ended - before) as f64 / at_work as f64;
                state.no_faster_than = Some((ended + 1.0) / since.elapsed().as_secs_f64());
                state.longest_line()
            };
            self.permits.cut(longest);
        }
    }

    /// Notes how a download ended that began at `asked`, and what follows for
    /// those who wait.
    pub fn ended(&self, failure: Option<&Transient>, asked: Instant, took: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        state.pace.ended(took, now);
        state.ended += 1;
        match failure {
            Some(failure) => {
                state.health.failed(&self.name, failure, now);
                if has_enough(failure) {
                    state.aimd().for_each(|aimd| aimd.refused(asked, now));
                }
            }
            None => {
                state.health.answered(&self.name, now);
                state.aimd().for_each(|aimd| aimd.answered(asked));
            }
        }
        let away = state.health.here(now).is_err();
        let (permits, longest) = (state.permits(), state.longest_line());
        drop(state);
        self.permits.resize(permits);
        self.permits.cut(if away { 0 } else { longest });
    }
}

/// Whether a failure says that the host is asked for too much.
fn has_enough(failure: &Transient) -> bool {
    matches!(failure.cause, Cause::Throttled(_) | Cause::ServerError(503) | Cause::Timeout(_))
}

impl State {
    /// Whether it is asked for less than it may be, because it had enough.
    pub(super) fn is_limited(&self) -> bool {
        self.at_once.is_limited() || self.rate.as_ref().is_some_and(Rate::is_limited)
    }

    fn aimd(&mut self) -> impl Iterator<Item = &mut Aimd> {
        [Some(&mut self.at_once), self.rate.as_mut().map(Rate::aimd)].into_iter().flatten()
    }

    /// Downloads at the same time: one while it is in doubt whether there is
    /// anybody to answer.
    fn permits(&self) -> usize {
        if self.health.in_doubt() { 1 } else { self.at_once.whole() }
    }

    /// Downloads that it serves, if anything is known of that.
    fn per_second(&self) -> Option<f64> {
        let of_a_permit = self.pace.of_a_permit().or(self.no_faster_than);
        let permits = of_a_permit.map(|pace| pace * self.at_once.now());
        let rate = self.rate.as_ref().map(Rate::per_second);
        permits.into_iter().chain(rate).min_by(f64::total_cmp)
    }

    /// How many may wait, so that the last of them waits for about [`LONGEST_WAIT`];
    /// but one for each permit always, or the host would be idle now and then.
    fn longest_line(&self) -> usize {
        let served = |per_second: f64| (per_second * LONGEST_WAIT.as_secs_f64()) as usize;
        self.per_second().map_or(usize::MAX, |pace| served(pace).max(self.at_once.whole()))
    }

    /// Books a question that is at most `longest` away, and says how long to wait for it.
    pub(super) fn book(&mut self, now: Instant, longest: Duration) -> Result<Duration, Transient> {
        match self.rate.as_mut().map(|rate| rate.book(now, longest)) {
            None => Ok(Duration::ZERO),
            Some(Some(wait)) => Ok(wait),
            Some(None) => Err(self.put_off(now)),
        }
    }

    fn put_off(&mut self, now: Instant) -> Transient {
        let come_back = Some(self.recall.next(self.per_second().unwrap_or(0.0), now));
        let cause = Cause::Timeout(Limit::Turn);
        Transient { cause, retry_after: None, come_back, attempt: Attempt::PutOff }
    }
}
