//! Webhooks: what gateways tell us at `/webhooks/{gateway}`.
//!
//! 1. The raw bytes are read, at most [`MAX_WEBHOOK_BYTES`], before anything looks into them.
//! 2. The gateway's own rule verifies them, in constant time. What fails is answered 401 or 400 and leaves nothing behind.
//! 3. The message is stored once, by the gateway's own id of it ([`inbox`]). Only now it is answered: what was answered survives
//!    whatever happens next. A repetition is answered as the first time.
//! 4. Then the gateway is asked where the attempt stands, and its answer is recorded ([`worker`]). What the message says of
//!    the outcome is not even read: messages come late, twice and in any order, and the truth is at the gateway.
//!
//! A message that is lost altogether is made up for by the reconciler ([`crate::payments`]).

pub mod inbox;
pub mod worker;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::{
    inbox::{Inbox, Stored},
    worker::WebhookWorker,
};
use crate::gateways::{Answering, Delivery, Gateway, Gateways, Rejected, Verdict, WebhookAnswer, name_of};

/// The most bytes of a webhook: far above any gateway's, and little enough to be held.
pub const MAX_WEBHOOK_BYTES: usize = 1 << 20;
/// How long the bytes may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// The most verified messages that wait for the store at once. What is above waits a moment and is then sent again by its
/// gateway. Forged messages never get here, so they cannot take a true one's place.
const MAX_STORING: usize = 256;
/// How long a verified message waits for its place.
const STORING_WAIT: Duration = Duration::from_secs(2);
/// The headers that are kept with a message: what was signed with, and by whom it was sent. Never credentials.
const KEPT_HEADERS: [&str; 3] = ["content-type", "user-agent", "date"];
/// A kept header's value is cut after this many bytes.
const MAX_HEADER_BYTES: usize = 1_024;

/// How often refusals are logged: whoever sends forged messages must not fill the disk with it.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(1);

/// Counts refusals between two lines of the program's log.
#[derive(Default)]
struct Refusals {
    logged_at: Option<Instant>,
    silent: u64,
}

impl Refusals {
    /// How many were refused since the last line, this one included, if it is time for another.
    fn count(&mut self) -> Option<u64> {
        self.silent += 1;
        if self.logged_at.is_some_and(|at| at.elapsed() < REFUSALS_LOGGED_EVERY) {
            return None;
        }
        self.logged_at = Some(Instant::now());
        Some(std::mem::take(&mut self.silent))
    }
}

/// The door for webhooks. Cheap to clone.
#[derive(Clone)]
pub struct WebhookReceiver {
    gateways: Gateways,
    inbox: Inbox,
    worker: WebhookWorker,
    storing: Arc<Semaphore>,
    refusals: Arc<Mutex<Refusals>>,
}

impl WebhookReceiver {
    /// A door to that inbox.
    #[must_use]
    pub fn new(gateways: Gateways, inbox: Inbox, worker: WebhookWorker) -> Self {
        Self { gateways, inbox, worker, storing: Arc::new(Semaphore::new(MAX_STORING)), refusals: Arc::default() }
    }

    /// `POST /webhooks/{gateway}`, and `GET` for the gateway that sends its messages so.
    pub fn routes(&self) -> Router {
        // The body is counted here, so that what is too long is answered 413 whatever comes in front.
        Router::new()
            .route("/webhooks/{gateway}", post(receive).get(receive))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    async fn take(
        &self,
        gateway: &Arc<dyn Gateway>,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Response {
        let name = name_of(gateway.method());
        let webhook = match gateway.parse_webhook(Delivery { query, headers, body }).await {
            Ok(webhook) => webhook,
            Err(rejected) => {
                let count = self.refusals.lock().count();
                if let Some(count) = count {
                    tracing::warn!(gateway = name, %rejected, body_bytes = body.len(), count, "webhooks are refused");
                }
                return refusal(gateway.as_ref(), rejected);
            }
        };
        // What was signed is kept: of a message without a body, the query.
        let raw =
            if body.is_empty() { Bytes::copy_from_slice(query.unwrap_or_default().as_bytes()) } else { body.clone() };
        let Ok(Ok(_place)) = tokio::time::timeout(STORING_WAIT, self.storing.acquire()).await else {
            return answer(gateway.answer(Verdict::Later));
        };
        let kept = kept_headers(headers);
        let stored = match self.inbox.store(name, &webhook, kept, raw, worker::LEASE).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(gateway = name, event_key = %webhook.event_key, %error, "a webhook cannot be stored");
                return answer(gateway.answer(Verdict::Later));
            }
        };
        let verdict = match (stored, gateway.answering()) {
            (stored, Answering::AfterApplying) => self.worker.decide(&webhook, stored).await,
            (Stored::Seen, Answering::WhenStored) => Verdict::Seen,
            (Stored::New(message), Answering::WhenStored) => {
                self.worker.hand_over(message);
                Verdict::Taken
            }
        };
        answer(gateway.answer(verdict))
    }
}

