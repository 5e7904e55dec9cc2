//! Appends entries to a log's directory and publishes checkpoints.
//!
//! **Killed anywhere, nothing published is lost or contradicted.** A checkpoint is written last, after everything that it vouches
//! for is durable; until then the old one stands, and all its tiles are there, since a file that it needs is never written again
//! with other content: full tiles below it are not touched, and its partial tiles have names of their own. What a killed run left
//! beyond the old checkpoint nobody vouched for, and the next run writes over it, from the old checkpoint on.
//!
//! **Nothing inconsistent is signed.** The state in memory begins as what the published checkpoint's own tiles say, checked
//! against its root. Before a new checkpoint is signed, its root is computed once more from the files as they are on the disk, and
//! their proof that the old root is contained in it is checked like anybody would. So neither a second writer, nor a damaged
//! file, nor a mistake in here can bring the log to sign two histories.

use crate::checkpoint::{Checkpoint, CheckpointError, MAX_NOTE_BYTES, SignerKey, VerifierKey};
use crate::merkle::{Frontier, Hash, leaf_hash, tree_root, verify_consistency};

use super::bundle::{entries, push_entry};
use super::error::WriteError;
use super::path::{CHECKPOINT_PATH, MAX_LEVEL, TILE_WIDTH, TileId, TileKind};
use super::reader::{TileReader, read, read_bundle};
use super::stack::TileStack;
use super::store::{Resources, Store};

/// A log that is being written. Holds, for each level, less than a tile, and less than one bundle of entries (up to 16 MiB).
#[derive(Debug)]
pub struct LogWriter<S> {
    store: S,
    key: SignerKey,
    published: Option<Checkpoint>,
    frontier: Frontier,
    tiles: TileStack,
    bundle: Vec<u8>,
    broken: bool,
}

impl<S: Store> LogWriter<S> {
    /// Opens the log that `store` has, or begins one, and goes on from its last published checkpoint. The log's origin is the
    /// key's name.
    ///
    /// # Errors
    ///
    /// [`WriteError::Checkpoint`], [`WriteError::Read`], [`WriteError::Damaged`], [`WriteError::DamagedEntry`].
    pub fn open(store: S, key: SignerKey) -> Result<Self, WriteError> {
        let published = published(&store, key.verifier())?;
        let size = published.as_ref().map_or(0, Checkpoint::size);
        let mut reader = TileReader::new(&store, size);
        let frontier = Frontier::load(&mut reader, size)?;
        if let Some(published) = published.as_ref().filter(|published| published.root() != frontier.root()) {
            return Err(WriteError::Damaged { size, expected: published.root(), computed: frontier.root() });
        }
        let mut levels = Vec::new();
        for level in 0..=MAX_LEVEL {
            let partial = last_partial(TileKind::Hashes(level), size);
            levels.push(partial.map_or(Ok(Vec::new()), |tile| reader.tile(level, tile.number).map(<[_]>::to_vec))?);
        }
        let bundle = match last_partial(TileKind::Entries, size) {
            Some(bundle) => published_entries(&store, bundle, size, &levels[0])?,
            None => Vec::new(),
        };
        let tiles = TileStack::resume(size, levels);
        Ok(Self { store, key, published, frontier, tiles, bundle, broken: false })
    }

    /// How many entries were appended, published or not: the last one's position.
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The last published checkpoint.
    pub const fn published(&self) -> Option<&Checkpoint> {
        self.published.as_ref()
    }

    /// Appends the entry at `position`, which must follow the last one, and answers its leaf hash. Tiles that become full are
    /// written, and nobody is told of them before [`Self::publish`].
    ///
    /// # Errors
    ///
    /// [`WriteError::Position`] and [`WriteError::EntryTooLarge`] change nothing; after [`WriteError::Io`] the log must be opened
    /// again, and until then answers [`WriteError::Broken`].
    pub fn append(&mut self, position: u64, entry: &[u8]) -> Result<Hash, WriteError> {
        let expected = self.size() + 1;
        if self.broken {
            return Err(WriteError::Broken);
        }
        if position != expected {
            return Err(WriteError::Position { expected, found: position });
        }
        if !push_entry(&mut self.bundle, entry) {
            return Err(WriteError::EntryTooLarge { position, length: entry.len() });
        }
        let leaf = leaf_hash(entry);
        self.frontier.push(leaf);
        self.broken = true;
        let (store, bundle) = (&self.store, &mut self.bundle);
        self.tiles.push(leaf, |tile, hashes| {
            if tile.kind == TileKind::Hashes(0) {
                put(store, &TileId { kind: TileKind::Entries, ..tile }.to_string(), bundle)?;
                bundle.clear();
            }
            put_tile(store, tile, hashes)
        })?;
        self.broken = false;
        Ok(leaf)
    }

