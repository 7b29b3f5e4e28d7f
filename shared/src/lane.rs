//! Lanes: the queues that keep small scrapes from waiting behind large ones.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the job queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Small scrapes, and whatever a person waits for.
    Express,
    /// Ordinary inventories.
    Standard,
    /// Very large inventories and back-fill.
    Bulk,
}

impl Lane {
    /// Every lane, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Express, Self::Standard, Self::Bulk];

    /// The lane's word in queue names, metrics and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Standard => "standard",
            Self::Bulk => "bulk",
        }
    }

    /// The lane of this word; of one that only a later version knows, the lane that hurts nobody.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|lane| lane.as_str() == word).unwrap_or(Self::Bulk)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Shares of the lanes when all of them have jobs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneWeights {
    /// Of [`Lane::Express`].
    pub express: u32,
    /// Of [`Lane::Standard`].
    pub standard: u32,
    /// Of [`Lane::Bulk`].
    pub bulk: u32,
}

impl LaneWeights {
    /// The weight of one lane; 0 means that the worker does not consume it.
    pub fn of(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Express => self.express,
            Lane::Standard => self.standard,
            Lane::Bulk => self.bulk,
        }
    }
}

/// Smooth weighted round robin over the lanes (the algorithm of nginx's upstream
/// balancer: each gains its weight, the richest is taken and pays the sum).
///
/// Work-conserving: a lane that wants nothing leaves its share to the others.
#[derive(Clone, Debug)]
pub struct Shares {
    weights: LaneWeights,
    credit: [i64; Lane::ALL.len()],
}

impl Shares {
    /// Nobody has had a turn yet.
    pub fn new(weights: LaneWeights) -> Self {
        Self { weights, credit: Default::default() }
    }

    /// The lane whose turn it is, of those that want one.
    pub fn next(&mut self, wants: impl Fn(Lane) -> bool) -> Option<Lane> {
        let mut total = 0;
        let mut richest: Option<Lane> = None;
        for lane in Lane::ALL.into_iter().filter(|&lane| wants(lane)) {
            // Who is here although its weight is 0 gets a turn now and then.
            let weight = i64::from(self.weights.of(lane)).max(1);
            self.credit[lane as usize] += weight;
            total += weight;
            if richest.is_none_or(|best| self.credit[lane as usize] > self.credit[best as usize]) {
                richest = Some(lane);
            }
        }
        self.credit[richest? as usize] -= total;
        richest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(wanting: &[Lane], rounds: usize) -> [usize; 3] {
        let mut shares = Shares::new(LaneWeights { express: 6, standard: 3, bulk: 1 });
        let mut counts = [0; 3];
        for _ in 0..rounds {
            counts[shares.next(|lane| wanting.contains(&lane)).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn a_word_of_a_later_version_is_the_lane_that_hurts_nobody() {
        assert_eq!(Lane::ALL.map(|lane| Lane::of_word(lane.as_str())), Lane::ALL);
        assert_eq!(Lane::of_word("hyperspace"), Lane::Bulk);
    }

    #[test]
    fn busy_lanes_share_by_weight() {
        assert_eq!(turns(&Lane::ALL, 100), [60, 30, 10]);
    }

    #[test]
    fn a_lane_that_wants_nothing_leaves_its_share_to_the_others() {
        assert_eq!(turns(&[Lane::Standard, Lane::Bulk], 100), [0, 75, 25]);
        assert_eq!(turns(&[Lane::Bulk], 100), [0, 0, 100]);
    }

    #[test]
    fn nobody_wants_a_turn() {
        assert_eq!(Shares::new(LaneWeights { express: 6, standard: 3, bulk: 1 }).next(|_| false), None);
    }
}
