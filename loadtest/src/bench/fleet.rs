//! The fleet that is measured: real processes, and the scrapes that they are given.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use deadpool_postgres::Pool;
use jiff::Timestamp;
use tagfleet_shared::broker::{Broker, Outgoing, SCRAPE_FINISHED};
use tagfleet_shared::events::{ListedImage, ScrapeFinished};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_shared::lane::Lane;
use tokio::time::Instant;

use super::process::{Process, Setting, command, setting};
use super::servers::Servers;

/// The lane of a scrape, whatever its size, unless a scenario wants another.
pub const LANE: Lane = Lane::Bulk;

/// The longest that a scrape may take from one state to the next.
const PATIENCE: Duration = Duration::from_secs(600);

/// A scheduler, workers as they are asked for, and where they work.
pub struct Fleet {
    /// The fleet's own database.
    pub pool: Pool,
    /// The way to the fleet's own queues.
    pub broker: Broker,
    settings: Vec<Setting>,
    worker_settings: Vec<Setting>,
    logs: PathBuf,
    scheduler: Process,
    worker_peaks: Vec<f64>,
    scrapes: u32,
}

/// The most memory that processes had, in MB: one for each that was measured.
#[derive(Clone, Debug, Default)]
pub struct Peaks {
    /// Of workers.
    pub workers: Vec<f64>,
    /// Of schedulers.
    pub schedulers: Vec<f64>,
}

impl Peaks {
    /// With those of another fleet.
    pub fn extend(&mut self, other: Self) {
        self.workers.extend(other.workers);
        self.schedulers.extend(other.schedulers);
    }
}

/// A scrape that was published.
pub struct Scrape {
    /// The pipeline's name of it.
    pub id: String,
    /// When its event was published, by the clock of the database.
    since: Timestamp,
}

impl Scrape {
    /// When its event was published, by the clock of the database.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

impl Fleet {
    /// Makes the tables, and starts a scheduler. Every worker will have `worker_settings`.
    pub async fn start(
        servers: &Servers,
        worker_settings: Vec<Setting>,
        logs: PathBuf,
    ) -> anyhow::Result<Self> {
        let settings = servers.settings();
        let migrated = command("tagfleet-scheduler", &settings)?.arg("migrate").output().await?;
        if !migrated.status.success() {
            bail!("cannot migrate the database:\n{}", String::from_utf8_lossy(&migrated.stderr));
        }
        Ok(Self {
            pool: servers.pool.clone(),
            broker: servers.broker.clone(),
            scheduler: Process::start("tagfleet-scheduler", &settings, &logs).await?,
            worker_peaks: Vec::new(),
            scrapes: 0,
            settings,
            worker_settings,
            logs,
        })
    }

    /// Starts a worker: with the default settings, unless the command line says otherwise.
    pub async fn start_worker(&self) -> anyhow::Result<Process> {
        self.start_worker_with(&[]).await
    }

    /// Starts a worker with settings of its own. Stop it with [`Process::stop`]: its memory says
    /// nothing of the defaults.
    pub async fn start_worker_with(&self, own: &[Setting]) -> anyhow::Result<Process> {
        let mut settings = self.settings.clone();
        settings.push(setting("download.allow_networks", "127.0.0.1/32"));
        settings.extend_from_slice(&self.worker_settings);
        settings.extend_from_slice(own);
        Process::start("tagfleet-worker", &settings, &self.logs).await
    }

    /// Starts one more scheduler.
    pub async fn start_scheduler(&self) -> anyhow::Result<Process> {
        Process::start("tagfleet-scheduler", &self.settings, &self.logs).await
    }

    /// Stops a worker, and notes how much memory it had.
    pub async fn stop_worker(&mut self, worker: Process) -> anyhow::Result<()> {
        self.worker_peaks.push(worker.peak_memory()?);
        worker.stop().await
    }

