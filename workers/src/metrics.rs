//! Every metric of the worker: one struct, one file, one prefix. docs/METRICS.md is the table of them.

mod labels;

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{
    Counter, Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry,
};
use tagfleet_download::HostCounts;
use tagfleet_shared::broker::Received;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, begin, set_connections};
use tagfleet_shared::outcome::PARKED;

use self::labels::TagValues;
pub use self::labels::{Look, Stage, Tier};
use crate::decode::format_name;
use crate::outcome::Outcome;
use crate::record::Ended;
use crate::report::LastFailures;
use crate::usage::Usage;

/// Buckets from half a millisecond to an hour: from a look-up to a job that waited.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0,
    3600.0,
];

/// How sure the models were: finer where it is decided whether a value is told.
const CONFIDENCE: [f64; 9] = [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// Servers that can be away; the label `server`.
const SERVERS: [&str; 4] = ["database", "broker", "models", "decoders"];

/// See the help texts below. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    jobs_total: IntCounterVec,
    jobs_ended_total: IntCounterVec,
    set_jobs_total: IntCounterVec,
    tags_total: IntCounterVec,
    tag_confidence_ratio: HistogramVec,
    job_seconds: Histogram,
    job_wait_seconds: HistogramVec,
    jobs_in_flight: IntGauge,
    jobs_in_flight_limit: IntGauge,
    lane_jobs_in_flight: IntGaugeVec,
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
    cache_lookups_total: IntCounterVec,
    cache_images: IntGauge,
    revalidated_total: IntCounterVec,
    downloaded_bytes_total: IntCounter,
    downloads_total: IntCounterVec,
    hosts: IntGaugeVec,
    cpu_seconds_total: Counter,
    memory_bytes: IntGauge,
    database_connections: IntGaugeVec,
    lane_receiving: IntGaugeVec,
    model_info: IntGaugeVec,
    tag_values: Arc<TagValues>,
    last_failures: LastFailures,
}

