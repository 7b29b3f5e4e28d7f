//! The fleet that faults happen to: real processes, each behind proxies of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use tagfleet_shared::failpoint::Point;
use tokio::sync::Mutex;
use url::Url;

use super::proxy::Proxy;
use crate::bench::process::{Process, Setting, command, free_port, setting};
use crate::private::repository;

/// Schedulers of the fleet.
pub const SCHEDULERS: usize = 2;
/// Workers of the fleet.
pub const WORKERS: usize = 3;

/// Connections to the database of each: `database.pool_size` as it is below, and a scheduler's for `/readyz`.
pub const POOL: usize = 11;

/// One scheduler or worker, whichever process it is at the moment.
pub struct Member {
    /// Such as `worker-2`.
    pub name: String,
    /// Its way to the broker.
    pub to_broker: Proxy,
    /// Its way to the database.
    pub to_database: Proxy,
    /// Where its admin port is.
    pub admin: String,
    binary: &'static str,
    settings: Vec<Setting>,
    logs: PathBuf,
    process: Mutex<Option<Process>>,
}

/// All of them.
pub struct Fleet {
    /// Schedulers first.
    pub members: Vec<Member>,
}

/// Settings of a member by its name.
pub type Own<'a> = &'a (dyn Fn(&str) -> Vec<Setting> + Sync);

/// Where the servers really are.
pub struct Upstream {
    /// RabbitMQ, with user and password.
    pub broker: Url,
    /// The fleet's database, as the fleet's own user.
    pub database: Url,
    /// The ONNX Runtime library.
    pub onnxruntime: PathBuf,
}

impl Fleet {
    /// Makes the tables and starts every process. Their logs go into `logs`. `own` gives settings of a member by
    /// its name, beside those that all have.
    pub async fn start(upstream: &Upstream, prefix: &str, logs: &Path, own: Own<'_>) -> anyhow::Result<Self> {
        let migrate = [setting("database.url", upstream.database.as_str())];
        let migrated = command("tagfleet-scheduler", &migrate)?.arg("migrate").output().await?;
        ensure!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let mut members = Vec::new();
        for number in 1..=SCHEDULERS {
            members.push(Member::new("scheduler", number, upstream, prefix, logs, own).await?);
        }
        for number in 1..=WORKERS {
            members.push(Member::new("worker", number, upstream, prefix, logs, own).await?);
        }
        let fleet = Self { members };
        for member in &fleet.members {
            member.start().await?;
        }
        for member in &fleet.members {
            member.until_ready().await?;
        }
        Ok(fleet)
    }

    /// Stops every process, as an orchestrator would.
    pub async fn stop(&self) -> anyhow::Result<()> {
        for member in &self.members {
            member.stop().await.with_context(|| member.name.clone())?;
        }
        Ok(())
    }
}

impl Member {
    /// Makes the ways to its servers, and starts nothing.
    pub async fn new(
        what: &'static str,
        number: usize,
        upstream: &Upstream,
        prefix: &str,
        logs: &Path,
        own: Own<'_>,
    ) -> anyhow::Result<Self> {
        let name = format!("{what}-{number}");
        let logs = logs.join(&name);
        std::fs::create_dir_all(&logs)?;
        let (to_broker, broker_url) = behind_proxy(&upstream.broker).await?;
        let (to_database, database_url) = behind_proxy(&upstream.database).await?;
        let mut settings = vec![
            setting("log.format", "json"),
            setting("broker.url", broker_url.as_str()),
            setting("broker.prefix", prefix),
            setting("database.url", database_url.as_str()),
        ];
        let (binary, usual): (_, &[(&str, &str)]) =
            if what == "worker" { ("tagfleet-worker", WORKER) } else { ("tagfleet-scheduler", SCHEDULER) };
        settings.extend(BOTH.iter().chain(usual).map(|(key, value)| setting(key, value)));
        if what == "worker" {
            settings.push(setting("runtime.library", &upstream.onnxruntime.display().to_string()));
            let models = repository().join("models/default");
            settings.push(setting("models.dir", &models.display().to_string()));
        }
        settings.extend(own(&name));
        let admin = format!("127.0.0.1:{}", free_port()?);
        Ok(Self { name, to_broker, to_database, admin, binary, settings, logs, process: Mutex::new(None) })
    }

