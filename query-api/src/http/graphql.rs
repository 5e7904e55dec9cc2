//! `POST /graphql`.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State, ws::WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tickiz_contract::{Caller, ErrorCode, Refusal};
use tickiz_telemetry::trace;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Web,
    body::{BodyFault, HeldBody},
    kept::{self, Question},
    negotiate::{ResponseType, is_json},
};
use crate::{
    answer::Reply,
    engine::{Admitted, Sender},
    guard::{Fault, json},
    limits::{LARGE_BODY_BYTES, MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES, RETRY_AFTER_MS},
    server::Connection,
    ws,
};

/// Everything that comes to `/graphql`.
pub async fn graphql(State(web): State<Web>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::POST {
        return post(&web, &parts, body).await;
    }
    if parts.method == Method::GET && parts.headers.contains_key(header::UPGRADE) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => match parts.extensions.get::<Connection>().cloned() {
                Some(connection) => ws::accept(&web, sender(&web, &parts.headers), connection, upgrade),
                // Only this role's own server gives a WebSocket its connection.
                None => StatusCode::NOT_IMPLEMENTED.into_response(),
            },
            Err(rejection) => rejection.into_response(),
        };
    }
    let message = "GraphQL requests are sent by POST; subscriptions over a WebSocket with graphql-transport-ws";
    let refusal = Refusal::new(ErrorCode::InvalidInput, message);
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, refusal);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, GET, OPTIONS"));
    response
}

async fn post(web: &Web, parts: &Parts, body: Body) -> Response {
    if !is_json(&parts.headers) {
        let message = "the request's body must be JSON: Content-Type: application/json, in UTF-8, not compressed";
        return closing(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, Refusal::new(ErrorCode::InvalidInput, message)));
    }
    let span = tracing::info_span!("graphql", otel.kind = "server");
    let mut sender = sender(web, &parts.headers);
    trace::continue_from(&span, sender.traceparent.as_deref());
    sender.traceparent = trace::traceparent(&span).or(sender.traceparent);
    answer(web, parts, body, sender).instrument(span).await
}

async fn answer(web: &Web, parts: &Parts, body: Body, sender: Sender) -> Response {
    let response_type = ResponseType::of(&parts.headers);
    let most = match sender.caller {
        Ok(Caller::Organizer { .. }) => MAX_BODY_BYTES,
        Ok(Caller::Anonymous | Caller::Gate { .. } | Caller::Auditor) | Err(_) => MAX_SMALL_BODY_BYTES,
    };
    let held = match web.bodies.read(&parts.headers, body, most).await {
        Ok(held) => held,
        Err(fault) => return closing(without_body(&fault, most)),
    };
    let trace = sender.trace;
    let app = &web.engine.app;
    let mut question = None;
    if matches!(sender.caller, Ok(Caller::Anonymous)) {
        let changed = app.freshness.shows_changed();
        if let Some(body) = web.lists.find(&held.bytes, changed).await {
            app.metrics.operation(&[kept::LIST.to_owned()], &[]);
            return respond(response_type.status(true), response_type, body, trace);
        }
        question = Question::of(&held.bytes, changed);
    }
    let (status, reply) = match admit(web, held, sender).await {
        Ok(admitted) => {
            let roots = question.is_some().then(|| admitted.baked.roots.clone());
            let reply = web.engine.execute(admitted).await;
            if let (Some(question), Some(roots)) = (question, roots) {
                web.lists.keep(question, &roots, &reply).await;
            }
            (response_type.status(reply.executed), reply)
        }
        Err(Refused::NoRequest(reply)) => (StatusCode::BAD_REQUEST, reply),
        Err(Refused::Request(reply)) => (response_type.status(reply.executed), reply),
    };
    respond(status, response_type, reply.body.into(), trace)
}

/// Why an operation is not executed.
enum Refused {
    /// What came is no GraphQL request at all: that is 400 with either type.
    NoRequest(Reply),
    /// The request is refused.
    Request(Reply),
}

/// Reads a request and has it admitted. Its share of the budget goes back when it has been read.
async fn admit(web: &Web, held: HeldBody, sender: Sender) -> Result<Admitted, Refused> {
    let (engine, trace) = (web.engine.clone(), sender.trace);
    let large = held.bytes.len() >= LARGE_BODY_BYTES;
    let read = move || {
        let request = json::parse_request(&held.bytes)
            .map_err(|fault| Refused::NoRequest(engine.refuse(vec![fault], sender.trace)))?;
        engine.admit(request, &sender).map_err(Refused::Request)
    };
    if !large {
        return read();
    }
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(trace.id = %trace, %error, "a body could not be read");
        Err(Refused::Request(Reply::turned_away(Refusal::internal(), trace)))
    })
}

/// Who sends, by the headers of a request.
fn sender(web: &Web, headers: &HeaderMap) -> Sender {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let authorization = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().unwrap_or_default()),
        // Two are no bearer that anybody has.
        (Some(_), Some(_)) => Some(""),
    };
    let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    Sender {
        caller: web.engine.app.access.identify(authorization),
        trace: Uuid::now_v7(),
        traceparent: traceparent.filter(|text| is_traceparent(text)).map(str::to_owned),
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>` of W3C Trace Context, section 3.2.
fn is_traceparent(text: &str) -> bool {
    let mut parts =
        text.split('-').map(|part| (part.len(), part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))));
    [2, 32, 16, 2].into_iter().all(|len| parts.next() == Some((len, true))) && parts.next().is_none()
}

fn respond(status: StatusCode, response_type: ResponseType, body: Bytes, trace: Uuid) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, response_type.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(trace) = HeaderValue::from_str(&trace.as_hyphenated().to_string()) {
        headers.insert("x-request-id", trace);
    }
    response
}

fn without_body(fault: &BodyFault, most: usize) -> Response {
    match fault {
        BodyFault::TooLarge => {
            let message = format!("the body is larger than {most} bytes");
            plain(StatusCode::PAYLOAD_TOO_LARGE, Refusal::new(ErrorCode::LimitExceeded, message))
        }
        BodyFault::TooSlow => {
            plain(StatusCode::REQUEST_TIMEOUT, Refusal::new(ErrorCode::LimitExceeded, "the body came too slowly"))
        }
        BodyFault::NoRoom => {
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, Refusal::overloaded(RETRY_AFTER_MS));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        BodyFault::Broken => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A refusal of HTTP itself, in the shape of a GraphQL response all the same.
fn plain(status: StatusCode, refusal: Refusal) -> Response {
    let reply = Reply::refused(vec![Fault { refusal, pos: None }], Uuid::nil());
    let mut response = (status, reply.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, ResponseType::Json.content_type());
    response
}

/// The same, and the connection ends: what is left of the body is not waited for.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
