//! What a backend of the log does: nothing but reading and writing rows. Every decision is made above it, once, in
//! [`crate::decide`], so that three backends cannot drift in what they allow.

use std::{
    collections::{BTreeSet, HashMap},
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

pub use crate::claims::ClaimRow;
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

/// A receipt's name.
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
}

/// What the store knows of it. What is missing does not exist.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The last sequence of each stream.
    pub sequences: HashMap<StreamId, Sequence>,
    /// The rows of the resources.
    pub claims: HashMap<String, ClaimRow>,
    /// The receipts.
    pub receipts: HashMap<ReceiptKey, Receipt>,
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
    /// New timers; one that is there already stays.
    pub timers: Vec<Timer>,
    /// New receipts.
    pub receipts: Vec<(ReceiptKey, Receipt)>,
    /// New attachments; one that is there already stays.
    pub attachments: Vec<Attachment>,
    /// Data keys to delete.
    pub erased: Vec<PersonId>,
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

/// A transaction that has the head row's lock, and what was read under it.
pub struct Begun {
    /// The head as it stands under the lock.
    pub head: Head,
    /// What was asked for.
    pub loaded: Loaded,
    /// To go on with. Dropped without an end, it writes nothing.
    pub transaction: Box<dyn AppendTransaction>,
}

/// The append's transaction. It holds the head row's lock from its beginning to its end.
#[async_trait]
pub trait AppendTransaction: Send {
    /// Writes. Row counts are asserted: a count that differs is an error, and the transaction is lost.
    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError>;
    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<(), CommitError>;
    /// Gives the lock back without writing anything.
    async fn rollback(self: Box<Self>);
}

/// The append's side of a store. One transaction at a time: the store has one session for it.
#[async_trait]
pub trait AppendStore: Send + Sync + 'static {
    /// Begins the append's transaction: locks the head row, waiting for whoever holds it, and only then reads the head, the
    /// clock and what is needed.
    async fn begin(&self, needs: &Needs) -> Result<Begun, StoreError>;
    /// Keeps the writer's session alive while nothing is appended.
    async fn ping(&self) -> Result<(), StoreError>;
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

/// What can be read without a lock.
#[async_trait]
pub trait ReadStore: Send + Sync + 'static {
    /// The head and the store's clock.
    async fn head(&self) -> Result<Head, StoreError>;
    /// At most `limit` domain events after that position, in order.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// At most `limit` domain events after that position and up to another, filtered by stream and type, in order. The
    /// filter's times and position are not looked at.
    async fn query(
        &self,
        filter: &LogFilter,
        after: Position,
        to: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError>;
    /// When the domain event at that position was recorded.
    async fn recorded_at(&self, position: Position) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// A stream's domain events after that sequence, in order.
    async fn read_stream(&self, stream: StreamId, after: Sequence, limit: usize) -> Result<Vec<Recorded>, StoreError>;
    /// One receipt.
    async fn receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError>;
    /// All receipts, for `verify`.
    async fn receipts(&self) -> Result<Vec<(ReceiptKey, Receipt)>, StoreError>;
    /// One claim.
    async fn claim(&self, resource: &str) -> Result<Option<ClaimRow>, StoreError>;
    /// At most `limit` claims whose resource begins with `prefix` and comes after `after`, in the order of their bytes.
    async fn claims(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<ClaimRow>, StoreError>;
    /// The attachment of that hash.
    async fn attachment(&self, hash: &LeafHash) -> Result<Option<Vec<u8>>, StoreError>;
    /// The server's version, for the run that proves what was tested.
    async fn server_version(&self) -> Result<String, StoreError>;
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
    /// Proof of the lease.
    pub lease_token: Uuid,
}

/// A timer's row: the same domain event always sets the same one.
#[must_use]
pub fn timer_id(timer: &Timer) -> Uuid {
    let name =
        format!("{}/{}/{}/{}", timer.kind.as_str(), timer.stream, timer.subject, timer.due_at.timestamp_micros());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// Timers and their leases. Due, and the end of a lease, are judged by the store's clock.
#[async_trait]
pub trait TimerStore: Send + Sync + 'static {
    /// Due timers of these kinds whose lease is free or ran out, leased for `lease_ms`.
    async fn lease_timers(
        &self,
        kinds: &[TimerKind],
        token: Uuid,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<LeasedTimer>, StoreError>;
    /// The earliest timer of that kind and subject, due or not, if its lease is free.
    async fn lease_timer(
        &self,
        kind: TimerKind,
        subject: Uuid,
        token: Uuid,
        lease_ms: i64,
    ) -> Result<Option<LeasedTimer>, StoreError>;
    /// Deletes a timer that is done. Compare-and-delete by its lease; whether it was there.
    async fn finish_timer(&self, timer: &LeasedTimer) -> Result<bool, StoreError>;
    /// Gives a lease back, due again at `due_at`. Compare-and-set by its lease; whether it was there.
    async fn reschedule_timer(&self, timer: &LeasedTimer, due_at: DateTime<Utc>) -> Result<bool, StoreError>;
}

/// A person's wrapped data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    /// Whose it is.
    pub person_id: PersonId,
    /// The data key, wrapped with the master key.
    pub wrapped: Vec<u8>,
}

/// Data keys of persons. Only an append deletes one.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The data key found by `lookup`, or `fresh` stored under it.
    async fn person_key_or(&self, lookup: &[u8; 32], fresh: &PersonKey) -> Result<PersonKey, StoreError>;
    /// The data key found by `lookup`.
    async fn person_key_by(&self, lookup: &[u8; 32]) -> Result<Option<PersonKey>, StoreError>;
    /// A person's data key; `None` once he was erased.
    async fn person_key(&self, person: PersonId) -> Result<Option<PersonKey>, StoreError>;
    /// What stands in the store's keyring under that name, or `fresh` put there.
    async fn keyring_or(&self, name: &str, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError>;
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

/// Snapshots: one a stream, and any of them may be lost.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// The newest snapshot of a stream.
    async fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError>;
    /// Keeps a snapshot, unless a newer one of the same format is there.
    async fn save_snapshot(&self, stream: StreamId, snapshot: &Snapshot) -> Result<(), StoreError>;
}

/// A backend.
pub trait LogStore: AppendStore + ReadStore + TimerStore + KeyStore + SnapshotStore {}

impl<S: AppendStore + ReadStore + TimerStore + KeyStore + SnapshotStore> LogStore for S {}
