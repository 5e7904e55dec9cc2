//! A tree that only grows, held as what its root still needs.
//!
//! Of a tree of n leaves the right edge is enough: for each bit that is set in n, the root of the complete subtree of that many
//! leaves, largest first. A new leaf is merged with the subtrees of size 1, 2, 4 … that stand at the end, exactly as a carry runs
//! through the binary number n; that is why the stack always has as many hashes as n has bits set, at most 64. The root folds the
//! stack from the right, which is RFC 6962's split at the largest power of two, read backwards.

use super::hash::{Hash, empty_root, node_hash};
use super::prove::{Subtrees, check_size, complete_subtrees};

/// The right edge of a growing tree: appends leaves and gives the root, in memory that grows with the logarithm of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of complete subtrees, largest first, one for each bit set in `size`.
    stack: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree that `source` has, so that it can go on growing. Reads one subtree for each bit set in `size`.
    ///
    /// # Errors
    ///
    /// The source's own, and a size beyond [`super::MAX_TREE_SIZE`].
    pub fn load<S: Subtrees>(source: &mut S, size: u64) -> Result<Self, S::Error> {
        check_size(size)?;
        Ok(Self { size, stack: complete_subtrees(source, 0, size)? })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf, given as its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.stack.pop().expect("the stack has one hash for each bit set in the size");
            hash = node_hash(&left, &hash);
        }
        self.stack.push(hash);
        self.size += 1;
    }

    /// The root of the tree as it is now.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.stack)
    }
}

/// The root over complete subtrees of falling size; of none, the empty tree's.
pub(super) fn fold_right(subtrees: &[Hash]) -> Hash {
    subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}
