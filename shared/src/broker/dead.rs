//! The dead-letter queue, as a person sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

use super::headers::{count, number, texts};
use super::publisher::{DEAD_AT, ERROR, QUEUE, REASON, REDRIVEN};
use super::topology::short;
use super::{Broker, BrokerError, TIMEOUT, Topology, within};
use crate::lane::Lane;

/// Looks for what was given back, and the pause between two.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

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
    tag: u64,
}

impl DeadLetter {
    /// One without a broker behind it.
    #[cfg(test)]
    pub(super) fn of_nobody(kind: Kind) -> Self {
        let (id, reason, headers, body) = Default::default();
        Self { id, reason, kind, dead_at: None, redriven: 0, headers, body, tag: 1 }
    }
}

/// A look at the dead-letter queue: each message that was there when it began, once, in order.
///
/// They are taken without being acknowledged, and go back to their places when it ends, in whatever
/// way: nothing is lost by a process that dies.
pub struct DeadLetters {
    channel: Channel,
    /// One consumer for all of them: what it did not acknowledge goes back in order.
    consumer: lapin::Consumer,
    broker: Broker,
    left: u32,
    /// The last that was seen, and how many of those up to it are still in the queue.
    last: u64,
    kept: u64,
}

impl Broker {
    /// Begins to look at the dead letters.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn dead_letters(&self) -> Result<DeadLetters, BrokerError> {
        // What is sent back and dies again must not be looked at again, for ever.
        let (left, _) = self.depth(&self.topology.dead()).await?;
        let channel = self.consuming.channel().await?;
        let queue = short(&self.topology.dead());
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = within(channel.basic_consume(queue, "".into(), options, arguments)).await?;
        Ok(DeadLetters { channel, consumer, broker: self.clone(), left, last: 0, kept: 0 })
    }
}

impl DeadLetters {
    /// The next one.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        if self.left == 0 {
            return Ok(None);
        }
        let next = tokio::time::timeout(TIMEOUT, self.consumer.next()).await;
        let gone = || BrokerError::Refused("the consumer of dead letters".into());
        let delivery = next.map_err(|_| BrokerError::Silent)?.ok_or_else(gone)??;
        self.left -= 1;
        self.last = delivery.delivery_tag;
        self.kept += 1;
        Ok(Some(read(&self.broker.topology, delivery)))
    }

    /// Takes these out of the queue, for good.
    ///
    /// # Errors
    ///
    /// If the broker is away: they are still there, all of them or some.
    pub async fn forget(&mut self, letters: &[DeadLetter]) -> Result<(), BrokerError> {
        let count = letters.len() as u64;
        let all = count == self.kept && letters.last().is_some_and(|last| last.tag == self.last);
        // One for all, where there is nothing between them that stays.
        let told = if all { &letters[letters.len() - 1..] } else { letters };
        for letter in told {
            within(self.channel.basic_ack(letter.tag, BasicAckOptions { multiple: all })).await?;
        }
        self.kept -= count;
        Ok(())
    }

    /// Ends it: whatever was not forgotten goes back to its place, and is there for the next look. The broker gives
    /// it back in its own time; after a second it is not waited for any longer.
    pub async fn close(self) {
        super::close_settled(&self.channel).await;
        let (queue, stays) = (self.broker.topology.dead(), u64::from(self.left) + self.kept);
        for _ in 0..LOOKS {
            match self.broker.depth(&queue).await {
                Ok((ready, _)) if u64::from(ready) < stays => tokio::time::sleep(PAUSE).await,
                _ => return,
            }
        }
    }
}

fn read(topology: &Topology, delivery: lapin::message::Delivery) -> DeadLetter {
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
        tag: delivery.delivery_tag,
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
