//! The leaf hash: SHA-256 over everything that a recorded domain event says, as a leaf of RFC 6962 section 2.1.
//!
//! Canonical encoding, so that an auditor can compute it from an export alone: the byte 0x00 (RFC 6962's leaf prefix), the text
//! `tickiz-event-v1` and a zero byte, then each field in this order as its length in bytes (u32, big-endian) and its bytes:
//! shard, position, recorded time in microseconds since 1970 (the three as decimal text), organiser's id (hyphenated, or
//! empty), stream type, stream id (hyphenated), sequence, event type, event version (decimal text), payload, metadata (the
//! JSON text as stored).

use sha2::{Digest, Sha256};

use crate::record::{LeafHash, Metadata, Recorded};

/// The stored text of metadata.
#[must_use]
pub fn metadata_json(metadata: &Metadata) -> String {
    serde_json::to_string(metadata).expect("metadata has string keys and plain values, so JSON cannot fail")
}

/// The hash of what `recorded` says; its own `leaf_hash` is not part of it.
#[must_use]
pub fn leaf_hash(recorded: &Recorded) -> LeafHash {
    let mut hash = Sha256::new();
    hash.update(b"\0");
    encode(recorded, |bytes| hash.update(bytes));
    hash.finalize().into()
}

/// What is hashed, without RFC 6962's prefix: the entry of an auditor's tree.
#[must_use]
pub fn leaf_entry(recorded: &Recorded) -> Vec<u8> {
    let mut entry = Vec::with_capacity(recorded.payload.len() + 512);
    encode(recorded, |bytes| entry.extend_from_slice(bytes));
    entry
}

fn encode(recorded: &Recorded, mut write: impl FnMut(&[u8])) {
    write(b"tickiz-event-v1\0");
    let mut field = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("a payload is bounded far below 4 GiB");
        write(&length.to_be_bytes());
        write(bytes);
    };
    field(recorded.shard.to_string().as_bytes());
    field(recorded.position.to_string().as_bytes());
    field(recorded.recorded_at.timestamp_micros().to_string().as_bytes());
    field(recorded.organizer_id.map(|id| id.to_string()).unwrap_or_default().as_bytes());
    field(recorded.stream.stream_type.as_str().as_bytes());
    field(recorded.stream.id.as_hyphenated().to_string().as_bytes());
    field(recorded.sequence.to_string().as_bytes());
    field(recorded.event_type.as_bytes());
    field(recorded.event_version.to_string().as_bytes());
    field(&recorded.payload);
    field(metadata_json(&recorded.metadata).as_bytes());
}
