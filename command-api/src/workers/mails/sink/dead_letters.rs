//! Mails that the mail server refuses for good, kept whole, with whom they were for and why they were not taken, so that somebody
//! sees them and sends them once more.
//!
//! Each is two files named by the mail's id: `ID.eml`, the mail as it was, and `ID.json`, its envelope. The envelope is written last,
//! so what it names is there.

use std::{
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::fs;

use super::{Folder, MailSink, Smtp, Undelivered};
use crate::workers::mails::message::Mail;

/// A mail that was not taken, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The mail's id: the booking and the position of what it tells.
    pub id: String,
    /// Who sends it.
    pub from: String,
    /// Who was to get it. Corrected here, the next try goes there.
    pub to: String,
    /// When what it tells happened.
    pub date: DateTime<Utc>,
    /// What the mail server said.
    pub reason: String,
}

/// The folder of dead letters.
#[derive(Clone)]
pub struct DeadLetters(PathBuf);

impl DeadLetters {
    /// Those of that folder; made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path).await?;
        Ok(Self(path.to_owned()))
    }

    /// Keeps a mail that was refused.
    ///
    /// # Errors
    /// When it cannot be written now.
    pub async fn keep(&self, mail: &Mail, reason: &str) -> Result<(), Undelivered> {
        Folder(self.0.clone()).deliver(mail).await?;
        let letter = DeadLetter {
            id: mail.id.clone(),
            from: mail.from.address.clone(),
            to: mail.to.address.clone(),
            date: mail.date,
            reason: reason.to_owned(),
        };
        let envelope = serde_json::to_vec_pretty(&letter).map_err(|error| Undelivered::Never(error.to_string()))?;
        Ok(write(&self.envelope(&mail.id), &envelope).await?)
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read, or an envelope is none any more; it is named.
    pub async fn list(&self) -> io::Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        let mut entries = fs::read_dir(&self.0).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let read = serde_json::from_slice::<DeadLetter>(&fs::read(&path).await?);
                letters.push(read.map_err(|error| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
                })?);
            }
        }
        letters.sort_by(|one, other| (one.date, &one.id).cmp(&(other.date, &other.id)));
        Ok(letters)
    }

    /// Sends one once more, to whom its envelope names, and forgets it when it is taken.
    ///
    /// # Errors
    /// When it is not there any more, or the server does not take it; then it stays.
    pub async fn send_again(&self, letter: &DeadLetter, server: &Smtp) -> Result<(), Undelivered> {
        let mail = self.0.join(format!("{}.eml", letter.id));
        server.send(&letter.from, &letter.to, &fs::read(&mail).await?).await?;
        // The envelope first: without it nothing is sent again, whatever happens in between.
        fs::remove_file(self.envelope(&letter.id)).await?;
        Ok(fs::remove_file(mail).await?)
    }

    fn envelope(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }
}

/// Whole or not at all.
async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("json.tmp");
    fs::write(&beside, bytes).await?;
    fs::rename(beside, path).await
}
