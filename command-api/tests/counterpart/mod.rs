//! Somebody at the other end of a socket: answers what a test tells it to, and remembers what it was asked.

#![allow(dead_code, reason = "every test file uses another part of it")]

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use parking_lot::Mutex;
use serde_json::Value;
use tickiz_command_api::gateways::{Attempt, AttemptRef, Delivery, Gateway, RefundOrder, Rejected, Webhook};
use tickiz_domain::{
    ids::{BookingId, PaymentId, RefundId},
    money::Money,
};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// The body's form, decoded.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Method and path, as in `POST /v1/refunds`.
    pub fn call(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What is answered.
pub enum Says {
    /// That status and that body.
    This(u16, String),
    /// The same with headers.
    With(u16, Vec<(&'static str, String)>, String),
    /// The head of a good answer, and then the connection breaks: whatever was done is done.
    BreaksOff,
}

impl From<(u16, Value)> for Says {
    fn from((status, body): (u16, Value)) -> Self {
        Self::This(status, body.to_string())
    }
}

type Handler = dyn Fn(&Asked) -> Says + Send + Sync;

pub struct Counterpart {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl Counterpart {
    pub async fn new(handler: impl Fn(&Asked) -> Says + Send + Sync + 'static) -> Self {
        let handler: Arc<Handler> = Arc::new(handler);
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let remembered = asked.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (handler, remembered) = (handler.clone(), remembered.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("the body is read");
                let asked = Asked {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body,
                };
                remembered.lock().push(asked.clone());
                respond(handler(&asked))
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
        Self { url, asked, server }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// What it was asked last.
    pub fn last(&self) -> Asked {
        self.asked.lock().last().cloned().expect("it was asked something")
    }
}

impl Drop for Counterpart {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn respond(says: Says) -> Response {
    let (status, headers, body) = match says {
        Says::This(status, body) => (status, Vec::new(), Body::from(body)),
        Says::With(status, headers, body) => (status, headers, Body::from(body)),
        Says::BreaksOff => {
            let chunks = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("it breaks off"))];
            (200, Vec::new(), Body::from_stream(futures::stream::iter(chunks)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

pub fn reference() -> AttemptRef {
    AttemptRef { booking_id: BookingId(Uuid::from_u128(0xB00C)), payment_id: PaymentId(Uuid::from_u128(0xA77E)) }
}

/// An attempt at 2026-01-01T00:15:00Z.
pub fn attempt(amount: &str, currency: &str) -> Attempt {
    let pay_until = chrono::DateTime::from_timestamp(1_767_226_500, 0).expect("a time");
    Attempt {
        reference: reference(),
        amount: Money::parse(amount, currency).expect("an amount"),
        title: "Đêm nhạc Trịnh & bạn bè".to_owned(),
        booking_code: "K7QF-2MXD".to_owned(),
        return_url: Some("https://shop.example/thanks?order=1&x=y".to_owned()),
        pay_until,
        hold_ends_at: pay_until,
        locale: Some("vi-VN".to_owned()),
        gateway_reference: None,
        is_wanted: true,
    }
}

pub fn refund_of(gateway_reference: &str, amount: &str, currency: &str) -> RefundOrder {
    RefundOrder {
        refund_id: RefundId(Uuid::from_u128(0x4EF0)),
        attempt: reference(),
        gateway_reference: gateway_reference.to_owned(),
        amount: Money::parse(amount, currency).expect("an amount"),
        paid: Money::parse(amount, currency).expect("an amount"),
        reason: "the booking was paid already".to_owned(),
    }
}

/// Gives a gateway a webhook as it came by POST.
pub async fn deliver(gateway: &dyn Gateway, headers: &[(&str, &str)], body: &str) -> Result<Webhook, Rejected> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            axum::http::HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            value.parse().expect("a value"),
        );
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    gateway.parse_webhook(Delivery { query: None, headers: &map, body: &body }).await
}

/// The signature vectors of a scheme.
pub fn vectors(scheme: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("vectors.json")).expect("the vectors are JSON");
    let of_scheme: Vec<Value> = all.into_iter().filter(|vector| vector["scheme"] == scheme).collect();
    assert!(!of_scheme.is_empty(), "there are vectors of {scheme}");
    of_scheme
}

pub fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{} has no {field}", vector["id"]))
}
