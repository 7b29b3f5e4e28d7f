//! Pictures made for the tests.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// A smooth picture in which no corner is like another.
pub(super) fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = ((255 * x / width) as u8, (255 * y / height) as u8);
        image::Rgb([across, down, 255 - across / 2 - down / 2])
    })
}

pub(super) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG without loss worth mentioning.
pub(super) fn jpeg(image: &RgbImage) -> Vec<u8> {
    raw_jpeg(image, image.dimensions(), PixelFormat::RGB, false)
}

/// A JPEG of pixels in any format that libjpeg-turbo takes.
pub(super) fn raw_jpeg(
    pixels: &[u8],
    (width, height): (u32, u32),
    format: PixelFormat,
    progressive: bool,
) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(98).unwrap();
    let gray = format == PixelFormat::GRAY;
    compressor.set_subsamp(if gray { Subsamp::Gray } else { Subsamp::None }).unwrap();
    compressor.set_progressive(progressive).unwrap();
    compressor.compress_to_vec(Image { pixels, width, pitch: width * format.size(), height, format }).unwrap()
}

/// The same JPEG with an EXIF segment that says how to turn it.
pub(super) fn with_orientation(jpeg: &[u8], orientation: Orientation) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation.to_exif(), 0, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// The same JPEG with a header that claims another size.
pub(super) fn with_claimed_size(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A PNG from its parts; `rows` are filtered scan lines, stored without compression.
pub(super) fn png(
    (width, height): (u32, u32),
    depth: u8,
    color: u8,
    palette: Option<&[u8]>,
    rows: &[u8],
) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth, color, 0, 0, 0]);
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend((rows.len() as u16).to_le_bytes());
    zlib.extend((!(rows.len() as u16)).to_le_bytes());
    zlib.extend(rows);
    zlib.extend(adler32(rows).to_be_bytes());

    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    push_chunk(&mut bytes, b"IHDR", &header);
    if let Some(palette) = palette {
        push_chunk(&mut bytes, b"PLTE", palette);
    }
    push_chunk(&mut bytes, b"IDAT", &zlib);
    push_chunk(&mut bytes, b"IEND", b"");
    bytes
}

pub(super) fn push_chunk(png: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let checked = png.len();
    png.extend(name);
    png.extend(data);
    let crc = crc32(&png[checked..]);
    png.extend(crc.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}
