//! The worker's parts, and how they hang together. The only file that knows
//! every part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Pool;
use prometheus::Registry;
use tagfleet_download::Downloader;
use tagfleet_download::permits::Permits;
use tagfleet_shared::admin::{self, Action, Check};
use tagfleet_shared::broker::{Broker, Consumer, Lanes, Topology, first_silent};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::patience::patiently;
use tagfleet_shared::{db, failpoint, tls};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::WorkerConfig;
use crate::elsewhere::Elsewhere;
use crate::hold::OutageLog;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::questions::{self, Questions};
use crate::record::Recorder;
use crate::report::{self, Reporter};
use crate::retries::Retries;
use crate::sets::{Reloader, SetAtWork, SetLoader, Sets, register};
use crate::trials::Trials;
use crate::usage::{Usage, open_as_many_as_allowed};
use crate::worker::{Sources, Worker};

/// How often what can only be sampled is sampled for `/metrics`.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What is open beside a connection for each job that waits for a host: those that are kept, to servers
/// and decoders, models.
const OTHER_FILES: u64 = 512;

/// A worker that is ready to run.
pub struct App {
    worker: Arc<Worker>,
    broker: Broker,
    pool: Pool,
    config: WorkerConfig,
    registry: Registry,
    reloader: Arc<Reloader>,
    hangup: Signal,
}

