//! What is served beside GraphQL: probes, metrics, seating plans, public keys.

use std::sync::atomic::Ordering;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tickiz_domain::seating_plan::PlanHash;

use super::Web;

/// How long keys may be kept: a new one is published long before it signs.
const KEYS_FOR: &str = "public, max-age=300";
/// A plan never changes under its hash.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /healthz`: the process works.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the read models have reached the head that the log had at the start. Once ready, ready it stays.
pub async fn readyz(State(web): State<Web>) -> (StatusCode, String) {
    if !web.ready.load(Ordering::Acquire) {
        let app = &web.engine.app;
        let wanted = web.head_at_start;
        match app.reads.checkpoint().await {
            Ok(position) if position >= wanted => web.ready.store(true, Ordering::Release),
            Ok(position) => {
                let message = format!("not ready: the read models are at {position} of {wanted}\n");
                return (StatusCode::SERVICE_UNAVAILABLE, message);
            }
            Err(error) => {
                tracing::warn!(%error, "the read models cannot be asked where they are");
                return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the read models do not answer\n".to_owned());
            }
        }
    }
    (StatusCode::OK, "ready\n".to_owned())
}

/// `GET /metrics`.
pub async fn metrics(State(web): State<Web>) -> Response {
    let app = &web.engine.app;
    let position = app.reads.checkpoint().await.ok();
    let head = app.log.head().await.ok();
    let text = app.metrics.render(position, head) + &tickiz_telemetry::metrics::render();
    ([(header::CONTENT_TYPE, tickiz_telemetry::metrics::CONTENT_TYPE)], text).into_response()
}

/// `GET /.well-known/jwks.json`: the public keys of ticket codes, and the one that gates' bundles are signed with.
pub async fn jwks(State(web): State<Web>) -> Response {
    let app = &web.engine.app;
    let mut keys = app.signer.jwks();
    keys.push(app.bundles.jwk());
    let keys = json!({ "keys": keys });
    ([(header::CACHE_CONTROL, KEYS_FOR)], axum::Json(keys)).into_response()
}

/// `GET /seat-plans/{hash}`: a plan's geometry as packed columns.
pub async fn seat_plan(State(web): State<Web>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "there is no seating plan with that hash\n").into_response();
    if hash.parse::<PlanHash>().is_err() {
        return missing();
    }
    // Weak, since the same plan goes out compressed or not.
    let tag = format!("W/\"{hash}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).any(|value| {
        let value = value.trim();
        value == "*" || value.trim_start_matches("W/").trim_matches('"') == hash
    });
    let bytes = match web.engine.app.reads.plan_bytes(&hash).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return missing(),
        Err(error) => {
            tracing::error!(%error, plan.hash = %hash, "a seating plan could not be read");
            return (StatusCode::SERVICE_UNAVAILABLE, "the seating plan cannot be read now\n").into_response();
        }
    };
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
