//! When a job that met a transient failure is tried again, and how often.

use std::time::Duration;

use tagfleet_download::{Attempt, Transient};
use tagfleet_shared::broker::Topology;

/// The longest that a job is put off without its counting as an attempt: no
/// host keeps a picture, and its scrape, waiting for ever.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(6 * 3600);

/// Who is put off because a host is slow comes back after this at first, and then
/// after as long again as it has been away at most: a host that was slow for a
/// moment only keeps nobody for long.
const FIRST_HINT: Duration = Duration::from_secs(30);

/// When jobs come back.
#[derive(Clone, Debug)]
pub struct Retries {
    /// Ascending: as many attempts follow the first.
    attempts: Vec<Duration>,
    /// Those and longer ones: a queue for each.
    queues: Vec<Duration>,
}

/// One more try of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The delay of the retry queue that it waits in.
    pub delay: Duration,
    /// The attempts that the job has behind it then.
    pub attempt: u32,
    /// It is not to be worked on before so long, where that is longer: it comes
    /// back, and goes on its way.
    pub not_before: Option<Duration>,
}

impl Retry {
    /// How long it is until the next try: the longer of the two.
    pub fn wait(&self) -> Duration {
        self.not_before.map_or(self.delay, |wait| wait.max(self.delay))
    }
}

impl Retries {
    /// Of `broker.retry_delays`, ascending.
    pub fn new(attempts: Vec<Duration>) -> Self {
        let queues = Topology::delays(&attempts);
        Self { attempts, queues }
    }

    /// How to go on with a job that had `attempt` attempts before, and was put
    /// off for the first time `put_off` ago. `None`: this was its last attempt,
    /// or the server was asked for it, and wants that later than anybody waits.
    ///
    /// The delay is longer with each attempt, and never shorter than the server
    /// asked for, if any is. Who was put off has not had an attempt.
    pub fn after(&self, attempt: u32, put_off: Option<Duration>, transient: &Transient) -> Option<Retry> {
        let ago = put_off.unwrap_or_default();
        let patient = transient.attempt == Attempt::PutOff && ago <= LONGEST_PUT_OFF;
        let had = if patient { 0 } else { attempt as usize };
        let least = *self.attempts.get(had)?;
        let attempt = attempt + u32::from(!patient);
        let Some(asked) = transient.retry_after else {
            let hint = transient.come_back.filter(|_| patient).unwrap_or_default();
            let delay = self.queue(least.max(hint.min(ago.max(FIRST_HINT))));
            return Some(Retry { delay, attempt, not_before: None });
        };
        let left = LONGEST_PUT_OFF.saturating_sub(ago);
        if asked > left && transient.attempt == Attempt::Asked {
            return None;
        }
        // The time was named for another picture: this one is asked for before anybody gives it up.
        let asked = asked.min(left);
        let delay = self.queue(least.max(asked));
        Some(Retry { delay, attempt, not_before: (asked > delay).then_some(asked) })
    }

    /// How to go on with a job that is not to be worked on for so long.
    pub fn on_the_way(&self, attempt: u32, left: Duration) -> Retry {
        Retry { delay: self.queue(left), attempt, not_before: None }
    }

