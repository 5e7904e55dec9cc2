//! A gate's journal: which codes it let in, and by which bundle it decided. JSON lines, only ever appended.
//!
//! A line is on the disk before anybody is let in, so a gate that loses its power knows afterwards whom it admitted. A last line that was
//! not finished is of somebody who was not let in yet, and is cut off.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Line {
    /// From here on decided by this bundle.
    #[serde(rename_all = "camelCase")]
    Bundle {
        /// The show.
        event_id: String,
        /// The key that bundles are trusted by.
        key: String,
        /// The bundle's number, which never falls.
        seq: i64,
    },
    /// Somebody was let in.
    #[serde(rename_all = "camelCase")]
    Admitted {
        /// The scan.
        scan_id: Uuid,
        /// The ticket's number, decimal.
        ticket: String,
        /// What was read.
        code: String,
        /// Where.
        gate: String,
        /// When.
        scanned_at: DateTime<Utc>,
    },
}

/// The journal, open for writing.
pub struct Journal {
    file: File,
    /// The bundle that counted last.
    pub bundle: Option<(String, String, i64)>,
    /// When and where each ticket was let in.
    pub used: BTreeMap<u64, (DateTime<Utc>, String)>,
    /// Everybody who was let in.
    pub admitted: Vec<Line>,
}

impl Journal {
    /// The journal of that file; made if it is missing.
    ///
    /// # Errors
    /// When it cannot be read, or a line that is finished is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(u64::try_from(whole)?)?;
            file.seek(SeekFrom::End(0))?;
        }
        let mut journal = Self { file, bundle: None, used: BTreeMap::new(), admitted: Vec::new() };
        for (number, line) in text[..whole].lines().enumerate() {
            let line =
                serde_json::from_str(line).with_context(|| format!("line {} of {}", number + 1, path.display()))?;
            journal.learn(line);
        }
        Ok(journal)
    }

    /// Writes a line down, durably.
    ///
    /// # Errors
    /// When it cannot be written: then nobody is to be let in.
    pub fn write(&mut self, line: Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.learn(line);
        Ok(())
    }

    fn learn(&mut self, line: Line) {
        match &line {
            Line::Bundle { event_id, key, seq } => self.bundle = Some((event_id.clone(), key.clone(), *seq)),
            Line::Admitted { ticket, gate, scanned_at, .. } => {
                if let Ok(ticket) = ticket.parse() {
                    self.used.entry(ticket).or_insert_with(|| (*scanned_at, gate.clone()));
                }
                self.admitted.push(line);
            }
        }
    }
}
