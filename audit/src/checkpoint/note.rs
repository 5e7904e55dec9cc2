//! Signed notes, C2SP signed-note: a text, an empty line, and lines of signatures over the text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{KeyId, SignerKey, VerifierKey, check_name};

/// The longest note that is read, in bytes. The specification asks for room for 16 signatures, of up to 5 kB each.
pub const MAX_NOTE_BYTES: usize = 1_000_000;
/// The most signatures on a note that is read.
pub const MAX_SIGNATURES: usize = 100;
/// An em dash and a space: how a line of a signature begins.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a text is no signed note, or one that must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`], or with more than [`MAX_SIGNATURES`].
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes or has more than {MAX_SIGNATURES} signatures")]
    TooLarge,
    /// Not of the form of a signed note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// No line is signed by the key: nothing says who wrote it.
    #[error("the note has no signature of {0}")]
    Unsigned(String),
    /// A line names the key, and the signature is not the key's over this text.
    #[error("the note's signature of {0} is wrong")]
    Signature(String),
}

/// One line of a signature, by whomever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that is said to have signed.
    pub name: String,
    /// That key's id.
    pub key_id: KeyId,
    /// The signature, in the form of that key's type.
    pub signature: Vec<u8>,
}

/// A text with signatures, which [`Note::verify`] alone makes believable. [`fmt::Display`] writes it as C2SP signed-note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Signs `text`, which must end in a newline and hold no other control character.
    ///
    /// # Errors
    ///
    /// [`NoteError::Form`], [`NoteError::TooLarge`].
    pub fn sign(text: &str, key: &SignerKey) -> Result<Self, NoteError> {
        check_text(text)?;
        if text.len() > MAX_NOTE_BYTES / 2 {
            return Err(NoteError::TooLarge);
        }
        let signature = NoteSignature {
            name: key.verifier().name().to_owned(),
            key_id: key.verifier().id(),
            signature: key.sign(text.as_bytes()).to_vec(),
        };
        Ok(Self { text: text.to_owned(), signatures: vec![signature] })
    }

    /// Reads a note. Its text must not be believed before [`Note::verify`].
    ///
    /// # Errors
    ///
    /// [`NoteError::TooLarge`], [`NoteError::Form`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        check_text(note)?;
        // The last empty line parts text and signatures: the text may hold empty lines itself.
        let end = note.rfind("\n\n").ok_or(NoteError::Form("no empty line before the signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        if lines.is_empty() {
            return Err(NoteError::Form("no signature"));
        }
        let signatures = lines.lines().map(parse_signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, with its last newline: what the signatures are over.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every line of a signature, in the note's order, believed or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Whether `key` signed the text. Signatures of other keys are passed over, as the specification demands; a wrong one that
    /// names this key condemns the note, even beside a right one.
    ///
    /// # Errors
    ///
    /// [`NoteError::Unsigned`], [`NoteError::Signature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut signed = false;
        for line in self.signatures.iter().filter(|line| line.name == key.name() && line.key_id == key.id()) {
            if !key.verifies(self.text.as_bytes(), &line.signature) {
                return Err(NoteError::Signature(key.name().to_owned()));
            }
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::Unsigned(key.name().to_owned())) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        for line in &self.signatures {
            let signature = STANDARD.encode([&line.key_id[..], &line.signature].concat());
            writeln!(formatter, "{SIGNATURE_PREFIX}{} {signature}", line.name)?;
        }
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Form("it does not end in a newline"));
    }
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Form("a control character"));
    }
    Ok(())
}

fn parse_signature(line: &str) -> Result<NoteSignature, NoteError> {
    let wrong = || NoteError::Form("a line that is no signature");
    let (name, signature) =
        line.strip_prefix(SIGNATURE_PREFIX).and_then(|line| line.split_once(' ')).ok_or_else(wrong)?;
    check_name(name).map_err(|_| wrong())?;
    let bytes = STANDARD.decode(signature).map_err(|_| wrong())?;
    let (key_id, signature) = bytes.split_first_chunk().ok_or_else(wrong)?;
    if signature.is_empty() {
        return Err(wrong());
    }
    Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}
