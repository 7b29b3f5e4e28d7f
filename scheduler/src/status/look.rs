//! What there is to see of the fleet.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::broker::{Broker, Outgoing};
use tagfleet_shared::db::DbError;
use tagfleet_shared::ending::in_one_line;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::reports::{EndingsReport, FailedImage};
use tagfleet_shared::wall_clock;

use super::alerts::{self, Alert};
use crate::config::SchedulerConfig;
use crate::queues::{self, Queue};
use crate::store::{self, Recent, Standing, Worker};

/// Failures that are told.
const FAILURES: usize = 10;

/// The longest that a server may take to answer: whoever asks is in a hurry.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that a single statement may take, so that one that counts much leaves time for the others.
pub(super) const STATEMENT: Duration = Duration::from_millis(2500);

/// The longest that a broker that is well needs to take a message, a connection for it included.
const CONFIRMED: Duration = Duration::from_secs(3);

/// What `status` does not know, and who does.
///
/// With the alert of each: a test sees to it that every alert of the chart is known, or named here.
pub(super) const UNKNOWN: [&str; 5] = [
    "unacknowledged: only what workers have begun; what the broker has sent them beyond that is in `untagged`",
    "how long a condition has lasted, what was usual before (shares are judged by their ceilings alone, and over all model sets), and what went on for days (TagfleetServiceLevelSlow, TagfleetCacheCollapsed): see Grafana",
    "what single processes cannot reach, though this one can, and a queue that takes no more: see /readyz and the logs",
    "what single processes say of themselves (TagfleetRestartLoop, TagfleetDatabaseConnectionsShort): see their /metrics and logs",
    "what only the cluster knows (TagfleetDiskFull, TagfleetCertificateEnds)",
];

