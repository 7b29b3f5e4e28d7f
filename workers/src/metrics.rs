//! Every metric of the worker: one struct, one file, one prefix.

use std::time::{Duration, Instant};

use prometheus::{
    Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use tagfleet_shared::broker::Received;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, set_connections};

use crate::outcome::Outcome;

/// Buckets from half a millisecond to an hour: from a look-up to a job that waited.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0,
    3600.0,
];

/// A stage of the pipeline; the label `stage`.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Asking the second cache tier for images.
    Lookup,
    /// Bringing the bytes.
    Download,
    /// Asking the second cache tier for bytes.
    Match,
    /// From bytes to pixels, on a decode thread.
    Decode,
    /// Running the models, on a model thread.
    Infer,
    /// Writing outcomes to the database.
    Record,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Download => "download",
            Self::Match => "match",
            Self::Decode => "decode",
            Self::Infer => "infer",
            Self::Record => "record",
        }
    }
}

/// Where an image's tags were found; the label `tier`.
#[derive(Clone, Copy, Debug)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Postgres.
    Database,
    /// Not at all: the image has to be downloaded.
    Nowhere,
}

/// What came of looking at a known image again; the label `result`.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// Its server said that nothing has changed.
    Unchanged,
    /// It was sent again, with the same bytes.
    SameBytes,
    /// It is another picture now.
    Changed,
    /// It could not be had or read: what is known of it stays.
    Failed,
}

/// See the help texts below. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    jobs_total: IntCounterVec,
    job_seconds: Histogram,
    job_wait_seconds: HistogramVec,
    jobs_in_flight: IntGauge,
    jobs_retried_total: IntCounterVec,
    jobs_put_off_total: IntCounterVec,
    jobs_dead_lettered_total: IntCounterVec,
    jobs_received_total: IntCounterVec,
    jobs_returned_total: IntCounterVec,
    jobs_suspected_total: IntCounter,
    jobs_given_back_total: IntCounter,
    decoders_lost_total: IntCounterVec,
    outages_total: IntCounterVec,
    stage_seconds: HistogramVec,
    stage_batch_images: HistogramVec,
    cache_total: IntCounterVec,
    cache_images: IntGauge,
    revalidated_total: IntCounterVec,
    downloaded_bytes_total: IntCounter,
    database_connections: IntGaugeVec,
    lane_receiving: IntGaugeVec,
    model_info: IntGaugeVec,
}

