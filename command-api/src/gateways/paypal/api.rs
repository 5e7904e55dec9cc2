//! PayPal's API: its token, its calls, and what its errors mean (<https://developer.paypal.com/api/rest/responses/>).

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::gateways::{
    GatewayError,
    wire::{Caller, Reply, words},
};

/// So long before its end a token is not used any more.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// The calls.
pub(super) struct Api {
    caller: Caller,
    url: String,
    client_id: String,
    secret: SecretString,
    token: Mutex<Option<(SecretString, Instant)>>,
}

/// How a call ended that got an answer.
pub(super) enum Answered<T> {
    Good(T),
    NotThere,
    /// It was understood and not done, for a reason that has a name.
    Issue {
        issue: String,
        why: String,
    },
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub purchase_units: Vec<Unit>,
    #[serde(default)]
    pub links: Vec<Link>,
}

#[derive(Deserialize)]
pub(super) struct Unit {
    pub custom_id: Option<String>,
    #[serde(default)]
    pub payments: Payments,
}

#[derive(Default, Deserialize)]
pub(super) struct Payments {
    #[serde(default)]
    pub captures: Vec<Capture>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Capture {
    pub id: String,
    pub status: String,
    pub amount: Option<Amount>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Amount {
    pub currency_code: String,
    pub value: String,
}

#[derive(Deserialize)]
pub(super) struct Link {
    pub href: String,
    pub rel: String,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    pub id: String,
    pub status: String,
}

#[derive(Deserialize)]
pub(super) struct Verification {
    pub verification_status: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    name: String,
    #[serde(default)]
    debug_id: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    issue: String,
    #[serde(default)]
    description: String,
}

impl Api {
    pub fn try_new(url: &str, client_id: String, secret: SecretString) -> Result<Self, reqwest::Error> {
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { caller: Caller::try_new(&url)?, url, client_id, secret, token: Mutex::new(None) })
    }

    /// A token, which is asked for once by however many wait for it.
    async fn token(&self) -> Result<SecretString, GatewayError> {
        let mut known = self.token.lock().await;
        if let Some((token, until)) = &*known
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let request = self
            .caller
            .request(Method::POST, format!("{}/v1/oauth2/token", self.url))
            .basic_auth(&self.client_id, Some(self.secret.expose_secret()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        // Whatever became of it, nothing of a payment was done.
        let not_done = |why: String| GatewayError::NotDone(format!("no token of PayPal: {why}"));
        let reply = self.caller.send(request).await.map_err(|error| not_done(error.to_string()))?;
        if !reply.status.is_success() {
            return Err(not_done(reply.status.to_string()));
        }
        let token: Token = reply.read().map_err(|error| not_done(error.to_string()))?;
        let secret = SecretString::from(token.access_token);
        let lives = Duration::from_secs(token.expires_in).saturating_sub(TOKEN_MARGIN);
        *known = Some((secret.clone(), Instant::now() + lives));
        Ok(secret)
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Reply, GatewayError> {
        let request = self.caller.request(method.clone(), format!("{}{path}", self.url));
        let mut request = request
            .bearer_auth(self.token().await?.expose_secret())
            .header("prefer", "return=representation")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("paypal-request-id", key);
        }
        if let Some(body) = body {
            request = request.body(body.to_vec());
        }
        self.caller.send(request).await
    }

    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Answered<T>, GatewayError> {
        let mut reply = self.send(&method, path, key, body).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            // A token may end before its time.
            *self.token.lock().await = None;
            reply = self.send(&method, path, key, body).await?;
        }
        if reply.status.is_success() {
            return reply.read().map(Answered::Good);
        }
        let error: Option<ErrorAnswer> = reply.said();
        let issue = error.as_ref().and_then(|error| error.details.first());
        let why = words(&match (&error, issue) {
            (Some(error), issue) => format!(
                "{} {} {}: {} (debug id {})",
                reply.status,
                error.name,
                issue.map_or("–", |issue| issue.issue.as_str()),
                issue.map_or("", |issue| issue.description.as_str()),
                error.debug_id
            ),
            (None, _) => reply.status.to_string(),
        });
        match (reply.status, error) {
            (StatusCode::NOT_FOUND, Some(error)) if error.name == "RESOURCE_NOT_FOUND" => Ok(Answered::NotThere),
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(error)) => {
                let issue = error.details.first().map(|detail| detail.issue.clone()).filter(|issue| !issue.is_empty());
                Ok(Answered::Issue { issue: issue.unwrap_or(error.name), why })
            }
            // Too many, another's address, or wrong keys: nothing was done, and somebody or time will set it right.
            (
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::NOT_FOUND
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN,
                _,
            ) => Err(GatewayError::NotDone(why)),
            // It is being done, 5xx which may have taken effect, or somebody on the way.
            _ => Err(GatewayError::Unknown(why)),
        }
    }

    /// What is at that address, which is no call of the API's.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, GatewayError> {
        let reply = self.caller.send(self.caller.request(Method::GET, url.to_owned())).await?;
        if reply.status.is_success() { Ok(reply.body) } else { Err(GatewayError::NotDone(reply.status.to_string())) }
    }
}