/// The fleet at one moment. What a server that is away would have told is missing.
#[derive(Debug, Serialize)]
pub struct Status {
    /// When it was looked.
    pub at: Timestamp,
    /// The broker and the database.
    pub servers: Vec<ServerStatus>,
    /// Why the broker takes no messages, though it answers.
    pub publishing_error: Option<String>,
    /// Every lane.
    pub lanes: Vec<LaneStatus>,
    /// Scrapes that are not tagged yet, and the events of those to come.
    pub scrapes: Option<ScrapesStatus>,
    /// The last hour.
    pub recent: Option<RecentStatus>,
    /// What came of the images of the last quarter of an hour, by the last reports of the workers.
    pub endings: Option<EndingsReport>,
    /// Every queue.
    pub queues: Option<Vec<QueueStatus>>,
    /// Every worker that reports.
    pub workers: Option<Vec<WorkerStatus>>,
    /// The last images that were skipped or defaulted.
    pub failures: Vec<FailedImage>,
    /// Alerts that would fire if this lasts.
    pub alerts: Vec<Alert>,
    /// What is not known here.
    pub unknown: [&'static str; 5],
}

/// How one of our servers answered.
#[derive(Debug, Serialize)]
pub struct ServerStatus {
    /// `broker` or `database`.
    pub server: &'static str,
    /// How long it took to answer all questions, in milliseconds; none where it did not.
    pub took_ms: Option<u64>,
    /// Why it did not.
    pub error: Option<String>,
}

/// A lane, as broker, workers and database see it. What nobody said is none.
#[derive(Debug, Serialize)]
pub struct LaneStatus {
    /// Which one.
    pub lane: Lane,
    /// Jobs that wait for a worker.
    pub ready: Option<u32>,
    /// Workers that take jobs of it, as the broker counts them.
    pub consumers: Option<u32>,
    /// Workers that believe that they take jobs of it.
    pub receiving: Option<usize>,
    /// Jobs that workers have begun: unacknowledged ones, as far as they are known.
    pub at_work: Option<i64>,
    /// Images without an outcome, wherever their jobs are.
    pub untagged: Option<i64>,
    /// How long the oldest of these has waited since the event of its scrape; none without any.
    pub oldest_seconds: Option<f64>,
    /// Images that come to their outcome per second, by the last reports of the workers.
    pub per_second: Option<f64>,
    /// How long all of these take at this rate; none where nothing comes to its end.
    pub drain_seconds: Option<f64>,
}

/// Scrapes that are not tagged yet.
#[derive(Debug, Default, Serialize)]
pub struct ScrapesStatus {
    /// Scrapes whose jobs are being published.
    pub fanning_out: i64,
    /// Scrapes whose images are worked on.
    pub tagging: i64,
    /// Micro-scrapes: pictures that changed.
    pub changing: i64,
    /// Scrapes that are tagged, and not announced.
    pub announcing: i64,
    /// Of all of these, scrapes in which nothing moves.
    pub stuck: i64,
    /// Seconds since the event of the oldest came.
    pub oldest_seconds: Option<f64>,
}

/// What became of the scrapes of the last hours.
#[derive(Debug, Serialize)]
pub struct RecentStatus {
    /// Scrapes whose jobs were lost or late, and were published again within an hour.
    pub swept: i64,
    /// Images of `express` and `standard` of scrapes that were announced within an hour.
    pub images: i64,
    /// Share of these that had their outcome later than `announce.in_time`; none without any.
    pub late_share: Option<f64>,
    /// The same of the last five minutes.
    pub late_share_now: Option<f64>,
    /// Images of six hours,
    pub images_six_hours: i64,
    /// the share of these that came late,
    pub late_share_six_hours: Option<f64>,
    /// and the same of the last half an hour.
    pub late_share_half_hour: Option<f64>,
}

/// A queue, as the broker sees it.
#[derive(Debug, Serialize)]
pub struct QueueStatus {
    /// Its name without the fleet's prefix.
    pub queue: String,
    /// Messages that wait.
    pub ready: u32,
    /// Consumers of it, of all processes together.
    pub consumers: u32,
}

/// A worker, by what it last said of itself.
#[derive(Debug, Serialize)]
pub struct WorkerStatus {
    /// The host and the process.
    pub worker: String,
    /// Its pool: workers with one configuration.
    pub pool: String,
    /// What its models run on.
    pub provider: String,
    /// Its model set.
    pub model_set: String,
    /// The digest of that set, which no other has.
    pub digest: String,
    /// The version of its program.
    pub version: String,
    /// Images that come to their outcome per second.
    pub per_second: f64,
    /// Jobs that it has begun.
    pub at_work: i64,
    /// When it started.
    pub started_at: Timestamp,
    /// Seconds since it said so.
    pub reported_seconds: f64,
    /// Whether it should have said something since: it died, hangs, or has lost the database.
    pub silent: bool,
}

struct Rows {
    standing: Vec<Standing>,
    workers: Vec<Worker>,
    /// None where it takes too long: after an outage all that came late is counted.
    recent: Option<Recent>,
}

impl Status {
    /// Looks at everything, both servers at the same time.
    pub async fn look(broker: &Broker, pool: &Pool, config: &SchedulerConfig) -> Self {
        let limits = &config.alerts;
        let asking = async { queues::depths(broker).await.map_err(|error| in_one_line(&error.into())) };
        let (answered, queues) = asked("broker", asking).await;
        let publishing_error = if queues.is_some() { publishing_error(broker).await } else { None };
        let idle = queues.as_deref().map(queues::idle_lanes).unwrap_or_default();
        let reading = async { rows(pool, config, &idle).await.map_err(|error| in_one_line(&error.into())) };
        let (database, rows) = asked("database", reading).await;

        let lane = |lane| LaneStatus::of(lane, queues.as_deref(), rows.as_ref());
        let mut status = Self {
            at: wall_clock::now(),
            servers: vec![answered, database],
            publishing_error,
            lanes: Lane::ALL.map(lane).into(),
            scrapes: rows.as_ref().map(|rows| ScrapesStatus::of(&rows.standing)),
            recent: rows.as_ref().and_then(|rows| rows.recent.as_ref()).map(RecentStatus::of),
            workers: rows.as_ref().map(|rows| rows.workers.iter().map(WorkerStatus::of).collect()),
            endings: rows.as_ref().map(|rows| endings(&rows.workers)),
            failures: rows.map(|rows| last_failures(&rows.workers)).unwrap_or_default(),
            queues: queues.map(|queues| queues.into_iter().map(QueueStatus::of).collect()),
            alerts: Vec::new(),
            unknown: UNKNOWN,
        };
        status.alerts = alerts::would_fire(&status, limits);
        status
    }
}

/// What a server answers, and how long it took.
async fn asked<T>(
    server: &'static str,
    asking: impl Future<Output = Result<T, String>>,
) -> (ServerStatus, Option<T>) {
    let begun = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    match answer.unwrap_or_else(|_| Err(format!("no answer within {}s", PATIENCE.as_secs()))) {
        Ok(answer) => {
            let took_ms = u64::try_from(begun.elapsed().as_millis()).ok();
            (ServerStatus { server, took_ms, error: None }, Some(answer))
        }
        Err(error) => (ServerStatus { server, took_ms: None, error: Some(error) }, None),
    }
}

async fn rows(pool: &Pool, config: &SchedulerConfig, idle: &[Lane]) -> Result<Rows, DbError> {
    let client = pool.get().await?;
    let standing = store::standing(&client, config.alerts.stuck_after, idle).await?;
    let workers = store::workers(&client).await?;
    let recent = match store::recent(&client, config.announce.in_time).await {
        Err(error) if error.is_too_long() => None,
        recent => Some(recent?),
    };
    Ok(Rows { standing, workers, recent })
}

impl LaneStatus {
    fn of(lane: Lane, queues: Option<&[Queue]>, rows: Option<&Rows>) -> Self {
        let name = queues::of_lane(lane);
        let queue = queues.and_then(|queues| queues.iter().find(|queue| queue.name == name));
        let reports = |rows: &Rows| {
            let speaking = rows.workers.iter().filter(|worker| !worker.is_silent());
            speaking.map(|worker| worker.lane(lane)).collect::<Vec<_>>()
        };
        let reports = rows.map(reports);
        let per_second = reports.as_ref().map(|all| all.iter().map(|one| one.per_second).sum::<f64>());
        let of_it = rows.map(|rows| rows.standing.iter().filter(move |of_it| of_it.lane == lane));
        let untagged = of_it.clone().map(|of_it| of_it.map(|of_it| of_it.untagged).sum::<i64>());
        let oldest =
            of_it.and_then(|of_it| of_it.filter_map(|of_it| of_it.oldest_untagged_seconds).reduce(f64::max));
        let drain = untagged.zip(per_second).and_then(|(untagged, per_second)| match untagged {
            0 => Some(0.0),
            _ => (per_second > 0.0).then(|| untagged as f64 / per_second),
        });
        Self {
            lane,
            ready: queue.map(|queue| queue.ready),
            consumers: queue.map(|queue| queue.consumers),
            receiving: reports.as_ref().map(|all| all.iter().filter(|one| one.receiving).count()),
            at_work: reports.map(|all| all.iter().map(|one| one.at_work).sum()),
            untagged,
            oldest_seconds: oldest,
            per_second,
            drain_seconds: drain,
        }
    }
}

impl ScrapesStatus {
    fn of(standing: &[Standing]) -> Self {
        let scrapes = |state: &str| {
            standing.iter().filter(|of_it| of_it.state == state).map(|of_it| of_it.scrapes).sum()
        };
        Self {
            fanning_out: scrapes("fanning_out"),
            tagging: scrapes("tagging"),
            changing: scrapes("changing"),
            announcing: scrapes("announcing"),
            stuck: standing.iter().map(|of_it| of_it.stuck).sum(),
            oldest_seconds: standing.iter().map(|of_it| of_it.oldest_seconds).reduce(f64::max),
        }
    }
}

impl RecentStatus {
    fn of(recent: &Recent) -> Self {
        Self {
            swept: recent.swept,
            images: recent.hour.images,
            late_share: recent.hour.late_share(),
            late_share_now: recent.five_minutes.late_share(),
            images_six_hours: recent.six_hours.images,
            late_share_six_hours: recent.six_hours.late_share(),
            late_share_half_hour: recent.half_hour.late_share(),
        }
    }
}

impl QueueStatus {
    fn of(Queue { name, ready, consumers }: Queue) -> Self {
        Self { queue: name, ready, consumers }
    }
}

impl WorkerStatus {
    fn of(worker: &Worker) -> Self {
        Self {
            worker: worker.name.clone(),
            pool: worker.pool.clone(),
            provider: worker.provider.clone(),
            model_set: worker.model_set.clone(),
            digest: worker.digest.clone(),
            version: worker.version.clone(),
            per_second: worker.lanes.values().map(|lane| lane.per_second).sum(),
            at_work: worker.lanes.values().map(|lane| lane.at_work).sum(),
            started_at: worker.started_at,
            reported_seconds: worker.reported_seconds,
            silent: worker.is_silent(),
        }
    }
}

/// A broker that is short of memory or disk answers, and takes nothing: it says so to whoever publishes.
async fn publishing_error(broker: &Broker) -> Option<String> {
    let (publisher, probe) = (broker.publisher(), [Outgoing::probe(broker.topology())]);
    match tokio::time::timeout(CONFIRMED, publisher.publish(&probe)).await {
        Ok(confirmed) => confirmed.err().map(|error| error.to_string()),
        Err(_) => {
            let asked = broker.depth(&broker.topology().dead()).await;
            Some(asked.err().map_or_else(|| "it confirms nothing".to_owned(), |error| error.to_string()))
        }
    }
}

/// Those of all workers that speak.
fn endings(workers: &[Worker]) -> EndingsReport {
    let mut all = EndingsReport::default();
    workers.iter().filter(|worker| !worker.is_silent()).for_each(|worker| all.add(worker.endings));
    all
}

fn last_failures(workers: &[Worker]) -> Vec<FailedImage> {
    let mut failures: Vec<_> = workers.iter().flat_map(|worker| &worker.failures).cloned().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    failures.truncate(FAILURES);
    failures
}
