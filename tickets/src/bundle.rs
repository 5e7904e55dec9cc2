//! What a gate takes with it where there is no network: the public keys, and which tickets are no longer valid.
//!
//! Signed by a key of its own, over a text that no ticket's signature can be of:
//!
//! ```text
//! signature = Ed25519( bundle key, "TICKIZ-BUNDLE-V1" 0x00 || payload )
//! ```
//!
//! What changed since a bundle, [`Revocations`], is signed by the same key over a text of its own, `TICKIZ-REVOCATIONS-V1` 0x00: the one
//! cannot be taken for the other.
//!
//! A gate trusts the key that it got with its first bundle, over a connection that it trusts, and refuses bundles by another, of
//! another show, and older ones than it had: somebody who puts back an old one brings refunded tickets back to life.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SECRET_KEY_LENGTH, Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::keys::{Jwk, KeyError, KeyRing, TicketVerifier};

/// What is signed begins with this, so that it is no ticket and nothing else.
const DOMAIN: &[u8] = b"TICKIZ-BUNDLE-V1\0";
/// The same for what changed since one.
const REVOCATIONS_DOMAIN: &[u8] = b"TICKIZ-REVOCATIONS-V1\0";
/// How old a bundle may be before a gate warns, in seconds: what was refunded since it does not know.
pub const STALE_AFTER_SECONDS: u64 = 15 * 60;

/// One public key of ticket codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleKey {
    /// Its number.
    pub kid: u8,
    /// The key, standard Base64.
    pub x: String,
    /// Until when codes that it signed let anybody in, unix seconds, whatever they say themselves; `None`, as in bundles of before: as
    /// long as they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
}

/// An admission class, by which a gate may be for some ticket types only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleCategory {
    /// Its number in codes.
    pub category: u16,
    /// The names of the ticket types that have it.
    pub ticket_types: Vec<String>,
}

/// What a gate knows of one show. Ticket numbers are decimal text, since JSON numbers end at 2^53; times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The show's number in codes.
    pub event: u32,
    /// The show's id.
    pub event_id: String,
    /// The show's title, for whoever stands at the gate.
    pub title: String,
    /// The log's position up to which it is complete: it only rises.
    pub seq: i64,
    /// When it was made.
    pub created: u64,
    /// Until when a gate may rely on it.
    pub valid_until: u64,
    /// Until when tickets are valid as the show now stands: one that was moved has tickets whose own time ends before.
    pub tickets_until: u64,
    /// The keys that codes are signed with.
    pub keys: Vec<BundleKey>,
    /// The admission classes of the show, by number; none in bundles of before.
    #[serde(default)]
    pub categories: Vec<BundleCategory>,
    /// Of tickets that were issued anew, the lowest revision that is valid.
    pub min_rev: BTreeMap<String, u8>,
    /// The tickets that are no longer valid at all.
    pub revoked: BTreeSet<String>,
}

/// Which tickets of a show stopped being valid since a bundle, or a delta, of that position. Written as a bundle's lists are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocations {
    /// The show's number in codes.
    pub event: u32,
    /// The show's id.
    pub event_id: String,
    /// After which position of the log; 0: the whole lists.
    pub since: i64,
    /// The log's position up to which it is complete: the next `since`.
    pub seq: i64,
    /// When it was made, unix seconds.
    pub created: u64,
    /// Of tickets that were issued anew, the lowest revision that is valid. Replaces what was known of them.
    pub min_rev: BTreeMap<String, u8>,
    /// The tickets that are no longer valid at all.
    pub revoked: BTreeSet<String>,
}

/// A bundle as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBundle {
    /// The bundle's JSON, standard Base64: what is signed is these bytes and no others.
    pub payload: String,
    /// Standard Base64.
    pub signature: String,
    /// The public key that it is signed with, standard Base64.
    pub key: String,
}

/// Why a bundle is not believed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is none.
    #[error("not a bundle: {0}")]
    Form(&'static str),
    /// It is by another key than the one that is trusted.
    #[error("the bundle is signed by another key than this gate's first one")]
    OtherKey,
    /// It was changed, or is not by whom it says.
    #[error("the bundle's signature is wrong")]
    Signature,
    /// A key in it is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Signs bundles. Wiped from memory when dropped; prints nothing of itself.
pub struct BundleSigner(SigningKey);

impl BundleSigner {
    /// The key of a seed: 32 secret random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half, standard Base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.0.verifying_key().to_bytes())
    }

    /// The public half as a member of `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        Jwk::of_bundles(&self.0.verifying_key().to_bytes())
    }

    /// Signs what changed since a bundle.
    ///
    /// # Panics
    /// Never: it is texts and numbers.
    #[must_use]
    pub fn sign_revocations(&self, revocations: &Revocations) -> SignedBundle {
        self.sign_text(REVOCATIONS_DOMAIN, serde_json::to_vec(revocations).expect("texts and numbers are JSON"))
    }

    /// Signs a bundle.
    ///
    /// # Panics
    /// Never: a bundle is texts and numbers.
    #[must_use]
    pub fn sign(&self, bundle: &Bundle) -> SignedBundle {
        self.sign_text(DOMAIN, serde_json::to_vec(bundle).expect("texts and numbers are JSON"))
    }

    fn sign_text(&self, domain: &[u8], payload: Vec<u8>) -> SignedBundle {
        let signature = self.0.sign(&[domain, &payload].concat()).to_bytes();
        SignedBundle {
            payload: BASE64_STANDARD.encode(payload),
            signature: BASE64_STANDARD.encode(signature),
            key: self.public_key(),
        }
    }
}

