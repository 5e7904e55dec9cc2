//! The process's metrics, in Prometheus' text format.

use std::sync::OnceLock;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::TelemetryError;

/// The media type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Makes the global meter's provider. Instruments that were made before stay mute.
pub(crate) fn start() -> Result<(), TelemetryError> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    REGISTRY.set(registry).map_err(|_| TelemetryError::Started)?;
    opentelemetry::global::set_meter_provider(SdkMeterProvider::builder().with_reader(exporter).build());
    Ok(())
}

/// All metrics of this process as they are now; empty where telemetry was not started.
#[must_use]
pub fn render() -> String {
    let mut text = Vec::new();
    if let Some(registry) = REGISTRY.get() {
        // Written to memory: nothing of it can fail but a metric that is malformed, which then is left out.
        let _ = TextEncoder::new().encode(&registry.gather(), &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
