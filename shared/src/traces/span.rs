//! What parts of the fleet say of their spans.
//!
//! All of it begins with a look at the message: where nothing is traced, none has a header, and that is all
//! that is done. (Not with `span_enabled!`: a question to filters of single layers leaves its answer behind, and
//! the next line of the log may get lost by it.)

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::broker::Received;

/// Makes `span`, which nobody has entered yet, a child of what the message belongs to, and says what came.
pub fn follow(span: &Span, received: &Received) {
    let Some(context) = received.traceparent().and_then(context) else { return };
    if span.set_parent(context).is_err() {
        // Others trace, and this process does not.
        return;
    }
    span.set_attribute("lane", received.routing_key.clone());
    span.set_attribute("messaging.system", "rabbitmq");
    span.set_attribute("messaging.destination.name", received.queue.to_string());
    span.set_attribute("attempt", i64::from(received.attempt));
    if let Some(waited) = received.waited {
        span.set_attribute("waited_ms", i64::try_from(waited.as_millis()).unwrap_or(i64::MAX));
    }
}

/// Links `span` to what the message belongs to, in a trace of somebody else.
pub fn link(span: &Span, received: &Received) {
    if let Some(context) = received.traceparent().and_then(context) {
        span.add_link(context.span().span_context().clone());
    }
}

/// Says something of the current span, which [follows](follow) the message.
pub fn note(received: &Received, key: &'static str, value: impl Into<Value>) {
    if received.traceparent().is_some() {
        Span::current().set_attribute(key, value);
    }
}

/// What a header `traceparent` says, if it can be read.
fn context(traceparent: &str) -> Option<Context> {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(traceparent));
    context.span().span_context().is_valid().then_some(context)
}

/// The one header, as the propagator wants to be given it.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ScrapeId;
    use crate::traces::ScrapeTrace;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = ScrapeTrace::of(&ScrapeId("s-1".into())).header();
        let context = context(&header).unwrap();
        let read = context.span().span_context().clone();
        assert!(read.is_sampled() && read.is_remote());
        assert_eq!(format!("00-{}-{}-01", read.trace_id(), read.span_id()), header);
    }

    /// It comes from a pipeline, or from nobody knows where.
    #[test]
    fn a_header_that_cannot_be_read_is_as_good_as_none() {
        let zeros = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        for header in ["", "00-", "no header", &zeros, &"ä".repeat(55)] {
            assert!(context(header).is_none(), "{header}");
        }
    }
}
