//! The keys of this side, all derived from the log's master secret: access tokens, and the marks by which a show recognises a
//! person.
//!
//! Both are deterministic. So the repetition of `placeBooking` under the same key can answer with the token again although no
//! table and no domain event has it, and any process recognises the same buyer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tickiz_contract::request::AccessToken;
use tickiz_domain::{
    ids::{BookingId, EventId, PersonMark},
    text::NormalizedEmail,
};

/// A derived key of 256 bits.
pub type Key = [u8; 32];

/// `HMAC-SHA-256(key, message)`.
fn mac(key: &Key, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The hash of an access token as domain events carry it: hexadecimal SHA-256 of its text. No salt is needed, since the token
/// itself is 256 random-looking bits.
#[must_use]
pub fn token_hash(token: &AccessToken) -> String {
    hex::encode(Sha256::digest(token.0.as_bytes()))
}

/// Whether a token is the one of that hash. Takes the same time wherever they differ.
#[must_use]
pub fn is_token(token: &AccessToken, hash: &str) -> bool {
    token_hash(token).as_bytes().ct_eq(hash.as_bytes()).into()
}

/// Derives access tokens and marks.
#[derive(Clone)]
pub struct Keys {
    derive: std::sync::Arc<dyn Fn(&str) -> Key + Send + Sync>,
    access_tokens: Key,
}

impl Keys {
    /// Keys by that derivation from the master secret: another label is another, unrelated key.
    #[must_use]
    pub fn new(derive: impl Fn(&str) -> Key + Send + Sync + 'static) -> Self {
        let access_tokens = derive("booking-access-token");
        Self { derive: std::sync::Arc::new(derive), access_tokens }
    }

    /// The buyer's secret of a booking: base64url of 256 bits.
    #[must_use]
    pub fn access_token(&self, booking: BookingId) -> AccessToken {
        AccessToken(URL_SAFE_NO_PAD.encode(mac(&self.access_tokens, booking.0.as_bytes())))
    }

    /// How a show recognises a person, whatever case his address is written in.
    #[must_use]
    pub fn person_mark(&self, show: EventId, email: &NormalizedEmail) -> PersonMark {
        let pepper = (self.derive)(&format!("show-pepper/{show}"));
        PersonMark(hex::encode(mac(&pepper, email.expose().as_bytes())))
    }

    /// A mark of a text that people wrote, for comparing two requests without keeping a hash that could be guessed.
    #[must_use]
    pub fn text_mark(&self, text: &str) -> String {
        hex::encode(mac(&(self.derive)("request-texts"), text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use tickiz_domain::text::normalize_email;
    use uuid::Uuid;

    use super::*;

    fn keys() -> Keys {
        Keys::new(|label| Sha256::digest(label.as_bytes()).into())
    }

    #[test]
    fn a_token_has_256_bits_and_only_its_hash_opens() {
        let keys = keys();
        let (one, other) = (BookingId(Uuid::from_u128(1)), BookingId(Uuid::from_u128(2)));
        let token = keys.access_token(one);
        assert_eq!(token, keys.access_token(one));
        assert_ne!(token, keys.access_token(other));
        assert_eq!(URL_SAFE_NO_PAD.decode(&token.0).map(|bytes| bytes.len()), Ok(32));
        assert!(is_token(&token, &token_hash(&token)));
        assert!(!is_token(&keys.access_token(other), &token_hash(&token)));
        assert!(!is_token(&AccessToken(token_hash(&token)), &token_hash(&token)));
        assert!(!is_token(&token, ""));
    }

    #[test]
    fn a_show_recognises_a_person_and_two_shows_cannot_be_joined() {
        let keys = keys();
        let mark = |show: u128, email: &str| {
            keys.person_mark(EventId(Uuid::from_u128(show)), &normalize_email(email).unwrap())
        };
        assert_eq!(mark(1, "Lan@Example.com"), mark(1, "lan@example.COM"));
        assert_ne!(mark(1, "lan@example.com"), mark(2, "lan@example.com"));
        assert_ne!(mark(1, "lan@example.com"), mark(1, "len@example.com"));
    }
}
