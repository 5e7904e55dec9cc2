//! What identifies a person, as it stands in the immutable log: only sealed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::PersonId;

/// A field sealed with one person's own data key (AEAD; the sealing itself is the event log's). Deleting that key makes it
/// unreadable for ever, while the log, its hashes and its order stay as they are. Aggregates never decide on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sealed {
    /// Whose key opens it.
    pub person_id: PersonId,
    /// Nonce and ciphertext with tag, base64 (RFC 4648 section 4).
    pub sealed: String,
}

/// A buyer in the clear, between the request and the seal, and again where a mail is written. Has no `Serialize` into an
/// event and prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// The name as he gave it.
    pub name: String,
    /// The address as he gave it.
    pub email: String,
}

impl std::fmt::Debug for Buyer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buyer(…)")
    }
}
