//! MoMo's calls: JSON in both directions, HTTP 200 or not, and a `resultCode` that says how it ended
//! (<https://developers.momo.vn/v3/docs/payment/api/result-handling/resultcode>).

use std::borrow::Cow;

use reqwest::{Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::signing::signature;
use crate::gateways::{
    GatewayError,
    wire::{self, Caller, words},
};

/// The calls.
pub(super) struct Api {
    caller: Caller,
    url: String,
    partner_code: String,
    access_key: SecretString,
    secret: SecretString,
}

/// An answer of the documented form.
pub(super) struct Answer(Value);

/// What a `resultCode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// 0.
    Success,
    /// 9000: authorised, to be confirmed.
    Authorised,
    /// Waits for the buyer.
    Open,
    /// Is being worked on; or a code that nobody knows, which is no end.
    Pending,
    /// The buyer or the shop gave it up.
    Cancelled,
    /// Its time is over.
    Expired,
    /// Declined.
    Declined,
    /// There is no such order.
    NotThere,
    /// The request was asked before, under this id or for this order.
    Asked,
    /// The request is wrong, and will be whenever it is made.
    Wrong,
    /// MoMo does not talk to us now, or not with these keys; nothing was done.
    Closed,
    /// The refund was refused, or failed.
    RefundRefused,
}

impl Answer {
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.0[name].as_i64()
    }

    /// A transaction's number, which is 0 where there is none.
    pub fn transaction(&self) -> Option<i64> {
        self.number("transId").filter(|number| *number > 0)
    }

    pub fn said(&self) -> String {
        words(&format!("{} {}", self.0["resultCode"], self.text("message")))
    }

    pub fn code(&self) -> Code {
        let code = self.number("resultCode").unwrap_or(i64::MAX);
        match code {
            0 => Code::Success,
            9000 => Code::Authorised,
            1000 | 8000 => Code::Open,
            7000 | 7002 => Code::Pending,
            1003 | 1006 | 1017 => Code::Cancelled,
            1005 => Code::Expired,
            98 | 99 | 1001 | 1002 | 1004 | 1007 | 1026 | 2019 | 4001 | 4002 | 4100 => Code::Declined,
            42 => Code::NotThere,
            40 | 41 | 43 => Code::Asked,
            20..=22 | 45 | 47 => Code::Wrong,
            10..=13 => Code::Closed,
            1080 | 1081 | 1088 => Code::RefundRefused,
            unknown => {
                tracing::error!(code = unknown, "MoMo answers with a code that is not documented; it is asked again");
                Code::Pending
            }
        }
    }
}

/// A field as it is signed: texts as they are, numbers in digits, nothing as nothing.
pub(super) fn signed_value(value: &Value) -> Cow<'static, str> {
    match value {
        Value::String(text) => Cow::from(text.clone()),
        Value::Null => Cow::from(""),
        other => Cow::from(other.to_string()),
    }
}

impl Api {
    pub fn try_new(
        url: &str,
        partner_code: String,
        access_key: SecretString,
        secret: SecretString,
    ) -> Result<Self, reqwest::Error> {
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { caller: Caller::try_new(&url)?, url, partner_code, access_key, secret })
    }

    /// Makes a call of `/v2/gateway/api/`, signed over those of its fields.
    pub async fn call(
        &self,
        path: &str,
        signed: &[&str],
        mut fields: Map<String, Value>,
    ) -> Result<Answer, GatewayError> {
        fields.insert("partnerCode".to_owned(), json!(self.partner_code));
        let value = |name: &str| match name {
            "accessKey" => Cow::from(self.access_key.expose_secret().to_owned()),
            name => signed_value(fields.get(name).unwrap_or(&Value::Null)),
        };
        let signature = signature(signed, value, &self.secret);
        fields.insert("signature".to_owned(), json!(signature));
        let request = self.caller.request(Method::POST, format!("{}/v2/gateway/api/{path}", self.url));
        let body = wire::json(&fields);
        let request = request.header(header::CONTENT_TYPE, "application/json; charset=UTF-8").body(body);
        let reply = self.caller.send(request).await?;
        // Refusals come with 4xx and in the same form; without it, it is somebody on the way.
        let answer = reply.said::<Value>().filter(|answer| answer["resultCode"].is_i64());
        answer.map(Answer).ok_or_else(|| GatewayError::Unknown(format!("MoMo's address answers {}", reply.status)))
    }
}
