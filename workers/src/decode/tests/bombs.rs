//! Files that are made to hurt: drawn here, so that they are always at hand.

use image::codecs::gif::GifEncoder;
use image::{Frame, GrayImage, RgbaImage};

use super::super::png::picture_alone;
use super::pictures::push_chunk;
use super::*;

const REASONS: [&str; 7] = [
    "empty",
    "unknown_format",
    "unsupported_format",
    "too_many_pixels",
    "too_much_memory",
    "too_many_scans",
    "undecodable",
];

/// A picture in every format, by name.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let image = scene(90, 60);
    let formats = [
        ("png", ImageFormat::Png),
        ("gif", ImageFormat::Gif),
        ("webp", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff", ImageFormat::Tiff),
    ];
    let mut files = vec![
        ("jpeg", jpeg(&image)),
        ("progressive jpeg", raw_jpeg(&image, (90, 60), PixelFormat::RGB, true)),
    ];
    files.extend(formats.map(|(name, format)| (name, encode(image.clone(), format))));
    files
}

/// What becomes of a file, and whether it is the same again.
fn outcome(bytes: &[u8]) -> &'static str {
    let word = || match decoder().decode(bytes) {
        // It is caught, and has the reason of a damaged file.
        Err(Undecodable::Panicked) => "panicked",
        Err(error) => error.reason(),
        Ok(_) => "decoded",
    };
    let first = word();
    assert!(first == "decoded" || REASONS.contains(&first), "{first}");
    assert_eq!(word(), first);
    first
}

/// A zlib stream of some dozen kB that unpacks to 50 MB of zeros.
fn zlib_bomb() -> Vec<u8> {
    let png = encode(GrayImage::new(10_000, 5_000), ImageFormat::Png);
    let (mut zlib, mut rest) = (Vec::new(), &png[8..]);
    while let [a, b, c, d, chunk @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if chunk.starts_with(b"IDAT") {
            zlib.extend_from_slice(&chunk[4..4 + length]);
        }
        rest = &chunk[4 + length + 4..];
    }
    assert!(zlib.len() < 500_000, "{}", zlib.len());
    zlib
}

/// The PNG with one more chunk after its header.
fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    const HEADER_END: usize = 33;
    let mut bytes = png[..HEADER_END].to_vec();
    push_chunk(&mut bytes, name, data);
    bytes.extend_from_slice(&png[HEADER_END..]);
    bytes
}

#[test]
fn a_small_file_that_claims_a_huge_picture_is_refused() {
    let mut huge = png((30_000, 30_000), 8, 2, None, &[0; 900]);
    huge.truncate(1_000);
    let two_to_the_31 = png((1 << 31, 1 << 31), 8, 2, None, &[]);
    let lottapixel = with_claimed_size(&jpeg(&scene(8, 8)), 64_250, 64_250);

    assert_eq!(outcome(&huge), "too_many_pixels");
    assert_eq!(outcome(&two_to_the_31), "too_much_memory");
    assert_eq!(outcome(&lottapixel), "too_many_pixels");
}

/// The picture behind such a chunk is as good as any. No decoder sees it: `tests/decode_memory.rs` measures.
#[test]
fn what_a_packed_text_or_profile_unpacks_to_is_never_asked_for() {
    let png = encode(scene(90, 60), ImageFormat::Png);
    let packed = [b"Comment\0\0".as_slice(), &zlib_bomb()].concat();

    for name in [b"zTXt", b"iCCP"] {
        let bomb = with_chunk(&png, name, &packed);
        assert_eq!(picture_alone(&bomb), picture_alone(&png), "{:?}", str::from_utf8(name));
        let pixels_alone = DecodeLimits { max_memory_bytes: 3 * 90 * 60, ..LIMITS };
        let decoded = Decoder::new(vec![SQUARE], pixels_alone).decode(&bomb);
        assert!(decoded.is_ok(), "{:?}: {:?}", str::from_utf8(name), decoded.err());
    }
}

#[test]
fn of_a_gif_with_five_thousand_frames_the_first_is_decoded() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    for frame in 0..5_000_u32 {
        let pixel = image::Rgba([(frame % 251) as u8, 0, 255, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(8, 8, pixel))).unwrap();
    }
    drop(encoder);

    assert_eq!(decode(&bytes).plane(WIDE).unwrap()[..3], [0, 0, 255]);
}

