//! What the provider says of itself: asked once for all who wait.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::{IssuerUrl, ProviderMetadataWithLogout};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Http;
use crate::web::{Kind, Problem};

/// Longest wait for what it says, and for its keys: two requests. Below `http.timeout` as it is shipped, so that people
/// are told who it is that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is not asked again when it did not answer: whoever comes meanwhile is told at once.
const FORBEARANCE: Duration = Duration::from_secs(5);

/// What was heard of the provider last.
enum Heard {
    Metadata(Box<ProviderMetadataWithLogout>),
    Nothing { since: Instant },
}

/// What the provider says of itself, once it was asked.
pub(super) struct Discovery {
    issuer: String,
    http: Http,
    /// Held by whoever asks: all others wait for that answer, and not for one of their own.
    heard: Arc<Mutex<Option<Heard>>>,
}

impl Discovery {
    /// Nobody has asked it yet.
    pub(super) fn new(issuer: String, http: Http) -> Self {
        Self { issuer, http, heard: Arc::default() }
    }

    /// What it says of itself.
    ///
    /// # Errors
    ///
    /// If it does not answer, or did not a moment ago.
    pub(super) async fn metadata(&self) -> Result<ProviderMetadataWithLogout, Problem> {
        let mut heard = self.heard.clone().lock_owned().await;
        match &*heard {
            Some(Heard::Metadata(metadata)) => return Ok((**metadata).clone()),
            Some(Heard::Nothing { since }) if since.elapsed() < FORBEARANCE => return Err(away()),
            _ => {}
        }
        let (issuer, http) = (self.issuer.clone(), self.http.clone());
        // On its own, so that who gives up takes nobody's answer along.
        let asking = tokio::spawn(async move {
            let answer = ask(issuer, &http).await;
            *heard = Some(match &answer {
                Some(metadata) => Heard::Metadata(Box::new(metadata.clone())),
                None => Heard::Nothing { since: Instant::now() },
            });
            answer
        });
        asking.await.ok().flatten().ok_or_else(away)
    }

    /// Asks it anew the next time.
    pub(super) async fn forget(&self) {
        *self.heard.lock().await = None;
    }
}

async fn ask(issuer: String, http: &Http) -> Option<ProviderMetadataWithLogout> {
    let asking = async {
        let issuer = IssuerUrl::new(issuer).map_err(|error| error.to_string())?;
        ProviderMetadataWithLogout::discover_async(issuer, http).await.map_err(|error| error.to_string())
    };
    let answer = timeout(PATIENCE, asking).await.unwrap_or_else(|elapsed| Err(elapsed.to_string()));
    answer.inspect_err(|error| warn!(error, "the login provider does not answer")).ok()
}

fn away() -> Problem {
    Problem::new(Kind::Unavailable, "the login provider does not answer").after(FORBEARANCE.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    use super::*;

    /// A provider that takes what comes and says nothing, until it is told to hang up.
    struct Mute {
        discovery: Discovery,
        asked: Arc<AtomicUsize>,
        hang_up: Arc<Notify>,
    }

    impl Mute {
        async fn start() -> Self {
            tagfleet_shared::tls::install();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let issuer = format!("http://{}", listener.local_addr().unwrap());
            let (asked, hang_up) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
            let (counted, told) = (asked.clone(), hang_up.clone());
            tokio::spawn(async move {
                while let Ok((_connection, _)) = listener.accept().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    told.notified().await;
                }
            });
            let discovery = Discovery::new(issuer, Http(reqwest::Client::new()));
            Self { discovery, asked, hang_up }
        }

        async fn ask(&self) -> (Option<Kind>, usize) {
            let answer = self.discovery.metadata().await;
            (answer.err().map(|problem| problem.kind()), self.asked.load(Ordering::SeqCst))
        }
    }

    const AWAY: Option<Kind> = Some(Kind::Unavailable);

    #[tokio::test]
    async fn a_provider_that_hangs_is_asked_once_for_all_who_wait_and_not_again_for_a_moment() {
        let mute = Mute::start().await;
        mute.hang_up.notify_one();
        assert_eq!(join_all((0..3).map(|_| mute.ask())).await, [(AWAY, 1); 3]);
        assert_eq!(mute.ask().await, (AWAY, 1), "it did not answer a moment ago");

        let since = Instant::now().checked_sub(FORBEARANCE).unwrap();
        *mute.discovery.heard.lock().await = Some(Heard::Nothing { since });
        mute.hang_up.notify_one();
        assert_eq!(mute.ask().await, (AWAY, 2));
    }

    #[tokio::test]
    async fn who_gives_up_takes_nobodys_answer_along() {
        let mute = Mute::start().await;
        assert!(timeout(Duration::from_millis(10), mute.ask()).await.is_err());
        mute.hang_up.notify_one();
        assert_eq!(mute.ask().await, (AWAY, 1));
    }
}
