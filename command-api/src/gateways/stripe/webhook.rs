//! Stripe's webhooks (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…][,v0=<hex>]`, each `v1` being the HMAC-SHA-256 of the time, a full stop
//! and the raw body under the whole secret, its `whsec_` included. Two stand there while a secret is being rolled; other schemes
//! are none.

use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::gateways::{Rejected, Webhook, wire::hmac_sha256_is};

/// How far a message's time may lie from ours, in seconds, either way.
const TOLERANCE_SECONDS: i64 = 300;
/// The header that carries the signature.
const SIGNATURE_HEADER: &str = "stripe-signature";
/// The longest id of an event.
const MAX_EVENT_ID_CHARS: usize = 200;
/// The most signatures that are compared; Stripe sends one for each secret that is in use.
const MAX_SIGNATURES: usize = 8;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

/// Of whatever it is about, what leads back to an attempt.
#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    client_reference_id: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    attempt_id: Option<String>,
}

/// Checks the signature under any of our secrets.
pub(super) fn verify(secrets: &[SecretString], headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Rejected> {
    let mut values = headers.get_all(SIGNATURE_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Rejected::Signature) };
    let value = value.to_str().map_err(|_| Rejected::Signature)?;
    let pairs = || value.split(',').filter_map(|part| part.trim().split_once('='));
    let time = pairs().find(|(name, _)| *name == "t").map(|(_, time)| time).ok_or(Rejected::Signature)?;
    if time.len() > 12 || !time.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Rejected::Signature);
    }
    let seconds: i64 = time.parse().map_err(|_| Rejected::Signature)?;
    let mut signatures = pairs().filter(|(name, _)| *name == "v1").map(|(_, digits)| digits).take(MAX_SIGNATURES);
    let is_ours = signatures.any(|digits| {
        let is_of = |secret: &SecretString| {
            hmac_sha256_is(secret.expose_secret().as_bytes(), &[time.as_bytes(), b".", body], digits)
        };
        secrets.iter().any(is_of)
    });
    if is_ours && (now - seconds).abs() <= TOLERANCE_SECONDS { Ok(()) } else { Err(Rejected::Signature) }
}

/// Reads which attempt a verified message is about.
pub(super) fn read(body: &[u8], is_live: bool) -> Result<Webhook, Rejected> {
    let event: Event = serde_json::from_slice(body).map_err(|_| Rejected::Malformed)?;
    let event_key = event.id;
    let named = !event_key.is_empty() && event_key.len() <= MAX_EVENT_ID_CHARS;
    if !named || !event_key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Rejected::Malformed);
    }
    if event.livemode != is_live {
        return Err(Rejected::NotOurs);
    }
    let object = event.data.object;
    if event.kind.starts_with("charge.dispute.") {
        // Its money is taken back, or may be, and what becomes of the tickets a person decides.
        let dispute = object.id.as_deref().unwrap_or("–");
        tracing::error!(kind = %event.kind, dispute, "a payment is disputed at Stripe; look it up there");
    }
    if event.kind == "refund.failed" {
        // Its success may be recorded already.
        let refund = object.id.as_deref().unwrap_or("–");
        tracing::error!(refund, "a refund has failed at Stripe; the buyer has to get his money another way");
    }
    let reference = object.client_reference_id.or_else(|| object.metadata.and_then(|metadata| metadata.attempt_id));
    let attempt = reference.and_then(|reference| reference.parse().ok()).ok_or(Rejected::NotOurs)?;
    Ok(Webhook { event_key, attempt, amount: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_tickiz_test_secret_0001";
    const TIME: i64 = 1_767_225_600;

    fn check(value: &str, now: i64) -> Result<(), Rejected> {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_HEADER, value.parse().unwrap());
        verify(&[SECRET.into()], &headers, b"{}", now)
    }

    #[test]
    fn only_now_and_only_a_scheme_that_signs() {
        let mac = crate::gateways::wire::hmac_sha256_hex(SECRET.as_bytes(), &[TIME.to_string().as_bytes(), b".{}"]);
        let good = format!("t={TIME},v1={mac}");
        for now in [TIME - TOLERANCE_SECONDS, TIME, TIME + TOLERANCE_SECONDS] {
            assert_eq!(check(&good, now), Ok(()));
        }
        for now in [TIME - TOLERANCE_SECONDS - 1, TIME + TOLERANCE_SECONDS + 1] {
            assert_eq!(check(&good, now), Err(Rejected::Signature));
        }
        let other = format!("t={TIME},v1={},v1={mac},v0=x", "0".repeat(64));
        assert_eq!(check(&other, TIME), Ok(()), "any of them");
        for wrong in [
            "".to_owned(),
            mac.clone(),
            format!("v1={mac}"),
            format!("t={TIME},v0={mac}"),
            format!("t={},v1={mac}", TIME + 1),
            format!("t=+{TIME},v1={mac}"),
            format!("t={TIME},v1={}", &mac[..62]),
        ] {
            assert_eq!(check(&wrong, TIME), Err(Rejected::Signature), "{wrong}");
        }
    }
}
