//! The handle: what everybody else sees of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tickiz_domain::{
    claim::Resource,
    ids::PersonId,
    person::{PersonDomainEvent, PersonErased},
    stored::StoredEvent,
    stream::StreamId,
    timer::TimerKind,
};
use tickiz_together::Together;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    decide::check_shape,
    feed::Recent,
    metrics::METRICS,
    record::{
        Append, AppendError, Appended, Metadata, NewEvent, Position, Receipt, Recorded, Sequence, StoreError,
        StreamAppend,
    },
    rounds::{DataKeys, Leases, Tails},
    runtime::{Entropy, StoreClock, random_id},
    sealing::{Sealer, Secrets},
    store::{ClaimRow, Evidence, LeasedTimer, LogFilter, LogStore, ReceiptKey},
    writer::{MAX_QUEUED_BYTES, RETRY_AFTER_MS, Waiting},
};

pub(crate) struct Inner {
    pub store: Arc<dyn LogStore>,
    pub queue: mpsc::Sender<Waiting>,
    /// What is left of [`MAX_QUEUED_BYTES`].
    pub room: Arc<Semaphore>,
    pub recent: Arc<Recent>,
    pub head: Arc<watch::Sender<Position>>,
    pub clock: StoreClock,
    pub entropy: Arc<dyn Entropy>,
    pub secrets: Secrets,
    pub keys: Together<DataKeys>,
    pub tails: Together<Tails>,
    pub leases: Together<Leases>,
    pub background: TaskTracker,
}

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct EventLog(pub(crate) Arc<Inner>);

