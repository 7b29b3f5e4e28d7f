//! The console's parts, and how they hang together. The only file that knows
//! every part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use prometheus::Registry;
use tagfleet_shared::admin::{self, Check};
use tagfleet_shared::broker::Broker;
use tagfleet_shared::patience::patiently;
use tagfleet_shared::{db, failpoint, tls};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::announce::Announcer;
use crate::auth::Auth;
use crate::config::ConsoleConfig;
use crate::metrics::Metrics;
use crate::routes;
use crate::state::{self, Console};
use crate::store::audit;
use crate::store::turns::Turns;
use crate::thumbnails::Thumbnails;

/// How often what can only be sampled is sampled for `/metrics`.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// How often refusals that have no line of their own are noted.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// A console that is ready to run.
pub struct App {
    console: Console,
    registry: Registry,
}

impl App {
    /// Opens everything: a console that starts is a console that works.
    ///
    /// # Errors
    ///
    /// If the schema is not there or too old, a server stays away, or nobody is asked for a
    /// login on an address that others can reach.
    pub async fn build(config: ConsoleConfig, dev_insecure: bool) -> anyhow::Result<Self> {
        tls::install();
        let listen = config.http.listen;
        anyhow::ensure!(
            !dev_insecure || listen.ip().is_loopback(),
            "--dev-insecure asks nobody for a login: set http.listen ({listen}) to a loopback address, like 127.0.0.1:8080"
        );
        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let pool = db::pool(&config.database)?;
        db::ensure_migrated(&pool).await?;
        let broker = patiently("the broker", || Broker::connect(&config.broker, "tagfleet-console")).await?;
        let auth = Arc::new(Auth::new(&config, pool.clone(), dev_insecure)?);
        let console = Console {
            dead: Arc::new(Turns::new(pool.clone())),
            pool,
            publisher: Arc::new(broker.publisher()),
            broker,
            classifying: Arc::new(Semaphore::new(config.classify.at_once)),
            choosing: Arc::new(state::choosing(config.database.pool_size)),
            writes: TaskTracker::new(),
            thumbnails: Thumbnails::new(&config.thumbnails, &config.download)?,
            config: Arc::new(config),
            auth,
            metrics,
        };
        Ok(Self { console, registry })
    }

    /// Answers until `stop`, then finishes what was asked.
    ///
    /// # Errors
    ///
    /// If a port cannot be opened.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.open().await?.run(stop).await;
        Ok(())
    }

    /// Opens both ports.
    ///
    /// # Errors
    ///
    /// If one cannot be opened.
    pub async fn open(self) -> anyhow::Result<Open> {
        let Self { console, registry } = self;
        let checks = vec![Check::database(console.pool.clone()), Check::broker(console.broker.clone())];
        let admin = admin::serve(&console.config.admin, registry, checks, failpoint::actions()).await?;
        let listen = console.config.http.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("http.listen {listen}"))?;
        let address = listener.local_addr()?;
        if console.auth.is_insecure() {
            warn!(%address, "nobody is asked for a login, and everybody may do everything");
        }
        info!(%address, "console open on http://{address}");
        let router = routes::all(&console).router();
        Ok(Open { console, router, listener, admin, address })
    }
}

/// Has refusals that were too many for lines of their own in one line.
async fn note_refusals(console: &Console) {
    let limits = &console.auth.limits;
    let refusals = limits.unnoted();
    if refusals == 0 {
        return;
    }
    match audit::refused_more(&console.pool, refusals).await {
        Ok(()) => limits.noted(refusals),
        Err(error) => warn!(%error, refusals, "refusals could not be noted yet"),
    }
}

/// A console that answers.
pub struct Open {
    console: Console,
    router: Router,
    listener: TcpListener,
    /// Where the admin port is.
    pub admin: SocketAddr,
    /// Where people and programs come in.
    pub address: SocketAddr,
}

impl Open {
    /// Answers until `stop`; what the grace period cuts off is asked again by whoever asked.
    pub async fn run(self, stop: CancellationToken) {
        let Self { console, router, listener, .. } = self;
        let sampled = console.clone();
        let sampler = tokio::spawn(async move {
            let mut every = tokio::time::interval(SAMPLE_EVERY);
            loop {
                every.tick().await;
                sampled.metrics.sample(sampled.pool.status());
                sampled.auth.limits.forget();
            }
        });
        let noted = console.clone();
        let noting = tokio::spawn(async move {
            let mut every = tokio::time::interval(NOTE_EVERY);
            loop {
                every.tick().await;
                note_refusals(&noted).await;
            }
        });
        let announcer = tokio::spawn(Announcer::of(&console).run(stop.clone()));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let asked = stop.clone();
        let serving = axum::serve(listener, service).with_graceful_shutdown(asked.cancelled_owned());
        let serving = tokio::spawn(serving.into_future());
        let abandon = serving.abort_handle();
        stop.cancelled().await;
        let ended = async {
            let _ = serving.await;
            // Those whose callers have hung up.
            console.writes.close();
            console.writes.wait().await;
        };
        if tokio::time::timeout(console.config.shutdown.grace, ended).await.is_err() {
            warn!("grace period over, abandoning requests in flight");
            abandon.abort();
        }
        sampler.abort();
        noting.abort();
        let _ = noting.await;
        note_refusals(&console).await;
        // A step of it is a transaction: one that is cut off is done again.
        let _ = tokio::time::timeout(console.config.shutdown.grace, announcer).await;
        info!("stopped");
    }
}
