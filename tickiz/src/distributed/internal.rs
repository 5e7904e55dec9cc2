//! The border between query-api and command-api as HTTP: the same words as the call of the embedded form.
//!
//! `POST /internal/commands` takes a [`Call`] and answers an [`Outcome`], both JSON, under a bearer token that every process of one
//! installation derives from the master key. What else the outside says to the write side (webhooks, the sandbox gateway's
//! pages) query-api passes on as it is, so that one address serves everything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request as HttpRequest, State},
    http::{StatusCode, header, request::Parts as HttpParts},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tickiz_contract::{Answer, CallContext, Commands, Refusal, Refusals, Request};
use tickiz_event_log::EventLog;
use tokio::sync::Semaphore;
use url::Url;

/// Where commands are taken.
const PATH: &str = "/internal/commands";
/// What is passed on, by the beginning of its path.
const PASSED: [&str; 2] = ["/webhooks/", "/sandbox/"];
/// The biggest command: an organiser's 24 MiB with a seating plan, escaped.
const MAX_COMMAND_BYTES: usize = 64 << 20;
/// All commands that are being read and carried out together: two of the biggest, or some ten thousand of the usual ones.
const COMMAND_ROOM_BYTES: usize = 2 * MAX_COMMAND_BYTES;
/// How long the body of a request may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection to the write side is kept that nobody uses: shorter than the server keeps a silent one, or a request would
/// meet its end.
const IDLE: Duration = Duration::from_secs(5);
/// How many requests are passed on at once; each may hold [`MAX_PASSED_BYTES`] and an answer.
const MAX_PASSING: usize = 256;
/// The biggest request that is passed on; webhooks and the sandbox's forms are far smaller.
const MAX_PASSED_BYTES: usize = 1 << 20;
/// The biggest answer that is passed back.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// How long a command may take: `payBooking` waits 5 s for a page, everything else is faster.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a process may take to accept a connection before the next one is tried.
const CONNECT: Duration = Duration::from_secs(1);
/// How often a command is sent whose answer is lost, where its repetition is known for one.
const TRIES: u32 = 3;
/// The hint for a caller when no process of the write side can be reached.
const RETRY_AFTER_MS: u64 = 1_000;
/// Headers that are between two neighbours only (RFC 9110 section 7.6.1), or that the HTTP client sets itself.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// A command on its way.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    context: CallContext,
    request: Request,
}

/// What became of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Answered(Answer),
    Refused(Refusals),
}

/// The bearer token between the processes of one installation.
#[must_use]
pub fn token(log: &EventLog) -> String {
    hex::encode(log.secrets().derive("internal-api"))
}

#[derive(Clone)]
struct Door {
    commands: Arc<dyn Commands>,
    /// Its hash: two hashes are compared, so that the time it takes says nothing about the token.
    token: [u8; 32],
    /// Room for the bodies that are being read and carried out, in bytes.
    room: Arc<Semaphore>,
}

/// The route that takes commands.
pub fn routes(commands: Arc<dyn Commands>, token: &str) -> Router {
    let (token, room) = (Sha256::digest(token).into(), Arc::new(Semaphore::new(COMMAND_ROOM_BYTES)));
    Router::new().route(PATH, post(take)).with_state(Door { commands, token, room })
}

async fn take(State(door): State<Door>, request: HttpRequest) -> Response {
    let (HttpParts { headers, .. }, body) = request.into_parts();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if <[u8; 32]>::from(Sha256::digest(bearer)) != door.token {
        return StatusCode::NOT_FOUND.into_response();
    }
    // Read only for those who may, and not more of them at once than there is memory for.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let Some(length) = length.filter(|length| *length <= MAX_COMMAND_BYTES) else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let share = u32::try_from(length).unwrap_or(u32::MAX);
    let Ok(_room) = door.room.try_acquire_many(share) else {
        return Json(Outcome::Refused(Refusal::overloaded(RETRY_AFTER_MS).into())).into_response();
    };
    let Ok(Ok(body)) = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, length)).await else {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    };
    let call: Call = match serde_json::from_slice(&body) {
        Ok(call) => call,
        Err(error) => {
            tracing::error!(%error, "query-api and command-api are of different versions");
            return (StatusCode::BAD_REQUEST, "the command cannot be read\n").into_response();
        }
    };
    let outcome = match door.commands.execute(call.context, call.request).await {
        Ok(answer) => Outcome::Answered(answer),
        Err(refusals) => Outcome::Refused(refusals),
    };
    Json(outcome).into_response()
}

/// The processes of the write side, from another one.
#[derive(Clone)]
pub struct WriteSide {
    http: reqwest::Client,
    urls: Arc<[Url]>,
    token: Arc<str>,
    next: Arc<AtomicUsize>,
}

