//! Odd and hostile files through the whole fleet.

use tagfleet_loadtest::origin::Response;
use tagfleet_tests::{Fleet, Options, Row, listed, repository, scrape, skip, tell};

/// The most memory that a worker may take, in bytes.
const MOST: u64 = 512 << 20;

/// Why a file may have no tags of its own: words that people filter by.
const REASONS: [&str; 9] = [
    "empty",
    "not_an_image",
    "too_large",
    "too_many_pixels",
    "too_much_memory",
    "too_many_scans",
    "undecodable",
    "unknown_format",
    "unsupported_format",
];

/// No file crashes, hangs or bloats a worker; good files are tagged, and so are
/// the pictures that come between them.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_do_no_harm() {
    let dir = repository().join("../shared/hostile");
    let mut files = Vec::new();
    walk(&dir, &mut files);
    if files.is_empty() {
        skip(&format!("no files in {}", dir.display()));
        return;
    }
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let worker = fleet.spawn_worker();
    let mut images = Vec::new();
    let mut good = Vec::new();
    for (n, file) in files.iter().enumerate() {
        let path = format!("/hostile/{n}");
        fleet.origin.put(&path, Response::jpeg(std::fs::read(file).unwrap()));
        images.push(listed(fleet.origin.url(&path)));
        images.push(listed(fleet.picture(&format!("/good/{n}.jpg"))));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // AVIF is not read yet: it is refused by its signature.
        if name.starts_with("ok_") && !name.ends_with(".avif") {
            good.push((n, name));
        }
    }
    let mut rows = Vec::new();
    for images in images.chunks(100) {
        let event = scrape("dealer", images.to_vec());
        assert_eq!(fleet.tag(&event).await.outcomes.values().sum::<u64>(), images.len() as u64);
        rows.extend(fleet.rows(&event.scrape_id).await);
    }
    let peak = worker.peak_bytes().unwrap();

    let is_tagged = |row: &Row| ["inferred", "cached", "matched"].contains(&row.end().0);
    for (n, name) in good {
        assert!(is_tagged(&rows[2 * n]), "{name}: {:?}", rows[2 * n].end());
    }
    for (n, row) in rows.iter().enumerate() {
        let (outcome, reason) = row.end();
        assert!(is_tagged(row) || n % 2 == 0 && REASONS.contains(&reason), "{}: {outcome} {reason}", row.url);
    }
    tell(&format!("{} hostile files: the worker took {} MB at most", files.len(), peak >> 20));
    assert!(peak <= MOST, "the worker took {} MB", peak >> 20);
    let dead = fleet.broker.depth(&fleet.broker.topology().dead()).await.unwrap();
    assert_eq!(dead.0, 0, "no file made a worker give up a job");
    assert!(worker.terminate().await, "the worker lives to the end");
    fleet.end().await;
}

fn walk(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.file_name().is_none_or(|name| name != "manifest.csv") {
            files.push(path);
        }
    }
}
