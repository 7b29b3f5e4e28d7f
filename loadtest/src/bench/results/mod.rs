//! What was measured: kept for each scenario, shown all together.
//!
//! `target/bench/rows/SCENARIO.json` has what a scenario gave the last time. Whatever is measured,
//! the table, `results.json` and `results.svg` are made of all of these files: a scenario that is
//! measured alone replaces its own rows and no others, and the table says how old those are.

mod plot;
mod row;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use row::{Mark, Row, percentile_95};

/// What one scenario gave.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    at: Timestamp,
    rows: Vec<Row>,
}

/// The folder that everything is left in.
pub struct Results {
    folder: PathBuf,
    /// Rows that were measured before are older than this benchmark.
    begun: Timestamp,
}

impl Results {
    /// In `folder`, which is made where it is missing.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("rows")).with_context(|| folder.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), begun: Timestamp::now() })
    }

    /// The logs of a scenario's processes: an empty folder.
    pub fn logs(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        let logs = self.folder.join("logs").join(scenario);
        // Of an earlier benchmark.
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        Ok(logs)
    }

    /// Keeps what a scenario gave, in place of what it gave before.
    pub fn keep(&self, scenario: &str, rows: Vec<Row>) -> anyhow::Result<()> {
        let path = self.rows_of(scenario);
        let measured = Measured { at: Timestamp::now(), rows };
        fs::write(&path, serde_json::to_vec_pretty(&measured)?).with_context(|| path.display().to_string())
    }

    /// Prints the table of all that is kept of `scenarios`, and writes `results.json` and
    /// `results.svg`.
    pub fn publish<'a>(&self, scenarios: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
        let mut kept = Vec::new();
        for scenario in scenarios {
            kept.extend(self.kept(scenario)?);
        }
        let mut rows: Vec<_> = kept
            .into_iter()
            .flat_map(|measured| measured.rows.into_iter().map(move |row| (measured.at, row)))
            .collect();
        rows.sort_by_key(|(_, row)| row.number());

        let (json, svg) = (self.folder.join("results.json"), self.folder.join("results.svg"));
        let list: Vec<Value> = rows.iter().map(|(_, row)| row.json()).collect();
        write(&json, &serde_json::to_vec_pretty(&list)?)?;
        write(&svg, plot::draw(rows.iter().map(|(_, row)| row)).as_bytes())?;
        table::print(&rows, self.begun, &[&json, &svg])
    }

    fn kept(&self, scenario: &str) -> anyhow::Result<Option<Measured>> {
        let path = self.rows_of(scenario);
        match fs::read(&path) {
            Ok(text) => {
                let what = || format!("{} is not of this version: delete it", path.display());
                Ok(Some(serde_json::from_slice(&text).with_context(what)?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn rows_of(&self, scenario: &str) -> PathBuf {
        self.folder.join("rows").join(format!("{scenario}.json"))
    }
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8, value: f64) -> Vec<Row> {
        let mut row = Row::new(number, "speed", "jobs/s");
        row.reached(value);
        vec![row]
    }

    #[test]
    fn a_scenario_measured_alone_replaces_its_own_rows_and_no_others() {
        let folder = std::env::temp_dir().join(format!("tagfleet-results-{}", std::process::id()));
        let results = Results::open(&folder).unwrap();
        results.keep("one", row(1, 10.0)).unwrap();
        results.keep("other", row(2, 20.0)).unwrap();

        results.keep("one", row(1, 11.0)).unwrap();
        results.publish(["one", "other", "never"].into_iter()).unwrap();

        let json: Value = serde_json::from_slice(&fs::read(folder.join("results.json")).unwrap()).unwrap();
        assert_eq!((&json[0]["value"], &json[1]["value"]), (&11.0.into(), &20.0.into()));
        assert!(fs::read_to_string(folder.join("results.svg")).unwrap().ends_with("</svg>\n"));
        fs::remove_dir_all(folder).unwrap();
    }
}
