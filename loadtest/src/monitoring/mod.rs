//! `tagfleet-loadtest monitoring`: are the rules and the dashboards of the chart true?
//!
//! A real Prometheus scrapes a real fleet under load. Each alert is made to fire by its fault, must be silent
//! again when that is mended, and may not fire at any other time; each expression of each dashboard and rule must give data of a sane range; and the dashboards are
//! drawn, from the same files and the same answers, for somebody to look at. Windows and `for`s are short: the
//! rules are the chart's otherwise, and the dashboards too.

mod answers;
mod boards;
mod everyday;
mod faults;
mod gate;
mod known;
mod outages;
mod pictures;
mod prometheus;
mod proof;
mod quality;
mod rules;
mod sheet;
mod watch;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use tagfleet_shared::{shutdown, tls};

use self::boards::Board;
use self::proof::Proof;
use self::rules::Rules;
use crate::private::repository;

/// Prove the chart's alerts and dashboards against a real Prometheus and a real fleet.
#[derive(Debug, Args)]
pub struct MonitoringArgs {
    /// The chart's rules, rendered, as JSON. Default: those that are kept with the chart.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The program.
    #[arg(long, value_name = "FILE", default_value = "prometheus")]
    prometheus: PathBuf,
    /// Draws each dashboard into this folder.
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
}

impl MonitoringArgs {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// If an alert does not fire, does not end, or fires without its fault; if an expression gives nothing, or nonsense.
    pub async fn run(self) -> anyhow::Result<()> {
        tls::install();
        let stop = shutdown::on_signal()?;
        stop.run_until_cancelled(self.prove()).await.context("stopped")?
    }

    async fn prove(&self) -> anyhow::Result<()> {
        let chart = repository().join("charts/tagfleet");
        let path = self.rules.clone().unwrap_or_else(|| chart.join("ci/golden/rules.json"));
        let rules = Rules::read(&path)?.short();
        let boards = Board::all(&chart.join("dashboards"))?;

        let proof = Proof::begin(&self.prometheus, &rules).await?;
        let mut problems = proof.alerts(&rules).await?;
        let ((from, to), prometheus) = (proof.span(), proof.watch.prometheus());
        let mut asked = 0;
        for board in &boards {
            let expressions = answers::expressions(prometheus, board, (from, to)).await?;
            asked += expressions.asked;
            problems.extend(expressions.problems);
            if let Some(folder) = &self.draw {
                std::fs::create_dir_all(folder)?;
                let file = folder.join(format!("dashboard-{}.svg", board.name));
                std::fs::write(&file, sheet::draw(board, &expressions.answers, from, to))?;
                say(&format!("drew {}", file.display()));
            }
        }
        problems.extend(answers::rules(prometheus, &rules, from).await?);
        let (compared, untrue) = proof.numbers_are_true().await?;
        problems.extend(untrue);
        proof.end().await?;
        let (alerts, records) = (rules.alerts().len(), rules.records().len());
        if !problems.is_empty() {
            problems.iter().for_each(|problem| say(problem));
            bail!("{} problems; logs are in {}", problems.len(), proof::FOLDER);
        }
        say(&format!(
            "{alerts} alerts fired by their fault, ended with it, and did not fire otherwise; {records} recording rules and {asked} expressions of {} dashboards gave data of a sane range, {compared} of them held against the database",
            boards.len()
        ));
        Ok(())
    }
}

/// One line for a person.
#[expect(clippy::print_stdout, reason = "this is what the command says")]
fn say(line: &str) {
    println!("{line}");
}

/// Seconds since the epoch.
fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1e3
}
