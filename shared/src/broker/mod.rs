//! The way to RabbitMQ. `lapin` types do not leave this module.
//!
//! Publishing and consuming use a connection each: a broker that is short of
//! memory stops reading from connections that publish, and acknowledgements
//! must still get through.

mod ack;
mod consumer;
mod dead;
mod headers;
mod lanes;
mod publisher;
mod questions;
mod received;
mod returned;
mod settler;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::info;

pub use consumer::{Closing, Consumer};
pub use dead::{DeadLetter, DeadLetters, Kind};
pub use lanes::{Lanes, first_silent};
pub use publisher::{Outgoing, Publisher};
pub use received::Received;
pub use returned::Returned;
pub use topology::{IMAGE_CHANGED, IMAGE_TAGGED, SCRAPE_FINISHED, SCRAPE_TAGGED, TAG_FIXED, Topology};

/// The longest that any request to the broker may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than acknowledgements wait inside the broker.
const SETTLED: Duration = Duration::from_millis(500);

/// How to reach the broker, and what its queues are like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `amqp://user:password@host:port/vhost`, or `amqps://…`.
    pub url: SecretString,
    /// First part of the name of every exchange and queue.
    pub prefix: String,
    /// A message that was delivered more often than this, because its receiver
    /// died or lost the broker, is dead-lettered.
    pub delivery_limit: u32,
    /// Delays of the retry queues, ascending.
    #[serde(with = "crate::durations")]
    pub retry_delays: Vec<Duration>,
    /// A silent connection is taken for dead after two of these.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
}

impl BrokerConfig {
    /// See [`crate::config::Check`].
    pub fn check(&self, problems: &mut Vec<String>) {
        let url = self.url.expose_secret();
        if !url.is_empty() && url.parse::<AMQPUri>().is_err() {
            // What the parser says may hold the password.
            problems.push("broker.url is not amqp://user:password@host:port/vhost, or what is special in it is not percent-encoded".into());
        }
        if self.prefix.is_empty() || self.prefix.len() > 100 {
            problems.push("broker.prefix must have 1 to 100 characters".into());
        }
        if self.delivery_limit == 0 {
            problems.push("broker.delivery_limit must be at least 1: any worker may die once".into());
        }
        if self.retry_delays.is_empty() || !self.retry_delays.is_sorted() {
            problems.push("broker.retry_delays must be ascending, and at least one".into());
        }
        if self.retry_delays.iter().any(|delay| delay.is_zero()) {
            problems.push("broker.retry_delays must be longer than nothing".into());
        }
        if self.heartbeat.as_secs() == 0 || self.heartbeat.as_secs() > u64::from(u16::MAX) {
            problems.push("broker.heartbeat must be between 1s and 18h".into());
        }
    }
}

/// The broker did not do what was asked, or did not say that it did.
///
/// An outage is not a failure: whoever meets one holds its work and tries again.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker is away, or closed the channel.
    #[error("broker: {0}")]
    Away(#[from] lapin::Error),
    /// No answer in time: stopped, unreachable, or short of memory or disk.
    #[error("broker: no answer within {}s", TIMEOUT.as_secs())]
    Silent,
    /// It is short of memory or disk, and takes nothing for now.
    #[error("broker: blocked, it is short of memory or disk")]
    Blocked,
    /// The queue is full, or its leader is away.
    #[error("broker: did not take a message for {0}")]
    Refused(String),
    /// No queue is bound for this routing key.
    #[error("broker: no queue takes {0}")]
    Unroutable(String),
    /// Somebody else has them in their hands, and gives them back in a moment.
    #[error("broker: somebody else is looking at the dead letters")]
    Taken,
}

/// The broker as one process sees it: two connections that come back.
#[derive(Clone)]
pub struct Broker {
    topology: Topology,
    consuming: Arc<Link>,
    publishing: Arc<Link>,
}

impl Broker {
    /// Connects, and declares the topology.
    ///
    /// # Errors
    ///
    /// If the broker is away, or has queues of these names with other arguments.
    pub async fn connect(config: &BrokerConfig, process: &str) -> Result<Self, BrokerError> {
        let broker = Self::lazy(config, process);
        broker.consuming.channel().await?;
        Ok(broker)
    }

    /// Connects when first used.
    pub fn lazy(config: &BrokerConfig, process: &str) -> Self {
        let topology = Topology::new(&config.prefix, config.delivery_limit, &config.retry_delays);
        let link = |what: &str| {
            Arc::new(Link {
                url: config.url.clone(),
                heartbeat: config.heartbeat,
                name: format!("{process} {what}"),
                topology: topology.clone(),
                connection: Mutex::new(None),
            })
        };
        Self { consuming: link("consumes"), publishing: link("publishes"), topology }
    }

