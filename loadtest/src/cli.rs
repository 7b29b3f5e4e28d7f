//! The command line: one file per command, one line per command here.

use clap::{Parser, Subcommand};

use crate::{bench, chaos, demo, draw, fixes, monitoring, origin, soak};

/// Draws inventories, serves them, and puts load on a tagging fleet.
#[derive(Debug, Parser)]
#[command(name = "tagfleet-loadtest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Draw(draw::command::Args),
    Origin(origin::command::Args),
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
    Chaos(chaos::ChaosArgs),
    Soak(soak::SoakArgs),
    Fixes(fixes::FixesArgs),
    Monitoring(monitoring::MonitoringArgs),
    Stop(demo::StopArgs),
}

impl Cli {
    /// Runs the command that was asked for.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Draw(args) => draw::command::run(&args),
            Command::Origin(args) => origin::command::run(args).await,
            Command::Demo(args) => args.run().await,
            Command::Bench(args) => args.run().await,
            Command::Chaos(args) => args.run().await,
            Command::Soak(args) => args.run().await,
            Command::Fixes(args) => args.run().await,
            Command::Monitoring(args) => args.run().await,
            Command::Stop(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
