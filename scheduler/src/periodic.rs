//! What is done again and again until the process stops.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;

use crate::hold::{Hold, Stopped};
use crate::metrics::Metrics;

/// Takes a step every `period` until `stop`; a step that has begun is finished.
/// During an outage the step is tried again with growing waits.
pub async fn every<F>(
    period: Duration,
    what: &'static str,
    metrics: &Metrics,
    stop: &CancellationToken,
    mut step: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), Outage>>,
{
    let mut hold = Hold::new(what, metrics, stop);
    loop {
        let result = AssertUnwindSafe(step()).catch_unwind().await.unwrap_or(Err(Outage::Panic));
        let waited = match result {
            Ok(()) => {
                hold.over();
                stop.run_until_cancelled(tokio::time::sleep(period)).await.ok_or(Stopped)
            }
            Err(error) => hold.wait(error).await,
        };
        if waited.is_err() {
            return;
        }
    }
}
