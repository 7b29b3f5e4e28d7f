//! What callers say that happened, and what that counts.

use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{HistogramTimer, IntGauge};
use tagfleet_shared::broker::Received;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::metrics::{begin, set_connections};
use tagfleet_shared::outcome::{OutcomeKind, SUPERSEDED};
use tagfleet_shared::reports::EndingsReport;

use super::{Look, Metrics, RETURNED, Stage, Tier};
use crate::decode::format_name;
use crate::outcome::Outcome;
use crate::record::Ended;
use crate::report::LastFailures;
use crate::usage::Usage;
use tagfleet_download::HostCounts;

impl Metrics {
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
            let [once, twice, more] = RETURNED;
            let times = match received.returns {
                1 => once,
                2 => twice,
                _ => more,
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

    /// What came of all jobs since the start.
    pub fn endings(&self) -> EndingsReport {
        let mut all = EndingsReport::default();
        for series in self.jobs_total.collect().iter().flat_map(MetricFamily::get_metric) {
            let label = |name| series.get_label().iter().find(|label| label.name() == name);
            let (outcome, reason) = (label("outcome"), label("reason"));
            let [outcome, reason] = [outcome, reason].map(|label| label.map_or("", LabelPair::value));
            let count = series.get_counter().get_value() as u64;
            all.ended += count;
            match (outcome, reason) {
                ("skipped", SUPERSEDED) => {}
                ("skipped", _) => all.skipped += count,
                ("inferred", _) => all.inferred += count,
                ("defaulted", _) => all.defaulted += count,
                _ => {}
            }
            if (outcome, reason) == ("defaulted", "inference") {
                all.failed += count;
            }
        }
        all
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

    /// A job is held because `server` is away, until the answer is dropped.
    pub fn held(&self, server: &str) -> Held {
        let gauge = self.held.with_label_values(&[server]);
        gauge.inc();
        Held { gauge }
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
        // The share of a set that has failed at nothing yet is 0, and not unknown.
        for outcome in OutcomeKind::ALL {
            begin(&self.set_jobs_total, &[&[set, outcome.as_str()]]);
        }
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

/// Counts a job as held until it is dropped.
pub struct Held {
    gauge: IntGauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Counts a job as at work until it is dropped.
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