impl App {
    /// Opens everything: a worker that starts is a worker that works.
    ///
    /// # Errors
    ///
    /// If the model set does not hold together, or a server stays away.
    pub async fn build(config: WorkerConfig) -> anyhow::Result<Self> {
        tls::install();
        // Before anything takes time: unheard, the signal ends the process.
        let hangup = signal(SignalKind::hangup())?;
        if let Some(files) = open_as_many_as_allowed()
            && files < u64::from(config.work.prefetch) + OTHER_FILES
        {
            warn!(
                files,
                "the hard limit lets few files be open: while many hosts are slow, downloads fail for it"
            );
        }
        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let loader = Arc::new(SetLoader::open(&config, &metrics)?);
        let loaded = loader.load()?;

        let pool = db::pool_by_keys(&config.database)?;
        db::ensure_migrated(&pool).await?;
        let id = patiently("the database", || register(&pool, &loaded.set)).await?;
        let broker = patiently("the broker", || Broker::connect(&config.broker, "tagfleet-worker")).await?;

        let lookup = Lookup::new(pool.clone(), id, loader.freshness(), metrics.clone());
        let set = loader.start(loaded, id, Some(lookup))?;
        let pipeline = Arc::new(build_pipeline(&config, set, metrics.clone())?);
        let reloader = Reloader::new(loader, pool.clone(), pipeline.sets.clone(), metrics.clone());
        let (retries, outages) =
            (Retries::new(config.broker.retry_delays.clone()), OutageLog::new(metrics.clone()));
        let worker = Worker {
            pipeline,
            recorder: Recorder::new(pool.clone(), config.work.remember_failures, metrics.clone()),
            retries,
            elsewhere: Elsewhere {
                publisher: broker.publisher(),
                outages: outages.clone(),
                metrics: metrics.clone(),
            },
            trials: Trials { pool: pool.clone(), outages: outages.clone() },
            config: config.work.clone(),
            outages,
            metrics,
        };
        let (worker, reloader) = (Arc::new(worker), Arc::new(reloader));
        Ok(Self { worker, broker, pool, config, registry, reloader, hangup })
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
    pub async fn open(mut self) -> anyhow::Result<Open> {
        let lanes = Lanes::consume(&self.broker, self.config.lanes, self.config.work.prefetch);
        let suspects = self.broker.consume(self.broker.topology().suspects(), 1);
        let sources = Sources { lanes, suspects };
        let (receiving, tried) = (sources.lanes.receiving(), sources.suspects.is_receiving());
        let checks = vec![
            Check::new("models", {
                let pipeline = self.worker.pipeline.clone();
                move || {
                    let well = pipeline.sets.now().models.is_well();
                    std::future::ready(if well { Ok(()) } else { Err("they fail on every picture".into()) })
                }
            }),
            Check::database(self.pool.clone()),
            Check::broker(self.broker.clone()),
            Check::new("consumers", {
                let receiving = receiving.clone();
                move || {
                    let silent = first_silent(&receiving).map(Lane::as_str);
                    let silent = silent.or((!tried.load(Ordering::Relaxed)).then_some("suspects"));
                    std::future::ready(silent.map_or(Ok(()), |queue| Err(format!("not consuming {queue}"))))
                }
            }),
        ];
        let reloader = self.reloader.clone();
        let reload = Action::new("/models/reload", move || {
            let reloader = reloader.clone();
            async move { reloader.reload().await.map_err(|error| format!("{error:#}")) }
        });
        let actions = std::iter::once(reload).chain(failpoint::actions()).collect();
        let admin = admin::serve(&self.config.admin, self.registry.clone(), checks, actions).await?;
        let reloader = self.reloader.clone();
        let hangups = tokio::spawn(async move {
            while self.hangup.recv().await.is_some() {
                // A refusal is told where it happens.
                let _ = reloader.reload().await;
            }
        });

        let questions =
            Questions { pipeline: self.worker.pipeline.clone(), publisher: self.broker.publisher() };
        let asked = self.broker.questions(questions::AT_ONCE);
        let (worker, pool) = (self.worker.clone(), self.pool.clone());
        worker.metrics.limited_to(self.config.work.prefetch);
        let sets = worker.pipeline.sets.clone();
        let reporter =
            Reporter::new(&self.config.report, pool.clone(), sets, &worker.metrics, receiving.clone());
        let reporter = tokio::spawn(reporter.run());
        let sampler = tokio::spawn(async move {
            let mut every = tokio::time::interval(SAMPLE_EVERY);
            loop {
                every.tick().await;
                worker.metrics.sample_machine(Usage::now(), worker.pipeline.downloader.hosts());
                let lanes: Vec<_> =
                    receiving.iter().map(|(lane, on)| (*lane, on.load(Ordering::Relaxed))).collect();
                worker.metrics.sample(pool.status(), worker.pipeline.sets.now().known.images(), &lanes);
            }
        });
        let questions = (questions, asked);
        Ok(Open {
            worker: self.worker,
            pool: self.pool,
            sources,
            questions,
            helpers: [sampler, hangups, reporter],
            admin,
        })
    }
}

/// A worker that consumes.
pub struct Open {
    worker: Arc<Worker>,
    sources: Sources,
    questions: (Questions, Consumer),
    helpers: [tokio::task::JoinHandle<()>; 3],
    pool: Pool,
    /// The address of the admin port, with the port that the system chose where `admin.listen` says 0.
    pub admin: SocketAddr,
}

impl Open {
    /// Works until `stop`, then drains.
    pub async fn run(self, stop: CancellationToken) {
        let (questions, asked) = self.questions;
        tokio::join!(self.worker.run(self.sources, stop.clone()), questions.run(asked, stop));
        self.helpers.iter().for_each(tokio::task::JoinHandle::abort);
        report::withdraw(&self.pool).await;
        info!("stopped");
    }
}

/// Puts the stages together.
///
/// # Errors
///
/// If the settings of the downloader make no sense.
pub fn build_pipeline(config: &WorkerConfig, set: SetAtWork, metrics: Metrics) -> anyhow::Result<Pipeline> {
    let delays = Topology::delays(&config.broker.retry_delays);
    Ok(Pipeline {
        pictures: Permits::new(config.work.pictures, config.lanes),
        sets: Arc::new(Sets::new(set, metrics.clone())),
        downloader: Downloader::new(config.download.clone(), config.lanes, delays)?,
        metrics,
    })
}
