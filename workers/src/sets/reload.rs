//! Another model set in a running worker.

use std::sync::Arc;

use anyhow::Context;
use deadpool_postgres::Pool;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::{SetAtWork, SetLoader, Sets, register};
use crate::lookup::Lookup;
use crate::metrics::Metrics;

/// Replaces the set that answers by what is in its folder now.
pub struct Reloader {
    loader: Arc<SetLoader>,
    pool: Pool,
    sets: Arc<Sets>,
    metrics: Metrics,
    /// Held by the one reload that is under way.
    alone: Mutex<()>,
}

impl Reloader {
    /// Puts what `loader` finds into `sets`.
    pub fn new(loader: Arc<SetLoader>, pool: Pool, sets: Arc<Sets>, metrics: Metrics) -> Self {
        Self { loader, pool, sets, metrics, alone: Mutex::default() }
    }

    /// Loads the folder anew beside the set that answers, tests it, and switches.
    /// Jobs in flight end with the set that they began with.
    ///
    /// # Errors
    ///
    /// Why the set was refused, which is in the log as well: the one that
    /// answers goes on.
    pub async fn reload(&self) -> anyhow::Result<String> {
        let _alone = self.alone.lock().await;
        match self.switch().await {
            Ok(set) => {
                let new = format!("the model set {} ({}) answers from now on", set.name, set.digest);
                info!(model.set = set.name, model.digest = set.digest, "{new}");
                Ok(new)
            }
            Err(error) => {
                let set = self.sets.now();
                let reason = format!("{error:#}");
                error!(error = reason, model.set = set.name, "reload refused, {} goes on", set.name);
                Err(error)
            }
        }
    }

    /// The set that answers from now on.
    async fn switch(&self) -> anyhow::Result<Arc<SetAtWork>> {
        let loader = self.loader.clone();
        let loaded = spawn_blocking(move || loader.load()).await.context("loading panicked")??;
        let id = register(&self.pool, &loaded.set).await.context("the database")?;
        let lookup = Lookup::new(self.pool.clone(), id, self.loader.freshness(), self.metrics.clone());
        let set = self.loader.start(loaded, id, Some(lookup))?;
        self.sets.switch(set);
        Ok(self.sets.now())
    }
}
