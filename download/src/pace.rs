//! How fast a host is.

use std::time::{Duration, Instant};

/// A host is judged by what it did in so long, and by a few downloads for each
/// of its permits: one that stumbles for a moment, or begins with a slow handshake,
/// is not taken for a slow one.
const WINDOW: Duration = Duration::from_secs(5);

/// Downloads for each permit before a host is judged.
const FOR_EACH_PERMIT: u32 = 2;

/// The mean time of downloads from one host, failures included.
#[derive(Debug)]
pub struct Pace {
    /// Downloads at the same time, at most.
    permits: usize,
    /// Of the last window that was full; nothing is known before.
    mean: Option<Duration>,
    window: Option<Window>,
}

/// Downloads that were seen together.
#[derive(Debug)]
struct Window {
    since: Instant,
    last: Instant,
    downloads: u32,
    took: Duration,
}

impl Pace {
    /// Of a host with so many permits at most.
    pub fn new(permits: usize) -> Self {
        Self { permits, mean: None, window: None }
    }

    /// Notes a download that ended now and took so long.
    pub fn ended(&mut self, took: Duration, now: Instant) {
        let started = now.checked_sub(took).unwrap_or(now);
        // What was before a long pause says nothing of now.
        let recent = self.window.take().filter(|window| started <= window.last + WINDOW);
        let mut window =
            recent.unwrap_or(Window { since: started, last: now, downloads: 0, took: Duration::ZERO });
        window.last = now;
        window.downloads += 1;
        window.took += took;
        let enough = FOR_EACH_PERMIT.saturating_mul(u32::try_from(self.permits).unwrap_or(u32::MAX));
        if window.downloads >= enough && now - window.since >= WINDOW {
            self.mean = Some(window.took / window.downloads);
        } else {
            self.window = Some(window);
        }
    }

    /// Downloads per second and permit; nothing is known before it was asked for
    /// a while.
    pub fn of_a_permit(&self) -> Option<f64> {
        self.mean.map(|mean| 1.0 / mean.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Downloads under 32 permits in so many seconds.
    fn in_seconds(pace: &Pace, seconds: f64) -> Option<u32> {
        pace.of_a_permit().map(|pace| (pace * 32.0 * seconds) as u32)
    }

    /// `downloads` at a host with 32 permits, which are all taken.
    fn serve(pace: &mut Pace, now: &mut Instant, downloads: u32, millis: u64) {
        let took = Duration::from_millis(millis);
        for _ in 0..downloads {
            *now += took / 32;
            pace.ended(took, *now);
        }
    }

    #[test]
    fn nothing_is_known_of_a_host_before_it_was_asked_for_a_while() {
        let (mut pace, mut now) = (Pace::new(32), Instant::now());
        serve(&mut pace, &mut now, 63, 5000);
        assert_eq!(in_seconds(&pace, 45.0), None);

        serve(&mut pace, &mut now, 1, 5000);
        assert_eq!(in_seconds(&pace, 45.0), Some(45 / 5 * 32));
    }

    #[test]
    fn a_fast_host_that_begins_slowly_or_stumbles_is_not_a_slow_one() {
        let (mut pace, mut now) = (Pace::new(32), Instant::now());
        for _ in 0..3 {
            serve(&mut pace, &mut now, 32, 700);
            serve(&mut pace, &mut now, 4000, 50);
            assert!(in_seconds(&pace, 45.0) > Some(20_000), "{pace:?}");
            serve(&mut pace, &mut now, 32, 2000);
            serve(&mut pace, &mut now, 4000, 50);
            assert!(in_seconds(&pace, 45.0) > Some(20_000), "{pace:?}");
            now += 100 * WINDOW;
        }
    }

    #[test]
    fn a_host_that_gets_slow_is_found_so_and_one_that_gets_fast_again() {
        let (mut pace, mut now) = (Pace::new(32), Instant::now());
        serve(&mut pace, &mut now, 4000, 50);
        serve(&mut pace, &mut now, 200, 4500);
        assert_eq!(in_seconds(&pace, 45.0), Some(320));

        serve(&mut pace, &mut now, 8000, 50);
        assert!(in_seconds(&pace, 45.0) > Some(20_000));
    }
}
