//! Signatures and random names.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// Lower-case hex of HMAC-SHA256.
pub(crate) fn hmac_sha256(key: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key length will do");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// Lower-case hex of HMAC-SHA512.
pub(crate) fn hmac_sha512(key: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).expect("any key length will do");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// So many random letters and digits.
pub(crate) fn letters(count: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..count).map(|_| char::from(LETTERS[rand::random::<u32>() as usize % LETTERS.len()])).collect()
}

/// So many random digits, the first of them no zero.
pub(crate) fn digits(count: usize) -> String {
    (0..count)
        .map(|place| {
            char::from(b'0' + if place == 0 { 1 + rand::random::<u8>() % 9 } else { rand::random::<u8>() % 10 })
        })
        .collect()
}

/// A signature of the right form that is wrong.
pub(crate) fn spoil(signature: &str) -> String {
    let first = if signature.starts_with('0') { "1" } else { "0" };
    format!("{first}{}", signature.get(1..).unwrap_or_default())
}
