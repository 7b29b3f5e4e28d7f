//! The whole fleet on real RabbitMQ, Postgres, HTTP and ONNX Runtime.

#![allow(clippy::unwrap_used)]

mod admin;
mod again;
mod chains;
mod changes;
mod changes_kills;
mod changes_replaced;
mod compatibility;
mod console_contract;
mod console_fixes;
mod console_login;
mod console_pages;
mod console_scrapes;
mod console_security;
mod console_stories;
mod dead;
mod embeddings;
mod events;
mod failures;
mod faults;
mod feed;
mod finality;
mod hostile;
mod hosts;
mod kills;
mod metrics;
mod model_sets;
mod parity;
mod pika;
mod poison;
mod precedence;
mod preprocessing;
mod refused;
mod returns;
mod revalidation;
mod rooms;
mod runbook;
mod secrets;
mod start_up;
mod status;
mod superseded;
mod tables;
mod tag_command;
mod tagging;
