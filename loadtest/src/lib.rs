//! Load for a tagging fleet: drawn pictures whose tags are known, and an origin that serves them.

pub mod agreement;
pub mod bench;
pub mod chaos;
pub mod cli;
pub mod demo;
pub mod draw;
pub mod fixes;
pub mod monitoring;
pub mod origin;
pub mod private;
pub mod soak;
pub mod usage;
