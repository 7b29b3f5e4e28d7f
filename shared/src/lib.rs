//! What two or more binaries of tagfleet need.

pub mod admin;
pub mod backoff;
pub mod broker;
pub mod config;
pub mod db;
pub mod dead;
pub mod durations;
pub mod ending;
pub mod events;
pub mod failpoint;
pub mod fixes;
pub mod ids;
pub mod jobs;
pub mod lane;
pub mod metrics;
pub mod model_sets;
pub mod outcome;
pub mod patience;
pub mod questions;
pub mod reopen;
pub mod reports;
mod secrets;
pub mod shutdown;
pub mod tags;
pub mod telemetry;
pub mod tls;
pub mod traces;
