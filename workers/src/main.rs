//! The worker: takes tagging jobs from the broker until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use tagfleet_shared::ending;
use tagfleet_worker::cli::{Cli, Command};

/// Jobs are many small allocations that are freed on other threads than they
/// were made on: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ending::code(run(Cli::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli {
        // One thread, and little memory: no runtime.
        Cli { command: Command::DecodeApart(args), .. } => args.run(),
        cli => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(cli.run()),
    }
}
