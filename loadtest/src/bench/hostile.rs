//! Good pictures while every twentieth is made to hurt.

use std::time::Duration;

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};
use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::memory_watch::MemoryWatch;
use super::pictures::Pictures;
use super::results::{Mark, Row};
use super::{Bench, progress};
use crate::origin::{Content, Origin, Response};

/// One hostile image for so many good ones: 5 of a hundred.
const GOOD_FOR_EACH: usize = 19;

/// Good pictures alone, and as many among hostile ones, by turns. Each turn has a database and queues of
/// its own: what is hostile is tried again for minutes, and that must not burden the next turn. The clock
/// runs from the first good picture that is recorded to the last.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut speed =
        Row::new(13, "good pictures among hostile ones", "images/s").mark(Mark::RatioAtLeast(0.9));
    let mut memory =
        Row::peak(13, "peak memory of the worker and its decoders meanwhile", "MB").mark(Mark::AtMost(512.0));
    let mut pictures = block_in_place(|| Pictures::draw(2 * bench.runs * bench.images))?;
    let host = Origin::start(Content::Nothing)?;
    let kinds = kinds()?;

    for run in 1..=bench.runs {
        let alone = turn(bench, pictures.list(bench.images), bench.images).await?;
        let images = among(pictures.list(bench.images), &host, &kinds, run);
        let among = turn(bench, images, bench.images).await?;
        progress(&format!(
            "hostile {run}/{}: {:.0} images/s among hostile ones, {:.0} without; {:.0} MB",
            bench.runs, among.pace, alone.pace, among.peak
        ));
        speed.measured(among.pace, alone.pace);
        memory.reached(among.peak);
    }
    Ok(vec![speed, memory])
}

/// What was measured in one turn: images per second, and MB.
struct Turn {
    pace: f64,
    peak: f64,
}

async fn turn(bench: &mut Bench, images: Vec<ListedImage>, good: usize) -> anyhow::Result<Turn> {
    let mut fleet = bench.fleet().await?;
    let worker = fleet.start_worker().await?;
    let memory = MemoryWatch::begin(worker.id());
    let scrape = fleet.publish(images).await?;
    let pace = fleet.pace_of_inferred(&scrape, good).await?;
    let peak = memory.most();
    fleet.stop_worker(worker).await?;
    fleet.end().await?;
    Ok(Turn { pace, peak })
}

/// The good images with a hostile one after every so many.
fn among(good: Vec<ListedImage>, host: &Origin, kinds: &[Response], run: usize) -> Vec<ListedImage> {
    let mut images = Vec::with_capacity(good.len() + good.len() / GOOD_FOR_EACH);
    for (n, image) in good.into_iter().enumerate() {
        images.push(image);
        if (n + 1) % GOOD_FOR_EACH == 0 {
            let number = n / GOOD_FOR_EACH;
            let path = format!("/hostile/{run}/{number}.jpg");
            host.put(&path, kinds[number % kinds.len()].clone());
            images.push(ListedImage { url: host.url(&path), ..ListedImage::default() });
        }
    }
    images
}

/// What a hostile host answers with.
fn kinds() -> anyhow::Result<Vec<Response>> {
    let small = jpeg(false)?;
    let text = |text: &'static str| Response::jpeg(Bytes::from_static(text.as_bytes()));
    Ok(vec![
        Response::jpeg(claiming(&small, 64_250)),
        // Within the limit of pixels, and cut off: all of it is decoded at full size.
        Response::jpeg(claiming(&small, 6_000)),
        Response::jpeg(many_scans(&jpeg(true)?)),
        Response::jpeg(small[..small.len() / 2].to_vec()),
        Response::jpeg(vec![0xff; 100_000]),
        Response::jpeg(Bytes::new()),
        text("<!DOCTYPE html><title>404</title>"),
        text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
        Response::Endless,
        Response::Stall,
        Response::SlowBody { body: small.clone().into(), bytes_per_second: 1 },
        Response::LyingLength { claimed: 10_000_000, body: small.clone().into() },
        Response::LyingLength { claimed: 10, body: small.into() },
        Response::RedirectTo("http://169.254.169.254/latest/meta-data/".into()),
        Response::RedirectTo("/hostile/loop".into()),
        Response::Status(503),
        Response::Status(403),
        Response::After(Duration::from_secs(5), Box::new(Response::Status(404))),
    ])
}

fn jpeg(progressive: bool) -> anyhow::Result<Vec<u8>> {
    const SIDE: u16 = 256;
    let pixels: Vec<u8> =
        (0..3 * usize::from(SIDE) * usize::from(SIDE)).map(|n| ((n * n) >> 7) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_progressive(progressive);
    encoder.encode(&pixels, SIDE, SIDE, ColorType::Rgb)?;
    Ok(bytes)
}

/// The same file with a header that says that it is larger.
fn claiming(jpeg: &[u8], side: u16) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    if let Some(frame) = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]) {
        bytes[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
        bytes[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
    }
    bytes
}

/// The same file with its last scan a thousand times.
fn many_scans(jpeg: &[u8]) -> Vec<u8> {
    let Some(scan) = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xda]) else { return jpeg.to_vec() };
    let end = jpeg.len() - 2;
    [&jpeg[..scan], &jpeg[scan..end].repeat(1000), &jpeg[end..]].concat()
}
