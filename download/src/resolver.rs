//! Looks host names up, and hands out only addresses that may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use moka::future::Cache;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{AddressPolicy, ForbiddenAddress};

/// How long an answer is used again. Short, since the system's resolver does
/// not say how long it is valid.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How long nobody asks again after there was no answer: a scrape of a host whose
/// name is gone asks for each of its pictures.
const TIME_WITHOUT: Duration = Duration::from_secs(5);

/// Names held at once. Images of one advertiser come from few hosts.
const MAX_NAMES: u64 = 4_096;

/// The system's resolver behind a small cache and the address policy.
///
/// The check is here, where the connection is made, and not on the URL: a name
/// that pointed to a harmless address a moment ago may point elsewhere now. It
/// applies to cached answers too.
#[derive(Clone)]
pub struct Resolver {
    policy: Arc<AddressPolicy>,
    names: Names,
    answers: Cache<String, Answer>,
    failures: Cache<String, Arc<io::Error>>,
}

/// All addresses of a name.
type Answer = Arc<[IpAddr]>;

/// Who knows the addresses of names.
#[derive(Clone)]
pub struct Names {
    ask: Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Answer>> + Send + Sync>,
    time_to_live: Duration,
}

impl Names {
    /// Asks the operating system.
    pub fn system() -> Self {
        Self { ask: Arc::new(|name| Box::pin(ask_system(name))), time_to_live: TIME_TO_LIVE }
    }

    /// Asks a function, anew every time. For tests.
    #[cfg(test)]
    pub fn from_fn(answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let ask = move |name: String| -> BoxFuture<'static, _> {
            Box::pin(std::future::ready(Ok(answer(&name).into())))
        };
        Self { ask: Arc::new(ask), time_to_live: Duration::ZERO }
    }
}

impl Resolver {
    /// A resolver that hands out what `policy` lets pass of what `names` know.
    pub fn new(policy: Arc<AddressPolicy>, names: &Names) -> Self {
        let answers = Cache::builder().max_capacity(MAX_NAMES).time_to_live(names.time_to_live).build();
        let failures = Cache::builder().max_capacity(MAX_NAMES).time_to_live(TIME_WITHOUT).build();
        Self { policy, names: names.clone(), answers, failures }
    }

    /// What decides which addresses are handed out.
    pub fn policy(&self) -> Arc<AddressPolicy> {
        self.policy.clone()
    }

    /// The addresses of `name` that may be connected to.
    async fn lookup(self, name: String) -> Result<Vec<IpAddr>, LookupError> {
        let answer = match self.answers.get(&name).await {
            Some(answer) => answer,
            None => self.ask(name.clone(), (self.names.ask)(name)).await?,
        };
        permitted(&self.policy, &answer)
    }

