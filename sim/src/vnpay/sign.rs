//! VNPay's two signatures: of a query string, and of values between bars.

use crate::call::pairs;
use crate::crypto::{hmac_sha512, same};

/// The text that is signed of a raw query: the pairs as they came over the wire, without hashes and empty values, by name.
pub(super) fn signed_text(query: &str) -> String {
    let mut all: Vec<(&str, &str)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| name.starts_with("vnp_") && !value.is_empty())
        .filter(|(name, _)| !matches!(*name, "vnp_SecureHash" | "vnp_SecureHashType"))
        .collect();
    all.sort_unstable();
    all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Whether the query's own hash is right. Either case of hex will do.
pub(super) fn verifies(secret: &str, query: &str) -> bool {
    let given = pairs(query.as_bytes());
    let hash = crate::call::value_of(&given, "vnp_SecureHash").unwrap_or_default().to_lowercase();
    same(&hash, &hmac_sha512(secret, signed_text(query).as_bytes()))
}

/// A query string of these pairs with its hash at the end; empty values are left out.
pub(super) fn query(secret: &str, values: &[(&str, String)], forged: bool) -> String {
    let mut values: Vec<_> = values.iter().filter(|(_, value)| !value.is_empty()).collect();
    values.sort_unstable();
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in values {
        text.append_pair(name, value);
    }
    let text = text.finish();
    let mut hash = hmac_sha512(secret, text.as_bytes());
    if forged {
        hash = crate::crypto::spoil(&hash);
    }
    format!("{text}&vnp_SecureHash={hash}")
}

/// The hash of values between bars.
pub(super) fn barred(secret: &str, values: &[&str]) -> String {
    hmac_sha512(secret, values.join("|").as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{barred, query, signed_text, verifies};

    #[test]
    fn the_published_vectors_verify() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors.json")).expect("JSON");
        let mut seen = 0;
        for vector in vectors.iter().filter(|vector| vector["id"].as_str().is_some_and(|id| id.starts_with("vnpay"))) {
            let text = |name: &str| vector[name].as_str().unwrap_or_default();
            let (secret, expected) = (text("secret"), text("expected"));
            if vector.get("params").is_some() {
                let values: Vec<&str> = text("message").split('|').collect();
                assert_eq!(barred(secret, &values), expected, "{}", text("id"));
            } else if let Some(whole) = vector["query_string"].as_str().or(vector["url"].as_str()) {
                let whole = whole.split_once('?').map_or(whole, |(_, query)| query);
                assert_eq!(signed_text(whole), text("message"), "{}", text("id"));
                assert!(verifies(secret, whole), "{}", text("id"));
                assert!(!verifies(secret, &whole.replacen("vnp_Amount=4", "vnp_Amount=5", 1)), "{}", text("id"));
            } else {
                assert!(verifies(secret, &format!("{}&vnp_SecureHash={expected}", text("message"))), "{}", text("id"));
            }
            seen += 1;
        }
        assert_eq!(seen, 16);
    }

    #[test]
    fn the_wires_bytes_are_signed_by_name_without_what_is_empty() {
        assert_eq!(signed_text("vnp_b=x+y&other=1&vnp_B=%2A&vnp_c=&vnp_SecureHash=0"), "vnp_B=%2A&vnp_b=x+y");
        let signed = query("secret", &[("vnp_b", "x y".into()), ("vnp_a", "1".into())], false);
        assert!(signed.starts_with("vnp_a=1&vnp_b=x+y&"));
        assert!(verifies("secret", &signed) && !verifies("other", &signed));
        assert!(!verifies("secret", &query("secret", &[("vnp_a", "1".into())], true)));
    }
}
