//! From a stranger's file to a small JPEG of ours.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};
use tagfleet_download::jpeg;

/// From 1 to 100: more is larger, and nobody sees it at this size.
const QUALITY: u8 = 80;

/// Of a PNG, beside its pixels and its file: one row of it, and what a colour profile unpacks to.
const BESIDES_BYTES: u64 = 4 << 20;

/// What a picture may cost, checked from its header.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Width times height.
    pub max_pixels: u64,
    /// Of its pixels, and of what the decoder has beside them.
    pub max_memory_bytes: u64,
}

/// Why there is no drawing.
#[derive(Debug, PartialEq, Eq)]
pub enum Undrawn {
    /// It would cost too much.
    TooLarge,
    /// It is no picture that is known here.
    Unreadable,
}

pub use Undrawn::{TooLarge, Unreadable};

/// Decodes `file`, turns it upright, shrinks it so that its longer side is `side` at most, and encodes it
/// as JPEG on white. Up to seconds of blocking work for the largest that `limits` allow.
///
/// # Errors
///
/// The same file gives the same error.
pub fn draw(file: &[u8], side: u32, limits: Limits) -> Result<Vec<u8>, Undrawn> {
    let (format, mut decoder) = open(file, limits)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    // `image` checks neither the pixels nor the buffer that it makes for them, and its decoders not all of their own.
    if pixels > limits.max_pixels
        || decoder.total_bytes().saturating_add(working_bytes(format, file, pixels)) > limits.max_memory_bytes
        || format == Some(ImageFormat::Jpeg)
            && jpeg::too_many_scans(file, (width, height), limits.max_pixels).is_some()
    {
        return Err(TooLarge);
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(undrawn)?;
    let mut small = if width > side || height > side { picture.thumbnail(side, side) } else { picture };
    small.apply_orientation(orientation);

    let mut jpeg = Vec::new();
    on_white(small).write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY)).map_err(undrawn)?;
    Ok(jpeg)
}

/// Reads the header of `file`, and what the decoder takes before it tells of any pixels.
fn open(file: &[u8], limits: Limits) -> Result<(Option<ImageFormat>, impl ImageDecoder), Undrawn> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|_| Unreadable)?;
    let format = reader.format();
    let mut library = image::Limits::no_limits();
    library.max_alloc = Some(match format {
        // This one has its limit from the beginning, and unpacks a colour profile up to it, which nobody asks for:
        // one that is larger is left out. Texts and EXIF are kept as they are, in a buffer that doubles.
        Some(ImageFormat::Png) => limits.max_memory_bytes.min(BESIDES_BYTES + 3 * file.len() as u64),
        _ => limits.max_memory_bytes,
    });
    reader.limits(library);
    Ok((format, reader.into_decoder().map_err(undrawn)?))
}

/// What the decoder keeps for itself beside the pixels, at most: as the workers have it.
fn working_bytes(format: Option<ImageFormat>, file: &[u8], pixels: u64) -> u64 {
    match format {
        Some(ImageFormat::Jpeg) => jpeg::coefficient_bytes(file),
        // The frame, before it is laid on the screen, or in its own colours.
        Some(ImageFormat::Gif | ImageFormat::WebP) => 4 * pixels,
        // A copy of the samples.
        Some(ImageFormat::Tiff) => 8 * pixels,
        _ => 0,
    }
}

fn undrawn(error: ImageError) -> Undrawn {
    if matches!(error, ImageError::Limits(_)) { TooLarge } else { Unreadable }
}

/// JPEG knows no transparency.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let clear = picture.into_rgba8();
    RgbImage::from_fn(clear.width(), clear.height(), |x, y| {
        let [r, g, b, alpha] = clear.get_pixel(x, y).0.map(u32::from);
        let over = |channel: u32| ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        image::Rgb([over(r), over(g), over(b)])
    })
}

#[cfg(test)]
mod tests {
    use image::codecs::png::PngEncoder;
    use image::{ImageEncoder, Rgba, RgbaImage};

    use super::*;

    const LIMITS: Limits = Limits { max_pixels: 1_000_000, max_memory_bytes: 8_000_000 };

