//! The worker: takes tagging jobs from the broker until it is told to stop.

use clap::Parser;
use mimalloc::MiMalloc;
use tagfleet_worker::cli::Cli;

/// Jobs are many small allocations that are freed on other threads than they
/// were made on: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