    /// Asks `question`, once for all who ask for the same name at a time.
    ///
    /// The question has its own task and outlives a caller who gives up. Each
    /// one blocks a thread until name servers answer, so asking anew while the
    /// last question is still out would use up all threads while they do not.
    async fn ask(
        &self,
        name: String,
        question: impl Future<Output = io::Result<Answer>> + Send + 'static,
    ) -> Result<Answer, LookupError> {
        if let Some(failure) = self.failures.get(&name).await {
            return Err(LookupError::System(failure));
        }
        let Self { answers, failures, .. } = self.clone();
        let question = async move {
            let answer = answers.try_get_with_by_ref(&name, question).await;
            if let Err(failure) = &answer {
                failures.insert(name, failure.clone()).await;
            }
            answer
        };
        match tokio::spawn(question).await {
            Ok(answer) => answer.map_err(LookupError::System),
            Err(stopped) => Err(LookupError::System(Arc::new(stopped.into()))),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.clone().lookup(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = lookup.await?;
            // The client puts the URL's port in the place of 0.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

/// Why a name brought no address.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("the system's resolver gave no answer")]
    System(#[source] Arc<io::Error>),

    #[error("none of its addresses may be connected to")]
    Forbidden(#[from] ForbiddenAddress),
}

async fn ask_system(name: String) -> io::Result<Answer> {
    let sockets = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(sockets.map(|socket| socket.ip()).collect())
}

/// Drops the forbidden addresses. If nothing is left, the first says why.
fn permitted(policy: &AddressPolicy, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, LookupError> {
    let mut permitted = Vec::with_capacity(addresses.len());
    let mut first_refusal = None;
    for &address in addresses {
        match policy.check(address) {
            Ok(()) => permitted.push(address),
            Err(forbidden) => _ = first_refusal.get_or_insert(forbidden),
        }
    }
    match first_refusal {
        Some(forbidden) if permitted.is_empty() => Err(forbidden.into()),
        _ => Ok(permitted),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn forbidden_addresses_are_dropped_and_the_rest_is_used() {
        let policy = AddressPolicy::default();

        let left = permitted(&policy, &[ip("10.0.0.1"), ip("8.8.8.8"), ip("::1")]).unwrap();

        assert_eq!(left, [ip("8.8.8.8")]);
    }

    #[test]
    fn the_first_forbidden_address_is_named_if_none_is_left() {
        let policy = AddressPolicy::default();

        let error = permitted(&policy, &[ip("10.0.0.1"), ip("::1")]).unwrap_err();

        assert!(matches!(error, LookupError::Forbidden(first) if first.address == ip("10.0.0.1")));
    }

    /// Nothing can resolve this name; the answer can only be the cached one.
    #[tokio::test]
    async fn a_cached_answer_is_used_and_checked_again() {
        let resolver = Resolver::new(Arc::new(AddressPolicy::default()), &Names::system());
        let name = || "images.invalid".to_owned();

        resolver.answers.insert(name(), [ip("8.8.8.8")].into()).await;
        assert_eq!(resolver.clone().lookup(name()).await.unwrap(), [ip("8.8.8.8")]);

        resolver.answers.insert(name(), [ip("10.0.0.1")].into()).await;
        assert!(matches!(resolver.lookup(name()).await, Err(LookupError::Forbidden(_))));
    }

    #[tokio::test]
    async fn an_answer_of_the_system_is_cached() {
        let resolver = Resolver::new(Arc::new(AddressPolicy::trusting()), &Names::system());

        resolver.clone().lookup("localhost".into()).await.unwrap();

        assert!(resolver.answers.get("localhost").await.unwrap().contains(&ip("127.0.0.1")));
    }

    /// The first caller goes before the answer comes, and still brings it for
    /// the second, whose own question is never asked.
    #[tokio::test]
    async fn a_name_is_asked_for_once_even_if_the_caller_gives_up() {
        let resolver = Resolver::new(Arc::new(AddressPolicy::default()), &Names::system());
        let (started, has_started) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let first = {
            let resolver = resolver.clone();
            tokio::spawn(async move {
                let question = async {
                    started.send(()).unwrap();
                    released.await.unwrap();
                    Ok([ip("8.8.8.8")].into())
                };
                resolver.ask("images.test".into(), question).await
            })
        };
        has_started.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());

        let second = resolver.ask("images.test".into(), async { panic!("asked twice") });
        let (answer, ()) = tokio::join!(second, async { release.send(()).unwrap() });

        assert_eq!(*answer.unwrap(), [ip("8.8.8.8")]);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_moment_only() {
        let resolver = Resolver::new(Arc::new(AddressPolicy::default()), &Names::system());
        let name = || "images.test".to_owned();
        let failure = async { Err(io::Error::other("no name server answers")) };
        resolver.ask(name(), failure).await.unwrap_err();

        resolver.ask(name(), async { panic!("asked twice") }).await.unwrap_err();

        // When the moment is over.
        resolver.failures.invalidate(&name()).await;
        let answer = resolver.ask(name(), async { Ok([ip("8.8.8.8")].into()) }).await;
        assert_eq!(*answer.unwrap(), [ip("8.8.8.8")]);
    }

    /// At the same time and one after another; each is checked by the policy.
    #[tokio::test]
    async fn a_thousand_pictures_of_one_host_ask_for_its_name_once() {
        let resolver = Resolver::new(Arc::new(AddressPolicy::default()), &Names::system());
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let asked = asked.clone();
            resolver.ask("images.test".into(), async move {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok([ip("8.8.8.8")].into())
            })
        };

        let together = join_all((0..500).map(|_| ask())).await;
        for answer in together.into_iter().chain(join_all((0..500).map(|_| ask())).await) {
            assert_eq!(*answer.unwrap(), [ip("8.8.8.8")]);
        }
        resolver.clone().lookup("images.test".into()).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
