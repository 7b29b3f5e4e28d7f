//! Scrapes that are bad on purpose.

use bytes::Bytes;
use jiff::Timestamp;
use jpeg_encoder::{ColorType, Encoder};
use tagfleet_shared::broker::{Outgoing, SCRAPE_FINISHED};
use tagfleet_shared::events::{ListedImage, ScrapeFinished};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_shared::lane::Lane;

use crate::chaos::arena::Arena;
use crate::origin::Response;

/// A picture of one colour.
pub fn plain(rgb: [u8; 3]) -> anyhow::Result<Vec<u8>> {
    let mut file = Vec::new();
    Encoder::new(&mut file, 90).encode(&rgb.repeat(64 * 48), 64, 48, ColorType::Rgb)?;
    Ok(file)
}

/// Publishes a scrape of these images.
pub async fn publish(arena: &Arena, id: &str, lane: Lane, images: Vec<ListedImage>) -> anyhow::Result<()> {
    let event = ScrapeFinished {
        scrape_id: ScrapeId(id.to_owned()),
        advertiser_id: AdvertiserId(id.to_owned()),
        finished_at: Timestamp::now(),
        lane: Some(lane),
        images: Some(images),
        manifest_url: None,
        images_of: None,
    };
    publish_bytes(arena, id, serde_json::to_vec(&event)?).await
}

/// Publishes whatever bytes as an event.
pub async fn publish_bytes(arena: &Arena, id: &str, body: Vec<u8>) -> anyhow::Result<()> {
    let event = Outgoing::event(arena.broker.topology(), SCRAPE_FINISHED, id.to_owned(), body);
    Ok(arena.broker.publisher().publish(&[event]).await?)
}

/// The image of this key, there.
pub fn at(url: String, key: String) -> ListedImage {
    ListedImage { url, image_key: Some(key), ..ListedImage::default() }
}

fn listed(arena: &Arena, path: &str, key: &str) -> ListedImage {
    at(format!("http://{}{path}", arena.to_origin.address), key.to_owned())
}

/// Images that nobody has heard of: a third is no picture, a third is not there, a third is the same picture
/// again and again under other names.
pub fn troubled(arena: &Arena, scrape: &str, count: usize) -> anyhow::Result<Vec<ListedImage>> {
    arena.origin.put("/garbage", Response::jpeg(b"\xff\xd8\xff\xe0 no picture at all".to_vec()));
    arena.origin.put("/blue", Response::jpeg(plain([20, 40, 200])?));
    let paths = ["/garbage", "/nothing-here", "/blue"];
    Ok((0..count).map(|n| listed(arena, paths[n % 3], &format!("{scrape}-{n}"))).collect())
}

/// Pictures on which the models of [`spoiled`](super::faults::spoil) fail.
pub fn red(arena: &Arena, scrape: &str, count: usize) -> anyhow::Result<Vec<ListedImage>> {
    arena.origin.put("/red", Response::jpeg(plain([250, 5, 5])?));
    Ok((0..count).map(|n| listed(arena, "/red", &format!("{scrape}-{n}"))).collect())
}

/// The same picture again and again, which takes one to five seconds to come: some are always on their way.
pub fn slow(arena: &Arena, scrape: &str, count: u64) -> anyhow::Result<Vec<ListedImage>> {
    let body: Bytes = plain([90, 160, 90])?.into();
    let listed = |n: u64| {
        let (path, millis) = (format!("/{scrape}-{n}"), 1000 + 4000 * n / count);
        let bytes_per_second = (1000 * body.len() as u64 / millis).max(1);
        arena.origin.put(&path, Response::SlowBody { body: body.clone(), bytes_per_second });
        listed(arena, &path, &format!("{scrape}-{n}"))
    };
    Ok((0..count).map(listed).collect())
}
