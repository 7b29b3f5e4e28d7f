//! The harness of the whole-fleet tests: real RabbitMQ, real Postgres, real
//! HTTP and a real model, a database and a queue prefix per test.

// A harness that cannot do its work fails the test on the spot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod chain;
mod changes;
mod chromium;
mod collector;
mod console;
mod database;
mod fleet;
mod formats;
mod http;
mod inventory;
mod many;
mod models;
mod process;
mod services;
mod wait;

pub use chain::{
    CHAIN_SIZE, colours, single_picture_model, with_second_stage, without_selftest, without_thresholds,
};
pub use changes::{Told, changed};
pub use chromium::{Browser, PHONE, chord, key};
pub use collector::{Collector, TracedSpan};
pub use console::{Answer, Caller, Console};
pub use database::TestDatabase;
pub use fleet::{Fleet, Options, Row, Running};
pub use formats::{every_format, lying_jpeg, pixels, plain_png};
pub use http::{get, metric, post};
pub use inventory::{jpeg, listed, looked_at, scrape, shown};
pub use many::{fill_grid, fill_inventory};
pub use models::ModelFolder;
pub use process::{Process, program, signal};
pub use services::{Private, Services, has_gpu, repository};
pub use wait::{PATIENCE, eventually, lacks, skip, tell};
