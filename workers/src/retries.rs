//! When a job that met a transient failure is tried again, and how often.

use std::time::Duration;

use crate::download::{Attempt, Transient};

/// The longest that a job is put off without its counting as an attempt: no
/// host keeps a picture, and its scrape, waiting for ever.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(6 * 3600);

/// The delays of the retry queues, ascending: as many attempts follow the first.
#[derive(Clone, Debug)]
pub struct Retries(Vec<Duration>);

/// One more try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// After so long: one of the delays.
    pub delay: Duration,
    /// The attempts that the job has behind it then.
    pub attempt: u32,
}

impl Retries {
    /// As `broker.retry_delays`.
    pub fn new(delays: Vec<Duration>) -> Self {
        Self(delays)
    }

    /// The longest delay. A host that asks for more patience is asked again
    /// all the same.
    pub fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// How to go on with a job that had `attempt` attempts before, and was put
    /// off for the first time `put_off` ago. `None`: this was its last attempt.
    ///
    /// The delay is longer with each attempt, and never shorter than the server
    /// asked for, if any is. Who was put off has not had an attempt.
    pub fn after(&self, attempt: u32, put_off: Option<Duration>, transient: &Transient) -> Option<Again> {
        let patient =
            transient.attempt == Attempt::PutOff && put_off.is_none_or(|ago| ago <= LONGEST_PUT_OFF);
        let had = if patient { 0 } else { attempt as usize };
        let asked = transient.retry_after.unwrap_or_default();
        let delays = self.0.get(had..).filter(|delays| !delays.is_empty())?;
        let delay = delays.iter().copied().find(|&delay| delay >= asked).unwrap_or(self.longest());
        Some(Again { delay, attempt: attempt + u32::from(!patient) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::Cause;

    const SECOND: Duration = Duration::from_secs(1);

    fn retries() -> Retries {
        Retries::new([5, 30, 120].map(Duration::from_secs).to_vec())
    }

    fn transient(attempt: Attempt, retry_after: Option<u32>) -> Transient {
        let retry_after = retry_after.map(|seconds| SECOND * seconds);
        Transient { cause: Cause::ServerError(503), retry_after, attempt }
    }

    fn again(delay: u32, attempt: u32) -> Option<Again> {
        Some(Again { delay: SECOND * delay, attempt })
    }

    #[test]
    fn the_delay_is_longer_with_each_attempt_and_never_shorter_than_the_server_asked_for() {
        let after = |attempt, asked| retries().after(attempt, None, &transient(Attempt::Asked, asked));

        assert_eq!(after(0, None), again(5, 1));
        assert_eq!(after(1, None), again(30, 2));
        assert_eq!(after(2, Some(1)), again(120, 3));
        assert_eq!(after(3, None), None);
        assert_eq!(after(0, Some(6)), again(30, 1));
        assert_eq!(after(0, Some(1_000_000)), again(120, 1), "cut to the longest delay");
    }

    #[test]
    fn who_was_put_off_has_not_had_an_attempt() {
        let put_off = transient(Attempt::PutOff, Some(15));
        for attempt in 0..5 {
            let after = |ago| retries().after(attempt, ago, &put_off);
            assert_eq!(after(None), again(30, attempt), "not even the last one");
            assert_eq!(after(Some(LONGEST_PUT_OFF)), again(30, attempt));
        }
    }

    #[test]
    fn no_job_is_put_off_for_longer_than_six_hours() {
        let after = |attempt| {
            let ago = Some(SECOND * 6 * 3600 + SECOND);
            retries().after(attempt, ago, &transient(Attempt::PutOff, None))
        };

        assert_eq!(after(0), again(5, 1));
        assert_eq!(after(3), None);
    }

    #[test]
    fn the_pictures_of_a_host_that_fails_again_and_again_come_to_an_end() {
        let after = |attempt| retries().after(attempt, None, &transient(Attempt::LeftAlone, Some(5)));

        assert_eq!(after(0), again(5, 1));
        assert_eq!(after(3), None);
    }
}
