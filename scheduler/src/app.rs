//! The scheduler's parts, and how they hang together. The only file that knows
//! every part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadpool_postgres::Pool;
use prometheus::Registry;
use tagfleet_shared::admin::{self, Check};
use tagfleet_shared::broker::{Broker, Consumer, IMAGE_CHANGED, SCRAPE_FINISHED};
use tagfleet_shared::db::DatabaseConfig;
use tagfleet_shared::patience::patiently;
use tagfleet_shared::traces::Traces;
use tagfleet_shared::{db, failpoint, shutdown, tls};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::announce::Announcer;
use crate::changes::Changes;
use crate::changes::intake::{self, Intake};
use crate::config::SchedulerConfig;
use crate::fan_out::FanOut;
use crate::housekeeping::Housekeeping;
use crate::late::LateImages;
use crate::manifest::Manifests;
use crate::metrics::Metrics;
use crate::patient_publisher::PatientPublisher;
use crate::sampling::Sampling;
use crate::sweep::Sweep;

/// A scheduler that is ready to run.
pub struct App {
    config: SchedulerConfig,
    registry: Registry,
    metrics: Metrics,
    pool: Pool,
    broker: Broker,
    manifests: Manifests,
    traces: Traces,
}

impl App {
    /// Opens everything: a scheduler that starts is a scheduler that works.
    ///
    /// # Errors
    ///
    /// If the schema is not there or too old, or a server stays away.
    pub async fn build(config: SchedulerConfig, traces: Traces) -> anyhow::Result<Self> {
        tls::install();
        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let manifests = Manifests::new(&config.fan_out)?;
        let pool = db::pool(&config.database)?;
        db::ensure_migrated(&pool).await?;
        let broker =
            patiently("the broker", || Broker::connect(&config.broker, "tagfleet-scheduler")).await?;
        Ok(Self { config, registry, metrics, pool, broker, manifests, traces })
    }

