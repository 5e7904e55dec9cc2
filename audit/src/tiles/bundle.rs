//! Bundles of entries, C2SP tlog-tiles: each entry as its length (u16, big-endian) and its bytes, one after the other.

use super::path::TILE_WIDTH;

/// The longest entry that a bundle can hold, in bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// The longest full bundle, in bytes: 16 MiB.
pub const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (MAX_ENTRY_BYTES + 2);

/// A bundle's bytes end in the middle of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bundle ends within an entry")]
pub struct TornBundle;

/// Appends one entry to a bundle; false, and nothing is done, where it is over [`MAX_ENTRY_BYTES`].
pub(super) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle, in order. After an error nothing more comes.
#[must_use]
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle }
}

/// See [`entries`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], TornBundle>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.rest.split_first_chunk().and_then(|(length, rest)| {
            let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            self.rest = rest;
            Some(entry)
        });
        if entry.is_none() {
            self.rest = &[];
        }
        Some(entry.ok_or(TornBundle))
    }
}
