//! What a backend of the log does: nothing but reading and writing rows. Every decision is made above it, once, in
//! [`crate::decide`], so that three backends cannot drift in what they allow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tickiz_domain::{
    ids::PersonId,
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};
use uuid::Uuid;

use crate::record::{Attachment, LeafHash, NewReceipt, Position, Receipt, Recorded, Sequence, StoreError};

/// The last of the log, and the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last position; 0 in an empty log.
    pub position: Position,
    /// The last recorded time.
    pub recorded_at: DateTime<Utc>,
    /// The store's clock now.
    pub now: DateTime<Utc>,
}

/// One row of the claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// The resource's text.
    pub resource: String,
    /// The holder's text; `None` for a counter.
    pub holder: Option<String>,
    /// What is used of a counter.
    pub used: i64,
    /// A counter's limit.
    pub limit: i64,
    /// The position of the domain event that changed it last; for a unique resource, of its taking.
    pub fence: Position,
}

/// A receipt's name: who asks, for what, under which key. The same names stand in [`NewReceipt`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptKey {
    /// Who asked.
    pub scope: String,
    /// Which command.
    pub operation: String,
    /// His key.
    pub key: String,
}

impl From<&NewReceipt> for ReceiptKey {
    fn from(receipt: &NewReceipt) -> Self {
        Self { scope: receipt.scope.clone(), operation: receipt.operation.to_owned(), key: receipt.key.clone() }
    }
}

/// What a batch has to know before it can be decided.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Streams whose last sequence is asked for.
    pub streams: BTreeSet<StreamId>,
    /// Resources whose rows are asked for.
    pub resources: BTreeSet<String>,
    /// Receipts that may exist.
    pub receipts: BTreeSet<ReceiptKey>,
    /// Lookups of people who may have a data key.
    pub people: BTreeSet<[u8; 32]>,
}

/// What the store knows of it. What is missing does not exist.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The last sequence of each stream.
    pub sequences: BTreeMap<StreamId, Sequence>,
    /// The rows of the resources.
    pub claims: BTreeMap<String, ClaimRow>,
    /// The receipts.
    pub receipts: BTreeMap<ReceiptKey, Receipt>,
    /// Those of the lookups that find a person.
    pub people: BTreeSet<[u8; 32]>,
}

/// A resource's row before and after a batch: only the net change is written, and only onto `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimWrite {
    /// The row that was read under the lock; `None`: there was none.
    pub before: Option<ClaimRow>,
    /// The row that is to stand; `None`: none.
    pub after: Option<ClaimRow>,
}

/// Everything that a batch writes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// In order, positions contiguous.
    pub events: Vec<Arc<Recorded>>,
    /// In the order of their resources.
    pub claims: Vec<ClaimWrite>,
    /// New timers.
    pub timers: Vec<Timer>,
    /// New receipts.
    pub receipts: Vec<(ReceiptKey, Receipt)>,
    /// New attachments; one that is there already stays.
    pub attachments: Vec<Attachment>,
    /// Data keys of people who are new.
    pub people: Vec<WantedKey>,
    /// Data keys to delete.
    pub erased: Vec<PersonId>,
    /// The recorded time of this batch.
    pub recorded_at: Option<DateTime<Utc>>,
}

impl Writes {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.receipts.is_empty()
    }
}

/// Why a COMMIT did not answer yes.
#[derive(Debug)]
pub enum CommitError {
    /// It is certain that nothing was written.
    RolledBack(StoreError),
    /// The connection died with the answer on its way: nobody knows.
    Unknown(StoreError),
}

/// The append's transaction. It holds the head row's lock from its beginning to its end.
#[async_trait]
pub trait AppendTransaction: Send {
    /// The head as it stands under the lock.
    fn head(&self) -> Head;
    /// Reads, under the lock.
    async fn load(&mut self, needs: &Needs) -> Result<Loaded, StoreError>;
    /// Writes. Row counts are asserted: a count that differs is an error, and the transaction is lost.
    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError>;
    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<(), CommitError>;
    /// Gives the lock back without writing anything.
    async fn rollback(self: Box<Self>);
}

/// Which domain events an auditor wants to see.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// After this position.
    pub after: Position,
    /// Only streams of this type.
    pub stream_type: Option<StreamType>,
    /// Only the stream of this id.
    pub stream_id: Option<Uuid>,
    /// Only these types; empty: all.
    pub event_types: Vec<String>,
    /// Only what was recorded at or after this.
    pub since: Option<DateTime<Utc>>,
    /// Only what was recorded before this.
    pub until: Option<DateTime<Utc>>,
}

/// A timer under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedTimer {
    /// Its row.
    pub timer_id: Uuid,
    /// What it is for.
    pub timer: Timer,
    /// How often it was leased, this time included.
    pub attempts: i64,
    /// Proves the lease; only its owner may finish or reschedule it.
    pub lease_token: Uuid,
}

