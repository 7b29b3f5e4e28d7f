//! The schedule of faults: the same for the same seed.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::faults::{Card, Fault, catalogue};
use crate::draw::Rng;

/// Faults that begin together, how long they last, and the time until the next.
pub struct Step {
    /// One, or some that meet different parts of the fleet.
    pub faults: Vec<Box<dyn Fault>>,
    /// How long they last, unless one of them needs more.
    pub lasts: Duration,
    /// From their end until the next begins.
    pub rest: Duration,
}

/// Deals faults: each kind once alone, then all of them again and again, alone and mixed.
pub struct Plan {
    rng: Rng,
    cards: Vec<Card>,
    /// The order of the cards, and the place of the next.
    order: Vec<usize>,
    next: usize,
    rounds: usize,
}

impl Plan {
    /// The schedule of this seed.
    pub fn new(seed: u64, brief: bool) -> Self {
        let mut rng = Rng::seed_from_u64(seed);
        let cards = catalogue(brief);
        let mut order: Vec<usize> = (0..cards.len()).collect();
        order.shuffle(&mut rng);
        Self { rng, cards, order, next: 0, rounds: 0 }
    }

    /// The next step: there is always one.
    pub fn step(&mut self) -> Step {
        let at_once = match self.rng.random_range(0..10) {
            _ if self.rounds == 0 => 1,
            0..6 => 1,
            6..9 => 2,
            _ => 3,
        };
        let mut faults = vec![self.draw()];
        let mut taken = faults[0].sites();
        for _ in 1..at_once {
            let fault = self.draw();
            let sites = fault.sites();
            if !sites.iter().any(|site| taken.contains(site)) {
                taken.extend(sites);
                faults.push(fault);
            }
        }
        Step {
            faults,
            lasts: Duration::from_millis(self.rng.random_range(200..2500)),
            rest: Duration::from_millis(self.rng.random_range(100..1000)),
        }
    }

    fn draw(&mut self) -> Box<dyn Fault> {
        if self.next == self.order.len() {
            self.order.shuffle(&mut self.rng);
            (self.next, self.rounds) = (0, self.rounds + 1);
        }
        self.next += 1;
        self.cards[self.order[self.next - 1]](&mut self.rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(seed: u64, steps: usize) -> Vec<Vec<String>> {
        let mut plan = Plan::new(seed, false);
        (0..steps).map(|_| plan.step().faults.iter().map(|fault| fault.name()).collect()).collect()
    }

    #[test]
    fn the_same_seed_deals_the_same_faults() {
        assert_eq!(names(1, 200), names(1, 200));
        assert_ne!(names(1, 200), names(2, 200));
    }

    #[test]
    fn every_kind_comes_alone_before_any_comes_again() {
        let kinds = catalogue(false).len();
        assert!(kinds >= 50, "{kinds}");
        assert!(names(1, kinds).iter().all(|step| step.len() == 1));
        assert!(names(1, 3 * kinds)[kinds..].iter().any(|step| step.len() > 1));
    }

    #[test]
    fn faults_at_the_same_time_meet_different_parts_of_the_fleet() {
        let mut plan = Plan::new(3, false);
        for _ in 0..500 {
            let mut sites: Vec<_> = plan.step().faults.iter().flat_map(|fault| fault.sites()).collect();
            let all = sites.len();
            sites.sort_by_key(|site| format!("{site:?}"));
            sites.dedup();
            assert_eq!(sites.len(), all);
        }
    }

    /// The steps that `make test` takes, as its script has them.
    fn of_make_test() -> (usize, u64) {
        let script = include_str!("../../../scripts/test.sh");
        let (_, options) = script.split_once("chaos --brief --steps ").unwrap();
        let (steps, seed) = options.lines().next().unwrap().split_once(" --seed ").unwrap();
        (steps.parse().unwrap(), seed.trim_end_matches(['}', ';', ' ']).parse().unwrap())
    }

    /// Another fault in the catalogue deals the same seed other faults: `make test` then needs another seed.
    #[test]
    fn what_make_test_does_meets_every_part_of_the_fleet() {
        let (steps, seed) = of_make_test();
        let mut plan = Plan::new(seed, true);
        let faults: Vec<_> = (0..steps).flat_map(|_| plan.step().faults).collect();
        let names: Vec<_> = faults.iter().map(|fault| fault.name()).collect();
        let some = |what: &str, kinds: &[&str]| {
            let is_there = names.iter().any(|name| kinds.iter().any(|kind| name.contains(kind)));
            assert!(is_there, "{what}: none of {kinds:?} in {names:?}");
        };

        some("a kill in mid-job", &["kill -9 at worker."]);
        some("a kill in mid-scrape", &["kill -9 at scheduler."]);
        some("a broker that is lost", &["to Broker cut", "connection closed from outside"]);
        some("a database that is unwell", &["to Database", "database connections exhausted", "read-only"]);
        some(
            "readiness that says so",
            &["to Broker cut", "to Database cut", "database connections exhausted"],
        );
    }
}