    /// Stops the scheduler. Returns how much memory it and the workers had.
    pub async fn end(self) -> anyhow::Result<Peaks> {
        let peaks = Peaks { workers: self.worker_peaks, schedulers: vec![self.scheduler.peak_memory()?] };
        self.scheduler.stop().await?;
        Ok(peaks)
    }

    /// Publishes a scrape as a pipeline would, of an advertiser that has no other.
    pub async fn publish(&mut self, images: Vec<ListedImage>) -> anyhow::Result<Scrape> {
        self.publish_event(Some(images), None, Some(LANE)).await
    }

    /// Publishes a scrape to the lane that its size gives it.
    pub async fn publish_by_size(&mut self, images: Vec<ListedImage>) -> anyhow::Result<Scrape> {
        self.publish_event(Some(images), None, None).await
    }

    /// Publishes a scrape whose inventory is to be had at `url`.
    pub async fn publish_manifest(&mut self, url: String) -> anyhow::Result<Scrape> {
        self.publish_event(None, Some(url), Some(LANE)).await
    }

    async fn publish_event(
        &mut self,
        images: Option<Vec<ListedImage>>,
        manifest_url: Option<String>,
        lane: Option<Lane>,
    ) -> anyhow::Result<Scrape> {
        self.scrapes += 1;
        let id = format!("bench-{}", self.scrapes);
        let event = ScrapeFinished {
            scrape_id: ScrapeId(id.clone()),
            advertiser_id: AdvertiserId(id.clone()),
            finished_at: Timestamp::now(),
            lane,
            images,
            manifest_url,
            images_of: None,
        };
        let body = serde_json::to_vec(&event)?;
        let outgoing = Outgoing::event(self.broker.topology(), SCRAPE_FINISHED, id.clone(), body);
        let publisher = self.broker.publisher();
        let since = self.now().await?;
        publisher.publish(&[outgoing]).await?;
        Ok(Scrape { id, since })
    }

    /// Waits until the last job of a scrape is confirmed. Returns the time since its event was
    /// published, in seconds.
    pub async fn until_fanned_out(&self, scrape: &Scrape) -> anyhow::Result<f64> {
        self.until(scrape, "published_at IS NOT NULL").await?;
        const SQL: &str =
            "SELECT extract(epoch FROM published_at - $2)::float8 FROM scrapes WHERE scrape_id = $1";
        Ok(self.pool.get().await?.query_one(SQL, &[&scrape.id, &scrape.since]).await?.get(0))
    }

    /// Waits until every image of a scrape has its outcome, which must be the one `expected`.
    pub async fn until_tagged(&self, scrape: &Scrape, expected: &str) -> anyhow::Result<()> {
        self.until(scrape, "state = 'tagged'").await?;
        const SQL: &str = "SELECT outcomes::text, outcomes = jsonb_build_object($2::text, listed)
                             FROM scrapes WHERE scrape_id = $1";
        let row = self.pool.get().await?.query_one(SQL, &[&scrape.id, &expected]).await?;
        ensure!(row.get::<_, bool>(1), "all images should be {expected}, but: {}", row.get::<_, &str>(0));
        Ok(())
    }

