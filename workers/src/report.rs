//! What a worker tells of itself, for `tagfleet-scheduler status`: one row, written again and again.
//!
//! Nothing depends on it: a report that cannot be written is left out, and the next one says all of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagfleet_shared::db::DbError;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::reports::{EndingsReport, FailedImage, LaneReport};
use tagfleet_shared::wall_clock;
use tokio::time::Instant;
use tokio_postgres::types::Json;
use tracing::debug;
use url::Url;

use crate::metrics::Metrics;
use crate::record::Ended;
use crate::sets::Sets;

/// Failures that are told.
const FAILURES: usize = 10;

/// The longest that taking the report back may hold up a stop.
const WITHDRAWING: Duration = Duration::from_secs(1);

/// What a worker tells of itself, and how often.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReportConfig {
    /// The name of its pool.
    pub pool: String,
    /// The time from one report to the next.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
}

/// The last images that were skipped or defaulted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LastFailures(Arc<Mutex<VecDeque<FailedImage>>>);

impl LastFailures {
    /// Notes one; anything else is no failure.
    pub fn note(&self, ended: &Ended) {
        let Some(failure) = ended.outcome.failure() else { return };
        let host = Url::parse(&ended.job.url).ok().and_then(|url| Some(url.host_str()?.to_owned()));
        let failed = FailedImage {
            at: wall_clock::now(),
            outcome: ended.outcome.kind().as_str().to_owned(),
            reason: failure.reason.clone().into_owned(),
            scrape_id: ended.job.scrape_id.clone(),
            image_id: ended.job.image,
            host: host.unwrap_or_default(),
        };
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.truncate(FAILURES - 1);
        failures.push_front(failed);
    }

    /// All that are kept, ten at most, the last one first.
    pub fn all(&self) -> Vec<FailedImage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What `endings` tells of: a quarter of an hour, as the chart's alerts.
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// What came of the jobs of the last quarter of an hour: counts since the start, each with its time.
#[derive(Default)]
struct Endings(VecDeque<(Instant, EndingsReport)>);

impl Endings {
    /// What came within a quarter of an hour before `now`, or since the first call.
    fn lately(&mut self, now: Instant, since_start: EndingsReport) -> EndingsReport {
        self.0.push_back((now, since_start));
        while self.0.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= QUARTER) {
            self.0.pop_front();
        }
        since_start.since(self.0.front().map_or(since_start, |(_, first)| *first))
    }
}

/// Keeps this worker's row of `worker_reports` up to date.
pub struct Reporter {
    config: ReportConfig,
    pool: Pool,
    sets: Arc<Sets>,
    metrics: Metrics,
    receiving: Vec<(Lane, Arc<AtomicBool>)>,
    started_at: Timestamp,
}

impl Reporter {
    /// Of the worker that has these parts.
    pub fn new(
        config: &ReportConfig,
        pool: Pool,
        sets: Arc<Sets>,
        metrics: &Metrics,
        receiving: Vec<(Lane, Arc<AtomicBool>)>,
    ) -> Self {
        let (config, metrics) = (config.clone(), metrics.clone());
        Self { config, pool, sets, metrics, receiving, started_at: wall_clock::now() }
    }

    /// Reports until it is dropped.
    pub async fn run(self) {
        let mut every = tokio::time::interval(self.config.every);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut before, mut since) = (BTreeMap::new(), Instant::now());
        let mut endings = Endings::default();
        loop {
            every.tick().await;
            let seconds = since.elapsed().as_secs_f64().max(0.001);
            let lanes = self.lanes(&before, seconds);
            let endings = endings.lately(Instant::now(), self.metrics.endings());
            match self.write(&lanes, endings).await {
                Ok(()) => {
                    before = lanes.into_iter().map(|(lane, report)| (lane, report.ended)).collect();
                    since = Instant::now();
                }
                Err(error) => debug!(%error, "report not written"),
            }
        }
    }

    fn lanes(&self, before: &BTreeMap<Lane, u64>, seconds: f64) -> BTreeMap<Lane, LaneReport> {
        let report = |lane: Lane| {
            let (at_work, ended) = self.metrics.of_lane(lane);
            let new = ended - before.get(&lane).copied().unwrap_or_default();
            let mut of_it = self.receiving.iter().filter(|(of, _)| *of == lane);
            let receiving = of_it.any(|(_, on)| on.load(Ordering::Relaxed));
            (lane, LaneReport { at_work, ended, per_second: new as f64 / seconds, receiving })
        };
        Lane::ALL.into_iter().map(report).collect()
    }

    async fn write(&self, lanes: &BTreeMap<Lane, LaneReport>, endings: EndingsReport) -> Result<(), DbError> {
        const SQL: &str = "
            INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds,
                                        lanes, failures, endings)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (worker) DO UPDATE
               SET pool = excluded.pool, version = excluded.version, model_set = excluded.model_set,
                   digest = excluded.digest, provider = excluded.provider, started_at = excluded.started_at,
                   every_seconds = excluded.every_seconds, lanes = excluded.lanes, failures = excluded.failures,
                   endings = excluded.endings, reported_at = now()";
        let (set, client) = (self.sets.now(), self.pool.get().await?);
        let statement = client.prepare_cached(SQL).await?;
        client
            .execute(
                &statement,
                &[
                    &name(),
                    &self.config.pool,
                    &env!("CARGO_PKG_VERSION"),
                    &set.name,
                    &set.digest,
                    &set.provider,
                    &self.started_at,
                    &self.config.every.as_secs_f64(),
                    &Json(lanes),
                    &Json(self.metrics.last_failures().all()),
                    &Json(endings),
                ],
            )
            .await?;
        Ok(())
    }
}

/// A worker that was stopped is not one that died. Where the database does not answer, the row grows old
/// instead.
pub async fn withdraw(pool: &Pool) {
    let withdrawn = async {
        let client = pool.get().await?;
        client.execute("DELETE FROM worker_reports WHERE worker = $1", &[&name()]).await?;
        Ok::<_, DbError>(())
    };
    let _ = tokio::time::timeout(WITHDRAWING, withdrawn).await;
}

/// The pod's name, and the process in it.
fn name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}/{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_those_of_the_last_quarter_of_an_hour() {
        let (start, mut endings) = (Instant::now(), Endings::default());
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let counted = |ended| EndingsReport { ended, ..EndingsReport::default() };

        let told = [(0, 0), (5, 100), (10, 150), (15, 200), (20, 300), (40, 1000)]
            .map(|(minutes, count)| endings.lately(after(minutes), counted(count)).ended);

        // At 20 what came since 5; at 40 what came since 20, the last that is old enough.
        assert_eq!(told, [0, 100, 150, 200, 200, 700]);
        assert_eq!(endings.0.len(), 2);
    }
}
