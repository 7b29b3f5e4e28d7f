//! From pixels to the bytes of a file.

use jpeg_encoder::{ColorType, Encoder};
use tiny_skia::Pixmap;

/// The media type of a JPEG file.
pub const JPEG: &str = "image/jpeg";
/// The media type of a PNG file.
pub const PNG: &str = "image/png";

/// A JPEG file of an opaque picture.
pub(super) fn jpeg(picture: &Pixmap, quality: u8) -> Vec<u8> {
    let side = |pixels: u32| u16::try_from(pixels).expect("pictures are smaller than 65536 pixels");
    let (width, height) = (side(picture.width()), side(picture.height()));
    let mut bytes = Vec::with_capacity(picture.data().len() / 16);
    Encoder::new(&mut bytes, quality)
        .encode(picture.data(), width, height, ColorType::Rgba)
        .expect("memory takes any number of bytes");
    bytes
}

/// A PNG file.
pub(super) fn png(picture: &Pixmap) -> Vec<u8> {
    picture.encode_png().expect("memory takes any number of bytes")
}

/// The same picture in different bytes: `file` with `note` in a place where decoders do not look.
pub(super) fn with_note(file: &[u8], note: &str) -> Vec<u8> {
    let (at, segment) = if file.starts_with(&[0xFF, 0xD8]) {
        (2, jpeg_comment(note))
    } else {
        // After the signature and the header chunk, which has a fixed length.
        (33.min(file.len()), png_text(note))
    };
    let mut noted = Vec::with_capacity(file.len() + segment.len());
    noted.extend_from_slice(&file[..at]);
    noted.extend_from_slice(&segment);
    noted.extend_from_slice(&file[at..]);
    noted
}

fn jpeg_comment(note: &str) -> Vec<u8> {
    let length = u16::try_from(note.len() + 2).expect("notes are short");
    [&[0xFF, 0xFE], &length.to_be_bytes()[..], note.as_bytes()].concat()
}

fn png_text(note: &str) -> Vec<u8> {
    let content = [b"tEXtComment\0", note.as_bytes()].concat();
    let length = u32::try_from(content.len() - 4).expect("notes are short");
    let mut crc = u32::MAX;
    for byte in &content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    [&length.to_be_bytes()[..], &content, &(!crc).to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Size, canvas};

    #[test]
    fn a_note_changes_the_bytes_and_not_the_picture() {
        let picture = canvas::blank(Size::new(20, 10), (200, 30, 40, 255));

        let (plain, noted) = (png(&picture), with_note(&png(&picture), "photo 17"));

        assert_ne!(plain, noted);
        assert_eq!(Pixmap::decode_png(&noted).unwrap(), Pixmap::decode_png(&plain).unwrap());
    }

    #[test]
    fn a_note_in_a_jpeg_is_a_comment_after_its_start() {
        let picture = canvas::blank(Size::new(20, 10), (200, 30, 40, 255));
        let plain = jpeg(&picture, 85);

        let noted = with_note(&plain, "ab");

        assert_eq!(noted[..8], [0xFF, 0xD8, 0xFF, 0xFE, 0, 4, b'a', b'b']);
        assert_eq!(noted[8..], plain[2..]);
    }
}
