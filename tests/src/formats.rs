//! One picture in every way that a listing may send it.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder};

/// Rewrites `picture`, a file: a name with its extension and the bytes, for each
/// way. All of them show it, some with fewer colours.
pub fn every_format(picture: &[u8]) -> Vec<(String, Vec<u8>)> {
    let image = image::load_from_memory(picture).unwrap();
    let rgb = image.to_rgb8();
    let files = vec![
        ("baseline.jpg", jpeg(&rgb, ColorType::Rgb, |_| ())),
        ("progressive.jpg", jpeg(&rgb, ColorType::Rgb, |encoder| encoder.set_progressive(true))),
        ("gray.jpg", jpeg(&image.to_luma8(), ColorType::Luma, |_| ())),
        ("cmyk.jpg", jpeg(&inks(&rgb), ColorType::Cmyk, |_| ())),
        ("ycck.jpg", jpeg(&inks(&rgb), ColorType::CmykAsYcck, |_| ())),
        ("plain.png", encoded(&image, ImageFormat::Png)),
        ("gray.png", encoded(&image.to_luma8().into(), ImageFormat::Png)),
        ("sixteen-bit.png", encoded(&sixteen_bit(&rgb), ImageFormat::Png)),
        ("palette.png", palette_png(&rgb)),
        ("transparent.png", encoded(&fading(&rgb).into(), ImageFormat::Png)),
        ("plain.webp", encoded(&image.to_rgb8().into(), ImageFormat::WebP)),
        ("transparent.webp", encoded(&fading(&rgb).into(), ImageFormat::WebP)),
        ("animated.gif", gif(&rgb)),
        ("plain.bmp", encoded(&image.to_rgb8().into(), ImageFormat::Bmp)),
    ];
    let named = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
    let turned = (1..=8).map(|exif| (format!("orientation-{exif}.jpg"), lying_jpeg(&rgb, exif)));
    named.chain(turned).collect()
}

/// A JPEG of `rgb` that a viewer shows upright by its EXIF orientation, `exif` from 1 to 8.
pub fn lying_jpeg(rgb: &RgbImage, exif: u8) -> Vec<u8> {
    use Orientation::{Rotate90, Rotate270};
    let orientation = Orientation::from_exif(exif).unwrap();
    let mut lying = DynamicImage::from(rgb.clone());
    lying.apply_orientation(match orientation {
        Rotate90 => Rotate270,
        Rotate270 => Rotate90,
        own_inverse => own_inverse,
    });
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([exif, 0, 0, 0, 0, 0, 0, 0]);
    jpeg(&lying.to_rgb8(), ColorType::Rgb, |encoder| encoder.add_exif_metadata(&tiff).unwrap())
}

/// The pixels of a picture in a file.
pub fn pixels(picture: &[u8]) -> RgbImage {
    image::load_from_memory(picture).unwrap().to_rgb8()
}

/// A PNG of one colour.
pub fn plain_png(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    encoded(&RgbImage::from_pixel(width, height, Rgb(rgb)).into(), ImageFormat::Png)
}

fn jpeg<P, C>(
    pixels: &image::ImageBuffer<P, C>,
    color: ColorType,
    change: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8>
where
    P: image::Pixel<Subpixel = u8>,
    C: std::ops::Deref<Target = [u8]>,
{
    let side = |pixels: u32| u16::try_from(pixels).unwrap();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 88);
    change(&mut encoder);
    encoder.encode(pixels, side(pixels.width()), side(pixels.height()), color).unwrap();
    bytes
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Cyan, magenta, yellow and no black; four channels, whatever they are called here.
fn inks(rgb: &RgbImage) -> RgbaImage {
    RgbaImage::from_fn(rgb.width(), rgb.height(), |x, y| {
        let [r, g, b] = rgb[(x, y)].0;
        Rgba([255 - r, 255 - g, 255 - b, 0])
    })
}

/// With low bits that eight bits have no room for.
fn sixteen_bit(rgb: &RgbImage) -> DynamicImage {
    let mut deep = DynamicImage::from(rgb.clone()).to_rgb16();
    for (x, y, pixel) in deep.enumerate_pixels_mut() {
        let low = ((7 * x + 13 * y) % 100) as u16;
        pixel.0 = pixel.0.map(|channel| channel.saturating_add(low));
    }
    deep.into()
}

/// Opaque in the middle, and fading towards its sides.
fn fading(rgb: &RgbImage) -> RgbaImage {
    let (width, height) = rgb.dimensions();
    RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = rgb[(x, y)].0;
        let inside = x.min(width - 1 - x).min(y).min(height - 1 - y);
        Rgba([r, g, b, (8 * inside).min(255) as u8])
    })
}

/// Six steps of each channel: 216 colours. The file is one of gray levels whose
/// header is made to say that they are places in a palette.
fn palette_png(rgb: &RgbImage) -> Vec<u8> {
    /// Where a PNG says its colour type, and where the chunk with the header ends.
    const COLOR_TYPE: usize = 25;
    const HEADER_END: usize = 33;
    let step = |channel: u8| (u16::from(channel) * 5 + 127) / 255;
    let places: Vec<u8> =
        rgb.pixels().map(|Rgb([r, g, b])| (36 * step(*r) + 6 * step(*g) + step(*b)) as u8).collect();
    let palette: Vec<u8> = (0..216_u16)
        .flat_map(|place| [place / 36, place / 6 % 6, place % 6].map(|step| (51 * step) as u8))
        .collect();
    let mut png = Vec::new();
    let encoder = PngEncoder::new(&mut png);
    encoder.write_image(&places, rgb.width(), rgb.height(), ExtendedColorType::L8).unwrap();

    png[COLOR_TYPE] = 3;
    let header = chunk(&png[12..HEADER_END - 4]);
    [&png[..8], &header, &chunk(&[b"PLTE", &palette[..]].concat()), &png[HEADER_END..]].concat()
}

/// A chunk of a PNG, `content` with its name in front.
fn chunk(content: &[u8]) -> Vec<u8> {
    let length = (content.len() - 4) as u32;
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let crc =
        content.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    [&length.to_be_bytes(), content, &(!crc).to_be_bytes()].concat()
}

/// The picture, and then a black one.
fn gif(rgb: &RgbImage) -> Vec<u8> {
    /// From 1, the best palette, to 30, the quickest.
    const SPEED: i32 = 20;
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    for frame in [rgb.clone(), RgbImage::new(rgb.width(), rgb.height())] {
        encoder.encode_frame(image::Frame::new(DynamicImage::from(frame).to_rgba8())).unwrap();
    }
    drop(encoder);
    bytes
}
