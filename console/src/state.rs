//! What every handler may use.

use std::sync::Arc;

use axum::extract::FromRef;
use deadpool_postgres::Pool;
use tagfleet_shared::broker::{Broker, Publisher};

use crate::auth::Auth;
use crate::config::ConsoleConfig;
use crate::metrics::Metrics;

/// The parts that answers are made of. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    /// The database; the questions to it are in [`crate::store`].
    pub pool: Pool,
    /// RabbitMQ.
    pub broker: Broker,
    /// Publishes with confirms.
    pub publisher: Arc<Publisher>,
    /// The settings.
    pub config: Arc<ConsoleConfig>,
    /// Who somebody is.
    pub auth: Arc<Auth>,
    /// What is counted and timed.
    pub metrics: Metrics,
}

impl FromRef<Console> for Pool {
    fn from_ref(console: &Console) -> Self {
        console.pool.clone()
    }
}
