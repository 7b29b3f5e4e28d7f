//! The worker's parts, and how they hang together. The only file that knows
//! every part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::available_parallelism;
use std::time::Duration;

use deadpool_postgres::Pool;
use prometheus::Registry;
use tagfleet_shared::admin::{self, Check};
use tagfleet_shared::broker::{Broker, Lanes, first_silent};
use tagfleet_shared::patience::patiently;
use tagfleet_shared::{db, tls};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::WorkerConfig;
use crate::decoding::DecodeThreads;
use crate::download::Downloader;
use crate::hold::Holder;
use crate::inference::Inference;
use crate::known::KnownImages;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::model::{Loaded, Loader, ModelSet, OnnxModel, Runtime};
use crate::pipeline::Pipeline;
use crate::record::Recorder;
use crate::worker::Worker;

/// How often what can only be sampled is sampled for `/metrics`.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// A worker that is ready to run.
pub struct App {
    worker: Arc<Worker>,
    broker: Broker,
    pool: Pool,
    config: WorkerConfig,
    registry: Registry,
}

impl App {
    /// Opens everything: a worker that starts is a worker that works.
    ///
    /// # Errors
    ///
    /// If the model set does not hold together, or a server stays away.
    pub async fn build(config: WorkerConfig) -> anyhow::Result<Self> {
        tls::install();
        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let Loaded { set, models } = load_models(&config, &metrics)?;

        let pool = db::pool(&config.database)?;
        let missing = patiently("the database", || db::missing_migrations(&pool)).await?;
        anyhow::ensure!(
            missing.is_empty(),
            "the database lacks {}: run `tagfleet-scheduler migrate`",
            missing.join(", ")
        );
        let model_set = patiently("the database", || register(&pool, &set)).await?;
        let broker = patiently("the broker", || Broker::connect(&config.broker, "tagfleet-worker")).await?;

        let lookup = Lookup::new(pool.clone(), model_set, metrics.clone());
        let remember = config.work.remember_failures;
        let recorder = Recorder::new(pool.clone(), model_set, set.defaults(), remember, metrics.clone());
        let worker = Worker {
            pipeline: Arc::new(build_pipeline(&config, &set, models, Some(lookup), metrics.clone())?),
            recorder,
            publisher: broker.publisher(),
            retry_delays: config.broker.retry_delays.clone(),
            returns: config.work.returns,
            alone: Mutex::default(),
            holder: Holder::new(metrics.clone()),
            metrics,
        };
        Ok(Self { worker: Arc::new(worker), broker, pool, config, registry })
    }

    /// Works until `stop`, then drains.
    ///
    /// # Errors
    ///
    /// If the admin port cannot be opened.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let address = self.open().await?;
        address.run(stop).await;
        Ok(())
    }

    /// Opens the admin port and starts to consume.
    ///
    /// # Errors
    ///
    /// If the admin port cannot be opened.
    pub async fn open(self) -> anyhow::Result<Open> {
        let lanes = Lanes::consume(&self.broker, self.config.lanes, self.config.work.prefetch);
        let receiving = lanes.receiving();
        let checks = vec![
            Check::new("models", {
                let pipeline = self.worker.pipeline.clone();
                move || {
                    let well = pipeline.models.is_well();
                    std::future::ready(if well { Ok(()) } else { Err("they fail on every picture".into()) })
                }
            }),
            Check::database(self.pool.clone()),
            Check::broker(self.broker.clone()),
            Check::new("consumers", {
                let receiving = receiving.clone();
                move || {
                    let silent = first_silent(&receiving);
                    std::future::ready(silent.map_or(Ok(()), |lane| Err(format!("not consuming {lane}"))))
                }
            }),
        ];
        let admin = admin::serve(&self.config.admin, self.registry.clone(), checks).await?;

        let (worker, pool) = (self.worker.clone(), self.pool.clone());
        let sampler = tokio::spawn(async move {
            let mut every = tokio::time::interval(SAMPLE_EVERY);
            loop {
                every.tick().await;
                let lanes: Vec<_> =
                    receiving.iter().map(|(lane, on)| (*lane, on.load(Ordering::Relaxed))).collect();
                worker.metrics.sample(pool.status(), worker.pipeline.known.images(), &lanes);
            }
        });
        Ok(Open { app: self, lanes, sampler, admin })
    }
}

/// A worker that consumes.
pub struct Open {
    app: App,
    lanes: Lanes,
    sampler: tokio::task::JoinHandle<()>,
    /// Where the admin port is.
    pub admin: SocketAddr,
}

impl Open {
    /// Works until `stop`, then drains.
    pub async fn run(self, stop: CancellationToken) {
        let work = &self.app.config.work;
        self.app.worker.run(self.lanes, work.prefetch, work.grace, stop).await;
        self.sampler.abort();
        info!("stopped");
    }
}

/// Loads the model set, one copy of its models for each session.
///
/// # Errors
///
/// If ONNX Runtime is missing or too old, or the device cannot be had; else
/// everything that is wrong with the manifest and the models, at once.
pub fn load_models(config: &WorkerConfig, metrics: &Metrics) -> anyhow::Result<Loaded> {
    let runtime = Runtime::open(&config.runtime)?;
    let sessions = match config.models.sessions {
        0 if runtime.provider() != "cpu" => 1,
        0 => cores(),
        sessions => sessions,
    };
    let loader =
        Loader { runtime, sessions, max_batch: config.models.max_batch, limits: config.decode.clone() };
    let loaded = loader.load(&config.models.dir)?;
    metrics.models_loaded(loaded.set.name(), loaded.set.digest(), loader.runtime.provider());
    Ok(loaded)
}

/// Puts the stages together; without `lookup` for the pipeline without a database.
///
/// # Errors
///
/// If the settings of the downloader make no sense or threads are not to be had.
pub fn build_pipeline(
    config: &WorkerConfig,
    set: &ModelSet,
    models: Vec<OnnxModel>,
    lookup: Option<Lookup>,
    metrics: Metrics,
) -> anyhow::Result<Pipeline> {
    let threads = if config.work.decode_threads == 0 { cores() } else { config.work.decode_threads };
    Ok(Pipeline {
        pictures: Semaphore::new(config.work.pictures),
        known: KnownImages::new(&config.cache, lookup, metrics.clone()),
        downloader: Downloader::new(config.download.clone())?,
        decoder: DecodeThreads::start(threads, &set.input_sizes(), &config.decode, &metrics)?,
        models: Inference::start(models, &set.input_sizes(), config.models.max_batch, &metrics)?,
        metrics,
    })
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Gives the set its short name in the database; the same one every time.
async fn register(pool: &Pool, set: &ModelSet) -> Result<i32, db::DbError> {
    const SQL: &str = "
        WITH new AS (
            INSERT INTO model_sets (digest, name) VALUES ($1, $2)
            ON CONFLICT (digest) DO NOTHING RETURNING id
        )
        SELECT id FROM new UNION ALL SELECT id FROM model_sets WHERE digest = $1";
    let client = pool.get().await?;
    let row = client.query_opt(SQL, &[&set.digest(), &set.name()]).await?;
    match row {
        Some(row) => Ok(row.get(0)),
        // Another worker's insert was under way; it is there now.
        None => Ok(client
            .query_one("SELECT id FROM model_sets WHERE digest = $1", &[&set.digest()])
            .await?
            .get(0)),
    }
}
