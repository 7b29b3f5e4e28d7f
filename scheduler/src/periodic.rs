//! What is done again and again until the process stops.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tagfleet_shared::backoff::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::outage::Outage;

/// Takes a step every `period` until `stop`; a step that has begun is finished.
///
/// An outage is logged once, when it begins and when it ends; in between the
/// step is tried again with growing waits.
pub async fn every<F>(
    period: Duration,
    what: &'static str,
    metrics: &Metrics,
    stop: &CancellationToken,
    mut step: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), Outage>>,
{
    let mut outage: Option<Backoff> = None;
    loop {
        let result = AssertUnwindSafe(step()).catch_unwind().await.unwrap_or(Err(Outage::Panic));
        match result {
            Ok(()) => {
                if outage.take().is_some() {
                    info!(what, "outage over, {what} again");
                }
                tokio::select! { () = tokio::time::sleep(period) => {}, () = stop.cancelled() => return }
            }
            Err(error) => {
                let backoff = outage.get_or_insert_with(|| {
                    warn!(what, %error, "outage, holding {what}");
                    metrics.outage(error.server());
                    Backoff::for_outage()
                });
                tokio::select! { () = backoff.wait() => {}, () = stop.cancelled() => return }
            }
        }
    }
}
