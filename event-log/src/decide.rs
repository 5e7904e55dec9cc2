//! The decision: which appends of a batch survive, and what they write. Pure; the three backends share it.
//!
//! # Why it is correct
//! Everything in [`Loaded`] was read while the head row was locked, and the lock is kept until COMMIT, so nothing here can be
//! stale. The appends are decided one after the other in queue order, each against what the ones before it made of the world,
//! exactly as if each had had a transaction of its own: a refused append leaves no trace in the overlay. Only the net change of
//! a resource is written, so an expiry and a new hold of the same seat may meet in one batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use tickiz_domain::{
    claim::{ClaimChange, MAX_RESOURCE_BYTES},
    stream::StreamId,
};

use crate::{
    leaf::{leaf_hash, metadata_json},
    record::{
        Append, AppendError, Appended, Attachment, LostClaim, LostReason, NewReceipt, Position, Receipt, Recorded,
        SHARD, Sequence,
    },
    store::{ClaimRow, ClaimWrite, Head, Loaded, Needs, ReceiptKey, Writes},
};

/// What a batch became.
#[derive(Debug, Default)]
pub struct Decision {
    /// One an append, in queue order.
    pub outcomes: Vec<Result<Appended, AppendError>>,
    /// Everything that the survivors write.
    pub writes: Writes,
}

/// What has to be read before `batch` can be decided.
#[must_use]
pub fn needs(batch: &[&Append]) -> Needs {
    let mut needs = Needs::default();
    for append in batch {
        needs.streams.extend(append.streams.iter().map(|stream| stream.stream));
        needs.streams.extend(append.reads.iter().map(|(stream, _)| *stream));
        needs.receipts.extend(append.receipt.iter().map(ReceiptKey::from));
        needs.people.extend(append.new_person.iter().map(|(lookup, _)| *lookup));
        let events = append.streams.iter().flat_map(|stream| &stream.events);
        needs.resources.extend(events.flat_map(|event| &event.claims).map(|change| change.resource().to_string()));
    }
    needs
}

/// The longest scope of a receipt in bytes: its column.
pub const MAX_SCOPE_BYTES: usize = 200;
/// The longest name of a receipt's operation in bytes: its column.
pub const MAX_OPERATION_BYTES: usize = 32;
/// The longest idempotency key in bytes: 200 characters of UTF-8.
pub const MAX_KEY_BYTES: usize = 800;
/// The longest result of a receipt in bytes: MySQL's BLOB. It holds ids, so it is far shorter.
pub const MAX_RESULT_BYTES: usize = (1 << 16) - 1;
/// The longest metadata in bytes: MySQL's BLOB. It holds ids and a trace context.
pub const MAX_METADATA_BYTES: usize = (1 << 16) - 1;
/// The longest payload of a domain event in bytes. With what is hashed beside it, it fits into an entry of an auditor's tree (65,535
/// bytes by C2SP tlog-tiles), and far into what Kafka takes by default.
pub const MAX_PAYLOAD_BYTES: usize = 64_000;
/// The payloads of one append in bytes. A batch takes its last append on top of what it has, and its domain events go in one
/// statement, which stays below the 16 MiB that MariaDB's `max_allowed_packet` has by default.
pub const MAX_PAYLOADS_BYTES: usize = 8 << 20;
/// The biggest attachment in bytes: a statement of its own, for the same reason.
pub const MAX_ATTACHMENT_BYTES: usize = 15 << 20;

fn check_receipt(receipt: &NewReceipt) -> Result<(), AppendError> {
    let too_long = receipt.scope.len() > MAX_SCOPE_BYTES
        || receipt.operation.len() > MAX_OPERATION_BYTES
        || receipt.key.len() > MAX_KEY_BYTES
        || receipt.result.len() > MAX_RESULT_BYTES;
    if too_long {
        return Err(AppendError::Malformed("a receipt's scope, operation, key or result is too long".to_owned()));
    }
    Ok(())
}

fn check_attachment(attachment: &Attachment) -> Result<(), AppendError> {
    if attachment.bytes.len() > MAX_ATTACHMENT_BYTES {
        return Err(AppendError::Malformed("an attachment is too big".to_owned()));
    }
    if <[u8; 32]>::from(Sha256::digest(&attachment.bytes)) != attachment.hash {
        return Err(AppendError::Malformed("an attachment's hash is not its bytes'".to_owned()));
    }
    Ok(())
}

