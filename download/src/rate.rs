//! How often a host is asked, where that is limited.

use std::time::{Duration, Instant};

use super::aimd::Aimd;

/// The questions to one host, evenly spread: as a host that limits its rate
/// counts them, whatever its window is, and without a burst.
#[derive(Debug)]
pub struct Rate {
    per_second: Aimd,
    next: Option<Instant>,
}

impl Rate {
    /// At most `ceiling` questions per second; less while the host has enough.
    pub fn new(ceiling: f64) -> Self {
        Self { per_second: Aimd::of_rate(ceiling), next: None }
    }

    /// Books the next question, and says how long to wait for it; none that is more than `longest`
    /// away. Whoever books one and goes away without asking leaves a moment that nobody uses, so the
    /// fewer are booked the better.
    pub fn book(&mut self, now: Instant, longest: Duration) -> Option<Duration> {
        let at = self.next.map_or(now, |next| next.max(now));
        let wait = at - now;
        if wait > longest {
            return None;
        }
        self.next = Some(at + Duration::from_secs_f64(1.0 / self.per_second()));
        Some(wait)
    }

    /// Questions per second, now.
    pub fn per_second(&self) -> f64 {
        self.per_second.now()
    }

    /// Whether it is below its ceiling, because the host had enough.
    pub fn is_limited(&self) -> bool {
        self.per_second.is_limited()
    }

    /// The questions per second, to be told of answers and refusals.
    pub fn aimd(&mut self) -> &mut Aimd {
        &mut self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(400);

    #[test]
    fn questions_are_evenly_spread() {
        let (mut rate, start) = (Rate::new(10.0), Instant::now());
        let waits: Vec<_> = (0..5).map(|_| rate.book(start, LONGEST).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 300, 400]);

        // A quiet time is not made up for.
        let later = start + Duration::from_secs(60);
        let waits = [rate.book(later, LONGEST), rate.book(later, LONGEST)];
        assert_eq!(waits.map(|wait| wait.unwrap().as_millis()), [0, 100]);
    }

    /// However many come, and whether they wait or go away.
    #[test]
    fn no_question_is_booked_that_is_too_far_away() {
        let (mut rate, start) = (Rate::new(10.0), Instant::now());
        assert_eq!((0..1000).filter_map(|_| rate.book(start, LONGEST)).count(), 5);

        let later = start + Duration::from_millis(450);
        assert_eq!(rate.book(later, LONGEST), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_host_that_has_enough_is_asked_half_as_often() {
        let (mut rate, start) = (Rate::new(10.0), Instant::now());
        rate.aimd().refused(start, start);

        let waits: Vec<_> = (0..3).map(|_| rate.book(start, LONGEST).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 200, 400]);
    }
}
