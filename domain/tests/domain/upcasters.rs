//! A document of any older version is lifted step by step, shown on a domain event that has changed its shape twice.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tickiz_domain::{
    claim::ClaimChange,
    domain_events,
    stored::{DecodeError, StoredEvent},
    stream::StreamType,
    timer::Timer,
};
use uuid::Uuid;

domain_events! {
    /// Two domain events, one of which has a past.
    pub enum SampleDomainEvent for StreamType::Event;
    /// Version 1 had `cents` without a currency, version 2 `{cents, currency}`, version 3 has an amount as text.
    PriceSet = 3 [price_with_currency, price_as_text],
    /// Has had one shape only.
    PriceDropped = 1,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceSet {
    amount: String,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceDropped {}

fn price_with_currency(old: Value) -> Value {
    json!({ "cents": old["cents"], "currency": "EUR" })
}

fn price_as_text(old: Value) -> Value {
    let cents = old["cents"].as_i64().unwrap_or_default();
    json!({ "amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": old["currency"] })
}

fn claims_of(_: &SampleDomainEvent, _: Uuid) -> Vec<ClaimChange> {
    Vec::new()
}

fn timers_of(_: &SampleDomainEvent, _: Uuid, _: DateTime<Utc>) -> Vec<Timer> {
    Vec::new()
}

fn decode(version: i32, document: &str) -> Result<SampleDomainEvent, DecodeError> {
    SampleDomainEvent::decode("PriceSet", version, document.as_bytes())
}

#[test]
fn a_document_of_every_version_is_read_as_the_newest() {
    let expected = SampleDomainEvent::PriceSet(PriceSet { amount: "12.05".to_owned(), currency: "EUR".to_owned() });
    assert_eq!(decode(1, r#"{"cents":1205}"#).unwrap(), expected);
    assert_eq!(decode(2, r#"{"cents":1205,"currency":"EUR"}"#).unwrap(), expected);
    assert_eq!(decode(3, r#"{"amount":"12.05","currency":"EUR"}"#).unwrap(), expected);
    assert_eq!((expected.type_name(), expected.version()), ("PriceSet", 3), "it is stored as the newest");
    assert_eq!(expected.payload(), br#"{"amount":"12.05","currency":"EUR"}"#);
}

#[test]
fn what_cannot_be_read_is_named() {
    for version in [-1, 0, 4, i32::MAX, i32::MIN] {
        let refused = decode(version, "{}").unwrap_err();
        assert!(matches!(refused, DecodeError::UnknownVersion { newest: 3, .. }), "{version}: {refused}");
    }
    assert!(matches!(decode(3, "{}"), Err(DecodeError::Document { version: 3, .. })));
    assert!(matches!(decode(1, "nothing"), Err(DecodeError::Document { version: 1, .. })));
    let unknown = SampleDomainEvent::decode("PriceForgotten", 1, b"{}");
    assert!(matches!(unknown, Err(DecodeError::UnknownType { stream_type: StreamType::Event, .. })));
    assert!(SampleDomainEvent::decode("PriceDropped", 2, b"{}").is_err(), "each type has its own newest version");
}
