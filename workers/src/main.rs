//! The worker: takes tagging jobs from the broker until it is told to stop.

use clap::Parser;
use tagfleet_worker::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
