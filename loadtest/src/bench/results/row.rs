//! One row of what was measured.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a row must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The fleet's part of the limit, at least.
    RatioAtLeast(f64),
    /// The fleet's part of the limit, at most.
    RatioAtMost(f64),
    /// The fleet's own value, at most.
    AtMost(f64),
    /// The fleet's own value, at least.
    AtLeast(f64),
}

/// Which of the runs counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counts {
    Median,
    Highest,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    number: u8,
    name: String,
    unit: String,
    mark: Option<Mark>,
    counts: Counts,
    values: Vec<f64>,
    limits: Vec<f64>,
}

impl Row {
    /// A speed or a cost: the median counts. `number` is that of the promise in the table of
    /// docs/PERFORMANCE.md.
    pub fn new(number: u8, name: impl Into<String>, unit: impl Into<String>) -> Self {
        let (values, limits) = (Vec::new(), Vec::new());
        Self {
            number,
            name: name.into(),
            unit: unit.into(),
            mark: None,
            counts: Counts::Median,
            values,
            limits,
        }
    }

    /// A peak: the highest counts.
    pub fn peak(number: u8, name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { counts: Counts::Highest, ..Self::new(number, name, unit) }
    }

    /// With something to reach.
    pub fn mark(self, mark: Mark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// One run of the fleet, and of the limit that it is held against in its turn.
    pub fn measured(&mut self, value: f64, limit: f64) {
        self.values.push(value);
        self.limits.push(limit);
    }

    /// A value that is held against nothing that was measured with it.
    pub fn reached(&mut self, value: f64) {
        self.values.push(value);
    }

    /// The promise that it belongs to.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// What was measured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of value and limit.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The fleet's value that counts.
    pub fn value(&self) -> Option<f64> {
        self.of(&self.values)
    }

    /// The limit that counts.
    pub fn limit(&self) -> Option<f64> {
        self.of(&self.limits)
    }

    /// Of the ratios of all turns the one that counts. Fleet and limit of a turn were measured one
    /// after the other: what slows down the machine for a while changes their ratio little.
    pub fn ratio(&self) -> Option<f64> {
        self.of(&self.ratios())
    }

    /// The fleet's values, one for each run.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The limit's values, one for each run.
    pub fn limits(&self) -> &[f64] {
        &self.limits
    }

    /// What the row is made of, one number for each run: ratios, or values where there is no limit.
    pub fn runs(&self) -> Vec<f64> {
        if self.limits.is_empty() { self.values.clone() } else { self.ratios() }
    }

    fn ratios(&self) -> Vec<f64> {
        self.values.iter().zip(&self.limits).map(|(value, limit)| value / limit).collect()
    }

    fn of(&self, samples: &[f64]) -> Option<f64> {
        match self.counts {
            Counts::Median => median(samples),
            Counts::Highest => sorted(samples).last().copied(),
        }
    }

    /// What must be reached, such as `>= 0.75`.
    pub fn mark_shown(&self) -> String {
        match self.mark {
            Some(Mark::RatioAtLeast(least)) => format!(">= {least:.2}"),
            Some(Mark::RatioAtMost(most)) => format!("<= {most:.2}"),
            Some(Mark::AtMost(most)) => format!("<= {}", short(most)),
            Some(Mark::AtLeast(least)) => format!(">= {}", short(least)),
            None => String::new(),
        }
    }

    /// Whether the mark is reached; `None` where there is none.
    pub fn met(&self) -> Option<bool> {
        Some(match self.mark? {
            Mark::RatioAtLeast(least) => self.ratio()? >= least,
            Mark::RatioAtMost(most) => self.ratio()? <= most,
            Mark::AtMost(most) => self.value()? <= most,
            Mark::AtLeast(least) => self.value()? >= least,
        })
    }

    /// How many times as good as its mark each run is: 1 is the mark, more is better.
    pub fn against_mark(&self) -> Option<Vec<f64>> {
        let samples = match self.mark? {
            Mark::RatioAtLeast(_) | Mark::RatioAtMost(_) => self.ratios(),
            Mark::AtLeast(_) | Mark::AtMost(_) => self.values.clone(),
        };
        Some(samples.into_iter().filter_map(|sample| self.times_mark(sample)).collect())
    }

    /// The same for what counts of the runs.
    pub fn standing(&self) -> Option<f64> {
        match self.mark? {
            Mark::RatioAtLeast(_) | Mark::RatioAtMost(_) => self.times_mark(self.ratio()?),
            Mark::AtLeast(_) | Mark::AtMost(_) => self.times_mark(self.value()?),
        }
    }

    fn times_mark(&self, sample: f64) -> Option<f64> {
        Some(match self.mark? {
            Mark::RatioAtLeast(least) | Mark::AtLeast(least) => sample / least,
            Mark::RatioAtMost(most) | Mark::AtMost(most) => most / sample,
        })
    }

    /// As `results.json` has it.
    pub fn json(&self) -> Value {
        json!({
            "row": self.number,
            "name": self.name,
            "value": self.value(),
            "limit": self.limit(),
            "ratio": self.ratio(),
            "unit": self.unit,
            "runs": self.runs(),
        })
    }
}

/// In ascending order.
pub fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle one, or what lies between the two in the middle.
fn median(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let (lower, upper) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted[lower] + sorted[upper]) / 2.0)
}

