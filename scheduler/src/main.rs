//! The scheduler: turns finished scrapes into jobs and announces tagged ones
//! until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use tagfleet_scheduler::cli::Cli;
use tagfleet_shared::ending;

/// A large event is taken apart on one thread and its pages end on others. The
/// system's allocator keeps what is left on each thread: a scheduler would grow with
/// every large event.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let failure = cli.failure();
    ending::code_or(cli.run().await, failure)
}
