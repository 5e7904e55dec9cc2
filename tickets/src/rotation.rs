//! The suffix that changes every 15 seconds, so that a screenshot is worth nothing a minute later.
//!
//! It is a TOTP (RFC 6238, SHA-1, 8 digits) of the time that it states, with a key of the ticket's own: it follows from the show's
//! rotation key, the ticket's number and its revision, so a transfer changes it. SHA-1 is what wallets can draw, and HMAC does
//! not need its collision resistance.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{code::Suffix, payload::TicketPayload};

/// How long one suffix is drawn, in seconds.
pub const PERIOD_SECONDS: u64 = 15;
/// The length of a ticket's key in bytes: what RFC 4226 section 4 recommends for HMAC-SHA-1.
pub const KEY_BYTES: usize = 20;

/// What the key of a ticket is derived under, so that the show's key can serve nothing else.
const DERIVATION_DOMAIN: &[u8] = b"TICKIZ-ROT-V1\0";
const TOTP_DIGITS: usize = 8;

/// The rotation key of one ticket at one revision. Whoever has it can draw its suffixes; it prints nothing of itself.
#[derive(Clone)]
pub struct RotationKey([u8; KEY_BYTES]);

impl RotationKey {
    /// The key of a ticket, from its show's rotation key.
    #[must_use]
    pub fn derive(event_rotation_key: &[u8], ticket: &TicketPayload) -> Self {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(event_rotation_key)
            .expect("HMAC takes a key of any length (RFC 2104 section 2)");
        mac.update(DERIVATION_DOMAIN);
        mac.update(&ticket.event.to_be_bytes());
        mac.update(&ticket.ticket.to_be_bytes());
        mac.update(&[ticket.rev]);
        let (key, _) = mac
            .finalize()
            .into_bytes()
            .split_first_chunk()
            .map(|(key, rest)| (*key, rest.len()))
            .expect("SHA-256 gives 32 bytes, of which the key is the first 20");
        Self(key)
    }

    /// The bytes, for a wallet or the buyer's own page.
    #[must_use]
    pub const fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The code with the suffix of a time in unix seconds.
    #[must_use]
    pub fn text_at(&self, code: &str, unix_seconds: u64) -> String {
        let totp = totp(&self.0, unix_seconds, PERIOD_SECONDS);
        format!("{code}-{unix_seconds:010}-{}", String::from_utf8_lossy(&totp))
    }

    /// Whether a suffix's digits are those of the time that it states. Compares in constant time.
    #[must_use]
    pub fn matches(&self, suffix: &Suffix) -> bool {
        totp(&self.0, suffix.stated_at, PERIOD_SECONDS).ct_eq(&suffix.totp).into()
    }
}

impl fmt::Debug for RotationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationKey(…)")
    }
}

/// The TOTP of RFC 6238 with SHA-1: eight ASCII digits.
#[must_use]
pub fn totp(key: &[u8], unix_seconds: u64, period_seconds: u64) -> [u8; TOTP_DIGITS] {
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104 section 2)");
    mac.update(&(unix_seconds / period_seconds).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    // Dynamic truncation, RFC 4226 section 5.3.
    let at = usize::from(hash[hash.len() - 1] & 0xF);
    let word = u32::from_be_bytes([hash[at] & 0x7F, hash[at + 1], hash[at + 2], hash[at + 3]]);
    let mut digits = [b'0'; TOTP_DIGITS];
    let mut rest = word;
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(rest % 10).expect("a remainder by ten is one digit");
        rest /= 10;
    }
    digits
}
