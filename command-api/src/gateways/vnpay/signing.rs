//! How VNPay 2.1.0 signs: HMAC-SHA-512 over the values as they are on the wire
//! (<https://sandbox.vnpayment.vn/apis/docs/thanh-toan-pay/pay.html>).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::gateways::{
    Rejected,
    wire::{hmac_sha512_hex, hmac_sha512_is},
};

/// The longest query that is looked into; VNPay's have some hundred bytes.
const MAX_QUERY_BYTES: usize = 8 * 1024;
/// What is not part of what is signed.
const UNSIGNED: [&str; 2] = ["vnp_SecureHash", "vnp_SecureHashType"];

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn joined<N: AsRef<str>, V: AsRef<str>>(pairs: impl Iterator<Item = (N, V)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", name.as_ref(), value.as_ref())).collect();
    pairs.join("&")
}

/// The query of a payment page's address: sorted by name, without what is empty, encoded, and the hash of that at its end.
pub(super) fn signed_query(parameters: &BTreeMap<&str, String>, secret: &SecretString) -> String {
    let filled = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query = joined(filled.map(|(name, value)| (encoded(name), encoded(value))));
    let hash = hmac_sha512_hex(secret.expose_secret().as_bytes(), &query);
    format!("{query}&vnp_SecureHash={hash}")
}

/// Checks a query as it came, and decodes it. The raw pairs are compared first; only if they are not signed, somebody on the way
/// may have encoded them otherwise, and they are tried once more as we would encode them.
///
/// # Errors
/// [`Rejected::Signature`].
pub(super) fn verified(query: &str, secret: &SecretString) -> Result<BTreeMap<String, String>, Rejected> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(Rejected::Signature);
    }
    let mut raw = BTreeMap::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if name.starts_with("vnp_") && !value.is_empty() && raw.insert(name, value).is_some() {
            // Which of two the others read nobody can say.
            return Err(Rejected::Signature);
        }
    }
    let hash = raw.get("vnp_SecureHash").copied().ok_or(Rejected::Signature)?;
    raw.retain(|name, _| !UNSIGNED.contains(name));
    let decoded: BTreeMap<String, String> =
        form_urlencoded::parse(joined(raw.iter()).as_bytes()).into_owned().collect();
    let key = secret.expose_secret().as_bytes();
    let is_signed = hmac_sha512_is(key, &joined(raw.iter()), hash);
    if is_signed {
        return Ok(decoded);
    }
    let again = joined(decoded.iter().map(|(name, value)| (encoded(name), encoded(value))));
    if !hmac_sha512_is(key, &again, hash) {
        return Err(Rejected::Signature);
    }
    tracing::info!("a message of VNPay was encoded otherwise on its way, and is signed all the same");
    Ok(decoded)
}

/// The hash of values with bars between, as they are.
pub(super) fn piped_hash(values: &[&str], secret: &SecretString) -> String {
    hmac_sha512_hex(secret.expose_secret().as_bytes(), &values.join("|"))
}

/// Whether that is the hash of values with bars between, as they are.
pub(super) fn is_piped_hash(values: &[&str], hash: &str, secret: &SecretString) -> bool {
    hmac_sha512_is(secret.expose_secret().as_bytes(), &values.join("|"), hash)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors(scheme: &str) -> Vec<Value> {
        let all: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/counterpart/vectors.json")).expect("the vectors");
        let of_scheme: Vec<_> = all.into_iter().filter(|vector| vector["scheme"] == scheme).collect();
        assert!(!of_scheme.is_empty());
        of_scheme
    }

    fn text(vector: &Value, field: &str) -> String {
        vector[field].as_str().expect("a text").to_owned()
    }

    #[test]
    fn queries_are_signed_and_verified_as_the_vectors_say() {
        let (mut built, mut read) = (0, 0);
        for vector in vectors("vnpay-query") {
            let secret = SecretString::from(text(&vector, "secret"));
            let hash = text(&vector, "expected");
            assert!(hmac_sha512_is(secret.expose_secret().as_bytes(), &text(&vector, "message"), &hash));
            if let Some(url) = vector["url"].as_str() {
                let parameters = vector["params"].as_object().expect("parameters");
                let parameters = parameters
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned()))
                    .collect();
                assert!(url.ends_with(&format!("?{}", signed_query(&parameters, &secret))), "{}", vector["id"]);
                built += 1;
            }
            if let Some(query) = vector["query_string"].as_str() {
                assert!(verified(query, &secret).is_ok(), "{}", vector["id"]);
                assert_eq!(verified(query, &"another".into()), Err(Rejected::Signature));
                assert_eq!(
                    verified(&query.replace("vnp_Amount=4", "vnp_Amount=5"), &secret).is_ok(),
                    !query.contains("vnp_Amount=4")
                );
                read += 1;
            }
        }
        assert!(built >= 4 && read >= 4, "{built} {read}");
    }

    #[test]
    fn piped_values_are_signed_as_the_vectors_say() {
        for vector in vectors("vnpay-pipe") {
            let secret = SecretString::from(text(&vector, "secret"));
            let values: Vec<&str> = vector["field_order"]
                .as_array()
                .expect("an order")
                .iter()
                .map(|name| vector["params"][name.as_str().expect("a name")].as_str().unwrap_or_default())
                .collect();
            let hash = text(&vector, "expected");
            assert_eq!(piped_hash(&values, &secret), hash, "{}", vector["id"]);
            assert!(is_piped_hash(&values, &hash.to_uppercase(), &secret));
            assert!(!is_piped_hash(&values[1..], &hash, &secret));
        }
    }

    #[test]
    fn what_was_encoded_otherwise_on_its_way_is_read_and_what_is_there_twice_is_not() {
        let secret = SecretString::from("TICKIZVNPAYTESTHASHSECRET0000001");
        let parameters = BTreeMap::from([("vnp_OrderInfo", "a b:c".to_owned()), ("vnp_TxnRef", "1".to_owned())]);
        let query = signed_query(&parameters, &secret);
        assert!(query.starts_with("vnp_OrderInfo=a+b%3Ac&"));
        for same in [query.clone(), query.replace("a+b%3Ac", "a%20b:c"), format!("utm=x&{query}&vnp_SecureHashType=")] {
            assert_eq!(verified(&same, &secret).expect("it is signed")["vnp_OrderInfo"], "a b:c");
        }
        for wrong in [format!("vnp_TxnRef=1&{query}"), query.replace("vnp_TxnRef=1", "vnp_TxnRef=2"), String::new()] {
            assert_eq!(verified(&wrong, &secret), Err(Rejected::Signature), "{wrong}");
        }
    }
}
