//! What a directory claims to be, and which failures are the log's.

use crate::checkpoint::{Checkpoint, CheckpointError, MAX_NOTE_BYTES, Note, VerifierKey};
use crate::tiles::{CHECKPOINT_PATH, ReadError, Resources, read};

use super::finding::Finding;
use super::report::Report;

/// A checkpoint and its text, or why it must not be believed.
type Signed = Result<(Checkpoint, String), CheckpointError>;

/// The checkpoint, if there is one, believed: form, signature, and the key's name as origin.
pub(crate) fn signed_checkpoint<R: Resources>(resources: &R, key: &VerifierKey) -> Result<Option<Signed>, ReadError> {
    let Some(bytes) = read(resources, CHECKPOINT_PATH, MAX_NOTE_BYTES)? else { return Ok(None) };
    let Ok(note) = String::from_utf8(bytes) else {
        return Ok(Some(Err(CheckpointError::Form("it is not UTF-8"))));
    };
    Ok(Some(Checkpoint::open(&note, key.name(), key).map(|checkpoint| (checkpoint, note))))
}

/// The checkpoint as far as it can be read. One that must not be believed is noted, and still says what the directory claims to be.
pub(super) fn claimed_checkpoint<R: Resources>(
    resources: &R,
    key: &VerifierKey,
    report: &mut Report,
) -> Result<Option<Checkpoint>, ReadError> {
    let reason = match tolerate(signed_checkpoint(resources, key))? {
        Ok(Some(Ok((checkpoint, _)))) => return Ok(Some(checkpoint)),
        Ok(None) => {
            report.note(Finding::CheckpointMissing);
            return Ok(None);
        }
        Ok(Some(Err(error))) => error.to_string(),
        Err(error) => error.to_string(),
    };
    report.note(Finding::Checkpoint { reason });
    let bytes = tolerate(read(resources, CHECKPOINT_PATH, MAX_NOTE_BYTES))?.ok().flatten().unwrap_or_default();
    let note = str::from_utf8(&bytes).ok().and_then(|note| Note::parse(note).ok());
    Ok(note.and_then(|note| Checkpoint::parse_body(note.text()).ok()))
}

/// Parts what is the log's fault (inside) from what is not, a disk or a permission (outside).
pub(super) fn tolerate<T>(result: Result<T, ReadError>) -> Result<Result<T, ReadError>, ReadError> {
    match result {
        Err(error @ ReadError::Io { .. }) => Err(error),
        result => Ok(result),
    }
}