impl WriteSide {
    /// The write side at these addresses; at least one.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(urls: &[Url], token: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(!urls.is_empty(), "TICKIZ_COMMAND_API_URLS names no process of the write side");
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .timeout(PATIENCE)
            .build()
            .context("the HTTP client")?;
        Ok(Self { http, urls: urls.into(), token: token.into(), next: Arc::default() })
    }

    /// Sends what `request` makes for each process in turn, beginning with another each time, until one takes it. Only where
    /// nothing was sent is the next one tried: otherwise something may have been done.
    async fn send(
        &self,
        path: &str,
        request: impl Fn(Url) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tried = 0;
        loop {
            let mut url = self.urls[(first + tried) % self.urls.len()].clone();
            let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            url.set_path(path);
            url.set_query(query);
            tried += 1;
            match request(url).send().await {
                Err(error) if error.is_connect() && tried < self.urls.len() => {}
                outcome => return outcome,
            }
        }
    }
}

#[async_trait::async_trait]
impl Commands for WriteSide {
    async fn execute(&self, context: CallContext, request: Request) -> Result<Answer, Refusals> {
        let (operation, mut tries) = (request.operation(), if request.is_repeatable() { TRIES } else { 1 });
        let body = serde_json::to_vec(&Call { context, request }).map_err(|error| {
            tracing::error!(%error, operation, "a command cannot be written down");
            Refusal::internal()
        })?;
        let body = Bytes::from(body);
        loop {
            tries -= 1;
            let sent = self
                .send(PATH, |url| {
                    let request = self.http.post(url).bearer_auth(&self.token);
                    request.header(header::CONTENT_TYPE, "application/json").body(body.clone())
                })
                .await;
            let answer = match sent {
                Ok(answer) if answer.status() == StatusCode::OK => answer.json::<Outcome>().await,
                Ok(answer) => {
                    tracing::error!(operation, status = %answer.status(), "command-api does not take commands from this process");
                    return Err(Refusal::internal().into());
                }
                Err(error) if error.is_connect() => {
                    tracing::warn!(operation, error = ?error.without_url(), "no process of the write side can be reached");
                    return Err(Refusal::overloaded(RETRY_AFTER_MS).into());
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(Outcome::Answered(answer)) => return Ok(answer),
                Ok(Outcome::Refused(refusals)) => return Err(refusals),
                // A process that died or was told to stop, a connection that was reset. After a time-out the caller has waited long enough.
                Err(error) if tries > 0 && !error.is_timeout() => {
                    tracing::info!(operation, error = ?error.without_url(), "the answer to a command was lost; it is sent again");
                }
                Err(error) => {
                    // It may be done: the caller asks with the same idempotency key.
                    tracing::warn!(operation, error = ?error.without_url(), "the outcome of a command was lost");
                    return Err(Refusal::internal().into());
                }
            }
        }
    }
}

/// Passes `/webhooks` and `/sandbox` on to the write side.
pub fn passed_on(write_side: WriteSide) -> Router {
    Router::new()
        .route("/webhooks/{*rest}", axum::routing::any(pass))
        .route("/sandbox/{*rest}", axum::routing::any(pass))
        .with_state((write_side, Arc::new(Semaphore::new(MAX_PASSING))))
}

async fn pass(State((write_side, passing)): State<(WriteSide, Arc<Semaphore>)>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    // A path such as /sandbox/../internal would become another one on its way.
    let resolved = write_side.urls[0].join(parts.uri.path());
    if !resolved.is_ok_and(|url| PASSED.iter().any(|begin| url.path().starts_with(begin))) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(_turn) = passing.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response();
    };
    let body = match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, MAX_PASSED_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let sent = write_side
        .send(path, |url| {
            let request = write_side.http.request(parts.method.clone(), url).body(body.clone());
            let headers = parts.headers.iter().filter(|(name, _)| is_passed(name.as_str()));
            headers.fold(request, |request, (name, value)| request.header(name, value))
        })
        .await;
    let mut answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(error = %error.without_url(), "the write side does not answer");
            return StatusCode::BAD_GATEWAY.into_response();
        }
    };
    let mut passed = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| is_passed(name.as_str())) {
        passed = passed.header(name, value);
    }
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER_BYTES => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Ok(Some(_)) | Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
        }
    }
    passed.body(Body::from(bytes)).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

fn is_passed(name: &str) -> bool {
    // The host is the one that is spoken to; the name that the browser used stands in TICKIZ_PUBLIC_URL.
    name != "host" && !HOP_BY_HOP.contains(&name)
}
