//! Whether a webhook is PayPal's: an RSA signature under a certificate that its headers name
//! (<https://developer.paypal.com/api/rest/webhooks/rest/#verify-webhook-messages>).
//!
//! # Why the certificate is PayPal's
//!
//! Its address is at one of PayPal's hosts, compared whole, below the path of its certificates, by TLS and without redirects. Its chain
//! ends at a root that this machine trusts, today, and it names PayPal's own sender of messages. What is signed is the body's
//! checksum only, so nothing is believed of a body but which attempt to ask PayPal for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls_platform_verifier::Verifier;
use url::Url;

/// Where PayPal's certificates are, and what each of those names.
const HOSTS: [(&str, &str); 4] = [
    ("api.paypal.com", "messageverificationcerts.paypal.com"),
    ("api-m.paypal.com", "messageverificationcerts.paypal.com"),
    ("api.sandbox.paypal.com", "messageverificationcerts.sandbox.paypal.com"),
    ("api-m.sandbox.paypal.com", "messageverificationcerts.sandbox.paypal.com"),
];
/// Below that.
const PATH: &str = "/v1/notifications/certs/";
/// The most certificates that are kept; PayPal has a few in use.
const MAX_KEPT: usize = 16;
/// The longest address of one.
const MAX_URL_CHARS: usize = 500;

/// A certificate's place that may be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub url: String,
    /// What the certificate has to name; `None` at a host of ours, where only the one that we were given is taken.
    name: Option<&'static str>,
}

/// Where a certificate is said to be, if that is a place of PayPal's, or of the API that is configured.
pub(super) fn place(text: &str, api_url: &str) -> Option<Place> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_URL_CHARS)?;
    // A fragment would make many addresses of one.
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !is_plain || !url.path().starts_with(PATH) {
        return None;
    }
    let place = |name| Some(Place { url: url.to_string(), name });
    let known =
        HOSTS.iter().find(|(host, _)| url.scheme() == "https" && url.port().is_none() && url.host_str() == Some(*host));
    match known {
        Some((_, name)) => place(Some(*name)),
        None if Url::parse(api_url).is_ok_and(|api| api.origin() == url.origin()) => place(None),
        None => None,
    }
}

/// The text that is signed.
pub(super) fn message(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{id}|{time}|{webhook_id}|{}", crc32fast::hash(body))
}

/// Whether the certificate's key signed that text: RSASSA-PKCS1-v1_5 with SHA-256.
pub(super) fn is_signed(certificate: &CertificateDer<'_>, message: &str, signature: &[u8]) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    let algorithm = webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256;
    certificate.verify_signature(algorithm, message.as_bytes(), signature).is_ok()
}

/// The certificates that were found to be PayPal's.
pub(super) struct Certificates {
    verifier: Option<Verifier>,
    /// One that is trusted as it is.
    given: Option<CertificateDer<'static>>,
    kept: Mutex<HashMap<String, Vec<CertificateDer<'static>>>>,
}

impl Certificates {
    pub fn new(given: Option<CertificateDer<'static>>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new(provider);
        if let Err(error) = &verifier {
            tracing::warn!(%error, "this machine has no roots to trust; PayPal's webhooks are checked by asking PayPal");
        }
        Self { verifier: verifier.ok(), given, kept: Mutex::default() }
    }

    /// The chain that was fetched from there before.
    pub fn kept(&self, place: &Place) -> Option<Vec<CertificateDer<'static>>> {
        self.kept.lock().get(&place.url).cloned()
    }

    /// Keeps a chain that was fetched from there; `None` where it is none.
    pub fn keep(&self, place: &Place, pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
        if chain.is_empty() {
            return None;
        }
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(place.url.clone(), chain.clone());
        Some(chain)
    }

    /// Whether the chain is PayPal's at that moment.
    pub fn is_trusted(&self, place: &Place, chain: &[CertificateDer<'static>], now: DateTime<Utc>) -> bool {
        let Some((leaf, rest)) = chain.split_first() else { return false };
        if self.given.as_ref() == Some(leaf) {
            return true;
        }
        let (Some(name), Some(verifier)) = (place.name, &self.verifier) else { return false };
        let Ok(name) = ServerName::try_from(name) else { return false };
        let since_epoch = Duration::from_secs(u64::try_from(now.timestamp()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since_epoch);
        verifier.verify_server_cert(leaf, rest, &name, &[], now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use serde_json::Value;

    use super::*;

    fn vector(id: &str) -> Value {
        let all: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/counterpart/vectors.json")).expect("the vectors");
        all.into_iter().find(|vector| vector["id"] == id).expect("it is there")
    }

    fn certificate(of: &Value) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(of["certificate_pem"].as_str().expect("PEM").as_bytes()).expect("a certificate")
    }

    #[test]
    fn a_true_transmission_of_paypal_is_signed_by_its_certificate_and_no_other_text_is() {
        let real = vector("paypal-pub-1");
        let field = |name: &str| real[name].as_str().expect("a text").to_owned();
        let text = |body: &str| {
            message(&field("transmission_id"), &field("transmission_time"), &field("webhook_id"), body.as_bytes())
        };
        assert_eq!(text(&field("body")), field("message"));
        let signature = BASE64_STANDARD.decode(field("signature_b64")).expect("base64");
        assert!(is_signed(&certificate(&real), &text(&field("body")), &signature));
        assert!(!is_signed(&certificate(&real), &text("{}"), &signature));
        assert!(!is_signed(&certificate(&vector("paypal-test-key")), &text(&field("body")), &signature));
        // Of a chain to nobody, and over since 2019.
        let place =
            place("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1", "https://x").expect("PayPal's");
        assert!(!Certificates::new(None).is_trusted(&place, &[certificate(&real)], Utc::now()));
    }

    #[test]
    fn the_checksum_is_decimal() {
        for id in ["paypal-2", "paypal-3", "paypal-pub-2"] {
            let vector = vector(id);
            let crc = u64::from(crc32fast::hash(vector["body"].as_str().expect("a body").as_bytes()));
            assert_eq!(vector["body_crc32_decimal"], crc, "{id}");
        }
        for id in ["paypal-2", "paypal-3", "paypal-reject-hexcrc"] {
            let vector = vector(id);
            let text = vector["message"].as_str().expect("a message");
            let Some(signature) = vector["expected"].as_str() else { continue };
            let signature = BASE64_STANDARD.decode(signature).expect("base64");
            assert!(is_signed(&certificate(&self::vector("paypal-test-key")), text, &signature), "{id}");
        }
    }

    #[test]
    fn only_paypals_own_places_are_looked_at() {
        let api = "http://127.0.0.1:9";
        for good in [
            "https://api.paypal.com/v1/notifications/certs/CERT-360caa42",
            "https://api-m.sandbox.paypal.com/v1/notifications/certs/CERT-1",
            "http://127.0.0.1:9/v1/notifications/certs/CERT-1",
        ] {
            assert!(place(good, api).is_some(), "{good}");
        }
        for evil in [
            "http://api.paypal.com/v1/notifications/certs/CERT-1",
            "https://evilpaypal.com/v1/notifications/certs/CERT-1",
            "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
            "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
            "https://api.paypal.com:444/v1/notifications/certs/CERT-1",
            "https://api.paypal.com/v1/notifications/certs/../../../evil",
            "https://api.paypal.com/v1/notifications/certs/CERT-1?x=http://evil",
            "http://127.0.0.1:10/v1/notifications/certs/CERT-1",
            "file:///v1/notifications/certs/CERT-1",
            "",
        ] {
            assert_eq!(place(evil, api), None, "{evil}");
        }
    }
}
