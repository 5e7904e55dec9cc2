//! Proofs as texts that are checked without the log.
//!
//! An inclusion proof is C2SP tlog-proof: the index, the hashes, and the signed checkpoint that they lead to. For consistency
//! there is no such format of its own; we write the body of C2SP tlog-witness's `add-checkpoint`, which says the same thing, and
//! which a witness takes as it is.
//!
//! ```text
//! c2sp.org/tlog-proof@v1                         old 20852014
//! index 73894                                    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=   …
//! …
//!                                                example.com/behind-the-sofa
//! example.com/fancylog                           …
//! …
//! ```

mod make;

pub use make::MakeError;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError, MAX_NOTE_BYTES, VerifierKey, parse_decimal};
use crate::merkle::{Hash, ProofError, verify_consistency, verify_inclusion};

const INCLUSION_HEADER: &str = "c2sp.org/tlog-proof@v1\n";
/// The most hashes of a proof that is read: what a tree of 2^63 leaves needs.
pub const MAX_PROOF_HASHES: usize = 64;
/// The longest proof text that is read, in bytes.
pub const MAX_PROOF_BYTES: usize = 2 * MAX_NOTE_BYTES;

/// Why a proof text proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofTextError {
    /// Not of the form of such a proof.
    #[error("not a proof text: {0}")]
    Form(&'static str),
    /// The checkpoint within must not be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// That an entry is in the log: C2SP tlog-proof. [`fmt::Display`] writes it, [`FromStr`] reads it, [`Self::verify`] believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// What the application likes to add. Nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index, counted from 0: its position less one.
    pub index: u64,
    /// Hashes from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as the log published it.
    pub checkpoint: String,
}

impl InclusionProof {
    /// Checks that the entry with hash `leaf` is in the log of `key`, at [`Self::index`], and answers the checkpoint that says so.
    ///
    /// # Errors
    ///
    /// [`ProofTextError::Checkpoint`], [`ProofTextError::Proof`].
    pub fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, ProofTextError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key.name(), key)?;
        verify_inclusion(leaf, self.index, checkpoint.size(), &self.path, &checkpoint.root())?;
        Ok(checkpoint)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(INCLUSION_HEADER)?;
        if let Some(extra) = &self.extra {
            writeln!(formatter, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        write_rest(formatter, &self.path, &self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = ProofTextError;

    fn from_str(text: &str) -> Result<Self, ProofTextError> {
        let (head, checkpoint) = parse_rest(text)?;
        let mut lines = head.strip_prefix(INCLUSION_HEADER).ok_or(ProofTextError::Form("another header"))?.lines();
        let mut line = lines.next();
        let mut extra = None;
        if let Some(base64) = line.and_then(|line| line.strip_prefix("extra ")) {
            extra = Some(STANDARD.decode(base64).map_err(|_| ProofTextError::Form("extra is not Base64"))?);
            line = lines.next();
        }
        let index = line.and_then(|line| line.strip_prefix("index ")).and_then(parse_decimal);
        let index = index.ok_or(ProofTextError::Form("the index is no decimal number"))?;
        Ok(Self { extra, index, path: parse_path(lines)?, checkpoint })
    }
}

/// That the log only grew between two checkpoints: the body of C2SP tlog-witness's `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size of the older tree.
    pub old_size: u64,
    /// Hashes as of RFC 6962 section 2.1.2.
    pub path: Vec<Hash>,
    /// The newer signed checkpoint, as the log published it.
    pub checkpoint: String,
}

impl ConsistencyProof {
    /// Checks that the log of `key` goes on from `old`, which the checker has and believes, and answers the newer checkpoint.
    ///
    /// # Errors
    ///
    /// Every [`ProofTextError`]; [`ProofTextError::Form`] where the proof is from another size than `old`'s.
    pub fn verify(&self, old: &Checkpoint, key: &VerifierKey) -> Result<Checkpoint, ProofTextError> {
        if old.size() != self.old_size {
            return Err(ProofTextError::Form("it is from another size than the older checkpoint's"));
        }
        let new = Checkpoint::open(&self.checkpoint, key.name(), key)?;
        verify_consistency(old.size(), &old.root(), new.size(), &new.root(), &self.path)?;
        Ok(new)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old_size)?;
        write_rest(formatter, &self.path, &self.checkpoint)
    }
}

impl FromStr for ConsistencyProof {
    type Err = ProofTextError;

    fn from_str(text: &str) -> Result<Self, ProofTextError> {
        let (head, checkpoint) = parse_rest(text)?;
        let mut lines = head.lines();
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_decimal);
        let old_size = old.ok_or(ProofTextError::Form("the old size is no decimal number"))?;
        Ok(Self { old_size, path: parse_path(lines)?, checkpoint })
    }
}

fn write_rest(formatter: &mut fmt::Formatter<'_>, path: &[Hash], checkpoint: &str) -> fmt::Result {
    for hash in path {
        writeln!(formatter, "{hash}")?;
    }
    write!(formatter, "\n{checkpoint}")
}

/// Parts a proof text at its first empty line.
fn parse_rest(text: &str) -> Result<(&str, String), ProofTextError> {
    if text.len() > MAX_PROOF_BYTES {
        return Err(ProofTextError::Form("too long"));
    }
    // `lines` would take a carriage return for part of the line's end, and the format has one spelling.
    if text.contains('\r') {
        return Err(ProofTextError::Form("a carriage return"));
    }
    let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofTextError::Form("no empty line"))?;
    Ok((head, checkpoint.to_owned()))
}

fn parse_path<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, ProofTextError> {
    let path: Result<Vec<Hash>, _> = lines.take(MAX_PROOF_HASHES + 1).map(str::parse).collect();
    let path = path.map_err(|_| ProofTextError::Form("a line is no hash"))?;
    if path.len() > MAX_PROOF_HASHES { Err(ProofTextError::Form("too many hashes")) } else { Ok(path) }
}
