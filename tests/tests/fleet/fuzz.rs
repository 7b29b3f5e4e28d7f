//! The targets of `fuzz/` with the inputs that are kept: they are built and hold without a nightly compiler.

use std::path::Path;

use tagfleet_tests::repository;

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

/// Seeds are drawn, the corpus is what the fuzzer found worth keeping.
#[test]
fn every_kept_input_passes_its_target() {
    let text = |input: &[u8]| {
        if let Ok(text) = std::str::from_utf8(input) {
            targets::model_manifest::check(text);
        }
    };
    assert!(feed("decode", targets::decode::check) > 0);
    assert!(feed("event", targets::event::check) > 0);
    assert!(feed("job", targets::job::check) > 0);
    assert!(feed("manifest", targets::manifest::check) > 0);
    assert!(feed("model_manifest", text) > 0);
    assert!(feed("url_policy", targets::url_policy::check) > 0);
}

/// How many inputs there were.
fn feed(target: &str, check: impl Fn(&[u8])) -> usize {
    let folders = ["seeds", "corpus"].map(|kept| repository().join("fuzz").join(kept).join(target));
    folders.iter().map(|folder| feed_all(folder, &check)).sum()
}

fn feed_all(folder: &Path, check: impl Fn(&[u8])) -> usize {
    let mut fed = 0;
    for file in std::fs::read_dir(folder).into_iter().flatten() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        fed += 1;
    }
    fed
}
