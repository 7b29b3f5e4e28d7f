//! The figures of a run, and what they are held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::checker::Verdict;
use super::ending::Open;

/// Consumers are back within this time after the end of a fault.
const CONSUMERS_BACK: Duration = Duration::from_secs(5);
/// Readiness tells the truth within this time.
const READINESS: Duration = Duration::from_secs(2);

/// How the name of a kill ends whose point nobody reached: the process was killed where it was.
pub const NOT_MET: &str = ", which did not come there";

/// What was measured of one fault, or of some at the same time.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// What they were.
    pub faults: Vec<String>,
    /// Those of them that did not begin, and why.
    pub failed: Vec<String>,
    /// What the fleet did in them that it must never do.
    pub violations: Vec<String>,
    /// From their end until the broker counted all consumers; none: never.
    pub consumers: Option<Duration>,
    /// From their beginning until those who were cut off said that they were not ready; none: they never did.
    pub unready: Option<Option<Duration>>,
    /// From the consumers' return until everybody said that they were ready; none: never.
    pub ready: Option<Duration>,
}

/// Everything that a run found.
#[derive(Debug)]
pub struct Report {
    /// Of each step.
    pub measured: Vec<Measured>,
    /// Of the ledger.
    pub verdict: Verdict,
    /// What was left over.
    pub violations: Vec<String>,
    /// What was open before the first fault, and after the last.
    pub open: (Open, Open),
    /// What was still open when the fleet had stopped.
    pub left_open: Open,
    /// From the first fault to the end of the last.
    pub took: Duration,
}

impl Report {
    /// Whether nothing is lost, unexpected, doubled or left over, and everybody came back and said so. How
    /// long that took is a figure with a mark, and no part of it.
    pub fn is_clean(&self) -> bool {
        let never =
            |step: &Measured| step.consumers.is_none() || step.ready.is_none() || step.unready == Some(None);
        let broken = |step: &Measured| never(step) || !step.violations.is_empty();
        self.verdict.is_clean() && self.violations.is_empty() && !self.measured.iter().any(broken)
    }

    /// The report in words.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{}", self.verdict)?;
        let faults = || self.measured.iter().flat_map(|step| &step.faults);
        let missed = faults().filter(|fault| fault.ends_with(NOT_MET)).count();
        let failed = || self.measured.iter().flat_map(|step| &step.failed);
        writeln!(
            text,
            "{} faults, of which {} did not begin, and {missed} killed at another point than was meant",
            faults().count(),
            failed().count()
        )?;
        failed().try_for_each(|failed| writeln!(text, "  did not begin: {failed}"))?;
        let of_steps = self.measured.iter().flat_map(|step| &step.violations);
        for line in self.verdict.told.iter().chain(of_steps).chain(&self.violations) {
            writeln!(text, "  {line}")?;
        }
        let figures = [
            ("consumers back after the end", CONSUMERS_BACK, self.each(|step| Some(step.consumers))),
            ("readiness: away", READINESS, self.each(|step| step.unready)),
            ("readiness: back", READINESS, self.each(|step| Some(step.ready))),
        ];
        for (what, mark, mut seconds) in figures {
            seconds.sort_by(f64::total_cmp);
            let (at, last) =
                (|share: f64| seconds.get((share * seconds.len() as f64) as usize), seconds.last());
            let late = seconds.iter().filter(|seconds| **seconds > mark.as_secs_f64()).count();
            writeln!(
                text,
                "{what}: {} times, median {:.2} s, 95 % {:.2} s, longest {:.2} s; mark {} s, missed {late} times",
                seconds.len(),
                at(0.5).unwrap_or(&0.0),
                at(0.95).unwrap_or(&0.0),
                last.unwrap_or(&0.0),
                mark.as_secs(),
            )?;
        }
        for step in &self.measured {
            let late = step.consumers.is_none_or(|took| took > CONSUMERS_BACK)
                || step.unready.is_some_and(|took| took.is_none_or(|took| took > READINESS))
                || step.ready.is_none_or(|took| took > READINESS);
            if late {
                writeln!(
                    text,
                    "  late: {}: consumers {:.2?}, unready {:.2?}, ready {:.2?}",
                    step.faults.join(" + "),
                    step.consumers,
                    step.unready,
                    step.ready
                )?;
            }
        }
        let (before, after) = self.open;
        writeln!(
            text,
            "open before the faults: {before:?}\nopen after them: {after:?}\nopen when stopped: {:?}",
            self.left_open
        )?;
        let mut kinds = BTreeMap::<&str, usize>::new();
        self.measured
            .iter()
            .flat_map(|step| &step.faults)
            .for_each(|fault| *kinds.entry(fault).or_default() += 1);
        writeln!(
            text,
            "{} kinds of faults, by whom they met, in {:.0} s:",
            kinds.len(),
            self.took.as_secs_f64()
        )?;
        kinds.iter().try_for_each(|(kind, times)| writeln!(text, "  {times} x {kind}"))
    }

    /// A figure of every step that has it; what never came counts as an hour.
    fn each(&self, figure: impl Fn(&Measured) -> Option<Option<Duration>>) -> Vec<f64> {
        let seconds = |step| figure(step).map(|took| took.map_or(3600.0, |took| took.as_secs_f64()));
        self.measured.iter().filter_map(seconds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: Measured) -> Report {
        let back = Some(Duration::from_secs(1));
        Report {
            measured: vec![Measured { consumers: back, ready: back, ..step }],
            verdict: Verdict::default(),
            violations: Vec::new(),
            open: (Open::default(), Open::default()),
            left_open: Open::default(),
            took: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_stop_that_fails_is_no_clean_run() {
        let violations = vec!["graceful stop of worker-1: did not end".to_owned()];
        let failed = report(Measured { violations, ..Measured::default() });

        assert!(report(Measured::default()).is_clean());
        assert!(!failed.is_clean());
        assert!(failed.text().contains("  graceful stop of worker-1: did not end\n"), "{}", failed.text());
    }

    #[test]
    fn a_fault_that_did_not_begin_is_told() {
        let failed = vec!["memory alarm of the broker: no answer".to_owned()];
        let faults = vec!["memory alarm of the broker".to_owned()];
        let text = report(Measured { faults, failed, ..Measured::default() }).text();

        assert!(text.contains("1 faults, of which 1 did not begin, and 0 killed at another point"), "{text}");
        assert!(text.contains("  did not begin: memory alarm of the broker: no answer\n"), "{text}");
    }
}
