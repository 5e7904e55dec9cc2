//! Where a tile or a bundle of entries is: the paths of C2SP tlog-tiles.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::parse_decimal;

/// How many hashes a full tile has, and how many entries a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// How many layers of the tree a tile is high.
pub(super) const TILE_HEIGHT: u32 = 8;
/// The level of the highest tile that a tree of [`crate::merkle::MAX_TREE_SIZE`] leaves has.
pub const MAX_LEVEL: u8 = 7;
/// The path of the checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of the tree: leaf hashes on level 0, on each higher level the roots of full tiles of the level below.
    Hashes(u8),
    /// The entries themselves, whose hashes are in the tile of level 0 with the same number.
    Entries,
}

impl TileKind {
    /// How many hashes this kind has in all, over a tree of `size` leaves.
    #[must_use]
    pub fn count(self, size: u64) -> u64 {
        let level = match self {
            Self::Hashes(level) => u32::from(level),
            Self::Entries => 0,
        };
        size.checked_shr(TILE_HEIGHT * level).unwrap_or(0)
    }
}

/// One tile (or bundle): what, which, and how wide. [`fmt::Display`] writes its path, [`FromStr`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// What it holds.
    pub kind: TileKind,
    /// Its number among its kind, from 0.
    pub number: u64,
    /// How many hashes it has, from 1 to [`TILE_WIDTH`].
    pub width: u64,
}

impl TileId {
    /// Tile `number` as it is in a tree of `size` leaves; none where it would be empty.
    #[must_use]
    pub fn in_tree(kind: TileKind, number: u64, size: u64) -> Option<Self> {
        let before = number.checked_mul(TILE_WIDTH)?;
        let width = kind.count(size).checked_sub(before)?.min(TILE_WIDTH);
        (width > 0).then_some(Self { kind, number, width })
    }

    /// The same tile once it is full.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// Whether it is full, and never changes again.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The directory that the partial forms of this tile are in.
    #[must_use]
    pub fn partials_path(self) -> String {
        format!("{}.p", self.full())
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(formatter, "tile/{level}/")?,
            TileKind::Entries => formatter.write_str("tile/entries/")?,
        }
        let mut divisor = 1;
        while self.number / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(formatter, "x{:03}/", self.number / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(formatter, "{:03}", self.number % 1000)?;
        if self.is_full() { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

/// A path that no tile has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile")]
pub struct PathError;

impl FromStr for TileId {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let (kind, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(PathError)?;
        let kind = if kind == "entries" {
            TileKind::Entries
        } else {
            let level = parse_decimal(kind).filter(|level| *level <= 63).ok_or(PathError)?;
            TileKind::Hashes(u8::try_from(level).map_err(|_| PathError)?)
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, parse_decimal(width).ok_or(PathError)?),
            None => (rest, TILE_WIDTH),
        };
        let number = number
            .bytes()
            .filter(u8::is_ascii_digit)
            .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        let tile = Self { kind, number: number.ok_or(PathError)?, width };
        // A tile has one path: whatever else reads the same (a missing x, leading groups of zeroes, a width of 0) is refused here.
        if (1..=TILE_WIDTH).contains(&width) && tile.to_string() == path { Ok(tile) } else { Err(PathError) }
    }
}
