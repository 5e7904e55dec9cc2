//! The text of a code, and its strict reader.

use ed25519_dalek::{SIGNATURE_LENGTH, Signature};

use crate::{
    base32,
    payload::{PAYLOAD_BYTES, TicketPayload},
};

/// What every code begins with.
pub const PREFIX: &str = "TKZ1:";
/// The length of a code without a rotating suffix, in characters.
pub const CODE_CHARS: usize = PREFIX.len() + (PAYLOAD_BYTES + SIGNATURE_LENGTH) * 8 / 5;
/// The length of a code with a rotating suffix, in characters.
pub const ROTATING_CHARS: usize = CODE_CHARS + 1 + UNIX_SECONDS_CHARS + 1 + TOTP_CHARS;
/// What is signed begins with this, so that a signature made for anything else never is a ticket's.
pub const SIGNATURE_DOMAIN: &[u8] = b"TICKIZ-TICKET-V1\0";

/// Unix seconds have ten digits from 2001 to 2286.
const UNIX_SECONDS_CHARS: usize = 10;
const TOTP_CHARS: usize = 8;

/// Why a text is no ticket's code, or not one that we signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It does not begin with [`PREFIX`], in upper case.
    #[error("not a ticket: it does not begin with {PREFIX}")]
    Prefix,
    /// It is neither [`CODE_CHARS`] nor [`ROTATING_CHARS`] long.
    #[error("not a ticket: it has {0} characters, and a ticket has {CODE_CHARS} or {ROTATING_CHARS}")]
    Length(usize),
    /// A character is not of Base32's alphabet: `A` to `Z` and `2` to `7`.
    #[error("not a ticket: a character is not of Base32 in upper case")]
    Base32,
    /// What follows the code is not `-`, ten digits, `-`, eight digits.
    #[error("not a ticket: what follows the code is not a rotating suffix")]
    Suffix,
    /// The version is not ours.
    #[error("not a ticket of this version, but of {0}")]
    Version(u8),
    /// A flag is set that has no meaning.
    #[error("the ticket's flags are not known: {0:#010b}")]
    Flags(u8),
    /// No key has that number.
    #[error("no signing key has the number {0}")]
    UnknownKey(u8),
    /// The signature is not that key's over this payload.
    #[error("the signature is wrong")]
    Signature,
}

/// What follows a code that rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// The time it states, in unix seconds.
    pub stated_at: u64,
    /// The eight digits.
    pub totp: [u8; TOTP_CHARS],
}

/// A code that has been read: its form is right. Its signature is another matter; see
/// [`TicketVerifier::verify`](crate::TicketVerifier::verify).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedTicket {
    /// What it says.
    pub payload: TicketPayload,
    /// The signature's bytes.
    pub signature: [u8; SIGNATURE_LENGTH],
    /// What follows it, if anything does.
    pub suffix: Option<Suffix>,
}

impl SignedTicket {
    /// The code's text, without a suffix.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; PAYLOAD_BYTES + SIGNATURE_LENGTH];
        bytes[..PAYLOAD_BYTES].copy_from_slice(&self.payload.to_bytes());
        bytes[PAYLOAD_BYTES..].copy_from_slice(&self.signature);
        format!("{PREFIX}{}", base32::encode(&bytes))
    }

    /// Reads a code: exact prefix, length and alphabet, no white space around it.
    ///
    /// # Errors
    /// Any [`CodeError`] but the two that need keys.
    pub fn decode(text: &str) -> Result<Self, CodeError> {
        let rest = text.strip_prefix(PREFIX).ok_or(CodeError::Prefix)?;
        let length = text.chars().count();
        if length != CODE_CHARS && length != ROTATING_CHARS {
            return Err(CodeError::Length(length));
        }
        // A character beyond ASCII may lie across the border; then there is no Base32 before it.
        let (code, suffix) = rest.split_at_checked(CODE_CHARS - PREFIX.len()).ok_or(CodeError::Base32)?;
        let bytes = base32::decode(code).ok_or(CodeError::Base32)?;
        let (payload, signature) = bytes.split_first_chunk().expect("so many characters of Base32 are 90 bytes");
        let payload = TicketPayload::from_bytes(payload)?;
        let signature = signature.try_into().expect("what is left of 90 bytes after 26 are 64");
        let suffix = if suffix.is_empty() { None } else { Some(read_suffix(suffix).ok_or(CodeError::Suffix)?) };
        Ok(Self { payload, signature, suffix })
    }

    /// The bytes that are signed: the domain, then the payload.
    pub(crate) fn message(payload: &TicketPayload) -> Vec<u8> {
        [SIGNATURE_DOMAIN, &payload.to_bytes()].concat()
    }

    pub(crate) fn ed25519(&self) -> Signature {
        Signature::from_bytes(&self.signature)
    }
}

fn read_suffix(suffix: &str) -> Option<Suffix> {
    let (stated_at, totp) = suffix.strip_prefix('-')?.split_once('-')?;
    let is_number = |text: &str, chars| text.len() == chars && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(stated_at, UNIX_SECONDS_CHARS) || !is_number(totp, TOTP_CHARS) {
        return None;
    }
    Some(Suffix { stated_at: stated_at.parse().ok()?, totp: totp.as_bytes().try_into().ok()? })
}
