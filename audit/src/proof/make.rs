//! Makes proofs from a log's directory, and hands out none that does not hold.

use crate::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use crate::merkle::{OutOfRange, ProofError, verify_inclusion};
use crate::tiles::{ReadError, Resources, TILE_WIDTH, TileReader};
use crate::verify::signed_checkpoint;

use super::{ConsistencyProof, InclusionProof, ProofTextError};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The log has published no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// The checkpoint must not be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tile cannot be had, or the tree has no such position or size.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tiles are not those of the checkpoint: what they prove does not hold. Check the directory.
    #[error("the tiles do not fit the checkpoint")]
    Tiles(#[from] ProofTextError),
}

impl From<ProofError> for MakeError {
    fn from(error: ProofError) -> Self {
        Self::Tiles(error.into())
    }
}

/// The published checkpoint and its text.
fn published<R: Resources>(resources: &R, key: &VerifierKey) -> Result<(Checkpoint, String), MakeError> {
    Ok(signed_checkpoint(resources, key)?.ok_or(MakeError::NoCheckpoint)??)
}

impl InclusionProof {
    /// Proves what is at `position` (from 1) in the log that `resources` has, by its published checkpoint, and checks the proof for
    /// the leaf hash that the tiles have there.
    ///
    /// # Errors
    ///
    /// Every [`MakeError`].
    pub fn make<R: Resources>(resources: &R, key: &VerifierKey, position: u64) -> Result<Self, MakeError> {
        let (signed, checkpoint) = published(resources, key)?;
        let mut reader = TileReader::new(resources, signed.size());
        let out_of_range = ReadError::OutOfRange(OutOfRange { wanted: position, size: signed.size() });
        let index = position.checked_sub(1).filter(|index| *index < signed.size()).ok_or(out_of_range)?;
        let path = reader.inclusion_proof(index)?;
        // A tile that was read has all the hashes of its width, which the index is below.
        let leaf = reader.tile(0, index / TILE_WIDTH)?[(index % TILE_WIDTH) as usize];
        verify_inclusion(&leaf, index, signed.size(), &path, &signed.root())?;
        Ok(Self { extra: None, index, path, checkpoint })
    }
}

impl ConsistencyProof {
    /// Proves that the log that `resources` has goes on from `old`, a checkpoint that the caller believes, and checks the proof.
    ///
    /// # Errors
    ///
    /// Every [`MakeError`]; [`MakeError::Tiles`] where the log does not go on from it.
    pub fn make<R: Resources>(resources: &R, key: &VerifierKey, old: &Checkpoint) -> Result<Self, MakeError> {
        let (signed, checkpoint) = published(resources, key)?;
        let path = TileReader::new(resources, signed.size()).consistency_proof(old.size())?;
        let proof = Self { old_size: old.size(), path, checkpoint };
        proof.verify(old, key)?;
        Ok(proof)
    }
}
