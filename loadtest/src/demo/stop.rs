//! `tagfleet-loadtest stop`: ends what a demo has left running.

use std::path::Path;

use clap::Args;

use super::processes::Processes;
use super::{STATE, say};

/// Stops the processes of the last demo.
#[derive(Debug, Args)]
pub struct StopArgs {}

impl StopArgs {
    /// Stops them.
    ///
    /// # Errors
    ///
    /// If their process ids cannot be read.
    pub fn run(&self) -> anyhow::Result<()> {
        match Processes::stop_earlier(Path::new(STATE))? {
            0 => say("no demo is running"),
            stopped => say(&format!("stopped {stopped} processes of the demo")),
        }
        Ok(())
    }
}