    /// The longest delay that is over by then, or the shortest.
    fn queue(&self, wait: Duration) -> Duration {
        let longer = self.queues.partition_point(|&delay| delay <= wait);
        self.queues.get(longer.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagfleet_download::{Cause, Limit};

    const SECOND: Duration = Duration::from_secs(1);

    fn retries() -> Retries {
        Retries::new([5, 30, 120].map(Duration::from_secs).to_vec())
    }

    fn transient(attempt: Attempt, retry_after: Option<u32>) -> Transient {
        let retry_after = retry_after.map(|seconds| SECOND * seconds);
        Transient { retry_after, attempt, ..Cause::ServerError(503).into() }
    }

    fn retry(delay: u32, attempt: u32) -> Option<Retry> {
        Some(Retry { delay: SECOND * delay, attempt, not_before: None })
    }

    /// The job comes back earlier, and goes on its way.
    fn retry_by(delay: u32, attempt: u32, not_before: u32) -> Option<Retry> {
        Some(Retry { delay: SECOND * delay, attempt, not_before: Some(SECOND * not_before) })
    }

    #[test]
    fn the_delay_is_longer_with_each_attempt_and_never_shorter_than_the_server_asked_for() {
        let after = |attempt, asked| retries().after(attempt, None, &transient(Attempt::Asked, asked));

        assert_eq!(after(0, None), retry(5, 1));
        assert_eq!(after(1, None), retry(30, 2));
        assert_eq!(after(2, Some(1)), retry(120, 3));
        assert_eq!(after(3, None), None);
        assert_eq!(after(0, Some(6)), retry_by(5, 1, 6));
        assert_eq!(after(1, Some(120)), retry(120, 2));
        assert_eq!(after(0, Some(3600)), retry_by(1920, 1, 3600), "longer than the longest delay");
    }

    /// Whatever is named, and whatever the delays are.
    #[test]
    fn a_job_is_never_asked_for_before_the_second_that_its_server_named_nor_long_after() {
        for asked in (1..4000).chain((4000..=21_600).step_by(77)) {
            let first = retries().after(0, None, &transient(Attempt::Asked, Some(asked))).unwrap();
            let (mut passed, mut visits) = (first.delay, 1);
            if first.not_before.is_some() {
                while let Some(left) = (SECOND * asked).checked_sub(passed).filter(|left| !left.is_zero()) {
                    passed += retries().on_the_way(1, left).delay;
                    visits += 1;
                }
            }
            let late = passed.checked_sub(SECOND * asked).expect("not before its time");
            assert!(late < SECOND * 5, "{late:?} after {asked} s");
            assert!(visits <= 27, "{visits} visits for {asked} s");
        }
    }

    #[test]
    fn who_was_put_off_has_not_had_an_attempt() {
        let put_off = transient(Attempt::PutOff, Some(15));
        for attempt in 0..5 {
            let after = |ago| retries().after(attempt, ago, &put_off);
            assert_eq!(after(None), retry_by(5, attempt, 15), "not even the last one");
            assert_eq!(after(Some(LONGEST_PUT_OFF - SECOND * 15)), retry_by(5, attempt, 15));
        }
    }

    /// There may be room earlier: it is worth a look.
    #[test]
    fn who_waits_for_room_comes_back_no_later_than_there_may_be_some() {
        let after_being_away = |away: Option<u64>, seconds: u64| {
            let come_back = Some(Duration::from_secs(seconds));
            let cause = Cause::Timeout(Limit::Turn);
            retries().after(
                0,
                away.map(Duration::from_secs),
                &Transient { come_back, attempt: Attempt::PutOff, ..cause.into() },
            )
        };

        let after = |seconds| after_being_away(Some(3600), seconds);
        assert_eq!([after(1), after(30), after(479)], [retry(5, 0), retry(30, 0), retry(120, 0)]);
        assert_eq!([after(480), after(100_000)], [retry(480, 0), retry(1920, 0)]);
        // And no later than as long again as it has been away.
        let after = |away| after_being_away(away, 100_000);
        assert_eq!([after(None), after(Some(119))], [retry(30, 0), retry(30, 0)]);
        assert_eq!([after(Some(120)), after(Some(480))], [retry(120, 0), retry(480, 0)]);
    }

    #[test]
    fn no_job_is_put_off_for_longer_than_six_hours() {
        let after = |attempt, asked| {
            let ago = Some(SECOND * 6 * 3600 + SECOND);
            retries().after(attempt, ago, &transient(Attempt::PutOff, asked))
        };

        assert_eq!(after(0, None), retry(5, 1));
        assert_eq!(after(3, None), None);
        assert_eq!(after(0, Some(1)), retry(5, 1), "it has its attempts, and no more");
        let asked = transient(Attempt::Asked, Some(6 * 3600 + 1));
        assert_eq!(retries().after(0, None, &asked), None);
    }

    /// The answer for another one may have meant that alone.
    #[test]
    fn no_picture_ends_that_was_not_asked_for_because_its_host_named_a_late_time() {
        for attempt in [Attempt::PutOff, Attempt::LeftAlone] {
            let a_day = transient(attempt, Some(24 * 3600));
            let counted = u32::from(attempt == Attempt::LeftAlone);
            let after = |ago| retries().after(0, Some(ago), &a_day);

            assert_eq!(after(SECOND), retry_by(1920, counted, 6 * 3600 - 1));
            assert_eq!(after(LONGEST_PUT_OFF - SECOND * 7), retry_by(5, counted, 7));
            assert_eq!(after(LONGEST_PUT_OFF), retry(5, counted));
        }
        let told = transient(Attempt::Asked, Some(24 * 3600));
        assert_eq!(retries().after(0, None, &told), None);
    }

    #[test]
    fn the_pictures_of_a_host_that_fails_again_and_again_come_to_an_end() {
        let left_alone = Transient { come_back: Some(SECOND * 9), ..transient(Attempt::LeftAlone, None) };
        let after = |attempt| retries().after(attempt, None, &left_alone);

        assert_eq!(after(0), retry(5, 1));
        assert_eq!(after(3), None);
    }
}
