//! Which fixes are in force, as far as whoever makes them can know.
//!
//! A fix is a commit, and after it the pass over the rows that belongs to it. Before the first begins, the
//! fix does not count; once the second has ended, it counts in every row; in between a row may have
//! it or not yet. Nothing else may ever be in a row.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// For everybody; the others are advertisers.
pub const EVERYBODY: usize = 0;

/// What can be fixed: one attribute of an image, for everybody or for one advertiser. What
/// [`fixes::Place`](tagfleet_shared::fixes::Place) is, with its image, and in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Of the arena.
    pub image: usize,
    /// [`EVERYBODY`], or the number of an advertiser.
    pub scope: usize,
    /// Of [`super::ATTRIBUTES`].
    pub attribute: usize,
}

/// A moment, as the ledger counts them.
pub type Moment = u64;

/// A value that somebody has set, or its withdrawal.
#[derive(Clone, Debug)]
struct Version {
    value: Option<String>,
    begun: Moment,
    /// None while its pass goes on.
    done: Option<Moment>,
}

/// All fixes of one arena.
#[derive(Default)]
pub struct Ledger {
    clock: AtomicU64,
    places: Mutex<HashMap<Place, Vec<Version>>>,
}

impl Ledger {
    /// A moment after all others until now.
    pub fn now(&self) -> Moment {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Somebody begins to fix, or to withdraw. One at a time for each place.
    pub fn begin(&self, place: Place, value: Option<String>) {
        let version = Version { value, begun: self.now(), done: None };
        self.places().entry(place).or_default().push(version);
    }

    /// The pass over the rows has ended.
    pub fn done(&self, place: Place) {
        let now = self.now();
        if let Some(version) = self.places().get_mut(&place).and_then(|versions| versions.last_mut()) {
            version.done = Some(now);
        }
    }

    /// Whether somebody has fixed this, and nobody has withdrawn it.
    pub fn is_fixed(&self, place: Place) -> bool {
        self.places()
            .get(&place)
            .and_then(|versions| versions.last())
            .is_some_and(|last| last.value.is_some())
    }

    /// Every value that may have been in force at some moment from `from` to `to`; none: no fix.
    pub fn possible(&self, place: Place, from: Moment, to: Moment) -> Vec<Option<String>> {
        let places = self.places();
        let versions = places.get(&place).map(Vec::as_slice).unwrap_or_default();
        let begun = versions.iter().take_while(|version| version.begun <= to);
        // The last one that was done before: those before it are gone.
        let first = begun.clone().rposition_done(from);
        let values = begun.skip(first.unwrap_or(0)).map(|version| version.value.clone());
        if first.is_some() { values.collect() } else { std::iter::once(None).chain(values).collect() }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Place, Vec<Version>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait LastDone {
    fn rposition_done(self, before: Moment) -> Option<usize>;
}

impl<'a, I: Iterator<Item = &'a Version>> LastDone for I {
    fn rposition_done(self, before: Moment) -> Option<usize> {
        let done =
            |(place, version): (usize, &Version)| version.done.is_some_and(|at| at < before).then_some(place);
        self.enumerate().filter_map(done).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { image: 0, scope: 1, attribute: 0 };

    #[test]
    fn a_fix_may_count_from_its_beginning_and_must_count_from_its_end() {
        let ledger = Ledger::default();
        let set = |value: &str| Some(value.to_owned());
        let before = ledger.now();
        ledger.begin(PLACE, set("a"));
        let between = ledger.now();
        ledger.done(PLACE);
        let after = ledger.now();
        ledger.begin(PLACE, None);
        let withdrawing = ledger.now();

        assert_eq!(ledger.possible(PLACE, before, before), [None]);
        assert_eq!(ledger.possible(PLACE, before, between), [None, set("a")]);
        assert_eq!(ledger.possible(PLACE, between, between), [None, set("a")]);
        assert_eq!(ledger.possible(PLACE, after, after), [set("a")]);
        assert_eq!(ledger.possible(PLACE, after, withdrawing), [set("a"), None]);
        ledger.done(PLACE);
        let end = ledger.now();
        assert_eq!(ledger.possible(PLACE, end, end), [None]);
        assert_eq!(ledger.possible(PLACE, between, end), [None, set("a"), None]);
        assert_eq!(ledger.possible(Place { image: 1, ..PLACE }, before, end), [None]);
    }
}
