//! Messages that came back and are in a receiver's hands again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many there are, and since when it is so many. Clones share it.
#[derive(Clone, Debug)]
pub struct Returned(Arc<watch::Sender<(usize, Instant)>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct InHand(Returned);

impl Returned {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new((0, Instant::now()))))
    }

    /// One more, if this message is one.
    pub(super) fn take(&self, returns: u32) -> Option<InHand> {
        (returns > 0).then(|| {
            self.0.send_modify(|(count, since)| (*count, *since) = (*count + 1, Instant::now()));
            InHand(self.clone())
        })
    }

    /// Waits until there has been none for `period`: whoever dies then takes none of them with it,
    /// unless they arrive in that very moment.
    pub async fn none_for(&self, period: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            let (count, since) = *changes.borrow_and_update();
            let left = period.saturating_sub(since.elapsed());
            if count == 0 && left.is_zero() {
                return;
            }
            let changed = changes.changed();
            if count > 0 {
                let _ = changed.await;
            } else {
                let _ = tokio::time::timeout(left, changed).await;
            }
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.0.send_modify(|(count, since)| (*count, *since) = (*count - 1, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn whoever_waits_for_none_waits_for_the_last_one_and_a_period_more() {
        let returned = Returned::new();
        assert!(returned.take(0).is_none(), "it did not come back");
        let (first, second) = (returned.take(1), returned.take(2));
        let waiting = tokio::spawn({
            let returned = returned.clone();
            async move { returned.none_for(PERIOD).await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "one is left");

        let last = Instant::now();
        drop(second);
        waiting.await.unwrap();

        assert!(last.elapsed() >= PERIOD);
        returned.none_for(PERIOD).await;
    }
}
