//! Places for pictures in memory, which the lanes share.
//!
//! Thousands of jobs of a large scrape may be waiting for a place when a small
//! one comes: a place that is given back goes to the lane whose turn it is, so
//! that nobody waits behind all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tagfleet_shared::lane::{Lane, LaneWeights, Shares};
use tokio::sync::oneshot;

/// A number of places.
pub struct Places {
    room: Arc<Room>,
}

/// One place, given back when it is dropped.
#[must_use]
pub struct Place {
    room: Arc<Room>,
}

struct Room(Mutex<State>);

struct State {
    free: usize,
    waiting: [VecDeque<oneshot::Sender<Place>>; Lane::ALL.len()],
    shares: Shares,
}

impl Places {
    /// So many places; the lanes share them by weight while all of them wait.
    pub fn new(places: usize, weights: LaneWeights) -> Self {
        let state = State { free: places, waiting: Default::default(), shares: Shares::new(weights) };
        Self { room: Arc::new(Room(Mutex::new(state))) }
    }

    /// Waits for a place. Cancel-safe: who goes away leaves the place to others.
    pub async fn take(&self, lane: Lane) -> Place {
        let turn = {
            let mut state = self.room.state();
            if state.free > 0 {
                state.free -= 1;
                return Place { room: self.room.clone() };
            }
            let (give, turn) = oneshot::channel();
            state.waiting[lane as usize].push_back(give);
            turn
        };
        turn.await.expect("whoever gives back a place gives it to the one who waits")
    }
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is to have the next place, those who went away left out.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        for line in &mut self.waiting {
            while line.front().is_some_and(oneshot::Sender::is_closed) {
                line.pop_front();
            }
        }
        let lane = self.shares.next(|lane| !self.waiting[lane as usize].is_empty())?;
        self.waiting[lane as usize].pop_front()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.room.state();
            let next = state.next();
            state.free += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // Whoever goes away in this very moment gives it back in turn.
            let _ = next.send(Self { room: self.room.clone() });
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
        let first = places.take(Lane::Bulk).await;
        let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(places.take(Lane::Bulk))).collect();
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut express = Box::pin(places.take(Lane::Express));
        assert!((&mut express).now_or_never().is_none());

        drop(first);

        assert!(express.now_or_never().is_some());
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

        assert!(last.now_or_never().is_some());
        assert!(places.take(Lane::Bulk).now_or_never().is_some());
    }
}
