//! Places, for pictures in memory or at a host, which the lanes share.
//!
//! Thousands of jobs of a large scrape may be waiting for a place when a small
//! one comes: a place that is given back goes to one lane after another, by
//! weight, so that nobody waits behind all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tagfleet_shared::lane::{Lane, LaneWeights, Shares};
use tokio::sync::oneshot;

/// A number of places.
#[derive(Debug)]
pub struct Places {
    lines: Arc<Lines>,
}

/// One place, given back when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Place {
    lines: Arc<Lines>,
}

/// The places that are free, and a line for each lane.
#[derive(Debug)]
struct Lines(Mutex<State>);

#[derive(Debug)]
struct State {
    places: usize,
    /// As many are given away. More than there are where their number went down.
    taken: usize,
    waiting: [VecDeque<oneshot::Sender<Place>>; Lane::ALL.len()],
    shares: Shares,
}

impl Places {
    /// So many places; the lanes share them by weight while all of them wait.
    pub fn new(places: usize, weights: LaneWeights) -> Self {
        let state = State { places, taken: 0, waiting: Default::default(), shares: Shares::new(weights) };
        Self { lines: Arc::new(Lines(Mutex::new(state))) }
    }

    /// Waits for a place. Cancel-safe: who goes away leaves the place to others.
    /// `None` if the line was [cut](Self::cut).
    pub async fn take(&self, lane: Lane) -> Option<Place> {
        let given = {
            let mut state = self.lines.state();
            if let Some(place) = self.lines.free_place(&mut state) {
                return Some(place);
            }
            let (give, given) = oneshot::channel();
            state.waiting[lane as usize].push_back(give);
            given
        };
        given.await.ok()
    }

    /// A place, if one is free: then nobody waits.
    pub fn take_free(&self) -> Option<Place> {
        self.lines.free_place(&mut self.lines.state())
    }

    /// So many are given away.
    pub fn taken(&self) -> usize {
        self.lines.state().taken
    }

    /// So many of `lane` wait for a place.
    pub fn line(&self, lane: Lane) -> usize {
        let mut state = self.lines.state();
        state.forget_the_gone();
        state.waiting[lane as usize].len()
    }

    /// From now on there are so many. Who has a place keeps it: where there are
    /// fewer than are taken, the next ones to be given back go to nobody.
    pub fn resize(&self, places: usize) {
        let mut given = Vec::new();
        {
            let mut state = self.lines.state();
            state.places = places;
            while state.taken < state.places
                && let Some(next) = state.next()
            {
                state.taken += 1;
                given.push(next);
            }
        }
        given.into_iter().for_each(|next| self.lines.give(next));
    }

    /// Sends away who came last, so that no lane's line is longer than `longest`.
    pub fn cut(&self, longest: usize) {
        let mut state = self.lines.state();
        state.forget_the_gone();
        state.waiting.iter_mut().for_each(|line| line.truncate(longest));
    }
}

impl Lines {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_place(self: &Arc<Self>, state: &mut State) -> Option<Place> {
        if state.taken >= state.places {
            return None;
        }
        state.taken += 1;
        Some(Place { lines: self.clone() })
    }

    fn give(self: &Arc<Self>, next: oneshot::Sender<Place>) {
        // Whoever goes away in this very moment gives it back in turn.
        let _ = next.send(Place { lines: self.clone() });
    }
}

impl State {
    /// Who is to have the next place, those who went away left out.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        self.forget_the_gone();
        let lane = self.shares.next(|lane| !self.waiting[lane as usize].is_empty())?;
        self.waiting[lane as usize].pop_front()
    }

    /// Leaves out those who went away: the ones in front are enough, as most
    /// go who have waited longest.
    fn forget_the_gone(&mut self) {
        for line in &mut self.waiting {
            while line.front().is_some_and(oneshot::Sender::is_closed) {
                line.pop_front();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.lines.state();
            let next = if state.taken > state.places { None } else { state.next() };
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
        let places = Places::new(1, WEIGHTS);
        let first = places.take(Lane::Bulk).await.unwrap();
        let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(places.take(Lane::Bulk))).collect();
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut express = Box::pin(places.take(Lane::Express));
        assert!((&mut express).now_or_never().is_none());

        drop(first);

        assert!(express.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_came_last_is_sent_away_where_a_line_is_cut() {
        let places = Places::new(1, WEIGHTS);
        let first = places.take(Lane::Bulk).await;
        let mut lines: Vec<_> = [Lane::Bulk, Lane::Bulk, Lane::Bulk, Lane::Express]
            .map(|lane| Box::pin(places.take(lane)))
            .into();
        assert!(lines.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        places.cut(1);

        let mut ends = lines.iter_mut().map(|waiting| waiting.now_or_never());
        assert!(ends.next().unwrap().is_none());
        assert!(ends.by_ref().take(2).all(|end| matches!(end, Some(None))), "both were sent away");
        assert!(ends.next().unwrap().is_none());
        drop(first);
        assert!(matches!(lines.pop().unwrap().now_or_never(), Some(Some(_))));
    }

    #[tokio::test]
    async fn places_that_are_too_many_go_as_they_are_given_back_and_new_ones_to_those_who_wait() {
        let places = Places::new(3, WEIGHTS);
        let mut taken: Vec<_> = (0..3).map(|_| places.take_free().unwrap()).collect();
        let mut line: Vec<_> = (0..3).map(|_| Box::pin(places.take(Lane::Bulk))).collect();
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        places.resize(1);
        taken.truncate(1);
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()), "one is taken still");
        taken.clear();
        let first = line.remove(0).now_or_never();
        assert!(matches!(first, Some(Some(_))));
        assert!(line.iter_mut().all(|waiting| waiting.now_or_never().is_none()));

        places.resize(4);
        assert!(line.into_iter().all(|waiting| matches!(waiting.now_or_never(), Some(Some(_)))));
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_place_to_others() {
        let places = Places::new(1, WEIGHTS);
        let first = places.take(Lane::Bulk).await;
        let mut gone = Box::pin(places.take(Lane::Bulk));
        let mut given = Box::pin(places.take(Lane::Bulk));
        let mut last = Box::pin(places.take(Lane::Bulk));
        for waiting in [&mut gone, &mut given, &mut last] {
            assert!(waiting.now_or_never().is_none());
        }

        // One before it could be given the place, one after.
        drop(gone);
        drop(first);
        drop(given);

        assert_eq!(places.line(Lane::Bulk), 0);
        assert!(last.now_or_never().is_some());
        assert!(places.take(Lane::Bulk).now_or_never().is_some());
    }
}
