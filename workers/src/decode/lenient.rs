//! Pictures through the `image` crate: every format that is not JPEG, and the
//! JPEGs that are damaged, cut off or unusual, shown as a browser would.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder,
    webp::WebPDecoder,
};
use image::{ColorType, ImageDecoder, ImageError, Limits};
use tagfleet_download::jpeg;

use super::{Budget, Format, Picture, Undecodable, png, scans};

/// Decodes a picture at its full size, the first frame of an animation.
/// Transparency is laid on white.
pub(super) fn decode<'a>(
    format: Format,
    bytes: &[u8],
    budget: &'a Budget,
) -> Result<Picture<'a>, Undecodable> {
    let reader = Cursor::new(bytes);
    match format {
        Format::Jpeg => {
            let decoder = JpegDecoder::new(reader).map_err(Undecodable::corrupt)?;
            let (width, height) = decoder.dimensions();
            budget.check_pixels(width, height)?;
            scans::check(bytes, (width, height), &budget.limits)?;
            // Two bytes for each coefficient until the last scan.
            let working = if jpeg::is_progressive(bytes) { 2 * 4 } else { 1 };
            read(Ok(decoder), working, budget)
        }
        Format::Png => {
            let alone = Cursor::new(png::picture_alone(bytes));
            read(PngDecoder::with_limits(alone, library_limits(budget)), 0, budget)
        }
        // The frame, before it is laid on the screen.
        Format::Gif => read(GifDecoder::new(reader), 4, budget),
        // The frame in its own colours, or with an alpha that is cut off.
        Format::WebP => read(WebPDecoder::new(reader), 4, budget),
        Format::Bmp => read(BmpDecoder::new(reader), 0, budget),
        // A copy of the samples, in the file's order of bytes.
        Format::Tiff => read(TiffDecoder::new(reader), 8, budget),
    }
}

/// The limits as `image` has them. It does not check the buffer that it is
/// given, nor does every decoder check its own: [`read`] checks by itself.
fn library_limits(budget: &Budget) -> Limits {
    let mut library = Limits::no_limits();
    library.max_alloc = Some(budget.limits.max_memory_bytes);
    library
}

/// `working` are the bytes for each pixel that the decoder keeps for itself, at
/// most: `tests/decode_memory.rs` measures them.
fn read<'a>(
    decoder: Result<impl ImageDecoder, ImageError>,
    working: u64,
    budget: &'a Budget,
) -> Result<Picture<'a>, Undecodable> {
    let refused = |error| match error {
        ImageError::Limits(_) => Undecodable::TooMuchMemory { limit: budget.limits.max_memory_bytes },
        error => Undecodable::corrupt(error),
    };
    let mut decoder = decoder.map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    budget.check_pixels(width, height)?;
    let pixels = u64::from(width) * u64::from(height);
    // Later RGB lies beside gray, and the decoder is done with its own by then.
    let besides = if color.has_color() { working } else { working.max(3) };
    let memory = budget.take(decoder.total_bytes() + besides * pixels)?;
    decoder.set_limits(library_limits(budget)).map_err(refused)?;

    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples).map_err(refused)?;
    let rgb = to_rgb(color, samples)?;
    Ok(Picture { width, height, original: (width, height), rgb: Cow::Owned(rgb), _memory: memory })
}

/// Turns what `image` decodes to into 8-bit RGB, in place where there is colour.
fn to_rgb(color: ColorType, mut samples: Vec<u8>) -> Result<Vec<u8>, Undecodable> {
    let deep = color.bytes_per_pixel() > color.channel_count();
    if deep {
        narrow(&mut samples);
    }
    match color {
        ColorType::L8 | ColorType::L16 => Ok(samples.iter().flat_map(|&l| [l; 3]).collect()),
        ColorType::La8 | ColorType::La16 => {
            Ok(samples.as_chunks().0.iter().flat_map(|&[l, a]| [over_white(l, a); 3]).collect())
        }
        ColorType::Rgb8 | ColorType::Rgb16 => Ok(samples),
        ColorType::Rgba8 | ColorType::Rgba16 => {
            cut_off_alpha(&mut samples);
            Ok(samples)
        }
        other => Err(Undecodable::corrupt(format_args!("unexpected colour type {other:?}"))),
    }
}

/// Lays what is transparent on white, in place.
fn cut_off_alpha(samples: &mut Vec<u8>) {
    let count = samples.len() / 4;
    for pixel in 0..count {
        let alpha = samples[4 * pixel + 3];
        for channel in 0..3 {
            samples[3 * pixel + channel] = over_white(samples[4 * pixel + channel], alpha);
        }
    }
    samples.truncate(3 * count);
}

/// Lays a channel of transparency `alpha` on white.
fn over_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Rounds samples of 16 bits to 8, in place.
fn narrow(samples: &mut Vec<u8>) {
    let count = samples.len() / 2;
    for i in 0..count {
        let sample = u16::from_ne_bytes([samples[2 * i], samples[2 * i + 1]]);
        samples[i] = ((u32::from(sample) + 128) / 257) as u8;
    }
    samples.truncate(count);
}
