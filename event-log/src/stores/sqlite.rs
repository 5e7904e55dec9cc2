//! The log in a SQLite file: one writer connection, a pool of readers, WAL. `synchronous = FULL`: with WAL and NORMAL a loss of
//! power forgets acknowledged commits.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{
    Connection, QueryBuilder, Sqlite, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tickiz_domain::{
    ids::PersonId,
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use super::{
    row::{EventRow, after_prefix, hash, padded, pieces, recorded, stream_of, text, timer_id, timer_kind},
    sql::{event_columns, sql_store},
    sql_append::{LoadedRow, MAX_RESOURCES_READ, assert_rows, sql_transaction, take_row},
};
use crate::{
    leaf::metadata_json,
    record::{LeafHash, Position, Receipt, Recorded, SHARD, Sequence, StoreError},
    runtime::{Clock, SystemClock, from_micros},
    store::{
        AppendTransaction, ClaimRow, ClaimWrite, CommitError, Evidence, Head, LeasedTimer, Loaded, LogFilter, LogStore,
        Needs, PersonKey, ReceiptKey, Snapshot, WantedKey, Writes,
    },
};

/// How long a connection waits for another's write lock. Far above any write of ours.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Readers at once; more would only share the same two cores.
const MAX_READERS: u32 = 4;
/// Statements kept prepared a connection: a few sizes for each text.
const STATEMENT_CACHE: usize = 400;

const TIME_IN: (&str, &str) = ("", "");
const SELECT_HEAD: &str = "SELECT position, recorded_at, 0 FROM log_head WHERE shard = ?";
const SELECT_EVENTS: &str = concat!("SELECT ", event_columns!("recorded_at"), " FROM events");
/// Nothing: a transaction reads what was there at its first statement.
const BEFORE_SNAPSHOT: &str = "";
const SELECT_TIMERS: &str = "SELECT kind, stream_type, stream_id, subject, due_at FROM timers";
const SELECT_LEASED: &str = "SELECT timer_id, kind, stream_type, stream_id, subject, due_at, attempts FROM timers \
     WHERE lease_token = ? ORDER BY due_at";
const UPSERT_SNAPSHOT: &str = "INSERT INTO snapshots (stream_type, stream_id, sequence, position, format, state) \
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (stream_type, stream_id) DO UPDATE SET sequence = excluded.sequence, \
     position = excluded.position, format = excluded.format, state = excluded.state \
     WHERE excluded.sequence > snapshots.sequence OR excluded.format <> snapshots.format";
// SQLite plans a lookup of unique keys by their index without being told.
const BY_STREAM: &str = "";
const BY_PRIMARY: &str = "";
const SELECT_VERSION: &str = "SELECT 'SQLite ' || sqlite_version()";

/// Ends an INSERT of a row that may be there already: the first stays.
fn keep_first(_: &str) -> &'static str {
    " ON CONFLICT DO NOTHING"
}

fn key(text: &str) -> String {
    text.to_owned()
}

/// The log in a SQLite file.
pub struct SqliteStore {
    pool: SqlitePool,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    options: SqliteConnectOptions,
    clock: Arc<dyn Clock>,
}

/// How every connection to an embedded file is opened.
#[must_use]
pub fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENT_CACHE)
}

impl SqliteStore {
    /// Opens the file, making it where it is missing. The schema is [`crate::migrate`]'s business.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_at(path, Arc::new(SystemClock)).await
    }

    /// The same, by another clock than the machine's.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open_at(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = connect_options(path);
        let _lock = crate::migrate::lock_beside(path).await?;
        let pool = SqlitePoolOptions::new().max_connections(MAX_READERS).connect_with(options.clone()).await?;
        Ok(Self { pool, writer: Arc::default(), options, clock })
    }

    /// The readers, for migrations and checks.
    #[must_use]
    pub const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(crate) fn path(&self) -> &Path {
        self.options.get_filename()
    }

    /// SQLite has no clock but the machine's, and shows it in whole milliseconds; this one is finer.
    fn now(&self, _: i64) -> DateTime<Utc> {
        self.clock.now()
    }

    fn push_now(&self, query: &mut QueryBuilder<Sqlite>) {
        query.push_bind(self.clock.now().timestamp_micros());
    }

    fn push_now_plus(&self, query: &mut QueryBuilder<Sqlite>, micros: i64) {
        query.push_bind(self.clock.now().timestamp_micros().saturating_add(micros));
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        Ok(SqliteConnection::connect_with(&self.options).await?)
    }

    async fn lock_head(&self, connection: &mut SqliteConnection) -> Result<Head, StoreError> {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        let (position, recorded, now): (i64, i64, i64) =
            sqlx::query_as(SELECT_HEAD).bind(SHARD).fetch_one(connection).await?;
        Ok(Head { position, recorded_at: from_micros(recorded), now: self.now(now) })
    }
}

sql_transaction!(transaction: SqliteTransaction, database: Sqlite, connection: SqliteConnection);
sql_store!(store: SqliteStore, transaction: SqliteTransaction, database: Sqlite);
