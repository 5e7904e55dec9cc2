//! The Merkle tree of RFC 6962 section 2.1 (the same in RFC 9162 section 2.1), over SHA-256.
//!
//! Who makes a proof and who checks it share nothing but the two hash functions: `prove` follows the recursive definition of
//! the tree, `check` the bit-counting algorithms of RFC 9162. A mistake in one of them makes the two disagree, which the
//! property tests over all sizes would show, rather than both be wrong in the same way.

mod check;
mod frontier;
mod hash;
mod prove;

pub use check::{ProofError, root_of_inclusion, verify_consistency, verify_inclusion};
pub use frontier::Frontier;
pub use hash::{HASH_BYTES, Hash, HashTextError, empty_root, leaf_hash, node_hash};
pub use prove::{MAX_TREE_SIZE, OutOfRange, Subtrees, prove_consistency, prove_inclusion, tree_root};
