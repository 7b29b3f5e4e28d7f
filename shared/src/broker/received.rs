//! Messages that must be settled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::returned::InHand;
use crate::jobs::Trust;

/// One message, held until it is settled.
///
/// Settling takes it by value, so none is settled twice. Dropping one settles
/// nothing: it keeps its place in the prefetch window until the channel closes,
/// which is right for a process that is stopping and a leak in any other.
#[must_use]
#[derive(Debug)]
pub struct Received {
    /// Its bytes, not parsed yet.
    pub body: Vec<u8>,
    /// Its routing key; of a job, the lane.
    pub routing_key: String,
    /// The queue that it came from.
    pub queue: Arc<str>,
    /// How often it was delivered before and came back: its receiver died, or lost
    /// its connection. What a receiver gives back when it is stopped does not count.
    pub returns: u32,
    /// How often a person has sent it back from the dead-letter queue.
    pub redriven: u32,
    /// How far what is known of its image may be trusted, of a job.
    pub trust: Trust,
    /// Attempts that it has behind it in the retry queues.
    pub attempt: u32,
    /// How long ago it was first published, of a job.
    pub waited: Option<Duration>,
    /// The same as a time, in milliseconds since 1970.
    pub(super) published: Option<i64>,
    /// How long ago it was put off for the first time, if ever: it came back
    /// through a retry queue without an attempt.
    pub put_off: Option<Duration>,
    /// The same as a time, in milliseconds since 1970.
    pub(super) put_off_at: Option<i64>,
    /// How long it is still not to be worked on, if so.
    pub early: Option<Duration>,
    /// When it may be worked on, in milliseconds since 1970.
    pub(super) not_before: Option<i64>,
    /// Where whoever asks waits for the answer, of a question.
    pub(super) reply_to: Option<String>,
    /// Its text headers.
    pub(super) headers: BTreeMap<String, String>,
    /// Counts it among those that came back, where it did.
    pub(super) in_hand: Option<InHand>,
    pub(super) tag: u64,
    pub(super) settled: mpsc::UnboundedSender<Settled>,
}

/// A delivery of which the broker is to be told, soon.
#[derive(Debug)]
pub(super) struct Settled {
    pub tag: u64,
    /// Of which the broker is to be told now: if this process dies, it must not
    /// come back a second time.
    pub in_hand: Option<InHand>,
}

impl Received {
    /// A text header, such as `x-tagfleet-reason` of a dead letter.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    /// The trace that it belongs to, as W3C Trace Context has it.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.headers.get(super::publisher::TRACEPARENT).map(String::as_str)
    }

    /// A message without a broker behind it.
    #[cfg(test)]
    pub(super) fn of_nobody() -> Self {
        let (settled, _) = mpsc::unbounded_channel();
        let (body, routing_key, headers) = Default::default();
        Self {
            body,
            routing_key,
            queue: "".into(),
            returns: 0,
            redriven: 0,
            trust: Trust::default(),
            attempt: 0,
            waited: None,
            published: None,
            put_off: None,
            put_off_at: None,
            early: None,
            not_before: None,
            reply_to: None,
            headers,
            in_hand: None,
            tag: 1,
            settled,
        }
    }

    /// Its end is in the database, or a copy of it is confirmed elsewhere; the
    /// broker may forget it. Sent with others, soon.
    pub fn ack(self) {
        // A closed channel takes no acks and delivers again: nothing to do.
        let _ = self.settled.send(Settled { tag: self.tag, in_hand: self.in_hand });
    }
}
