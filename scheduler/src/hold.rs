//! Holding work while a server of ours is away.

use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::{Held, Metrics};

/// A stop was asked for while work was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Work that is tried again until it is done, or until a stop is asked for.
///
/// An outage is told once when it begins and once when it is over; the next
/// one is told again, and waited for as patiently as the first.
pub struct Hold {
    what: &'static str,
    metrics: Metrics,
    stop: CancellationToken,
    outage: Option<Backoff>,
    /// What is held, and by what, as the metrics show it.
    held: Option<Held>,
}

impl Hold {
    /// For work that is called `what` in the log.
    pub fn new(what: &'static str, metrics: &Metrics, stop: &CancellationToken) -> Self {
        Self { what, metrics: metrics.clone(), stop: stop.clone(), outage: None, held: None }
    }

    /// The work cannot be done because of `error`: returns when it is to be
    /// tried again, later each time.
    ///
    /// # Errors
    ///
    /// If a stop is asked for.
    pub async fn wait(&mut self, error: Outage) -> Result<(), Stopped> {
        // The new one before the old one goes: it is held all the time.
        self.held = Some(self.metrics.held(error.server(), error.why()));
        let backoff = self.outage.get_or_insert_with(|| {
            warn!(what = self.what, %error, "outage, holding {}", self.what);
            self.metrics.outage(error.server());
            Backoff::for_outage()
        });
        self.stop.run_until_cancelled(backoff.wait()).await.ok_or(Stopped)
    }

    /// Some of the work is done: if there was an outage, it is over.
    pub fn over(&mut self) {
        self.held = None;
        if self.outage.take().is_some() {
            info!(what = self.what, "outage over, going on with {}", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    fn outages(registry: &Registry) -> f64 {
        let families = registry.gather();
        let outages = families.iter().find(|family| family.name().ends_with("outages_total"));
        outages.map_or(0.0, |family| family.get_metric().iter().map(|of| of.get_counter().get_value()).sum())
    }

    #[tokio::test]
    async fn an_outage_is_told_once_and_the_next_one_is_told_again() {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let metrics = Metrics::register(&registry).unwrap();
        let mut hold = Hold::new("the test", &metrics, &stop);
        for told in [1.0, 1.0] {
            hold.wait(Outage::Panic).await.unwrap();
            assert_eq!(outages(&registry), told);
        }
        hold.over();
        hold.wait(Outage::Panic).await.unwrap();
        assert_eq!(outages(&registry), 2.0);
    }

    #[tokio::test]
    async fn what_is_held_is_shown_from_the_first_outage_to_its_end() {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let metrics = Metrics::register(&registry).unwrap();
        let held = || {
            let families = registry.gather();
            let held = families.iter().find(|family| family.name().ends_with("_held")).unwrap();
            held.get_metric().iter().map(|of| of.get_gauge().get_value()).sum::<f64>()
        };
        let mut hold = Hold::new("the test", &metrics, &stop);
        assert_eq!(held(), 0.0);
        hold.wait(Outage::Panic).await.unwrap();
        hold.wait(Outage::Panic).await.unwrap();
        assert_eq!(held(), 1.0);
        hold.over();
        assert_eq!(held(), 0.0);
        hold.wait(Outage::Panic).await.unwrap();
        drop(hold);
        assert_eq!(held(), 0.0, "given up");
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let metrics = Metrics::register(&registry).unwrap();
        stop.cancel();
        assert_eq!(Hold::new("the test", &metrics, &stop).wait(Outage::Panic).await, Err(Stopped));
    }
}
