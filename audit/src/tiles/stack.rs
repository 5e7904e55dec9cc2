//! The right edge of a growing tree, cut into tiles.
//!
//! For each level the hashes of its last, not yet full tile are held. When the 256th arrives the tile is handed out, and its root
//! is the next hash of the level above, which is the specification's rule that only full tiles are hashed upwards. So every tile
//! is handed out once, lower ones before the one that vouches for them, and at most 8 levels of 255 hashes are held (64 KiB).

use crate::merkle::{Hash, node_hash};

use super::path::{TILE_WIDTH, TileId, TileKind};

/// Builds tiles from leaf hashes that come in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct TileStack {
    size: u64,
    /// The hashes of each level's last tile, fewer than 256.
    levels: Vec<Vec<Hash>>,
}

impl TileStack {
    /// Goes on from partial tiles that are there: `levels[l]` has the hashes of level l's last tile in a tree of `size` leaves.
    pub(super) fn resume(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    /// How many leaves there are.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash, and hands out each tile that it makes full, lowest level first.
    pub(crate) fn push<E>(
        &mut self,
        leaf: Hash,
        mut full: impl FnMut(TileId, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            let kind = TileKind::Hashes(level);
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(hash);
            if (hashes.len() as u64) < TILE_WIDTH {
                break;
            }
            let number = kind.count(self.size) / TILE_WIDTH - 1;
            full(TileId { kind, number, width: TILE_WIDTH }, hashes)?;
            hash = subtree_root(hashes);
            hashes.clear();
        }
        Ok(())
    }

    /// The partial tiles of the tree as it is now, lowest level first.
    pub(crate) fn partials(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        self.levels.iter().zip(0_u8..).filter(|(hashes, _)| !hashes.is_empty()).map(|(hashes, level)| {
            let kind = TileKind::Hashes(level);
            let number = kind.count(self.size) / TILE_WIDTH;
            (TileId { kind, number, width: hashes.len() as u64 }, &hashes[..])
        })
    }
}

/// The root over hashes whose number is a power of two: over a full tile, or over an aligned part of one.
pub(crate) fn subtree_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut layer = hashes.to_vec();
    while layer.len() > 1 {
        layer = layer.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    layer[0]
}
