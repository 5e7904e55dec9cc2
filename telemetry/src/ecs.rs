//! Logs as JSON lines of the Elastic Common Schema (ECS 8): `@timestamp`, `log.level`, `message`, `service.name`, and `trace.id`
//! and `span.id` where the line belongs to a trace. A line's own fields stand under their own names, beneath `tickiz`; so do
//! those of the spans around it.

use std::{fmt, io::Write, sync::Arc};

use chrono::{SecondsFormat, Utc};
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// The version of the schema that the lines follow.
const ECS_VERSION: &str = "8.11.0";

/// The layer that writes them.
pub struct EcsLayer<W> {
    service: String,
    writer: Arc<dyn Fn() -> W + Send + Sync>,
}

impl<W: Write + 'static> EcsLayer<W> {
    /// Lines of that service to whatever `writer` gives, one whole line at a time.
    pub fn new(service: String, writer: impl Fn() -> W + Send + Sync + 'static) -> Self {
        Self { service, writer: Arc::new(writer) }
    }
}

/// The fields of a span or line.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S, W> Layer<S> for EcsLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Map::new();
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        for span in spans {
            if let Some(fields) = span.extensions().get::<Fields>() {
                own.extend(fields.0.clone());
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_else(|| Value::String(String::new()));
        own.extend(fields.0);
        let metadata = event.metadata();
        let mut line = json!({
            "@timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "log.level": metadata.level().as_str().to_ascii_lowercase(),
            "message": message,
            "ecs.version": ECS_VERSION,
            "service.name": self.service,
            "log.logger": metadata.target(),
        });
        let trace = opentelemetry::Context::current();
        let trace = trace.span().span_context().clone();
        if trace.is_valid() {
            line["trace.id"] = trace.trace_id().to_string().into();
            line["span.id"] = trace.span_id().to_string().into();
        }
        if let Some(error) = own.remove("error") {
            line["error.message"] = error;
        }
        if !own.is_empty() {
            line["tickiz"] = Value::Object(own);
        }
        let mut text = line.to_string();
        text.push('\n');
        // There is nobody to tell that a line could not be written.
        let _ = (self.writer)().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::trace;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_its_trace_its_fields_and_those_of_the_spans_around_it() {
        let written = Written::default();
        let writer = written.clone();
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .with(EcsLayer::new("tickiz-test".into(), move || writer.clone()));
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let continued = tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("outer", operation = "placeBooking");
            trace::continue_from(&span, Some(traceparent));
            span.in_scope(|| tracing::warn!(position = 7, error = %"it broke", "a line with \"quotes\"\nand a break"));
            trace::traceparent(&span).unwrap()
        });
        let bytes = written.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1, "one line a line");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["trace.id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(line["log.level"], "warn");
        assert_eq!(line["service.name"], "tickiz-test");
        assert_eq!(line["message"], "a line with \"quotes\"\nand a break");
        assert_eq!(line["error.message"], "it broke");
        assert_eq!(line["tickiz"], json!({"operation": "placeBooking", "position": 7}));
        // Whoever continues is in the same trace, under a span of ours.
        assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{continued}");
        assert!(!continued.contains("b7ad6b7169203331"), "{continued}");
        assert!(trace::is_sampled(&continued));
    }
}
