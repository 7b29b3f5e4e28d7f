//! What every handler may use.

use std::sync::Arc;

use axum::extract::FromRef;
use deadpool_postgres::Pool;
use tagfleet_shared::broker::{Broker, BrokerError, Publisher};
use tagfleet_shared::config::{self, ENV_PREFIX};
use tagfleet_shared::db;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::config::{ConsoleConfig, DEFAULTS};
use crate::metrics::Metrics;
use crate::store::turns::{Turn, Turns};
use crate::thumbnails::Thumbnails;
use crate::web::Problem;

/// The parts that answers are made of. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    /// The database; the questions to it are in [`crate::store`].
    pub pool: Pool,
    /// RabbitMQ.
    pub broker: Broker,
    /// Publishes with confirms.
    pub publisher: Arc<Publisher>,
    /// Who looks at the dead letters.
    pub dead: Arc<Turns>,
    /// A place for each picture that workers are asked about.
    pub classifying: Arc<Semaphore>,
    /// A place for each list that passes over pictures and may take its three seconds: those who wait for one hold no
    /// connection, which corrections need.
    pub choosing: Arc<Semaphore>,
    /// Writes that go on. They end whoever listens still, and a console that stops waits for them.
    pub writes: TaskTracker,
    /// The settings.
    pub config: Arc<ConsoleConfig>,
    /// Who somebody is.
    pub auth: Arc<Auth>,
    /// Small pictures.
    pub thumbnails: Thumbnails,
    /// What is counted and timed.
    pub metrics: Metrics,
}

impl Console {
    /// One that has never met a server: for a look at the list of routes.
    ///
    /// # Errors
    ///
    /// If the defaults do not hold together.
    pub fn unconnected() -> anyhow::Result<Self> {
        tagfleet_shared::tls::install();
        let variables = [("DATABASE", "postgres://nowhere/none"), ("BROKER", "amqp://nowhere/%2f")]
            .map(|(section, url)| (format!("{ENV_PREFIX}{section}__URL"), url.to_owned()));
        let config: ConsoleConfig = config::load(DEFAULTS, None, variables)?.config;
        let (pool, broker) = (db::pool(&config.database)?, Broker::lazy(&config.broker, "nobody"));
        Ok(Self {
            publisher: Arc::new(broker.publisher()),
            broker,
            dead: Arc::new(Turns::new(pool.clone())),
            auth: Arc::new(Auth::new(&config, pool.clone(), false)?),
            pool,
            classifying: Arc::new(Semaphore::new(config.classify.at_once)),
            choosing: Arc::new(choosing(config.database.pool_size)),
            writes: TaskTracker::new(),
            thumbnails: Thumbnails::new(&config.thumbnails, &config.download)?,
            config: Arc::new(config),
            metrics: Metrics::register(&prometheus::Registry::new())?,
        })
    }
}

impl Console {
    /// Waits for a turn at the dead letters.
    ///
    /// # Errors
    ///
    /// If the database is away, or somebody else takes too long.
    pub async fn turn(&self) -> Result<Turn<'_>, Problem> {
        self.dead.take().await?.ok_or_else(|| BrokerError::Taken.into())
    }
}

/// Places for lists that may take long, of so many connections: a few, and some are left for all else.
pub fn choosing(connections: usize) -> Semaphore {
    Semaphore::new((connections / 2).clamp(1, 4))
}

impl FromRef<Console> for Pool {
    fn from_ref(console: &Console) -> Self {
        console.pool.clone()
    }
}
