//! What each target does with its input.
//!
//! Apart from the fuzzer, `make test` feeds seeds and corpus to the same functions
//! (`tests/tests/fleet/fuzz.rs`), so that they are built and hold wherever there is no nightly compiler.

pub mod decode;
pub mod event;
pub mod job;
pub mod manifest;
pub mod model_manifest;
pub mod url_policy;
