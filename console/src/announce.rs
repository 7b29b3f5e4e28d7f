//! Every fix is published as `tag.fixed`.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::broker::{Outgoing, Publisher, TAG_FIXED};
use tagfleet_shared::events::TagFixed;
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::state::Console;
use crate::store::outbox;

/// Fixes published in one transaction.
const AT_ONCE: i64 = 500;

/// Publishes fixes, together with the announcers of other consoles.
pub struct Announcer {
    pool: Pool,
    publisher: Arc<Publisher>,
    every: Duration,
    metrics: Metrics,
}

impl Announcer {
    /// The announcer of `console`.
    pub fn of(console: &Console) -> Self {
        Self {
            pool: console.pool.clone(),
            publisher: console.publisher.clone(),
            every: console.config.announce.every,
            metrics: console.metrics.clone(),
        }
    }

    /// Announces until `stop`. While a server is away it is tried again with growing waits.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage: Option<Backoff> = None;
        while !stop.is_cancelled() {
            match self.announce().await {
                Ok(published) => {
                    if outage.take().is_some() {
                        info!("outage over, going on with announcing fixes");
                    }
                    if published < AT_ONCE as usize {
                        stop.run_until_cancelled(tokio::time::sleep(self.every)).await;
                    }
                }
                Err(error) => {
                    let backoff = outage.get_or_insert_with(|| {
                        warn!(%error, "outage, holding the announcement of fixes");
                        Backoff::for_outage()
                    });
                    stop.run_until_cancelled(backoff.wait()).await;
                }
            }
        }
    }

    /// Publishes before it commits: a console that dies in between leaves fixes that are
    /// published again, with the same ids, instead of some that never are.
    async fn announce(&self) -> Result<usize, Outage> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let fixes = outbox::take(&transaction, AT_ONCE).await?;
        if fixes.is_empty() {
            return Ok(0);
        }
        let events: Vec<_> = fixes.iter().map(|fix| self.event(fix)).collect();
        self.publisher.publish(&events).await?;
        transaction.commit().await?;
        self.metrics.fixes_published(fixes.len());
        Ok(fixes.len())
    }

    fn event(&self, fix: &TagFixed) -> Outgoing {
        let body = serde_json::to_vec(fix).expect("a fix is text and numbers");
        Outgoing::event(self.publisher.topology(), TAG_FIXED, fix.fix_id.to_string(), body)
    }
}
