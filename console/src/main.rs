//! The console: people see and correct tags until it is told to stop.

use clap::Parser;
use mimalloc::MiMalloc;
use tagfleet_console::cli::Cli;

/// Bodies of many sizes come and go on many threads: see the scheduler.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
