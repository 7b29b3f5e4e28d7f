//! Publishing that waits through outages.

use tagfleet_shared::broker::{Broker, Outgoing, Publisher, Received, Topology};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::halt::Refusal;
use crate::hold::{Hold, Stopped};
use crate::metrics::Metrics;

/// A publisher that does not give up before `stop`.
pub struct PatientPublisher {
    publisher: Publisher,
    metrics: Metrics,
    stop: CancellationToken,
}

impl PatientPublisher {
    /// One with a channel of its own.
    pub fn new(broker: &Broker, metrics: Metrics, stop: CancellationToken) -> Self {
        Self { publisher: broker.publisher(), metrics, stop }
    }

    /// The names of exchanges and queues.
    pub fn topology(&self) -> &Topology {
        self.publisher.topology()
    }

    /// Returns when the broker has confirmed all of `messages`. While it is
    /// away they are held and then published again, all of them: one that is
    /// there twice is harmless.
    ///
    /// # Errors
    ///
    /// If a stop is asked for during an outage.
    pub async fn publish(&self, messages: &[Outgoing]) -> Result<(), Stopped> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut hold = Hold::new("messages for the broker", &self.metrics, &self.stop);
        while let Err(error) = self.publisher.publish(messages).await {
            hold.wait(error.into()).await?;
        }
        hold.over();
        Ok(())
    }

    /// Sends a copy of an event to where a person looks.
    ///
    /// # Errors
    ///
    /// If a stop is asked for during an outage.
    pub async fn dead_letter(&self, received: &Received, refusal: &Refusal) -> Result<(), Stopped> {
        let Refusal { reason, problem } = refusal;
        error!(reason, %problem, "dead-lettering the event: {problem}");
        self.metrics.dead_lettered(reason);
        let letter = Outgoing::dead_letter(self.topology(), received, reason, problem);
        self.publish(&[letter]).await
    }
}
