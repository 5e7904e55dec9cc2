//! Proofs hold for every index and size, and nothing else passes for one.

mod common;

use common::Leaves;
use proptest::prelude::*;
use tickiz_audit::merkle::{
    Frontier, Hash, MAX_TREE_SIZE, empty_root, prove_consistency, prove_inclusion, root_of_inclusion, tree_root,
    verify_consistency, verify_inclusion,
};

const SMALL: u64 = 70;

#[test]
fn the_frontier_the_tree_and_the_definition_agree_for_every_small_size() {
    let mut leaves = Leaves::new(SMALL);
    let mut frontier = Frontier::new();
    for size in 0..=SMALL {
        assert_eq!(frontier.root(), leaves.root(size), "size {size}");
        assert_eq!(tree_root(&mut leaves, size).unwrap(), leaves.root(size), "size {size}");
        assert_eq!(Frontier::load(&mut leaves, size).unwrap(), frontier, "size {size}");
        if size < SMALL {
            frontier.push(leaves.0[size as usize]);
        }
    }
}

#[test]
fn every_inclusion_proof_of_every_small_tree_holds_for_its_index_and_size_alone() {
    let mut leaves = Leaves::new(SMALL);
    for size in 1..=SMALL {
        let root = leaves.root(size);
        for index in 0..size {
            let path = prove_inclusion(&mut leaves, index, size).unwrap();
            let leaf = leaves.0[index as usize];
            verify_inclusion(&leaf, index, size, &path, &root).unwrap();
            assert_eq!(root_of_inclusion(&leaf, index, size, &path).unwrap(), root);
            for other in (0..=size).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other, size, &path, &root).is_err(), "{index} as {other} of {size}");
            }
        }
        assert!(prove_inclusion(&mut leaves, size, size).is_err());
    }
}

#[test]
fn every_consistency_proof_of_every_small_pair_holds_and_other_roots_do_not() {
    let mut leaves = Leaves::new(SMALL);
    let foreign = Hash::from([9; 32]);
    for size in 0..=SMALL {
        let root = leaves.root(size);
        for old in 0..=size {
            let old_root = leaves.root(old);
            let path = prove_consistency(&mut leaves, old, size).unwrap();
            verify_consistency(old, &old_root, size, &root, &path).unwrap();
            assert!(verify_consistency(old, &foreign, size, &root, &path).is_err(), "{old} to {size}");
            if old > 0 {
                assert!(verify_consistency(old, &old_root, size, &foreign, &path).is_err(), "{old} to {size}");
            }
            let longer = [&path[..], &[foreign]].concat();
            assert!(verify_consistency(old, &old_root, size, &root, &longer).is_err(), "{old} to {size}");
        }
        assert!(prove_consistency(&mut leaves, size + 1, size).is_err());
        assert!(verify_consistency(size + 1, &root, size, &root, &[]).is_err());
    }
}

#[test]
fn the_empty_tree_has_one_root_and_sizes_have_a_limit() {
    let foreign = Hash::from([9; 32]);
    verify_consistency(0, &empty_root(), 0, &empty_root(), &[]).unwrap();
    assert!(verify_consistency(0, &foreign, 0, &foreign, &[]).is_err());
    assert!(verify_consistency(0, &foreign, 5, &foreign, &[]).is_err());
    assert!(verify_inclusion(&foreign, 0, 0, &[], &foreign).is_err());
    assert!(tree_root(&mut Leaves::new(1), MAX_TREE_SIZE + 1).is_err());
    assert!(verify_inclusion(&foreign, u64::MAX - 1, u64::MAX, &[foreign; 64], &foreign).is_err());
}

/// `size` up to 1,500 and something below it.
fn size_and_below() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..1_500).prop_flat_map(|size| (Just(size), 0..size))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_inclusion_proof_with_any_byte_flipped_or_any_hash_dropped_is_refused((size, index) in size_and_below()) {
        let mut leaves = Leaves::new(size);
        let (leaf, root) = (leaves.0[index as usize], leaves.root(size));
        let path = prove_inclusion(&mut leaves, index, size).unwrap();
        verify_inclusion(&leaf, index, size, &path, &root).unwrap();
        for wrong in spoilt(&path) {
            prop_assert!(verify_inclusion(&leaf, index, size, &wrong, &root).is_err());
        }
        for wrong in flipped(leaf) {
            prop_assert!(verify_inclusion(&wrong, index, size, &path, &root).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_with_any_byte_flipped_or_any_hash_dropped_is_refused((size, old) in size_and_below()) {
        let mut leaves = Leaves::new(size);
        let (old_root, root) = (leaves.root(old), leaves.root(size));
        let path = prove_consistency(&mut leaves, old, size).unwrap();
        verify_consistency(old, &old_root, size, &root, &path).unwrap();
        for wrong in spoilt(&path) {
            prop_assert!(verify_consistency(old, &old_root, size, &root, &wrong).is_err());
        }
        for wrong in flipped(old_root) {
            prop_assert!(verify_consistency(old, &wrong, size, &root, &path).is_err());
        }
    }
}

/// The hash with each of its bytes flipped once.
fn flipped(hash: Hash) -> impl Iterator<Item = Hash> {
    (0..32).map(move |at| {
        let mut bytes = *hash.as_bytes();
        bytes[at] ^= 1;
        bytes.into()
    })
}

/// The path with each byte flipped once, and with each hash dropped once.
fn spoilt(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut spoilt = Vec::new();
    for (at, hash) in path.iter().enumerate() {
        for wrong in flipped(*hash) {
            let mut path = path.to_vec();
            path[at] = wrong;
            spoilt.push(path);
        }
        let mut path = path.to_vec();
        path.remove(at);
        spoilt.push(path);
    }
    spoilt
}
