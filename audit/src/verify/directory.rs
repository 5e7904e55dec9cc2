//! Checks a directory by itself: checkpoint, entries, tiles.
//!
//! Everything is reckoned anew from the entries, bundle by bundle, in one pass; held are one bundle, and less than one tile of each
//! level. Three things are compared: each entry with its leaf hash, each hash of the higher tiles with what the entries make, and
//! the roots with the signed one.
//!
//! **Who is wrong, the entry or the tile?** Where an entry and its leaf hash disagree, the hash above them decides (for the last,
//! partial tile: the signed root). If it is what the entries make, the tile is wrong, and otherwise the entries are. From there on a
//! wrong entry makes every hash above it differ, which would say nothing new: a higher hash is only named where all entries
//! below it agree with their leaf hashes. Where both a leaf tile and the hash above it are wrong the entries are blamed at first; then
//! the root over all entries clears them ([`Report::entries_make_the_signed_root`]).

use std::collections::BTreeSet;
use std::convert::Infallible;

use crate::checkpoint::{Checkpoint, VerifierKey};
use crate::merkle::{Frontier, Hash, leaf_hash, tree_root};
use crate::tiles::{
    ReadError, Resources, TILE_WIDTH, TileId, TileKind, TileReader, TileStack, TornBundle, entries, read_bundle,
    read_tile, subtree_root,
};

use super::align::Aligner;
use super::finding::{Finding, RootOf};
use super::report::Report;
use super::signed::{claimed_checkpoint, tolerate};

/// After so many bundles in a row that are missing along with their tiles the rest is taken to be missing: the checkpoint may claim
/// any size.
const MAX_MISSING_RUN: u64 = 1_024;

/// Checks a directory as an auditor got it against the log's public key. Faults are in the report; it is an error only where a file
/// cannot be read for a reason that is not the log's (a disk, a permission).
///
/// # Errors
///
/// [`ReadError::Io`].
pub fn verify_directory<R: Resources>(resources: &R, key: &VerifierKey) -> Result<Report, ReadError> {
    let mut report = Report::default();
    let Some(checkpoint) = claimed_checkpoint(resources, key, &mut report)? else { return Ok(report) };
    report.origin = Some(checkpoint.origin().to_owned());
    report.size = Some(checkpoint.size());
    report.signed_root = Some(checkpoint.root());
    let mut check = Check {
        resources,
        checkpoint: &checkpoint,
        report,
        parents: TileReader::new(resources, checkpoint.size()),
        frontier: Frontier::new(),
        tiles: TileStack::default(),
        wrong_leaf_tiles: BTreeSet::new(),
        whole: true,
    };
    check.entries()?;
    check.right_edge()?;
    check.roots()?;
    Ok(check.report)
}

struct Check<'a, R> {
    resources: &'a R,
    checkpoint: &'a Checkpoint,
    report: Report,
    /// For the hashes above the leaves that are looked at.
    parents: TileReader<&'a R>,
    /// Over the entries.
    frontier: Frontier,
    /// Over the entries.
    tiles: TileStack,
    /// The numbers of leaf tiles whose entries are wrong: hashes above them differ, and that is no news.
    wrong_leaf_tiles: BTreeSet<u64>,
    /// Whether every entry could be read so far.
    whole: bool,
}

