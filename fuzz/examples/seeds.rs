//! Draws the seeds: `cargo run --example seeds` writes them into `seeds/`, a folder for each target.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder};

const SIDE: u16 = 24;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, file) in pictures()? {
        write("decode", &name, &file)?;
    }
    for (number, url) in URLS.iter().enumerate() {
        write("url_policy", &format!("{number:02}"), url.as_bytes())?;
    }
    for (number, text) in EVENTS.iter().enumerate() {
        write("event", &format!("{number:02}"), text.as_bytes())?;
    }
    for (number, text) in JOBS.iter().enumerate() {
        write("job", &format!("{number:02}"), text.as_bytes())?;
    }
    write("manifest", "plain", LINES.as_bytes())?;
    write("manifest", "gzip", &stored_gzip(LINES.as_bytes()))?;
    write("model_manifest", "set", MODEL_MANIFEST.as_bytes())?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

const URLS: &[&str] = &[
    "http://images.example/a.jpg?w=1#top",
    "https://user:password@images.example:8443/a.jpg",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://0177.0.0.1./",
    "http://[::ffff:127.0.0.1]:80/",
    "http://[64:ff9b::a00:1]/",
    "http://xn--bcher-kva.example/\n//169.254.169.254/latest/meta-data",
    "http://images.example/a/\n../b.jpg?x=%0d%0aHost:%20inside",
    "http://１２７.0.0.1/",
    "file:///etc/hostname",
    "http://images.example/\nhttp:\\\\10.0.0.1\\",
];

const EVENTS: &[&str] = &[
    r#"{"scrape_id":"s-1","advertiser_id":"a","finished_at":"2026-11-21T09:00:00Z","lane":"express","images":[{"url":"http://img.test/1.jpg","image_key":"k","listing_id":"l","position":1,"configured":{"color":"red","image_type":"N/A"}}]}"#,
    r#"{"scrape_id":"s-2","advertiser_id":"a","finished_at":"2026-11-21T09:00:00Z","manifest_url":"https://img.test/inventory.ndjson.gz"}"#,
    r#"{"advertiser_id":"a","change":"replaced","changed_at":"2026-11-21T09:00:00.5+01:00","image":{"url":"http://img.test/1.jpg","image_key":"k","listing_id":"l","position":1,"configured":{"color":"red","image_type":"N/A"}}}"#,
    r#"{"advertiser_id":"a","change":"removed","changed_at":"2026-11-21T09:00:00Z","image":{"url":"http://img.test/1.jpg"}}"#,
];

const JOBS: &[&str] = &[
    r#"{"type":"tag_image_v1","day":"2026-11-21","scrape":17,"seq":5,"scrape_id":"s-1","image":"00000000-0000-0000-0000-000000000007","url":"http://img.test/7.jpg"}"#,
];

const LINES: &str = r#"{"url":"http://img.test/1.jpg","position":0}

{"url":"http://img.test/2.jpg","configured":{"color":null}}
{"url":1}
"#;

const MODEL_MANIFEST: &str = r#"name = "set"
description = "of one stage"
feed_exclude = { kind = ["Other"] }
[[stages]]
name = "vehicle"
file = "vehicle.onnx"
sha256 = "00"
input = { name = "image", height = 224, width = 224 }
embedding = "embedding"
runs_when = { kind = ["Dealer"] }
[[stages.attributes]]
name = "kind"
output = "kind"
classes = ["Dealer", "Dealer/Hall", "Other"]
default = "Other"
min_score = 0.5
min_scores = { Other = 0.9 }
applies_when = { kind = ["Dealer"] }
[[selftest]]
file = "one.jpg"
tags = { kind = "Dealer" }
"#;

fn pictures() -> Result<Vec<(String, Vec<u8>)>, Box<dyn std::error::Error>> {
    let image = RgbImage::from_fn(SIDE.into(), SIDE.into(), |x, y| {
        image::Rgb([(10 * x) as u8, (10 * y) as u8, (7 * (x ^ y)) as u8])
    });
    let mut files = Vec::new();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff]
    {
        files.push((format!("plain.{}", format.extensions_str()[0]), encode(&image.clone().into(), format)?));
    }
    let dynamic = DynamicImage::from(image.clone());
    files.push(("deep.png".into(), encode(&dynamic.to_rgba16().into(), ImageFormat::Png)?));
    files.push(("gray.png".into(), encode(&dynamic.to_luma8().into(), ImageFormat::Png)?));
    files.push(("clear.webp".into(), encode(&dynamic.to_rgba8().into(), ImageFormat::WebP)?));
    files.push(("baseline.jpg".into(), jpeg(&image, ColorType::Rgb, |_| Ok(()))?));
    files.push((
        "progressive.jpg".into(),
        jpeg(&image, ColorType::Rgb, |encoder| {
            encoder.set_progressive(true);
            encoder.set_restart_interval(4);
            Ok(())
        })?,
    ));
    files.push((
        "exif.jpg".into(),
        jpeg(&image, ColorType::Rgb, |encoder| {
            encoder.add_exif_metadata(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
        })?,
    ));
    let rgba = dynamic.to_rgba8();
    files.push(("cmyk.jpg".into(), jpeg_of(&rgba, ColorType::Cmyk, |_| Ok(()))?));
    files.push(("ycck.jpg".into(), jpeg_of(&rgba, ColorType::CmykAsYcck, |_| Ok(()))?));
    files.push(("gray.jpg".into(), jpeg_of(&dynamic.to_luma8(), ColorType::Luma, |_| Ok(()))?));
    files.push(("animated.gif".into(), gif(&dynamic)?));
    Ok(files)
}

fn encode(image: &DynamicImage, format: ImageFormat) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

fn gif(image: &DynamicImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for _ in 0..3 {
        encoder.encode_frame(Frame::new(image.to_rgba8()))?;
    }
    drop(encoder);
    Ok(bytes)
}

type Change = fn(&mut Encoder<&mut Vec<u8>>) -> Result<(), jpeg_encoder::EncodingError>;

fn jpeg(image: &RgbImage, color: ColorType, change: Change) -> Result<Vec<u8>, jpeg_encoder::EncodingError> {
    jpeg_of(image, color, change)
}

fn jpeg_of(pixels: &[u8], color: ColorType, change: Change) -> Result<Vec<u8>, jpeg_encoder::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    change(&mut encoder)?;
    encoder.encode(pixels, SIDE, SIDE, color)?;
    Ok(bytes)
}

/// One gzip member that is stored and not compressed.
fn stored_gzip(text: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend((!(text.len() as u16)).to_le_bytes());
    bytes.extend(text);
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let crc =
        !text.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    bytes.extend(crc.to_le_bytes());
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes
}
