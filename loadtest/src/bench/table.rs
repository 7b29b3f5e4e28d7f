//! What was measured: a table for people, and `results.json`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

/// What a row must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// The fleet's part of the limit, at least.
    RatioAtLeast(f64),
    /// The fleet's own value, less than this.
    Below(f64),
    /// The fleet's own value, at least.
    AtLeast(f64),
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row's number in the table of what is promised.
    number: u8,
    name: &'static str,
    unit: &'static str,
    mark: Option<Mark>,
    /// Which of the values counts.
    counts: fn(&[f64]) -> Option<f64>,
    values: Vec<f64>,
    limits: Vec<f64>,
}

impl Row {
    /// A speed or a cost: the median counts.
    pub fn new(number: u8, name: &'static str, unit: &'static str) -> Self {
        let (values, limits) = (Vec::new(), Vec::new());
        Self { number, name, unit, mark: None, counts: median, values, limits }
    }

    /// A peak: the highest counts, and there is no limit of the machine.
    pub fn peak(number: u8, name: &'static str, unit: &'static str) -> Self {
        Self { counts: highest, ..Self::new(number, name, unit) }
    }

    /// With something to reach.
    pub fn mark(self, mark: Mark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// One run of the fleet, and of the limit that it is held against.
    pub fn measured(&mut self, value: f64, limit: f64) {
        self.values.push(value);
        self.limits.push(limit);
    }

    /// A value that is held against no limit of the machine, such as the peak of a process.
    pub fn reached(&mut self, peak: f64) {
        self.values.push(peak);
    }

    fn value(&self) -> Option<f64> {
        (self.counts)(&self.values)
    }

    fn limit(&self) -> Option<f64> {
        (self.counts)(&self.limits)
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.value()? / self.limit()?)
    }

    /// Whether the mark is reached; `None` where there is none.
    fn passed(&self) -> Option<bool> {
        Some(match self.mark? {
            Mark::RatioAtLeast(least) => self.ratio()? >= least,
            Mark::Below(limit) => self.value()? < limit,
            Mark::AtLeast(least) => self.value()? >= least,
        })
    }

    fn json(&self) -> Value {
        json!({
            "row": self.number,
            "name": self.name,
            "value": self.value(),
            "limit": self.limit(),
            "ratio": self.ratio(),
            "unit": self.unit,
            "runs": self.values.len(),
        })
    }

    fn line(&self) -> String {
        let ratio = self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let mark = match self.mark {
            Some(Mark::RatioAtLeast(least)) => format!(">= {least:.2}"),
            Some(Mark::Below(limit)) => format!("< {limit:.0} {}", self.unit),
            Some(Mark::AtLeast(least)) => format!(">= {least:.1}{}", self.unit),
            None => String::new(),
        };
        let verdict = match self.passed() {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "",
        };
        format!(
            "{:>3}  {:<38} {:<9} {:>26} {:>26} {ratio:>6}  {mark:<9} {verdict}",
            self.number,
            self.name,
            self.unit,
            shown(self.value(), &self.values),
            shown(self.limit(), &self.limits),
        )
    }
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn highest(samples: &[f64]) -> Option<f64> {
    sorted(samples).last().copied()
}

fn median(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let (lower, upper) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted[lower] + sorted[upper]) / 2.0)
}

/// What counts, and among what: `123 (118 to 130)`.
fn shown(counts: Option<f64>, samples: &[f64]) -> String {
    match (counts, sorted(samples).as_slice()) {
        (Some(counts), [lowest, .., highest]) => {
            format!("{} ({} to {})", number(counts), number(*lowest), number(*highest))
        }
        (Some(only), _) => number(only),
        (None, _) => "-".to_owned(),
    }
}

/// Three digits or more: what is behind them is noise.
fn number(value: f64) -> String {
    let decimals = match value {
        ..0.1 => 5,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// Prints the table, and writes `results.json` into the folder `results`.
pub fn publish(rows: &[Row], results: &Path) -> anyhow::Result<()> {
    let path = results.join("results.json");
    let json: Vec<Value> = rows.iter().map(Row::json).collect();
    std::fs::write(&path, serde_json::to_vec_pretty(&json)?).with_context(|| path.display().to_string())?;

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nrow  {:<38} {:<9} {:>26} {:>26} {:>6}  mark",
        "what", "unit", "fleet (from, to)", "limit (from, to)", "ratio"
    )?;
    for row in rows {
        writeln!(out, "{}", row.line())?;
    }
    writeln!(out, "\n{}", path.display())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared_and_the_highest_peak_counts() {
        let mut speed = Row::new(1, "speed", "jobs/s").mark(Mark::RatioAtLeast(0.5));
        for (value, limit) in [(40.0, 100.0), (90.0, 101.0), (50.0, 99.0), (60.0, 1000.0)] {
            speed.measured(value, limit);
        }
        let mut memory = Row::peak(5, "memory", "MB").mark(Mark::Below(400.0));
        for peak in [401.0, 300.0, 200.0] {
            memory.reached(peak);
        }

        assert_eq!(speed.json()["value"], 55.0);
        assert_eq!(speed.json()["limit"], 100.5);
        assert_eq!(speed.passed(), Some(true));
        assert_eq!(memory.json()["value"], 401.0);
        assert_eq!(memory.json()["ratio"], Value::Null);
        assert_eq!(memory.passed(), Some(false));

        let mut agreement = Row::new(6, "agreement", "%").mark(Mark::AtLeast(99.5));
        agreement.reached(99.4);
        assert_eq!(agreement.passed(), Some(false));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.004567, 1.0, 81.52, 12345.6].map(number), ["0.00457", "1.0", "81.5", "12346"]);
    }
}
