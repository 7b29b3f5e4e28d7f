//! Consuming that survives the broker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::ack::AckTracker;
use super::headers::{count, number, since, texts, until};
use super::publisher::{ATTEMPT, NOT_BEFORE, PUBLISHED, PUT_OFF, REDRIVEN, RETURNS, trust};
use super::received::{Received, Settled};
use super::returned::Returned;
use super::settler::Settler;
use super::topology::short;
use super::{BrokerError, Link, close_settled, within};
use crate::backoff::Backoff;

/// The longest that a stopped consumer waits for messages to be settled: longer
/// than any grace period, so that it ends a hang and nothing else.
const SETTLING: Duration = Duration::from_secs(300);

/// A consumer that is stopped has received what the broker had sent when nothing came for so long.
const QUIET: Duration = Duration::from_millis(200);

/// The longest that a consumer that is stopped goes on to take what comes.
const LAST: Duration = Duration::from_secs(1);

/// A supervised consumer of one queue. Whoever drops it, in a panic perhaps, consumes no more: what it held
/// goes back to the queue.
pub struct Consumer {
    inbox: Arc<Inbox>,
    receiving: Arc<AtomicBool>,
    stop: DropGuard,
    task: JoinHandle<()>,
    left: oneshot::Receiver<Vec<Received>>,
}

/// What has arrived and nobody has taken: as much as the prefetch at most,
/// because it is emptied when the channel is lost. The broker delivers that again.
#[derive(Default)]
struct Inbox {
    messages: Mutex<VecDeque<Received>>,
    arrived: Notify,
}

impl Inbox {
    fn messages(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, received: Received) {
        self.messages().push_back(received);
        self.arrived.notify_one();
    }
}

/// The end of a consumer: waits for the last acknowledgements.
#[must_use]
pub struct Closing {
    task: JoinHandle<()>,
    left: Option<oneshot::Receiver<Vec<Received>>>,
}

impl Closing {
    /// What has arrived and nobody has taken. Its receiver may settle it as long as
    /// the consumer is not finished. Nothing where the broker is away. Cancel-safe.
    pub async fn left(&mut self) -> Vec<Received> {
        match &mut self.left {
            Some(coming) => {
                let left = coming.await.unwrap_or_default();
                self.left = None;
                left
            }
            None => Vec::new(),
        }
    }

    /// Returns when every [`Received`] of the consumer was settled or dropped,
    /// the broker was told, and the channel is closed. What was dropped goes
    /// back to the queue.
    pub async fn finished(mut self) {
        drop(self.left.take());
        let _ = self.task.await;
    }
}

impl Consumer {
    pub(super) fn start(link: Arc<Link>, queue: String, prefetch: u16, returned: Returned) -> Self {
        let inbox = Arc::<Inbox>::default();
        let receiving = Arc::new(AtomicBool::new(false));
        let stop = CancellationToken::new();
        let (leave, left) = oneshot::channel();
        let supervisor = Supervisor {
            link,
            queue: queue.into(),
            prefetch,
            inbox: inbox.clone(),
            receiving: receiving.clone(),
            stop: stop.clone(),
            returned,
        };
        Self { inbox, receiving, stop: stop.drop_guard(), task: tokio::spawn(supervisor.run(leave)), left }
    }

    /// The next message; waits through outages. Cancel-safe.
    pub async fn next(&mut self) -> Received {
        loop {
            if let Some(received) = self.try_next() {
                return received;
            }
            self.inbox.arrived.notified().await;
        }
    }

    /// A message that has already arrived.
    pub fn try_next(&mut self) -> Option<Received> {
        self.inbox.messages().pop_front()
    }

    /// Whether the broker has this consumer, now.
    pub fn is_receiving(&self) -> Arc<AtomicBool> {
        self.receiving.clone()
    }

    /// Stops taking messages. Those not yet taken out are [left](Closing::left), or
    /// go back to the queue.
    pub fn close(self) -> Closing {
        self.stop.disarm().cancel();
        Closing { task: self.task, left: Some(self.left) }
    }
}

struct Supervisor {
    link: Arc<Link>,
    queue: Arc<str>,
    prefetch: u16,
    inbox: Arc<Inbox>,
    receiving: Arc<AtomicBool>,
    stop: CancellationToken,
    returned: Returned,
}

impl Supervisor {
    /// Consumes until it is stopped; opens everything again after a loss.
    async fn run(self, leave: oneshot::Sender<Vec<Received>>) {
        let (mut backoff, mut leave) = (Backoff::for_outage(), Some(leave));
        while !self.stop.is_cancelled() {
            match self.consume(&mut leave).await {
                Ok(()) => break,
                Err(error) => {
                    if self.receiving.swap(false, Ordering::Relaxed) {
                        backoff = Backoff::for_outage();
                    } else {
                        // It did not even begin: perhaps the queue is gone. The
                        // connection stays, for other queues are consumed over it.
                        self.link.declare().await;
                    }
                    warn!(queue = %self.queue, %error, "consumer lost, opening it again");
                    let stopped = self.stop.cancelled();
                    tokio::select! { () = backoff.wait() => {}, () = stopped => break }
                }
            }
        }
        self.receiving.store(false, Ordering::Relaxed);
    }

