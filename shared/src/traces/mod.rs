//! Traces for OpenTelemetry, over OTLP: one for each scrape, from `scrape.finished` to `scrape.tagged`.
//!
//! Off by default, and then there is nothing of it: no layer, no thread, no header, and the spans that are
//! made for traces alone (of the target [`TARGET`]) are never enabled.
//!
//! # One scrape, one trace
//!
//! Nobody has a whole scrape in hand. A fan-out that is cut off goes on in another scheduler, a sweep publishes
//! jobs again, and whoever announces the scrape has never heard of who fanned it out: they share a row and no
//! context. So the ids of the trace and of its root are hashes of the `scrape_id` ([`ScrapeTrace`]), which
//! everybody has, and so is the draw that decides whether the scrape is traced: nothing is stored, and nobody
//! can disagree. Jobs carry it as the header `traceparent` (W3C Trace Context) through every queue, so the
//! workers need neither the decision nor the hash; a job without the header is not traced.
//!
//! The root is the scrape itself, from its event to its announcement. It ends in another process than it began
//! in, so whoever announces sends it, whole, when it is over. Everything else is a child of the root: a job's
//! parent is not the fan-out that published it, for there may have been several, and none of them is more the
//! cause of the job than the scrape is.
//!
//! The trace of the pipeline, where its event carries one, is *linked* to by the fan-out, and not continued.
//! Whoever announces would not know of it without a column for it; and the pipeline samples by its own rule,
//! of which half a trace would be left.
//!
//! # What a collector can do to the fleet
//!
//! Nothing. Spans go into a queue that has room for `QUEUE`; what does not fit is lost. A thread of its own
//! sends them (`collector`). A collector that is away is told once, and costs a stop `FLUSHING` at most.

mod collector;
mod scrape;
mod span;

use std::sync::Arc;
use std::time::Duration;

pub use opentelemetry::Value;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};
use secrecy::{ExposeSecret, SecretString};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

pub use self::collector::TracesError;
pub use self::scrape::ScrapeTrace;
pub use self::span::{follow, link, note};
use crate::config::foreign_variable;

/// The target of spans that are made for traces alone; the log never sees them.
pub const TARGET: &str = "traces";

/// Spans that wait to be sent at most: some seconds of a busy worker, and a few MB.
const QUEUE: usize = 8192;

/// How long a span waits for others before it is sent.
const SENT_EVERY: Duration = Duration::from_secs(2);

/// How long a stop waits for the last spans to be sent.
const FLUSHING: Duration = Duration::from_secs(2);

/// The way of spans to the collector, if there is one. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<On>>);

struct On {
    provider: SdkTracerProvider,
    queue: Queue,
}

impl Traces {
    /// Nothing is traced.
    pub fn off() -> Self {
        Self(None)
    }

    /// Spans of `service` go to `endpoint`; none where that is empty. Within a runtime.
    ///
    /// # Errors
    ///
    /// If there can be no client for it. Whether anybody listens there is not asked.
    pub fn start(service: &'static str, endpoint: &SecretString) -> Result<Self, TracesError> {
        let Some(url) = url(endpoint) else { return Ok(Self::off()) };
        let mut exporter = collector::exporter(url)?;
        // An exporter is told whose spans it sends; here, because the provider has no queue of its own to tell.
        let resource = resource(service);
        exporter.set_resource(&resource);
        let batches =
            BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(SENT_EVERY).build();
        let queue = Queue(Arc::new(BatchSpanProcessor::new(exporter, batches)));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            // What belongs to no scrape that is traced is not traced.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
            .with_span_processor(queue.clone())
            .build();
        Ok(Self(Some(Arc::new(On { provider, queue }))))
    }

    /// What makes spans of the fleet's own into spans of a trace.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.0.as_ref()?.provider.tracer("tagfleet");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        // Not those of libraries, and no line of the log: it has a place of its own.
        let own = filter_fn(|metadata| {
            let target = metadata.target();
            metadata.is_span() && (target == TARGET || target.starts_with("tagfleet_"))
        });
        Some(layer.with_filter(own.with_max_level_hint(LevelFilter::INFO)))
    }

    /// Sends a span that is over, and was never one of this process alone.
    pub(crate) fn send(&self, span: impl FnOnce() -> SpanData) {
        if let Some(on) = &self.0 {
            on.queue.0.on_end(span());
        }
    }

    /// Sends what is left; waits for that for `FLUSHING` at most.
    pub async fn stop(self) {
        if let Some(on) = self.0 {
            // An error was told where it happened.
            let _ = tokio::task::spawn_blocking(move || on.provider.shutdown_with_timeout(FLUSHING)).await;
        }
    }
}

/// Who says it: the program, and which of those that run.
fn resource(service: &'static str) -> Resource {
    let instance = foreign_variable("HOSTNAME").map(|host| KeyValue::new("service.instance.id", host));
    Resource::builder_empty()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.namespace", "tagfleet"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(instance)
        .build()
}

/// Where spans are to go: `/v1/traces` there, unless it names a path of its own.
fn url(endpoint: &SecretString) -> Option<Url> {
    let mut url = Url::parse(endpoint.expose_secret()).ok()?;
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Some(url)
}

/// Adds a line to `problems` where `traces.endpoint` cannot work.
pub fn check(endpoint: &SecretString, problems: &mut Vec<String>) {
    let fine = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !endpoint.expose_secret().is_empty() && !url(endpoint).is_some_and(fine) {
        problems.push("traces.endpoint must be empty or like http://host:4318".into());
    }
}

/// The queue, for the provider as well as for whoever sends a span that is over.
#[derive(Clone, Debug)]
struct Queue(Arc<BatchSpanProcessor>);

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(endpoint: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check(&endpoint.into(), &mut problems);
        problems
    }

    #[test]
    fn spans_go_to_the_usual_path_unless_another_is_named() {
        let to = |endpoint: &str| url(&endpoint.into()).map(String::from);
        assert_eq!(to("http://collector:4318").as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(to("http://collector:4318/").as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(
            to("https://tempo.test/otlp/v1/traces").as_deref(),
            Some("https://tempo.test/otlp/v1/traces")
        );
        assert_eq!(to(""), None);
    }

    #[test]
    fn an_endpoint_that_cannot_work_is_told_without_what_stands_in_it() {
        for fine in ["", "http://collector:4318", "https://me:secret@collector/v1/traces"] {
            assert_eq!(problems(fine), Vec::<String>::new());
        }
        for wrong in ["collector:4318", "grpc://me:secret@collector:4317", "me:secret@collector"] {
            assert_eq!(problems(wrong), ["traces.endpoint must be empty or like http://host:4318"]);
        }
    }
}
