//! Looks host names up, and hands out only addresses that may be connected to.

mod names;
mod questions;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

pub use self::names::Names;
use super::address::{AddressPolicy, ForbiddenAddress};

/// Names behind the address policy.
///
/// The check is here, where the connection is made, and not on the URL: a name
/// that pointed to a harmless address a moment ago may point elsewhere now. It
/// applies to cached answers too, however old.
#[derive(Clone)]
pub struct Resolver {
    policy: Arc<AddressPolicy>,
    names: Names,
}

impl Resolver {
    /// A resolver that hands out what `policy` lets pass of what `names` know.
    pub fn new(policy: Arc<AddressPolicy>, names: &Names) -> Self {
        Self { policy, names: names.clone() }
    }

    /// What decides which addresses are handed out.
    pub fn policy(&self) -> Arc<AddressPolicy> {
        self.policy.clone()
    }

    /// The addresses of `name` that may be connected to.
    async fn lookup(self, name: String) -> Result<Vec<IpAddr>, LookupError> {
        let answer = self.names.addresses(&name).await.map_err(LookupError::System)?;
        permitted(&self.policy, &answer)
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
    use std::time::Duration;

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

    /// Fresh ones, and old ones that are used while nobody answers.
    #[tokio::test]
    async fn an_answer_that_is_known_is_judged_again_whatever_its_age() {
        let minute = Duration::from_secs(60);
        for (time_to_live, questions) in [(minute, 1), (Duration::ZERO, 2)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let ask = {
                let asked = asked.clone();
                move |_| {
                    let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
                    async move {
                        if !first {
                            std::future::pending::<()>().await;
                        }
                        Ok([ip("10.0.0.1")].into())
                    }
                }
            };
            let names = Names::new(ask, time_to_live, minute);
            let lookup = |policy: AddressPolicy| {
                Resolver::new(Arc::new(policy), &names).lookup("images.test".to_owned())
            };

            assert_eq!(lookup(AddressPolicy::trusting()).await.unwrap(), [ip("10.0.0.1")]);
            let refused = lookup(AddressPolicy::default()).await;

            assert!(matches!(refused, Err(LookupError::Forbidden(_))));
            assert_eq!(asked.load(Ordering::Relaxed), questions);
        }
    }
}
