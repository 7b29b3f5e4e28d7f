//! Of those who want the same at the same time one does the work, and the others wait.

use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;

use moka::future::Cache;

use crate::outcome::{Known, Outcome, Stop};
use crate::source::Source;

/// Runs `work` on what is `at` a URL unless somebody else is at work on this `key`: see
/// [`KnownImages::once`](super::KnownImages::once).
pub(super) async fn once<
    K: Hash + Eq + Clone + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
>(
    cache: &Cache<K, Arc<Known>, S>,
    key: K,
    at: &Source,
    work: impl Future<Output = Result<Outcome, Stop>>,
) -> Result<Outcome, Stop> {
    let mut ours = None;
    let known = {
        let stopped = |stop| StoppedAt { at: at.clone(), stop };
        let mut work = pin!(async {
            let outcome = work.await.map_err(stopped)?;
            let known = outcome.known().cloned().ok_or_else(|| stopped(Stop::End(outcome.clone())))?;
            ours = Some(outcome);
            Ok::<_, StoppedAt>(known)
        });
        loop {
            match cache.try_get_with(key.clone(), work.as_mut()).await {
                Ok(known) => break known,
                Err(stopped) if stopped.at == *at => return Err(stopped.stop.clone()),
                // It was not ours, which has not begun.
                Err(_) => {}
            }
        }
    };
    Ok(ours.unwrap_or(Outcome::Cached(known)))
}

/// What kept somebody from what they looked for, and where they did.
struct StoppedAt {
    at: Source,
    stop: Stop,
}
