//! How the log is opened, and how its tasks end.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use tickiz_together::Together;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    feed::{Recent, poll_head},
    log::{EventLog, Inner},
    master_key,
    migrate::{self, SchemaVersion},
    record::StoreError,
    rounds::{DataKeys, Leases, Tails},
    runtime::{Runtime, StoreClock, random},
    sealing::Secrets,
    store::LogStore,
    stores::{memory::MemoryStore, mysql::MySqlStore, sqlite::SqliteStore},
    writer::{MAX_QUEUED_APPENDS, MAX_QUEUED_BYTES, Writer},
};

/// How the log is opened.
#[derive(Clone)]
pub struct LogOptions {
    /// Wraps data keys, and is what all secrets come from. Without one, a key is made once and kept with the store.
    pub master_key: Option<[u8; 32]>,
    /// Whether the schema is brought to this version; else an older one is refused.
    pub migrate: bool,
    /// Time and chance.
    pub runtime: Runtime,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { master_key: None, migrate: true, runtime: Runtime::default() }
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
    /// The master key is another one than that which the log was begun with: nothing that it sealed would open.
    #[error(
        "this is not the master key that the log was begun with; set TICKIZ_MASTER_KEY to that one, or take it away where none \
         was configured then"
    )]
    OtherMasterKey,
    /// The key file beside the store cannot be read or made.
    #[error("the master key {path}: {reason}")]
    MasterKey {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

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
    /// When the file or its key cannot be opened, or its schema or its key is another's.
    pub async fn open_sqlite(path: &Path, options: LogOptions) -> Result<(Self, LogService), OpenError> {
        let master_key = match options.master_key {
            Some(key) => key,
            None => master_key::of_file(&path.with_file_name("master.key"), &*options.runtime.entropy)?,
        };
        let store = SqliteStore::open_at(path, options.runtime.clock.clone()).await?;
        if options.migrate {
            migrate::sqlite(&store).await?;
        }
        serves(migrate::sqlite_version(&store).await?)?;
        master_key::check(&store, master_key).await?;
        Ok(Self::start(Arc::new(store), master_key, options.runtime).await?)
    }

    /// Opens the log on MySQL or MariaDB. Without a master key one is kept in the database, so that all processes share it: good
    /// for trying, not for production, since it lies beside what it protects.
    ///
    /// # Errors
    /// When the server refuses, or its schema or its key is another's.
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
                master_key::of_store(&store, &*options.runtime.entropy).await?
            }
        };
        master_key::check(&store, master_key).await?;
        Ok(Self::start(Arc::new(store), master_key, options.runtime).await?)
    }

    /// Opens an empty log in memory.
    ///
    /// # Errors
    /// None today.
    pub async fn open_memory(options: LogOptions) -> Result<(Self, LogService), OpenError> {
        let master_key = options.master_key.unwrap_or_else(|| random(&*options.runtime.entropy));
        let store = MemoryStore::new(options.runtime.clock.clone());
        Ok(Self::start(Arc::new(store), master_key, options.runtime).await?)
    }

    /// Starts a log over a store: its writer and its head's poller.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub async fn start(
        store: Arc<dyn LogStore>,
        master_key: [u8; 32],
        runtime: Runtime,
    ) -> Result<(Self, LogService), StoreError> {
        let Runtime { clock, entropy } = runtime;
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
        let keys = Together::start(DataKeys(store.clone()));
        let tails = Together::start(Tails(store.clone()));
        let leases = Together::start(Leases { store: store.clone(), entropy: entropy.clone() });
        let room = Arc::new(Semaphore::new(MAX_QUEUED_BYTES));
        let tracked = background.clone();
        let inner = Inner {
            store,
            queue,
            room,
            recent,
            head,
            clock,
            entropy,
            secrets,
            keys,
            tails,
            leases,
            background: tracked,
        };
        let log = Self(Arc::new(inner));
        Ok((log, LogService { stop, died, tasks, background }))
    }
}