fn bytes<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], BundleError> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| BundleError::Form(what))?;
    bytes.try_into().map_err(|_| BundleError::Form(what))
}

impl SignedBundle {
    /// The bundle, if it is by its key, and that is the trusted one; without one, whoever calls trusts where it came from.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open(&self, trusted: Option<&str>) -> Result<Bundle, BundleError> {
        let payload = self.payload_of(DOMAIN, trusted)?;
        serde_json::from_slice(&payload).map_err(|_| BundleError::Form("its payload is of another version"))
    }

    /// The same of what changed since a bundle.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open_revocations(&self, trusted: Option<&str>) -> Result<Revocations, BundleError> {
        let payload = self.payload_of(REVOCATIONS_DOMAIN, trusted)?;
        serde_json::from_slice(&payload).map_err(|_| BundleError::Form("its payload is of another version"))
    }

    fn payload_of(&self, domain: &[u8], trusted: Option<&str>) -> Result<Vec<u8>, BundleError> {
        if trusted.is_some_and(|trusted| trusted != self.key) {
            return Err(BundleError::OtherKey);
        }
        let key: [u8; PUBLIC_KEY_LENGTH] = bytes(&self.key, "its key is none")?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::Unusable)?;
        let signature = Signature::from_bytes(&bytes(&self.signature, "its signature is none")?);
        let payload =
            BASE64_STANDARD.decode(&self.payload).map_err(|_| BundleError::Form("its payload is no Base64"))?;
        let message = [domain, &payload].concat();
        key.verify_strict(&message, &signature).map_err(|_| BundleError::Signature)?;
        Ok(payload)
    }
}

impl Bundle {
    /// The public keys of a ring, as a bundle has them that lets them count until `not_after`, unix seconds. A key that was dropped from
    /// the ring is dropped from the next bundle, and its codes with it.
    #[must_use]
    pub fn keys_of(ring: &KeyRing, not_after: u64) -> Vec<BundleKey> {
        let key = |(kid, key): (u8, [u8; PUBLIC_KEY_LENGTH])| BundleKey {
            kid,
            x: BASE64_STANDARD.encode(key),
            not_after: Some(not_after),
        };
        ring.public_keys().into_iter().map(key).collect()
    }

    /// Takes in what changed since. What is known stays: a ticket that is no longer valid never is again, and a revision only rises,
    /// so it does not matter how often something is taken in, nor in which order.
    pub fn learn(&mut self, told: &Revocations) {
        self.revoked.extend(told.revoked.iter().cloned());
        for (ticket, rev) in &told.min_rev {
            let known = self.min_rev.entry(ticket.clone()).or_default();
            *known = (*known).max(*rev);
        }
        self.seq = self.seq.max(told.seq);
        self.created = self.created.max(told.created);
    }

    /// What checks codes by those of its keys that count at that time, in unix seconds.
    ///
    /// # Errors
    /// When a key is none.
    pub fn verifier(&self, now: u64) -> Result<TicketVerifier, BundleError> {
        let mut verifier = TicketVerifier::default();
        for key in self.keys.iter().filter(|key| key.not_after.is_none_or(|not_after| now <= not_after)) {
            verifier.add(key.kid, &bytes(&key.x, "a key is none")?)?;
        }
        Ok(verifier)
    }

