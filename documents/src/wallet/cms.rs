//! A detached signature as CMS `SignedData` (RFC 5652), in DER: what Apple's passes want, and not more.
//!
//! ```text
//! ContentInfo { signedData, [0] SignedData {
//!   version 1, { sha256 }, { data }, [0] { certificate, intermediate },
//!   { SignerInfo { version 1, { issuer, serial }, sha256,
//!                  [0] { contentType, signingTime, messageDigest }, rsaEncryption, signature } } } }
//! ```
//!
//! Why not the crate `cms`: 0.2.3 stands on a generation of `der`, `spki` and `x509-cert` that nothing else here uses any
//! more, six crates for one structure of a fixed shape. Written by hand it is a function that puts lengths before bytes,
//! and one that finds two fields of a certificate. `openssl cms -verify` accepts it.

use chrono::{DateTime, Datelike, Utc};
use sha2::{Digest, Sha256};

use super::{Key, WalletError};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: [u8; 2] = [0x05, 0];
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;

// 1.2.840.113549.1.7.1 and .2, 1.2.840.113549.1.9.3 to .5, 1.2.840.113549.1.1.1, 2.16.840.1.101.3.4.2.1.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// The signature of `content`, which is not in it.
///
/// # Errors
/// [`WalletError::Pem`] if `certificate` is none; [`WalletError::Key`].
pub(super) fn sign_detached(
    content: &[u8],
    key: &Key,
    certificate: &[u8],
    intermediate: &[u8],
    signed_at: DateTime<Utc>,
) -> Result<Vec<u8>, WalletError> {
    let issuer_and_serial = issuer_and_serial(certificate).ok_or(WalletError::Pem { what: "a certificate" })?;
    let mut attributes = [
        attribute(CONTENT_TYPE, &tlv(OBJECT_ID, &[DATA])),
        attribute(SIGNING_TIME, &time(signed_at)),
        attribute(MESSAGE_DIGEST, &tlv(OCTET_STRING, &[&Sha256::digest(content)])),
    ];
    // DER sorts the members of a SET OF by their bytes (X.690 section 11.6).
    attributes.sort();
    let attributes = attributes.concat();
    // Signed as the SET that it is, sent as [0] (RFC 5652 section 5.4).
    let signature = key.sign(&tlv(SET, &[&attributes]))?;
    let one = tlv(INTEGER, &[&[1]]);
    let sha_256 = algorithm(SHA_256);
    let signer = tlv(
        SEQUENCE,
        &[
            &one,
            &issuer_and_serial,
            &sha_256,
            &tlv(CONTEXT_0, &[&attributes]),
            &algorithm(RSA_ENCRYPTION),
            &tlv(OCTET_STRING, &[&signature]),
        ],
    );
    let mut certificates = [certificate, intermediate];
    certificates.sort_unstable();
    let signed_data = tlv(
        SEQUENCE,
        &[
            &one,
            &tlv(SET, &[&sha_256]),
            &tlv(SEQUENCE, &[&tlv(OBJECT_ID, &[DATA])]),
            &tlv(CONTEXT_0, &certificates),
            &tlv(SET, &[&signer]),
        ],
    );
    Ok(tlv(SEQUENCE, &[&tlv(OBJECT_ID, &[SIGNED_DATA]), &tlv(CONTEXT_0, &[&signed_data])]))
}

fn attribute(name: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OBJECT_ID, &[name]), &tlv(SET, &[value])])
}

fn algorithm(name: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OBJECT_ID, &[name]), &NULL])
}

/// UTCTime until 2049, GeneralizedTime after it (RFC 5652 section 11.3).
fn time(at: DateTime<Utc>) -> Vec<u8> {
    let (tag, format) = if (1950..2050).contains(&at.year()) {
        (UTC_TIME, "%y%m%d%H%M%SZ")
    } else {
        (GENERALIZED_TIME, "%Y%m%d%H%M%SZ")
    };
    tlv(tag, &[at.format(format).to_string().as_bytes()])
}

/// Tag, length, value.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let mut bytes = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let length = value.len().to_be_bytes();
            let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
            // At most eight digits follow, so this does not reach the highest bit a second time.
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend_from_slice(digits);
        }
    }
    bytes.extend(value);
    bytes
}

/// `IssuerAndSerialNumber` of a certificate (RFC 5280 section 4.1), none if it is none.
fn issuer_and_serial(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, body, _) = element(certificate)?;
    let (_, mut rest, _) = element(body)?;
    let mut next = || {
        let (whole, _, after) = element(rest)?;
        rest = after;
        Some(whole)
    };
    let mut serial = next()?;
    if serial[0] == CONTEXT_0 {
        // The version, which certificates of version 1 leave out.
        serial = next()?;
    }
    let _signature = next()?;
    let issuer = next()?;
    (serial[0] == INTEGER && issuer[0] == SEQUENCE).then(|| tlv(SEQUENCE, &[issuer, serial]))
}

/// The first element: all of it, its value, and what follows it.
pub(super) fn element(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, length) = match *bytes.get(1)? {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let digits = usize::from(long & 0x7f);
            // A certificate is smaller than four gigabytes.
            let length = bytes.get(2..2 + digits).filter(|_| (1..=4).contains(&digits))?;
            (2 + digits, length.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
        }
    };
    let end = head.checked_add(length)?;
    Some((bytes.get(..end)?, &bytes[head..end], &bytes[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_in_the_fewest_bytes_and_read_back() {
        for (length, head) in
            [(0, vec![4, 0]), (127, vec![4, 127]), (128, vec![4, 0x81, 128]), (256, vec![4, 0x82, 1, 0])]
        {
            let written = tlv(OCTET_STRING, &[&vec![7; length]]);
            assert_eq!(written[..head.len()], head);
            assert_eq!(element(&written), Some((&written[..], &vec![7; length][..], &[][..])));
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 5, 0],
            &[0x30, 2, 0x30, 0],
            &[0x30, 0xff],
        ] {
            assert_eq!(issuer_and_serial(bytes), None);
        }
    }

    #[test]
    fn a_time_is_written_as_its_century_wants() {
        let at = |text: &str| time(text.parse().unwrap());
        assert_eq!(at("2049-12-31T23:59:59Z"), [&[0x17, 13][..], b"491231235959Z"].concat());
        assert_eq!(at("2050-01-01T00:00:00Z"), [&[0x18, 15][..], b"20500101000000Z"].concat());
    }
}
