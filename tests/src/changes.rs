//! Pictures that change, as a neighbour of the fleet sees them.

use std::fmt::Debug;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tagfleet_shared::broker::{Consumer, IMAGE_CHANGED, IMAGE_TAGGED, Outgoing, SCRAPE_TAGGED};
use tagfleet_shared::events::{Change, ImageChanged, ImageTagged, ListedImage, ScrapeTagged};
use tagfleet_shared::ids::AdvertiserId;
use uuid::Uuid;

use crate::Fleet;

/// A change of just now.
pub fn changed(advertiser: &str, change: Change, image: ListedImage) -> ImageChanged {
    let advertiser_id = AdvertiserId(advertiser.to_owned());
    ImageChanged { advertiser_id, change, changed_at: Timestamp::now(), image }
}

/// Whoever hears of what is tagged.
pub struct Told<Event = ImageTagged> {
    consumer: Consumer,
    /// What was heard so far.
    pub heard: Vec<Event>,
}

impl Fleet {
    /// Listens to announcements of pictures from now on.
    pub async fn listen_to_pictures(&self) -> Told {
        Told { consumer: self.broker.listen(IMAGE_TAGGED).await.unwrap(), heard: Vec::new() }
    }

    /// Listens to announcements of scrapes, of whatever id, from now on.
    pub async fn listen_to_scrapes(&self) -> Told<ScrapeTagged> {
        Told { consumer: self.broker.listen(SCRAPE_TAGGED).await.unwrap(), heard: Vec::new() }
    }

    /// Publishes changes, and waits until the broker has them.
    pub async fn publish_changes(&self, changes: &[ImageChanged]) {
        let bodies = changes.iter().map(|change| serde_json::to_vec(change).unwrap());
        self.publish_change_bytes(bodies.collect()).await;
    }

    /// Publishes whatever bytes as changes.
    pub async fn publish_change_bytes(&self, bodies: Vec<Vec<u8>>) {
        let event =
            |body| Outgoing::event(self.broker.topology(), IMAGE_CHANGED, Uuid::new_v4().to_string(), body);
        let events: Vec<_> = bodies.into_iter().map(event).collect();
        self.broker.publisher().publish(&events).await.unwrap();
    }
}

impl<Event: DeserializeOwned + Clone + Debug> Told<Event> {
    /// Waits for the next announcement.
    pub async fn next(&mut self) -> Event {
        let received = tokio::time::timeout(crate::PATIENCE, self.consumer.next()).await;
        let received = received.unwrap_or_else(|_| panic!("nothing is announced after {:#?}", self.heard));
        let event: Event = serde_json::from_slice(&received.body).unwrap();
        received.ack();
        self.heard.push(event.clone());
        event
    }

    /// What has arrived by now and nobody has waited for.
    pub fn left(&mut self) -> usize {
        let mut left = 0;
        while let Some(received) = self.consumer.try_next() {
            received.ack();
            left += 1;
        }
        left
    }
}

impl Told {
    /// Waits until so many different announcements were heard: the last copy of each.
    pub async fn different(&mut self, count: usize) -> Vec<ImageTagged> {
        loop {
            let mut of_each: Vec<_> = self.heard.clone();
            of_each.reverse();
            of_each.sort_by_key(|event| event.event_id);
            of_each.dedup_by_key(|event| event.event_id);
            if of_each.len() >= count {
                return of_each;
            }
            self.next().await;
        }
    }
}
