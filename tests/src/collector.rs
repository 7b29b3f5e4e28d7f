//! A collector of traces: it takes OTLP over HTTP, and keeps what it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::eventually;

/// What it has been sent; ends with the value.
pub struct Collector {
    /// Where it is.
    pub address: SocketAddr,
    kept: Arc<Mutex<Vec<TracedSpan>>>,
    task: JoinHandle<()>,
}

/// A span, in words.
#[derive(Clone, Debug)]
pub struct TracedSpan {
    /// Who sent it.
    pub service: String,
    /// What it is.
    pub name: String,
    /// Its trace, and its own id there; its parent's is empty for a root.
    pub trace: String,
    /// See `trace`.
    pub id: String,
    /// See `trace`.
    pub parent: String,
    /// Spans of other traces that it links to, as `trace-span`.
    pub links: Vec<String>,
    /// What is said of it.
    pub said: BTreeMap<String, String>,
    /// From when to when, in nanoseconds since 1970.
    pub times: (u64, u64),
}

impl TracedSpan {
    /// What is said of it under this name; empty where nothing is.
    pub fn says(&self, key: &str) -> &str {
        self.said.get(key).map_or("", String::as_str)
    }
}

impl Collector {
    /// One on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Mutex<Vec<TracedSpan>>>::default();
        let keep = kept.clone();
        let take = move |body: Bytes| {
            let spans = read(&body);
            keep.lock().unwrap().extend(spans);
            std::future::ready(StatusCode::OK)
        };
        let routes = Router::new().route("/v1/traces", post(take));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, kept, task }
    }

    /// The settings with which a fleet sends its traces here: of each scrape, or of none.
    pub fn settings(&self, sample: &str) -> Vec<(&'static str, String)> {
        vec![
            ("TAGFLEET__TRACES__ENDPOINT", format!("http://{}", self.address)),
            ("TAGFLEET__TRACES__SAMPLE", sample.to_owned()),
        ]
    }

    /// All spans that have come.
    pub fn spans(&self) -> Vec<TracedSpan> {
        self.kept.lock().unwrap().clone()
    }

    /// Waits for a span with this name.
    pub async fn has(&self, name: &str) {
        eventually(&format!("a span {name} comes"), || {
            std::future::ready(self.spans().iter().any(|span| span.name == name).then_some(()))
        })
        .await;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn read(body: &[u8]) -> Vec<TracedSpan> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let of = request.resource_spans.into_iter().flat_map(|resource| {
        let who = words(resource.resource.unwrap_or_default().attributes);
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| (who.clone(), span)).collect::<Vec<_>>()
    });
    of.map(|(who, span)| in_words(&who, span)).collect()
}

fn in_words(who: &BTreeMap<String, String>, span: Span) -> TracedSpan {
    TracedSpan {
        service: who.get("service.name").cloned().unwrap_or_default(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span
            .links
            .iter()
            .map(|link| format!("{}-{}", hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        said: words(span.attributes),
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
    }
}

fn words(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let word = |value| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|said| (said.key, word(said.value.and_then(|value| value.value)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
