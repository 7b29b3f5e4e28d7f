//! Odd and hostile files from elsewhere, where they are at hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Undecodable, decoder};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/hostile");

/// Must decode by their name, but are of formats that the fleet does not read.
const NOT_READ: [&str; 1] = ["ok_avif.avif"];

#[test]
fn hostile_files_are_decoded_or_refused_without_harm() {
    let files = files_under(Path::new(FILES));
    if files.is_empty() {
        crate::skip(format_args!("no hostile files at {FILES}"));
        return;
    }
    let decoder = decoder();
    let (mut outcomes, mut slowest) = (BTreeMap::<_, u32>::new(), Duration::ZERO);
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let started = Instant::now();
        let decoded = decoder.decode(&bytes);
        slowest = slowest.max(started.elapsed());

        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(!matches!(decoded, Err(Undecodable::Panicked)), "{name}: the decoder panics");
        let outcome = decoded.map_or_else(|error| error.reason(), |pixels| pixels.format());
        if NOT_READ.contains(&name) {
            assert_eq!(outcome, "unsupported_format", "{name}");
        } else if name.starts_with("ok_") {
            assert!(decoder.decode(&bytes).is_ok(), "{name} is refused: {outcome}");
        }
        *outcomes.entry(outcome).or_default() += 1;
    }
    eprintln!("{} hostile files: {outcomes:?}, slowest {slowest:?}", files.len());
    assert!(slowest < Duration::from_secs(20), "a file took {slowest:?}");
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}
