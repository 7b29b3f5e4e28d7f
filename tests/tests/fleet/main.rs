//! The whole fleet on real RabbitMQ, Postgres, HTTP and ONNX Runtime.

#![allow(clippy::unwrap_used)]

mod admin;
mod chains;
mod console_fixes;
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
mod secrets;
mod start_up;
mod superseded;
mod tables;
mod tag_command;
mod tagging;
