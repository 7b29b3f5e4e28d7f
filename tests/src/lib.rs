//! The harness of the whole-fleet tests: real RabbitMQ, real Postgres, real
//! HTTP and a real model, a database and a queue prefix per test.

// A harness that cannot do its work fails the test on the spot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod database;
mod fleet;
mod http;
mod inventory;
mod models;
mod process;
mod services;
mod wait;

pub use database::TestDatabase;
pub use fleet::{Fleet, Options, Row, Running};
pub use http::{get, metric, post};
pub use inventory::{jpeg, listed, scrape};
pub use models::ModelFolder;
pub use process::Process;
pub use services::{Private, Services, repository};
pub use wait::{PATIENCE, eventually, skip};
