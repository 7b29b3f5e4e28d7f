//! A whole fleet in one test: scheduler and workers in this process, on real
//! servers, with a database and a queue prefix of their own.

mod ask;

use std::net::SocketAddr;

use tagfleet_console::config as console;
use tagfleet_loadtest::origin::{Content, Origin, Response};
use tagfleet_scheduler::app::App as Scheduler;
use tagfleet_scheduler::config as scheduler;
use tagfleet_shared::broker::{Broker, BrokerConfig, SCRAPE_TAGGED};
use tagfleet_shared::config;
use tagfleet_shared::traces::Traces;
use tagfleet_worker::app::App as Worker;
use tagfleet_worker::config as worker;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::ask::Announcements;
pub use self::ask::Row;
use crate::process::path_of;
use crate::{Console, Process, Services, TestDatabase, eventually, jpeg};

/// How a fleet differs from the usual one.
pub struct Options {
    /// Schedulers in this process.
    pub schedulers: usize,
    /// Workers in this process.
    pub workers: usize,
    /// Settings of all of them, like `("TAGFLEET__WORK__PREFETCH", "16")`;
    /// each process takes those that it knows.
    pub settings: Vec<(&'static str, String)>,
    /// Other servers than those that all tests share.
    pub services: Option<Services>,
}

impl Default for Options {
    fn default() -> Self {
        Self { schedulers: 1, workers: 1, settings: Vec::new(), services: None }
    }
}

/// A scheduler or worker in this process.
pub struct Running {
    /// Where its admin port is.
    pub admin: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Scheduler, workers, a host of pictures, and everything to look at them with.
pub struct Fleet {
    /// The host of pictures.
    pub origin: Origin,
    /// The database.
    pub database: TestDatabase,
    /// The broker, as a neighbour of the fleet sees it.
    pub broker: Broker,
    /// Schedulers in this process.
    pub schedulers: Vec<Running>,
    /// Workers in this process.
    pub workers: Vec<Running>,
    settings: Vec<(String, String)>,
    announcements: Mutex<Announcements>,
}

impl Fleet {
    /// The usual one.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Another one.
    pub async fn with(options: Options) -> Self {
        let services = options.services.unwrap_or_else(Services::shared);
        let database = TestDatabase::create(&services.database_url).await;
        let prefix = format!("test-{}", Uuid::new_v4().simple());
        let mut settings = defaults(&services, &database.url, &prefix);
        settings.extend(options.settings.into_iter().map(|(name, value)| (name.to_owned(), value)));

        // A dozen queues want their members of a broker that many tests ask at once.
        let config = broker_config(&settings);
        let broker =
            eventually("RabbitMQ is there", || async { Broker::connect(&config, "test").await.ok() }).await;
        let consumer =
            eventually("announcements are heard", || async { broker.listen(SCRAPE_TAGGED).await.ok() }).await;
        let announcements = Mutex::new(Announcements::of(consumer));
        let origin = Origin::start(Content::Nothing).unwrap();
        let mut fleet = Self {
            origin,
            database,
            broker,
            schedulers: Vec::new(),
            workers: Vec::new(),
            settings,
            announcements,
        };
        for _ in 0..options.schedulers {
            fleet.start_scheduler().await;
        }
        for _ in 0..options.workers {
            fleet.start_worker().await;
        }
        fleet
    }

    /// One more scheduler in this process.
    pub async fn start_scheduler(&mut self) {
        let settings = known(scheduler::DEFAULTS, &self.settings);
        let config = config::load(scheduler::DEFAULTS, None, settings).unwrap().config;
        let open = Scheduler::build(config, Traces::off()).await.unwrap().open().await.unwrap();
        let (admin, stop) = (open.admin, CancellationToken::new());
        let task = tokio::spawn(open.run(stop.clone()));
        self.schedulers.push(Running { admin, stop, task });
    }

    /// One more worker in this process.
    pub async fn start_worker(&mut self) {
        let settings = known(worker::DEFAULTS, &self.settings);
        let config = config::load(worker::DEFAULTS, None, settings).unwrap().config;
        let open = Worker::build(config).await.unwrap().open().await.unwrap();
        let (admin, stop) = (open.admin, CancellationToken::new());
        let task = tokio::spawn(open.run(stop.clone()));
        self.workers.push(Running { admin, stop, task });
    }

    /// One console in this process, which asks for a login or a token.
    pub async fn start_console(&self) -> Console {
        Console::start(self.settings_of_console(), self.database.pool.clone(), false).await
    }

    /// One console in this process, for a browser that has no login.
    pub async fn start_insecure_console(&self) -> Console {
        Console::start(self.settings_of_console(), self.database.pool.clone(), true).await
    }

    /// The settings of a console of this fleet, as environment variables.
    pub fn settings_of_console(&self) -> Vec<(String, String)> {
        known(console::DEFAULTS, &self.settings)
    }

