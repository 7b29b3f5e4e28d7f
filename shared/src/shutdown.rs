//! Stopping: soft, then hard.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// A token that is cancelled by SIGTERM or SIGINT. A second signal ends the
/// process at once: whatever was in flight was not acknowledged and is
/// delivered again.
///
/// # Errors
///
/// If the signal handlers cannot be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let requested = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if requested.is_cancelled() {
                warn!("second signal, stopping at once");
                std::process::exit(130);
            }
            info!("stop requested, finishing what is in flight");
            requested.cancel();
        }
    });
    Ok(stop)
}

/// Waits for the tasks in `running`. Those still there after `grace` are told by `abandon`, and waited for however
/// long they then take: the caller says what they do, and bounds it.
pub async fn drain(running: TaskTracker, abandon: CancellationToken, grace: Duration) {
    running.close();
    if tokio::time::timeout(grace, running.wait()).await.is_err() {
        warn!(tasks = running.len(), "grace period over, abandoning what is in flight");
        abandon.cancel();
        running.wait().await;
    }
}
