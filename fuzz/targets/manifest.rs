//! A manifest, plain or gzip: its images are the same however it arrives.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tagfleet_scheduler::manifest::{Line, Lines, unpacked};
use tagfleet_shared::events::ListedImage;
use tokio::io::BufReader;

/// A small gzip may hold a great many lines.
const LINES: usize = 2_000;

fuzz_target!(|text: &[u8]| {
    let whole = futures::executor::block_on(images(text, 64 * 1024));
    assert_eq!(futures::executor::block_on(images(text, 1 + text.len() % 7)), whole);
});

/// What each line is: an image, or why it is none.
async fn images(text: &[u8], capacity: usize) -> Vec<(u64, Result<ListedImage, String>)> {
    let mut images = Vec::new();
    let reader = BufReader::with_capacity(capacity, Cursor::new(text.to_vec()));
    let Ok(text) = unpacked(reader).await else { return images };
    let mut lines = Lines::new(text);
    while let Ok(Some((number, line))) = lines.next().await
        && images.len() < LINES
    {
        let image = match line {
            Line::Whole(line) => ListedImage::parse(line).map_err(|error| error.to_string()),
            Line::TooLong => Err("too long".to_owned()),
        };
        images.push((number, image.map(|parsed| parsed.value)));
    }
    images
}
