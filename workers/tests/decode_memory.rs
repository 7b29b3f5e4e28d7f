//! What decoding takes is what it was taken for: a picture that the limit lets pass stays within it.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder};
use peak_alloc::PeakAlloc;
use tagfleet_worker::decode::{DecodeLimits, Decoder, InputSize};

/// Everything that is allocated in Rust: all decoders but libjpeg-turbo.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const SIDES: (u16, u16) = (1200, 900);
const PIXELS: u64 = 1200 * 900;

/// What is not pixels: tables, rows, a copy of the file, the small result.
const BESIDES: u64 = 1 << 20;

#[test]
fn decoding_takes_no_more_memory_than_the_limit() {
    for (name, file) in files() {
        // In steps of a quarter byte for each pixel.
        let accepted = (1..80).find_map(|quarters| {
            let max_memory_bytes = quarters * PIXELS / 4;
            let limits = DecodeLimits { max_pixels: PIXELS, max_memory_bytes };
            let decoder = Decoder::new(vec![InputSize { height: 32, width: 32 }], limits);
            ALLOCATED.reset_peak_usage();
            let before = ALLOCATED.current_usage() as u64;
            let decoded = decoder.decode(&file);
            let peak = ALLOCATED.peak_usage() as u64 - before;
            decoded.is_ok().then_some((max_memory_bytes, peak))
        });
        let (limit, peak) = accepted.unwrap_or_else(|| panic!("{name} is never decoded"));
        let allowed = limit + 2 * file.len() as u64 + BESIDES;
        assert!(peak <= allowed, "{name}: took {peak} bytes of {limit}");
        eprintln!(
            "{name}: {:.2} bytes a pixel of {:.2}",
            peak as f64 / PIXELS as f64,
            limit as f64 / PIXELS as f64
        );
    }
}

fn files() -> Vec<(String, Vec<u8>)> {
    let (width, height) = (u32::from(SIDES.0), u32::from(SIDES.1));
    let rgb = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
    let image = DynamicImage::from(rgb.clone());
    let colors = [
        ("rgb", image.clone()),
        ("rgba", image.to_rgba8().into()),
        ("gray", image.to_luma8().into()),
        ("gray with alpha", image.to_luma_alpha8().into()),
        ("deep rgb", image.to_rgb16().into()),
        ("deep rgba", image.to_rgba16().into()),
        ("deep gray", image.to_luma16().into()),
    ];
    let mut files = Vec::new();
    for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff]
    {
        for (color, image) in &colors {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format has every colour.
            if image.write_to(&mut bytes, format).is_ok() {
                files.push((format!("{color} {}", format.extensions_str()[0]), bytes.into_inner()));
            }
        }
    }
    files.push(("png with a packed profile".to_owned(), with_profile(&rgb)));
    for progressive in [false, true] {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 90);
        encoder.set_progressive(progressive);
        encoder.encode(&rgb, SIDES.0, SIDES.1, ColorType::Rgb).expect("a JPEG can be written");
        // Cut off: the forgiving decoder, which is Rust, has to show it.
        bytes.truncate(bytes.len() * 9 / 10);
        files.push((format!("cut off jpeg, progressive: {progressive}"), bytes));
    }
    files
}

/// Its profile is a few kB, and as large as the pixels where it is unpacked: it fits wherever they do.
fn with_profile(rgb: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(vec![0; 3 * PIXELS as usize]).expect("a PNG can have a profile");
    encoder
        .write_image(rgb, rgb.width(), rgb.height(), ExtendedColorType::Rgb8)
        .expect("a PNG can be written");
    bytes
}
