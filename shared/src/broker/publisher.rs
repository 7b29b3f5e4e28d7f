//! Publishing that is not done until the broker says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use super::dead::{DeadLetter, Kind};
use super::received::Received;
use super::topology::short;
use super::{BrokerError, Link, Topology, within};
use crate::jobs::Trust;
use crate::lane::Lane;
use crate::wall_clock;

/// Header of a retried job: how many attempts it has behind it.
pub(super) const ATTEMPT: &str = "x-tagfleet-attempt";
/// Header of a retried job: when it was first put off, in milliseconds since 1970.
pub(super) const PUT_OFF: &str = "x-tagfleet-put-off";
/// Header of a retried job: before which it is not to be worked on, in milliseconds
/// since 1970. Its delay may end earlier.
pub(super) const NOT_BEFORE: &str = "x-tagfleet-not-before";
/// Header of a job: when it was first published, in milliseconds since 1970.
/// (AMQP's own timestamp has whole seconds.)
pub(super) const PUBLISHED: &str = "x-tagfleet-published";
/// Header of a job that was given back: how often it had come back before.
pub(super) const RETURNS: &str = "x-tagfleet-returns";
/// Header of a job: how far what is known of its image may be trusted, in the words of
/// [`Trust`]; as usual where there is none.
pub(super) const TRUST: &str = "x-tagfleet-trust";
/// Header of a message that a person has sent back from the dead-letter queue: how often.
pub(super) const REDRIVEN: &str = "x-tagfleet-redriven";
/// Header of a dead letter: when it was one, in milliseconds since 1970.
pub(super) const DEAD_AT: &str = "x-tagfleet-dead-at";
/// Header of a dead letter: a stable word for why.
pub(super) const REASON: &str = "x-tagfleet-reason";
/// Header of a dead letter: what is wrong, in words, with the field's name.
pub(super) const ERROR: &str = "x-tagfleet-error";
/// Header of a dead letter: the queue that it came from.
pub(super) const QUEUE: &str = "x-tagfleet-queue";

/// Header of whatever belongs to a trace: W3C Trace Context.
pub(super) const TRACEPARENT: &str = "traceparent";

/// Header of a question: its kind.
pub(super) const QUESTION: &str = "x-tagfleet-question";

/// One message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    exchange: String,
    routing_key: String,
    body: Vec<u8>,
    headers: FieldTable,
    message_id: Option<String>,
    must_route: bool,
}

impl Outgoing {
    /// An event. Somebody has to be listening to those that the fleet takes; to others, whoever likes.
    pub fn event(topology: &Topology, routing_key: &str, message_id: String, body: Vec<u8>) -> Self {
        let must_route = [super::SCRAPE_FINISHED, super::IMAGE_CHANGED].contains(&routing_key);
        let new = Self::new(topology.events_exchange(), routing_key.into(), body);
        Self { message_id: Some(message_id), must_route, ..new }
    }

    /// A message that is for nobody: whether the broker takes any at all.
    pub fn probe(topology: &Topology) -> Self {
        Self { must_route: false, ..Self::new(topology.jobs_exchange(), "nobody".into(), Vec::new()) }
    }

    /// A job for a lane.
    pub fn job(topology: &Topology, lane: Lane, body: Vec<u8>) -> Self {
        let mut new = Self::new(topology.jobs_exchange(), lane.as_str().into(), body);
        new.headers.insert(PUBLISHED.into(), AMQPValue::LongLongInt(now()));
        new
    }

    /// What is known of the image of this job is to be trusted so far.
    pub fn trusting(mut self, trust: Trust) -> Self {
        if let Some(word) = trust.word() {
            self.headers.insert(TRUST.into(), AMQPValue::LongString(word.into()));
        }
        self
    }

    /// The same job again, after `delay`; `attempt` is how many it has behind
    /// it. As many as before: it was put off, and that time is noted. The time
    /// before which it is not to be worked on stays.
    pub fn retry(topology: &Topology, received: &Received, delay: Duration, attempt: u32) -> Self {
        let mut new = Self::copy(topology.retry(delay), received);
        new.headers.insert(ATTEMPT.into(), AMQPValue::LongUInt(attempt));
        if attempt == received.attempt && received.put_off_at.is_none() {
            new.headers.insert(PUT_OFF.into(), AMQPValue::LongLongInt(now()));
        }
        new
    }

