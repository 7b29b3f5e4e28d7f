//! Permits for pictures, in memory or at a host: a semaphore that the lanes share.
//!
//! Thousands of jobs of a large scrape may be waiting for a permit when a small
//! one comes: a permit that is given back goes to one lane after another, by
//! weight, so that nobody waits behind all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tagfleet_shared::lane::{Lane, LaneWeights, Shares};
use tokio::sync::oneshot;

/// A number of permits, which the lanes share by weight.
#[derive(Debug)]
pub struct Permits {
    lines: Arc<Lines>,
}

/// One permit, given back when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    lines: Arc<Lines>,
}

/// The permits that are free, and a line for each lane.
#[derive(Debug)]
struct Lines(Mutex<State>);

#[derive(Debug)]
struct State {
    permits: usize,
    /// As many are given away. More than there are where their number went down.
    taken: usize,
    waiting: [Line; Lane::ALL.len()],
    shares: Shares,
}

/// Those of one lane who wait, in order.
#[derive(Debug, Default)]
struct Line {
    /// Before all others.
    ahead: VecDeque<oneshot::Sender<Permit>>,
    others: VecDeque<oneshot::Sender<Permit>>,
}

impl Line {
    fn len(&self) -> usize {
        self.ahead.len() + self.others.len()
    }

    fn pop(&mut self) -> Option<oneshot::Sender<Permit>> {
        self.ahead.pop_front().or_else(|| self.others.pop_front())
    }

    /// Leaves out those who went away: the ones in front are enough, as most
    /// go who have waited longest.
    fn forget_the_gone(&mut self) {
        for line in [&mut self.ahead, &mut self.others] {
            while line.front().is_some_and(oneshot::Sender::is_closed) {
                line.pop_front();
            }
        }
    }
}

impl Permits {
    /// So many permits; the lanes share them by weight while all of them wait.
    pub fn new(permits: usize, weights: LaneWeights) -> Self {
        let state = State { permits, taken: 0, waiting: Default::default(), shares: Shares::new(weights) };
        Self { lines: Arc::new(Lines(Mutex::new(state))) }
    }

    /// Waits for a permit. Cancel-safe: who goes away leaves the permit to others.
    /// `None` if the line was [cut](Self::cut).
    pub async fn take(&self, lane: Lane) -> Option<Permit> {
        self.wait(lane, |line| &mut line.others).await
    }

    async fn wait(
        &self,
        lane: Lane,
        part: fn(&mut Line) -> &mut VecDeque<oneshot::Sender<Permit>>,
    ) -> Option<Permit> {
        let given = {
            let mut state = self.lines.state();
            if let Some(permit) = self.lines.free_permit(&mut state) {
                return Some(permit);
            }
            let (give, given) = oneshot::channel();
            part(&mut state.waiting[lane as usize]).push_back(give);
            given
        };
        given.await.ok()
    }

    /// The same, ahead of whoever waits in `lane` with [`Self::take`]: for what cannot wait for long.
    pub async fn take_first(&self, lane: Lane) -> Option<Permit> {
        self.wait(lane, |line| &mut line.ahead).await
    }

    /// A permit, if one is free: then nobody waits.
    pub fn take_free(&self) -> Option<Permit> {
        self.lines.free_permit(&mut self.lines.state())
    }

    /// How many are given away; more than there are, where [`Self::resize`] has made them fewer.
    pub fn taken(&self) -> usize {
        self.lines.state().taken
    }

    /// How many of `lane` wait for a permit.
    pub fn line(&self, lane: Lane) -> usize {
        let mut state = self.lines.state();
        state.forget_the_gone();
        state.waiting[lane as usize].len()
    }

    /// From now on there are so many. Who has a permit keeps it: where there are
    /// fewer than are taken, the next ones to be given back go to nobody.
    pub fn resize(&self, permits: usize) {
        let mut given = Vec::new();
        {
            let mut state = self.lines.state();
            state.permits = permits;
            while state.taken < state.permits
                && let Some(next) = state.next()
            {
                state.taken += 1;
                given.push(next);
            }
        }
        given.into_iter().for_each(|next| self.lines.give(next));
    }

    /// Sends away who came last, so that no lane's line is longer than `longest`; nobody who is ahead.
    pub fn cut(&self, longest: usize) {
        let mut state = self.lines.state();
        state.forget_the_gone();
        state.waiting.iter_mut().for_each(|line| line.others.truncate(longest));
    }
}