impl Metrics {
    /// Registers everything. Each test brings its own registry.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let add = Registrar::new(registry, "worker", env!("CARGO_PKG_VERSION"), &SECONDS)?;
        let metrics = Self {
            jobs_total: add.counters(
                "jobs_total",
                "Jobs that came to their end, by outcome and by the reason of those skipped or defaulted. None while jobs wait: nothing is tagged.",
                &["outcome", "reason"],
            )?,
            jobs_ended_total: add.counters(
                "jobs_ended_total",
                "Jobs that came to their end, by lane: the rate at which it drains.",
                &["lane"],
            )?,
            set_jobs_total: add.counters(
                "set_jobs_total",
                "Jobs that came to their end, by model set and outcome: to compare a set with the one before it. Defaulted above its usual share: look at what that set fails on.",
                &["set", "outcome"],
            )?,
            tags_total: add.counters(
                "tags_total",
                "What the models said of pictures that they looked at. Another share after a roll-out: the set or the pictures have changed. Of a/b only a; beyond 30 values of an attribute: other.",
                &["set", "attribute", "value"],
            )?,
            tag_confidence_ratio: add.distribution(
                "tag_confidence_ratio",
                "How sure the models were of their best answer, 0 to 1. Falling with the same set: the pictures have changed.",
                &["set", "attribute"],
                &CONFIDENCE,
            )?,
            job_seconds: add.histogram(
                "job_seconds",
                "Time from delivery to the outcome's being recorded. Long with idle models: jobs wait for their hosts or are held.",
            )?,
            job_wait_seconds: add.histograms(
                "job_wait_seconds",
                "Time from a job's being published to its delivery, by lane. Growing: more workers are needed.",
                &["lane"],
            )?,
            jobs_in_flight: add.gauge(
                "jobs_in_flight",
                "Jobs at work, held or waiting for their host. At its limit all the time: the worker is the bottleneck, or one of these.",
            )?,
            jobs_in_flight_limit: add.gauge(
                "jobs_in_flight_limit",
                "The most that jobs_in_flight can be: work.prefetch, and one suspect.",
            )?,
            lane_jobs_in_flight: add.gauges(
                "lane_jobs_in_flight",
                "Jobs at work by lane: what the broker has as unacknowledged and the worker has begun.",
                &["lane"],
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
            jobs_received_total: add.counters("jobs_received_total", "Jobs taken, by lane. More than jobs_ended_total: jobs go through the retry queues or come back.", &["lane"])?,
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
                "Times that a job was held because a server of ours was away. Nothing is lost; nothing is tagged meanwhile either.",
                &["server"],
            )?,
            stage_seconds: add
                .histograms("stage_seconds", "Time of a stage, for a batch or a single image. Its rate of seconds per second is how many are at it at once.", &["stage"])?,
            stage_batch_images: add.sizes(
                "stage_batch_images",
                "Images per call of a stage. A low median of infer means that the models wait for downloads.",
                &["stage"],
            )?,
            cache_lookups_total: add.counters(
                "cache_lookups_total",
                "Questions to the cache by where the answer was: memory, database, or nowhere. Mostly nowhere: another model set, another image_key, or a table that was lost; every such image is downloaded.",
                &["tier"],
            )?,
            cache_images: add.gauge(
                "cache_images",
                "Images in the first cache tier. Steady: cache.max_bytes is used up.",
            )?,
            revalidated_total: add.counters(
                "revalidated_total",
                "Known images that were due and looked at again, by what came of it: unchanged (304), same_bytes, changed, or failed.",
                &["result"],
            )?,
            downloaded_bytes_total: add.counter(
                "downloaded_bytes_total",
                "Bytes of downloaded pictures. What the network and the hosts of the pictures are asked for.",
            )?,
            downloads_total: add.counters(
                "downloads_total",
                "Pictures that arrived, by what their first bytes say: jpeg, png, gif, webp, bmp, tiff, or other, which gets the defaults.",
                &["format"],
            )?,
            hosts: add.gauges(
                "hosts",
                "Hosts of pictures that were asked lately: well, limited (they are asked for less, because they had enough), or away (left alone for a while).",
                &["state"],
            )?,
            cpu_seconds_total: add.fractional_counter(
                "cpu_seconds_total",
                "CPU time of the worker and of the processes that decode for it; process_cpu_seconds_total is the worker alone.",
            )?,
            memory_bytes: add.gauge(
                "memory_bytes",
                "Resident memory of the worker and of the processes that decode for it. Near the container's limit: fewer work.decode_threads or work.pictures.",
            )?,
            database_connections: add.gauges("database_connections", CONNECTIONS, &["state"])?,
            lane_receiving: add.gauges(
                "lane_receiving",
                "1 where this worker believes that it is a consumer of the lane, now. 0 for long: its log says why.",
                &["lane"],
            )?,
            model_info: add.gauges(
                "model_info",
                "Always 1; the labels say which model set answers, and on what device.",
                &["set", "digest", "provider"],
            )?,
            tag_values: Arc::default(),
            last_failures: LastFailures::default(),
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Series that an alert or a sum asks for are there from the start, at 0.
    fn begin(&self) {
        for reason in PARKED.iter().chain(&["malformed_job"]) {
            begin(&self.jobs_dead_lettered_total, &[&[reason]]);
        }
        for server in SERVERS {
            begin(&self.outages_total, &[&[server]]);
        }
        for tier in Tier::ALL {
            begin(&self.cache_lookups_total, &[&[tier.as_str()]]);
        }
        for outcome in ["inferred", "cached", "matched"] {
            begin(&self.jobs_total, &[&[outcome, ""]]);
        }
        for lane in Lane::ALL {
            begin(&self.jobs_ended_total, &[&[lane.as_str()]]);
        }
    }

    /// How many jobs may be at work at once.
    pub fn limited_to(&self, prefetch: u16) {
        self.jobs_in_flight_limit.set(i64::from(prefetch) + 1);
    }

    /// Times a stage until the answer is dropped; counts its images.
    pub fn stage(&self, stage: Stage, images: usize) -> HistogramTimer {
        self.stage_batch_images.with_label_values(&[stage.as_str()]).observe(images as f64);
        self.stage_seconds.with_label_values(&[stage.as_str()]).start_timer()
    }

    /// A question to the cache was answered.
    pub fn found(&self, tier: Tier) {
        self.cache_lookups_total.with_label_values(&[tier.as_str()]).inc();
    }

    /// A known image was looked at again.
    pub fn looked_again(&self, look: Look) {
        self.revalidated_total.with_label_values(&[look.as_str()]).inc();
    }

    /// A picture arrived.
    pub fn downloaded(&self, bytes: &[u8]) {
        self.downloaded_bytes_total.inc_by(bytes.len() as u64);
        self.downloads_total.with_label_values(&[format_name(bytes).unwrap_or("other")]).inc();
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
        let gauges =
            [self.jobs_in_flight.clone(), self.lane_jobs_in_flight.with_label_values(&[lane.as_str()])];
        gauges.iter().for_each(IntGauge::inc);
        InFlight { gauges, lane, since: Instant::now() }
    }

    /// A job came to its end, and it is recorded.
    pub fn job_ended(&self, ended: &Ended, in_flight: &InFlight) {
        let Ended { outcome, set, .. } = ended;
        let reason = outcome.failure().map_or("", |failure| &*failure.reason);
        self.jobs_total.with_label_values(&[outcome.kind().as_str(), reason]).inc();
        self.jobs_ended_total.with_label_values(&[in_flight.lane.as_str()]).inc();
        self.set_jobs_total.with_label_values(&[set.name.as_str(), outcome.kind().as_str()]).inc();
        self.job_seconds.observe(in_flight.took().as_secs_f64());
        match outcome {
            Outcome::Inferred(known) => {
                for (attribute, value) in &known.answer.tags.0 {
                    let value = self.tag_values.label(attribute, value.as_deref());
                    self.tags_total.with_label_values(&[set.name.as_str(), attribute, value]).inc();
                }
                for (attribute, score) in &known.answer.scores.0 {
                    let labels = [set.name.as_str(), attribute];
                    self.tag_confidence_ratio.with_label_values(&labels).observe(f64::from(*score));
                }
            }
            Outcome::Skipped(_) | Outcome::Defaulted(_) => self.last_failures.note(ended),
            _ => {}
        }
    }

    /// The last images that were skipped or defaulted.
    pub fn last_failures(&self) -> &LastFailures {
        &self.last_failures
    }

    /// Jobs of a lane that are at work, and those that have ended since the start.
    pub fn of_lane(&self, lane: Lane) -> (i64, u64) {
        let label = [lane.as_str()];
        let at_work = self.lane_jobs_in_flight.with_label_values(&label).get();
        (at_work, self.jobs_ended_total.with_label_values(&label).get())
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
        // Series of sets that are no more would stay for ever; to `rate` it is a restart.
        self.tags_total.reset();
        self.tag_confidence_ratio.reset();
        self.set_jobs_total.reset();
        self.tag_values.forget();
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

    /// What is dearer to sample.
    pub fn sample_machine(&self, usage: Usage, hosts: HostCounts) {
        // A decoder that ends between two looks may be missed for a moment.
        self.cpu_seconds_total.inc_by((usage.cpu_seconds - self.cpu_seconds_total.get()).max(0.0));
        self.memory_bytes.set(i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX));
        for (state, count) in [("well", hosts.well), ("limited", hosts.limited), ("away", hosts.away)] {
            self.hosts.with_label_values(&[state]).set(count);
        }
    }
}

/// A job that is being worked on.
pub struct InFlight {
    gauges: [IntGauge; 2],
    lane: Lane,
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
        self.gauges.iter().for_each(IntGauge::dec);
    }
}