/// A fault of the program in what it wants to append, found before it is queued: nothing that a store would refuse or, where it
/// is not strict, cut short may get into a batch with the appends of others.
///
/// # Errors
/// [`AppendError::Malformed`], which says what.
pub fn check_shape(append: &Append) -> Result<(), AppendError> {
    let malformed = |what: &str| Err(AppendError::Malformed(what.to_owned()));
    let mut seen = BTreeSet::new();
    for stream in &append.streams {
        if !seen.insert(stream.stream) {
            return malformed("a stream stands in it twice");
        }
        if stream.events.is_empty() {
            return malformed("a stream grows by nothing");
        }
        if stream.expected < 0 {
            return malformed("an expected sequence is negative");
        }
        for change in stream.events.iter().flat_map(|event| &event.claims) {
            if change.resource().to_string().len() > MAX_RESOURCE_BYTES {
                return malformed("a resource's name is too long");
            }
            if matches!(change, ClaimChange::Use { amount, .. } | ClaimChange::Return { amount, .. } if *amount < 1) {
                return malformed("a counter is changed by less than one");
            }
        }
    }
    // By it the writer finds out whether a batch whose COMMIT was not answered is in the log.
    if append.metadata.command_id.is_nil() {
        return malformed("its command has no id");
    }
    if append.streams.is_empty() && append.receipt.is_none() {
        return malformed("there is nothing in it");
    }
    let payloads = || append.streams.iter().flat_map(|stream| &stream.events).map(|event| event.payload.len());
    if payloads().any(|bytes| bytes > MAX_PAYLOAD_BYTES) || payloads().sum::<usize>() > MAX_PAYLOADS_BYTES {
        return malformed("its domain events are too big");
    }
    if metadata_json(&append.metadata).len() > MAX_METADATA_BYTES {
        return malformed("its metadata is too long");
    }
    append.receipt.iter().try_for_each(check_receipt)?;
    append.attachments.iter().try_for_each(check_attachment)
}

/// The world as the batch has made it so far.
struct Overlay<'a> {
    loaded: &'a Loaded,
    sequences: BTreeMap<StreamId, Sequence>,
    claims: BTreeMap<String, Option<ClaimRow>>,
    receipts: BTreeMap<ReceiptKey, Receipt>,
    people: BTreeSet<[u8; 32]>,
    position: Position,
    recorded_at: DateTime<Utc>,
}

impl Overlay<'_> {
    fn sequence(&self, stream: StreamId) -> Sequence {
        self.sequences.get(&stream).or_else(|| self.loaded.sequences.get(&stream)).copied().unwrap_or(0)
    }

    fn receipt(&self, key: &ReceiptKey) -> Option<&Receipt> {
        self.receipts.get(key).or_else(|| self.loaded.receipts.get(key))
    }

    fn check(&self, append: &Append) -> Result<(), AppendError> {
        if let Some(receipt) = append.receipt.as_ref().and_then(|receipt| self.receipt(&receipt.into())) {
            return Err(AppendError::Answered(Box::new(receipt.clone())));
        }
        let named = append.streams.iter().map(|stream| (stream.stream, stream.expected));
        for (stream, expected) in named.chain(append.reads.iter().copied()) {
            let actual = self.sequence(stream);
            if actual != expected {
                return Err(AppendError::Conflict { stream, expected, actual });
            }
        }
        // Last, so that a repetition and a conflict are told as such.
        let known = |lookup| self.people.contains(lookup) || self.loaded.people.contains(lookup);
        if append.new_person.as_ref().is_some_and(|(lookup, _)| known(lookup)) {
            return Err(AppendError::PersonKnown);
        }
        Ok(())
    }

    /// The claims of one append on a layer of their own; merged only when none was lost.
    fn claim(&mut self, append: &Append) -> Result<(), AppendError> {
        let mut layer: BTreeMap<String, Option<ClaimRow>> = BTreeMap::new();
        let mut lost = Vec::new();
        let mut position = self.position;
        for event in append.streams.iter().flat_map(|stream| &stream.events) {
            position += 1;
            for change in &event.claims {
                let key = change.resource().to_string();
                let row = layer
                    .get(&key)
                    .or_else(|| self.claims.get(&key))
                    .cloned()
                    .unwrap_or_else(|| self.loaded.claims.get(&key).cloned());
                match changed(change, &key, row, position) {
                    Ok(row) => {
                        layer.insert(key, row);
                    }
                    Err(reason) => lost.push(LostClaim { resource: change.resource().clone(), reason }),
                }
            }
        }
        if !lost.is_empty() {
            return Err(AppendError::ClaimsLost(lost));
        }
        self.claims.extend(layer);
        Ok(())
    }

    fn record(&mut self, append: &Append, writes: &mut Writes) -> Appended {
        let mut events = Vec::new();
        for stream in &append.streams {
            let mut sequence = stream.expected;
            for event in &stream.events {
                sequence += 1;
                self.position += 1;
                let mut recorded = Recorded {
                    shard: SHARD,
                    position: self.position,
                    recorded_at: self.recorded_at,
                    organizer_id: append.organizer_id,
                    stream: stream.stream,
                    sequence,
                    event_type: event.event_type.to_owned(),
                    event_version: event.event_version,
                    payload: event.payload.clone(),
                    metadata: append.metadata.clone(),
                    leaf_hash: [0; 32],
                };
                recorded.leaf_hash = leaf_hash(&recorded);
                writes.timers.extend((event.timers)(self.recorded_at));
                writes.erased.extend(event.erases);
                events.push(Arc::new(recorded));
            }
            self.sequences.insert(stream.stream, sequence);
        }
        if let Some(receipt) = &append.receipt {
            let first = events.first().map_or(0, |event| event.position);
            let stored = Receipt {
                request_hash: receipt.request_hash,
                first_position: first,
                last_position: if events.is_empty() { 0 } else { self.position },
                result: receipt.result.clone(),
            };
            writes.receipts.push((receipt.into(), stored.clone()));
            self.receipts.insert(receipt.into(), stored);
        }
        if let Some(person) = &append.new_person {
            self.people.insert(person.0);
            writes.people.push(person.clone());
        }
        writes.attachments.extend(append.attachments.iter().cloned());
        writes.events.extend(events.iter().cloned());
        let position = if events.is_empty() { 0 } else { self.position };
        Appended { events, position }
    }
}

