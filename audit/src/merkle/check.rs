//! The check of proofs: RFC 9162 sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).
//!
//! Both walk from a leaf to the root with two numbers: where we are in our layer (`node`), and the last place of that layer
//! (`last`). The bits of the first say whether the sibling is to the left, and where both are equal we stand on the ragged right
//! edge, where layers without a sibling are skipped. A proof is right only if it brings us to the root exactly when it ends
//! (`last` is 0): that is what pins the proof's length to the size, so that no proof for another size or index is accepted.

use super::hash::{Hash, empty_root, node_hash};
use super::prove::OutOfRange;

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof speaks of a leaf, or an older tree, that a tree of that size does not have.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The proof has more or fewer hashes than this index and size (or these two sizes) need.
    #[error("the proof has {0} hashes, which does not fit the sizes")]
    Length(usize),
    /// The proof leads to another root than the one it was to be checked against.
    #[error("the proof leads to the root {computed}, not to {expected}")]
    Root {
        /// What the proof leads to.
        computed: Hash,
        /// What was to be proven.
        expected: Hash,
    },
}

/// The root that an inclusion proof leads to, for whoever does not know it yet.
///
/// # Errors
///
/// [`ProofError::OutOfRange`], [`ProofError::Length`].
pub fn root_of_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(OutOfRange { wanted: index, size }.into());
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length(path.len()));
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            skip_layers_without_sibling(&mut node, &mut last);
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(ProofError::Length(path.len())) }
}

/// Checks that the leaf with hash `leaf` is number `index` (from 0) in the tree of `size` leaves with this `root`.
///
/// # Errors
///
/// Every [`ProofError`].
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    same(root_of_inclusion(leaf, index, size, path)?, root)
}

/// Checks that the tree of `size` leaves with `root` begins with the tree of `old_size` leaves with `old_root`.
///
/// # Errors
///
/// Every [`ProofError`]. Trees of one size must have one root, and the empty tree has but one; both need an empty proof.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if old_size > size {
        return Err(OutOfRange { wanted: old_size, size }.into());
    }
    let wrong_length = || ProofError::Length(path.len());
    if old_size == 0 || old_size == size {
        if !path.is_empty() {
            return Err(wrong_length());
        }
        if size == 0 {
            same(empty_root(), root)?;
        }
        return same(if old_size == 0 { empty_root() } else { *root }, old_root);
    }
    // A complete old tree is a node of the new one; its root is left out of the proof, since the checker has it.
    let (first, rest) =
        if old_size.is_power_of_two() { (old_root, path) } else { path.split_first().ok_or_else(wrong_length)? };
    let (mut node, mut last) = (old_size - 1, size - 1);
    let complete = node.trailing_ones();
    node >>= complete;
    last >>= complete;
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length());
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_layers_without_sibling(&mut node, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length());
    }
    same(old, old_root)?;
    same(new, root)
}

/// On the right edge, climbs to the next layer in which there is a sibling to the left.
fn skip_layers_without_sibling(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

fn same(computed: Hash, expected: &Hash) -> Result<(), ProofError> {
    if computed == *expected { Ok(()) } else { Err(ProofError::Root { computed, expected: *expected }) }
}