impl Metrics {
    /// Registers everything. Each test brings its own registry.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let add = Registrar::new(registry, "worker", env!("CARGO_PKG_VERSION"), &SECONDS)?;
        Ok(Self {
            jobs_total: add.counters(
                "jobs_total",
                "Jobs that came to their end, by outcome and by the reason of those skipped or defaulted.",
                &["outcome", "reason"],
            )?,
            job_seconds: add
                .histogram("job_seconds", "Time from delivery to the outcome's being recorded.")?,
            job_wait_seconds: add.histograms(
                "job_wait_seconds",
                "Time from a job's being published to its delivery, by lane. Growing: more workers are needed.",
                &["lane"],
            )?,
            jobs_in_flight: add.gauge(
                "jobs_in_flight",
                "Jobs at work, held or waiting for their host. At work.prefetch all the time: the worker is the bottleneck, or one of these.",
            )?,
            jobs_retried_total: add.counters(
                "jobs_retried_total",
                "Jobs sent to a retry queue, by the transient failure that they met.",
                &["reason"],
            )?,
            jobs_put_off_total: add.counters(
                "jobs_put_off_total",
                "Jobs sent to a retry queue without an attempt, by what their host is or wants: `timeout` where it is too slow.",
                &["reason"],
            )?,
            jobs_dead_lettered_total: add.counters(
                "jobs_dead_lettered_total",
                "Jobs that a person has to look at, by reason. More than none is worth a look.",
                &["reason"],
            )?,
            jobs_received_total: add.counters("jobs_received_total", "Jobs taken, by lane.", &["lane"])?,
            jobs_returned_total: add.counters(
                "jobs_returned_total",
                "Jobs taken that had been delivered before, by how often (`1`, `2`, `more`): their worker died or lost the broker.",
                &["times"],
            )?,
            jobs_suspected_total: add.counter(
                "jobs_suspected_total",
                "Jobs that came back and of whose image nothing is known: sent to where each is tried alone.",
            )?,
            jobs_given_back_total: add.counter(
                "jobs_given_back_total",
                "Jobs given back to their lane: not done when the worker was stopped, or within work.give_back_after.",
            )?,
            decoders_lost_total: add.counters(
                "decoders_lost_total",
                "Processes that decode and died, were ended because they took too long, or ran out of memory. More than the dead letters of these reasons: something else ends them, such as the kernel.",
                &["reason"],
            )?,
            outages_total: add.counters(
                "outages_total",
                "Times that a job was held because a server of ours was away.",
                &["server"],
            )?,
            stage_seconds: add
                .histograms("stage_seconds", "Time of a stage, for a batch or a single image.", &["stage"])?,
            stage_batch_images: add.sizes(
                "stage_batch_images",
                "Images per call of a stage. A low median of infer means that the models wait for downloads.",
                &["stage"],
            )?,
            cache_total: add.counters(
                "cache_total",
                "Questions to the cache by where the answer was: memory, database, or nowhere.",
                &["tier"],
            )?,
            cache_images: add.gauge("cache_images", "Images in the first cache tier.")?,
            revalidated_total: add.counters(
                "revalidated_total",
                "Known images that were due and looked at again, by what came of it: unchanged (304), same_bytes, changed, or failed.",
                &["result"],
            )?,
            downloaded_bytes_total: add.counter("downloaded_bytes_total", "Bytes of downloaded pictures.")?,
            database_connections: add.gauges("database_connections", CONNECTIONS, &["state"])?,
            lane_receiving: add.gauges(
                "lane_receiving",
                "1 where the broker has this worker as a consumer of the lane, now.",
                &["lane"],
            )?,
            model_info: add.gauges(
                "model_info",
                "Always 1; the labels say which model set answers, and on what device.",
                &["set", "digest", "provider"],
            )?,
        })
    }

    /// Times a stage until the answer is dropped; counts its images.
    pub fn stage(&self, stage: Stage, images: usize) -> HistogramTimer {
        self.stage_batch_images.with_label_values(&[stage.as_str()]).observe(images as f64);
        self.stage_seconds.with_label_values(&[stage.as_str()]).start_timer()
    }

    /// A question to the cache was answered.
    pub fn found(&self, tier: Tier) {
        let tier = match tier {
            Tier::Memory => "memory",
            Tier::Database => "database",
            Tier::Nowhere => "nowhere",
        };
        self.cache_total.with_label_values(&[tier]).inc();
    }

    /// A known image was looked at again.
    pub fn looked_again(&self, look: Look) {
        let result = match look {
            Look::Unchanged => "unchanged",
            Look::SameBytes => "same_bytes",
            Look::Changed => "changed",
            Look::Failed => "failed",
        };
        self.revalidated_total.with_label_values(&[result]).inc();
    }

    /// A picture arrived.
    pub fn downloaded(&self, bytes: usize) {
        self.downloaded_bytes_total.inc_by(bytes as u64);
    }

    /// A job was taken from a lane. It is in flight until the answer is dropped.
    pub fn job_received(&self, lane: Lane, received: &Received) -> InFlight {
        self.jobs_received_total.with_label_values(&[lane.as_str()]).inc();
        if received.returns > 0 {
            let times = if received.returns == 1 {
                "1"
            } else if received.returns == 2 {
                "2"
            } else {
                "more"
            };
            self.jobs_returned_total.with_label_values(&[times]).inc();
        }
        // A job that comes back from a retry queue was not waiting for a worker.
        if let Some(waited) = received.waited.filter(|_| received.attempt == 0 && received.put_off.is_none())
        {
            self.job_wait_seconds.with_label_values(&[lane.as_str()]).observe(waited.as_secs_f64());
        }
        self.jobs_in_flight.inc();
        InFlight { gauge: self.jobs_in_flight.clone(), since: Instant::now() }
    }

    /// A job came to its end, and it is recorded.
    pub fn job_ended(&self, outcome: &Outcome, took: Duration) {
        let reason = outcome.failure().map_or("", |failure| &*failure.reason);
        self.jobs_total.with_label_values(&[outcome.kind().as_str(), reason]).inc();
        self.job_seconds.observe(took.as_secs_f64());
    }

    /// A job went to a retry queue.
    pub fn job_retried(&self, reason: &str) {
        self.jobs_retried_total.with_label_values(&[reason]).inc();
    }

    /// A job went to a retry queue without an attempt.
    pub fn job_put_off(&self, reason: &str) {
        self.jobs_put_off_total.with_label_values(&[reason]).inc();
    }

    /// A job went to where it is tried alone.
    pub fn job_suspected(&self) {
        self.jobs_suspected_total.inc();
    }

    /// A job went back to where it came from.
    pub fn job_given_back(&self) {
        self.jobs_given_back_total.inc();
    }

    /// A job went to the dead-letter queue.
    pub fn job_dead_lettered(&self, reason: &str) {
        self.jobs_dead_lettered_total.with_label_values(&[reason]).inc();
    }

    /// A process that decodes is gone, and a fresh one takes its place.
    pub fn decoder_lost(&self, reason: &str) {
        self.decoders_lost_total.with_label_values(&[reason]).inc();
    }

    /// A job is held because `server` is away.
    pub fn outage(&self, server: &str) {
        self.outages_total.with_label_values(&[server]).inc();
    }

    /// The models that answer, and on what.
    pub fn models_loaded(&self, set: &str, digest: &str, provider: &str) {
        self.model_info.reset();
        self.model_info.with_label_values(&[set, digest, provider]).set(1);
    }

    /// What can only be sampled.
    pub fn sample(&self, pool: deadpool_postgres::Status, cached: u64, lanes: &[(Lane, bool)]) {
        set_connections(&self.database_connections, pool);
        self.cache_images.set(i64::try_from(cached).unwrap_or(i64::MAX));
        for (lane, receiving) in lanes {
            self.lane_receiving.with_label_values(&[lane.as_str()]).set(i64::from(*receiving));
        }
    }
}

/// A job that is being worked on.
pub struct InFlight {
    gauge: IntGauge,
    since: Instant,
}

impl InFlight {
    /// How long ago the job was delivered.
    pub fn took(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
