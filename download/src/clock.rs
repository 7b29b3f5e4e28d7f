//! The time that a download may take.

use std::time::{Duration, Instant};

use super::error::{Cause, DownloadError, Limit};

/// Runs for a whole download, and stands still while that waits for something
/// of ours.
#[derive(Debug)]
pub struct Clock {
    total: Duration,
    started: Instant,
    stood: Duration,
    /// Until then it was for servers that are done with.
    lap: Duration,
}

impl Clock {
    /// All steps together may take `total`.
    pub fn start(total: Duration) -> Self {
        Self { total, started: Instant::now(), stood: Duration::ZERO, lap: Duration::ZERO }
    }

    /// How long the download took by now.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.stood)
    }

    /// Whether no server is done with yet.
    pub fn is_first_lap(&self) -> bool {
        self.lap.is_zero()
    }

    /// How much of that was for the server that is done now.
    pub fn lap(&mut self) -> Duration {
        let until = self.elapsed();
        until.saturating_sub(std::mem::replace(&mut self.lap, until))
    }

    /// Runs one step, for `limit` and for what is left of the whole at most.
    ///
    /// # Errors
    ///
    /// Those of the step; [`Cause::Timeout`] with `which`, or [`Limit::Total`].
    pub async fn within<T>(
        &self,
        limit: Duration,
        which: Limit,
        step: impl Future<Output = Result<T, DownloadError>>,
    ) -> Result<T, DownloadError> {
        let left = self.total.saturating_sub(self.elapsed());
        let (limit, which) = if left < limit { (left, Limit::Total) } else { (limit, which) };
        tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(Cause::Timeout(which).into()))
    }

    /// Stood still since `then`.
    pub fn stood_since(&mut self, then: Instant) {
        self.stood += then.elapsed();
    }

    /// Stands still while `wait` lasts.
    pub async fn stopped<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let end = wait.await;
        self.stood += since.elapsed();
        end
    }
}
