//! `tagfleet-scheduler status`: the fleet in a terminal, where there is no Grafana.
//!
//! It asks the broker and the database itself, so it works while every scheduler is down, and reads what the
//! workers report there. What it cannot know that way it says. Where one of the chart's alerts would fire, if
//! what it sees lasts, the exit code is 1; where it cannot look at all, as with settings that make no sense, 2.

mod alerts;
mod look;
mod text;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use tagfleet_shared::broker::Broker;
use tagfleet_shared::db::DatabaseConfig;
use tagfleet_shared::{db, shutdown, tls};

use crate::config::SchedulerConfig;

pub use self::alerts::Alert;
pub use self::look::{LaneStatus, RecentStatus, ServerStatus, Status, WorkerStatus};

/// How to tell it.
#[derive(Clone, Copy, Debug, Args)]
pub struct StatusArgs {
    /// Again and again, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// As JSON; with --watch, a line each time.
    #[arg(long)]
    json: bool,
    /// How often with --watch, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

impl StatusArgs {
    /// Tells it. Returns whether no alert would fire, by the last look.
    ///
    /// # Errors
    ///
    /// If stdout is closed, or the settings make no sense. A server that is away is told.
    pub async fn run(self, config: &SchedulerConfig) -> anyhow::Result<bool> {
        tls::install();
        let broker = Broker::lazy(&config.broker, "tagfleet-scheduler status");
        let database = DatabaseConfig { statement_timeout: look::STATEMENT, ..config.database.clone() };
        let pool = db::pool(&database)?;
        let stop = shutdown::on_signal()?;
        let mut well = true;
        loop {
            let looking = Status::look(&broker, &pool, config);
            let Some(status) = stop.run_until_cancelled(looking).await else { return Ok(well) };
            well = status.alerts.is_empty();
            let mut out = std::io::stdout();
            if self.watch && !self.json && out.is_terminal() {
                // Home, and nothing below.
                write!(out, "\x1b[H\x1b[2J")?;
            }
            if self.json {
                let text = if self.watch {
                    serde_json::to_string(&status)
                } else {
                    serde_json::to_string_pretty(&status)
                };
                writeln!(out, "{}", text?)?;
            } else {
                out.write_all(text::page(&status).as_bytes())?;
            }
            out.flush()?;
            let again = tokio::time::sleep(Duration::from_secs(self.every));
            if !self.watch || stop.run_until_cancelled(again).await.is_none() {
                return Ok(well);
            }
        }
    }
}
