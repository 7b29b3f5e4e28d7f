//! Every metric of the scheduler: one struct, one file, one prefix.

use std::time::Duration;

use deadpool_postgres::Status;
use prometheus::{GaugeVec, Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, set_connections};

use crate::store::{Accepted, Standing};

/// From a scrape of a few images to one of a million.
const SECONDS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

/// See the help texts below. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    scrapes_total: IntCounterVec,
    images_listed_total: IntCounter,
    jobs_published_total: IntCounter,
    fan_out_seconds: Histogram,
    announcements_total: IntCounter,
    dead_letters_total: IntCounterVec,
    sweeps_total: IntCounter,
    jobs_swept_total: IntCounter,
    lost_fixes_total: IntCounter,
    outages_total: IntCounterVec,
    open_scrapes: IntGaugeVec,
    oldest_scrape_seconds: GaugeVec,
    database_connections: IntGaugeVec,
}

impl Metrics {
    /// Registers everything. Each test brings its own registry.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let add = Registrar::new(registry, "scheduler", env!("CARGO_PKG_VERSION"), &SECONDS)?;
        let metrics = Self {
            scrapes_total: add.counters(
                "scrapes_total",
                "Scrapes by what happened to them: accepted, resumed (a fan-out was cut off), repeated (the event \
                 came again), superseded, fanned_out (all jobs are confirmed).",
                &["event"],
            )?,
            images_listed_total: add.counter("images_listed_total", "Images recorded.")?,
            jobs_published_total: add.counter(
                "jobs_published_total",
                "Jobs that the broker has confirmed. Far above images_listed_total: fan-outs are cut off often.",
            )?,
            fan_out_seconds: add.histogram(
                "fan_out_seconds",
                "Time from an event to its last confirmed job, the wait for another fan-out of the scrape included.",
            )?,
            announcements_total: add.counter("announcements_total", "Announcements that the broker has confirmed.")?,
            dead_letters_total: add.counters(
                "dead_letters_total",
                "Events that a person has to look at, by reason. More than none is worth a look.",
                &["reason"],
            )?,
            sweeps_total: add.counter(
                "sweeps_total",
                "Scrapes that had stopped moving and were swept. More than none: somewhere jobs get lost.",
            )?,
            jobs_swept_total: add.counter("jobs_swept_total", "Jobs that sweeps have published again.")?,
            lost_fixes_total: add.counter("lost_fixes_total", "Passes over fixed images that had to be made up for.")?,
            outages_total: add.counters(
                "outages_total",
                "Times that work was held because a server of ours was away: broker or database.",
                &["server"],
            )?,
            open_scrapes: add.gauges(
                "open_scrapes",
                "Scrapes that are not tagged yet, by state: fanning_out or tagging. The same in every scheduler.",
                &["state"],
            )?,
            oldest_scrape_seconds: add.fractions(
                "oldest_scrape_seconds",
                "Age of the oldest scrape that is not tagged yet, by state. Growing while jobs are done: stuck.",
                &["state"],
            )?,
            database_connections: add.gauges("database_connections", CONNECTIONS, &["state"])?,
        };
        // There from the start, at 0: a series that begins at 1 has not increased.
        for event in ["accepted", "resumed", "repeated", "superseded", "fanned_out"] {
            metrics.scrapes_total.with_label_values(&[event]);
        }
        Ok(metrics)
    }

    /// An event was taken.
    pub fn scrape_accepted(&self, accepted: &Accepted) {
        let event = match accepted {
            Accepted::New(scrape) => {
                self.scrapes_superseded(u64::from(scrape.superseded));
                "accepted"
            }
            Accepted::Resumed(_) => "resumed",
            Accepted::Repeated => "repeated",
            // Counted as a dead letter.
            Accepted::Taken(_) => return,
        };
        self.scrapes_total.with_label_values(&[event]).inc();
    }

    /// Newer scrapes of their advertisers have overtaken so many.
    pub fn scrapes_superseded(&self, scrapes: u64) {
        self.scrapes_total.with_label_values(&["superseded"]).inc_by(scrapes);
    }

    /// The last job of a scrape is confirmed.
    pub fn scrape_fanned_out(&self, took: Duration) {
        self.scrapes_total.with_label_values(&["fanned_out"]).inc();
        self.fan_out_seconds.observe(took.as_secs_f64());
    }

    /// A page is in the table.
    pub fn images_listed(&self, images: usize) {
        self.images_listed_total.inc_by(images as u64);
    }

    /// A page's jobs are confirmed.
    pub fn jobs_published(&self, jobs: usize) {
        self.jobs_published_total.inc_by(jobs as u64);
    }

    /// So many scrapes are announced.
    pub fn announced(&self, scrapes: usize) {
        self.announcements_total.inc_by(scrapes as u64);
    }

    /// An event went to the dead-letter queue.
    pub fn dead_lettered(&self, reason: &str) {
        self.dead_letters_total.with_label_values(&[reason]).inc();
    }

    /// A scrape was swept.
    pub fn swept(&self, jobs: usize) {
        self.sweeps_total.inc();
        self.jobs_swept_total.inc_by(jobs as u64);
    }

    /// A lost pass over a fixed image was made up for.
    pub fn fix_applied(&self) {
        self.lost_fixes_total.inc();
    }

    /// Work is held because `server` is away.
    pub fn outage(&self, server: &str) {
        self.outages_total.with_label_values(&[server]).inc();
    }

    /// How things stand now.
    pub fn sample(&self, standing: &[Standing], pool: Status) {
        for state in ["fanning_out", "tagging"] {
            let of_it = standing.iter().find(|standing| standing.state == state);
            let (scrapes, oldest) = of_it.map_or((0, 0.0), |of_it| (of_it.scrapes, of_it.oldest_seconds));
            self.open_scrapes.with_label_values(&[state]).set(scrapes);
            self.oldest_scrape_seconds.with_label_values(&[state]).set(oldest);
        }
        set_connections(&self.database_connections, pool);
    }
}
