//! Acknowledgements, many at a time.

use std::collections::{BTreeMap, BTreeSet};

/// Which deliveries of one channel are settled, and how to tell the broker in
/// as few frames as possible.
///
/// Delivery tags of a channel count up from 1. Everything below `first_open`
/// is settled.
#[derive(Debug)]
pub struct AckTracker {
    first_open: u64,
    /// Settled tags above `first_open` that the broker does not know of yet.
    kept: BTreeSet<u64>,
    /// Settled tags above `first_open` that were acknowledged one by one.
    told: Runs,
    /// So many tags are kept at most.
    keep: usize,
}

/// Numbers in runs without gaps, from the first of each to its last: between
/// two of them is a job at work, so there are never many, however long one job
/// is held.
#[derive(Debug, Default)]
struct Runs(BTreeMap<u64, u64>);

impl Runs {
    fn insert(&mut self, number: u64) {
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        match self.0.range_mut(..number).next_back() {
            Some((_, before)) if *before + 1 == number => *before = last,
            _ => {
                self.0.insert(number, last);
            }
        }
    }

    /// Takes out the run that begins with `number`; its last one.
    fn remove(&mut self, number: u64) -> Option<u64> {
        self.0.remove(&number)
    }
}

/// What to send to the broker.
#[derive(Debug, PartialEq, Eq)]
pub struct Acks {
    /// Acknowledges this tag and every open one below it.
    pub up_to: Option<u64>,
    /// Tags behind a job that is still at work.
    pub single: Vec<u64>,
}

impl AckTracker {
    /// Tags behind a job that is still at work are kept back, since one frame
    /// may soon do for all; but at most `keep` of them, or one slow download
    /// would fill the prefetch window with finished work.
    pub fn new(keep: usize) -> Self {
        Self { first_open: 1, kept: BTreeSet::new(), told: Runs::default(), keep }
    }

    /// Takes newly settled tags, in any order.
    pub fn settle(&mut self, tags: Vec<u64>) -> Acks {
        self.kept.extend(tags);
        let mut up_to = None;
        loop {
            if self.kept.remove(&self.first_open) {
                // The tag of a `multiple` must itself be open, so it is never
                // one that was told.
                up_to = Some(self.first_open);
                self.first_open += 1;
            } else if let Some(last) = self.told.remove(self.first_open) {
                self.first_open = last + 1;
            } else {
                break;
            }
        }
        let single = if self.kept.len() > self.keep { self.tell() } else { Vec::new() };
        Acks { up_to, single }
    }

    /// From now on every tag behind a job at work is kept back: nothing more is delivered, so finished
    /// work is in nobody's way.
    pub fn keep_all(&mut self) {
        self.keep = usize::MAX;
    }

    /// Whether anything is kept back.
    pub fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// How many the broker was told of.
    pub fn told(&self) -> u64 {
        self.first_open - 1 + self.told.0.iter().map(|(first, last)| last - first + 1).sum::<u64>()
    }

    /// What is still kept back when the channel is about to close.
    pub fn finish(mut self) -> Vec<u64> {
        self.tell()
    }

