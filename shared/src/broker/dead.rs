//! The dead-letter queue, as a person sees it.

mod look;
mod piece;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::AMQPValue;

use super::Topology;
use super::headers::{count, number, texts};
use super::publisher::{DEAD_AT, ERROR, QUEUE, REASON, REDRIVEN};
use crate::lane::Lane;

pub use look::DeadLetters;

/// What kind of message died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A `scrape.finished`.
    Event,
    /// An `image.changed`.
    Change,
    /// A job, of this lane.
    Job(Lane),
    /// Something that is not from this fleet.
    Unknown,
}

impl Kind {
    /// The lane of a job.
    pub fn lane(self) -> Option<Lane> {
        match self {
            Self::Job(lane) => Some(lane),
            Self::Event | Self::Change | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Change => "change",
            Self::Job(_) => "job",
            Self::Unknown => "unknown",
        })
    }
}

/// One message that a person has to look at. It stays in the queue until it is
/// [forgotten](DeadLetters::forget).
#[derive(Debug)]
pub struct DeadLetter {
    /// Of its body and the queue that it came from: copies have the same.
    pub id: String,
    /// A stable word for why: ours, or the broker's (`delivery_limit`).
    pub reason: String,
    /// What kind of message it is.
    pub kind: Kind,
    /// When it died, where that is known.
    pub dead_at: Option<Timestamp>,
    /// How often it was sent back from here.
    pub redriven: u32,
    /// Its text headers.
    pub headers: BTreeMap<String, String>,
    /// Its body, as it was published.
    pub body: Vec<u8>,
    /// Which piece of a look it is in, and its number there.
    place: (usize, u64),
}

impl DeadLetter {
    /// One without a broker behind it.
    #[cfg(test)]
    pub(super) fn of_nobody(kind: Kind) -> Self {
        let (id, reason, headers, body) = Default::default();
        Self { id, reason, kind, dead_at: None, redriven: 0, headers, body, place: (0, 1) }
    }
}

fn read(topology: &Topology, piece: usize, delivery: lapin::message::Delivery) -> DeadLetter {
    let properties = &delivery.properties;
    let headers = texts(properties);
    let text = |ours: &str, theirs: &str| headers.get(ours).or_else(|| headers.get(theirs)).cloned();
    let queue = text(QUEUE, "x-first-death-queue").unwrap_or_default();
    DeadLetter {
        id: id(&queue, &delivery.data),
        reason: text(REASON, "x-first-death-reason").unwrap_or_else(|| "unknown".into()),
        kind: kind(topology, &queue, delivery.routing_key.as_str()),
        dead_at: number(properties, DEAD_AT)
            .and_then(|at| Timestamp::from_millisecond(at).ok())
            .or_else(|| died(properties)),
        redriven: count(properties, REDRIVEN),
        headers,
        body: delivery.data,
        place: (piece, delivery.delivery_tag),
    }
}

/// Half of a hash is enough to tell what lies in one queue.
fn id(queue: &str, body: &[u8]) -> String {
    let mut hash = blake3::Hasher::new_derive_key("tagfleet dead letter id");
    hash.update(queue.as_bytes()).update(&[0]).update(body);
    hash.finalize().to_hex()[..16].to_owned()
}

fn kind(topology: &Topology, queue: &str, routing_key: &str) -> Kind {
    let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == routing_key);
    match lane {
        _ if queue == topology.finished_queue() => Kind::Event,
        _ if queue == topology.changed_queue() => Kind::Change,
        Some(lane) if topology.queues().iter().any(|own| own == queue) => Kind::Job(lane),
        _ => Kind::Unknown,
    }
}

/// When the broker dead-lettered it, in its own words: of the last time, to the second.
fn died(properties: &BasicProperties) -> Option<Timestamp> {
    let AMQPValue::FieldArray(deaths) = properties.headers().as_ref()?.inner().get("x-death")? else {
        return None;
    };
    let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
    let AMQPValue::Timestamp(seconds) = last.inner().get("time")? else { return None };
    Timestamp::from_second(i64::try_from(*seconds).ok()?).ok()
}

impl DeadLetter {
    /// The same without its message, which may be large: for whoever keeps many.
    #[must_use]
    pub fn without_body(self) -> Self {
        Self { body: Vec::new(), ..self }
    }

    /// What is wrong, in words, with the field's name.
    pub fn error(&self) -> Option<&str> {
        self.headers.get(ERROR).map(String::as_str)
    }

    /// The lane of a job.
    pub fn lane(&self) -> Option<Lane> {
        self.kind.lane()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_known_by_the_queue_that_it_came_from() {
        let topology = Topology::new("t", 5, &[]);
        assert_eq!(kind(&topology, "t.scrape.finished", "scrape.finished"), Kind::Event);
        assert_eq!(
            kind(&topology, "t.scrape.finished", "t.scrape.finished"),
            Kind::Event,
            "sent back before"
        );
        assert_eq!(kind(&topology, "t.image.changed", "image.changed"), Kind::Change);
        assert_eq!(kind(&topology, "t.jobs.bulk", "bulk"), Kind::Job(Lane::Bulk));
        assert_eq!(kind(&topology, "t.suspects", "express"), Kind::Job(Lane::Express));
        assert_eq!(kind(&topology, "t.suspects", "no lane"), Kind::Unknown);
        assert_eq!(kind(&topology, "another", "bulk"), Kind::Unknown);
    }

    #[test]
    fn copies_have_one_id_and_others_another() {
        assert_eq!(id("a", b"body"), id("a", b"body"));
        assert_ne!(id("a", b"body"), id("b", b"body"));
        assert_ne!(id("a", b"body"), id("a", b"another"));
    }
}
