//! Pictures and scrapes in few words.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tagfleet_loadtest::draw::{self, Size};
use tagfleet_shared::events::{ListedImage, ScrapeFinished, ScrapeTagged};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use uuid::Uuid;

/// A drawn picture that no other call gives.
pub fn jpeg() -> Vec<u8> {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    // JPEGs only: a few of the drawn pictures are PNGs.
    loop {
        let number = DRAWN.fetch_add(1, Ordering::Relaxed);
        let picture = draw::any_picture(99, number, Some(Size::new(320, 240)));
        if picture.content_type == "image/jpeg" {
            return picture.bytes.to_vec();
        }
    }
}

/// An image that is known by its URL alone.
pub fn listed(url: impl Into<String>) -> ListedImage {
    ListedImage { url: url.into(), ..ListedImage::default() }
}

/// The same of one listing.
pub fn shown(url: impl Into<String>, listing: &str) -> ListedImage {
    ListedImage { listing_id: Some(listing.to_owned()), ..listed(url) }
}

/// A scrape with a fresh id that has finished now.
pub fn scrape(advertiser: &str, images: Vec<ListedImage>) -> ScrapeFinished {
    ScrapeFinished {
        scrape_id: ScrapeId(format!("scrape-{}", Uuid::new_v4().simple())),
        advertiser_id: AdvertiserId(advertiser.to_owned()),
        finished_at: Timestamp::now(),
        lane: None,
        images: Some(images),
        manifest_url: None,
        images_of: None,
    }
}

/// Images that this scrape had looked at. Where two copies of a job are at work, one of them learns from the other,
/// and either may be written down first.
pub fn looked_at(announced: &ScrapeTagged) -> u64 {
    let of = |outcome: &str| announced.outcomes.get(outcome).copied().unwrap_or_default();
    of("inferred") + of("cached")
}
