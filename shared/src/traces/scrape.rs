//! The trace of one scrape.

use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Traces;
use crate::ids::ScrapeId;

/// Its ids, which everybody who knows the `scrape_id` knows.
///
/// A scrape that is announced a second time, because images of it were run again or a scheduler died in
/// between, has its root sent again under the same ids: the longer one tells of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrapeTrace {
    trace: TraceId,
    root: SpanId,
    announcement: SpanId,
}

impl ScrapeTrace {
    /// The trace of this scrape: its ids are made of the scrape's.
    pub fn of(scrape: &ScrapeId) -> Self {
        let hash = blake3::derive_key("tagfleet trace of a scrape", scrape.0.as_bytes());
        let (trace, spans) = hash.split_at(16);
        let (root, announcement) = spans.split_at(8);
        Self {
            trace: TraceId::from_bytes(trace.try_into().expect("16 bytes")),
            root: SpanId::from_bytes(root.try_into().expect("8 bytes")),
            announcement: SpanId::from_bytes(announcement.try_into().expect("8 bytes")),
        }
    }

    /// A number from 0 to below 1, evenly spread over scrapes: those below a share are that share of them.
    pub fn draw(&self) -> f64 {
        let [.., a, b, c, d] = self.trace.to_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }

    /// The header `traceparent` of what belongs to the scrape.
    pub fn header(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.root)
    }

    /// Makes `span`, which nobody has entered yet, a child of the scrape.
    pub fn adopt(&self, span: &Span) {
        let context = Context::new().with_remote_span_context(self.context(self.root, true));
        // Err: nothing is traced.
        let _ = span.set_parent(context);
    }

    /// Sends the scrape as a span from `received_at` to now, and its announcement, from `tagged_at`.
    pub fn announced(
        &self,
        traces: &Traces,
        (received_at, tagged_at): (Timestamp, Timestamp),
        attributes: impl IntoIterator<Item = (String, Value)>,
    ) {
        traces.send(|| SpanData {
            span_kind: SpanKind::Producer,
            ..self.span("announce", (self.announcement, self.root), tagged_at)
        });
        traces.send(|| SpanData {
            attributes: attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
            ..self.span("scrape", (self.root, SpanId::INVALID), received_at)
        });
    }

    /// A span that ends now.
    fn span(&self, name: &'static str, (id, parent): (SpanId, SpanId), since: Timestamp) -> SpanData {
        let (start_time, now) = (SystemTime::from(since), SystemTime::now());
        SpanData {
            span_context: self.context(id, false),
            parent_span_id: parent,
            parent_span_is_remote: parent != SpanId::INVALID,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time,
            // The beginning is told by another clock, the database's.
            end_time: now.max(start_time),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("tagfleet").build(),
        }
    }

    fn context(&self, span: SpanId, remote: bool) -> SpanContext {
        SpanContext::new(self.trace, span, TraceFlags::SAMPLED, remote, TraceState::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &str) -> ScrapeTrace {
        ScrapeTrace::of(&ScrapeId(id.into()))
    }

    /// Whoever announces a scrape may be of another version than whoever fanned it out: this must never change.
    #[test]
    fn the_ids_of_a_scrape_are_the_same_for_everybody() {
        assert_eq!(of("s-1"), of("s-1"));
        assert_ne!(of("s-1").trace, of("s-2").trace);
        assert_eq!(of("s-1").header(), "00-9e7a61dd03c1b083b2bf6013b0c9a36b-d83acb078ee02074-01");
    }

    #[test]
    fn a_share_of_the_scrapes_is_below_it() {
        let below = |share| (0..10_000).filter(|n| of(&format!("s-{n}")).draw() < share).count();
        assert_eq!((below(0.0), below(1.0)), (0, 10_000));
        assert!((900..1100).contains(&below(0.1)), "{}", below(0.1));
    }
}