    /// Publishes what was appended: its last tiles, then its checkpoint, each durable before the next. Without anything new the
    /// checkpoint stays as it is, signature and all.
    ///
    /// # Errors
    ///
    /// [`WriteError::Inconsistent`] and [`WriteError::Damaged`] before anything is signed; [`WriteError::Io`] and
    /// [`WriteError::Read`], after which the log must be opened again.
    pub fn publish(&mut self) -> Result<Checkpoint, WriteError> {
        if self.broken {
            return Err(WriteError::Broken);
        }
        let next = Checkpoint::try_new(self.key.verifier().name(), self.size(), self.frontier.root())?;
        // Looked up again: it is what stands there now that must not be contradicted, whoever wrote it.
        let before = published(&self.store, self.key.verifier())?.or_else(|| self.published.clone());
        if before.as_ref() == Some(&next) {
            return Ok(next);
        }
        self.broken = true;
        for (tile, hashes) in self.tiles.partials() {
            put_tile(&self.store, tile, hashes)?;
        }
        if let Some(bundle) = last_partial(TileKind::Entries, next.size()) {
            put(&self.store, &bundle.to_string(), &self.bundle)?;
        }
        sync(&self.store)?;
        check_goes_on(&self.store, before.as_ref(), &next)?;
        put(&self.store, CHECKPOINT_PATH, next.sign(&self.key)?.as_bytes())?;
        sync(&self.store)?;
        self.remove_partials(before.as_ref().map_or(0, Checkpoint::size));
        self.published = Some(next.clone());
        self.broken = false;
        Ok(next)
    }

    /// Removes the partial forms of tiles that are full and published now, as the specification allows; they would otherwise be
    /// many times what the full ones are.
    fn remove_partials(&self, size_before: u64) {
        let hashes = (0..=MAX_LEVEL).map(TileKind::Hashes);
        for tile in hashes.chain([TileKind::Entries]).filter_map(|kind| last_partial(kind, size_before)) {
            if TileId::in_tree(tile.kind, tile.number, self.size()).is_some_and(TileId::is_full) {
                // Left over they only cost room, and the checkpoint is out: no reason to call the publication failed.
                let _ = self.store.remove_below(&tile.partials_path());
            }
        }
    }
}

/// The tile on the right edge of its kind, where it is partial.
fn last_partial(kind: TileKind, size: u64) -> Option<TileId> {
    TileId::in_tree(kind, kind.count(size) / TILE_WIDTH, size)
}

fn published<S: Resources>(store: &S, key: &VerifierKey) -> Result<Option<Checkpoint>, WriteError> {
    let Some(bytes) = read(store, CHECKPOINT_PATH, MAX_NOTE_BYTES)? else { return Ok(None) };
    let note = str::from_utf8(&bytes).map_err(|_| CheckpointError::Form("it is not UTF-8"))?;
    Ok(Some(Checkpoint::open(note, key.name(), key)?))
}

/// The encoded entries of the last, partial bundle, compared with their leaf hashes.
fn published_entries<S: Resources>(
    store: &S,
    bundle: TileId,
    size: u64,
    leaves: &[Hash],
) -> Result<Vec<u8>, WriteError> {
    let (bytes, _) = read_bundle(store, bundle)?;
    let mut found = entries(&bytes);
    let mut encoded = Vec::new();
    for (leaf, position) in leaves.iter().zip(size - leaves.len() as u64 + 1..) {
        match found.next() {
            Some(Ok(entry)) if leaf_hash(entry) == *leaf => push_entry(&mut encoded, entry),
            _ => return Err(WriteError::DamagedEntry(position)),
        };
    }
    Ok(encoded)
}

/// Checks, from the files alone, that `next` is what they say and contains `before`.
fn check_goes_on<S: Resources>(store: &S, before: Option<&Checkpoint>, next: &Checkpoint) -> Result<(), WriteError> {
    let (size, root) = (next.size(), next.root());
    let mut reader = TileReader::new(store, size);
    if let Some(before) = before {
        let inconsistent =
            || WriteError::Inconsistent { published_size: before.size(), published_root: before.root(), size, root };
        if before.size() > size {
            return Err(inconsistent());
        }
        let path = reader.consistency_proof(before.size())?;
        verify_consistency(before.size(), &before.root(), size, &root, &path).map_err(|_| inconsistent())?;
    }
    let computed = tree_root(&mut reader, size)?;
    if computed == root { Ok(()) } else { Err(WriteError::Damaged { size, expected: root, computed }) }
}

fn put_tile<S: Store>(store: &S, tile: TileId, hashes: &[Hash]) -> Result<(), WriteError> {
    let bytes: Vec<u8> = hashes.iter().flat_map(Hash::as_bytes).copied().collect();
    put(store, &tile.to_string(), &bytes)
}

fn put<S: Store>(store: &S, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
    store.put(path, bytes).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

fn sync<S: Store>(store: &S) -> Result<(), WriteError> {
    store.sync().map_err(|source| WriteError::Io { path: "the directory".to_owned(), source })
}
