//! Every exchange, queue and binding of the fleet, declared in this one file.
//!
//! ```text
//! scrape pipeline ─▶ (events) ─scrape.finished─▶ [scrape.finished] ─▶ scheduler
//!                    (events) ─image.changed─▶ [image.changed] ─▶ scheduler
//!                    (events) ◀─scrape.tagged, image.tagged── scheduler
//!                    (events) ◀─tag.fixed── console
//! scheduler ─▶ (jobs) ─lane─▶ [jobs.express] [jobs.standard] [jobs.bulk] ─▶ workers
//! worker ─▶ (retry.30s) ─▶ [retry.30s] ─after 30 s─▶ (jobs) ─lane─▶ …
//! worker ─▶ (suspects) ─▶ [suspects] ─one at a time─▶ workers
//! any ─▶ (dead) ─▶ [dead] ─▶ a person
//! console ─▶ [questions] ─▶ workers ─▶ the console that asked
//! ```
//!
//! All queues but that of questions are quorum queues. Their arguments cannot be changed once they
//! exist; a changed delay gets a queue of its own, because its name holds it.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::lane::Lane;

/// Routing key of the event that starts everything.
pub const SCRAPE_FINISHED: &str = "scrape.finished";
/// Routing key of the announcement.
pub const SCRAPE_TAGGED: &str = "scrape.tagged";
/// Routing key of the event that one picture has changed.
pub const IMAGE_CHANGED: &str = "image.changed";
/// Routing key of the announcement of such a picture's outcome.
pub const IMAGE_TAGGED: &str = "image.tagged";
/// Routing key of the news that a person has corrected a tag.
pub const TAG_FIXED: &str = "tag.fixed";

/// Delays beyond those that are configured, for jobs whose host wants to be asked
/// much later, or has work for long: few messages for a long time.
const LONG_DELAYS: [Duration; 2] = [Duration::from_secs(480), Duration::from_secs(1920)];

/// How long a question may wait for a worker. Whoever asked waits no longer.
const QUESTIONS_LAST: Duration = Duration::from_secs(60);
/// Questions that wait at most: some have a picture of many megabytes with them.
const MOST_QUESTIONS: i64 = 100;

/// The names of all exchanges and queues, under one prefix.
#[derive(Clone, Debug)]
pub struct Topology {
    prefix: String,
    delivery_limit: u32,
    delays: Vec<Duration>,
}

impl Topology {
    pub(super) fn new(prefix: &str, delivery_limit: u32, retry_delays: &[Duration]) -> Self {
        Self { prefix: prefix.to_owned(), delivery_limit, delays: Self::delays(retry_delays) }
    }

    /// After which a job can come back, ascending: each has a queue of its own.
    pub fn delays(retry_delays: &[Duration]) -> Vec<Duration> {
        let mut delays = [retry_delays, &LONG_DELAYS].concat();
        delays.sort_unstable();
        delays.dedup();
        delays
    }

    /// Topic exchange of all events: `scrape.finished`, `image.changed`, and what the fleet announces.
    pub fn events_exchange(&self) -> String {
        format!("{}.events", self.prefix)
    }

    /// Queue of `scrape.finished` events that wait for a scheduler.
    pub fn finished_queue(&self) -> String {
        format!("{}.{SCRAPE_FINISHED}", self.prefix)
    }

    /// Queue of `image.changed` events that wait for a scheduler.
    pub fn changed_queue(&self) -> String {
        format!("{}.{IMAGE_CHANGED}", self.prefix)
    }

    /// Direct exchange of jobs; the routing key is the lane.
    pub fn jobs_exchange(&self) -> String {
        format!("{}.jobs", self.prefix)
    }

    /// Queue of one lane.
    pub fn lane_queue(&self, lane: Lane) -> String {
        format!("{}.jobs.{lane}", self.prefix)
    }

    /// Fanout exchange, and queue, of what a person has to look at.
    pub fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// Fanout exchange, and queue, of jobs whose worker may have died of them: each
    /// is tried alone.
    pub fn suspects(&self) -> String {
        format!("{}.suspects", self.prefix)
    }

    /// Queue of questions that somebody waits for the answer of.
    pub fn questions(&self) -> String {
        format!("{}.questions", self.prefix)
    }

