//! What a host of pictures that was unwell excuses, and for how long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::chaos::fleet;
use crate::chaos::ledger::What;

/// How long a host that failed twenty times in a row is left alone (`PAUSE` of `download/src/health.rs`).
const PAUSE: Duration = Duration::from_secs(5);
/// The longest that a job waits between two tries while the database is away (`Backoff::for_outage`).
const TRIED_AGAIN: Duration = Duration::from_secs(3);
/// From the end of the work on a picture to its row, on a busy machine, and a margin.
const SETTLES: Duration = Duration::from_secs(4);

/// What counts against a host, and not against a picture alone: the host is left alone then.
const LEAVES_ALONE: [&str; 3] = ["server_error", "timeout", "connection"];

/// A fault as the ledger tells it.
#[derive(Default)]
pub struct Fault<'a> {
    /// The how-many-th.
    pub number: u32,
    /// When it began.
    pub begun: Timestamp,
    /// When it was over; none: never.
    pub ended: Option<Timestamp>,
    /// For which reasons pictures could not be had.
    pub spoils: &'a [String],
    /// Whether outcomes could not be written.
    pub holds: bool,
    /// It is no fault that was survived. What it has done before it failed counts all the same.
    pub failed: bool,
}

/// For so long a picture may end for this reason, because its host was unwell.
struct Excuse<'a> {
    reason: &'a str,
    from: Timestamp,
    until: Timestamp,
}

/// Those of a whole ledger.
pub struct Excuses<'a>(Vec<Excuse<'a>>);

impl<'a> Excuses<'a> {
    /// Those of all `faults`, which are in the order of their beginnings.
    pub fn of(faults: &[Fault<'a>]) -> Self {
        let of_fault = |fault: &Fault<'a>| {
            let excuse = |reason: &'a String| Excuse {
                reason,
                from: fault.begun,
                until: until(fault, reason, faults),
            };
            fault.spoils.iter().map(excuse).collect::<Vec<_>>()
        };
        Self(faults.iter().flat_map(of_fault).collect())
    }

    /// Whether a picture may come to its outcome at this time, for this reason.
    pub fn cover(&self, reason: &str, at: Timestamp) -> bool {
        self.0.iter().any(|excuse| excuse.reason == reason && excuse.from <= at && at <= excuse.until)
    }

    /// The same of a picture that is had at the second attempt only, published at `since`. Where its host was left
    /// alone for the attempts before, the last one is its own failure, whenever it gets there: jobs that come back
    /// wait behind all others of their lane.
    pub fn cover_late(&self, reason: &str, since: Timestamp, at: Timestamp) -> bool {
        let was_left_alone = |excuse: &Excuse<'_>| {
            LEAVES_ALONE.contains(&excuse.reason) && excuse.from <= at && since <= excuse.until
        };
        self.cover(reason, at) || reason == "server_error" && self.0.iter().any(was_left_alone)
    }
}

/// Until when a fault of the host excuses a picture.
///
/// The last question that it met has its answer, or has none, after `download.header_timeout`. What is noted against
/// the picture then is remembered for `work.remember_failures`. What is noted against the host has it left alone for
/// a pause, in which every attempt of a picture counts, until one question is answered: for two pauses, as the
/// picture of that question may be one that is had at the second attempt only. Delays of retries add nothing: whoever
/// comes back after that is asked for, from a host that is well. So the jobs that wait in queues do not count either.
///
/// An outcome that is clear by then, and that another fault keeps from being written, is written a moment after the end
/// of that one, unless the next one keeps it as well, and remembered from then on.
fn until(spoiling: &Fault<'_>, reason: &str, faults: &[Fault<'_>]) -> Timestamp {
    let answer = fleet::of_workers("download.header_timeout");
    let remembered = fleet::of_workers("work.remember_failures");
    let told = if LEAVES_ALONE.contains(&reason) { (2 * PAUSE).max(remembered) } else { remembered };
    let mut clear = after(spoiling.ended, answer + told);
    for fault in faults.iter().filter(|fault| fault.holds && fault.begun >= spoiling.begun) {
        if fault.begun <= clear {
            clear = clear.max(after(fault.ended, TRIED_AGAIN + remembered));
        }
    }
    after(Some(clear), SETTLES)
}

