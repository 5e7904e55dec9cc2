//! VNPay's calls: `querydr` and `refund`, JSON of texts in both directions, each signed.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, Utc};
use reqwest::{Method, header};
use secrecy::SecretString;
use serde_json::Value;

use super::signing::{is_piped_hash, piped_hash};
use crate::gateways::{
    GatewayError,
    wire::{Caller, json, odd, words},
};

/// The version of the protocol.
pub(super) const VERSION: &str = "2.1.0";
/// Its clock's distance from UTC in seconds: Vietnam has no daylight saving.
const GMT_PLUS_7: i32 = 7 * 3_600;

/// What is signed of a request, in that order.
const QUERY: [&str; 9] = [
    "vnp_RequestId",
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_TransactionDate",
    "vnp_CreateDate",
    "vnp_IpAddr",
    "vnp_OrderInfo",
];
const REFUND: [&str; 13] = [
    "vnp_RequestId",
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_TransactionType",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_TransactionNo",
    "vnp_TransactionDate",
    "vnp_CreateBy",
    "vnp_CreateDate",
    "vnp_IpAddr",
    "vnp_OrderInfo",
];
/// What is signed of an answer, in that order; a refund's ends before the promotion.
const ANSWER: [&str; 15] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
];
const ANSWER_TO_REFUND_FIELDS: usize = 13;

/// A moment as VNPay writes it.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    let zone = FixedOffset::east_opt(GMT_PLUS_7).expect("seven hours are less than a day");
    at.with_timezone(&zone).format("%Y%m%d%H%M%S").to_string()
}

/// An answer, with its values as they are on the wire.
pub(super) struct Answer(BTreeMap<String, String>);

impl Answer {
    /// A value; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What VNPay said, for the program's log.
    pub fn said(&self) -> String {
        words(&format!("{} {}", self.get("vnp_ResponseCode"), self.get("vnp_Message")))
    }
}

/// The calls.
pub(super) struct Api {
    caller: Caller,
    url: String,
    secret: SecretString,
}

impl Api {
    pub fn try_new(url: &str, secret: SecretString) -> Result<Self, reqwest::Error> {
        Ok(Self { caller: Caller::try_new(url)?, url: url.to_owned(), secret })
    }

    pub async fn query(&self, fields: BTreeMap<&'static str, String>) -> Result<Answer, GatewayError> {
        self.call(&QUERY, &ANSWER, fields).await
    }

    pub async fn refund(&self, fields: BTreeMap<&'static str, String>) -> Result<Answer, GatewayError> {
        self.call(&REFUND, &ANSWER[..ANSWER_TO_REFUND_FIELDS], fields).await
    }

    async fn call(
        &self,
        signed: &[&'static str],
        signed_back: &[&str],
        mut fields: BTreeMap<&'static str, String>,
    ) -> Result<Answer, GatewayError> {
        let values: Vec<&str> = signed.iter().map(|name| fields.get(name).map_or("", String::as_str)).collect();
        let hash = piped_hash(&values, &self.secret);
        fields.insert("vnp_SecureHash", hash);
        let request = self.caller.request(Method::POST, self.url.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json").body(json(&fields));
        let reply = self.caller.send(request).await?;
        if !reply.status.is_success() {
            // VNPay answers 200 whatever it says, so this is somebody on the way.
            return Err(GatewayError::Unknown(format!("VNPay's address answers {}", reply.status)));
        }
        let texts: BTreeMap<String, Value> = reply.read()?;
        let text = |value: Value| match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let answer = Answer(texts.into_iter().map(|(name, value)| (name, text(value))).collect());
        let values: Vec<&str> = signed_back.iter().map(|name| answer.get(name)).collect();
        let hash = answer.get("vnp_SecureHash");
        // Refusals of a request that it could not read come unsigned, and nothing is made of them but another try.
        let is_unsigned_refusal = hash.is_empty() && answer.get("vnp_ResponseCode") != "00";
        if !is_unsigned_refusal && !is_piped_hash(&values, hash, &self.secret) {
            return Err(odd("it is not signed by VNPay"));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_vietnams_on_both_sides_of_its_midnight() {
        for (utc, there) in [
            ("2025-12-31T16:59:59Z", "20251231235959"),
            ("2025-12-31T17:00:00Z", "20260101000000"),
            ("2026-06-30T17:00:00Z", "20260701000000"),
        ] {
            assert_eq!(stamp(utc.parse().expect("a time")), there);
        }
    }
}