    /// Fanout exchange, and queue, of jobs that wait for `delay`.
    pub fn retry(&self, delay: Duration) -> String {
        format!("{}.retry.{}", self.prefix, humantime_serde::re::humantime::format_duration(delay))
            .replace(' ', "")
    }

    /// Every queue, for a look at their lengths.
    pub fn queues(&self) -> Vec<String> {
        let mut queues = vec![self.finished_queue(), self.changed_queue()];
        queues.extend(Lane::ALL.iter().map(|&lane| self.lane_queue(lane)));
        queues.extend(self.delays.iter().map(|&delay| self.retry(delay)));
        queues.extend([self.suspects(), self.questions(), self.dead()]);
        queues
    }

    /// Every exchange.
    pub fn exchanges(&self) -> Vec<String> {
        let mut exchanges = vec![self.events_exchange(), self.jobs_exchange(), self.suspects(), self.dead()];
        exchanges.extend(self.delays.iter().map(|&delay| self.retry(delay)));
        exchanges
    }

    /// Declares everything; what exists already stays as it is.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let dead = self.dead();
        exchange(channel, &dead, ExchangeKind::Fanout).await?;
        // No limit and no dead-lettering of its own: it is the end of the line.
        queue(channel, &dead, &[]).await?;
        bind(channel, &dead, &dead, "").await?;

        let limit = AMQPValue::LongLongInt(i64::from(self.delivery_limit));
        let to_dead = [
            ("x-delivery-limit", limit),
            ("x-dead-letter-exchange", text(&dead)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ];
        let events = self.events_exchange();
        exchange(channel, &events, ExchangeKind::Topic).await?;
        for (name, key) in [(self.finished_queue(), SCRAPE_FINISHED), (self.changed_queue(), IMAGE_CHANGED)] {
            queue(channel, &name, &to_dead).await?;
            bind(channel, &name, &events, key).await?;
        }

        let jobs = self.jobs_exchange();
        exchange(channel, &jobs, ExchangeKind::Direct).await?;
        for lane in Lane::ALL {
            queue(channel, &self.lane_queue(lane), &to_dead).await?;
            bind(channel, &self.lane_queue(lane), &jobs, lane.as_str()).await?;
        }
        let suspects = self.suspects();
        exchange(channel, &suspects, ExchangeKind::Fanout).await?;
        queue(channel, &suspects, &to_dead).await?;
        bind(channel, &suspects, &suspects, "").await?;
        self.declare_questions(channel).await?;
        for &delay in &self.delays {
            let retry = self.retry(delay);
            let ttl = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            // Without a dead-letter routing key a message keeps its own: the lane.
            let back_to_jobs = [
                ("x-message-ttl", AMQPValue::LongLongInt(ttl)),
                ("x-dead-letter-exchange", text(&jobs)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ];
            exchange(channel, &retry, ExchangeKind::Fanout).await?;
            queue(channel, &retry, &back_to_jobs).await?;
            bind(channel, &retry, &retry, "").await?;
        }
        Ok(())
    }

    /// Not a quorum queue: nobody wants a question back that its asker has given up.
    async fn declare_questions(&self, channel: &Channel) -> lapin::Result<()> {
        let mut arguments = FieldTable::default();
        let ttl = i64::try_from(QUESTIONS_LAST.as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-queue-type".into(), text("classic"));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_QUESTIONS));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(short(&self.questions()), options, arguments).await.map(drop)
    }

    /// Declares a queue for one who listens to events, and returns its name.
    pub(super) async fn declare_listener(
        &self,
        channel: &Channel,
        routing_key: &str,
    ) -> lapin::Result<String> {
        let name = format!("{}.listener.{}", self.prefix, uuid::Uuid::new_v4());
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongInt(5 * 60 * 1000));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(short(&name), options, arguments).await?;
        bind(channel, &name, &self.events_exchange(), routing_key).await?;
        Ok(name)
    }
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(short(name), kind, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (key, value) in arguments {
        table.insert(short(key), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(short(name), options, table).await.map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(short(queue), short(exchange), short(key), options, FieldTable::default()).await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(super) fn short(value: &str) -> ShortString {
    value.into()
}
