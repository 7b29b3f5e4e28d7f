//! Publishing that waits through outages.

use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::broker::{Broker, Outgoing, Publisher, Topology};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::outage::Outage;

/// A stop was asked for while the broker was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

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

    /// The names of everything.
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
        let mut outage: Option<Backoff> = None;
        while let Err(error) = self.publisher.publish(messages).await {
            let backoff = outage.get_or_insert_with(|| {
                warn!(%error, "outage, holding {} messages", messages.len());
                self.metrics.outage(Outage::Broker(error).server());
                Backoff::for_outage()
            });
            tokio::select! {
                () = backoff.wait() => {}
                () = self.stop.cancelled() => return Err(Stopped),
            }
        }
        if outage.is_some() {
            info!("outage over, {} messages are confirmed", messages.len());
        }
        Ok(())
    }
}
