//! A log to test with.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::convert::Infallible;
use std::path::Path;

use tickiz_audit::checkpoint::{Checkpoint, SignerKey, VerifierKey};
use tickiz_audit::merkle::{Hash, OutOfRange, Subtrees, leaf_hash, node_hash};
use tickiz_audit::tiles::{LogWriter, WritableDirectory};

pub const ORIGIN: &str = "tickets.example/log";

pub fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

pub fn vkey() -> VerifierKey {
    key().verifier().clone()
}

/// The entry at a position: unlike any other, and of changing length.
pub fn entry(position: u64) -> Vec<u8> {
    let mut entry = format!("tickiz-event-v1\0entry {position} ").into_bytes();
    entry.resize(entry.len() + (position % 23) as usize, b'.');
    entry
}

/// Appends up to `size` and publishes.
pub fn grow(directory: &Path, size: u64) -> Checkpoint {
    let mut writer = LogWriter::open(WritableDirectory::open(directory).unwrap(), key()).unwrap();
    for position in writer.size() + 1..=size {
        writer.append(position, &entry(position)).unwrap();
    }
    writer.publish().unwrap()
}

/// The root by the letter of RFC 6962 section 2.1, without anything that the crate under test does to be fast.
pub fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => tickiz_audit::merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_hash(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
        }
    }
}

/// A tree in memory.
pub struct Leaves(pub Vec<Hash>);

impl Leaves {
    pub fn new(size: u64) -> Self {
        Self((1..=size).map(|position| leaf_hash(&entry(position))).collect())
    }

    pub fn root(&self, size: u64) -> Hash {
        root_by_definition(&self.0[..size as usize])
    }
}

#[derive(Debug)]
pub struct Refused;

impl From<OutOfRange> for Refused {
    fn from(_: OutOfRange) -> Self {
        Self
    }
}

impl From<Infallible> for Refused {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Subtrees for Leaves {
    type Error = Refused;

    fn subtree(&mut self, height: u32, index: u64) -> Result<Hash, Refused> {
        let from = (index << height) as usize;
        Ok(root_by_definition(&self.0[from..from + (1 << height)]))
    }
}