    /// One life of the consumer. `Ok` when it was stopped.
    async fn consume(&self, leave: &mut Option<oneshot::Sender<Vec<Received>>>) -> Result<(), BrokerError> {
        let channel = tokio::select! {
            channel = self.link.channel() => channel?,
            () = self.stop.cancelled() => return Ok(()),
        };
        within(channel.basic_qos(self.prefetch, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let queue = short(&self.queue);
        let mut consumer =
            within(channel.basic_consume(queue, "".into(), options, FieldTable::default())).await?;
        self.receiving.store(true, Ordering::Relaxed);
        info!(queue = %self.queue, prefetch = self.prefetch, "consuming {}", self.queue);

        let (settled, settlements) = mpsc::unbounded_channel();
        let (told, cancelled) = (oneshot::channel(), CancellationToken::new());
        let settler = Settler {
            tracker: AckTracker::new(usize::from(self.prefetch) / 2),
            channel: channel.clone(),
            settlements,
            told: Some(told.0),
            cancelled: cancelled.clone(),
        };
        let settler = tokio::spawn(settler.run(self.stop.clone()));
        let mut received = 0;
        if let Err(lost) = self.pass_on(&mut consumer, &settled, &mut received).await {
            // The broker delivers again what nobody has taken.
            self.inbox.messages().clear();
            settler.abort();
            return Err(lost);
        }
        self.receiving.store(false, Ordering::Relaxed);
        let most = told.1.await.unwrap_or_default() + u64::from(self.prefetch);
        self.until_nothing_comes(&mut consumer, &settled, most.saturating_sub(received)).await;
        let done = within(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await;
        if done.is_ok() {
            // Nothing comes after this.
            self.until_nothing_comes(&mut consumer, &settled, u64::MAX).await;
        }
        cancelled.cancel();
        let left: Vec<_> = std::mem::take(&mut *self.inbox.messages()).into();
        if let Some(leave) = leave.take() {
            // Err: nobody wants it. Then it goes back to the queue here.
            let _ = leave.send(left);
        }
        drop((settled, consumer));
        // Jobs that are still held by then are delivered again.
        let _ = tokio::time::timeout(SETTLING, settler).await;
        close_settled(&channel).await;
        Ok(())
    }

    /// Passes on what the broker delivers, and counts it. `Ok` when it was stopped.
    async fn pass_on(
        &self,
        consumer: &mut lapin::Consumer,
        settled: &mpsc::UnboundedSender<Settled>,
        received: &mut u64,
    ) -> Result<(), BrokerError> {
        while let Some(next) = self.stop.run_until_cancelled(consumer.next()).await {
            // None: the queue was deleted, or the channel closed.
            let refused = || BrokerError::Refused(format!("the consumer of {}", self.queue));
            self.inbox.put(self.receive(next.ok_or_else(refused)??, settled));
            *received += 1;
        }
        Ok(())
    }

    /// Passes on what the broker still delivers: `most` at most.
    ///
    /// What a quorum queue has sent to a consumer that is cancelled meanwhile comes back, and is counted
    /// as if a worker had died of it. While nothing is acknowledged, no more can be on its way than the
    /// prefetch allows; if the queue has not so many, all of them have come when none has for a while. Where
    /// new ones come all the time this ends after [`LAST`].
    async fn until_nothing_comes(
        &self,
        consumer: &mut lapin::Consumer,
        settled: &mpsc::UnboundedSender<Settled>,
        most: u64,
    ) {
        let end = Instant::now() + LAST;
        for _ in 0..most {
            match tokio::time::timeout_at(end.min(Instant::now() + QUIET), consumer.next()).await {
                Ok(Some(Ok(delivery))) => self.inbox.put(self.receive(delivery, settled)),
                _ => return,
            }
        }
    }

    fn receive(
        &self,
        delivery: lapin::message::Delivery,
        settled: &mpsc::UnboundedSender<Settled>,
    ) -> Received {
        let published = number(&delivery.properties, PUBLISHED);
        let put_off_at = number(&delivery.properties, PUT_OFF);
        let not_before = number(&delivery.properties, NOT_BEFORE);
        let returns = count(&delivery.properties, RETURNS) + count(&delivery.properties, "x-delivery-count");
        let headers = texts(&delivery.properties);
        Received {
            routing_key: delivery.routing_key.as_str().to_owned(),
            queue: self.queue.clone(),
            returns,
            in_hand: self.returned.take(returns),
            redriven: count(&delivery.properties, REDRIVEN),
            trust: trust(&headers),
            attempt: count(&delivery.properties, ATTEMPT),
            waited: published.map(since),
            published,
            put_off: put_off_at.map(since),
            put_off_at,
            early: not_before.and_then(until),
            not_before,
            reply_to: delivery.properties.reply_to().as_ref().map(|asker| asker.as_str().to_owned()),
            headers,
            tag: delivery.delivery_tag,
            body: delivery.data,
            settled: settled.clone(),
        }
    }
}
