//! Checkpoints, C2SP tlog-checkpoint: the size and the root of a log, signed by the log.
//!
//! ```text
//! tickets.example/log                            origin, which is the key's name too
//! 20852163                                       how many entries
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=   root over them
//!
//! — tickets.example/log Az3grlgtzPIC…
//! ```
//!
//! What a checkpoint says is believed only as a whole and only after its signature: [`Checkpoint::open`] checks form, signature
//! and origin in one step, and is the way for everybody but a verifier that wants to name each fault.

mod keys;
mod note;

pub use keys::{KeyError, KeyId, SignerKey, VerifierKey};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, NoteSignature};

use crate::merkle::{Hash, MAX_TREE_SIZE};

/// Why a checkpoint cannot be read or must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no signed note, or not signed by the log's key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text of the note is not that of a checkpoint.
    #[error("not a checkpoint: {0}")]
    Form(&'static str),
    /// It is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin {
        /// The origin that was asked for.
        expected: String,
        /// The origin that the checkpoint has.
        found: String,
    },
}

/// Size and root of a log: the body of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of the log `origin` at `size` leaves. Without extension lines, which the specification advises against.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Form`] where the origin is empty or has a line break, or the size is beyond [`MAX_TREE_SIZE`].
    pub fn try_new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(char::is_control) {
            return Err(CheckpointError::Form("the origin is empty or has control characters"));
        }
        if size > MAX_TREE_SIZE {
            return Err(CheckpointError::Form("the size is out of range"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries the log has: the last one's position, counted from 1.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Further lines of the body, whose meaning is the log's own.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The body, which signatures are over.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = format!("{}\n{}\n{}\n", self.origin, self.size, self.root);
        for line in &self.extensions {
            body.push_str(line);
            body.push('\n');
        }
        body
    }

    /// Reads a body. Strict: each checkpoint has one body, so a size with leading zeroes or a sign is refused.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Form`].
    pub fn parse_body(body: &str) -> Result<Self, CheckpointError> {
        let wrong = |what| CheckpointError::Form(what);
        let mut lines = body.strip_suffix('\n').ok_or(wrong("it does not end in a newline"))?.split('\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().and_then(parse_decimal).ok_or(wrong("the size is no decimal number"))?;
        let root = lines.next().and_then(|line| line.parse().ok()).ok_or(wrong("the root is no hash"))?;
        let mut checkpoint = Self::try_new(origin, size, root)?;
        for line in lines {
            if line.is_empty() {
                return Err(wrong("an extension line is empty"));
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }

    /// The signed checkpoint as it is published.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Origin`] where the key is not the log's own, whose name is the origin (the specification's advice, which
    /// we hold ourselves to).
    pub fn sign(&self, key: &SignerKey) -> Result<String, CheckpointError> {
        self.check_origin(key.verifier().name())?;
        Ok(Note::sign(&self.body(), key)?.to_string())
    }

    /// Reads a published checkpoint and believes it: form, signature by `key`, and `origin`, in this order.
    ///
    /// # Errors
    ///
    /// Every [`CheckpointError`].
    pub fn open(note: &str, origin: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse_body(note.text())?;
        checkpoint.check_origin(origin)?;
        Ok(checkpoint)
    }

    fn check_origin(&self, expected: &str) -> Result<(), CheckpointError> {
        if self.origin == expected {
            return Ok(());
        }
        Err(CheckpointError::Origin { expected: expected.to_owned(), found: self.origin.clone() })
    }
}

/// A number in the one spelling that these formats allow: ASCII digits without leading zeroes.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) { None } else { text.parse().ok() }
}
