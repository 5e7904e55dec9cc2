//! A gate's journal: which codes it let in, and by which bundle it decided. JSON lines, only ever appended.
//!
//! A line is on the disk before anybody is let in, so a gate that loses its power knows afterwards whom it admitted. A last line that was
//! not finished is of somebody who was not let in yet, and is cut off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tickiz_tickets::SignedBundle;
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
        /// Whether the API let him in, and so knows of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recorded: bool,
    },
    /// What changed since a bundle, signed as it came.
    #[serde(rename_all = "camelCase")]
    Revocations {
        /// The change.
        signed: SignedBundle,
    },
    /// These scans were handed in.
    #[serde(rename_all = "camelCase")]
    HandedIn {
        /// Which.
        scan_ids: Vec<Uuid>,
    },
}

/// The lines that are finished: the last one may have been cut anywhere, in the middle of a letter too.
fn finished(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
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
    /// The scans that the API knows of.
    recorded: BTreeSet<Uuid>,
    /// What was heard of since a bundle.
    pub revocations: Vec<SignedBundle>,
}

impl Journal {
    /// The journal of that file, for one gate alone; made if it is missing.
    ///
    /// # Errors
    /// When it cannot be read, a line that is finished is none, or another gate has it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock().context("another gate writes it; each gate has a journal of its own")?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = finished(&bytes);
        if whole.len() < bytes.len() {
            file.set_len(u64::try_from(whole.len())?)?;
            file.seek(SeekFrom::End(0))?;
        }
        if is_new {
            // Its name, too, has to survive a loss of power.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
        }
        Self::of(file, whole, path)
    }

    /// What the journal of that file has by now, while a gate may be writing on.
    ///
    /// # Errors
    /// When it cannot be read, or a line that is finished is none.
    pub fn look(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Self::of(file, finished(&bytes), path)
    }

    fn of(file: File, lines: &[u8], path: &Path) -> anyhow::Result<Self> {
        let mut journal = Self {
            file,
            bundle: None,
            used: BTreeMap::new(),
            admitted: Vec::new(),
            recorded: BTreeSet::new(),
            revocations: Vec::new(),
        };
        for (number, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let line =
                serde_json::from_slice(line).with_context(|| format!("line {} of {}", number + 1, path.display()))?;
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

    /// Who was let in without the API's knowing.
    #[must_use]
    pub fn pending(&self) -> Vec<Line> {
        let is_pending = |line: &&Line| match line {
            Line::Admitted { scan_id, .. } => !self.recorded.contains(scan_id),
            _ => false,
        };
        self.admitted.iter().filter(is_pending).cloned().collect()
    }

    fn learn(&mut self, line: Line) {
        match &line {
            Line::Bundle { event_id, key, seq } => self.bundle = Some((event_id.clone(), key.clone(), *seq)),
            Line::Revocations { signed } => self.revocations.push(signed.clone()),
            Line::HandedIn { scan_ids } => self.recorded.extend(scan_ids),
            Line::Admitted { scan_id, ticket, gate, scanned_at, recorded, .. } => {
                if *recorded {
                    self.recorded.insert(*scan_id);
                }
                if let Ok(ticket) = ticket.parse() {
                    self.used.entry(ticket).or_insert_with(|| (*scanned_at, gate.clone()));
                }
                self.admitted.push(line);
            }
        }
    }
}