    /// Everything that is kept back.
    pub fn tell(&mut self) -> Vec<u64> {
        let single: Vec<u64> = std::mem::take(&mut self.kept).into_iter().collect();
        single.iter().for_each(|&tag| self.told.insert(tag));
        single
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn acks(up_to: Option<u64>, single: &[u64]) -> Acks {
        Acks { up_to, single: single.to_vec() }
    }

    #[test]
    fn a_run_without_gaps_is_one_ack() {
        let mut tracker = AckTracker::new(0);
        assert_eq!(tracker.settle(vec![3, 1, 2]), acks(Some(3), &[]));
        assert_eq!(tracker.settle(vec![4]), acks(Some(4), &[]));
    }

    #[test]
    fn tags_behind_a_gap_wait_for_it_to_close() {
        let mut tracker = AckTracker::new(2);
        assert_eq!(tracker.settle(vec![1, 3, 4]), acks(Some(1), &[]));
        assert_eq!(tracker.settle(vec![2]), acks(Some(4), &[]));
        assert_eq!(tracker.settle(vec![6, 7]), acks(None, &[]));
        assert_eq!(tracker.finish(), [6, 7]);
    }

    #[test]
    fn whoever_stops_tells_of_all_that_it_had_at_once() {
        let mut tracker = AckTracker::new(1);
        assert_eq!(tracker.settle(vec![2, 3]), acks(None, &[2, 3]));
        tracker.keep_all();
        assert_eq!(tracker.settle((5..100).rev().collect()), acks(None, &[]));
        assert_eq!(tracker.settle(vec![4]), acks(None, &[]));
        assert_eq!(tracker.settle(vec![1]), acks(Some(99), &[]));
        assert!(tracker.finish().is_empty());
    }

    #[test]
    fn too_many_tags_behind_a_gap_are_acknowledged_one_by_one() {
        let mut tracker = AckTracker::new(1);
        assert_eq!(tracker.settle(vec![1, 3, 4]), acks(Some(1), &[3, 4]));
        assert_eq!(tracker.settle(vec![2]), acks(Some(2), &[]));
        assert_eq!(tracker.settle(vec![5, 6]), acks(Some(6), &[]));
    }

    /// One job that is held for an hour costs no memory.
    #[test]
    fn what_is_told_behind_a_gap_is_one_run_however_much_it_is() {
        let mut tracker = AckTracker::new(3);
        for first in (2..10_000).step_by(4) {
            tracker.settle((first..first + 4).rev().collect());
        }
        assert_eq!(tracker.told.0.len(), 1);
        assert!(tracker.kept.len() <= 3);
        assert_eq!(tracker.settle(vec![1]).up_to, Some(1));
        assert!(tracker.told.0.is_empty());
    }

    /// Runs hold what a set of single numbers would.
    #[test]
    fn runs_hold_the_same_numbers_as_a_set() {
        let mut seed = 11u64;
        for _ in 0..300 {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for _ in 0..60 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let number = 1 + (seed >> 33) % 50;
                if set.insert(number) {
                    runs.insert(number);
                }
                if seed >> 62 == 0 {
                    let last = runs.remove(number);
                    let begins = !set.contains(&(number - 1));
                    assert_eq!(last.is_some(), begins, "{number} of {set:?}");
                    last.into_iter().flat_map(|last| number..=last).for_each(|n| assert!(set.remove(&n)));
                }
                let held: BTreeSet<_> = runs.0.iter().flat_map(|(&first, &last)| first..=last).collect();
                assert_eq!(held, set);
                let gaps = runs.0.iter().zip(runs.0.iter().skip(1));
                assert!(gaps.into_iter().all(|((_, last), (first, _))| last + 1 < *first), "{runs:?}");
            }
        }
    }

    proptest! {
        /// Every delivery is acknowledged exactly once, and none before it is
        /// settled, whatever the order, the batches and what may be kept back.
        #[test]
        fn every_order_acknowledges_each_tag_once(
            order in Just((1..=60).collect::<Vec<u64>>()).prop_shuffle(),
            cuts in vec(1..8_usize, 60),
            keep in 0..12_usize,
            stop in 0..70_usize,
        ) {
            let (mut acknowledged, mut settled) = (BTreeSet::new(), BTreeSet::new());
            let (mut tracker, mut rest, mut cuts) = (AckTracker::new(keep), &order[..], cuts.into_iter());
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = after;
                let stopped = settled.len() >= stop;
                if stopped {
                    tracker.keep_all();
                }
                settled.extend(batch.iter().copied());
                let acks = tracker.settle(batch.to_vec());
                if let Some(up_to) = acks.up_to {
                    prop_assert!(!acknowledged.contains(&up_to), "the tag of a multiple is open");
                    prop_assert!((1..=up_to).all(|tag| settled.contains(&tag)), "{} is not settled", up_to);
                    acknowledged.extend(1..=up_to);
                }
                let singles = acks.single.len();
                for tag in acks.single {
                    prop_assert!(settled.contains(&tag) && acknowledged.insert(tag), "tag {}", tag);
                }
                prop_assert_eq!(tracker.told(), acknowledged.len() as u64);
                prop_assert!(stopped || settled.len() - acknowledged.len() <= keep, "too many are kept back");
                prop_assert!(!stopped || singles == 0, "one by one after a stop");
            }
            for tag in tracker.finish() {
                prop_assert!(acknowledged.insert(tag), "tag {} twice", tag);
            }
            prop_assert_eq!(acknowledged.len(), order.len());
        }
    }
}