/// Everything that stands beside the log, as it was at one position of it.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The log's head.
    pub head: Position,
    /// Every claim, ordered by resource.
    pub claims: Vec<ClaimRow>,
    /// Every receipt, in no order.
    pub receipts: Vec<(ReceiptKey, Receipt)>,
    /// Every timer that is not finished, in no order.
    pub timers: Vec<Timer>,
}

/// A data key that is to be found, or made: what it is found by, and what is stored where there is none.
pub type WantedKey = ([u8; 32], PersonKey);

/// A person's wrapped data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    /// Whose it is.
    pub person_id: PersonId,
    /// The data key, wrapped with the master key.
    pub wrapped: Vec<u8>,
}

/// A snapshot of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The sequence that is in it.
    pub sequence: Sequence,
    /// The position that is in it.
    pub position: Position,
    /// The shape of `state`.
    pub format: i32,
    /// The folded state. JSON.
    pub state: Vec<u8>,
}

/// A backend.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Begins the append's transaction: locks the head row, waiting for whoever holds it.
    async fn begin(&self) -> Result<Box<dyn AppendTransaction>, StoreError>;
    /// Keeps the writer's session alive while nothing is appended.
    async fn ping(&self) -> Result<(), StoreError>;
    /// The readers' connections: how many there are, and how many of them are idle. `None` where there are none.
    fn connections(&self) -> Option<(u32, usize)> {
        None
    }
    /// The head and the store's clock, without a lock.
    async fn head(&self) -> Result<Head, StoreError>;
    /// Everything that stands beside the log, at one position of it.
    async fn evidence(&self) -> Result<Evidence, StoreError>;
    /// At most `limit` domain events after that position, in order.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// The same, filtered, and up to that position.
    async fn query(&self, filter: &LogFilter, up_to: Position, limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// A stream's domain events after that sequence, in order.
    async fn read_stream(&self, stream: StreamId, after: Sequence, limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// The same of several streams, each after a sequence of its own, at most `limit` of them all, in no order. Few hundreds of streams
    /// at once.
    async fn read_streams(&self, after: &[(StreamId, Sequence)], limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// Those of these receipts that there are, by one look. Few hundreds at once.
    async fn receipts(&self, names: &BTreeSet<ReceiptKey>) -> Result<BTreeMap<ReceiptKey, Receipt>, StoreError>;
    /// The claims whose resource begins with `prefix`, in the order of their bytes.
    async fn claims(&self, prefix: &str) -> Result<Vec<ClaimRow>, StoreError>;
    /// The attachment of that hash.
    async fn attachment(&self, hash: &LeafHash) -> Result<Option<Vec<u8>>, StoreError>;
    /// Due timers of these kinds whose lease is free or ran out, by the store's clock, leased for `lease_ms`.
    async fn lease_timers(
        &self,
        kinds: &[TimerKind],
        token: Uuid,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<LeasedTimer>, StoreError>;
    /// One timer of each kind and subject, due or not, if its lease is free. Each is wanted once; few hundreds at once.
    async fn lease_timers_of(
        &self,
        wanted: &[(TimerKind, Uuid)],
        token: Uuid,
        lease_ms: i64,
    ) -> Result<Vec<LeasedTimer>, StoreError>;
    /// Deletes a timer that is done. Compare-and-delete by its lease; whether it was there.
    async fn finish_timer(&self, timer: &LeasedTimer) -> Result<bool, StoreError>;
    /// The same of many, in a few statements; how many were there.
    async fn finish_timers(&self, timers: &[LeasedTimer]) -> Result<usize, StoreError>;
    /// Gives a lease back, due again at `due_at`. Compare-and-set by its lease; whether it was there.
    async fn reschedule_timer(&self, timer: &LeasedTimer, due_at: DateTime<Utc>) -> Result<bool, StoreError>;
    /// For each of these the data key found by its lookup, or the fresh one stored under it; in one transaction, in their order.
    async fn person_keys_or(&self, wanted: &[WantedKey]) -> Result<Vec<PersonKey>, StoreError>;
    /// The person found by `lookup`.
    async fn person_by(&self, lookup: &[u8; 32]) -> Result<Option<PersonId>, StoreError>;
    /// A person's data key; `None` once he was erased.
    async fn person_key(&self, person: PersonId) -> Result<Option<PersonKey>, StoreError>;
    /// What the store keeps under that name beside its tables of people, or `fresh` kept there. Not in their transactions.
    async fn kept_or(&self, name: &'static str, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError>;
    /// The newest snapshot of a stream.
    async fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError>;
    /// Keeps a snapshot, unless a newer one is there.
    async fn save_snapshot(&self, stream: StreamId, snapshot: &Snapshot) -> Result<(), StoreError>;
    /// The server's version, for the run that proves what was tested.
    async fn server_version(&self) -> Result<String, StoreError>;
}
