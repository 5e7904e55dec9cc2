//! The keys of signed notes, Ed25519, in the text forms of C2SP signed-note and of golang.org/x/mod/sumdb/note.
//!
//! ```text
//! verifier key   name "+" hex(key id) "+" base64(0x01 || public key, 32 bytes)
//! signer key     "PRIVATE+KEY+" name "+" hex(key id) "+" base64(0x01 || seed, 32 bytes)
//! key id         SHA-256(name || 0x0A || 0x01 || public key)[..4]
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SECRET_KEY_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The signature type Ed25519 of C2SP signed-note.
const ED25519: u8 = 0x01;
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// Why a text is no key. Says nothing of the text itself, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name is empty, or holds a space, a plus sign or a control character.
    #[error("a key's name must not be empty, nor hold spaces, plus signs or control characters")]
    Name,
    /// The parts are not those of the text form.
    #[error("not of the form name+id+key")]
    Form,
    /// Not an Ed25519 key (signature type 1) of 32 bytes, or no point of the curve that signatures can be trusted under.
    #[error("not a usable Ed25519 key")]
    Key,
    /// The key's number does not follow from name and key: the text was altered.
    #[error("the key's id does not belong to this name and key")]
    Id,
}

/// Four bytes that, with the name, say which key made a signature. No proof of anything.
pub type KeyId = [u8; 4];

/// The public key of a log, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, KeyError> {
        check_name(name)?;
        if key.is_weak() {
            return Err(KeyError::Key);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, &key), key })
    }

    /// The key's name; for a log's key the checkpoint's origin as well.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether `signature` (64 bytes, RFC 8032) is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519][..], self.key.as_bytes()].concat());
        write!(formatter, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = parts::<PUBLIC_KEY_LENGTH>(text)?;
        let key = Self::new(name, VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Key)?)?;
        if key.id == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// The private key of a log, with its name. Prints only its public half; wiped from memory when dropped.
pub struct SignerKey {
    public: VerifierKey,
    key: SigningKey,
}

impl SignerKey {
    /// The key of a seed: 32 secret bytes (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; SECRET_KEY_LENGTH]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        Ok(Self { public: VerifierKey::new(name, key.verifying_key())?, key })
    }

    /// A new key, from the system's randomness.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`].
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = [0; SECRET_KEY_LENGTH];
        rand::fill(&mut seed);
        Self::from_seed(name, &seed)
    }

    /// The public half, for whoever checks.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.public
    }

    /// The secret text form. Whoever has it signs in the log's name.
    #[must_use]
    pub fn to_private_text(&self) -> String {
        let key = STANDARD.encode([&[ED25519][..], self.key.as_bytes()].concat());
        format!("{PRIVATE_PREFIX}{}+{}+{key}", self.public.name, hex::encode(self.public.id))
    }

    /// The signature over `message`, 64 bytes.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; Signature::BYTE_SIZE] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SignerKey({})", self.public)
    }
}

impl FromStr for SignerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, seed) = parts(text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::Form)?)?;
        let key = Self::from_seed(name, &seed)?;
        if key.public.id == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// Name, id and the bytes of a key of type Ed25519. The Base64 may hold plus signs, name and id cannot.
fn parts<const N: usize>(text: &str) -> Result<(&str, KeyId, [u8; N]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form);
    };
    check_name(name)?;
    let mut id_bytes = KeyId::default();
    hex::decode_to_slice(id, &mut id_bytes).map_err(|_| KeyError::Form)?;
    let bytes = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
    let key = bytes.strip_prefix(&[ED25519]).and_then(|key| key.try_into().ok()).ok_or(KeyError::Key)?;
    Ok((name, id_bytes, key))
}

fn key_id(name: &str, key: &VerifyingKey) -> KeyId {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', ED25519]);
    hash.update(key.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The rule for names of C2SP signed-note.
pub(super) fn check_name(name: &str) -> Result<(), KeyError> {
    let wrong = |character: char| character.is_whitespace() || character.is_control() || character == '+';
    if name.is_empty() || name.contains(wrong) { Err(KeyError::Name) } else { Ok(()) }
}
