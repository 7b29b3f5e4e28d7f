//! The scheduler: turns finished scrapes into jobs and announces tagged ones
//! until it is told to stop.

use clap::Parser;
use tagfleet_scheduler::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