impl Lines {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_permit(self: &Arc<Self>, state: &mut State) -> Option<Permit> {
        if state.taken >= state.permits {
            return None;
        }
        state.taken += 1;
        Some(Permit { lines: self.clone() })
    }

    fn give(self: &Arc<Self>, next: oneshot::Sender<Permit>) {
        // Whoever goes away in this very moment gives it back in turn.
        let _ = next.send(Permit { lines: self.clone() });
    }
}

impl State {
    /// Who is to have the next permit, those who went away left out.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        self.forget_the_gone();
        let lane = self.shares.next(|lane| self.waiting[lane as usize].len() > 0)?;
        self.waiting[lane as usize].pop()
    }

    fn forget_the_gone(&mut self) {
        self.waiting.iter_mut().for_each(Line::forget_the_gone);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut state = self.lines.state();
            let next = if state.taken > state.permits { None } else { state.next() };
            state.taken -= usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            self.lines.give(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const WEIGHTS: LaneWeights = LaneWeights { express: 6, standard: 3, bulk: 1 };

    #[tokio::test]
    async fn nobody_waits_behind_a_whole_lane() {
        let permits = Permits::new(1, WEIGHTS);
        let first = permits.take(Lane::Bulk).await.unwrap();
        let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(permits.take(Lane::Bulk))).collect();
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut express = Box::pin(permits.take(Lane::Express));
        assert!((&mut express).now_or_never().is_none());

        drop(first);

        assert!(express.now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_cannot_wait_for_long_is_the_next_of_its_lane() {
        let permits = Permits::new(1, WEIGHTS);
        let first = permits.take(Lane::Bulk).await;
        let mut waiting = Box::pin(permits.take(Lane::Bulk));
        assert!((&mut waiting).now_or_never().is_none());
        let [mut urgent, mut later] = [(); 2].map(|()| Box::pin(permits.take_first(Lane::Bulk)));
        assert!((&mut urgent).now_or_never().is_none());
        assert!((&mut later).now_or_never().is_none());

        drop(first);

        assert!((&mut waiting).now_or_never().is_none());
        assert!((&mut later).now_or_never().is_none(), "who has waited longest is the first of these too");
        assert!(matches!(urgent.now_or_never(), Some(Some(_))));
        assert!(later.now_or_never().is_some());
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_came_last_is_sent_away_where_a_line_is_cut() {
        let permits = Permits::new(1, WEIGHTS);
        let first = permits.take(Lane::Bulk).await;
        let mut lines: Vec<_> = [Lane::Bulk, Lane::Bulk, Lane::Bulk, Lane::Express]
            .map(|lane| Box::pin(permits.take(lane)))
            .into();
        assert!(lines.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        permits.cut(1);

        let mut ends = lines.iter_mut().map(|waiting| waiting.now_or_never());
        assert!(ends.next().unwrap().is_none());
        assert!(ends.by_ref().take(2).all(|end| matches!(end, Some(None))), "both were sent away");
        assert!(ends.next().unwrap().is_none());
        drop(first);
        assert!(matches!(lines.pop().unwrap().now_or_never(), Some(Some(_))));
    }

    #[tokio::test]
    async fn permits_that_are_too_many_go_as_they_are_given_back_and_new_ones_to_those_who_wait() {
        let permits = Permits::new(3, WEIGHTS);
        let mut taken: Vec<_> = (0..3).map(|_| permits.take_free().unwrap()).collect();
        let mut line: Vec<_> = (0..3).map(|_| Box::pin(permits.take(Lane::Bulk))).collect();
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        permits.resize(1);
        taken.truncate(1);
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()), "one is taken still");
        taken.clear();
        let first = line.remove(0).now_or_never();
        assert!(matches!(first, Some(Some(_))));
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        permits.resize(4);
        assert!(line.into_iter().all(|waiting| matches!(waiting.now_or_never(), Some(Some(_)))));
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_permit_to_others() {
        let permits = Permits::new(1, WEIGHTS);
        let first = permits.take(Lane::Bulk).await;
        let mut gone = Box::pin(permits.take(Lane::Bulk));
        let mut given = Box::pin(permits.take(Lane::Bulk));
        let mut last = Box::pin(permits.take(Lane::Bulk));
        for waiting in [&mut gone, &mut given, &mut last] {
            assert!(waiting.now_or_never().is_none());
        }

        // One before it could be given the permit, one after.
        drop(gone);
        drop(first);
        drop(given);

        assert_eq!(permits.line(Lane::Bulk), 0);
        assert!(last.now_or_never().is_some());
        assert!(permits.take(Lane::Bulk).now_or_never().is_some());
    }
}
