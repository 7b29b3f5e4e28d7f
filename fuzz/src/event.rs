//! The body of a `scrape.finished`, or of an `image.changed`: what is taken is written and read again as the same event.

use tagfleet_shared::events::{ImageChanged, ListedImage, MAX_TEXT_BYTES, ScrapeFinished};
use tagfleet_shared::ids::{ImageId, PlaceId};

/// Reads it as either.
pub fn check(body: &[u8]) {
    check_scrape(body);
    check_change(body);
}

fn check_scrape(body: &[u8]) {
    let Ok(parsed) = ScrapeFinished::parse(body) else { return };
    let event = parsed.value;
    let given = [event.images.is_some(), event.manifest_url.is_some(), event.images_of.is_some()];
    assert_eq!(given.into_iter().filter(|given| *given).count(), 1);
    for image in event.images.iter().flatten() {
        check_image(image);
    }
    let written = serde_json::to_vec(&event).expect("an event can be written");
    assert_eq!(ScrapeFinished::parse(&written).expect("and read again").value, event);
}

fn check_change(body: &[u8]) {
    let Ok(parsed) = ImageChanged::parse(body) else { return };
    let event = parsed.value;
    check_image(&event.image);
    PlaceId::of(&event.advertiser_id, event.image_id(), event.image.listing_id.as_deref());
    let written = serde_json::to_vec(&event).expect("an event can be written");
    assert_eq!(ImageChanged::parse(&written).expect("and read again").value, event);
}

fn check_image(image: &ListedImage) {
    assert!((1..=MAX_TEXT_BYTES).contains(&image.url.len()) && !image.url.contains('\0'));
    ImageId::of(image.image_key.as_deref(), &image.url);
    assert!(image.stated().is_none_or(|tags| tags.0.values().all(Option::is_some)));
}
