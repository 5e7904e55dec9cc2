//! What can be wrong, each in one sentence.

use std::fmt;

use serde::Serialize;

use crate::merkle::Hash;

/// Which root of the tree was reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootOf {
    /// From the entries themselves.
    Entries,
    /// From the tiles as they are stored.
    Tiles,
}

/// One thing that is wrong. Positions count from 1, and ranges include both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// There is no checkpoint, so nothing says what the log should be.
    CheckpointMissing,
    /// The checkpoint is malformed, of another log, not signed, or signed wrongly.
    Checkpoint {
        /// What is wrong with it.
        reason: String,
    },
    /// The root over what is there is not the signed one.
    Root {
        /// Over what it was reckoned.
        of: RootOf,
        /// The signed root.
        signed: Hash,
        /// The reckoned root.
        computed: Hash,
    },
    /// Entries are not what they were when the tree was made.
    Changed {
        /// The first such position.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// Entries that the tree has are not there, and those after them follow at once.
    Removed {
        /// The first such position, as the tree counts.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// Entries are there that the tree does not have.
    Inserted {
        /// The first such position, as the checked log or bundle counts.
        first: u64,
        /// The last one.
        last: u64,
        /// The position, as the tree counts, of the entry that they stand before.
        before: u64,
    },
    /// An entry stands elsewhere.
    Moved {
        /// Where it belongs, as the tree counts.
        position: u64,
        /// Where it was found, as the checked log or bundle counts.
        found_at: u64,
    },
    /// Two entries stand at each other's place.
    Swapped {
        /// The first one's position.
        position: u64,
        /// The other one's.
        with: u64,
    },
    /// The entries of these positions cannot be read: their bundle is missing, too short, or too long to be one.
    Missing {
        /// The first such position.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// A bundle of entries ends in the middle of one.
    BundleTorn {
        /// The bundle's number.
        number: u64,
    },
    /// A tile is missing, or has not the length of one.
    TileUnreadable {
        /// The tile's level.
        level: u8,
        /// Its number on that level.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A hash in a tile is not the hash of the entries below it, though these fit everything else.
    TileWrong {
        /// The tile's level.
        level: u8,
        /// Its number on that level.
        number: u64,
        /// The place of the wrong hash in the tile, from 0 to 255.
        slot: u64,
        /// The first position that the hash is over.
        first: u64,
        /// The last one.
        last: u64,
    },
}

impl Finding {
    /// The first position that is wrong, for findings that are about entries.
    #[must_use]
    pub const fn position(&self) -> Option<u64> {
        match self {
            Self::Changed { first, .. } | Self::Removed { first, .. } | Self::Missing { first, .. } => Some(*first),
            Self::Inserted { before, .. } => Some(*before),
            Self::Moved { position: a, found_at: b } | Self::Swapped { position: a, with: b } => {
                Some(if *a < *b { *a } else { *b })
            }
            _ => None,
        }
    }

    /// Takes up a finding of the same kind that follows at once.
    pub(super) fn absorb(&mut self, next: &Self) -> bool {
        let (last, next_first, next_last) = match (self, next) {
            (Self::Changed { last, .. }, Self::Changed { first, last: next })
            | (Self::Removed { last, .. }, Self::Removed { first, last: next })
            | (Self::Missing { last, .. }, Self::Missing { first, last: next }) => (last, first, next),
            (Self::Inserted { last, before, .. }, Self::Inserted { first, last: next, before: same })
                if before == same =>
            {
                (last, first, next)
            }
            _ => return false,
        };
        let follows = last.checked_add(1) == Some(*next_first);
        if follows {
            *last = *next_last;
        }
        follows
    }
}

/// A position, or several.
struct Positions(u64, u64);

impl fmt::Display for Positions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(first, last) if first == last => write!(formatter, "position {first}"),
            Self(first, last) => write!(formatter, "positions {first} to {last}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckpointMissing => formatter.write_str("there is no checkpoint"),
            Self::Checkpoint { reason } => write!(formatter, "the checkpoint is not to be believed: {reason}"),
            Self::Root { of: RootOf::Entries, signed, computed } => {
                write!(formatter, "the entries make the root {computed}, and {signed} is signed")
            }
            Self::Root { of: RootOf::Tiles, signed, computed } => {
                write!(formatter, "the tiles make the root {computed}, and {signed} is signed")
            }
            Self::Changed { first, last } => write!(formatter, "changed: {}", Positions(*first, *last)),
            Self::Removed { first, last } => write!(formatter, "removed: {}", Positions(*first, *last)),
            Self::Inserted { first, last, before } => {
                write!(formatter, "inserted: {}, before what was position {before}", Positions(*first, *last))
            }
            Self::Moved { position, found_at } => {
                write!(formatter, "reordered: position {position} was found at position {found_at}")
            }
            Self::Swapped { position, with } => {
                write!(formatter, "reordered: positions {position} and {with} stand at each other's place")
            }
            Self::Missing { first, last } => write!(formatter, "not readable: {}", Positions(*first, *last)),
            Self::BundleTorn { number } => write!(formatter, "bundle {number} of the entries ends within an entry"),
            Self::TileUnreadable { level, number, reason } => {
                write!(formatter, "tile {number} of level {level}: {reason}")
            }
            Self::TileWrong { level, number, slot, first, last } => write!(
                formatter,
                "tile {number} of level {level}, hash {slot}, is not the hash of the entries at {}",
                Positions(*first, *last)
            ),
        }
    }
}
