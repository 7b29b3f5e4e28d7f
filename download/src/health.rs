//! How a host is: well, failing, or asking for patience.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::error::{Attempt, Cause, Transient};

/// Failures in a row, without an answer between them, after which a host is away.
pub const FAILURES: u32 = 20;

/// How long it is then left alone.
pub const PAUSE: Duration = Duration::from_secs(5);

/// The longest time that a host is believed to want peace for.
pub const LONGEST_NAMED: Duration = Duration::from_secs(24 * 3600);

/// A host that has answered for nothing in so long, and only asked for
/// patience, is taken for one that fails; not before the time that it has named.
const LONGEST_PATIENCE: Duration = Duration::from_secs(1800);

/// What is known of one host.
#[derive(Debug)]
pub struct Health {
    /// The longest that it is left alone because one of its pictures asked for it.
    longest_pause: Duration,
    /// In a row, without an answer between them.
    failures: u32,
    /// How long it is believed that it only asks for patience, since the first of them.
    patient_until: Option<Instant>,
    away: Option<Away>,
}

/// A host that is left alone.
#[derive(Debug)]
struct Away {
    since: Instant,
    until: Instant,
    cause: Cause,
    /// Whether it wants that itself.
    asked_for: bool,
    /// Whether it named the time.
    named: bool,
}

impl Health {
    /// Of a host that nobody has asked yet, and that no picture silences for longer than `longest_pause`.
    pub fn new(longest_pause: Duration) -> Self {
        Self { longest_pause, failures: 0, patient_until: None, away: None }
    }

    /// Whether the host may be asked.
    ///
    /// # Errors
    ///
    /// If it is away: what it failed with, and when to come back.
    pub fn here(&self, now: Instant) -> Result<(), Transient> {
        match &self.away {
            Some(away) if away.until > now => Err(self.sent_away(away, now)),
            _ => Ok(()),
        }
    }

    /// Whether it is away, or was and has not answered since: then one question at
    /// a time is enough to find out.
    pub fn in_doubt(&self) -> bool {
        self.away.is_some()
    }

    /// Whether anybody should wait until it may be asked: not for a host that
    /// has failed again and again, before the first answer after that.
    ///
    /// # Errors
    ///
    /// As [`Self::here`].
    pub fn worth_waiting_for(&self, now: Instant) -> Result<(), Transient> {
        match &self.away {
            Some(away) if self.failures >= FAILURES => Err(self.sent_away(away, now)),
            _ => Ok(()),
        }
    }

    /// Lets the pause be over, as if so much time had passed.
    #[cfg(test)]
    pub fn end_pause(&mut self) {
        let away = self.away.as_mut().expect("it is away");
        away.until = Instant::now();
    }

    fn sent_away(&self, away: &Away, now: Instant) -> Transient {
        // By when the pause began: one that is longer than our patience is kept as well.
        let patient = self.patient_until.is_some_and(|until| away.since <= until);
        let attempt = if away.asked_for && patient { Attempt::PutOff } else { Attempt::LeftAlone };
        let left = Some(away.until.saturating_duration_since(now));
        let (retry_after, come_back) = if away.named { (left, None) } else { (None, left) };
        Transient { cause: away.cause.clone(), retry_after, come_back, attempt }
    }

    /// Notes a failure of the host called `name`. The first one after a pause
    /// begins the next: `failures` goes back to 0 only with an answer.
    pub fn failed(&mut self, name: &str, failure: &Transient, now: Instant) {
        // The file is to blame, or the way: part of the body was there.
        if let Cause::Truncated { .. } = failure.cause {
            return;
        }
        self.failures += 1;
        let named = match failure.cause {
            Cause::Throttled(_) | Cause::ServerError(_) => failure.retry_after,
            _ => None,
        };
        let patient_until = self.patient_until.get_or_insert(now + LONGEST_PATIENCE);
        // It may mean this picture alone. So the host is asked for another one before that: if it meant
        // all of them it says so again, and has not failed.
        let pause = named.map(|named| named.min(self.longest_pause));
        if let Some(named) = named.filter(|named| *named > self.longest_pause) {
            *patient_until = (*patient_until).max(now + named.min(LONGEST_NAMED));
        }
        if pause.is_none() && self.failures < FAILURES {
            return;
        }
        let until = now + pause.unwrap_or(PAUSE);
        let asked_for = pause.is_some() || matches!(failure.cause, Cause::Throttled(_));
        match &self.away {
            // What it asked for holds, whatever else fails meanwhile.
            Some(away) if away.until >= until => return,
            Some(_) => {}
            None if asked_for => debug!(host = name, error = %failure.cause, "{name} asks for patience"),
            None => {
                warn!(host = name, error = %failure.cause, "{name} fails again and again, leaving it alone")
            }
        }
        let (cause, named) = (failure.cause.clone(), pause.is_some());
        self.away = Some(Away { since: now, until, cause, asked_for, named });
    }

