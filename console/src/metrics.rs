//! Every metric of the console: one struct, one file, one prefix. docs/METRICS.md is the table of them.

use std::time::Duration;

use deadpool_postgres::Status;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, set_connections};

/// From a look-up in memory to a bulk of fixes.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// See the help texts below. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    requests_total: IntCounterVec,
    request_seconds: HistogramVec,
    fixes_published_total: IntCounter,
    thumbnails_total: IntCounterVec,
    database_connections: IntGaugeVec,
}

impl Metrics {
    /// Registers everything. Each test brings its own registry.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let add = Registrar::new(registry, "console", env!("CARGO_PKG_VERSION"), &SECONDS)?;
        Ok(Self {
            requests_total: add.counters(
                "requests_total",
                "Requests by route (not by URL; `none`: no such path) and status. Many 401 or 403: somebody tries doors. 5xx: its log says why; 503 alone: the database or the broker is away.",
                &["route", "status"],
            )?,
            request_seconds: add.histograms(
                "request_seconds",
                "Time from a request's head to its answer's head, by route. All routes slow: the database; one alone: what it asks for.",
                &["route"],
            )?,
            fixes_published_total: add.counter(
                "fixes_published_total",
                "Fixes that the broker has confirmed as tag.fixed, by this console. None while people correct: the broker is away, or no console has the outbox.",
            )?,
            thumbnails_total: add.counters(
                "thumbnails_total",
                "Small pictures sent, by whether there was one (`picture`) or a drawing in its place (`blank`). Mostly blank: the hosts of the pictures refuse us.",
                &["sent"],
            )?,
            database_connections: add.gauges("database_connections", CONNECTIONS, &["state"])?,
        })
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests_total.with_label_values(&[route, &status.to_string()]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// So many fixes are published.
    pub fn fixes_published(&self, fixes: usize) {
        self.fixes_published_total.inc_by(fixes as u64);
    }

    /// A small picture was sent, or what stands in its place.
    pub fn thumbnail(&self, is_picture: bool) {
        self.thumbnails_total.with_label_values(&[if is_picture { "picture" } else { "blank" }]).inc();
    }

    /// How things stand now.
    pub fn sample(&self, pool: Status) {
        set_connections(&self.database_connections, pool);
    }
}
