//! The figures of a run, and what they are held against.

mod figures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use self::figures::{Figure, figures, late};
use super::checker::Verdict;
use super::ending::Open;

/// Of the faults of a long run, such as need not happen: the servers' own tools fail now and then while their server
/// is unwell from the fault before, and what a fault is for may just not be there.
const MAY_NOT_HAPPEN: f64 = 0.05;

/// A fault that did nothing every time is broken if it came so many times.
const OFTEN: usize = 3;

/// How the name of a kill ends whose point nobody reached: the process was killed where it was.
pub const NOT_MET: &str = ", which did not come there";

/// What was measured of one fault, or of some at the same time.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// What they were.
    pub faults: Vec<String>,
    /// Those of them that did not begin, and why.
    pub failed: Vec<String>,
    /// Those of them that began and did nothing, and what they lacked.
    pub nothing: Vec<String>,
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
    /// Whether it was a brief run, whose few faults must all have happened.
    pub brief: bool,
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
    /// Whether nothing is lost, unexpected, doubled or left over, and everybody came back and said so; in a long run
    /// soon enough as a rule.
    pub fn is_clean(&self) -> bool {
        let never =
            |step: &Measured| step.consumers.is_none() || step.ready.is_none() || step.unready == Some(None);
        let broken = |step: &Measured| never(step) || !step.violations.is_empty();
        let kept = self.verdict.is_clean() && self.violations.is_empty();
        kept && self.unproven().is_empty() && self.too_slow().is_empty() && !self.measured.iter().any(broken)
    }

    /// Faults that did not happen, in words, where they are too many for the run to show anything.
    ///
    /// A kill in a brief run is alone and waits long for its point, to which a load without faults comes all the
    /// time: missed, it is broken. In a long run the fault beside it may keep every job from coming there. It has killed
    /// a process all the same: what did nothing counts like what did not begin.
    fn unproven(&self) -> Vec<String> {
        let failed: Vec<&String> = self.measured.iter().flat_map(|step| &step.failed).collect();
        let nothing: Vec<&String> = self.measured.iter().flat_map(|step| &step.nothing).collect();
        let faults = self.measured.iter().map(|step| step.faults.len()).sum::<usize>();
        if !self.brief {
            let (failed, nothing) = (failed.len(), nothing.len());
            let too_many = (failed + nothing) as f64 > MAY_NOT_HAPPEN * faults as f64;
            let told = format!("{failed} of {faults} faults did not begin, and {nothing} did nothing");
            return too_many.then_some(told).into_iter().chain(self.always_in_vain()).collect();
        }
        let alone = || self.measured.iter().filter(|step| step.failed.is_empty() && step.faults.len() == 1);
        let missed = alone().flat_map(|step| &step.faults).filter(|fault| fault.ends_with(NOT_MET));
        let nothing = alone().flat_map(|step| &step.nothing);
        let failed = failed.iter().map(|failed| format!("did not begin: {failed}"));
        failed.chain(missed.chain(nothing).cloned()).collect()
    }

    /// Faults that came often and did nothing each time: they are broken, however few they are among all.
    fn always_in_vain(&self) -> Vec<String> {
        let mut times = BTreeMap::<&str, usize>::new();
        self.measured
            .iter()
            .flat_map(|step| &step.nothing)
            .for_each(|fault| *times.entry(fault).or_default() += 1);
        let came = |in_vain: &str| {
            let is_it = |fault: &&String| {
                in_vain.strip_prefix(fault.as_str()).is_some_and(|rest| rest.starts_with(", "))
            };
            self.measured.iter().flat_map(|step| &step.faults).filter(is_it).count()
        };
        times.retain(|fault, times| *times >= OFTEN && *times == came(fault));
        times.into_iter().map(|(fault, times)| format!("each of {times} times: {fault}")).collect()
    }

    /// What took longer than it may, and not only now and then. A brief run measures too little to say so.
    fn too_slow(&self) -> Vec<String> {
        let long = (!self.brief).then(|| figures(&self.measured));
        long.iter().flatten().filter_map(Figure::too_slow).collect()
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
        let nothing = || self.measured.iter().flat_map(|step| &step.nothing);
        writeln!(
            text,
            "{} faults, of which {} did not begin, {} did nothing, and {missed} killed at another point than was meant",
            faults().count(),
            failed().count(),
            nothing().count()
        )?;
        failed().try_for_each(|failed| writeln!(text, "  did not begin: {failed}"))?;
        nothing().try_for_each(|fault| writeln!(text, "  did nothing: {fault}"))?;
        self.unproven().iter().try_for_each(|fault| writeln!(text, "  not shown: {fault}"))?;
        let of_steps = self.measured.iter().flat_map(|step| &step.violations);
        for line in self.verdict.told.iter().chain(of_steps).chain(&self.violations) {
            writeln!(text, "  {line}")?;
        }
        figures(&self.measured).iter().try_for_each(|figure| writeln!(text, "{figure}"))?;
        self.too_slow().iter().try_for_each(|figure| writeln!(text, "  too slow: {figure}"))?;
        self.measured.iter().filter_map(late).try_for_each(|step| writeln!(text, "  late: {step}"))?;
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
}
