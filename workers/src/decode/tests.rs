mod bombs;
mod hostile;
mod one_after_another;
mod pictures;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};
use turbojpeg::PixelFormat;

use self::pictures::{encode, jpeg, png, raw_jpeg, scene, with_claimed_size, with_orientation};
use super::*;

const SQUARE: InputSize = InputSize { height: 64, width: 64 };
const WIDE: InputSize = InputSize { height: 32, width: 48 };
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 100_000_000, max_memory_bytes: 512 << 20 };

fn decoder() -> Decoder {
    Decoder::new(vec![SQUARE, WIDE], LIMITS)
}

fn decode(bytes: &[u8]) -> Pixels {
    decoder().decode(bytes).unwrap()
}

fn refusal(bytes: &[u8]) -> &'static str {
    decoder().decode(bytes).unwrap_err().reason()
}

/// Mean absolute difference of two planes, of 255.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// What every way of writing `image` should come to: the plane of its lossless file.
fn expected(image: &RgbImage, size: InputSize) -> Vec<u8> {
    decode(&encode(image.clone(), ImageFormat::Png)).plane(size).unwrap().to_vec()
}

fn assert_shows(bytes: &[u8], image: &RgbImage) -> Pixels {
    let pixels = decode(bytes);
    for size in [SQUARE, WIDE] {
        let difference = difference(pixels.plane(size).unwrap(), &expected(image, size));
        // A GIF has but 256 colours; a picture turned wrongly differs by 40 and more.
        assert!(difference < 4.0, "{size:?}: differs by {difference}");
    }
    pixels
}

#[test]
fn there_is_a_plane_of_every_input_size() {
    let pixels = decode(&jpeg(&scene(300, 200)));

    assert_eq!(pixels.plane(SQUARE).unwrap().len(), 64 * 64 * 3);
    assert_eq!(pixels.plane(WIDE).unwrap().len(), 32 * 48 * 3);
    assert_eq!(pixels.plane(InputSize { height: 48, width: 32 }), None);
    assert_eq!((pixels.width(), pixels.height(), pixels.format()), (300, 200, "jpeg"));
}

#[test]
fn a_plane_is_rgb_with_the_top_row_first() {
    let pixels = decode(&jpeg(&scene(300, 200)));

    let plane = pixels.plane(WIDE).unwrap();
    let [top_left, top_right, bottom_left] =
        [0, 47, 31 * 48].map(|i| [plane[3 * i], plane[3 * i + 1], plane[3 * i + 2]]);

    for (pixel, corner) in [(top_left, [0, 0, 255]), (top_right, [255, 0, 128]), (bottom_left, [0, 255, 128])]
    {
        assert!(difference(&pixel, &corner) < 8.0, "{pixel:?} is not {corner:?}");
    }
}

/// What is scaled down while it is decoded looks like what is decoded in full.
#[test]
fn a_scaled_jpeg_is_like_the_original() {
    let image = scene(1024, 768);
    assert_shows(&jpeg(&image), &image);
}

#[test]
fn a_picture_smaller_than_the_input_is_stretched() {
    let image = scene(20, 10);
    assert_shows(&jpeg(&image), &image);
}

#[test]
fn a_progressive_jpeg_is_decoded() {
    let image = scene(300, 200);
    assert_shows(&raw_jpeg(&image, (300, 200), PixelFormat::RGB, true), &image);
}

#[test]
fn a_gray_jpeg_is_decoded() {
    let gray = DynamicImage::from(scene(300, 200)).to_luma8();
    let image = DynamicImage::from(gray.clone()).to_rgb8();
    assert_shows(&raw_jpeg(&gray, (300, 200), PixelFormat::GRAY, false), &image);
}

/// Half of the black ink over the scene: every channel is half as bright.
#[test]
fn a_cmyk_jpeg_is_decoded() {
    let image = scene(300, 200);
    let inks: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 128]).collect();
    let darker = RgbImage::from_fn(300, 200, |x, y| image::Rgb(image[(x, y)].0.map(|c| c / 2)));
    let bytes = raw_jpeg(&inks, (300, 200), PixelFormat::CMYK, false);

    assert_shows(&bytes, &darker);
    assert_shows(&bytes[..bytes.len() - 10], &darker);
}

#[test]
fn every_exif_orientation_shows_the_same_picture() {
    use Orientation::*;
    let upright = scene(300, 200);
    for (orientation, inverse) in [
        (NoTransforms, NoTransforms),
        (Rotate90, Rotate270),
        (Rotate180, Rotate180),
        (Rotate270, Rotate90),
        (FlipHorizontal, FlipHorizontal),
        (FlipVertical, FlipVertical),
        (Rotate90FlipH, Rotate90FlipH),
        (Rotate270FlipH, Rotate270FlipH),
    ] {
        let mut lying = DynamicImage::from(upright.clone());
        lying.apply_orientation(inverse);
        let bytes = with_orientation(&jpeg(&lying.to_rgb8()), orientation);

        let pixels = assert_shows(&bytes, &upright);
        assert_eq!((pixels.width(), pixels.height()), (300, 200), "{orientation:?}");
    }
}

#[test]
fn lossless_formats_are_decoded() {
    let image = scene(300, 200);
    for (format, name) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Gif, "gif"),
    ] {
        assert_eq!(assert_shows(&encode(image.clone(), format), &image).format(), name);
    }
}

#[test]
fn the_first_frame_of_a_gif_is_decoded() {
    let first = scene(300, 200);
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for frame in [first.clone(), RgbImage::new(300, 200)] {
        encoder.encode_frame(image::Frame::new(DynamicImage::from(frame).to_rgba8())).unwrap();
    }
    drop(encoder);

    assert_shows(&bytes, &first);
}

