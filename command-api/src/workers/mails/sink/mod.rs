//! Where mails go: to a mail server ([`Smtp`]), and without one into files ([`Folder`]); and where those stay that nobody takes
//! ([`DeadLetters`]).

mod dead_letters;
mod smtp;

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{fs, io::AsyncWriteExt};

pub use dead_letters::{DeadLetter, DeadLetters};
pub use smtp::{Smtp, SmtpUrlError};

use super::message::Mail;

/// Takes mails.
#[async_trait::async_trait]
pub trait MailSink: Send + Sync {
    /// Takes a mail, durably, or finds that it took the one of that id before.
    ///
    /// # Errors
    /// When it cannot now, or never will.
    async fn deliver(&self, mail: &Mail) -> Result<(), Undelivered>;

    /// Whether a mail that comes again is recognised. Where it is not, whoever sends writes down at once what he has sent.
    fn remembers(&self) -> bool;
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// Not now: it is tried again.
    #[error("{0}")]
    Later(String),
    /// The server refuses this mail to this person for good.
    #[error("{0}")]
    Never(String),
}

impl From<io::Error> for Undelivered {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// `*.eml` files in a folder, named by the mail's id. A file is there whole or not at all, and once.
pub struct Folder(PathBuf);

impl Folder {
    /// That folder; made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path).await?;
        Ok(Self(path.to_owned()))
    }
}

#[async_trait::async_trait]
impl MailSink for Folder {
    fn remembers(&self) -> bool {
        true
    }

    async fn deliver(&self, mail: &Mail) -> Result<(), Undelivered> {
        let path = self.0.join(format!("{}.eml", mail.id));
        if fs::try_exists(&path).await? {
            return Ok(());
        }
        // Written beside and renamed, so that whoever watches the folder never sees half a mail.
        let beside = self.0.join(format!(".{}.{}.tmp", mail.id, std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).await?;
        let bytes = mail.to_bytes().map_err(|error| Undelivered::Never(error.to_string()))?;
        file.write_all(&bytes).await?;
        file.sync_all().await?;
        drop(file);
        fs::rename(&beside, &path).await?;
        // The name, too, has to survive a loss of power before the checkpoint passes it.
        Ok(fs::File::open(&self.0).await?.sync_all().await?)
    }
}
