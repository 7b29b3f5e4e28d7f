//! Everything that a fault can get hold of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use deadpool_postgres::Pool;
use secrecy::SecretString;
use tagfleet_shared::broker::{Broker, BrokerConfig};
use tagfleet_shared::db::{self, DatabaseConfig};
use url::Url;

use super::fleet::{Fleet, Member, Own, Upstream};
use super::ledger::Ledger;
use super::proxy::Proxy;
use crate::origin::{Content, Origin};
use crate::private::Private;

/// The fleet's database, and its user there: not a superuser, for limits do not hold for those.
pub const DATABASE: &str = "chaos";
/// Before the next attempt of a job.
pub const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Of queues and exchanges.
const PREFIX: &str = "chaos";

/// The fleet, its servers, the host of the pictures, and the ways between them.
pub struct Arena {
    /// The servers.
    pub servers: Private,
    /// The processes.
    pub fleet: Fleet,
    /// The host of the pictures.
    pub origin: Origin,
    /// The fleet's way to it.
    pub to_origin: Proxy,
    /// The broker as a neighbour of the fleet sees it, by a way that no fault of a network is on.
    pub broker: Broker,
    /// The database as its superuser sees it, likewise.
    pub database: Pool,
    /// What has happened.
    pub ledger: Ledger,
    http: reqwest::Client,
    upstream: Upstream,
}

impl Arena {
    /// Starts everything, with the pictures in `content`; logs and ledger go into `folder`.
    pub async fn open(content: Content, folder: &Path) -> anyhow::Result<Self> {
        Self::with(content, folder, &|_| Vec::new()).await
    }

    /// The same, with settings of some members' own.
    pub async fn with(content: Content, folder: &Path, own: Own<'_>) -> anyhow::Result<Self> {
        let servers = tokio::task::spawn_blocking(|| Private::start("chaos")).await??;
        let mut database: Url = servers.database_url.parse()?;
        let mine = pool(database.as_str(), 1)?;
        mine.get()
            .await?
            .batch_execute(&format!("CREATE ROLE {DATABASE} LOGIN PASSWORD '{DATABASE}'"))
            .await?;
        mine.get().await?.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {DATABASE}")).await?;
        database.set_path(DATABASE);
        let superuser = pool(database.as_str(), 8)?;
        let set = database.set_username(DATABASE).and_then(|()| database.set_password(Some(DATABASE)));
        set.ok().context("the database's address takes no user")?;

        let origin = Origin::start(content)?;
        let to_origin = Proxy::open(origin.address()).await?;
        let broker = Broker::lazy(&broker_config(&servers.amqp_url), "tagfleet-chaos");
        let upstream = Upstream {
            broker: servers.amqp_url.parse()?,
            database,
            onnxruntime: servers.onnxruntime.clone(),
        };
        let fleet = Fleet::start(&upstream, PREFIX, &folder.join("logs"), own).await?;
        let ledger = Ledger::begin(&folder.join("ledger.ndjson"))?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { servers, fleet, origin, to_origin, broker, database: superuser, ledger, http, upstream })
    }

    /// One more worker, that is not started.
    pub async fn worker(&self, number: usize, folder: &Path, own: Own<'_>) -> anyhow::Result<Member> {
        Member::new("worker", number, &self.upstream, PREFIX, &folder.join("logs"), own).await
    }

    /// Runs statements as the database's superuser.
    pub async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.database.get().await?.batch_execute(sql).await?)
    }

    /// Runs a query that gives one number.
    pub async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        Ok(self.database.get().await?.query_one(sql, &[]).await?.get(0))
    }

    /// Asks the broker's HTTP API: `method` on the resource of this path.
    pub async fn manage(&self, method: reqwest::Method, path: &[&str]) -> anyhow::Result<serde_json::Value> {
        let mut url: Url = self.servers.management_url.parse()?;
        url.path_segments_mut().ok().context("no path")?.push("api").extend(path);
        let answer = self.http.request(method, url).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(status.is_success(), "{path:?}: {status}");
        Ok(if body.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Has the broker evaluate an expression of its own language.
    pub async fn erlang(&self, expression: &str) -> anyhow::Result<String> {
        self.servers.run(&["rabbitmqctl", "eval", expression]).await
    }
}

fn pool(url: &str, pool_size: usize) -> anyhow::Result<Pool> {
    let (timeout, statement_timeout) = (Duration::from_secs(10), Duration::from_secs(60));
    db::pool(&DatabaseConfig { url: url.into(), pool_size, timeout, statement_timeout })
}

/// It must say the same as the settings of the fleet's processes.
pub(super) fn broker_config(url: &str) -> BrokerConfig {
    BrokerConfig {
        url: SecretString::from(url),
        prefix: PREFIX.to_owned(),
        delivery_limit: 20,
        retry_delays: RETRY_DELAYS.to_vec(),
        heartbeat: Duration::from_secs(2),
    }
}