    async fn until(&self, scrape: &Scrape, condition: &str) -> anyhow::Result<()> {
        let sql = format!("SELECT 1 FROM scrapes WHERE scrape_id = $1 AND {condition}");
        let client = self.pool.get().await?;
        let end = Instant::now() + PATIENCE;
        while client.query_opt(&sql, &[&scrape.id]).await?.is_none() {
            ensure!(Instant::now() < end, "not {condition} in {PATIENCE:?}: see {}", self.logs.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Outcomes of a scrape per second, from `begun` to the last that was recorded.
    pub async fn pace_since(&self, scrape: &Scrape, begun: Timestamp) -> anyhow::Result<f64> {
        const SQL: &str = "
            SELECT count(recorded_at) / extract(epoch FROM max(recorded_at) - $2)::float8
              FROM scrape_images WHERE scrape = (SELECT key FROM scrapes WHERE scrape_id = $1)";
        Ok(self.pool.get().await?.query_one(SQL, &[&scrape.id, &begun]).await?.get(0))
    }

    /// Outcomes of a scrape per second, from the first that was recorded to the last. Those that
    /// were recorded with the first, in its batch, began before the clock did and do not count.
    pub async fn pace(&self, scrape: &Scrape) -> anyhow::Result<f64> {
        const SQL: &str = "
            WITH times AS MATERIALIZED (
                SELECT recorded_at AS at FROM scrape_images
                 WHERE scrape = (SELECT key FROM scrapes WHERE scrape_id = $1) AND recorded_at IS NOT NULL
            ), span AS (SELECT min(at) AS first, max(at) AS last FROM times)
            SELECT count(*) FILTER (WHERE at > first) / nullif(extract(epoch FROM last - first), 0)::float8
              FROM times, span GROUP BY first, last";
        let row = self.pool.get().await?.query_opt(SQL, &[&scrape.id]).await?;
        let pace: Option<f64> = row.and_then(|row| row.get(0));
        pace.context("everything was recorded at once: too few images to measure")
    }

    /// The same, of the images of a scrape that the models looked at, and of no others. Waits until
    /// there are `expected` of them.
    pub async fn pace_of_inferred(&self, scrape: &Scrape, expected: usize) -> anyhow::Result<f64> {
        const SQL: &str = "
            WITH times AS MATERIALIZED (
                SELECT recorded_at AS at FROM scrape_images
                 WHERE scrape = (SELECT key FROM scrapes WHERE scrape_id = $1) AND outcome = 'inferred'
            ), span AS (SELECT count(*) AS images, min(at) AS first, max(at) AS last FROM times)
            SELECT images, (SELECT count(*) FROM times, span WHERE at > first)
                           / nullif(extract(epoch FROM last - first), 0)::float8 FROM span";
        let client = self.pool.get().await?;
        let end = Instant::now() + PATIENCE;
        loop {
            let row = client.query_one(SQL, &[&scrape.id]).await?;
            if row.get::<_, i64>(0) >= expected as i64 {
                return row.get::<_, Option<f64>>(1).context("everything was recorded at once");
            }
            ensure!(
                Instant::now() < end,
                "not {expected} inferred in {PATIENCE:?}: see {}",
                self.logs.display()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Images of a scrape that have their outcome.
    pub async fn recorded(&self, scrape: &Scrape) -> anyhow::Result<usize> {
        const SQL: &str = "SELECT ended::int8 FROM scrape_overview WHERE scrape_id = $1";
        // Nothing is known of a scrape whose event waits for the scheduler.
        let row = self.pool.get().await?.query_opt(SQL, &[&scrape.id]).await?;
        Ok(usize::try_from(row.map_or(0, |row| row.get::<_, i64>(0)))?)
    }

    /// Outcomes of all scrapes between two moments, per second.
    pub async fn pace_between(&self, from: Timestamp, to: Timestamp) -> anyhow::Result<f64> {
        const SQL: &str = "
            SELECT count(*) / extract(epoch FROM $2::timestamptz - $1::timestamptz)::float8
              FROM scrape_images WHERE recorded_at >= $1 AND recorded_at < $2";
        Ok(self.pool.get().await?.query_one(SQL, &[&from, &to]).await?.get(0))
    }

    /// The time, by the clock of the database.
    pub async fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(self.pool.get().await?.query_one("SELECT clock_timestamp()", &[]).await?.get(0))
    }

    /// Takes `jobs` jobs out of the lane, unseen.
    pub async fn drain(&self, jobs: usize) -> anyhow::Result<()> {
        let mut consumer = self.broker.consume(self.broker.topology().lane_queue(LANE), 5000);
        for _ in 0..jobs {
            let received = tokio::time::timeout(PATIENCE, consumer.next()).await;
            received.context("fewer jobs in the lane than were published")?.ack();
        }
        consumer.close().finished().await;
        Ok(())
    }
}
