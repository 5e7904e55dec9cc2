//! How MoMo v2 signs: HMAC-SHA-256 over `name=value`, alphabetically, with the values as they are
//! (<https://developers.momo.vn/v3/docs/payment/api/other/signature>).

use secrecy::{ExposeSecret, SecretString};

use crate::gateways::wire::{hmac_sha256_hex, hmac_sha256_is};

/// What is signed of each message, in that order, `accessKey` being in each.
pub(super) const CREATE: &[&str] = &[
    "accessKey",
    "amount",
    "extraData",
    "ipnUrl",
    "orderId",
    "orderInfo",
    "partnerCode",
    "redirectUrl",
    "requestId",
    "requestType",
];
pub(super) const IPN: &[&str] = &[
    "accessKey",
    "amount",
    "extraData",
    "message",
    "orderId",
    "orderInfo",
    "orderType",
    "partnerCode",
    "payType",
    "requestId",
    "responseTime",
    "resultCode",
    "transId",
];
pub(super) const QUERY: &[&str] = &["accessKey", "orderId", "partnerCode", "requestId"];
pub(super) const REFUND: &[&str] =
    &["accessKey", "amount", "description", "orderId", "partnerCode", "requestId", "transId"];
pub(super) const CONFIRM: &[&str] =
    &["accessKey", "amount", "description", "orderId", "partnerCode", "requestId", "requestType"];

fn text<'a>(names: &[&str], value: impl Fn(&str) -> std::borrow::Cow<'a, str>) -> String {
    names.iter().map(|name| format!("{name}={}", value(name))).collect::<Vec<_>>().join("&")
}

/// The signature of those fields.
pub(super) fn signature<'a>(
    names: &[&str],
    value: impl Fn(&str) -> std::borrow::Cow<'a, str>,
    secret: &SecretString,
) -> String {
    hmac_sha256_hex(secret.expose_secret().as_bytes(), &[text(names, value).as_bytes()])
}

/// Whether that is the signature of those fields.
pub(super) fn is_signature<'a>(
    names: &[&str],
    value: impl Fn(&str) -> std::borrow::Cow<'a, str>,
    given: &str,
    secret: &SecretString,
) -> bool {
    hmac_sha256_is(secret.expose_secret().as_bytes(), &[text(names, value).as_bytes()], given)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_message_is_signed_as_the_vectors_say() {
        let all: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/counterpart/vectors.json")).expect("the vectors");
        let lists = [
            ("momo-create", CREATE),
            ("momo-ipn", IPN),
            ("momo-ipn-redirect", IPN),
            ("momo-query", QUERY),
            ("momo-refund", REFUND),
            ("momo-confirm", CONFIRM),
        ];
        for (scheme, names) in lists {
            let of_scheme: Vec<_> = all.iter().filter(|vector| vector["scheme"] == scheme).collect();
            assert!(!of_scheme.is_empty(), "{scheme}");
            for vector in of_scheme {
                let secret = SecretString::from(vector["secret"].as_str().expect("a secret"));
                let message = vector["message"].as_str().expect("a message");
                // No name stands in another's value, so the message comes apart at the names.
                let value = |name: &str| {
                    let after = message.split(&format!("{name}=")).nth(1).expect("it has each name");
                    let next = names.iter().skip_while(|of| **of != name).nth(1);
                    let end = next.map_or(after.len(), |next| after.find(&format!("&{next}=")).expect("in that order"));
                    std::borrow::Cow::from(after[..end].to_owned())
                };
                let wanted = vector["expected"].as_str().expect("a signature");
                assert_eq!(signature(names, value, &secret), wanted, "{}", vector["id"]);
                assert!(is_signature(names, value, wanted, &secret));
                assert!(!is_signature(&names[1..], value, wanted, &secret));
            }
        }
    }
}
