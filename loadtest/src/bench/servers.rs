//! The fleet's own database and queues, on the servers of `make bench`.

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::Pool;
use secrecy::SecretString;
use tagfleet_shared::broker::{Broker, BrokerConfig};
use tagfleet_shared::config::foreign_variable;
use tagfleet_shared::db::{self, DatabaseConfig, DbError};
use url::Url;

use super::process::{Setting, setting};
use super::progress;

/// The longest that a statement may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A new database, and queues under a name of their own. Nothing that was there before is touched.
pub struct Servers {
    /// The server's own database: there the fleet's comes and goes.
    server: Pool,
    /// Of the database; the first part of the name of every queue.
    name: String,
    database_url: String,
    broker_url: String,
    /// The fleet's database.
    pub pool: Pool,
    /// The way to the fleet's queues.
    pub broker: Broker,
}

impl Servers {
    /// Makes the `number`-th database of this benchmark. The fleet's processes make its tables and
    /// queues.
    pub async fn prepare(number: usize) -> anyhow::Result<Self> {
        let (server_url, broker_url) = (need("TAGFLEET_DATABASE_URL")?, need("TAGFLEET_AMQP_URL")?);
        let name = format!("tagfleet_bench_{}_{number}", std::process::id());
        let mut url: Url = server_url.parse().context("TAGFLEET_DATABASE_URL")?;
        url.set_path(&name);
        let server = pool(&server_url, 1)?;
        server.get().await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self {
            server,
            database_url: url.to_string(),
            pool: pool(url.as_str(), 6)?,
            broker: Broker::lazy(&broker_config(&broker_url, &name), "tagfleet-bench"),
            name,
            broker_url,
        })
    }

    /// The name of the database, and the first part of the name of every queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the fleet's database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The address of the broker.
    pub fn broker_url(&self) -> &str {
        &self.broker_url
    }

    /// The settings of every process that is to work here.
    pub fn settings(&self) -> Vec<Setting> {
        vec![
            setting("database.url", &self.database_url),
            setting("broker.url", &self.broker_url),
            setting("broker.prefix", &self.name),
        ]
    }

    /// Removes queues and database, as far as they are there.
    pub async fn remove(self) {
        let Self { server, name, broker, pool, .. } = self;
        pool.close();
        if let Err(error) = broker.delete_everything().await {
            progress(&format!("the queues {name}.* stay: {error}"));
        }
        let drop = async {
            let client = server.get().await?;
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            Ok::<_, DbError>(())
        };
        if let Err(error) = drop.await {
            progress(&format!("the database {name} stays: {error}"));
        }
    }
}

fn need(name: &str) -> anyhow::Result<String> {
    foreign_variable(name).with_context(|| format!("{name} is not set: run `make bench`"))
}

fn pool(url: &str, pool_size: usize) -> anyhow::Result<Pool> {
    let (timeout, statement_timeout) = (Duration::from_secs(10), PATIENCE);
    db::pool_by_keys(&DatabaseConfig { url: url.into(), pool_size, timeout, statement_timeout })
}

/// The fleet's processes declare the queues, by the same settings: their defaults.
fn broker_config(url: &str, prefix: &str) -> BrokerConfig {
    BrokerConfig {
        url: SecretString::from(url),
        prefix: prefix.to_owned(),
        delivery_limit: 20,
        retry_delays: [5, 30, 120].map(Duration::from_secs).to_vec(),
        heartbeat: Duration::from_secs(10),
    }
}
