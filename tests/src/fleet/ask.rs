//! Telling a fleet of a scrape, and asking its database, broker and announcements what became of it.

use std::collections::HashMap;

use tagfleet_shared::broker::{Consumer, Outgoing, SCRAPE_FINISHED};
use tagfleet_shared::events::{ScrapeFinished, ScrapeTagged};
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::tags::Tags;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::Fleet;
use crate::eventually;

/// What the database says of one image of one scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its URL.
    pub url: String,
    /// Its outcome; none yet.
    pub outcome: Option<String>,
    /// Why it was skipped or defaulted.
    pub reason: Option<String>,
    /// The valid tags.
    pub tags: Option<Tags>,
}

impl Row {
    /// Outcome and reason.
    pub fn end(&self) -> (&str, &str) {
        (self.outcome.as_deref().unwrap_or("none"), self.reason.as_deref().unwrap_or(""))
    }

    /// The value of a tag; "null" where it is null.
    pub fn tag(&self, attribute: &str) -> &str {
        let tags = self.tags.as_ref().expect("the row has tags");
        tags.0
            .get(attribute)
            .unwrap_or_else(|| panic!("no {attribute} in {tags:?}"))
            .as_deref()
            .unwrap_or("null")
    }
}

/// What was announced so far, by scrape.
pub(super) struct Announcements {
    pub(super) consumer: Consumer,
    seen: HashMap<ScrapeId, Vec<ScrapeTagged>>,
}

impl Fleet {
    /// Publishes an event, and waits until the broker has it.
    pub async fn publish(&self, event: &ScrapeFinished) {
        self.publish_bytes(serde_json::to_vec(event).unwrap()).await;
    }

    /// Publishes whatever bytes as an event.
    pub async fn publish_bytes(&self, body: Vec<u8>) {
        let id = Uuid::new_v4().to_string();
        let event = Outgoing::event(self.broker.topology(), SCRAPE_FINISHED, id, body);
        self.broker.publisher().publish(&[event]).await.unwrap();
    }

    /// Publishes a scrape and waits until it is announced as tagged.
    pub async fn tag(&self, event: &ScrapeFinished) -> ScrapeTagged {
        self.publish(event).await;
        self.announced(&event.scrape_id).await
    }

    /// Waits for the announcement of a scrape.
    pub async fn announced(&self, scrape: &ScrapeId) -> ScrapeTagged {
        let mut announcements = self.announcements.lock().await;
        let waiting = async {
            loop {
                if let Some(events) = announcements.seen.get(scrape) {
                    return events[0].clone();
                }
                announcements.take_next().await;
            }
        };
        match tokio::time::timeout(crate::PATIENCE, waiting).await {
            Ok(event) => event,
            Err(_) => panic!("{scrape} was not announced; its rows: {:#?}", self.rows(scrape).await),
        }
    }

    /// All announcements of a scrape that have arrived by now.
    pub async fn announcements(&self, scrape: &ScrapeId) -> Vec<ScrapeTagged> {
        let mut announcements = self.announcements.lock().await;
        while let Some(received) = announcements.consumer.try_next() {
            announcements.note(&received.body);
            received.ack();
        }
        announcements.seen.get(scrape).cloned().unwrap_or_default()
    }

    /// The rows of a scrape in the order of its inventory.
    pub async fn rows(&self, scrape: &ScrapeId) -> Vec<Row> {
        let client = self.database.pool.get().await.unwrap();
        let sql = "SELECT url, outcome, reason, tags FROM tagged_images WHERE scrape_id = $1 ORDER BY seq";
        let rows = client.query(sql, &[&scrape.0]).await.unwrap();
        let row = |row: &tokio_postgres::Row| Row {
            url: row.get(0),
            outcome: row.get(1),
            reason: row.get(2),
            tags: row.get::<_, Option<Json<Tags>>>(3).map(|Json(tags)| tags),
        };
        rows.iter().map(row).collect()
    }

    /// Runs a query that gives one number.
    pub async fn count(&self, sql: &str) -> i64 {
        let client = self.database.pool.get().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        self.database.pool.get().await.unwrap().batch_execute(sql).await.unwrap();
    }

    /// Waits until no queue of the fleet holds a ready message, the dead-letter
    /// queue left out.
    pub async fn queues_are_empty(&self) {
        let dead = self.broker.topology().dead();
        eventually("the queues are empty", || async {
            for queue in self.broker.topology().queues() {
                if queue != dead && self.broker.depth(&queue).await.ok()?.0 > 0 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Dead letters that wait for a person.
    pub async fn dead_letters(&self) -> u32 {
        self.broker.depth(&self.broker.topology().dead()).await.unwrap().0
    }

    /// Takes one dead letter: its headers `reason` and `error`, and its body.
    pub async fn dead_letter(&self) -> (String, String, Vec<u8>) {
        let mut consumer = self.broker.consume(self.broker.topology().dead(), 1);
        let received = tokio::time::timeout(crate::PATIENCE, consumer.next()).await;
        let received = received.expect("a dead letter arrives in time");
        let header = |name: &str| received.header(name).unwrap_or_default();
        let letter = (header("x-tagfleet-reason"), header("x-tagfleet-error"), received.body.clone());
        received.ack();
        consumer.close().finished().await;
        letter
    }
}

impl Announcements {
    pub(super) fn of(consumer: Consumer) -> Self {
        Self { consumer, seen: HashMap::new() }
    }

    async fn take_next(&mut self) {
        let received = self.consumer.next().await;
        self.note(&received.body);
        received.ack();
    }

    fn note(&mut self, body: &[u8]) {
        let event: ScrapeTagged = serde_json::from_slice(body).unwrap();
        self.seen.entry(event.scrape_id.clone()).or_default().push(event);
    }
}
