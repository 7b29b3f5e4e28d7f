//! The other end of a scrape: every image has its outcome, and the world is told.

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::broker::{Outgoing, Publisher, SCRAPE_TAGGED};
use tagfleet_shared::events::ScrapeTagged;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::outage::Outage;
use tagfleet_shared::outcome::OutcomeKind;
use tagfleet_shared::traces::{Traces, Value};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use crate::late::LateImages;
use crate::metrics::Metrics;
use crate::periodic;
use crate::sampling::Sampling;
use crate::store::{self, Announcement};

/// Scrapes announced in one transaction.
const AT_ONCE: i64 = 100;

/// Announces tagged scrapes, together with the announcers of other schedulers.
pub struct Announcer {
    /// Where progress is recorded.
    pub pool: Pool,
    /// Where announcements go.
    pub publisher: Publisher,
    /// How often to look for scrapes that have ended.
    pub every: Duration,
    /// Who counts images that are late.
    pub late: LateImages,
    /// Which scrapes are traced,
    pub sampling: Sampling,
    /// and where their spans go.
    pub traces: Traces,
    /// Counts what happens.
    pub metrics: Metrics,
}

impl Announcement {
    /// Images of the inventory.
    pub fn images(&self) -> u64 {
        u64::try_from(self.images).unwrap_or_default()
    }

    /// How long its images waited at most: from the event, or from when they were opened again, to the last
    /// one's outcome.
    pub fn took(&self) -> Duration {
        let since = self.reopened_at.unwrap_or(self.received_at);
        self.tagged_at.duration_since(since).try_into().unwrap_or_default()
    }
}

impl Announcer {
    /// Announces until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        periodic::every(self.every, "announcing scrapes", &self.metrics, &stop, || self.tick()).await;
    }

    /// Ends the scrapes that are complete, then announces those that have ended.
    ///
    /// Two steps, because an end is a fact, whether or not the broker is there
    /// to hear of it.
    async fn tick(&self) -> Result<(), Outage> {
        let mut client = self.pool.get().await?;
        let tick = store::look(&client).await?;
        if !tick.crowded.is_empty() {
            store::fold(&mut client, &tick.crowded).await?;
        }
        if !tick.ended.is_empty() {
            store::mark_tagged(&mut client, &tick.ended).await?;
            failpoint::here(Point::MarkedTagged);
        }
        while self.announce(&mut client).await? == AT_ONCE as usize {}
        Ok(())
    }

    /// Publishes before it commits: a scheduler that dies in between leaves an
    /// announcement that is made again, with the same id, instead of one that
    /// is never made. Other schedulers pass over the locked rows, so normally
    /// there is exactly one.
    async fn announce(&self, client: &mut store::Client) -> Result<usize, Outage> {
        let transaction = client.transaction().await?;
        let ended = store::unannounced(&transaction, AT_ONCE).await?;
        if ended.is_empty() {
            return Ok(0);
        }
        let events: Vec<_> = ended.iter().map(|announcement| self.event(announcement)).collect();
        self.publisher.publish(&events).await?;
        failpoint::here(Point::Announced);
        let keys: Vec<_> = ended.iter().map(|announcement| announcement.key).collect();
        store::mark_announced(&transaction, &keys).await?;
        transaction.commit().await?;
        for announcement in &ended {
            let Announcement { scrape_id, images, .. } = announcement;
            info!(scrape.id = %scrape_id, images, "scrape {scrape_id} is tagged");
            self.metrics.announced();
            if announcement.reopened_at.is_none() {
                self.metrics.scrape_tagged(announcement.images(), announcement.took());
            }
            self.trace(announcement);
        }
        let announced = ended.len();
        self.late.count(ended);
        Ok(announced)
    }

    fn event(&self, ended: &Announcement) -> Outgoing {
        let event = tagged(ended);
        let body = serde_json::to_vec(&event).expect("an announcement is text and numbers");
        let id = event.event_id.to_string();
        let traceparent = self.sampling.trace(&ended.scrape_id).map(|trace| trace.header());
        Outgoing::event(self.publisher.topology(), SCRAPE_TAGGED, id, body).traced(traceparent.as_deref())
    }

    /// Sends the root of the scrape's trace, which is over now.
    fn trace(&self, ended: &Announcement) {
        let Some(trace) = self.sampling.trace(&ended.scrape_id) else { return };
        let number = |images: u64| Value::from(i64::try_from(images).unwrap_or(i64::MAX));
        let outcomes =
            ended.outcomes.iter().map(|(outcome, images)| (format!("images.{outcome}"), number(*images)));
        let all = [
            ("scrape.id".to_owned(), ended.scrape_id.0.clone().into()),
            ("lane".to_owned(), ended.lane.as_str().into()),
            ("images".to_owned(), i64::from(ended.images).into()),
        ];
        trace.announced(&self.traces, (ended.received_at, ended.tagged_at), all.into_iter().chain(outcomes));
    }
}

/// The announcement in words of the contract: every outcome is in it, those
/// that no image came to with 0.
fn tagged(ended: &Announcement) -> ScrapeTagged {
    let mut outcomes = ended.outcomes.clone();
    for outcome in OutcomeKind::ALL {
        outcomes.entry(outcome.as_str().to_owned()).or_default();
    }
    ScrapeTagged {
        event_id: event_id(&ended.scrape_id),
        scrape_id: ended.scrape_id.clone(),
        advertiser_id: ended.advertiser_id.clone(),
        images: ended.images(),
        outcomes,
        superseded_by: ended.superseded_by.clone(),
        finished_at: ended.finished_at,
        received_at: ended.received_at,
        published_at: ended.published_at,
        tagged_at: ended.tagged_at,
    }
}

/// Every copy of an announcement has this id, whichever scheduler makes it.
fn event_id(scrape_id: &ScrapeId) -> Uuid {
    let hash = blake3::derive_key("tagfleet scrape.tagged event id", scrape_id.0.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(short).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use tagfleet_shared::ids::AdvertiserId;

    /// Receivers tell copies by the id: it must never change.
    #[test]
    fn the_event_id_is_stable() {
        let id = event_id(&ScrapeId("s-1".into()));
        assert_eq!(id, event_id(&ScrapeId("s-1".into())));
        assert_ne!(id, event_id(&ScrapeId("s-2".into())));
        assert_eq!(id.to_string(), "01f26511-e51a-8df3-9572-4afb2790e89d");
    }

    #[test]
    fn an_announcement_has_every_outcome() {
        let at = Timestamp::UNIX_EPOCH;
        let event = tagged(&Announcement {
            key: 1,
            scrape_id: ScrapeId("s-1".into()),
            advertiser_id: AdvertiserId("a".into()),
            lane: tagfleet_shared::lane::Lane::Express,
            images: 3,
            outcomes: [("cached".to_owned(), 3)].into(),
            superseded_by: None,
            finished_at: at,
            received_at: at,
            reopened_at: None,
            published_at: at,
            tagged_at: at,
        });
        let outcomes: Vec<_> = event.outcomes.iter().map(|(word, images)| (&**word, *images)).collect();
        assert_eq!(
            outcomes,
            [("cached", 3), ("defaulted", 0), ("inferred", 0), ("matched", 0), ("skipped", 0)]
        );
    }
}