    /// The same job where it is tried alone. How often it came back counts from
    /// here: what happened to it among others need not be its fault.
    pub fn suspect(topology: &Topology, received: &Received) -> Self {
        Self::copy(topology.suspects(), received)
    }

    /// The same job at the end of the queue that it came from, with all that is
    /// known of it: it was not begun, or it has to wait.
    pub fn given_back(topology: &Topology, received: &Received) -> Self {
        let suspected = *received.queue == *topology.suspects();
        let exchange = if suspected { topology.suspects() } else { topology.jobs_exchange() };
        let mut new = Self::copy(exchange, received);
        new.headers.insert(RETURNS.into(), AMQPValue::LongUInt(received.returns));
        new
    }

    /// A copy of a job, with what goes with it wherever it goes.
    fn copy(exchange: String, received: &Received) -> Self {
        let new = Self::new(exchange, received.routing_key.clone(), received.body.clone());
        let mut new = new.traced(received.traceparent());
        let times = [
            (PUBLISHED, received.published),
            (PUT_OFF, received.put_off_at),
            (NOT_BEFORE, received.not_before.filter(|_| received.early.is_some())),
        ];
        for (header, time) in times.into_iter().filter_map(|(header, time)| Some((header, time?))) {
            new.headers.insert(header.into(), AMQPValue::LongLongInt(time));
        }
        for (header, count) in [(ATTEMPT, received.attempt), (REDRIVEN, received.redriven)] {
            if count > 0 {
                new.headers.insert(header.into(), AMQPValue::LongUInt(count));
            }
        }
        new.trusting(received.trust)
    }

    /// It belongs to the trace that this header names, if any.
    pub fn traced(mut self, traceparent: Option<&str>) -> Self {
        if let Some(traceparent) = traceparent {
            self.headers.insert(TRACEPARENT.into(), AMQPValue::LongString(cut(traceparent).into()));
        }
        self
    }

    /// Not to be worked on before `wait` is over, though it comes back earlier.
    pub fn not_before(mut self, wait: Duration) -> Self {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        // Rounded up: not a moment before.
        let at = wall_clock::now().as_millisecond().saturating_add(millis).saturating_add(1);
        self.headers.insert(NOT_BEFORE.into(), AMQPValue::LongLongInt(at));
        self
    }

    /// A message that a person has to look at: `reason` is a stable word,
    /// `error` says which field or what else is wrong.
    pub fn dead_letter(topology: &Topology, received: &Received, reason: &str, error: &str) -> Self {
        let new = Self::new(topology.dead(), received.routing_key.clone(), received.body.clone());
        let mut new = new.traced(received.traceparent());
        for (header, value) in [(REASON, reason), (ERROR, error), (QUEUE, &*received.queue)] {
            new.headers.insert(header.into(), AMQPValue::LongString(cut(value).into()));
        }
        new.headers.insert(DEAD_AT.into(), AMQPValue::LongLongInt(now()));
        if received.redriven > 0 {
            new.headers.insert(REDRIVEN.into(), AMQPValue::LongUInt(received.redriven));
        }
        new.trusting(received.trust)
    }

    /// A dead letter on its way back to where it came from, as new but for the
    /// count of its ways back, and that no memory is trusted: its picture may have
    /// been replaced while it lay there. An event goes to the schedulers' queue and
    /// not to its exchange: others that listen there have seen it. None for what is
    /// not from this fleet.
    pub fn redriven(topology: &Topology, letter: &DeadLetter) -> Option<Self> {
        let body = letter.body.clone();
        let new = match letter.kind {
            Kind::Event => Self::new(String::new(), topology.finished_queue(), body),
            Kind::Change => Self::new(String::new(), topology.changed_queue(), body),
            Kind::Job(lane) => {
                Self::job(topology, lane, body).trusting(trust(&letter.headers).without_memory())
            }
            Kind::Unknown => return None,
        };
        let mut new = new.traced(letter.headers.get(TRACEPARENT).map(String::as_str));
        new.headers.insert(REDRIVEN.into(), AMQPValue::LongUInt(letter.redriven + 1));
        Some(new)
    }

