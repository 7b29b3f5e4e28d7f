//! The targets of `fuzz/` with the inputs that are kept: they are built and hold without a nightly compiler.

use std::path::Path;

use tagfleet_shared::events::{ImageChanged, ScrapeFinished};
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

/// The fuzzer begins with something that each reader takes.
#[test]
fn there_are_seeds_of_both_kinds_of_events() {
    let mut taken = (0, 0);
    feed_all(&repository().join("fuzz/seeds/event"), &mut |body: &[u8]| {
        taken.0 += usize::from(ScrapeFinished::parse(body).is_ok());
        taken.1 += usize::from(ImageChanged::parse(body).is_ok());
    });
    assert!(taken.0 > 0 && taken.1 > 0, "{taken:?}");
}

/// How many inputs there were.
fn feed(target: &str, check: impl Fn(&[u8])) -> usize {
    let folders = ["seeds", "corpus"].map(|kept| repository().join("fuzz").join(kept).join(target));
    folders.iter().map(|folder| feed_all(folder, &mut |input: &[u8]| check(input))).sum()
}

fn feed_all(folder: &Path, check: &mut impl FnMut(&[u8])) -> usize {
    let mut fed = 0;
    for file in std::fs::read_dir(folder).into_iter().flatten() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        fed += 1;
    }
    fed
}
