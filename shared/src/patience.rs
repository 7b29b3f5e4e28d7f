//! Waiting at the start for a server that is not there yet.

use std::time::{Duration, Instant};

use anyhow::Context;
use tracing::warn;

use crate::backoff::Backoff;

/// A server that is away for longer than this at the start is taken for a
/// mistake in the configuration.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries to open `what` until it is there, for a while.
///
/// # Errors
///
/// The last error, when it stays away.
pub async fn patiently<T, E, F>(what: &str, mut open: impl FnMut() -> F) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    let since = Instant::now();
    let mut backoff = Backoff::for_outage();
    loop {
        match open().await {
            Ok(opened) => return Ok(opened),
            Err(error) if since.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("{what} is away"));
            }
            Err(error) => {
                warn!(%error, "waiting for {what}");
                backoff.wait().await;
            }
        }
    }
}
