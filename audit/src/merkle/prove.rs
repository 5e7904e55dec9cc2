//! Proofs, made from complete subtrees that somebody has stored.
//!
//! RFC 6962 splits n leaves at k, the largest power of two below n, so every left part is complete and begins at a multiple of its
//! own size, and every right part begins at a multiple of the k that it was split off at. A range that the recursion meets
//! therefore falls into complete, aligned subtrees of falling size, and each of them can be looked up by height and number:
//! [`complete_subtrees`]. A proof asks for O(log n) of them for its inner hashes and O(log n) for the ragged right edge, no matter
//! how large the tree.

use super::frontier::fold_right;
use super::hash::Hash;

/// The largest tree, in leaves: what a signed 64-bit number holds, which is what checkers written in Go read a size into.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// Something was asked of a tree that it is too small for (or that is beyond [`MAX_TREE_SIZE`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} is out of range in a tree of {size} leaves")]
pub struct OutOfRange {
    /// The index of the leaf, counted from 0, or the size of the older tree.
    pub wanted: u64,
    /// How many leaves the tree has.
    pub size: u64,
}

/// Where the roots of complete subtrees come from.
pub trait Subtrees {
    /// Why a subtree cannot be had.
    type Error: From<OutOfRange>;

    /// The root over the 2^`height` leaves from leaf `index` · 2^`height` on. Only asked for subtrees that are complete.
    ///
    /// # Errors
    ///
    /// The source's own: not there, not readable.
    fn subtree(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the first `size` leaves.
///
/// # Errors
///
/// The source's own, and a size beyond [`MAX_TREE_SIZE`].
pub fn tree_root<S: Subtrees>(source: &mut S, size: u64) -> Result<Hash, S::Error> {
    check_size(size)?;
    range_root(source, 0, size)
}

/// The inclusion proof of leaf `index` (from 0) in the tree of `size` leaves, RFC 6962 section 2.1.1: siblings from the leaf up.
///
/// # Errors
///
/// [`OutOfRange`] where the tree has no such leaf, and the source's own.
pub fn prove_inclusion<S: Subtrees>(source: &mut S, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    check_size(size)?;
    if index >= size {
        return Err(OutOfRange { wanted: index, size }.into());
    }
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range_root(source, middle, to)?);
            to = middle;
        } else {
            path.push(range_root(source, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between the trees of `old` and of `size` leaves, RFC 6962 section 2.1.2. Empty where they are the same, and
/// where the old one is empty (every tree goes on from nothing).
///
/// # Errors
///
/// [`OutOfRange`] where `old` is larger than `size`, and the source's own.
pub fn prove_consistency<S: Subtrees>(source: &mut S, old: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    check_size(size)?;
    if old > size {
        return Err(OutOfRange { wanted: old, size }.into());
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    let (mut from, mut to) = (0, size);
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range_root(source, middle, to)?);
            to = middle;
        } else {
            path.push(range_root(source, from, middle)?);
            from = middle;
        }
    }
    // From 0 on it is the old root itself, which the checker has.
    if from != 0 {
        path.push(range_root(source, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Refuses sizes for which the arithmetic here, or a checker's, could overflow.
pub(super) fn check_size(size: u64) -> Result<(), OutOfRange> {
    if size > MAX_TREE_SIZE { Err(OutOfRange { wanted: size, size: MAX_TREE_SIZE }) } else { Ok(()) }
}

/// The largest power of two below `leaves`, which is at least 2: RFC 6962's k.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

fn range_root<S: Subtrees>(source: &mut S, from: u64, to: u64) -> Result<Hash, S::Error> {
    Ok(fold_right(&complete_subtrees(source, from, to)?))
}

/// The roots of the complete subtrees that the leaves `from..to` fall into, largest first. `from` must be a multiple of the largest
/// power of two that is not above their number, as it is in every range of the recursion.
pub(super) fn complete_subtrees<S: Subtrees>(source: &mut S, from: u64, to: u64) -> Result<Vec<Hash>, S::Error> {
    let mut subtrees = Vec::new();
    let mut at = from;
    while at < to {
        let height = (to - at).ilog2();
        debug_assert_eq!(at % (1 << height), 0, "a subtree begins at a multiple of its size");
        subtrees.push(source.subtree(height, at >> height)?);
        at += 1 << height;
    }
    Ok(subtrees)
}
