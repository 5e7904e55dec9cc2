//! The handle: what everybody else sees of the log.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tickiz_domain::{
    claim::Resource,
    ids::PersonId,
    person::{PersonDomainEvent, PersonErased},
    stored::StoredEvent,
    stream::StreamId,
    timer::TimerKind,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::metrics::METRICS;
use crate::{
    decide::check_shape,
    feed::{Recent, poll_head},
    master_key,
    migrate::{self, SchemaVersion},
    record::{
        Append, AppendError, Appended, Metadata, NewEvent, Position, Receipt, Recorded, Sequence, StoreError,
        StreamAppend,
    },
    runtime::{Clock, StoreClock, SystemClock},
    sealing::{KeyMaker, Sealer, Secrets},
    store::{ClaimRow, Evidence, LeasedTimer, LogFilter, LogStore, ReceiptKey},
    stores::{memory::MemoryStore, mysql::MySqlStore, sqlite::SqliteStore},
    writer::{MAX_QUEUED_APPENDS, RETRY_AFTER_MS, Waiting, Writer},
};

/// How the log is opened.
#[derive(Clone)]
pub struct LogOptions {
    /// Wraps data keys, and is what all secrets come from. Without one, a key is made once and kept with the store.
    pub master_key: Option<[u8; 32]>,
    /// Whether the schema is brought to this version; else an older one is refused.
    pub migrate: bool,
    /// The machine's clock, or a simulation's. A server has its own; a file has none, and takes this one for it.
    pub clock: Arc<dyn Clock>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { master_key: None, migrate: true, clock: Arc::new(SystemClock) }
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error("the log's store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The schema is older than this program. Bring it to this version first.
    #[error("the log's schema has version {found}, this program needs {wanted}; run `tickiz migrate`")]
    Schema {
        /// What is there; 0: nothing.
        found: i64,
        /// What is needed.
        wanted: i64,
    },
    /// The key file beside the store cannot be read or made.
    #[error("the master key {path}: {reason}")]
    MasterKey {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

struct Inner {
    store: Arc<dyn LogStore>,
    queue: mpsc::Sender<Waiting>,
    recent: Arc<Recent>,
    head: Arc<watch::Sender<Position>>,
    clock: StoreClock,
    secrets: Secrets,
    keys: KeyMaker,
    background: TaskTracker,
}

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

/// Owns the log's tasks.
pub struct LogService {
    stop: CancellationToken,
    died: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    background: TaskTracker,
}

impl LogService {
    /// Waits until a task of the log has died, which is a broken invariant: the process has to stop, since nothing can be
    /// appended any more. Never, as long as all is well.
    pub async fn died(&self) {
        self.died.cancelled().await;
    }

    /// Takes no more appends, writes what was queued, and ends the tasks.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the log ended badly");
            }
        }
        self.background.close();
        self.background.wait().await;
    }
}

impl Drop for LogService {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A task whose panic is heard of.
fn watched(task: impl Future<Output = ()> + Send + 'static, died: &CancellationToken) -> JoinHandle<()> {
    let guard = died.clone().drop_guard();
    tokio::spawn(async move {
        task.await;
        guard.disarm();
    })
}

fn serves(schema: SchemaVersion) -> Result<(), OpenError> {
    if schema.serves() { Ok(()) } else { Err(OpenError::Schema { found: schema.found, wanted: schema.wanted }) }
}

impl EventLog {
    /// Opens the log in a SQLite file; the master key's file is beside it.
    ///
    /// # Errors
    /// When the file or its key cannot be opened, or its schema is another's.
    pub async fn open_sqlite(path: &Path, options: LogOptions) -> Result<(Self, LogService), OpenError> {
        let master_key = match options.master_key {
            Some(key) => key,
            None => master_key::of_file(&path.with_file_name("master.key"))?,
        };
        let store = SqliteStore::open_at(path, options.clock.clone()).await?;
        if options.migrate {
            migrate::sqlite(&store).await?;
        }
        serves(migrate::sqlite_version(&store).await?)?;
        Ok(Self::start(Arc::new(store), master_key, options.clock).await?)
    }

    /// Opens the log on MySQL or MariaDB. Without a master key one is kept in the database, so that all processes share it: good
    /// for trying, not for production, since it lies beside what it protects.
    ///
    /// # Errors
    /// When the server refuses, or its schema is another's.
    pub async fn open_mysql(url: &str, options: LogOptions) -> Result<(Self, LogService), OpenError> {
        let store = MySqlStore::connect_to(url).await?;
        if options.migrate {
            migrate::mysql(&store).await?;
        }
        serves(migrate::mysql_version(&store).await?)?;
        let master_key = match options.master_key {
            Some(key) => key,
            None => {
                tracing::warn!("no master key is configured; the one in the database is used");
                let mut fresh = [0; 32];
                rand::fill(&mut fresh);
                store.master_key_or(&fresh).await?
            }
        };
        Ok(Self::start(Arc::new(store), master_key, options.clock).await?)
    }

    /// Opens an empty log in memory.
    ///
    /// # Errors
    /// None today.
    pub async fn open_memory(options: LogOptions) -> Result<(Self, LogService), OpenError> {
        let mut fresh = [0; 32];
        rand::fill(&mut fresh);
        let store = MemoryStore::new(options.clock.clone());
        Ok(Self::start(Arc::new(store), options.master_key.unwrap_or(fresh), options.clock).await?)
    }

    /// Starts a log over a store: its writer and its head's poller.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub async fn start(
        store: Arc<dyn LogStore>,
        master_key: [u8; 32],
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, LogService), StoreError> {
        let clock = StoreClock::new(clock);
        let seen = store.head().await?;
        clock.learn(seen.now);
        let (queue, waiting) = mpsc::channel(MAX_QUEUED_APPENDS);
        let head = Arc::new(watch::Sender::new(seen.position));
        let recent = Arc::new(Recent::default());
        let stop = CancellationToken::new();
        let writer = Writer {
            store: store.clone(),
            queue: waiting,
            recent: recent.clone(),
            head: head.clone(),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let poller = poll_head(store.clone(), head.clone(), clock.clone(), stop.clone());
        let background = TaskTracker::new();
        let died = CancellationToken::new();
        let tasks = Mutex::new(vec![watched(writer.run(), &died), watched(poller, &died)]);
        let secrets = Secrets::new(master_key);
        let keys = KeyMaker::start(store.clone());
        let log =
            Self(Arc::new(Inner { store, queue, recent, head, clock, secrets, keys, background: background.clone() }));
        Ok((log, LogService { stop, died, tasks, background }))
    }

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
        let (answer, answered) = oneshot::channel();
        self.0.queue.try_send(Waiting { append, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded { retry_after_ms: RETRY_AFTER_MS },
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
        self.0.store.receipt(&name).await
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
        self.0.store.lease_timers(kinds, Uuid::new_v4(), millis(lease), limit).await
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
        self.0.store.lease_timer(kind, subject, Uuid::new_v4(), millis(lease)).await
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
        Sealer::new(self.0.store.clone(), self.0.keys.clone(), self.0.secrets.clone())
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
            metadata: Metadata {
                command_id: Uuid::new_v4(),
                actor: Some("operator".to_owned()),
                ..Metadata::default()
            },
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
