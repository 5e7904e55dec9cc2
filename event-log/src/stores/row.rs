//! What the SQL backends share: names of timers, sizes of statements, rows as they come back.

use tickiz_domain::{
    ids::OrganizerId,
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};
use uuid::Uuid;

use crate::{
    record::{Recorded, StoreError},
    runtime::from_micros,
};

/// Rows in one multi-row statement. A statement's text depends on its number of rows and each text is prepared once a
/// connection, so a batch is cut into these sizes and what is left below the smallest is sent as it is: a batch of an ordinary busy
/// moment is one statement a table, and each statement less is a round trip under the head's lock less.
const STATEMENT_ROWS: [usize; 3] = [128, 64, 32];

/// A timer's row: the same domain event always sets the same one.
pub(super) fn timer_id(timer: &Timer) -> Uuid {
    let name =
        format!("{}/{}/{}/{}", timer.kind.as_str(), timer.stream, timer.subject, timer.due_at.timestamp_micros());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// `rows` in pieces of few different sizes.
pub(super) fn pieces<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    for size in STATEMENT_ROWS {
        while rows.len() >= size {
            let (piece, rest) = rows.split_at(size);
            pieces.push(piece);
            rows = rest;
        }
    }
    if !rows.is_empty() {
        pieces.push(rows);
    }
    pieces
}

/// How many placeholders an `IN` list of so many values gets: the next power of two, the last value repeated.
pub(super) fn padded<T: Clone>(values: &[T]) -> Vec<T> {
    let mut padded = values.to_vec();
    if let Some(last) = values.last() {
        padded.resize(values.len().next_power_of_two(), last.clone());
    }
    padded
}

/// The smallest text greater than every text that begins with `prefix`; `None` where there is none.
pub(super) fn after_prefix(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    while let Some(last) = bytes.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(bytes);
        }
        bytes.pop();
    }
    None
}

/// A row of `events`: shard, position, recorded time in microseconds, organiser, stream type, stream id, sequence, type, version,
/// payload, metadata, leaf hash.
pub(super) type EventRow = (i32, i64, i64, Option<String>, String, String, i64, String, i32, Vec<u8>, Vec<u8>, Vec<u8>);

pub(super) fn broken(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError(format!("{what}: {error}").into())
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| broken("a stored hash", "it does not have 32 bytes"))
}

pub(super) fn text(bytes: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|error| broken("a stored text", error))
}

pub(super) fn stream_of(kind: &str, id: &str) -> Result<StreamId, StoreError> {
    let stream_type: StreamType = kind.parse().map_err(|error| broken("a stored stream type", error))?;
    Ok(StreamId::new(stream_type, Uuid::parse_str(id).map_err(|error| broken("a stored stream id", error))?))
}

pub(super) fn timer_kind(text: &str) -> Result<TimerKind, StoreError> {
    TimerKind::parse(text).ok_or_else(|| broken("a stored timer", format!("unknown kind {text:?}")))
}

pub(super) fn recorded(row: EventRow) -> Result<Recorded, StoreError> {
    let (shard, position, micros, organizer, kind, id, sequence, event_type, event_version, payload, metadata, leaf) =
        row;
    let organizer = organizer.map(|id| id.parse::<OrganizerId>()).transpose();
    Ok(Recorded {
        shard,
        position,
        recorded_at: from_micros(micros),
        organizer_id: organizer.map_err(|error| broken("a stored organizer id", error))?,
        stream: stream_of(&kind, &id)?,
        sequence,
        event_type,
        event_version,
        payload: payload.into(),
        metadata: serde_json::from_slice(&metadata).map_err(|error| broken("stored metadata", error))?,
        leaf_hash: hash(leaf)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_and_of_few_sizes() {
        let rows: Vec<u32> = (0..5000).collect();
        for length in [0, 1, 31, 32, 33, 127, 128, 255, 256, 1000, 5000] {
            let pieces = pieces(&rows[..length]);
            assert_eq!(pieces.concat(), &rows[..length]);
            assert!(pieces.iter().all(|piece| piece.len() < 32 || STATEMENT_ROWS.contains(&piece.len())));
        }
    }

    #[test]
    fn the_text_after_a_prefix_is_after_all_that_begin_with_it() {
        assert_eq!(after_prefix("seat/"), Some(b"seat0".to_vec()));
        assert_eq!(after_prefix(""), None);
    }
}
