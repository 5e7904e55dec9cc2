//! The trace context as text, where a trace leaves a process or goes through the log, and spans for what was done for many.

use std::{collections::HashMap, time::SystemTime};

use opentelemetry::{
    Context, KeyValue, global,
    propagation::TextMapPropagator,
    trace::{Span as _, SpanKind, TraceContextExt, Tracer},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name under which our spans are made.
pub(crate) const SCOPE: &str = "tickiz";
/// The header of W3C Trace Context, section 3.2.
const TRACEPARENT: &str = "traceparent";

fn context_of(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    // Of no parent: what this task happens to be doing is none of the other trace's.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// Makes a span the child of what a text says, if it says anything.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        // Only a span that nobody records refuses a parent.
        let _ = span.set_parent(context_of(traceparent));
    }
}

/// The text by which others continue from a span; `None` where it is part of no trace.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Whether the trace that a text says is recorded.
#[must_use]
pub fn is_sampled(traceparent: &str) -> bool {
    context_of(traceparent).span().span_context().is_sampled()
}

/// Notes in the trace that a text says that something was done for it, from then until now, together with others: a batch was
/// published, projected, sent. Costs nothing where that trace is not recorded.
pub fn note(name: &'static str, traceparent: &str, began: SystemTime, attributes: impl IntoIterator<Item = KeyValue>) {
    let parent = context_of(traceparent);
    if !parent.span().span_context().is_sampled() {
        return;
    }
    let tracer = global::tracer(SCOPE);
    let builder = tracer.span_builder(name).with_kind(SpanKind::Consumer).with_start_time(began);
    let builder = builder.with_attributes(attributes);
    tracer.build_with_context(builder, &parent).end();
}

/// Notes in each of these traces, once, that something was done from then until now.
pub fn note_each<'a>(
    name: &'static str,
    traces: impl Iterator<Item = &'a str>,
    began: SystemTime,
    attributes: impl Fn() -> Vec<KeyValue>,
) {
    let mut last = None;
    for traceparent in traces {
        // The domain events of one append follow each other.
        if last.replace(traceparent) != Some(traceparent) {
            note(name, traceparent, began, attributes());
        }
    }
}
