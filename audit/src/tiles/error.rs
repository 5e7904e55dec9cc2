//! Why a log is not written.

use std::io;

use crate::checkpoint::CheckpointError;
use crate::merkle::Hash;

use super::bundle::MAX_ENTRY_BYTES;
use super::reader::ReadError;

/// Why nothing (more) was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store failed. Open the log again: it goes on from its last checkpoint.
    #[error("{path} cannot be written")]
    Io {
        /// What was written.
        path: String,
        /// What the store said.
        source: io::Error,
    },
    /// What is already there cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint that is there is not this log's, or not signed by this key.
    #[error("the published checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Entries come in the order of their positions, without a gap.
    #[error("the next entry is position {expected}, not {found}")]
    Position {
        /// The position after the last one.
        expected: u64,
        /// The position that came.
        found: u64,
    },
    /// An entry is longer than the public format can hold. Nothing was appended.
    #[error("the entry at position {position} has {length} bytes; a bundle holds entries of up to {MAX_ENTRY_BYTES}")]
    EntryTooLarge {
        /// Its position.
        position: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// The tiles that are there do not make the root that was published for them.
    #[error("the tiles of the first {size} entries make the root {computed}, and {expected} should be")]
    Damaged {
        /// How many entries.
        size: u64,
        /// The root that was published, or that we reckoned while writing.
        expected: Hash,
        /// What the tiles make.
        computed: Hash,
    },
    /// A published entry is missing in its bundle, or does not hash to what the tiles say.
    #[error("the published entry at position {0} is missing or changed in its bundle")]
    DamagedEntry(u64),
    /// The new tree does not go on from the published one. Nothing was published.
    #[error("{size} entries with root {root} do not go on from the published {published_size} with {published_root}")]
    Inconsistent {
        /// The size that is published.
        published_size: u64,
        /// The root that is published.
        published_root: Hash,
        /// The size that was to be published.
        size: u64,
        /// The root that was to be published.
        root: Hash,
    },
    /// An earlier write failed, so memory and disk may differ. Open the log again.
    #[error("an earlier write failed; the log must be opened again")]
    Broken,
}
