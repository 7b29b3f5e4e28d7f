//! Acknowledgements, many at a time.

use std::collections::BTreeSet;

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
    told: BTreeSet<u64>,
    /// So many tags are kept at most.
    keep: usize,
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
        Self { first_open: 1, kept: BTreeSet::new(), told: BTreeSet::new(), keep }
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
            } else if !self.told.remove(&self.first_open) {
                break;
            }
            self.first_open += 1;
        }
        let single = if self.kept.len() > self.keep { self.tell() } else { Vec::new() };
        Acks { up_to, single }
    }

    /// What is still kept back when the channel is about to close.
    pub fn finish(mut self) -> Vec<u64> {
        self.tell()
    }

    fn tell(&mut self) -> Vec<u64> {
        let single = self.kept.iter().copied().collect();
        self.told.append(&mut self.kept);
        single
    }
}

#[cfg(test)]
mod tests {
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
    fn too_many_tags_behind_a_gap_are_acknowledged_one_by_one() {
        let mut tracker = AckTracker::new(1);
        assert_eq!(tracker.settle(vec![1, 3, 4]), acks(Some(1), &[3, 4]));
        assert_eq!(tracker.settle(vec![2]), acks(Some(2), &[]));
        assert_eq!(tracker.settle(vec![5, 6]), acks(Some(6), &[]));
    }

    /// Every delivery is acknowledged exactly once, and none before it is
    /// settled, whatever the order.
    #[test]
    fn every_order_acknowledges_each_tag_once() {
        let mut seed = 7u64;
        for _ in 0..200 {
            let mut open: Vec<u64> = (1..=40).collect();
            let mut acknowledged = BTreeSet::new();
            let mut settled = BTreeSet::new();
            let mut tracker = AckTracker::new(seed as usize % 7);
            while !open.is_empty() {
                let mut batch = Vec::new();
                for _ in 0..=(seed % 5) {
                    if !open.is_empty() {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        batch.push(open.swap_remove((seed >> 33) as usize % open.len()));
                    }
                }
                settled.extend(batch.iter().copied());
                let acks = tracker.settle(batch);
                if let Some(up_to) = acks.up_to {
                    assert!(!acknowledged.contains(&up_to), "the tag of a multiple is open");
                    for tag in 1..=up_to {
                        assert!(settled.contains(&tag), "tag {tag} is not settled");
                        acknowledged.insert(tag);
                    }
                }
                for tag in acks.single {
                    assert!(settled.contains(&tag));
                    assert!(acknowledged.insert(tag), "tag {tag} twice");
                }
            }
            for tag in tracker.finish() {
                assert!(acknowledged.insert(tag), "tag {tag} twice");
            }
            assert_eq!(acknowledged.len(), 40);
        }
    }
}