    /// The answer to a question. Whoever asked may have gone.
    pub(super) fn reply(asker: String, body: Vec<u8>) -> Self {
        Self { must_route: false, ..Self::new(String::new(), asker, body) }
    }

    fn new(exchange: String, routing_key: String, body: Vec<u8>) -> Self {
        let headers = FieldTable::default();
        Self { exchange, routing_key, body, headers, message_id: None, must_route: true }
    }

    fn properties(&self) -> BasicProperties {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_headers(self.headers.clone());
        match &self.message_id {
            Some(id) => properties.with_message_id(short(id)),
            None => properties,
        }
    }
}

/// What the text headers of a job say of it.
pub(super) fn trust(headers: &BTreeMap<String, String>) -> Trust {
    headers.get(TRUST).map_or_else(Trust::default, |word| Trust::of_word(word))
}

fn now() -> i64 {
    wall_clock::now().as_millisecond()
}

/// An error may quote its input, but a header has to fit into one frame.
fn cut(text: &str) -> &str {
    const MAX_BYTES: usize = 2000;
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

/// A confirming channel that comes back after an outage.
pub struct Publisher {
    link: Arc<Link>,
    topology: Topology,
    /// The channel, and how many there were before it.
    channel: Mutex<(u64, Option<Channel>)>,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>, topology: Topology) -> Self {
        Self { link, topology, channel: Mutex::new((0, None)) }
    }

    /// The names of exchanges and queues.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Publishes all of `messages` and waits until the broker has confirmed
    /// and routed every one.
    ///
    /// # Errors
    ///
    /// On any error some may have arrived: publish all of them again, a job
    /// that is there twice is harmless.
    pub async fn publish(&self, messages: &[Outgoing]) -> Result<(), BrokerError> {
        let (number, channel) = self.channel().await?;
        let done = tokio::time::timeout(super::TIMEOUT * 3, confirm_all(&channel, messages)).await;
        let result = done.unwrap_or(Err(BrokerError::Silent));
        if let Err(error) = &result {
            // Its confirms can no longer be told apart from those of a new try.
            let mut current = self.channel.lock().await;
            if current.0 == number {
                current.1 = None;
            }
            drop(current);
            if matches!(error, BrokerError::Unroutable(_)) {
                // A queue of ours is gone.
                self.link.declare().await;
            }
            super::close(&channel).await;
        }
        result
    }

    async fn channel(&self) -> Result<(u64, Channel), BrokerError> {
        let mut current = self.channel.lock().await;
        let (number, channel) = &mut *current;
        if let Some(channel) = channel
            && channel.status().connected()
        {
            return Ok((*number, channel.clone()));
        }
        let new = self.link.channel().await?;
        within(new.confirm_select(ConfirmSelectOptions::default())).await?;
        *number += 1;
        Ok((*number, channel.insert(new).clone()))
    }
}

async fn confirm_all(channel: &Channel, messages: &[Outgoing]) -> Result<(), BrokerError> {
    let mut confirms = Vec::with_capacity(messages.len());
    for message in messages {
        // Without `mandatory` a message that no queue takes is confirmed all the same.
        let options = BasicPublishOptions { mandatory: message.must_route, ..Default::default() };
        let (exchange, key) = (short(&message.exchange), short(&message.routing_key));
        confirms
            .push(channel.basic_publish(exchange, key, options, &message.body, message.properties()).await?);
    }
    for (confirm, message) in confirms.into_iter().zip(messages) {
        let to = || format!("{} {}", message.exchange, message.routing_key);
        match confirm.await? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(_)) => return Err(BrokerError::Unroutable(to())),
            Confirmation::Nack(_) | Confirmation::NotRequested => return Err(BrokerError::Refused(to())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