    /// Notes an answer of the host called `name`.
    pub fn answered(&mut self, name: &str, now: Instant) {
        self.failures = 0;
        self.patient_until = None;
        // An answer to a question from before the pause does not end it.
        if self.away.take_if(|away| away.until <= now).is_some() {
            debug!(host = name, "{name} answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;

    const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

    fn well() -> (Health, Instant) {
        (Health::new(LONGEST_PAUSE), Instant::now())
    }

    fn fail(health: &mut Health, times: u32, now: Instant) {
        let timeout = Cause::Timeout(Limit::Headers).into();
        (0..times).for_each(|_| health.failed("cdn.example", &timeout, now));
    }

    fn ask_for(health: &mut Health, cause: Cause, seconds: u64, now: Instant) -> Transient {
        let retry_after = Some(Duration::from_secs(seconds));
        health.failed("cdn.example", &Transient { retry_after, ..cause.into() }, now);
        health.here(now).unwrap_err()
    }

    #[test]
    fn a_host_that_fails_many_times_in_a_row_is_left_alone_for_a_while() {
        let (mut health, start) = well();
        fail(&mut health, FAILURES, start);
        assert_eq!(health.here(start).unwrap_err().attempt, Attempt::LeftAlone);

        // The first failure after a pause begins the next one.
        let later = start + PAUSE;
        assert!(health.here(later).is_ok());
        assert!(health.worth_waiting_for(later).is_err());
        fail(&mut health, 1, later);
        assert!(health.here(later).is_err());

        health.answered("cdn.example", later + PAUSE);
        assert!(health.worth_waiting_for(later + PAUSE).is_ok());
        fail(&mut health, FAILURES - 1, later + PAUSE);
        assert!(health.here(later + PAUSE).is_ok());
    }

    #[test]
    fn a_host_that_asks_to_be_left_alone_is_but_not_for_ever() {
        let (mut health, now) = well();
        let mut ask = |seconds| ask_for(&mut health, Cause::Throttled(429), seconds, now).retry_after;

        assert_eq!(ask(7), Some(Duration::from_secs(7)));
        assert_eq!(ask(1_000_000), Some(LONGEST_PAUSE));
        assert_eq!(ask(1), Some(LONGEST_PAUSE), "a later failure does not cut it short");
    }

    /// One picture may have been meant, or the whole host: it is asked for another one to find out.
    #[test]
    fn the_pictures_of_a_host_that_named_a_late_time_are_put_off_until_then() {
        let (mut health, start) = well();
        let mut ask = |hours: u32, seconds| {
            ask_for(&mut health, Cause::Throttled(429), seconds, start + LONGEST_PAUSE * hours).attempt
        };

        assert_eq!(ask(0, 3 * 3600), Attempt::PutOff);
        assert_eq!(ask(1, 2 * 3600), Attempt::PutOff);
        assert_eq!(ask(2, 3600), Attempt::PutOff);
        assert_eq!(ask(3, 60), Attempt::PutOff);
        assert_eq!(ask(4, 60), Attempt::LeftAlone, "it was to answer an hour ago");
    }

    /// Whatever status it asked with.
    #[test]
    fn the_pictures_of_a_host_that_asks_for_patience_are_put_off() {
        for cause in [Cause::Throttled(429), Cause::ServerError(503)] {
            let (mut health, now) = well();
            assert_eq!(ask_for(&mut health, cause, 30, now).attempt, Attempt::PutOff);
        }
        let (mut health, now) = well();
        for _ in 0..FAILURES {
            health.failed("cdn.example", &Cause::Throttled(429).into(), now);
        }
        assert_eq!(health.here(now).unwrap_err().attempt, Attempt::PutOff);
    }

    #[test]
    fn a_host_that_only_asks_for_patience_for_half_an_hour_is_taken_for_one_that_fails() {
        let (mut health, start) = well();
        let mut ask = |after| ask_for(&mut health, Cause::ServerError(503), 60, start + after).attempt;

        assert_eq!(ask(Duration::ZERO), Attempt::PutOff);
        assert_eq!(ask(LONGEST_PATIENCE), Attempt::PutOff);
        assert_eq!(ask(LONGEST_PATIENCE + PAUSE), Attempt::LeftAlone);

        // An hour is kept from its first second to its last, if it is the first.
        let (mut health, start) = well();
        ask_for(&mut health, Cause::Throttled(429), 3600, start);
        let told = health.here(start + Duration::from_secs(3599)).unwrap_err();
        assert_eq!((told.attempt, told.retry_after), (Attempt::PutOff, Some(Duration::from_secs(1))));
        assert!(health.here(start + Duration::from_secs(3600)).is_ok());

        // As long as it answers now and then, its pictures get there one by one.
        health.answered("cdn.example", start + LONGEST_PATIENCE);
        let late = start + LONGEST_PATIENCE * 2;
        assert_eq!(ask_for(&mut health, Cause::ServerError(503), 60, late).attempt, Attempt::PutOff);
    }
}
