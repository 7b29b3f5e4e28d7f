//! The manifest of a model set: refused with everything that is wrong with it, and never with a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tagfleet_worker::model::ModelSet;

fuzz_target!(|text: &str| {
    // None of the files that it names is there.
    let refused = ModelSet::of_manifest(text, Path::new("/nowhere")).expect_err("a set has files");
    assert!(!refused.problems.is_empty());
});
