//! How soon the fleet was itself again, and said so: three figures, with a mark each.

use std::fmt;
use std::time::Duration;

use super::Measured;

/// Consumers are back within this time after the end of a fault.
const CONSUMERS_BACK: Duration = Duration::from_secs(5);
/// Readiness tells the truth within this time.
const READINESS: Duration = Duration::from_secs(2);

/// So many times a figure is measured before its median says something of the fleet, and not of the machine.
const ENOUGH: usize = 20;

/// Something that takes its time after a fault, measured at many of them.
pub(super) struct Figure {
    what: &'static str,
    mark: Duration,
    /// Ascending; what never came counts as an hour.
    seconds: Vec<f64>,
}

/// The three of a run.
pub(super) fn figures(measured: &[Measured]) -> [Figure; 3] {
    let figure = |what, mark, of_step: fn(&Measured) -> Option<Option<Duration>>| {
        let seconds = |took: Option<Duration>| took.map_or(3600.0, |took| took.as_secs_f64());
        let mut seconds: Vec<_> = measured.iter().filter_map(of_step).map(seconds).collect();
        seconds.sort_by(f64::total_cmp);
        Figure { what, mark, seconds }
    };
    [
        figure("consumers back after the end", CONSUMERS_BACK, |step| Some(step.consumers)),
        figure("readiness: away", READINESS, |step| step.unready),
        figure("readiness: back", READINESS, |step| Some(step.ready)),
    ]
}

impl Figure {
    /// In words, where it was measured often enough and most were late. A busy machine makes some late, and not most.
    pub(super) fn too_slow(&self) -> Option<String> {
        let (times, median) = (self.seconds.len(), self.at(0.5));
        let told =
            || format!("{}: median {median:.2} s of {times}, mark {} s", self.what, self.mark.as_secs());
        (times >= ENOUGH && median > self.mark.as_secs_f64()).then(told)
    }

    /// What this share of all did not exceed.
    fn at(&self, share: f64) -> f64 {
        self.seconds.get((share * self.seconds.len() as f64) as usize).copied().unwrap_or_default()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = self.mark.as_secs_f64();
        write!(
            f,
            "{}: {} times, median {:.2} s, 95 % {:.2} s, longest {:.2} s; mark {mark} s, missed {} times",
            self.what,
            self.seconds.len(),
            self.at(0.5),
            self.at(0.95),
            self.seconds.last().unwrap_or(&0.0),
            self.seconds.iter().filter(|seconds| **seconds > mark).count(),
        )
    }
}

/// A step that was late with any of them, in words.
pub(super) fn late(step: &Measured) -> Option<String> {
    let late = step.consumers.is_none_or(|took| took > CONSUMERS_BACK)
        || step.unready.is_some_and(|took| took.is_none_or(|took| took > READINESS))
        || step.ready.is_none_or(|took| took > READINESS);
    let Measured { faults, consumers, unready, ready, .. } = step;
    let told = || {
        format!("{}: consumers {consumers:.2?}, unready {unready:.2?}, ready {ready:.2?}", faults.join(" + "))
    };
    late.then(told)
}
