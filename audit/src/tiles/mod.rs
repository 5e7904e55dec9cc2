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
//! * [`path`](TileId): where a tile is. * [`bundle`](entries): entries as bytes. * [`store`](Store): files, atomically.
//! * [`reader`](TileReader): subtrees and proofs from tiles. * [`writer`](LogWriter): appends, publishes, goes on.

mod bundle;
mod path;
mod reader;
mod stack;
mod store;
mod writer;

pub use bundle::{Entries, MAX_BUNDLE_BYTES, MAX_ENTRY_BYTES, TornBundle, entries};
pub use path::{CHECKPOINT_PATH, MAX_LEVEL, PathError, TILE_WIDTH, TileId, TileKind};
pub use reader::{ReadError, TileReader};
pub use store::{Directory, Resources, Store, WritableDirectory};
pub use writer::{LogWriter, WriteError};

pub(crate) use reader::{read, read_bundle, read_tile};
pub(crate) use stack::{TileStack, subtree_root};
