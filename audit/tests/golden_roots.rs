//! The tree of Certificate Transparency's reference implementation: eight inputs, their roots and some of their proofs.

mod common;

use common::Leaves;
use tickiz_audit::merkle::{
    Frontier, Hash, empty_root, leaf_hash, prove_consistency, prove_inclusion, tree_root, verify_consistency,
    verify_inclusion,
};

const INPUTS: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hash(hex: &str) -> Hash {
    let bytes: [u8; 32] = bytes(hex).try_into().unwrap();
    bytes.into()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn tree() -> Leaves {
    Leaves(INPUTS.iter().map(|hex| leaf_hash(&bytes(hex))).collect())
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    assert_eq!(empty_root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    for (size, (leaf, root)) in (1..).zip(tree().0.into_iter().zip(ROOTS)) {
        frontier.push(leaf);
        assert_eq!(frontier.root(), hash(root), "size {size}");
        assert_eq!(tree_root(&mut tree(), size).unwrap(), hash(root), "size {size}");
    }
}

#[test]
fn proofs_are_those_of_the_reference_implementation() {
    let expected = |hashes: &[&str]| hashes.iter().map(|hex| hash(hex)).collect::<Vec<_>>();
    let first_of_eight = expected(&[
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    assert_eq!(prove_inclusion(&mut tree(), 0, 8).unwrap(), first_of_eight);
    verify_inclusion(&tree().0[0], 0, 8, &first_of_eight, &hash(ROOTS[7])).unwrap();
    let six_to_eight = expected(&[
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(prove_consistency(&mut tree(), 6, 8).unwrap(), six_to_eight);
    verify_consistency(6, &hash(ROOTS[5]), 8, &hash(ROOTS[7]), &six_to_eight).unwrap();
    let two_to_five = expected(&[
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]);
    assert_eq!(prove_consistency(&mut tree(), 2, 5).unwrap(), two_to_five);
    verify_consistency(2, &hash(ROOTS[1]), 5, &hash(ROOTS[4]), &two_to_five).unwrap();
}
