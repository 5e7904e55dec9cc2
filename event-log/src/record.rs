//! What the log holds: recorded domain events, and what an append asks for.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tickiz_domain::{
    claim::{ClaimChange, Resource},
    ids::{EventId, OrganizerId, PersonId},
    stored::{DecodeError, StoredEvent},
    stream::StreamId,
    timer::Timer,
};
use uuid::Uuid;

use crate::store::WantedKey;

/// The one shard of today. It is in every key and checkpoint from the start, chosen by the show's id once there are more.
pub const SHARD: i32 = 0;

/// A place in the log of a shard: gap-free, from 1, in commit order. 0 stands before the first.
pub type Position = i64;

/// A place in a stream: gap-free, from 1. 0 stands before the first, and for a stream that does not exist yet.
pub type Sequence = i64;

/// SHA-256 over everything that a recorded domain event says; a leaf of the auditors' Merkle tree.
pub type LeafHash = [u8; 32];

/// Where a domain event came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The command that decided it. All domain events of one append share it, and no other append has it.
    pub command_id: Uuid,
    /// What caused the command: a webhook, a timer, another domain event's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The request at the door that it all goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// Who: `buyer`, `organizer:<id>`, `system:<process manager>`. Never a person's name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The show that it is about: shard and Kafka key come from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_id: Option<EventId>,
}

/// One domain event as the log holds it. Immutable; `payload` is what was written, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The shard.
    pub shard: i32,
    /// Its place in the shard's log.
    pub position: Position,
    /// The store's clock at the append, in microseconds, never smaller than the one before.
    pub recorded_at: DateTime<Utc>,
    /// The tenant, where there is one.
    pub organizer_id: Option<OrganizerId>,
    /// The aggregate.
    pub stream: StreamId,
    /// Its place in the stream.
    pub sequence: Sequence,
    /// The stored type name.
    pub event_type: String,
    /// The stored version.
    pub event_version: i32,
    /// The JSON document.
    pub payload: Arc<[u8]>,
    /// Where it came from.
    pub metadata: Metadata,
    /// The hash over all of this.
    pub leaf_hash: LeafHash,
}

impl Recorded {
    /// The domain event, lifted to this program's version of its shape.
    ///
    /// # Errors
    /// When type or version is unknown or the document is not of its shape.
    pub fn decode<E: StoredEvent>(&self) -> Result<E, DecodeError> {
        E::decode(&self.event_type, self.event_version, &self.payload)
    }
}

/// A domain event on its way into the log. Can only be made from a [`StoredEvent`], so that its claims and timers cannot be
/// forgotten.
#[derive(Clone)]
pub struct NewEvent {
    pub(crate) event_type: &'static str,
    pub(crate) event_version: i32,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) claims: Vec<ClaimChange>,
    pub(crate) timers: Arc<dyn Fn(DateTime<Utc>) -> Vec<Timer> + Send + Sync>,
    pub(crate) erases: Option<PersonId>,
}

impl NewEvent {
    /// How long its document is, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// What `event`, appended to the stream of that id, writes.
    #[must_use]
    pub fn of<E: StoredEvent>(event: &E, stream: Uuid) -> Self {
        let timed = event.clone();
        let erases = (E::STREAM_TYPE == tickiz_domain::stream::StreamType::Person
            && event.type_name() == "PersonErased")
            .then_some(PersonId(stream));
        Self {
            event_type: event.type_name(),
            event_version: event.version(),
            payload: event.payload().into(),
            claims: event.claims(stream),
            timers: Arc::new(move |recorded_at| timed.timers(stream, recorded_at)),
            erases,
        }
    }
}

impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("event_type", &self.event_type)
            .field("claims", &self.claims.len())
            .finish_non_exhaustive()
    }
}

/// New domain events of one stream.
#[derive(Clone, Debug)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The sequence that the decision was made on; the first new domain event gets the next one.
    pub expected: Sequence,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// What makes a repeated command an answered one. Written by the append's own transaction; a refusal leaves none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// Who asks: the caller, or show and address of a buyer without an account. At most 200 bytes.
    pub scope: String,
    /// Which command, such as `placeBooking`.
    pub operation: &'static str,
    /// The caller's key, 1 to 200 characters.
    pub key: String,
    /// SHA-256 of what is compared of the request.
    pub request_hash: [u8; 32],
    /// What the repetition is answered from: ids, not state. JSON.
    pub result: Vec<u8>,
}

