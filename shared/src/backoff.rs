//! Waiting longer after each failure.

use std::time::Duration;

use uuid::Uuid;

/// Delays that double from `first` up to `longest`, with jitter, so that a
/// fleet does not return to a server all at once.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits for `first`, then for twice as long each time, up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The usual one for a server of ours that is away: a tenth of a second up to three seconds.
    pub fn for_outage() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(3))
    }

    /// Waits for half to the whole of the delay, and doubles the next one.
    pub async fn wait(&mut self) {
        // Half to whole of the delay; a v4 UUID is the randomness at hand.
        let (random, _) = Uuid::new_v4().as_u64_pair();
        let share = 0.5 + 0.5 * (random >> 11) as f64 / (1u64 << 53) as f64;
        tokio::time::sleep(self.next.mul_f64(share)).await;
        self.next = (self.next * 2).min(self.longest);
    }
}
