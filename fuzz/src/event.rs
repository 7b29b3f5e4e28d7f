//! The body of a `scrape.finished`: what is taken is written and read again as the same event.

use tagfleet_shared::events::{MAX_TEXT_BYTES, ScrapeFinished};
use tagfleet_shared::ids::ImageId;

/// Reads it.
pub fn check(body: &[u8]) {
    let Ok(parsed) = ScrapeFinished::parse(body) else { return };
    let event = parsed.value;
    let given = [event.images.is_some(), event.manifest_url.is_some(), event.images_of.is_some()];
    assert_eq!(given.into_iter().filter(|given| *given).count(), 1);
    for image in event.images.iter().flatten() {
        assert!((1..=MAX_TEXT_BYTES).contains(&image.url.len()) && !image.url.contains('\0'));
        ImageId::of(image.image_key.as_deref(), &image.url);
        assert!(image.stated().is_none_or(|tags| tags.0.values().all(Option::is_some)));
    }
    let written = serde_json::to_vec(&event).expect("an event can be written");
    assert_eq!(ScrapeFinished::parse(&written).expect("and read again").value, event);
}
