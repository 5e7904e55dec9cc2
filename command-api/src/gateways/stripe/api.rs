//! Stripe's API: forms in, JSON out, and what its errors mean (<https://docs.stripe.com/api/errors>).

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

use crate::gateways::{
    GatewayError,
    wire::{Caller, words},
};

/// The version that the words below are of. Sent with each call, or the account's own default would answer.
const VERSION: &str = "2026-06-24.dahlia";

/// The calls.
pub(super) struct Api {
    caller: Caller,
    url: String,
    key: SecretString,
}

/// How a call ended that got an answer.
pub(super) enum Answered<T> {
    Good(T),
    NotThere,
}

#[derive(Deserialize)]
pub(super) struct Session {
    pub id: String,
    pub url: Option<String>,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub payment_status: String,
    pub amount_total: Option<i64>,
    pub currency: Option<String>,
    pub client_reference_id: Option<String>,
    pub payment_intent: Option<Id>,
}

/// A payment intent: its id, or itself where it was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Id(String),
    Intent { id: String, status: String, amount_received: Option<i64> },
}

impl Id {
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Intent { id, .. } => id,
        }
    }

    pub fn status(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Intent { status, .. } => Some(status),
        }
    }

    pub fn amount_received(&self) -> Option<i64> {
        match self {
            Self::Intent { amount_received: Some(amount), .. } if *amount > 0 => Some(*amount),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Refund {
    pub id: String,
    pub status: Option<String>,
    pub failure_reason: Option<String>,
    #[serde(default)]
    pub metadata: RefundMetadata,
}

#[derive(Default, Deserialize)]
pub(super) struct RefundMetadata {
    pub refund_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: Option<String>,
}

impl Api {
    pub fn try_new(url: &str, key: SecretString) -> Result<Self, reqwest::Error> {
        Ok(Self { caller: Caller::try_new(url)?, url: url.trim_end_matches('/').to_owned(), key })
    }

    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<String>,
        form: Option<&[(&str, String)]>,
    ) -> Result<Answered<T>, GatewayError> {
        let mut request = self
            .caller
            .request(method, format!("{}/v1/{path}", self.url))
            .bearer_auth(self.key.expose_secret())
            .header("stripe-version", VERSION);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(form) = form {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let reply = self.caller.send(request).await?;
        if reply.status.is_success() {
            return reply.read().map(Answered::Good);
        }
        let error = reply.said::<ErrorAnswer>().map(|answer| answer.error);
        let said = error.as_ref().map_or_else(String::new, |error| {
            let code = error.code.as_deref().unwrap_or("–");
            format!(" {} {code}: {}", error.kind, error.message.as_deref().unwrap_or_default())
        });
        let why = format!("{}{} (request {})", reply.status, words(&said), words(reply.header("request-id")));
        match (reply.status, error.as_ref().map(|error| error.kind.as_str())) {
            (StatusCode::NOT_FOUND, Some("invalid_request_error")) => Ok(Answered::NotThere),
            // Too many, another's address, or a wrong key: nothing was done, and somebody or time will set it right.
            (
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::NOT_FOUND
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN,
                _,
            ) => Err(GatewayError::NotDone(why)),
            // Under this key something else was asked before, such as an older title, or it is being done at this moment.
            (_, Some("idempotency_error")) | (StatusCode::CONFLICT, _) => Err(GatewayError::Unknown(why)),
            (StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED, Some("invalid_request_error" | "card_error")) => {
                Err(GatewayError::Refused(why))
            }
            // 5xx, which may have taken effect; and a 4xx without Stripe's own words, which is somebody's on the way.
            _ => Err(GatewayError::Unknown(why)),
        }
    }
}