    /// Works until `stop`, then drains.
    ///
    /// # Errors
    ///
    /// If the admin port cannot be opened.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.open().await?.run(stop).await;
        Ok(())
    }

    /// Opens the admin port and starts to consume.
    ///
    /// # Errors
    ///
    /// If the admin port cannot be opened.
    pub async fn open(self) -> anyhow::Result<Open> {
        // Whether the database is there is not to be told by whether a connection is free.
        let probe = db::pool(&DatabaseConfig { pool_size: 1, ..self.config.database.clone() })?;
        let queue = self.broker.topology().finished_queue();
        let events = self.broker.consume(queue, self.config.fan_out.scrapes_at_once);
        let changes = self.broker.consume(self.broker.topology().changed_queue(), intake::AT_ONCE);
        let checks = self.checks(probe, [(SCRAPE_FINISHED, &events), (IMAGE_CHANGED, &changes)]);
        let actions = failpoint::actions();
        let admin = admin::serve(&self.config.admin, self.registry.clone(), checks, actions).await?;
        Ok(Open { app: self, events, changes, admin })
    }

    fn checks(&self, probe: Pool, consumers: [(&'static str, &Consumer); 2]) -> Vec<Check> {
        let receiving = consumers.map(|(event, consumer)| (event, consumer.is_receiving()));
        let consumer = move || {
            let silent = receiving.iter().find(|(_, receiving)| !receiving.load(Ordering::Relaxed));
            std::future::ready(silent.map_or(Ok(()), |(event, _)| Err(format!("not consuming {event}"))))
        };
        vec![Check::database(probe), Check::broker(self.broker.clone()), Check::new("consumers", consumer)]
    }

    fn fan_out(&self, stop: &CancellationToken) -> FanOut {
        FanOut {
            pool: self.pool.clone(),
            publisher: PatientPublisher::new(&self.broker, self.metrics.clone(), stop.clone()),
            manifests: self.manifests.clone(),
            lanes: self.config.lanes,
            page_size: self.config.fan_out.page_size,
            sampling: Sampling::of(&self.config.traces),
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        }
    }

    fn intake(&self, stop: &CancellationToken) -> Intake {
        Intake {
            pool: self.pool.clone(),
            publisher: PatientPublisher::new(&self.broker, self.metrics.clone(), stop.clone()),
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        }
    }

    /// Starts what goes on beside the fan-outs, until `stop`.
    fn start_loops(&self, changed: Consumer, stop: &CancellationToken) -> TaskTracker {
        let (pool, metrics) = (self.pool.clone(), self.metrics.clone());
        let sampling = Sampling::of(&self.config.traces);
        let (late, late_count) = LateImages::new(pool.clone(), self.config.announce.in_time, metrics.clone());
        let announcer = Announcer {
            pool: pool.clone(),
            publisher: self.broker.publisher(),
            every: self.config.announce.every,
            late,
            sampling,
            traces: self.traces.clone(),
            metrics: metrics.clone(),
        };
        let changes = Changes {
            pool: pool.clone(),
            publisher: self.broker.publisher(),
            coalesce: self.config.changes.coalesce,
            every: self.config.announce.every,
            in_time: self.config.announce.in_time,
            most: self.config.fan_out.page_size,
            metrics: metrics.clone(),
        };
        let sweep = Sweep {
            pool: pool.clone(),
            broker: self.broker.clone(),
            publisher: self.broker.publisher(),
            config: self.config.sweep,
            page_size: self.config.fan_out.page_size,
            sampling,
            metrics: metrics.clone(),
        };
        let housekeeping = Housekeeping {
            pool,
            broker: self.broker.clone(),
            retention: self.config.retention,
            stuck_after: self.config.alerts.stuck_after,
            metrics,
        };

        let loops = TaskTracker::new();
        loops.spawn(announcer.run(stop.clone()));
        loops.spawn(late_count.run(stop.clone()));
        loops.spawn(self.intake(stop).run(changed));
        loops.spawn(changes.run(stop.clone()));
        loops.spawn(sweep.run(stop.clone()));
        loops.spawn(housekeeping.run(stop.clone()));
        loops.close();
        loops
    }
}

/// A scheduler that consumes.
pub struct Open {
    app: App,
    events: Consumer,
    changes: Consumer,
    /// The address of the admin port, with the port that the system chose where `admin.listen` says 0.
    pub admin: SocketAddr,
}

impl Open {
    /// Works until `stop`. Then fan-outs end at their next page; what the grace
    /// period cuts off is delivered again and goes on elsewhere.
    pub async fn run(mut self, stop: CancellationToken) {
        let loops = self.app.start_loops(self.changes, &stop);
        let fan_out = Arc::new(self.app.fan_out(&stop));
        let (fan_outs, abandon) = (TaskTracker::new(), CancellationToken::new());
        // The broker sends at most `scrapes_at_once` unsettled events, but as many
        // again after each reconnect, while the old ones are still at work.
        let permits = Arc::new(Semaphore::new(usize::from(self.app.config.fan_out.scrapes_at_once)));
        loop {
            let next = async {
                let permit = permits.clone().acquire_owned().await.ok()?;
                Some((self.events.next().await, permit))
            };
            let Some(Some((received, permit))) = stop.run_until_cancelled(next).await else { break };
            let fan_out = fan_out.clone();
            let work = async move {
                fan_out.work(received).await;
                drop(permit);
            };
            fan_outs.spawn(abandon.clone().run_until_cancelled_owned(work));
        }

        let closing = self.events.close();
        let grace = self.app.config.shutdown.grace;
        let loops_ended = tokio::time::timeout(grace, loops.wait());
        // A loop that is late is cut off when the process ends: each of its
        // steps is a transaction.
        let _ = tokio::join!(shutdown::drain(fan_outs, abandon, grace), loops_ended);
        closing.finished().await;
        info!("stopped");
    }
}