fn refusal(gateway: &dyn Gateway, rejected: Rejected) -> Response {
    if let Some(its_own) = gateway.answer_rejected(rejected) {
        return answer(its_own);
    }
    match rejected {
        Rejected::Signature => {
            (StatusCode::UNAUTHORIZED, "the signature is missing, wrong, or of another time\n").into_response()
        }
        Rejected::Malformed => (StatusCode::BAD_REQUEST, "the message is not of the documented form\n").into_response(),
        Rejected::NotOurs => answer(gateway.answer(Verdict::Foreign)),
        Rejected::Unchecked => answer(gateway.answer(Verdict::Later)),
    }
}

fn answer(answer: WebhookAnswer) -> Response {
    match answer.json {
        Some(json) => (answer.status, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => answer.status.into_response(),
    }
}

/// The headers that may help to understand a message later, as a JSON object.
fn kept_headers(headers: &HeaderMap) -> String {
    let kept = headers.iter().filter(|(name, _)| {
        KEPT_HEADERS.contains(&name.as_str())
            || name.as_str().contains("signature")
            || name.as_str().contains("transmission")
    });
    let object: serde_json::Map<String, serde_json::Value> = kept
        .map(|(name, value)| {
            let bytes = value.as_bytes();
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_HEADER_BYTES)]).into_owned();
            (name.as_str().to_owned(), text.into())
        })
        .collect();
    serde_json::Value::Object(object).to_string()
}

async fn receive(
    State(receiver): State<WebhookReceiver>,
    method: Method,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(gateway) = receiver.gateways.named(&name).cloned() else {
        return (StatusCode::NOT_FOUND, "there is no such gateway here\n").into_response();
    };
    if gateway.delivered_by() != method {
        let allowed = gateway.delivered_by().to_string();
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allowed)]).into_response();
    }
    let body = match tokio::time::timeout(BODY_DEADLINE, read_bounded(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(status)) => return status.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    receiver.take(&gateway, query.as_deref(), &headers, &body).await
}

async fn read_bounded(body: Body) -> Result<Bytes, StatusCode> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        // The connection broke, or a limit in front of us cut it.
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if bytes.len() + chunk.len() > MAX_WEBHOOK_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_kept_with_a_message() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer secret"),
            ("cookie", "session=secret"),
            ("sandbox-signature", "t=1,v1=ab"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let kept = kept_headers(&headers);
        assert!(kept.contains("sandbox-signature") && kept.contains("application/json"), "{kept}");
        assert!(!kept.contains("secret"), "{kept}");
    }

    #[tokio::test]
    async fn a_body_is_counted_whether_its_length_was_announced_or_not() {
        let chunk = Bytes::from(vec![b'x'; MAX_WEBHOOK_BYTES / 4]);
        let body = |chunks: usize, rest: &'static [u8]| {
            let chunks = std::iter::repeat_n(chunk.clone(), chunks).chain([Bytes::from_static(rest)]);
            Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, std::io::Error>)))
        };
        assert_eq!(read_bounded(body(4, b"")).await.map(|bytes| bytes.len()), Ok(MAX_WEBHOOK_BYTES));
        assert_eq!(read_bounded(body(4, b"x")).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
