//! Making and registering metrics, in few words.

use deadpool_postgres::Status;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// Registers metrics under the prefix of one binary.
pub struct Registrar<'a> {
    registry: &'a Registry,
    prefix: &'static str,
    seconds: &'a [f64],
}

impl<'a> Registrar<'a> {
    /// Names will begin with `tagfleet_PROCESS_`; histograms of time have the
    /// buckets `seconds`. Registers the build's version and what the operating
    /// system knows of the process.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn new(
        registry: &'a Registry,
        prefix: &'static str,
        version: &str,
        seconds: &'a [f64],
    ) -> prometheus::Result<Self> {
        // No process collector in some sandboxes: then those series are missing.
        let _ = registry.register(Box::new(ProcessCollector::for_self()));
        let registrar = Self { registry, prefix, seconds };
        let help = "Always 1; the label says which version runs.";
        registrar.gauges("build_info", help, &["version"])?.with_label_values(&[version]).set(1);
        Ok(registrar)
    }

    /// Events counted from the start of the process.
    ///
    /// # Errors
    ///
    /// As [`Self::new`], here and below.
    pub fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(self.opts(name, help))?)
    }

    /// The same, by labels.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(self.opts(name, help), labels)?)
    }

    /// Something with fractions that only grows, such as seconds.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn fractional_counter(&self, name: &str, help: &str) -> prometheus::Result<Counter> {
        self.add(Counter::with_opts(self.opts(name, help))?)
    }

    /// A number that goes up and down.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::with_opts(self.opts(name, help))?)
    }

    /// The same, by labels.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(self.opts(name, help), labels)?)
    }

    /// The same, with fractions.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn fractions(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.add(GaugeVec::new(self.opts(name, help), labels)?)
    }

    /// A number that goes up and down, with fractions.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn fraction(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.add(Gauge::with_opts(self.opts(name, help))?)
    }

    /// Times.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(self.buckets(name, help, self.seconds))?)
    }

    /// Times, by labels.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(self.buckets(name, help, self.seconds), labels)?)
    }

    /// Anything else with buckets, by labels.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn distribution(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(self.buckets(name, help, buckets), labels)?)
    }

    /// Sizes, by labels, in powers of two.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn sizes(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        self.add(HistogramVec::new(self.buckets(name, help, &SIZES), labels)?)
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(self.name(name), help)
    }

    fn buckets(&self, name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::new(self.name(name), help).buckets(buckets.to_vec())
    }

    fn name(&self, name: &str) -> String {
        format!("tagfleet_{}_{name}", self.prefix)
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

/// Lets the series of these labels be there from the start, at 0: what begins at 1 has not increased, and an
/// alert that asks for an increase would not see the first time.
pub fn begin(counters: &IntCounterVec, labels: &[&[&str]]) {
    for values in labels {
        counters.with_label_values(values);
    }
}

/// The help text of `database_connections{state}`.
pub const CONNECTIONS: &str = "Connections of the pool: open, idle, and callers that wait for one (awaited). Awaited for minutes: the database is slow, or database.pool_size is small.";

/// Sets `database_connections{state}` to what the pool says.
pub fn set_connections(gauges: &IntGaugeVec, pool: Status) {
    for (state, n) in [("open", pool.size), ("idle", pool.available), ("awaited", pool.waiting)] {
        gauges.with_label_values(&[state]).set(i64::try_from(n).unwrap_or(i64::MAX));
    }
}
