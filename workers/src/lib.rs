//! The worker: takes tagging jobs to their outcome.
//!
//! Begin with [`pipeline`]: the life of one image, top to bottom. [`worker`] is
//! the loop around it, [`app`] the list of parts.

pub mod app;
pub mod batch;
pub mod cli;
pub mod config;
pub mod decode;
pub mod decoders;
pub mod elsewhere;
pub mod files;
pub mod freshness;
pub mod hashed;
pub mod hold;
pub mod inference;
pub mod known;
pub mod lookup;
pub mod metrics;
pub mod model;
pub mod outcome;
pub mod pipeline;
pub mod preprocess;
pub mod questions;
pub mod record;
pub mod report;
pub mod retries;
pub mod sets;
pub mod source;
pub mod tag;
pub mod trials;
pub mod usage;
pub mod worker;

/// Says that a test was skipped, where it is seen: not through `eprintln!`,
/// whose output the test runner keeps to itself when a test passes.
#[cfg(test)]
#[allow(clippy::explicit_write, clippy::unwrap_used, reason = "eprintln! is captured")]
fn skip(reason: std::fmt::Arguments<'_>) {
    use std::io::Write;
    writeln!(std::io::stderr(), "skipped: {reason}").unwrap();
}