/// The smallest that 95 of a hundred do not exceed.
pub fn percentile_95(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Three digits or more: what is behind them is noise.
pub fn short(value: f64) -> String {
    let decimals = match value {
        0.0 => 0,
        ..0.1 => 5,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_turns_are_compared_and_the_highest_peak_counts() {
        let mut speed = Row::new(1, "speed", "jobs/s").mark(Mark::RatioAtLeast(0.5));
        for (value, limit) in [(40.0, 100.0), (90.0, 100.0), (50.0, 100.0), (60.0, 1000.0), (51.0, 100.0)] {
            speed.measured(value, limit);
        }
        let mut memory = Row::peak(5, "memory", "MB").mark(Mark::AtMost(400.0));
        for peak in [401.0, 300.0, 200.0] {
            memory.reached(peak);
        }

        assert_eq!(speed.json()["value"], 51.0);
        assert_eq!(speed.json()["limit"], 100.0);
        assert_eq!(speed.ratio(), Some(0.5));
        assert_eq!(speed.met(), Some(true));
        assert_eq!(memory.json()["value"], 401.0);
        assert_eq!(memory.json()["ratio"], Value::Null);
        assert_eq!(memory.met(), Some(false));
        assert_eq!((memory.standing(), memory.against_mark().unwrap()[2]), (Some(400.0 / 401.0), 2.0));
    }

    #[test]
    fn runs_are_ratios_or_values_where_there_is_no_limit() {
        let mut cost = Row::new(2, "cost", "s").mark(Mark::RatioAtMost(1.15));
        cost.measured(3.0, 2.0);
        let mut start = Row::new(10, "start", "s").mark(Mark::AtMost(1.5));
        start.reached(0.75);

        assert_eq!((cost.runs(), cost.met()), (vec![1.5], Some(false)));
        assert_eq!((start.runs(), start.met()), (vec![0.75], Some(true)));
        assert_eq!(start.against_mark(), Some(vec![2.0]));
    }

    #[test]
    fn the_95th_percentile_is_one_of_the_samples() {
        let samples: Vec<_> = (1..=20).map(f64::from).collect();

        assert_eq!(percentile_95(&samples), Some(19.0));
        assert_eq!(percentile_95(&[7.0]), Some(7.0));
        assert_eq!(percentile_95(&[]), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.004567, 1.0, 81.52, 12345.6].map(short), ["0.00457", "1.00", "81.5", "12346"]);
    }
}
