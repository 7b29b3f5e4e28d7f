//! Tells text from images by the first bytes.
//!
//! Servers answer "not found" with status 200 and a page of HTML under the
//! name of the image, and send images as `text/plain`. So neither the name nor
//! `Content-Type` decides, but the bytes: what is plainly text is no image, and
//! all else is for the decoder to judge.

/// So many bytes are enough to decide; a shorter body is judged at its end.
pub const ENOUGH: usize = 512;

/// Says whether a body that begins with `start` is text, hence no image.
pub fn is_text(start: &[u8]) -> bool {
    let start = &start[..start.len().min(ENOUGH)];
    !has_image_signature(start) && (is_markup(start) || is_prose(start))
}

/// The files that begin with a known signature are images even if their first
/// bytes read like text, as those of a JPEG with a long comment do.
fn has_image_signature(start: &[u8]) -> bool {
    match start {
        // JPEG, PNG, GIF
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', ..] | [b'G', b'I', b'F', b'8', ..] => true,
        // WebP
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => true,
        // AVIF, HEIF, JPEG 2000 and JPEG XL in their containers
        [0, 0, 0, _, b'f', b't', b'y', b'p', ..] | [0, 0, 0, 12, b'j' | b'J', ..] => true,
        // BMP: two letters are too few, words begin with them
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => true,
        // TIFF
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => true,
        _ => false,
    }
}

/// HTML, XML, SVG and JSON, after a byte order mark and white space.
fn is_markup(start: &[u8]) -> bool {
    let utf16 = matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let first = text.trim_ascii_start().first();
    utf16 || matches!(first, Some(b'<' | b'{' | b'['))
}

/// Text in any language, or mostly ASCII with a few bytes of an older encoding.
fn is_prose(start: &[u8]) -> bool {
    let is_text_byte = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    let is_ascii_text = |byte: &&u8| byte.is_ascii() && is_text_byte(byte);

    let utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        // Only the last character is cut off.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    let ascii = start.iter().filter(is_ascii_text).count();
    (utf8 && start.iter().all(is_text_byte)) || ascii * 10 >= start.len() * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_by_its_first_bytes() {
        let latin1 = [b"Die angeforderte Seite ist nicht verf".as_slice(), b"\xfcgbar"].concat();
        let utf16: Vec<u8> = "\u{feff}<html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cut_off = &"не найдено".as_bytes()[..5];
        let texts: &[&[u8]] = &[
            b"<!DOCTYPE html><html><body>404",
            b"\r\n\r\n  <html>",
            b"\xef\xbb\xbf<?xml version=\"1.0\"?>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"{\"error\":\"not found\"}",
            b"[]",
            b"<\0\x01\x02\x03\x04\x05\x06\x07\x08",
            b"Access denied",
            b"BMW 320d: no photo",
            b"GIF is not what this is",
            b"x",
            "画像が見つかりません".as_bytes(),
            &latin1,
            &utf16,
            cut_off,
        ];

        for text in texts {
            assert!(is_text(text), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn images_and_unknown_binary_are_left_to_the_decoder() {
        let commented = [b"\xff\xd8\xff\xfe\x01\xf0".as_slice(), &[b'a'; 500]].concat();
        let binaries: &[&[u8]] = &[
            b"\xff\xd8\xff\xe0\0\x10JFIF\0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF\x24\x10\0\0WEBPVP8 ",
            b"\0\0\0\x1cftypavif",
            b"\0\0\0\x18ftypheic",
            b"BM\x36\x10\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
            b"II*\0\x08\0\0\0",
            b"\r\n\r\n\xff\xd8\xff\xdb\0C\0\x06\x04",
            b"\x1f\x8b\x08\0\0\0\0\0",
            b"\0",
            &commented,
        ];

        for binary in binaries {
            assert!(!is_text(binary), "{binary:?}");
        }
    }
}