#[test]
fn a_progressive_jpeg_of_a_thousand_scans_is_refused() {
    let mut bytes = raw_jpeg(&scene(30, 20), (30, 20), PixelFormat::RGB, true);
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let end = bytes.len() - 2;
    let last_scan = bytes[scan..end].repeat(1_000);
    bytes.splice(end..end, last_scan);

    assert_eq!(outcome(&bytes), "too_many_scans");
    // Nor by the more forgiving decoder.
    assert_eq!(outcome(&bytes[..bytes.len() - 10]), "too_many_scans");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_shown_or_refused() {
    for (name, file) in files() {
        for twentieth in 0..20 {
            let cut = &file[..file.len() * twentieth / 20];
            let word = outcome(cut);
            let expected: &[_] = match twentieth {
                0 => &["empty"],
                _ => &["decoded", "undecodable"],
            };
            assert!(expected.contains(&word), "{name} at {} %: {word}", 5 * twentieth);
        }
    }
}

#[test]
fn a_file_with_flipped_bits_is_shown_or_refused() {
    let mut seed = 5_u64;
    for (_, file) in files() {
        for flips in 1..=60 {
            let mut bytes = file.clone();
            for _ in 0..1 + flips % 7 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let bit = (seed >> 33) as usize % (8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            outcome(&bytes);
        }
    }
}

/// Camera makers put whole pictures there, attackers put anything.
#[test]
fn exif_and_colour_profiles_of_many_megabytes_change_nothing() {
    let upright = jpeg(&scene(90, 60));
    let mut long = upright[..2].to_vec();
    for (marker, head) in [(0xe1, &b"Exif\0\0II*\0\xff\xff\xff\xff"[..]), (0xe2, b"ICC_PROFILE\0\x01\xff")] {
        for _ in 0..60 {
            let mut data = head.to_vec();
            data.resize(65_533, 0xff);
            long.extend([0xff, marker, 0xff, 0xff]);
            long.extend(data);
        }
    }
    long.extend(&upright[2..]);
    let (shown, plain) = (decode(&long), decode(&upright));

    let (shown_plane, plain_plane) = (shown.plane(SQUARE).unwrap(), plain.plane(SQUARE).unwrap());
    assert!(difference(shown_plane, plain_plane) < 2.0);
    assert_eq!((shown.width(), shown.height()), (90, 60));
    let png = encode(scene(90, 60), ImageFormat::Png);
    assert_eq!(outcome(&with_chunk(&png, b"eXIf", &vec![0xff; 5 << 20])), "decoded");
}

/// A file that is two things at once is what its first bytes say.
#[test]
fn a_polyglot_is_what_it_begins_with() {
    let picture = jpeg(&scene(90, 60));
    let join = |parts: &[&[u8]]| parts.concat();
    for (file, word) in [
        (join(&[&picture, b"<html><script>alert(1)</script>"]), "decoded"),
        (join(&[&picture, b"PK\x03\x04 a zip file"]), "decoded"),
        (join(&[b"<html>", &picture]), "unknown_format"),
        (join(&[b"%PDF-1.7\n", &picture]), "unknown_format"),
        (join(&[b"PK\x03\x04", &picture]), "unknown_format"),
        (join(&[b"GIF89a=0;alert(1);//", &picture]), "too_many_pixels"),
        (join(&[b"BM<script>", &picture]), "undecodable"),
        (
            join(&[b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"]),
            "unsupported_format",
        ),
        (
            join(&[b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'a'>]><svg>&a;</svg>"]),
            "unsupported_format",
        ),
        (join(&[b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &picture]), "unknown_format"),
        (join(&[b"push graphic-context\nfill 'url(https://x/)'"]), "unknown_format"),
        (join(&[b"%!PS-Adobe-3.0 EPSF-3.0\n"]), "unknown_format"),
    ] {
        assert_eq!(outcome(&file), word, "{:?}", String::from_utf8_lossy(&file[..20.min(file.len())]));
    }
}
