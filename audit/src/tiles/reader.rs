//! Reads tiles and bundles, and gives complete subtrees out of tiles.
//!
//! A subtree of height h begins at a multiple of 2^h, so with h = 8·level + r it is an aligned run of 2^r hashes within one tile of
//! that level: one tile read and fewer than 256 hashes. What is read here is not yet to be believed. Whoever uses it compares
//! a root with a signed one, or checks the proof that came out.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::merkle::{HASH_BYTES, Hash, OutOfRange, Subtrees, prove_consistency, prove_inclusion};

use super::bundle::MAX_BUNDLE_BYTES;
use super::path::{TILE_HEIGHT, TILE_WIDTH, TileId, TileKind};
use super::stack::subtree_root;
use super::store::Resources;

/// How many tiles a reader keeps, 8 KiB each. A proof needs one of each level, and the right edge.
const MAX_CACHED_TILES: usize = 64;

/// Why a tile or a bundle cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error("{path} cannot be read")]
    Io {
        /// What was read.
        path: String,
        /// What the store said.
        source: io::Error,
    },
    /// It is not there, neither as wide as asked nor full.
    #[error("{0} is missing")]
    Missing(String),
    /// It has not the length that it must have.
    #[error("{0} has not the length of a tile or bundle of its width")]
    Malformed(String),
    /// The tree is too small for what was asked.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// Reads one resource and maps the store's errors.
pub(crate) fn read<R: Resources>(resources: &R, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ReadError> {
    resources.read(path, limit).map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => ReadError::Malformed(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), source },
    })
}

/// The content of a tile or bundle, and how wide the file is: the full one stands in for a partial one that was removed, as C2SP
/// tlog-tiles allows.
fn read_wide<R: Resources>(resources: &R, tile: TileId, limit: usize) -> Result<(Vec<u8>, TileId), ReadError> {
    for tile in [tile, tile.full()] {
        if let Some(bytes) = read(resources, &tile.to_string(), limit)? {
            return Ok((bytes, tile));
        }
    }
    Err(ReadError::Missing(tile.to_string()))
}

/// The hashes of one tile, exactly as many as its width says.
pub(crate) fn read_tile<R: Resources>(resources: &R, tile: TileId) -> Result<Vec<Hash>, ReadError> {
    let (bytes, found) = read_wide(resources, tile, TILE_WIDTH as usize * HASH_BYTES)?;
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if hashes.len() as u64 != found.width || !rest.is_empty() {
        return Err(ReadError::Malformed(found.to_string()));
    }
    Ok(hashes.iter().take(tile.width as usize).map(|hash| Hash::from(*hash)).collect())
}

/// The bytes of a bundle, and whether it is the full one that stands in for a partial one.
pub(crate) fn read_bundle<R: Resources>(resources: &R, bundle: TileId) -> Result<(Vec<u8>, bool), ReadError> {
    let (bytes, found) = read_wide(resources, bundle, MAX_BUNDLE_BYTES)?;
    Ok((bytes, found != bundle))
}

/// The tiles of a tree of a given size.
#[derive(Debug)]
pub struct TileReader<R> {
    resources: R,
    size: u64,
    cache: BTreeMap<TileId, Vec<Hash>>,
}

impl<R: Resources> TileReader<R> {
    /// The tiles of the tree of `size` leaves, which should come from a checkpoint.
    pub const fn new(resources: R, size: u64) -> Self {
        Self { resources, size, cache: BTreeMap::new() }
    }

    /// The hashes of tile `number` of `level`, as many as there are of it in this tree.
    ///
    /// # Errors
    ///
    /// Every [`ReadError`].
    pub fn tile(&mut self, level: u8, number: u64) -> Result<&[Hash], ReadError> {
        let tile = TileId::in_tree(TileKind::Hashes(level), number, self.size)
            .ok_or(OutOfRange { wanted: number, size: self.size })?;
        if !self.cache.contains_key(&tile) {
            let hashes = read_tile(&self.resources, tile)?;
            if self.cache.len() >= MAX_CACHED_TILES {
                self.cache.clear();
            }
            self.cache.insert(tile, hashes);
        }
        Ok(&self.cache[&tile])
    }

    /// The inclusion proof of leaf `index` (from 0), from as many tiles as the tree has levels and its right edge.
    ///
    /// # Errors
    ///
    /// Every [`ReadError`].
    pub fn inclusion_proof(&mut self, index: u64) -> Result<Vec<Hash>, ReadError> {
        let size = self.size;
        prove_inclusion(self, index, size)
    }

    /// The consistency proof between the tree of `old` leaves and this one.
    ///
    /// # Errors
    ///
    /// Every [`ReadError`].
    pub fn consistency_proof(&mut self, old: u64) -> Result<Vec<Hash>, ReadError> {
        let size = self.size;
        prove_consistency(self, old, size)
    }
}

impl<R: Resources> Subtrees for TileReader<R> {
    type Error = ReadError;

    fn subtree(&mut self, height: u32, index: u64) -> Result<Hash, ReadError> {
        let out_of_range = OutOfRange { wanted: index, size: self.size };
        let level = u8::try_from(height / TILE_HEIGHT).map_err(|_| out_of_range)?;
        let hashes = 1 << (height % TILE_HEIGHT);
        let first = index * hashes;
        let offset = (first % TILE_WIDTH) as usize;
        let tile = self.tile(level, first / TILE_WIDTH)?;
        Ok(subtree_root(tile.get(offset..offset + hashes as usize).ok_or(out_of_range)?))
    }
}