    /// The names of exchanges and queues.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// A publisher with a channel of its own, which opens when something is first published.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.publishing.clone(), self.topology.clone())
    }

    /// Starts to consume `queue`, with at most `prefetch` unsettled messages. Goes on after an outage.
    pub fn consume(&self, queue: String, prefetch: u16) -> Consumer {
        self.consume_noting(queue, prefetch, Returned::new())
    }

    /// The same, and notes in `returned` which messages came back.
    fn consume_noting(&self, queue: String, prefetch: u16, returned: Returned) -> Consumer {
        Consumer::start(self.consuming.clone(), queue, prefetch, returned)
    }

    /// Listens to the events with this routing key, as any neighbour of the
    /// fleet may. The queue is the listener's own, and goes when nobody has
    /// listened for five minutes.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn listen(&self, routing_key: &str) -> Result<Consumer, BrokerError> {
        let channel = self.consuming.channel().await?;
        let queue = within(self.topology.declare_listener(&channel, routing_key)).await?;
        close(&channel).await;
        Ok(self.consume(queue, 100))
    }

    /// Messages that are ready in `queue`, and its consumers.
    ///
    /// # Errors
    ///
    /// If the broker is away or has no such queue.
    pub async fn depth(&self, queue: &str) -> Result<(u32, u32), BrokerError> {
        let channel = self.consuming.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared = channel.queue_declare(topology::short(queue), options, FieldTable::default());
        let queue = within(declared).await?;
        let depth = (queue.message_count(), queue.consumer_count());
        close(&channel).await;
        Ok(depth)
    }

    /// Asks the broker for a sign of life, on both connections.
    ///
    /// # Errors
    ///
    /// If it is away.
    pub async fn ping(&self) -> Result<(), BrokerError> {
        for link in [&self.consuming, &self.publishing] {
            close(&link.channel().await?).await;
        }
        Ok(())
    }

    /// Deletes every queue and exchange of this prefix: for tests.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn delete_everything(&self) -> Result<(), BrokerError> {
        let channel = self.publishing.channel().await?;
        for queue in self.topology.queues() {
            within(channel.queue_delete(topology::short(&queue), Default::default())).await?;
        }
        for exchange in self.topology.exchanges() {
            within(channel.exchange_delete(topology::short(&exchange), Default::default())).await?;
        }
        Ok(())
    }
}

/// One connection that is opened again when it is needed and gone.
struct Link {
    url: SecretString,
    heartbeat: Duration,
    name: String,
    topology: Topology,
    connection: Mutex<Option<Connection>>,
}

impl Link {
    /// A new channel; on a new connection if the last one is gone.
    async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = &*current
            && connection.status().connected()
        {
            // A broker that is short of memory or disk would block a new
            // connection as well, and the old one could not even be closed.
            if connection.status().blocked() {
                return Err(BrokerError::Blocked);
            }
            if let Ok(channel) = within(connection.create_channel()).await {
                return Ok(channel);
            }
        }
        *current = None;
        let connection = within(Connection::connect_uri(self.uri()?, self.properties())).await?;
        let channel = within(connection.create_channel()).await?;
        // A broker that lost its data must not make this process useless.
        within(self.topology.declare(&channel)).await?;
        info!(connection = %self.name, "connected to the broker");
        *current = Some(connection);
        Ok(channel)
    }

    /// Declares everything again, as far as the broker lets us.
    async fn declare(&self) {
        if let Ok(channel) = self.channel().await {
            let _ = within(self.topology.declare(&channel)).await;
            close(&channel).await;
        }
    }

    fn uri(&self) -> Result<AMQPUri, BrokerError> {
        // What the parser says may hold the password.
        let wrong = |_| BrokerError::Away(std::io::Error::other("broker.url cannot be read").into());
        let mut uri: AMQPUri = self.url.expose_secret().parse().map_err(wrong)?;
        let seconds = u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX);
        uri.query.heartbeat.get_or_insert(seconds);
        Ok(uri)
    }

    fn properties(&self) -> ConnectionProperties {
        ConnectionProperties::default().with_connection_name(self.name.as_str().into())
    }
}

async fn within<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(BrokerError::Silent),
    }
}

/// Closes a channel as far as the broker still listens: it is gone either way.
async fn close(channel: &Channel) {
    let _ = within(channel.close(200, "done".into())).await;
}

/// Closes a channel over which messages were acknowledged.
///
/// To a quorum queue, RabbitMQ has some 32 acknowledgements of a channel on the way at a time; others it
/// keeps until these are stored, and forgets when the channel closes: their messages would be delivered
/// again. So a consumer that stops sends few, and waits.
async fn close_settled(channel: &Channel) {
    tokio::time::sleep(SETTLED).await;
    close(channel).await;
}
