//! Pictures that changed have their outcome, and the world is told.

use std::time::Duration;

use tagfleet_shared::broker::{IMAGE_TAGGED, Outgoing};
use tagfleet_shared::events::ImageTagged;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::outage::Outage;
use uuid::Uuid;

use super::Changes;
use crate::store::{self, Tagged};

impl Changes {
    /// Announces at most `self.most` images of a few micro-scrapes: with a bound, because a publication that
    /// takes too long is made again from its beginning. Returns whether there may be more. Publishes before it
    /// commits, as the announcer of scrapes does: see [`crate::announce`].
    pub(super) async fn tell(&self, client: &mut store::Client) -> Result<bool, Outage> {
        let transaction = client.transaction().await?;
        let told = store::untold(&transaction, self.most).await?;
        let images = || told.iter().flat_map(|told| &told.images);
        let events: Vec<_> = images().map(|image| self.event(image)).collect();
        if events.is_empty() {
            return Ok(false);
        }
        self.publisher.publish(&events).await?;
        failpoint::here(Point::ChangesAnnounced);
        store::mark_told(&transaction, &told).await?;
        transaction.commit().await?;
        let late = images().filter(|image| took(image) > self.in_time).count();
        self.metrics.images_announced(Lane::Express, events.len(), late);
        Ok(events.len() == self.most || told.len() == store::TOLD_AT_ONCE)
    }

    fn event(&self, image: &Tagged) -> Outgoing {
        let event = tagged(image);
        let body = serde_json::to_vec(&event).expect("an announcement is text and numbers");
        Outgoing::event(self.publisher.topology(), IMAGE_TAGGED, event.event_id.to_string(), body)
    }
}

/// From the first event of its micro-scrape, or from when it was opened again, to its outcome; no time at all
/// where the clocks disagree.
fn took(image: &Tagged) -> Duration {
    image.tagged_at.duration_since(image.waits_since).try_into().unwrap_or_default()
}

/// The announcement in words of the contract.
fn tagged(image: &Tagged) -> ImageTagged {
    let image = image.clone();
    ImageTagged {
        event_id: event_id(&image),
        advertiser_id: image.advertiser_id,
        change: image.change,
        changed_at: image.changed_at,
        image_id: image.image_id,
        url: image.url,
        image_key: image.image_key,
        listing_id: image.listing_id,
        position: image.position,
        outcome: image.outcome,
        reason: image.reason,
        tags: image.tags,
        received_at: image.received_at,
        tagged_at: image.tagged_at,
    }
}

/// Every copy of an announcement has this id, whichever scheduler makes it. An image that a person has sent
/// back from the dead-letter queue has another outcome later, and is announced with another id.
fn event_id(image: &Tagged) -> Uuid {
    let mut hash = blake3::Hasher::new_derive_key("tagfleet image.tagged event id");
    hash.update(image.scrape_id.0.as_bytes());
    hash.update(&image.seq.to_be_bytes()).update(&image.tagged_at.as_microsecond().to_be_bytes());
    let mut short = [0; 16];
    hash.finalize_xof().fill(&mut short);
    uuid::Builder::from_custom_bytes(short).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, ToSpan};
    use tagfleet_shared::events::Change;
    use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
    use tagfleet_shared::tags::Tags;

    fn image(scrape_id: &str, seq: i32, tagged_at: Timestamp) -> Tagged {
        Tagged {
            scrape_id: ScrapeId(scrape_id.into()),
            seq,
            advertiser_id: AdvertiserId("a".into()),
            change: Change::Added,
            changed_at: Timestamp::UNIX_EPOCH,
            image_id: Uuid::nil(),
            url: "http://img.test/1.jpg".into(),
            image_key: None,
            listing_id: None,
            position: None,
            outcome: "cached".into(),
            reason: None,
            tags: Tags::default(),
            received_at: Timestamp::UNIX_EPOCH,
            waits_since: Timestamp::UNIX_EPOCH,
            tagged_at,
        }
    }

    /// A scheduler whose clock is behind makes no picture late.
    #[test]
    fn a_picture_that_was_tagged_before_its_event_came_took_no_time() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + seconds.seconds();
        assert_eq!(took(&image("c-1", 0, at(-3600))), Duration::ZERO);
        assert_eq!(took(&image("c-1", 0, at(3600))), Duration::from_secs(3600));
    }

    /// Receivers tell copies by the id: it must never change.
    #[test]
    fn the_event_id_of_a_picture_is_stable() {
        let at = Timestamp::UNIX_EPOCH;
        let id = event_id(&image("c-1", 0, at));
        assert_eq!(id.to_string(), "0c176f7d-0ded-84b5-87b6-5b8d89c991ac");
        for other in [image("c-2", 0, at), image("c-1", 1, at), image("c-1", 0, at + 1.microsecond())] {
            assert_ne!(event_id(&other), id);
        }
    }
}
