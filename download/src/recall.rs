//! When to come back, for those for whom a host has no room now.

use std::time::{Duration, Instant};

/// Who is put off stays away for about this long at least, so that the line has
/// room again; and comes back before it has run dry.
const SHORTEST: Duration = Duration::from_secs(30);

/// So many times as many come back from each delay as the host serves until those
/// with the next longer one do: it does not run dry.
const MARGIN: f64 = 1.5;

/// So many with one delay cost nothing, however slow the host is.
const FEW: f64 = 256.0;

/// Spreads those who are put off over the delays of the retry queues.
///
/// If all of a large back-fill came back in half a minute, nearly all would come
/// in vain. So a delay takes as many as the host serves until those with the next
/// longer delay are back, with a margin, and whoever comes then gets that one.
/// What comes back early goes by the host's pace, and not by the length of the
/// back-fill; the rest come back once in the longest delay. Where the host gets faster, those with
/// long delays come back no earlier.
#[derive(Debug)]
pub struct Recall(Vec<Rung>);

/// One delay, and those who are away for it, roughly.
#[derive(Debug)]
struct Rung {
    delay: Duration,
    /// The next longer delay.
    next: Duration,
    away: f64,
    since: Option<Instant>,
}

impl Recall {
    /// Over those of `delays`, ascending, that are long enough.
    pub fn new(delays: &[Duration]) -> Self {
        let too_short = delays.partition_point(|&delay| delay <= SHORTEST).saturating_sub(1);
        let delays = &delays[too_short..];
        let next = delays.iter().skip(1).chain(delays.last());
        let rung = |(&delay, &next)| Rung { delay, next, away: 0.0, since: None };
        Self(delays.iter().zip(next).map(rung).collect())
    }

    /// After how long one more comes back to a host that serves so many `per_second`.
    pub fn next(&mut self, per_second: f64, now: Instant) -> Duration {
        let longest = self.0.last().map_or(SHORTEST, |rung| rung.delay);
        let with_room = self.0.iter_mut().find_map(|rung| rung.take(per_second, now));
        with_room.unwrap_or(longest)
    }
}

impl Rung {
    fn take(&mut self, per_second: f64, now: Instant) -> Option<Duration> {
        let most = (MARGIN * per_second * self.next.as_secs_f64()).max(FEW);
        let passed = self.since.replace(now).map_or(0.0, |since| (now - since).as_secs_f64());
        self.away = (self.away - passed * most / self.delay.as_secs_f64()).max(0.0);
        (self.away + 1.0 <= most).then(|| {
            self.away += 1.0;
            self.delay
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BinaryHeap};

    const DELAYS: [Duration; 5] = [
        Duration::from_secs(5),
        Duration::from_secs(30),
        Duration::from_secs(120),
        Duration::from_secs(480),
        Duration::from_secs(1920),
    ];

    #[test]
    fn a_delay_takes_as_many_as_the_host_serves_until_the_next_one_is_over_with_a_margin() {
        let (mut recall, now) = (Recall::new(&DELAYS), Instant::now());
        let mut with = BTreeMap::<u64, usize>::new();
        (0..50_000).for_each(|_| *with.entry(recall.next(10.0, now).as_secs()).or_default() += 1);

        let expected = [(30, 1_800), (120, 7_200), (480, 28_800), (1920, 12_200)];
        assert_eq!(with.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_few_of_a_host_that_is_very_slow_come_back_soon() {
        let (mut recall, now) = (Recall::new(&DELAYS), Instant::now());
        assert!((0..256).all(|_| recall.next(0.01, now) == DELAYS[1]));
        assert_eq!(recall.next(0.01, now), DELAYS[2]);
    }

    #[test]
    fn there_is_a_delay_whatever_the_settings_are() {
        let next = |delays: &[u64]| {
            let delays: Vec<_> = delays.iter().map(|&seconds| Duration::from_secs(seconds)).collect();
            Recall::new(&delays).next(1.0, Instant::now()).as_secs()
        };
        assert_eq!([next(&[]), next(&[1, 2]), next(&[60]), next(&[1, 30, 31])], [30, 2, 60, 30]);
    }

    /// A back-fill of 100,000 on a host that serves 6.4 a second, for an hour:
    /// the line has room for what it serves in 45 seconds.
    #[test]
    fn a_large_back_fill_on_a_slow_host_costs_few_messages_and_the_host_is_never_idle() {
        let (mut recall, start) = (Recall::new(&DELAYS), Instant::now());
        let mut back = BinaryHeap::new();
        (0..100_000).for_each(|_| back.push(std::cmp::Reverse(0)));
        let (mut line, mut served, mut idle, mut visits) = (0.0_f64, 0.0, 0, 0);
        for second in 0..3600 {
            while back.peek().is_some_and(|at| at.0 <= second) {
                back.pop();
                if second > 0 {
                    visits += 1;
                }
                if line < 45.0 * 6.4 {
                    line += 1.0;
                } else {
                    let delay = recall.next(6.4, start + Duration::from_secs(second));
                    back.push(std::cmp::Reverse(second + delay.as_secs()));
                }
            }
            idle += u32::from(line < 6.4);
            let now = line.min(6.4);
            served += now;
            line -= now;
        }
        assert_eq!(idle, 0);
        assert!(served > 22_900.0, "{served}");
        assert!(visits / 3600 < 150, "{} messages a second", visits / 3600);
    }
}