/// A receipt as it stands in the log's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 of what is compared of the request.
    pub request_hash: [u8; 32],
    /// The first position of the append; 0 where the command changed nothing.
    pub first_position: Position,
    /// The last position of the append; 0 where the command changed nothing.
    pub last_position: Position,
    /// What the repetition is answered from. JSON.
    pub result: Vec<u8>,
}

/// Immutable bytes that belong to the log but are too big for a domain event (a seating plan), named by their hash, which
/// the domain event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// One atomic append: all of it or none.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// Where it comes from; `command_id` must be new for each attempt to append, and not nil.
    pub metadata: Metadata,
    /// The tenant, where there is one.
    pub organizer_id: Option<OrganizerId>,
    /// The streams that grow, each at most once.
    pub streams: Vec<StreamAppend>,
    /// Every other stream that the decision read, with the sequence read.
    pub reads: Vec<(StreamId, Sequence)>,
    /// What makes a repetition an answered one.
    pub receipt: Option<NewReceipt>,
    /// What the domain events name by hash.
    pub attachments: Vec<Attachment>,
    /// The data key of a person whom the domain events are sealed for, and who is new; [`AppendError::PersonKnown`] if he is not.
    pub new_person: Option<WantedKey>,
}

impl Append {
    /// What it holds in memory, roughly: the bytes of its payloads and attachments.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payloads = self.streams.iter().flat_map(|stream| &stream.events).map(|event| event.payload.len());
        payloads.chain(self.attachments.iter().map(|attachment| attachment.bytes.len())).sum()
    }
}

/// What an append became.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Its domain events as recorded, in order; empty where only a receipt was written.
    pub events: Vec<Arc<Recorded>>,
    /// The last position; 0 where only a receipt was written.
    pub position: Position,
}

/// A claim that was lost, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostClaim {
    /// The resource.
    pub resource: Resource,
    /// Why.
    pub reason: LostReason,
}

/// Why a claim was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// A unique resource has this holder already (`booking/<id>`, `block/<event>` …).
    Taken {
        /// The holder's text.
        holder: String,
    },
    /// A unique resource is not held by the one who gives it back.
    NotHeld,
    /// A counter has no room for that amount, or its new limit lies below what is used.
    Exhausted {
        /// What is used.
        used: i64,
        /// The limit.
        limit: i64,
    },
}

/// Why an append was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream that grows, or a named read, has moved since the decision. Decide again.
    #[error("{stream} stands at {actual}, the decision was made at {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The sequence of the decision.
        expected: Sequence,
        /// The sequence it has.
        actual: Sequence,
    },
    /// Claims were lost. A domain error: nothing to retry.
    #[error("{} claims were lost", .0.len())]
    ClaimsLost(Vec<LostClaim>),
    /// The same scope, operation and key succeeded before; compare its hash and answer from it.
    #[error("the command has a receipt already")]
    Answered(Box<Receipt>),
    /// The person for whom it brings a new data key has one already. Seal with that one, and decide again.
    #[error("the person has a data key already")]
    PersonKnown,
    /// The queue is full. Nothing was written; try again after the hint.
    #[error("the log's queue is full")]
    Overloaded {
        /// A hint for the caller, in milliseconds.
        retry_after_ms: u64,
    },
    /// The append is over a limit, or breaks the log's own rules. A fault of the program.
    #[error("the append is malformed: {0}")]
    Malformed(String),
    /// The store failed, and it is certain that nothing was written.
    #[error("the log's store failed: {0}")]
    Store(#[from] StoreError),
    /// The connection died with COMMIT's answer on its way, and the store could not be asked since. It may be written or not;
    /// the receipt tells, once the store is back.
    #[error("nobody knows yet whether the append was written: {0}")]
    OutcomeUnknown(StoreError),
    /// The log is shutting down; nothing was written.
    #[error("the log is shutting down")]
    Closed,
}

/// The log's store failed: connection, I/O, or a broken invariant of what is stored.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub Arc<str>);

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string().into())
    }
}
