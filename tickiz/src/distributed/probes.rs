//! `/healthz`, `/readyz` and `/metrics` of the roles that have no API.

use std::{fmt::Write, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

/// One figure of a role: name, what it is, value.
pub struct Gauge {
    /// The metric's name, with its labels.
    pub name: String,
    /// What it is.
    pub help: &'static str,
    /// Its value now.
    pub value: i64,
}

/// What a role says of itself.
#[async_trait::async_trait]
pub trait Probed: Send + Sync + 'static {
    /// Why it is not ready; `None` where it is.
    async fn not_ready(&self) -> Option<String>;

    /// Its figures.
    async fn gauges(&self) -> Vec<Gauge>;
}

/// The three routes.
pub fn routes(role: Arc<dyn Probed>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(role)
}

async fn readyz(State(role): State<Arc<dyn Probed>>) -> (StatusCode, String) {
    match role.not_ready().await {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(role): State<Arc<dyn Probed>>) -> impl IntoResponse {
    let mut text = String::new();
    let mut described = String::new();
    for Gauge { name, help, value } in role.gauges().await {
        // Several values of one metric stand together, and are described once.
        let base = name.split('{').next().unwrap_or(&name);
        if base != described {
            let _ = write!(text, "# HELP {base} {help}\n# TYPE {base} gauge\n");
            base.clone_into(&mut described);
        }
        let _ = writeln!(text, "{name} {value}");
    }
    text.push_str(&tickiz_telemetry::metrics::render());
    ([(header::CONTENT_TYPE, tickiz_telemetry::metrics::CONTENT_TYPE)], text)
}
