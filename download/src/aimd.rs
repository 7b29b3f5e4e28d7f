//! How much a host is asked for: a little more with each answer, half when it has enough.

use std::time::Instant;

/// Additive increase, multiplicative decrease, between a floor and a ceiling.
///
/// It begins at the ceiling: that is what the operator holds for polite. It is
/// halved once for what was asked before the last halving, however many of
/// those questions end badly: they say nothing of what holds since.
#[derive(Clone, Debug)]
pub struct Aimd {
    now: f64,
    floor: f64,
    ceiling: f64,
    step: f64,
    halved: Option<Instant>,
}

impl Aimd {
    /// Between `floor` and `ceiling`; as many answers in a row as it says are
    /// worth one `step`.
    pub fn new(floor: f64, ceiling: f64, step: f64) -> Self {
        Self { now: ceiling, floor: floor.min(ceiling), ceiling, step, halved: None }
    }

    /// Of downloads at the same time: one more for each round of answers.
    pub fn of_permits(ceiling: usize) -> Self {
        Self::new(1.0, ceiling as f64, 1.0)
    }

    /// Of questions per second: from half of the ceiling back to it in half a minute.
    pub fn of_rate(ceiling: f64) -> Self {
        Self::new(1.0, ceiling, ceiling / 60.0)
    }

    /// The allowance: downloads at the same time, or questions per second.
    pub fn now(&self) -> f64 {
        self.now
    }

    /// Whether it is below its ceiling.
    pub fn is_limited(&self) -> bool {
        self.now < self.ceiling
    }

    /// [`Self::now`], rounded down.
    pub fn whole(&self) -> usize {
        self.now as usize
    }

    /// Notes an answer to what was asked at `asked`.
    pub fn answered(&mut self, asked: Instant) {
        if self.knows(asked) {
            self.now = (self.now + self.step / self.now).min(self.ceiling);
        }
    }

    /// Notes that what was asked at `asked` was too much, as is seen at `now`.
    pub fn refused(&mut self, asked: Instant, now: Instant) {
        if self.knows(asked) {
            self.now = (self.now / 2.0).max(self.floor);
            self.halved = Some(now);
        }
    }

    /// Whether it was asked under what holds now.
    fn knows(&self, asked: Instant) -> bool {
        self.halved.is_none_or(|halved| asked >= halved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_round_of_answers_is_worth_one_more() {
        let start = Instant::now();
        let mut permits = Aimd::of_permits(32);
        permits.refused(start, start);
        assert_eq!(permits.whole(), 16);

        (0..16).for_each(|_| permits.answered(start));
        assert_eq!(permits.whole(), 16);
        permits.answered(start);
        assert_eq!(permits.whole(), 17);
    }

    #[test]
    fn a_whole_round_that_is_refused_halves_it_once() {
        let asked = Instant::now();
        let refused = asked + Duration::from_secs(1);
        let mut permits = Aimd::of_permits(32);
        (0..32).for_each(|_| permits.refused(asked, refused));
        assert_eq!(permits.whole(), 16);

        (0..16).for_each(|_| permits.refused(refused, refused + Duration::from_secs(1)));
        assert_eq!(permits.whole(), 8);
    }

    #[test]
    fn a_rate_is_back_in_half_a_minute() {
        let now = Instant::now();
        for ceiling in [2.0, 10.0, 500.0] {
            let mut rate = Aimd::of_rate(ceiling);
            rate.refused(now, now);
            assert!((rate.now() - ceiling / 2.0).abs() < 1e-9);
            let mut seconds = 0.0;
            while rate.now() < ceiling {
                seconds += 1.0 / rate.now();
                rate.answered(now);
            }
            assert!((29.0..=32.0).contains(&seconds), "{seconds} s for {ceiling}");
        }
    }

    proptest! {
        /// Whatever a host does, in whatever order its answers come.
        #[test]
        fn it_stays_between_floor_and_ceiling_and_is_halved_once_a_round(
            ceiling in 1usize..200,
            ends in proptest::collection::vec((any::<bool>(), 0u64..50, 1u64..20), 0..300),
        ) {
            let start = Instant::now();
            let (mut permits, mut now, mut halved) = (Aimd::of_permits(ceiling), 50, None);
            for (refused, ago, later) in ends {
                now += later;
                let at = |millis| start + Duration::from_millis(millis);
                let (before, asked) = (permits.now(), now - ago);
                let same_round = halved.is_some_and(|halved| asked < halved);
                if refused {
                    permits.refused(at(asked), at(now));
                } else {
                    permits.answered(at(asked));
                }
                if same_round {
                    prop_assert_eq!(permits.now(), before, "it says nothing of what holds now");
                } else if refused {
                    prop_assert_eq!(permits.now(), (before / 2.0).max(1.0));
                    halved = Some(now);
                } else {
                    prop_assert!(permits.now() >= before && permits.now() <= before + 1.0);
                }
                prop_assert!((1..=ceiling).contains(&permits.whole()));
            }
        }
    }
}