    fn png(width: u32, height: u32, pixel: [u8; 4]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        RgbaImage::from_pixel(width, height, Rgba(pixel)).write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn drawn(file: &[u8], side: u32) -> RgbImage {
        image::load_from_memory(&draw(file, side, LIMITS).unwrap()).unwrap().into_rgb8()
    }

    #[test]
    fn the_longer_side_is_as_long_as_wanted_and_nothing_is_blown_up() {
        assert_eq!(drawn(&png(800, 400, [9, 9, 9, 255]), 320).dimensions(), (320, 160));
        assert_eq!(drawn(&png(10, 900, [9, 9, 9, 255]), 320).dimensions(), (4, 320));
        assert_eq!(drawn(&png(20, 10, [9, 9, 9, 255]), 320).dimensions(), (20, 10));
    }

    #[test]
    fn what_is_clear_is_white() {
        let [r, g, b] = drawn(&png(8, 8, [0, 0, 0, 0]), 320).get_pixel(4, 4).0;
        assert!(r > 250 && g > 250 && b > 250, "{r} {g} {b}");
    }

    #[test]
    fn what_is_too_large_is_refused_from_its_header() {
        let file = png(1001, 1000, [0; 4]);
        assert_eq!(draw(&file, 320, LIMITS), Err(TooLarge));
        let small = Limits { max_memory_bytes: 100, ..LIMITS };
        assert_eq!(draw(&png(10, 10, [0; 4]), 320, small), Err(TooLarge));
    }

    /// A file of some hundred bytes that claims a picture of this size, in three channels.
    fn claimed(frame: u8, width: u16, height: u16) -> Vec<u8> {
        let mut file = Vec::new();
        JpegEncoder::new(&mut file).encode(&[9; 3 * 64], 8, 8, image::ExtendedColorType::Rgb8).unwrap();
        let at = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        file[at + 1] = frame;
        file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
        file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
        file
    }

    /// The coefficients of all channels are kept until the last scan: twice the pixels, and more than the limit with them.
    #[test]
    fn a_progressive_jpeg_is_refused_for_what_its_scans_take() {
        let limits = Limits { max_pixels: 50_000_000, max_memory_bytes: 192 << 20 };
        assert_eq!(draw(&claimed(0xc2, 9000, 5000), 320, limits), Err(TooLarge));
        assert_ne!(draw(&claimed(0xc0, 900, 500), 320, limits), Err(TooLarge));
        assert_ne!(draw(&claimed(0xc2, 900, 500), 320, limits), Err(TooLarge));
    }

    fn with_profile(bytes: usize) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        encoder.set_icc_profile(vec![0; bytes]).unwrap();
        encoder.write_image(&[9; 3 * 64], 8, 8, image::ExtendedColorType::Rgb8).unwrap();
        file
    }

    /// Its decoder does so before anybody can ask it for the size of the picture.
    #[test]
    fn of_a_png_no_large_profile_is_unpacked() {
        let limits = Limits { max_pixels: 50_000_000, max_memory_bytes: 192 << 20 };
        let unpacked = |file: &[u8]| open(file, limits).unwrap().1.icc_profile().unwrap().map(|it| it.len());
        let bomb = with_profile(100 << 20);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());

        assert_eq!(unpacked(&with_profile(100_000)), Some(100_000));
        assert_eq!(unpacked(&bomb), None);
        assert!(draw(&bomb, 320, limits).is_ok(), "the picture is as good as any");
    }

    /// Nothing is unpacked of these, so that they take what is there.
    #[test]
    fn a_png_with_many_megabytes_of_texts_is_drawn() {
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        encoder.set_exif_metadata(vec![0xff; 9 << 20]).unwrap();
        encoder.write_image(&[9; 3 * 64], 8, 8, image::ExtendedColorType::Rgb8).unwrap();
        let limits = Limits { max_pixels: 50_000_000, max_memory_bytes: 192 << 20 };
        assert!(draw(&file, 320, limits).is_ok());
    }

    /// Each is a pass over the whole picture.
    #[test]
    fn a_jpeg_of_too_many_scans_is_refused() {
        let mut file = claimed(0xc2, 900, 500);
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        let scan = file.split_off(scan);
        let end = scan.len() - 2;
        file.extend(scan[..end].repeat(101));
        assert_eq!(draw(&file, 320, LIMITS), Err(TooLarge));
    }

    #[test]
    fn what_is_no_picture_is_unreadable() {
        let mut cut = png(400, 400, [1, 2, 3, 255]);
        cut.truncate(60);
        for file in [&b""[..], b"<svg onload=alert(1)>", b"\xff\xd8\xff", &cut] {
            assert_eq!(draw(file, 320, LIMITS), Err(Unreadable));
        }
    }
}
