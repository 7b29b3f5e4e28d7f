//! The console: people see and correct tags until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use tagfleet_console::cli::Cli;
use tagfleet_shared::ending;

/// Bodies of many sizes come and go on many threads: see the scheduler.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    ending::code(Cli::parse().run().await.map(|()| ExitCode::SUCCESS))
}
