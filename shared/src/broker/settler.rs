//! Telling the broker what is settled, in few words.

use std::future::pending;
use std::time::Duration;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ack::AckTracker;
use super::received::Settled;

/// The longest that an acknowledgement is kept back for the sake of one that does for many. Where half of the
/// prefetch is held, what is left is never enough to be told of for its number, and the broker would send no more.
const KEPT_BACK: Duration = Duration::from_millis(500);

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
        let (mut settled, mut kept_since) = (Vec::new(), None);
        loop {
            let overdue = async {
                match (stop, kept_since) {
                    (Some(_), Some(since)) => sleep_until(since + KEPT_BACK).await,
                    _ => pending().await,
                }
            };
            let stopped = async {
                match stop {
                    Some(stop) => stop.cancelled().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stopped => return Ok(()),
                () = overdue => {
                    kept_since = None;
                    let kept = self.tracker.tell().into_iter().map(|tag| (tag, false));
                    send(&self.channel, kept).await?;
                    continue;
                }
                more = self.settlements.recv_many(&mut settled, 4096) => if more == 0 {
                    return Ok(());
                }
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
            kept_since = self.tracker.keeps().then(|| kept_since.unwrap_or_else(Instant::now));
        }
    }
}

/// Sends acknowledgements, in order, without waiting for each to be written.
async fn send(channel: &Channel, acks: impl Iterator<Item = (u64, bool)>) -> lapin::Result<()> {
    try_join_all(acks.map(|(tag, multiple)| channel.basic_ack(tag, BasicAckOptions { multiple })))
        .await
        .map(drop)
}