    /// Changes a setting of whoever is started from now on.
    pub fn change(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// One more worker, as a process.
    pub fn spawn_worker(&self) -> Process {
        Process::run("tagfleet-worker", &known(worker::DEFAULTS, &self.settings))
    }

    /// One more scheduler, as a process.
    pub fn spawn_scheduler(&self) -> Process {
        Process::run("tagfleet-scheduler", &known(scheduler::DEFAULTS, &self.settings))
    }

    /// The settings of a scheduler of this fleet, as environment variables.
    pub fn settings_of_scheduler(&self) -> Vec<(String, String)> {
        known(scheduler::DEFAULTS, &self.settings)
    }

    /// The settings of a worker of this fleet, as environment variables.
    pub fn settings_of_worker(&self) -> Vec<(String, String)> {
        known(worker::DEFAULTS, &self.settings)
    }

    /// Puts a picture of its own on the host; its URL.
    pub fn picture(&self, path: &str) -> String {
        self.origin.put(path, Response::jpeg(jpeg()));
        self.origin.url(path)
    }

    /// Waits until the host was asked for `path` so often.
    pub async fn requested(&self, path: &str, times: u64) {
        let asked = tokio::time::timeout(crate::PATIENCE, self.origin.until_requested(path, times)).await;
        assert!(asked.is_ok(), "{path} was requested {} times", self.origin.requests(path));
    }

    /// Puts `count` pictures of their own on the host; their URLs.
    pub fn pictures(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| self.picture(&format!("/{}-{n}.jpg", Uuid::new_v4().simple()))).collect()
    }

    /// Stops everything, sees that the queues end empty, and deletes them.
    pub async fn end(mut self) {
        self.stop().await;
        // With nobody left to hold a message, all that is there is ready.
        self.queues_are_empty().await;
        self.clean_up().await;
    }

    /// Stops everything and deletes the queues, whatever is in them.
    pub async fn abandon(mut self) {
        self.stop().await;
        self.clean_up().await;
    }

    async fn stop(&mut self) {
        for running in self.workers.drain(..).chain(self.schedulers.drain(..)) {
            running.stop().await;
        }
    }

    async fn clean_up(self) {
        self.announcements.into_inner().consumer.close().finished().await;
        eventually("the queues are deleted", || async { self.broker.delete_everything().await.ok() }).await;
    }
}

/// Small and quick, and allowed to talk to this machine.
fn defaults(services: &Services, database: &str, prefix: &str) -> Vec<(String, String)> {
    let models = crate::repository().join("models/default");
    [
        ("LOG__FILTER", "info"),
        ("ADMIN__LISTEN", "127.0.0.1:0"),
        ("BROKER__URL", &services.amqp_url),
        ("BROKER__PREFIX", prefix),
        ("BROKER__RETRY_DELAYS", "200ms,400ms"),
        ("DATABASE__URL", database),
        ("DATABASE__POOL_SIZE", "10"),
        ("WORK__PREFETCH", "32"),
        ("WORK__DECODE_THREADS", "1"),
        ("WORK__GRACE", "20s"),
        ("SHUTDOWN__GRACE", "20s"),
        ("DOWNLOAD__ALLOW_NETWORKS", "127.0.0.1/32"),
        ("DECODERS__PROGRAM", &path_of("tagfleet-worker").display().to_string()),
        ("MODELS__DIR", &models.display().to_string()),
        ("MODELS__SESSIONS", "1"),
        ("RUNTIME__LIBRARY", &services.onnxruntime.display().to_string()),
        ("ANNOUNCE__EVERY", "50ms"),
        ("CHANGES__COALESCE", "100ms"),
        ("HTTP__LISTEN", "127.0.0.1:0"),
    ]
    .map(|(name, value)| (format!("{}{name}", config::ENV_PREFIX), value.to_owned()))
    .to_vec()
}

/// Those of `settings` that a binary with these `defaults` knows.
fn known(defaults: &str, settings: &[(String, String)]) -> Vec<(String, String)> {
    let knows = |name: &str| {
        let key = name.strip_prefix(config::ENV_PREFIX).unwrap_or(name).to_lowercase();
        let (section, key) = key.rsplit_once("__").expect("a section and a key");
        let section = format!("\n[{}]\n", section.replace("__", "."));
        defaults.split_once(&section).is_some_and(|(_, rest)| {
            let rest = rest.split("\n[").next().unwrap_or(rest);
            rest.lines().any(|line| line.starts_with(&format!("{key} =")))
        })
    };
    settings.iter().filter(|(name, _)| knows(name)).cloned().collect()
}

fn broker_config(settings: &[(String, String)]) -> BrokerConfig {
    let known = known(worker::DEFAULTS, settings);
    let loaded = config::load::<worker::WorkerConfig>(worker::DEFAULTS, None, known).unwrap();
    loaded.config.broker
}
