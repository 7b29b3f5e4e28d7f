//! Every metric of the worker: one struct, one file, one prefix. docs/METRICS.md is the table of them.

mod happened;
mod labels;

use std::sync::Arc;

use prometheus::{
    Counter, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, begin};
use tagfleet_shared::outcome::PARKED;

pub use self::happened::{Held, InFlight};
use self::labels::TagValues;
pub use self::labels::{Look, Stage, Tier};
use crate::report::LastFailures;

/// Buckets from half a millisecond to an hour: from a look-up to a job that waited. Those of a job that waits
/// are fine enough to tell whether ten minutes, the service level, are near.
const SECONDS: [f64; 21] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0, 1800.0, 3600.0,
];

/// How sure the models were: finer where it is decided whether a value is told.
const CONFIDENCE: [f64; 9] = [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// Servers that can be away, and `none` where a step of ours panicked; the label `server`.
const SERVERS: [&str; 5] = ["database", "broker", "models", "decoders", "none"];

/// How often a job has come back; the label `times`.
const RETURNED: [&str; 3] = ["1", "2", "more"];

/// What a process that decodes is lost to; the label `reason`.
const LOST: [&str; 3] = ["killed_decoder", "decode_timeout", "decode_memory"];

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
    held: IntGaugeVec,
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
                "Jobs that came to their end, by lane: the rate at which it drains. 0 while jobs of it wait: nothing of it is tagged.",
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
                "The most that jobs_in_flight can be: work.prefetch, and one suspect. What jobs_in_flight is divided by to see how busy a worker is.",
            )?,
            lane_jobs_in_flight: add.gauges(
                "lane_jobs_in_flight",
                "Jobs at work by lane: what the broker has as unacknowledged and the worker has begun. One lane has all of it while others wait: their weights are too unequal.",
                &["lane"],
            )?,
            jobs_retried_total: add.counters(
                "jobs_retried_total",
                "Jobs sent to a retry queue, by the transient failure that they met. One reason from one host: see hosts_in_trouble; dns, connection or timeout from all of them: our own network.",
                &["reason"],
            )?,
            jobs_put_off_total: add.counters(
                "jobs_put_off_total",
                "Jobs sent to a retry queue without an attempt, by what their host is or wants: `timeout` where it is too slow. Much of it: a scrape waits for its host, and more workers would not help.",
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
                "Jobs taken that had been delivered before, by how often (`1`, `2`, `more`): their worker died or lost the broker. Without deaths or an outage: look for consumers that are closed, in the log.",
                &["times"],
            )?,
            jobs_suspected_total: add.counter(
                "jobs_suspected_total",
                "Jobs that came back and of whose image nothing is known: sent to where each is tried alone. More than a few: workers die, and their last log line says of what.",
            )?,
            jobs_given_back_total: add.counter(
                "jobs_given_back_total",
                "Jobs given back to their lane: not done when the worker was stopped, or within work.give_back_after. Without stops: an outage has lasted for longer than that.",
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
            held: add.gauges(
                "held",
                "Jobs that are held now because a server of ours is away, by that server. More than none for minutes: it has to be mended.",
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
                "Known images that were due and looked at again, by what came of it: unchanged (304), same_bytes, changed, or failed. Mostly changed: cache.revalidate_after is too long; mostly unchanged: it may be longer.",
                &["result"],
            )?,
            downloaded_bytes_total: add.counter(
                "downloaded_bytes_total",
                "Bytes of downloaded pictures. What the network and the hosts of the pictures are asked for; far above its usual rate for as many jobs: pictures are larger, or known ones are no longer known.",
            )?,
            downloads_total: add.counters(
                "downloads_total",
                "Pictures that arrived, by what their first bytes say: jpeg, png, gif, webp, bmp, tiff, or other, which gets the defaults. A format that was rare and is usual now: look at what it costs in stage_seconds of decode.",
                &["format"],
            )?,
            hosts: add.gauges(
                "hosts",
                "Hosts of pictures that were asked lately: well, limited (they are asked for less, because they had enough), or away (left alone for a while). All of them away at once: it is our own network.",
                &["state"],
            )?,
            cpu_seconds_total: add.fractional_counter(
                "cpu_seconds_total",
                "CPU time of the worker and of the processes that decode for it; process_cpu_seconds_total is the worker alone. At the container's limit: it is throttled.",
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
                "Always 1; the labels say which model set answers, and on what device. Two digests or two providers in one pool for longer than a roll-out: workers answer differently.",
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
        for reason in LOST {
            begin(&self.decoders_lost_total, &[&[reason]]);
        }
        for times in RETURNED {
            begin(&self.jobs_returned_total, &[&[times]]);
        }
        for look in Look::ALL {
            begin(&self.revalidated_total, &[&[look.as_str()]]);
        }
        for server in SERVERS {
            begin(&self.outages_total, &[&[server]]);
            self.held.with_label_values(&[server]);
        }
        for tier in Tier::ALL {
            begin(&self.cache_lookups_total, &[&[tier.as_str()]]);
        }
        for outcome in ["inferred", "cached", "matched"] {
            begin(&self.jobs_total, &[&[outcome, ""]]);
        }
        begin(&self.jobs_total, &[&["defaulted", "inference"]]);
        for lane in Lane::ALL {
            begin(&self.jobs_ended_total, &[&[lane.as_str()]]);
        }
    }
}