    /// Starts a process, unless one is there.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().await;
        if let Some(running) = &mut *process
            && !running.has_ended()?
        {
            return Ok(());
        }
        *process = Some(Process::spawn(self.binary, &self.settings, &self.logs, self.admin.clone())?);
        Ok(())
    }

    /// Waits until its process is ready.
    pub async fn until_ready(&self) -> anyhow::Result<()> {
        match &mut *self.process.lock().await {
            Some(process) => process.until_ready().await,
            None => Ok(()),
        }
    }

    /// `kill -9`.
    pub async fn kill(&self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.lock().await.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end, which must be a good one.
    pub async fn stop(&self) -> anyhow::Result<()> {
        match self.process.lock().await.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// The number of its process, if there is one.
    pub async fn id(&self) -> Option<u32> {
        self.process.lock().await.as_ref().map(Process::id)
    }

    /// What its admin port tells of it.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(client.get(format!("http://{}/metrics", self.admin)).send().await?.text().await?)
    }

    /// A POST to its admin port.
    pub async fn post(&self, path: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let answer = client.post(format!("http://{}{path}", self.admin)).send().await?;
        ensure!(answer.status().is_success(), "POST {path} to {}: {}", self.name, answer.text().await?);
        Ok(())
    }

    /// SIGSTOP.
    pub async fn pause(&self) -> anyhow::Result<()> {
        match &*self.process.lock().await {
            Some(process) => process.pause().await,
            None => Ok(()),
        }
    }

    /// SIGCONT.
    pub async fn resume(&self) -> anyhow::Result<()> {
        match &*self.process.lock().await {
            Some(process) => process.resume().await,
            None => Ok(()),
        }
    }

    /// Lets its process die at this point, when it comes there next.
    pub async fn arm(&self, point: Point) -> anyhow::Result<()> {
        match &*self.process.lock().await {
            Some(process) => process.post(&format!("/failpoints/{point}")).await.context(
                "the fleet's binaries have no failpoints: build them with --features tagfleet-shared/failpoints",
            ),
            None => Ok(()),
        }
    }

    /// Whether its process ends within this time.
    pub async fn ends_within(&self, limit: Duration) -> bool {
        match &mut *self.process.lock().await {
            Some(process) => tokio::time::timeout(limit, process.ended()).await.is_ok(),
            None => true,
        }
    }
}

/// How long this is among the settings of the workers.
pub fn of_workers(key: &str) -> Duration {
    let setting = WORKER.iter().find(|(name, _)| *name == key);
    let parsed = setting.and_then(|(_, value)| value.parse::<jiff::SignedDuration>().ok());
    parsed.expect("it is among them, and a duration").unsigned_abs()
}

/// The same address, by way of a proxy.
async fn behind_proxy(url: &Url) -> anyhow::Result<(Proxy, Url)> {
    let address = address(url)?;
    let proxy = Proxy::open(address).await?;
    let mut url = url.clone();
    let set = url.set_port(Some(proxy.address.port()));
    ensure!(set.is_ok(), "{url} takes no port");
    Ok((proxy, url))
}

/// Where the server of this address listens.
fn address(url: &Url) -> anyhow::Result<SocketAddr> {
    let (host, port) = (url.host_str().context("no host")?, url.port().context("no port")?);
    Ok(SocketAddr::new(host.parse()?, port))
}

/// Settings of every process: short times, so that a short fault is a long one.
const BOTH: &[(&str, &str)] = &[
    ("broker.heartbeat", "2s"),
    ("broker.retry_delays", "200ms,500ms,1s"),
    ("database.pool_size", "10"),
    ("database.timeout", "2s"),
    ("database.statement_timeout", "3s"),
];

const SCHEDULER: &[(&str, &str)] = &[
    ("lanes.express_max", "200"),
    ("lanes.standard_max", "800"),
    ("fan_out.page_size", "50"),
    ("fan_out.manifest_connect_timeout", "2s"),
    ("fan_out.manifest_idle_timeout", "3s"),
    ("sweep.every", "1s"),
    ("sweep.after", "4s"),
    ("announce.every", "100ms"),
    ("shutdown.grace", "10s"),
];

const WORKER: &[(&str, &str)] = &[
    ("work.prefetch", "128"),
    ("work.decode_threads", "1"),
    ("work.remember_failures", "2s"),
    ("work.grace", "10s"),
    ("models.sessions", "1"),
    ("download.allow_networks", "127.0.0.1/32"),
    ("download.connect_timeout", "1s"),
    ("download.header_timeout", "2s"),
    ("download.idle_timeout", "2s"),
    ("download.total_timeout", "6s"),
];
