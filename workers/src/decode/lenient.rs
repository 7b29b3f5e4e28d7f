//! Pictures through the `image` crate: every format that is not JPEG, and the
//! JPEGs that are damaged, cut off or unusual, shown as a browser would.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder,
    webp::WebPDecoder,
};
use image::{ColorType, ImageDecoder, ImageError, Limits};

use super::{DecodeLimits, Format, Picture, Undecodable, scans};

/// Decodes a picture at its full size, the first frame of an animation.
/// Transparency is laid on white.
pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<Picture<'static>, Undecodable> {
    let reader = Cursor::new(bytes);
    match format {
        Format::Jpeg => {
            let decoder = JpegDecoder::new(reader).map_err(Undecodable::corrupt)?;
            let (width, height) = decoder.dimensions();
            limits.check_pixels(width, height)?;
            scans::check(bytes, (width, height), limits)?;
            read(Ok(decoder), limits)
        }
        Format::Png => read(PngDecoder::with_limits(reader, library_limits(limits)), limits),
        Format::Gif => read(GifDecoder::new(reader), limits),
        Format::WebP => read(WebPDecoder::new(reader), limits),
        Format::Bmp => read(BmpDecoder::new(reader), limits),
        Format::Tiff => read(TiffDecoder::new(reader), limits),
    }
}

/// The limits as `image` has them. It does not check the buffer that it is
/// given, nor does every decoder check its own: [`read`] checks by itself.
fn library_limits(limits: &DecodeLimits) -> Limits {
    let mut library = Limits::no_limits();
    library.max_alloc = Some(limits.max_memory_bytes);
    library
}

fn read(
    decoder: Result<impl ImageDecoder, ImageError>,
    limits: &DecodeLimits,
) -> Result<Picture<'static>, Undecodable> {
    let refused = |error| match error {
        ImageError::Limits(_) => Undecodable::TooMuchMemory { limit: limits.max_memory_bytes },
        error => Undecodable::corrupt(error),
    };
    let mut decoder = decoder.map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    limits.check_pixels(width, height)?;
    let rgb_bytes = if color == ColorType::Rgb8 { 0 } else { 3 * u64::from(width) * u64::from(height) };
    limits.check_memory(decoder.total_bytes() + rgb_bytes)?;
    decoder.set_limits(library_limits(limits)).map_err(refused)?;

    let mut pixels = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut pixels).map_err(refused)?;
    let rgb = to_rgb(color, pixels)?;
    Ok(Picture { width, height, original: (width, height), rgb: Cow::Owned(rgb) })
}

/// Turns what `image` decodes to into 8-bit RGB.
fn to_rgb(color: ColorType, pixels: Vec<u8>) -> Result<Vec<u8>, Undecodable> {
    match color {
        ColorType::Rgb8 => Ok(pixels),
        ColorType::L8 => Ok(each(&pixels, |&[l]| [l; 3])),
        ColorType::La8 => Ok(each(&pixels, |&[l, a]| [over_white(l, a); 3])),
        ColorType::Rgba8 => Ok(each(&pixels, |&[r, g, b, a]| [r, g, b].map(|c| over_white(c, a)))),
        ColorType::L16 => to_rgb(ColorType::L8, narrow(&pixels)),
        ColorType::La16 => to_rgb(ColorType::La8, narrow(&pixels)),
        ColorType::Rgb16 => Ok(narrow(&pixels)),
        ColorType::Rgba16 => to_rgb(ColorType::Rgba8, narrow(&pixels)),
        other => Err(Undecodable::corrupt(format_args!("unexpected colour type {other:?}"))),
    }
}

fn each<const N: usize>(pixels: &[u8], to_rgb: impl Fn(&[u8; N]) -> [u8; 3]) -> Vec<u8> {
    pixels.as_chunks::<N>().0.iter().map(to_rgb).collect::<Vec<_>>().into_flattened()
}

/// Lays a channel of transparency `alpha` on white.
fn over_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Rounds samples of 16 bits to 8.
fn narrow(samples: &[u8]) -> Vec<u8> {
    let round = |sample: &[u8; 2]| ((u32::from(u16::from_ne_bytes(*sample)) + 128) / 257) as u8;
    samples.as_chunks::<2>().0.iter().map(round).collect()
}