impl<R: Resources> Check<'_, R> {
    /// Goes through all bundles and leaf tiles.
    fn entries(&mut self) -> Result<(), ReadError> {
        let size = self.checkpoint.size();
        let mut missing_run = 0;
        for number in 0.. {
            let Some(tile) = TileId::in_tree(TileKind::Hashes(0), number, size) else { break };
            let first = number * TILE_WIDTH + 1;
            let bundle = TileId { kind: TileKind::Entries, ..tile };
            let leaves = self.tile(tile)?;
            let hashes = self.bundle(bundle, first)?;
            missing_run = if leaves.is_none() && hashes.is_none() { missing_run + 1 } else { 0 };
            if missing_run > MAX_MISSING_RUN {
                self.report.note(Finding::Missing { first, last: size });
                break;
            }
            self.leaves(tile, hashes, leaves)?;
        }
        Ok(())
    }

    /// A stored tile; a fault is noted.
    fn tile(&mut self, tile: TileId) -> Result<Option<Vec<Hash>>, ReadError> {
        let TileKind::Hashes(level) = tile.kind else { return Ok(None) };
        match tolerate(read_tile(self.resources, tile))? {
            Ok(hashes) => Ok(Some(hashes)),
            Err(error) => {
                let reason = error.to_string();
                self.report.note(Finding::TileUnreadable { level, number: tile.number, reason });
                Ok(None)
            }
        }
    }

    /// The leaf hashes of a bundle's entries, at least one; none where there is no bundle. A torn end is noted.
    fn bundle(&mut self, bundle: TileId, first: u64) -> Result<Option<Vec<Hash>>, ReadError> {
        let Ok((bytes, stand_in)) = tolerate(read_bundle(self.resources, bundle))? else {
            self.report.note(Finding::Missing { first, last: first + bundle.width - 1 });
            return Ok(None);
        };
        // Of a full bundle in place of a partial one, the entries after the checkpoint are not looked at.
        let limit = if stand_in { bundle.width as usize } else { usize::MAX };
        let mut hashes = Vec::new();
        for entry in entries(&bytes).take(limit) {
            match entry {
                Ok(entry) => hashes.push(leaf_hash(entry)),
                Err(TornBundle) => self.report.note(Finding::BundleTorn { number: bundle.number }),
            }
        }
        self.report.checked += hashes.len() as u64;
        if hashes.is_empty() {
            self.report.note(Finding::Missing { first, last: first + bundle.width - 1 });
            return Ok(None);
        }
        Ok(Some(hashes))
    }

    /// Compares the entries of one leaf tile with it, and goes on to reckon the tree over them.
    fn leaves(&mut self, tile: TileId, found: Option<Vec<Hash>>, leaves: Option<Vec<Hash>>) -> Result<(), ReadError> {
        let first = tile.number * TILE_WIDTH + 1;
        let hashes = found.unwrap_or_default();
        let complete = hashes.len() as u64 == tile.width;
        let mut wrong = !complete;
        if let Some(leaves) = leaves.as_ref().filter(|leaves| **leaves != hashes && !hashes.is_empty()) {
            if complete && self.vouched_for(tile, &hashes)? {
                for (slot, position) in (0..).zip(first..).take(leaves.len()) {
                    if hashes[slot as usize] != leaves[slot as usize] {
                        let number = tile.number;
                        self.report.note(Finding::TileWrong {
                            level: 0,
                            number,
                            slot,
                            first: position,
                            last: position,
                        });
                    }
                }
            } else {
                wrong = true;
                self.name_differences(first, &hashes, leaves);
            }
        } else if leaves.is_none() && !hashes.is_empty() && !complete {
            // Without the tile only the number of entries can be wrong.
            let (last, found) = (first + tile.width - 1, first + hashes.len() as u64 - 1);
            self.report.note(if found < last {
                Finding::Missing { first: found + 1, last }
            } else {
                Finding::Inserted { first: last + 1, last: found, before: last + 1 }
            });
        }
        self.whole &= complete;
        if wrong {
            self.wrong_leaf_tiles.insert(tile.number);
        }
        // Where an entry is missing the tile's hash stands in for it, so that what follows keeps its place in the tree.
        let stand_ins = leaves.unwrap_or_default();
        for slot in 0..tile.width as usize {
            let leaf = hashes.get(slot).or(stand_ins.get(slot)).copied().unwrap_or(Hash::from([0; 32]));
            self.push(leaf)?;
        }
        Ok(())
    }

    /// Whether what is above a leaf tile is made of these hashes.
    fn vouched_for(&mut self, tile: TileId, hashes: &[Hash]) -> Result<bool, ReadError> {
        if tile.is_full() {
            let (number, slot) = (tile.number / TILE_WIDTH, (tile.number % TILE_WIDTH) as usize);
            let parent = tolerate(self.parents.tile(1, number).map(|parent| parent.get(slot).copied()))?;
            return Ok(parent.ok().flatten() == Some(subtree_root(hashes)));
        }
        let mut last = self.frontier.clone();
        hashes.iter().for_each(|leaf| last.push(*leaf));
        Ok(self.whole && last.root() == self.checkpoint.root())
    }

    fn name_differences(&mut self, first: u64, hashes: &[Hash], leaves: &[Hash]) {
        let last = first + leaves.len() as u64 - 1;
        let mut aligner = Aligner::new(hashes.len().max(leaves.len()), last, false);
        for (hash, position) in hashes.iter().zip(first..) {
            aligner.push(position, *hash);
        }
        let mut wanted = (first..).zip(leaves.iter().copied());
        let Ok(()) = aligner.advance(true, || Ok::<_, Infallible>(wanted.next()), |finding| self.report.note(finding));
    }

    fn push(&mut self, leaf: Hash) -> Result<(), ReadError> {
        self.frontier.push(leaf);
        let mut full = Vec::new();
        let Ok(()) = self.tiles.push(leaf, |tile, hashes| {
            full.push((tile, hashes.to_vec()));
            Ok::<_, Infallible>(())
        });
        full.into_iter().try_for_each(|(tile, hashes)| self.higher_tile(tile, &hashes))
    }

    /// Compares a stored tile above the leaves with what the entries make.
    fn higher_tile(&mut self, tile: TileId, computed: &[Hash]) -> Result<(), ReadError> {
        let TileKind::Hashes(level @ 1..) = tile.kind else { return Ok(()) };
        let Some(stored) = self.tile(tile)? else { return Ok(()) };
        // How many leaf tiles one hash of this level is over.
        let leaf_tiles = 1_u64 << (8 * (u32::from(level) - 1));
        for (slot, (computed, stored)) in (0..).zip(computed.iter().zip(stored)) {
            let from = (tile.number * TILE_WIDTH + slot) * leaf_tiles;
            let to = from + leaf_tiles;
            if *computed != stored && self.wrong_leaf_tiles.range(from..to).next().is_none() {
                let (first, last) = (from * TILE_WIDTH + 1, to * TILE_WIDTH);
                self.report.note(Finding::TileWrong { level, number: tile.number, slot, first, last });
            }
        }
        Ok(())
    }

    /// Compares the partial tiles at the end.
    fn right_edge(&mut self) -> Result<(), ReadError> {
        if self.tiles.size() < self.checkpoint.size() {
            return Ok(());
        }
        let partials: Vec<_> = self.tiles.partials().map(|(tile, hashes)| (tile, hashes.to_vec())).collect();
        partials.into_iter().try_for_each(|(tile, hashes)| self.higher_tile(tile, &hashes))
    }

    fn roots(&mut self) -> Result<(), ReadError> {
        let (size, signed) = (self.checkpoint.size(), self.checkpoint.root());
        if self.whole && self.frontier.size() == size {
            self.report.entries_root = Some(self.frontier.root());
        }
        self.report.tiles_root = tolerate(tree_root(&mut self.parents, size))?.ok();
        for (of, root) in [(RootOf::Entries, self.report.entries_root), (RootOf::Tiles, self.report.tiles_root)] {
            if let Some(computed) = root.filter(|root| *root != signed) {
                self.report.note(Finding::Root { of, signed, computed });
            }
        }
        Ok(())
    }
}
