//! A log as files, C2SP tlog-tiles: tiles of hashes, bundles of entries, one checkpoint.
//!
//! ```text
//! checkpoint                        size and root, signed; replaced at each publication
//! tile/0/x001/234                   256 leaf hashes (the tile of number 1234 on level 0)
//! tile/1/004.p/210                  the first 210 hashes of the tile of number 4 on level 1
//! tile/entries/x001/234             the 256 entries themselves
//! ```
//!
//! # Layout
//!
//! * `path`: where a tile is ([`TileId`]).
//! * `bundle`: entries as bytes ([`entries`]).
//! * `stack`: tiles from leaf hashes as they come.
//! * `store`: files, atomically ([`Store`]).
//! * `reader`: subtrees and proofs from tiles ([`TileReader`]).
//! * `writer`, `error`: appends, publishes, goes on ([`LogWriter`], [`WriteError`]).

mod bundle;
mod error;
mod path;
mod reader;
mod stack;
mod store;
mod writer;

pub use bundle::{Entries, MAX_BUNDLE_BYTES, MAX_ENTRY_BYTES, TornBundle, entries};
pub use error::WriteError;
pub use path::{CHECKPOINT_PATH, MAX_LEVEL, PathError, TILE_WIDTH, TileId, TileKind};
pub use reader::{ReadError, TileReader};
pub use store::{Directory, Resources, Store, WritableDirectory};
pub use writer::LogWriter;

pub(crate) use reader::{read, read_bundle, read_tile};
pub(crate) use stack::{TileStack, subtree_root};
