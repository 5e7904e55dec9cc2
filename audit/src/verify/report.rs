//! What a check found, for people ([`fmt::Display`]) and for programs ([`Serialize`]).

use std::fmt;

use serde::Serialize;

use crate::merkle::Hash;

use super::finding::Finding;

/// The most findings that a report holds. Neighbouring positions with the same fault are one finding, so this is reached only where
/// faults and good entries alternate; what is beyond it is counted.
pub const MAX_FINDINGS: usize = 10_000;

/// What was checked, and everything that was found wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name as the checkpoint has it.
    pub origin: Option<String>,
    /// How many entries the checkpoint vouches for.
    pub size: Option<u64>,
    /// The root that the checkpoint has.
    pub signed_root: Option<Hash>,
    /// The root over the entries, where all of them could be read.
    pub entries_root: Option<Hash>,
    /// The root that the stored tiles make, where they could be read.
    pub tiles_root: Option<Hash>,
    /// How many entries were looked at.
    pub checked: u64,
    /// Entries after the checkpoint, which it says nothing about.
    pub newer: u64,
    /// The first position at which something is wrong with an entry.
    pub first_wrong: Option<u64>,
    /// What is wrong, in the order in which it was found; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub left_off: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether every entry is what the checkpoint was made for, so that all that can be wrong is in the tiles, or in the checkpoint's
    /// signature. Without that signature the root is only a claim.
    #[must_use]
    pub fn entries_make_the_signed_root(&self) -> bool {
        self.entries_root.is_some() && self.entries_root == self.signed_root
    }

    /// Notes a finding, as one with the last where it continues it.
    pub(super) fn note(&mut self, finding: Finding) {
        if let Some(position) = finding.position() {
            self.first_wrong = Some(self.first_wrong.map_or(position, |first| first.min(position)));
        }
        if self.left_off == 0 && self.findings.last_mut().is_some_and(|last| last.absorb(&finding)) {
            return;
        }
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.left_off += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(origin), Some(size), Some(root)) = (&self.origin, self.size, &self.signed_root) {
            writeln!(formatter, "{origin}: {size} entries with root {root}")?;
        }
        for finding in &self.findings {
            writeln!(formatter, "WRONG  {finding}")?;
        }
        if self.left_off > 0 {
            writeln!(formatter, "WRONG  and {} more", self.left_off)?;
        }
        if !self.is_clean() && self.entries_make_the_signed_root() {
            writeln!(formatter, "the entries make the root that the checkpoint has: what differs is in the tiles")?;
        } else if let Some(position) = self.first_wrong {
            writeln!(formatter, "the first wrong position is {position}")?;
        }
        if self.newer > 0 {
            writeln!(formatter, "{} entries are newer than the checkpoint, which says nothing of them", self.newer)?;
        }
        let verdict = if self.is_clean() { "everything is as it was signed" } else { "NOT as it was signed" };
        write!(formatter, "{} entries looked at: {verdict}", self.checked)
    }
}