/// One change of one row. Counters never sink below zero: giving back more than was used is refused, since it would sell
/// places that are not there.
fn changed(
    change: &ClaimChange,
    key: &str,
    row: Option<ClaimRow>,
    position: Position,
) -> Result<Option<ClaimRow>, LostReason> {
    let counter = |row: &Option<ClaimRow>| row.as_ref().map_or((0, None), |row| (row.used, Some(row.limit)));
    let count =
        |used, limit| Ok(Some(ClaimRow { resource: key.to_owned(), holder: None, used, limit, fence: position }));
    match change {
        ClaimChange::Take { holder, .. } => match row.and_then(|row| row.holder) {
            Some(holder) => Err(LostReason::Taken { holder }),
            None => Ok(Some(ClaimRow {
                resource: key.to_owned(),
                holder: Some(holder.to_string()),
                used: 1,
                limit: 1,
                fence: position,
            })),
        },
        ClaimChange::Release { holder, .. } => match row {
            Some(row) if row.holder.as_deref() == Some(holder.to_string().as_str()) => Ok(None),
            _ => Err(LostReason::NotHeld),
        },
        ClaimChange::SetLimit { limit, .. } => {
            let (used, _) = counter(&row);
            if used > *limit { Err(LostReason::Exhausted { used, limit: *limit }) } else { count(used, *limit) }
        }
        ClaimChange::Use { amount, limit, .. } => {
            let (used, stored) = counter(&row);
            let limit = limit.or(stored).unwrap_or(0);
            match used.checked_add(*amount) {
                Some(sum) if sum <= limit => count(sum, limit),
                _ => Err(LostReason::Exhausted { used, limit }),
            }
        }
        ClaimChange::Return { amount, .. } => {
            let (used, stored) = counter(&row);
            if used < *amount { Err(LostReason::NotHeld) } else { count(used - amount, stored.unwrap_or(0)) }
        }
    }
}

/// Decides a batch in queue order.
#[must_use]
pub fn decide(batch: &[&Append], head: Head, loaded: &Loaded) -> Decision {
    // Microseconds are what every store keeps; a finer clock would make the hash differ from what is read back.
    let now = head.now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(head.now);
    let mut overlay = Overlay {
        loaded,
        sequences: BTreeMap::new(),
        claims: BTreeMap::new(),
        receipts: BTreeMap::new(),
        people: BTreeSet::new(),
        position: head.position,
        recorded_at: now.max(head.recorded_at),
    };
    let mut decision = Decision::default();
    for append in batch {
        let outcome = overlay
            .check(append)
            .and_then(|()| overlay.claim(append))
            .map(|()| overlay.record(append, &mut decision.writes));
        decision.outcomes.push(outcome);
    }
    decision.writes.recorded_at = Some(overlay.recorded_at);
    decision.writes.claims = overlay
        .claims
        .into_iter()
        .map(|(key, after)| ClaimWrite { before: loaded.claims.get(&key).cloned(), after })
        .filter(|write| write.before != write.after)
        .collect();
    decision
}
