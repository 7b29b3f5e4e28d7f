//! Load for a tagging fleet: see `tagfleet-loadtest --help`.

use clap::Parser as _;
use tagfleet_loadtest::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
