//! Sealed personal data: each person has a data key, wrapped with the master key; what identifies him is sealed with it.
//!
//! Erasing the person deletes the key in the transaction that appends `PersonErased`. The log, its hashes and its order stay as
//! they are, and what was sealed is noise from then on.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): its nonces are long enough to be random. The person's id is the associated data of
//! both seals, so that neither a key nor a field can be moved to another person.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tickiz_domain::{ids::PersonId, sealed::Sealed};
use tickiz_together::Together;

use crate::{
    record::StoreError,
    rounds::DataKeys,
    runtime::{Entropy, random, random_id},
    store::{LogStore, PersonKey, WantedKey},
};

const NONCE_BYTES: usize = 24;

/// The secrets that come from the master key. Prints nothing of itself.
#[derive(Clone)]
pub struct Secrets([u8; 32]);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    pub(crate) const fn new(master: [u8; 32]) -> Self {
        Self(master)
    }

    /// A secret for one purpose: HMAC-SHA-256 of `label` under the master key. Different labels give unrelated secrets.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        mac(&self.0, label.as_bytes())
    }
}

fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not open with the key that belongs to it: another master key, or somebody changed it.
    #[error("the sealed data of person {0} does not open with this master key")]
    Broken(PersonId),
}

/// Seals and opens what identifies a person.
#[derive(Clone)]
pub struct Sealer {
    store: Arc<dyn LogStore>,
    keys: Together<DataKeys>,
    secrets: Secrets,
    entropy: Arc<dyn Entropy>,
}

fn seal(key: &[u8; 32], nonce: [u8; NONCE_BYTES], person: PersonId, plain: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let payload = Payload { msg: plain, aad: person.0.as_bytes() };
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("a field is far below the cipher's limit");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], person: PersonId, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: person.0.as_bytes() };
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), payload).ok()
}

impl Sealer {
    pub(crate) const fn new(
        store: Arc<dyn LogStore>,
        keys: Together<DataKeys>,
        secrets: Secrets,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, keys, secrets, entropy }
    }

    fn seal_with(&self, key: &[u8; 32], person: PersonId, plain: &[u8]) -> Vec<u8> {
        seal(key, random(&*self.entropy), person, plain)
    }

    fn lookup(&self, name: &str) -> [u8; 32] {
        mac(&self.secrets.derive("person-lookup"), name.as_bytes())
    }

    fn wrapping_key(&self) -> [u8; 32] {
        self.secrets.derive("person-key-wrap")
    }

    fn unwrap(&self, key: &PersonKey) -> Result<[u8; 32], SealError> {
        open(&self.wrapping_key(), key.person_id, &key.wrapped)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(SealError::Broken(key.person_id))
    }

    /// Seals `plain` with the data key of the person whom `name` (a normalised address) finds; a new person gets a key.
    ///
    /// # Errors
    /// When the store fails, or the key there does not open with this master key.
    pub async fn seal(&self, name: &str, plain: &[u8]) -> Result<Sealed, SealError> {
        let person_id = PersonId(random_id(&*self.entropy));
        let wrapped = self.seal_with(&self.wrapping_key(), person_id, &random::<32>(&*self.entropy));
        let key = self.keys.ask((self.lookup(name), PersonKey { person_id, wrapped })).await?;
        let data_key = self.unwrap(&key)?;
        Ok(Sealed {
            person_id: key.person_id,
            sealed: STANDARD.encode(self.seal_with(&data_key, key.person_id, plain)),
        })
    }

    /// Seals `plain` for a person who is most likely new, with a data key of his own that comes into being with the append: hand
    /// it in as [`Append::new_person`](crate::Append::new_person). That saves a flush of its own. Where the append finds that he is
    /// known ([`AppendError::PersonKnown`](crate::AppendError::PersonKnown)), [`Self::seal`] has his key.
    #[must_use]
    pub fn seal_as_new(&self, name: &str, plain: &[u8]) -> (Sealed, WantedKey) {
        let person_id = PersonId(random_id(&*self.entropy));
        let data_key = random::<32>(&*self.entropy);
        let wrapped = self.seal_with(&self.wrapping_key(), person_id, &data_key);
        let sealed = STANDARD.encode(self.seal_with(&data_key, person_id, plain));
        (Sealed { person_id, sealed }, (self.lookup(name), PersonKey { person_id, wrapped }))
    }

    /// Seals `plain` with the data key of a person who is known already; `None` once he was erased.
    ///
    /// # Errors
    /// When the store fails, or the key there does not open with this master key.
    pub async fn seal_for(&self, person: PersonId, plain: &[u8]) -> Result<Option<Sealed>, SealError> {
        let Some(key) = self.store.person_key(person).await? else { return Ok(None) };
        let data_key = self.unwrap(&key)?;
        Ok(Some(Sealed { person_id: person, sealed: STANDARD.encode(self.seal_with(&data_key, person, plain)) }))
    }

    /// What was sealed; `None` once the person was erased.
    ///
    /// # Errors
    /// When the store fails, or what is stored does not open with the key that belongs to it.
    pub async fn open(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, SealError> {
        let Some(key) = self.store.person_key(sealed.person_id).await? else { return Ok(None) };
        let data_key = self.unwrap(&key)?;
        let broken = || SealError::Broken(sealed.person_id);
        let bytes = STANDARD.decode(&sealed.sealed).map_err(|_| broken())?;
        open(&data_key, sealed.person_id, &bytes).map(Some).ok_or_else(broken)
    }

    /// The person whom `name` (a normalised address) finds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn person_for(&self, name: &str) -> Result<Option<PersonId>, StoreError> {
        self.store.person_by(&self.lookup(name)).await
    }
}
