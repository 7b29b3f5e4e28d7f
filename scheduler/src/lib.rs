//! The scheduler: turns finished scrapes into jobs and announces tagged ones.
//!
//! Begin with [`fan_out`]: the life of one `scrape.finished` event, top to
//! bottom; [`locked_scrape`] is its longest part. [`announce`] is the other end,
//! [`changes`] the same for pictures that change one at a time, [`app`] the
//! list of parts.

pub mod announce;
pub mod app;
pub mod changes;
pub mod cli;
pub mod config;
pub mod dead;
pub mod earlier_scrape;
pub mod fan_out;
pub mod halt;
pub mod hold;
pub mod housekeeping;
pub mod inventory;
pub mod late;
pub mod lock;
pub mod locked_scrape;
pub mod manifest;
pub mod metrics;
pub mod patient_publisher;
pub mod periodic;
pub mod publish;
pub mod queues;
pub mod sampling;
pub mod schemas;
pub mod status;
pub mod store;
pub mod sweep;
