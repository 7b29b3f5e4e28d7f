//! Telling the broker what is settled, in few words.

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ack::AckTracker;
use super::received::Settled;

/// Tells the broker what is settled.
pub(super) struct Settler {
    pub tracker: AckTracker,
    pub channel: Channel,
    pub settlements: mpsc::UnboundedReceiver<Settled>,
    /// Of how many the broker was told before the stop.
    pub told: Option<oneshot::Sender<u64>>,
    /// The consumer is cancelled.
    pub cancelled: CancellationToken,
}

impl Settler {
    /// Until everything is settled; each time what has gathered while the last acknowledgement was
    /// written.
    ///
    /// From a stop until the consumer is cancelled it tells nothing, since more would be delivered; after
    /// that it tells of many in one acknowledgement: see `close_settled`.
    pub async fn run(mut self, stop: CancellationToken) {
        // A channel that is gone delivers again what was not acknowledged.
        if let Ok(()) = self.tell(Some(&stop)).await {
            let _ = self.told.take().map(|told| told.send(self.tracker.told()));
            self.cancelled.cancelled().await;
            self.tracker.keep_all();
            if let Ok(()) = self.tell(None).await {
                let _ = send(&self.channel, self.tracker.finish().into_iter().map(|tag| (tag, false))).await;
            }
        }
    }

    /// Tells of what is settled until `stop`; without one, until everything is.
    async fn tell(&mut self, stop: Option<&CancellationToken>) -> lapin::Result<()> {
        let mut settled = Vec::new();
        loop {
            let more = self.settlements.recv_many(&mut settled, 4096);
            let more = match stop {
                Some(stop) => stop.run_until_cancelled(more).await,
                None => Some(more.await),
            };
            if more.is_none_or(|more| more == 0) {
                return Ok(());
            }
            let (tags, in_hand): (Vec<_>, Vec<_>) =
                settled.drain(..).map(|settled| (settled.tag, settled.in_hand)).unzip();
            let mut acks = self.tracker.settle(tags);
            if stop.is_some() && in_hand.iter().any(Option::is_some) {
                acks.single.extend(self.tracker.tell());
            }
            let multiple = acks.up_to.map(|tag| (tag, true));
            let single = acks.single.into_iter().map(|tag| (tag, false));
            send(&self.channel, single.chain(multiple)).await?;
        }
    }
}

/// Sends acknowledgements, in order, without waiting for each to be written.
async fn send(channel: &Channel, acks: impl Iterator<Item = (u64, bool)>) -> lapin::Result<()> {
    try_join_all(acks.map(|(tag, multiple)| channel.basic_ack(tag, BasicAckOptions { multiple })))
        .await
        .map(drop)
}
