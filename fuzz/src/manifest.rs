//! A manifest, plain or gzip: its images are the same however it arrives.

use std::io::Cursor;

use futures::FutureExt;
use tagfleet_scheduler::manifest::{Line, Lines, unpacked};
use tagfleet_shared::events::ListedImage;
use tokio::io::BufReader;

/// A small gzip may hold a great many lines.
const LINES: usize = 2_000;

/// Reads it in large pieces and in small ones.
pub fn check(text: &[u8]) {
    let read = |capacity| images(text, capacity).now_or_never().expect("memory is never waited for");
    let (large, whole) = read(64 * 1024);
    let (small, whole_as_well) = read(1 + text.len() % 7);
    // Of a text that breaks off, one may come further than the other.
    let both = large.len().min(small.len());
    assert_eq!(large[..both], small[..both]);
    assert_eq!(whole, whole_as_well);
    assert!(!whole || large.len() == small.len());
}

type Image = (u64, Result<ListedImage, String>);

/// What each line is, an image or why it is none, and whether it came to the end.
async fn images(text: &[u8], capacity: usize) -> (Vec<Image>, bool) {
    let mut images = Vec::new();
    let reader = BufReader::with_capacity(capacity, Cursor::new(text.to_vec()));
    let Ok(text) = unpacked(reader).await else { return (images, false) };
    let mut lines = Lines::new(text);
    while images.len() < LINES {
        let (number, line) = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return (images, true),
            Err(_) => return (images, false),
        };
        let image = match line {
            Line::Whole(line) => ListedImage::parse(line).map_err(|error| error.to_string()),
            Line::TooLong => Err("too long".to_owned()),
        };
        images.push((number, image.map(|parsed| parsed.value)));
    }
    (images, true)
}