impl EventLog {
    /// Appends, all of it or none, and waits until it is durable.
    ///
    /// # Errors
    /// Why not; [`AppendError`] says which may be tried again.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let outcome = self.queue(append).await;
        METRICS.outcome(&outcome);
        outcome
    }

    /// How many appends wait for the writer, and how many may.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        let most = self.0.queue.max_capacity();
        (most - self.0.queue.capacity(), most)
    }

    /// The readers' connections: how many there are, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> Option<(u32, usize)> {
        self.0.store.connections()
    }

    async fn queue(&self, append: Append) -> Result<Appended, AppendError> {
        check_shape(&append)?;
        let overloaded = AppendError::Overloaded { retry_after_ms: RETRY_AFTER_MS };
        // One that is bigger than all of the room waits alone.
        let bytes = u32::try_from(append.bytes().min(MAX_QUEUED_BYTES)).expect("the room is counted in 32 bits");
        let Ok(room) = self.0.room.clone().try_acquire_many_owned(bytes) else { return Err(overloaded) };
        let (answer, answered) = oneshot::channel();
        self.0.queue.try_send(Waiting { append, answer, room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::Closed,
        })?;
        answered.await.unwrap_or(Err(AppendError::Closed))
    }

    /// At most `limit` domain events after that position, in order and without a gap.
    ///
    /// # Errors
    /// When the store fails. A gap in the log itself is an error too: nobody may read past it.
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        if let Some(recent) = self.0.recent.after(after, limit) {
            return Ok(recent);
        }
        let events: Vec<Arc<Recorded>> = self.0.store.read(after, limit).await?.into_iter().map(Arc::new).collect();
        let mut before = after;
        for event in &events {
            if event.position - 1 != before {
                let what = format!("the log has a gap: {} was to come, {} is there", before + 1, event.position);
                return Err(StoreError(what.into()));
            }
            before = event.position;
        }
        self.0.recent.push(&events);
        Ok(events)
    }

    /// What an auditor wants to see, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn query(&self, filter: &LogFilter, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let mut filter = filter.clone();
        let mut up_to = Position::MAX;
        // Recorded times never sink, so a span of time is a span of positions, and those have an index.
        if let Some(since) = filter.since {
            filter.after = filter.after.max(self.first_recorded_at(since).await? - 1);
        }
        if let Some(until) = filter.until {
            up_to = self.first_recorded_at(until).await? - 1;
        }
        if filter.after >= up_to {
            return Ok(Vec::new());
        }
        self.0.store.query(&filter, up_to, limit).await
    }

    /// The first position that was recorded at that time or later; the one after the head where there is none. By halves: some 20
    /// point reads in a log of a million.
    async fn first_recorded_at(&self, at: DateTime<Utc>) -> Result<Position, StoreError> {
        let mut before = 0;
        let mut first = self.head().await? + 1;
        while before + 1 < first {
            let middle = before + (first - before) / 2;
            let event = self.0.store.read(middle - 1, 1).await?;
            if event.first().is_some_and(|event| event.recorded_at < at) {
                before = middle;
            } else {
                first = middle;
            }
        }
        Ok(first)
    }

    /// A stream's domain events after that sequence, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_stream(
        &self,
        stream: StreamId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.0.store.read_stream(stream, after, limit).await
    }

    /// What came in a stream after that sequence, in order, [`MAX_TAIL`](crate::rounds::MAX_TAIL) domain events at most; read
    /// together with what others ask for at the same time.
    pub(crate) async fn tail(&self, stream: StreamId, after: Sequence) -> Result<Vec<Recorded>, StoreError> {
        self.0.tails.ask((stream, after)).await
    }

    /// The last position of the log.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.0.store.head().await?.position)
    }

    /// The last position that this process has seen: its own appends at once, others' within some 20 ms.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.subscribe()
    }

    /// The receipt of a command that succeeded.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn receipt(&self, scope: &str, operation: &str, key: &str) -> Result<Option<Receipt>, StoreError> {
        let name = ReceiptKey { scope: scope.to_owned(), operation: operation.to_owned(), key: key.to_owned() };
        Ok(self.receipts(&BTreeSet::from([name.clone()])).await?.remove(&name))
    }

    /// Of these names, some hundreds at most, those under which a command succeeded, with its receipt; by one look.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn receipts(&self, names: &BTreeSet<ReceiptKey>) -> Result<BTreeMap<ReceiptKey, Receipt>, StoreError> {
        self.0.store.receipts(names).await
    }

    /// Everything that stands beside the log, as it was at one position of it: in one snapshot, so the log may go on meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence(&self) -> Result<Evidence, StoreError> {
        self.0.store.evidence().await
    }

    /// The claims whose resource begins with `prefix`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claims_with_prefix(&self, prefix: &str) -> Result<Vec<ClaimRow>, StoreError> {
        self.0.store.claims(prefix).await
    }

    /// One claim.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim(&self, resource: &Resource) -> Result<Option<ClaimRow>, StoreError> {
        let name = resource.to_string();
        Ok(self.0.store.claims(&name).await?.into_iter().find(|row| row.resource == name))
    }

    /// Due timers of these kinds, leased to the caller: nobody else gets them until the lease runs out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease_timers(
        &self,
        kinds: &[TimerKind],
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<LeasedTimer>, StoreError> {
        self.0.store.lease_timers(kinds, self.token(), millis(lease), limit).await
    }

    /// One timer, due or not, leased to the caller if its lease is free.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease_timer(
        &self,
        kind: TimerKind,
        subject: Uuid,
        lease: Duration,
    ) -> Result<Option<LeasedTimer>, StoreError> {
        self.0.leases.ask((kind, subject, millis(lease))).await
    }

    /// Ends a timer that is done; whether the lease was still the caller's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finish_timer(&self, timer: &LeasedTimer) -> Result<bool, StoreError> {
        self.0.store.finish_timer(timer).await
    }

    /// Ends many timers that are done, in a few statements; how many of the leases were still the caller's.
    ///
    /// # Errors
    /// When the store fails; then some of them may have ended.
    pub async fn finish_timers(&self, timers: &[LeasedTimer]) -> Result<usize, StoreError> {
        self.0.store.finish_timers(timers).await
    }

    /// Gives a timer back, due again at `due_at`; whether the lease was still the caller's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reschedule_timer(&self, timer: &LeasedTimer, due_at: DateTime<Utc>) -> Result<bool, StoreError> {
        self.0.store.reschedule_timer(timer, due_at).await
    }

    /// The bytes of that hash.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn attachment(&self, hash: &[u8; 32]) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.0.store.attachment(hash).await?.map(Into::into))
    }

    /// The store's clock, as this process knows it.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Seals and opens what identifies a person.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        Sealer::new(self.0.store.clone(), self.0.keys.clone(), self.0.secrets.clone(), self.0.entropy.clone())
    }

    /// The secrets that come from the master key.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Erases a person: appends `PersonErased`, and his data key is deleted in the same transaction. Whether there was one.
    ///
    /// # Errors
    /// Why not.
    pub async fn erase(&self, person: PersonId) -> Result<bool, AppendError> {
        if self.0.store.person_key(person).await?.is_none() {
            return Ok(false);
        }
        let stream = StreamId::new(PersonDomainEvent::STREAM_TYPE, person.0);
        let before = self.read_stream(stream, 0, usize::MAX).await?;
        let event = PersonDomainEvent::from(PersonErased {});
        let append = Append {
            metadata: Metadata { command_id: self.token(), actor: Some("operator".to_owned()), ..Metadata::default() },
            streams: vec![StreamAppend {
                stream,
                expected: before.last().map_or(0, |last| last.sequence),
                events: vec![NewEvent::of(&event, person.0)],
            }],
            ..Append::default()
        };
        self.append(append).await.map(|_| true)
    }

    /// Waits until the log takes no more appends: it was shut down, or its writer ended over a broken invariant. A process whose
    /// log has ended should end too.
    pub async fn closed(&self) {
        self.0.queue.closed().await;
    }

    /// The version of the server below, such as `9.7.4`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        self.0.store.server_version().await
    }

    /// An id that nothing else has.
    pub(crate) fn token(&self) -> Uuid {
        random_id(&*self.0.entropy)
    }

    pub(crate) fn store(&self) -> &dyn LogStore {
        &*self.0.store
    }

    /// A task that the service waits for at its end.
    pub(crate) fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.background.spawn(task);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
