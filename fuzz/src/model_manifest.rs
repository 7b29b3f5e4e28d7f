//! The manifest of a model set: refused with everything that is wrong with it, and never with a panic.

use std::path::Path;

use tagfleet_worker::model::ModelSet;

/// Reads it.
pub fn check(text: &str) {
    // None of the files that it names is there.
    let refused = ModelSet::of_manifest(text, Path::new("/nowhere")).expect_err("a set has files");
    assert!(!refused.problems.is_empty());
}
