//! Compares a log or an export with the directory's tiles.
//!
//! The tree's side is read tile by tile, and folded to a root on the way: only if that is the signed one does the comparison mean
//! anything, so a root that differs is a finding like any other. Held are one tile and, where something differs, a window of both
//! sequences ([`WINDOW`]); the size of the log does not matter.

use crate::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::tiles::{ReadError, Resources, TILE_WIDTH, TileId, TileKind, read_tile};

use super::align::Aligner;
use super::finding::{Finding, RootOf};
use super::report::Report;
use super::signed::signed_checkpoint;

/// How far ahead it is looked where something differs, in entries; some 16 MB for both sides.
pub const WINDOW: usize = 65_536;

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// The checkpoint must not be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tile of leaf hashes cannot be had: check the directory itself first.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A comparison in progress: [`Self::observe`] every entry in order, then [`Self::finish`].
pub struct Comparison<R> {
    leaves: Leaves<R>,
    aligner: Aligner,
    report: Report,
}

impl<R: Resources> Comparison<R> {
    /// Begins to compare with the tree that the directory's checkpoint, signed by `key`, vouches for.
    ///
    /// # Errors
    ///
    /// [`CompareError::NoCheckpoint`], [`CompareError::Checkpoint`], [`CompareError::Read`].
    pub fn begin(resources: R, key: &VerifierKey) -> Result<Self, CompareError> {
        let (checkpoint, _) = signed_checkpoint(&resources, key)?.ok_or(CompareError::NoCheckpoint)??;
        Ok(Self::with_checkpoint(resources, &checkpoint, WINDOW))
    }

    /// Begins to compare with the tree of `checkpoint`, which the caller believes (one that an auditor kept, say), looking `window`
    /// entries ahead where something differs.
    #[must_use]
    pub fn with_checkpoint(resources: R, checkpoint: &Checkpoint, window: usize) -> Self {
        let report = Report {
            origin: Some(checkpoint.origin().to_owned()),
            size: Some(checkpoint.size()),
            signed_root: Some(checkpoint.root()),
            ..Report::default()
        };
        let leaves = Leaves { resources, size: checkpoint.size(), frontier: Frontier::new(), tile: Vec::new() };
        Self { leaves, aligner: Aligner::new(window.max(1), checkpoint.size(), true), report }
    }

    /// Takes the next entry, with the position that the log or export gives it: the bytes after the leaf prefix, as the tree has
    /// them.
    ///
    /// # Errors
    ///
    /// [`CompareError::Read`].
    pub fn observe(&mut self, position: u64, entry: &[u8]) -> Result<(), CompareError> {
        self.observe_hash(position, leaf_hash(entry))
    }

    /// The same for who has the leaf hash. A hash that a database stored proves nothing of the entry beside it: reckon it.
    ///
    /// # Errors
    ///
    /// [`CompareError::Read`].
    pub fn observe_hash(&mut self, position: u64, leaf: Hash) -> Result<(), CompareError> {
        self.report.checked += 1;
        self.aligner.push(position, leaf);
        self.advance(false)
    }

    /// Says that there are no more entries.
    ///
    /// # Errors
    ///
    /// [`CompareError::Read`].
    pub fn finish(mut self) -> Result<Report, CompareError> {
        self.advance(true)?;
        let computed = self.leaves.frontier.root();
        self.report.tiles_root = Some(computed);
        self.report.newer = self.aligner.newer;
        if let Some(signed) = self.report.signed_root.filter(|signed| *signed != computed) {
            self.report.note(Finding::Root { of: RootOf::Tiles, signed, computed });
        }
        Ok(self.report)
    }

    fn advance(&mut self, done: bool) -> Result<(), CompareError> {
        let (leaves, report) = (&mut self.leaves, &mut self.report);
        Ok(self.aligner.advance(done, || leaves.next(), |finding| report.note(finding))?)
    }
}

/// Compares all of `entries`, given as position and bytes in order, with the directory's tiles.
///
/// # Errors
///
/// Those of [`Comparison`], and whatever the iterator answers.
pub fn compare<R, E>(
    resources: R,
    key: &VerifierKey,
    entries: impl IntoIterator<Item = Result<(u64, Vec<u8>), E>>,
) -> Result<Report, E>
where
    R: Resources,
    E: From<CompareError>,
{
    let mut comparison = Comparison::begin(resources, key)?;
    for entry in entries {
        let (position, entry) = entry?;
        comparison.observe(position, &entry)?;
    }
    Ok(comparison.finish()?)
}

/// The tree's leaf hashes in order, tile by tile.
struct Leaves<R> {
    resources: R,
    size: u64,
    /// Of the leaves that were given out.
    frontier: Frontier,
    tile: Vec<Hash>,
}

impl<R: Resources> Leaves<R> {
    fn next(&mut self) -> Result<Option<(u64, Hash)>, ReadError> {
        let index = self.frontier.size();
        let (number, slot) = (index / TILE_WIDTH, index % TILE_WIDTH);
        let Some(tile) = TileId::in_tree(TileKind::Hashes(0), number, self.size).filter(|tile| slot < tile.width)
        else {
            return Ok(None);
        };
        if slot == 0 {
            self.tile = read_tile(&self.resources, tile)?;
        }
        let leaf = self.tile[slot as usize];
        self.frontier.push(leaf);
        Ok(Some((index + 1, leaf)))
    }
}
