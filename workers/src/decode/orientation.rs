//! Which way up a picture is shown.

use std::io::Cursor;

use exif::{In, Reader, Tag};
use image::metadata::Orientation;

use super::Format;

/// The EXIF orientation of a picture; upright where it has none that can be read.
pub(super) fn read(format: Format, bytes: &[u8]) -> Orientation {
    /// EXIF stands in front of a JPEG's picture data; without an end the reader
    /// would go through all of that in search of it.
    const JPEG_HEAD: usize = 128 << 10;
    let head = match format {
        Format::Jpeg => &bytes[..bytes.len().min(JPEG_HEAD)],
        Format::Png | Format::WebP | Format::Tiff => bytes,
        Format::Gif | Format::Bmp => return Orientation::NoTransforms,
    };
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    reader
        .read_from_container(&mut Cursor::new(head))
        .or_else(|error| error.distill_partial_result(|_| ()))
        .ok()
        .and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0))
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

/// Whether a picture of this orientation is shown with its width and height swapped.
pub(super) fn is_transposed(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}
