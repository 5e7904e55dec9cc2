//! Signing keys, by number.
//!
//! A key's number stands in each code that it signed, so a new key can be brought in while the old one's tickets are still out;
//! a key that leaked is dropped from the gates' set, and its tickets are signed again with another.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SECRET_KEY_LENGTH, Signer, SigningKey, VerifyingKey};
use serde::Serialize;

use crate::{
    code::{CodeError, SignedTicket},
    payload::TicketPayload,
};

/// Why a public key was not taken into a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not a point of the curve, or one of small order, for which anybody can make signatures.
    #[error("not a usable Ed25519 public key")]
    Unusable,
    /// Another key has that number.
    #[error("the key number {0} is another key's already")]
    NumberTaken(u8),
}

/// One signing key with its number. Prints only its number; wiped from memory when dropped.
pub struct TicketSigner {
    kid: u8,
    key: SigningKey,
}

impl TicketSigner {
    /// The key of a seed: 32 secret random bytes (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(kid: u8, seed: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self { kid, key: SigningKey::from_bytes(seed) }
    }

    /// Its number.
    #[must_use]
    pub const fn kid(&self) -> u8 {
        self.kid
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_LENGTH] {
        self.key.verifying_key().to_bytes()
    }

    /// The public half as a member of `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        Jwk::new(self.kid, &self.public_key())
    }

    /// Signs a payload and writes the code. The same payload always gives the same code, so a code need not be stored.
    ///
    /// # Errors
    /// [`CodeError::UnknownKey`] where the payload names another key's number.
    pub fn sign(&self, payload: &TicketPayload) -> Result<String, CodeError> {
        if payload.kid != self.kid {
            return Err(CodeError::UnknownKey(payload.kid));
        }
        let signature = self.key.sign(&SignedTicket::message(payload)).to_bytes();
        Ok(SignedTicket { payload: *payload, signature, suffix: None }.encode())
    }
}

impl fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketSigner(tkz1-{})", self.kid)
    }
}

/// Every signing key that the house has, by number.
#[derive(Debug, Default)]
pub struct KeyRing {
    signers: BTreeMap<u8, TicketSigner>,
}

impl KeyRing {
    /// Takes a key in.
    ///
    /// # Errors
    /// [`KeyError::NumberTaken`].
    pub fn add(&mut self, signer: TicketSigner) -> Result<(), KeyError> {
        if self.signers.contains_key(&signer.kid) {
            return Err(KeyError::NumberTaken(signer.kid));
        }
        self.signers.insert(signer.kid, signer);
        Ok(())
    }

    /// The number of the key that new tickets are signed with: the highest. `None` without a key.
    #[must_use]
    pub fn newest_kid(&self) -> Option<u8> {
        self.signers.last_key_value().map(|(kid, _)| *kid)
    }

    /// Signs a payload with the key it names.
    ///
    /// # Errors
    /// [`CodeError::UnknownKey`].
    pub fn sign(&self, payload: &TicketPayload) -> Result<String, CodeError> {
        self.signers.get(&payload.kid).ok_or(CodeError::UnknownKey(payload.kid))?.sign(payload)
    }

    /// The public keys as members of `/.well-known/jwks.json`, in the order of their numbers.
    #[must_use]
    pub fn jwks(&self) -> Vec<Jwk> {
        self.signers.values().map(TicketSigner::jwk).collect()
    }

    /// The public halves by number.
    #[must_use]
    pub fn public_keys(&self) -> Vec<(u8, [u8; PUBLIC_KEY_LENGTH])> {
        self.signers.iter().map(|(kid, signer)| (*kid, signer.public_key())).collect()
    }

    /// The public halves, as a gate has them.
    #[must_use]
    pub fn verifier(&self) -> TicketVerifier {
        TicketVerifier { keys: self.signers.iter().map(|(kid, signer)| (*kid, signer.key.verifying_key())).collect() }
    }
}

/// The public keys of a gate, by number.
#[derive(Clone, Debug, Default)]
pub struct TicketVerifier {
    keys: BTreeMap<u8, VerifyingKey>,
}

impl TicketVerifier {
    /// Takes a public key in.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn add(&mut self, kid: u8, public_key: &[u8; PUBLIC_KEY_LENGTH]) -> Result<(), KeyError> {
        // One key has one text: an encoding of a number above the field's prime is refused too.
        let is_usable = |key: &VerifyingKey| !key.is_weak() && key.to_edwards().compress().as_bytes() == public_key;
        let key = VerifyingKey::from_bytes(public_key).ok().filter(is_usable).ok_or(KeyError::Unusable)?;
        if self.keys.contains_key(&kid) {
            return Err(KeyError::NumberTaken(kid));
        }
        self.keys.insert(kid, key);
        Ok(())
    }

    /// Reads a code and checks its signature, strictly: neither a signature with a needless multiple in it nor a key of small
    /// order passes, so one ticket has one code. Says nothing of the show, the time or a suffix; see
    /// [`Gate::check`](crate::Gate::check).
    ///
    /// # Errors
    /// Any [`CodeError`].
    pub fn verify(&self, text: &str) -> Result<SignedTicket, CodeError> {
        let ticket = SignedTicket::decode(text)?;
        let key = self.keys.get(&ticket.payload.kid).ok_or(CodeError::UnknownKey(ticket.payload.kid))?;
        key.verify_strict(&SignedTicket::message(&ticket.payload), &ticket.ed25519())
            .map_err(|_| CodeError::Signature)?;
        Ok(ticket)
    }
}

/// A public key as a JSON Web Key (RFC 7517, RFC 8037 section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    kid: String,
    #[serde(rename = "use")]
    public_key_use: &'static str,
    alg: &'static str,
    x: String,
}

impl Jwk {
    /// The key that bundles are signed with: no ticket's, and so of a name that no ticket's key can have.
    pub(crate) fn of_bundles(public_key: &[u8; PUBLIC_KEY_LENGTH]) -> Self {
        Self { kid: "bundle".to_owned(), ..Self::new(0, public_key) }
    }

    fn new(kid: u8, public_key: &[u8; PUBLIC_KEY_LENGTH]) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            kid: format!("tkz1-{kid}"),
            public_key_use: "sig",
            alg: "EdDSA",
            x: BASE64_URL_SAFE_NO_PAD.encode(public_key),
        }
    }
}