/// So long after the end of a fault; never where it has none.
fn after(ended: Option<Timestamp>, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    ended.and_then(|ended| ended.checked_add(time).ok()).unwrap_or(Timestamp::MAX)
}

impl<'a> Fault<'a> {
    /// Notes what a line of the ledger says of faults.
    pub fn note(faults: &mut Vec<Self>, at: Timestamp, what: &'a What) {
        let mut with = |wanted: u32, change: &dyn Fn(&mut Self)| {
            faults.iter_mut().filter(|fault| fault.number == wanted).for_each(change);
        };
        match what {
            What::FaultBegun { number, spoils, holds, .. } => {
                faults.push(Self { number: *number, begun: at, spoils, holds: *holds, ..Self::default() });
            }
            What::FaultFailed { number, .. } => with(*number, &|fault| fault.failed = true),
            What::FaultEnded { number, .. } => with(*number, &|fault| fault.ended = Some(at)),
            What::Published { .. } | What::Written { .. } | What::Announced { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenths: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + 100 * tenths).unwrap()
    }

    fn fault(begun: i64, ended: i64, spoils: &[String], holds: bool) -> Fault<'_> {
        Fault { begun: at(begun), ended: Some(at(ended)), spoils, holds, ..Fault::default() }
    }

    /// The last tenth of a second at which a picture may end for this reason.
    fn last(faults: &[Fault<'_>], reason: &str) -> Option<i64> {
        let excuses = Excuses::of(faults);
        (0..1000).rev().find(|&tenth| excuses.cover(reason, at(tenth)))
    }

    fn reasons(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_fault_excuses_what_it_can_cause_and_for_as_long_as_it_is_felt() {
        let spoils = reasons(&["not_an_image", "timeout"]);
        let faults = [fault(100, 130, &spoils, false)];

        assert_eq!(
            last(&faults, "not_an_image"),
            Some(130 + 20 + 20 + 40),
            "answer, memory, its way to the row"
        );
        assert_eq!(
            last(&faults, "timeout"),
            Some(130 + 20 + 100 + 40),
            "answer, two pauses, its way to the row"
        );
        assert_eq!(last(&faults, "gone"), None);
        assert!(!Excuses::of(&faults).cover("timeout", at(99)), "before it began");
    }

    #[test]
    fn an_outcome_that_cannot_be_written_is_excused_for_longer() {
        let (spoils, nothing) = (reasons(&["not_an_image"]), Vec::new());
        let with = |holding: &[(i64, i64)]| {
            let holding = holding.iter().map(|&(begun, ended)| fault(begun, ended, &nothing, true));
            last(
                &std::iter::once(fault(0, 10, &spoils, false)).chain(holding).collect::<Vec<_>>(),
                "not_an_image",
            )
        };

        assert_eq!(with(&[]), Some(90));
        assert_eq!(with(&[(51, 200)]), Some(90), "all is clear, and on its way");
        assert_eq!(with(&[(50, 150)]), Some(150 + 30 + 20 + 40));
        assert_eq!(with(&[(50, 150), (200, 300)]), Some(300 + 90), "and once more");
        assert_eq!(with(&[(50, 150), (201, 300)]), Some(240), "not for ever");
    }

    #[test]
    fn a_fault_without_an_end_excuses_to_the_end() {
        let spoils = reasons(&["timeout"]);
        let faults = [Fault { ended: None, ..fault(5, 5, &spoils, false) }];

        assert_eq!(last(&faults, "timeout"), Some(999));
    }

    #[test]
    fn a_picture_that_is_had_at_the_second_attempt_is_excused_where_the_first_ones_were_lost() {
        let (lying, down) = (reasons(&["not_an_image"]), reasons(&["server_error"]));
        let cover = |spoils: &[String], since, when| {
            Excuses::of(&[fault(100, 130, spoils, false)]).cover_late("server_error", at(since), at(when))
        };

        assert!(cover(&down, 50, 900), "it was published before, and waited long for its last attempt");
        assert!(!cover(&down, 50, 99), "it ended before");
        assert!(!cover(&down, 300, 900), "it was published later");
        assert!(!cover(&lying, 50, 900), "a host that lies is not left alone");
    }
}