    /// Its lists as [`crate::Gate`] wants them.
    ///
    /// # Errors
    /// When a number is none.
    pub fn lists(&self) -> Result<(BTreeMap<u64, u8>, BTreeSet<u64>), BundleError> {
        let number = |text: &String| text.parse::<u64>().map_err(|_| BundleError::Form("a ticket's number is none"));
        let min_rev =
            self.min_rev.iter().map(|(ticket, rev)| Ok((number(ticket)?, *rev))).collect::<Result<_, BundleError>>()?;
        let revoked = self.revoked.iter().map(number).collect::<Result<_, BundleError>>()?;
        Ok((min_rev, revoked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CodeError, Flags, TicketPayload, TicketSigner};

    fn bundle() -> Bundle {
        Bundle {
            event: 7,
            event_id: "e".to_owned(),
            title: "Đêm nhạc".to_owned(),
            seq: 12,
            created: 1_800_000_000,
            valid_until: 1_800_086_400,
            tickets_until: 1_800_086_400,
            keys: Vec::new(),
            categories: vec![BundleCategory { category: 1, ticket_types: vec!["Floor".to_owned()] }],
            min_rev: [(u64::MAX.to_string(), 2)].into(),
            revoked: ["9007199254740993".to_owned()].into(),
        }
    }

    #[test]
    fn a_bundle_is_believed_as_it_was_signed_and_by_the_trusted_key_alone() {
        let signer = BundleSigner::from_seed(&[3; 32]);
        let signed = signer.sign(&bundle());
        assert_eq!(signed.open(Some(&signer.public_key())).unwrap(), bundle());
        assert_eq!(bundle().lists().unwrap().1, [9_007_199_254_740_993].into());
        let other = BundleSigner::from_seed(&[4; 32]);
        assert!(matches!(signed.open(Some(&other.public_key())), Err(BundleError::OtherKey)));
        let changed = other.sign(&Bundle { seq: 13, ..bundle() });
        for wrong in [
            SignedBundle { payload: changed.payload.clone(), ..signed.clone() },
            SignedBundle { signature: changed.signature.clone(), ..signed.clone() },
            SignedBundle { key: changed.key, ..signed.clone() },
        ] {
            assert!(matches!(wrong.open(None), Err(BundleError::Signature)), "{wrong:?}");
        }
        // What changed since is no bundle, and no bundle is that, though both are by the same key.
        let since = Revocations {
            event: 7,
            event_id: "e".to_owned(),
            since: 12,
            seq: 13,
            created: 1_800_000_000,
            min_rev: BTreeMap::new(),
            revoked: BTreeSet::new(),
        };
        let delta = signer.sign_revocations(&since);
        assert_eq!(delta.open_revocations(Some(&signer.public_key())).unwrap(), since);
        assert!(matches!(delta.open(None), Err(BundleError::Signature)));
        assert!(matches!(signed.open_revocations(None), Err(BundleError::Signature)));
        // Not even of the same bytes without what makes it a bundle's.
        let bare = SigningKey::from_bytes(&[3; 32]).sign(&BASE64_STANDARD.decode(&signed.payload).unwrap()).to_bytes();
        let bare = SignedBundle { signature: BASE64_STANDARD.encode(bare), ..signed };
        assert!(matches!(bare.open(None), Err(BundleError::Signature)));
    }

    #[test]
    fn a_key_counts_until_it_does_not_and_a_new_one_beside_it_until_it_is_dropped() {
        let mut ring = KeyRing::default();
        ring.add(TicketSigner::from_seed(1, &[7; 32])).unwrap();
        ring.add(TicketSigner::from_seed(2, &[8; 32])).unwrap();
        let code = |kid| {
            let flags = Flags::from_bits(0).unwrap();
            let payload = TicketPayload {
                kid,
                event: 7,
                ticket: 9,
                category: 1,
                rev: 0,
                flags,
                not_before: 0,
                expires: u32::MAX,
            };
            ring.sign(&payload).unwrap()
        };
        let both = Bundle { keys: Bundle::keys_of(&ring, 500), ..bundle() };
        for kid in [1, 2] {
            assert!(both.verifier(500).unwrap().verify(&code(kid)).is_ok(), "both keys have tickets out");
            let over = both.verifier(501).unwrap().verify(&code(kid));
            assert_eq!(over.unwrap_err(), CodeError::UnknownKey(kid));
        }
        // The first one leaked, and is dropped; its tickets are signed again with the second.
        let mut left = both.clone();
        left.keys.retain(|key| key.kid == 2);
        assert!(left.verifier(500).unwrap().verify(&code(2)).is_ok());
        assert_eq!(left.verifier(500).unwrap().verify(&code(1)).unwrap_err(), CodeError::UnknownKey(1));
        // A bundle of before knows neither how long a key counts nor classes.
        let mut old = serde_json::to_value(&both).unwrap();
        old.as_object_mut().unwrap().remove("categories");
        old["keys"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|key| drop(key.as_object_mut().unwrap().remove("notAfter")));
        let old: Bundle = serde_json::from_value(old).unwrap();
        assert!(old.verifier(u64::MAX).unwrap().verify(&code(1)).is_ok() && old.categories.is_empty());
    }

    #[test]
    fn what_changed_is_taken_in_however_often_and_in_whatever_order_it_comes() {
        let told = |since: i64, rev: u8, revoked: &str| Revocations {
            event: 7,
            event_id: "e".to_owned(),
            since,
            seq: since + 1,
            created: 1_800_000_000 + u64::try_from(since).unwrap(),
            min_rev: [("5".to_owned(), rev)].into(),
            revoked: [revoked.to_owned()].into(),
        };
        let (first, second) = (told(12, 1, "3"), told(13, 2, "4"));
        let taken = |order: &[&Revocations]| {
            let mut bundle = bundle();
            order.iter().for_each(|told| bundle.learn(told));
            bundle
        };
        let whole = taken(&[&first, &second]);
        assert_eq!((whole.seq, whole.created, whole.min_rev["5"]), (14, 1_800_000_013, 2));
        assert_eq!(whole.revoked.len(), 3, "with what it had before");
        assert_eq!(taken(&[&second, &first, &second]), whole);
    }
}
