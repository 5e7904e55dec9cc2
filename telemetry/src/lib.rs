//! Traces, metrics and logs: how they are made, and where they go.
//!
//! * **Traces** follow a request from its HTTP headers through command, log, Kafka and projections to the frame of a subscription.
//!   Within a process `tracing`'s spans are the trace's; between processes, and across the log, the W3C trace context is
//!   carried as text ([`trace`]). They go to whoever collects them by OTLP, where one is configured. Where none is, nothing is
//!   recorded, and the ids that came are passed on all the same; new ones are made only for JSON logs, which name them, since making
//!   them is a fifth of what the smallest request costs.
//! * **Metrics** are instruments of OpenTelemetry's global meter, which every crate makes for itself; [`metrics::render`] gives all
//!   of a process in Prometheus' text format.
//! * **Logs** go to stderr, as text or as JSON lines of the Elastic Common Schema ([`ecs`]).
//!
//! None of them holds what identifies a person, nor a secret: what is logged are ids, positions, counts, codes and kinds.

pub mod ecs;
pub mod metrics;
pub mod trace;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// How long the last spans may take to be sent when the program ends.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// What a process tells of itself, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its role: `serve`, `command-api`, `verify`, …
    pub role: String,
    /// What is logged, as a tracing filter.
    pub log_filter: String,
    /// Whether it is logged as JSON lines.
    pub log_json: bool,
    /// Where traces are sent by OTLP over HTTP, such as `http://127.0.0.1:4318`.
    pub otlp: Option<String>,
    /// Which share of the traces that begin here is recorded, 0 to 1. Those that began elsewhere are recorded as they were there.
    pub trace_ratio: f64,
}

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("TICKIZ_LOG is not a tracing filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something of this process logs already.
    #[error("telemetry was started before")]
    Started,
    /// The exporter of traces or metrics cannot be made.
    #[error("the exporter cannot be made: {0}")]
    Exporter(String),
}

/// Sends the last spans when it is dropped.
#[derive(Debug)]
pub struct Telemetry(SdkTracerProvider);

impl Drop for Telemetry {
    fn drop(&mut self) {
        match self.0.shutdown_with_timeout(FLUSH_PATIENCE) {
            Ok(()) | Err(OTelSdkError::AlreadyShutdown) => {}
            Err(error) => tracing::debug!(%error, "the last spans may not have been sent"),
        }
    }
}

fn resource(role: &str) -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_service_name(format!("tickiz-{role}")).with_attribute(version).build()
}

/// Starts all three, once a process and before anything else makes spans or instruments.
///
/// # Errors
/// When the filter is none, the exporter cannot be made, or it was started before.
pub fn start(options: &Options) -> Result<Telemetry, TelemetryError> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    metrics::start()?;
    let provider = provider(options)?;
    opentelemetry::global::set_tracer_provider(provider.clone());

    let filter = EnvFilter::try_new(&options.log_filter)?;
    let log = if options.log_json {
        ecs::EcsLayer::new(format!("tickiz-{}", options.role), std::io::stderr).boxed()
    } else {
        tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr).boxed()
    };
    // Spans of our own crates, whatever is logged; of nobody's where neither a collector nor a log names their ids.
    let named = options.otlp.is_some() || options.log_json;
    let ours = tracing_subscriber::filter::filter_fn(|metadata| {
        metadata.is_span() && metadata.target().starts_with("tickiz") && *metadata.level() <= tracing::Level::INFO
    })
    // Said beforehand: else every library would make its finest notes for nobody, some of them for each frame of a socket.
    .with_max_level_hint(tracing::level_filters::LevelFilter::INFO);
    let traces = named.then(|| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(trace::SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(traces)
        .with(log.with_filter(filter))
        .try_init()
        .map_err(|_| TelemetryError::Started)?;
    Ok(Telemetry(provider))
}

fn provider(options: &Options) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource(&options.role));
    let Some(endpoint) = &options.otlp else {
        // Nobody collects: ids are made and passed on, nothing is recorded.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    };
    let root = Sampler::TraceIdRatioBased(options.trace_ratio);
    let builder = builder.with_sampler(Sampler::ParentBased(Box::new(root)));
    Ok(builder.with_batch_exporter(exporter(endpoint)?).build())
}

#[cfg(feature = "otlp")]
fn exporter(endpoint: &str) -> Result<opentelemetry_otlp::SpanExporter, TelemetryError> {
    use opentelemetry_otlp::WithExportConfig;
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))
}

#[cfg(not(feature = "otlp"))]
fn exporter(_: &str) -> Result<NoExporter, TelemetryError> {
    Err(TelemetryError::Exporter("this program was built without OTLP; build it with `--features distributed`".into()))
}

/// What is never made where there is no OTLP.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
enum NoExporter {}

#[cfg(not(feature = "otlp"))]
impl opentelemetry_sdk::trace::SpanExporter for NoExporter {
    async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        match *self {}
    }
}