#[test]
fn transparency_is_laid_on_white() {
    let half_red = image::RgbaImage::from_pixel(40, 40, image::Rgba([255, 0, 0, 128]));
    let clear_gray = image::GrayAlphaImage::from_pixel(40, 40, image::LumaA([7, 0]));

    let half_red = decode(&encode(half_red, ImageFormat::Png));
    let clear_gray = decode(&encode(clear_gray, ImageFormat::Png));

    assert_eq!(half_red.plane(WIDE).unwrap()[..3], [255, 127, 127]);
    assert_eq!(clear_gray.plane(WIDE).unwrap()[..3], [255, 255, 255]);
}

#[test]
fn sixteen_bit_pictures_are_decoded() {
    let image = scene(300, 200);
    let deep = DynamicImage::from(image.clone());
    assert_shows(&encode(deep.to_rgb16(), ImageFormat::Png), &image);
    assert_shows(&encode(deep.to_rgba16(), ImageFormat::Png), &image);
    let gray = DynamicImage::from(deep.to_luma8()).to_rgb8();
    assert_shows(&encode(deep.to_luma16(), ImageFormat::Png), &gray);
    assert_shows(&encode(deep.to_luma_alpha16(), ImageFormat::Png), &gray);
}

#[test]
fn a_palette_png_is_decoded() {
    let bytes = png((2, 1), 8, 3, Some(&[255, 0, 0, 0, 0, 255]), &[0, 0, 1]);

    let plane = decode(&bytes).plane(WIDE).unwrap().to_vec();

    assert_eq!((&plane[..3], &plane[3 * 47..3 * 48]), (&[255, 0, 0][..], &[0, 0, 255][..]));
}

/// What has arrived is shown, as in a browser.
#[test]
fn a_truncated_jpeg_is_decoded() {
    let image = scene(300, 200);
    let bytes = jpeg(&image);

    let pixels = decode(&bytes[..bytes.len() * 3 / 4]);

    let (shown, whole) = (pixels.plane(WIDE).unwrap(), expected(&image, WIDE));
    let upper_half = whole.len() / 2;
    assert!(difference(&shown[..upper_half], &whole[..upper_half]) < 2.0);
}

#[test]
fn garbage_is_refused() {
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(refusal(&garbage), "unknown_format");
    for magic in [&b"\xff\xd8\xff\xe0"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\x10\0\0WEBPVP8 ", b"BM"]
    {
        assert_eq!(refusal(magic), "undecodable", "{magic:?}");
        assert!(decoder().decode(&[magic, &garbage].concat()).is_err(), "{magic:?}");
    }
}

/// A header is a claim: it is refused before anything is allocated for it.
#[test]
fn a_huge_claim_is_refused_from_the_header() {
    assert_eq!(refusal(&png((30_000, 30_000), 8, 2, None, &[])), "too_many_pixels");
    assert_eq!(refusal(&with_claimed_size(&jpeg(&scene(8, 8)), 65_500, 65_500)), "too_many_pixels");
    assert_eq!(refusal(&png((2_147_483_647, 2_147_483_647), 8, 2, None, &[])), "too_much_memory");
}

#[test]
fn a_picture_of_exactly_the_pixel_limit_is_kept_and_one_more_is_refused() {
    let limits = DecodeLimits { max_pixels: 300 * 200, ..LIMITS };
    let decoder = Decoder::new(vec![SQUARE], limits);
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        assert!(decoder.decode(&encode(scene(300, 200), format)).is_ok());
        let error = decoder.decode(&encode(scene(60_001, 1), format)).unwrap_err();
        assert_eq!(error.to_string(), "60001x1 is more than 60000 pixels");
    }
}

#[test]
fn the_memory_limit_holds() {
    let limits = DecodeLimits { max_memory_bytes: 300 * 200 * 3, ..LIMITS };
    let decoder = Decoder::new(vec![SQUARE], limits);
    let reason = |bytes: &[u8]| decoder.decode(bytes).map_err(|error| error.reason()).err();
    let image = scene(300, 200);

    assert_eq!(reason(&encode(image.clone(), ImageFormat::Bmp)), None);
    let deep = DynamicImage::from(image.clone()).to_rgb16();
    assert_eq!(reason(&encode(deep, ImageFormat::Png)), Some("too_much_memory"));
    let progressive = raw_jpeg(&image, (300, 200), PixelFormat::RGB, true);
    assert_eq!(reason(&progressive), Some("too_much_memory"));
}

/// Every scan is a pass over the whole picture: a small file could take minutes.
#[test]
fn a_jpeg_of_too_many_scans_is_refused() {
    let mut bytes = raw_jpeg(&scene(300, 200), (300, 200), PixelFormat::RGB, true);
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let end = bytes.len() - 2;
    let last_scan = bytes[scan..end].repeat(200);
    bytes.splice(end..end, last_scan);

    assert_eq!(refusal(&bytes), "too_many_scans");
}

#[test]
fn a_panic_is_one_bad_picture() {
    let result: Result<(), _> = caught(|| panic!("a bug in a decoder"));
    assert_eq!(result.unwrap_err().reason(), "undecodable");
}

#[test]
fn one_decoder_serves_many_threads() {
    let (decoder, bytes) = (decoder(), jpeg(&scene(300, 200)));
    let one = decoder.decode(&bytes).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(decoder.decode(&bytes).unwrap(), one)));
        }
    });
    assert!(decoder.pool().len() <= 4);
}
