//! The peer's processes and tables.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use deadpool_postgres::Pool;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::ids::ImageId;
use tagfleet_worker::config::TaggingConfig;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

use crate::bench::progress;
use crate::bench::servers::Servers;

/// Where the peer is, seen from the folder in which `make bench` runs.
const FOLDER: &str = "loadtest/peers/celery";

/// The longest that a scrape of the peer may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The peer, with tables of its own in the fleet's database.
pub struct Celery {
    pool: Pool,
    venv: PathBuf,
    environment: Vec<(&'static str, String)>,
    logs: PathBuf,
}

impl Celery {
    /// Makes its virtual environment, where it is missing, and its tables.
    pub async fn prepare(servers: &Servers, logs: &Path) -> anyhow::Result<Self> {
        const SQL: &str = "
            CREATE SCHEMA peer;
            CREATE TABLE peer.image_tags (
                image_id uuid PRIMARY KEY, tags jsonb NOT NULL, scores jsonb NOT NULL, width int NOT NULL,
                height int NOT NULL, tagged_at timestamptz NOT NULL DEFAULT now());
            CREATE TABLE peer.scrape_images (
                scrape text, seq int, image_id uuid NOT NULL, url text NOT NULL, outcome text, tags jsonb,
                recorded_at timestamptz, PRIMARY KEY (scrape, seq)) WITH (fillfactor = 70)";
        let setup = Command::new(format!("{FOLDER}/setup.sh")).stderr(Stdio::inherit()).output().await;
        let setup =
            setup.with_context(|| format!("cannot run {FOLDER}/setup.sh: is this the project's folder?"))?;
        ensure!(
            setup.status.success(),
            "the peer's packages could not be installed; {FOLDER}/setup.sh does it, and needs a package index"
        );
        let models = TaggingConfig::load(None)?.config.0.models.dir.canonicalize()?;
        servers.pool.get().await?.batch_execute(SQL).await?;
        Ok(Self {
            pool: servers.pool.clone(),
            venv: String::from_utf8(setup.stdout)?.trim().into(),
            environment: vec![
                ("PEER_BROKER_URL", servers.broker_url().to_owned()),
                ("PEER_DATABASE_URL", servers.database_url().to_owned()),
                ("PEER_MODELS", models.display().to_string()),
                ("PEER_QUEUE", format!("{}.peer", servers.name())),
            ],
            logs: logs.to_owned(),
        })
    }

    /// Makes the images known to it.
    pub async fn remember(&self, images: &[ListedImage]) -> anyhow::Result<()> {
        const SQL: &str = r#"
            INSERT INTO peer.image_tags (image_id, tags, scores, width, height)
            SELECT image_id, '{"color": "red", "image_type": "Dealer"}',
                   '{"color": 0.8765432, "image_type": 0.9876543}', 1024, 768
              FROM unnest($1::uuid[]) AS known (image_id)"#;
        let client = self.pool.get().await?;
        client.execute(SQL, &[&ids(images)]).await?;
        client.batch_execute("ANALYZE peer.image_tags").await?;
        Ok(())
    }

    /// Outcomes per second, from the first that was recorded to the last. All of them must be the one
    /// `expected`. The tasks are published before the worker is started.
    pub async fn pace(&self, scrape: &str, images: &[ListedImage], expected: &str) -> anyhow::Result<f64> {
        const LIST: &str = "
            INSERT INTO peer.scrape_images (scrape, seq, image_id, url)
            SELECT $1, seq - 1, image_id, url
              FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS listed (image_id, url, seq)";
        const PACE: &str = "
            SELECT (count(*) - 1) / extract(epoch FROM max(recorded_at) - min(recorded_at))::float8,
                   bool_and(outcome = $2)
              FROM peer.scrape_images WHERE scrape = $1";
        let urls: Vec<&str> = images.iter().map(|image| image.url.as_str()).collect();
        let client = self.pool.get().await?;
        client.execute(LIST, &[&scrape, &ids(images), &urls]).await?;
        client.batch_execute("ANALYZE peer.scrape_images").await?;
        self.publish(scrape, images).await?;

        let worker = self.start()?;
        self.until_done(scrape).await?;
        worker.stop().await?;
        let row = client.query_one(PACE, &[&scrape, &expected]).await?;
        ensure!(row.get::<_, bool>(1), "not all images of the peer are {expected}");
        Ok(row.get(0))
    }

    async fn publish(&self, scrape: &str, images: &[ListedImage]) -> anyhow::Result<()> {
        let mut lines = String::new();
        for (seq, (image, id)) in images.iter().zip(ids(images)).enumerate() {
            writeln!(lines, "{scrape}\t{seq}\t{id}\t{}", image.url)?;
        }
        let mut publisher = self.command("python").arg("publish.py").stdin(Stdio::piped()).spawn()?;
        let mut stdin = publisher.stdin.take().context("it was piped")?;
        stdin.write_all(lines.as_bytes()).await?;
        drop(stdin);
        ensure!(publisher.wait().await?.success(), "the peer could not publish its tasks");
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Worker> {
        let log = self.logs.join("celery.log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| log.display().to_string())?;
        // What a worker tells its neighbours would cost it time.
        let quiet = ["--without-heartbeat", "--without-mingle", "--without-gossip", "--loglevel", "warning"];
        let child = self
            .command("celery")
            .args(["-A", "tasks", "worker", "--pool", "prefork"])
            .args(quiet)
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()?;
        let group = child.id().context("celery has ended already")?;
        Ok(Worker { child, group })
    }

    async fn until_done(&self, scrape: &str) -> anyhow::Result<()> {
        const SQL: &str = "SELECT count(*) FROM peer.scrape_images WHERE scrape = $1 AND outcome IS NULL";
        let client = self.pool.get().await?;
        let end = Instant::now() + PATIENCE;
        while client.query_one(SQL, &[&scrape]).await?.get::<_, i64>(0) > 0 {
            if Instant::now() > end {
                bail!("the peer is not done in {PATIENCE:?}: see {}", self.logs.display());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.venv.join("bin").join(program));
        command
            .current_dir(FOLDER)
            .envs(self.environment.iter().cloned())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Celery's processes. Killed when it is dropped.
struct Worker {
    child: Child,
    group: u32,
}

impl Worker {
    /// Asks it to end, and waits until it has.
    async fn stop(mut self) -> anyhow::Result<()> {
        signal("-TERM", &self.group.to_string())?;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        if ended.is_err() {
            progress("celery does not end by itself");
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its processes, not only the one that started them. Err: they have ended.
        let _ = signal("-KILL", &format!("-{}", self.group));
    }
}

fn signal(signal: &str, to: &str) -> anyhow::Result<()> {
    let mut kill = std::process::Command::new("kill");
    kill.args([signal, "--", to]).stderr(Stdio::null()).status()?;
    Ok(())
}

fn ids(images: &[ListedImage]) -> Vec<Uuid> {
    images.iter().map(|image| ImageId::of(None, &image.url).0).collect()
}
