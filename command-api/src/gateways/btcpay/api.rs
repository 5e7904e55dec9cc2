//! BTCPay Server's Greenfield API (<https://docs.btcpayserver.org/API/Greenfield/v1/>).

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::gateways::{
    GatewayError,
    wire::{Caller, words},
};

/// The calls.
pub(super) struct Api {
    caller: Caller,
    /// The store's address.
    url: String,
    key: SecretString,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invoice {
    pub id: String,
    pub store_id: String,
    pub status: String,
    #[serde(default)]
    pub additional_status: String,
    pub amount: String,
    pub paid_amount: Option<String>,
    pub currency: String,
    pub checkout_link: Option<String>,
    #[serde(default)]
    pub metadata: Metadata,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub order_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Way {
    #[serde(default)]
    pub payments: Vec<Payment>,
}

#[derive(Deserialize)]
pub(super) struct Payment {
    pub status: String,
}

impl Api {
    pub fn try_new(url: &str, store_id: &str, key: SecretString) -> Result<Self, reqwest::Error> {
        let url = format!("{}/api/v1/stores/{store_id}", url.trim_end_matches('/'));
        Ok(Self { caller: Caller::try_new(&url)?, url, key })
    }

    /// Makes a call below the store's address; `None`: it is not there.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Option<T>, GatewayError> {
        let request = self.caller.request(method, format!("{}/{path}", self.url));
        let mut request = request.header(header::AUTHORIZATION, format!("token {}", self.key.expose_secret()));
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let reply = self.caller.send(request).await?;
        if reply.status.is_success() {
            return reply.read().map(Some);
        }
        let said: Option<Value> = reply.said();
        let why = words(&format!("{} {}", reply.status, said.as_ref().map(Value::to_string).unwrap_or_default()));
        let code = said.as_ref().and_then(|said| said["code"].as_str()).unwrap_or_default();
        match reply.status {
            StatusCode::NOT_FOUND if code == "invoice-not-found" => Ok(None),
            // Too many, another's address, or a wrong key: nothing was done, and somebody or time will set it right.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::NOT_FOUND
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN => Err(GatewayError::NotDone(why)),
            // In its own words only; anything else is somebody on the way.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if said.is_some() => {
                Err(GatewayError::Refused(why))
            }
            _ => Err(GatewayError::Unknown(why)),
        }
    }
}
