//! The log on MySQL or MariaDB.
//!
//! The writer's session is READ COMMITTED with `autocommit = 0`, so that the statement which locks the head row also begins the
//! transaction, and everything after it reads what was committed before the lock was had. `wait_timeout = 3`: a process that
//! stops dead inside its transaction is ended by the server itself after three silent seconds, and the others go on; while it is
//! idle the writer pings.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{
    Connection, MySql, MySqlConnection, MySqlPool, QueryBuilder,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
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
    runtime::from_micros,
    store::{
        AppendTransaction, ClaimRow, ClaimWrite, CommitError, Evidence, Head, LeasedTimer, Loaded, LogFilter, LogStore,
        Needs, PersonKey, ReceiptKey, Snapshot, WantedKey, Writes,
    },
};

/// Readers at once, a process. With some processes on one server this stays far below its `max_connections`.
const MAX_READERS: u32 = 16;
/// Statements kept prepared by the writer's connection: some dozens of sizes for each text.
const WRITER_STATEMENTS: usize = 400;
/// The same of a reader's: a few sizes for each text. Times connections and processes it stays below the server's
/// `max_prepared_stmt_count` (16,382).
const READER_STATEMENTS: usize = 100;
/// How long a connection may have been idle and still be used without asking the server first whether it is there. A question for
/// each use would be a round trip for each.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a reader may wait for a connection before the caller hears of it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

// FROM_UNIXTIME ends in 2106 on some servers; adding to an epoch has no such end.
const TIME_IN: (&str, &str) = ("TIMESTAMPADD(MICROSECOND, ", ", '1970-01-01 00:00:00.000000')");
const SELECT_HEAD: &str = "SELECT position, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', recorded_at), \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6)) FROM log_head WHERE shard = ?";
// SYSDATE is the clock when the row is read, that is after the wait for its lock; NOW would be the statement's beginning.
const LOCK_HEAD: &str = "SELECT position, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', recorded_at), \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6)) FROM log_head WHERE shard = ? FOR UPDATE";
const SELECT_EVENTS: &str =
    concat!("SELECT ", event_columns!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', recorded_at)"), " FROM events");
/// Of the next transaction alone; the session's own is READ COMMITTED.
const BEFORE_SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
const SELECT_TIMERS: &str = "SELECT kind, stream_type, stream_id, subject, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', due_at) FROM timers";
const SELECT_LEASED: &str = "SELECT timer_id, kind, stream_type, stream_id, subject, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', due_at), attempts FROM timers WHERE lease_token = ? ORDER BY due_at";
const UPSERT_SNAPSHOT: &str = "INSERT INTO snapshots (stream_type, stream_id, sequence, position, format, state) \
     VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE \
     state = IF(VALUES(sequence) > sequence OR VALUES(format) <> format, VALUES(state), state), \
     position = IF(VALUES(sequence) > sequence OR VALUES(format) <> format, VALUES(position), position), \
     sequence = IF(VALUES(sequence) > sequence OR VALUES(format) <> format, VALUES(sequence), sequence), \
     format = VALUES(format)";
const BY_STREAM: &str = " FORCE INDEX (events_stream)";
const BY_PRIMARY: &str = " FORCE INDEX (PRIMARY)";
const SELECT_VERSION: &str = "SELECT VERSION()";

/// What makes the writer's big statements cheap for the server.
///
/// * The names of its session are single-byte. MySQL rebuilds the text of a prepared statement for its logs, and with a multi-byte
///   character set it looks at every byte of every value by a call of its own: a quarter of an append's time. What is bound as
///   text here is ASCII (names of types, UUIDs); everything else is bytes, which no character set touches.
/// * No index dives: each of hundreds of keys in a batch's `IN` would be looked up once to estimate how many rows it has, and
///   then again to read them. `FORCE INDEX` says what the estimate would.
const WRITER_SETTINGS: &str = "SET NAMES latin1; SET SESSION eq_range_index_dive_limit = 1";

/// Ends an INSERT of a row that may be there already: the first stays. `INSERT IGNORE` would turn every other error into a
/// warning as well.
fn keep_first(key: &str) -> String {
    format!(" ON DUPLICATE KEY UPDATE {key} = {key}")
}

/// Resources, scopes and keys are VARBINARY: they compare byte for byte, blanks at the end included.
fn key(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The log on MySQL or MariaDB.
pub struct MySqlStore {
    pool: MySqlPool,
    writer: Arc<Mutex<Option<MySqlConnection>>>,
    options: MySqlConnectOptions,
}

impl MySqlStore {
    /// Connects to the database that the URL names. The schema is [`crate::migrate`]'s business.
    ///
    /// # Errors
    /// When the URL is malformed or the server refuses.
    pub async fn connect_to(url: &str) -> Result<Self, StoreError> {
        let options = MySqlConnectOptions::from_str(url)?.statement_cache_capacity(WRITER_STATEMENTS);
        let pool = MySqlPoolOptions::new()
            .max_connections(MAX_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move { Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) })
            })
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options.clone().statement_cache_capacity(READER_STATEMENTS))
            .await?;
        Ok(Self { pool, writer: Arc::default(), options })
    }

    /// The readers, for migrations and checks.
    #[must_use]
    pub const fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    #[expect(clippy::unused_self, reason = "the shape that the stores share; here the server has the clock")]
    fn now(&self, micros: i64) -> DateTime<Utc> {
        from_micros(micros)
    }

    #[expect(clippy::unused_self, reason = "the shape that the stores share; here the server has the clock")]
    fn push_now(&self, query: &mut QueryBuilder<MySql>) {
        query.push("UTC_TIMESTAMP(6)");
    }

    #[expect(clippy::unused_self, reason = "the shape that the stores share; here the server has the clock")]
    fn push_now_plus(&self, query: &mut QueryBuilder<MySql>, micros: i64) {
        query.push("TIMESTAMPADD(MICROSECOND, ").push_bind(micros).push(", UTC_TIMESTAMP(6))");
    }

    async fn connect(&self) -> Result<MySqlConnection, StoreError> {
        let mut connection = MySqlConnection::connect_with(&self.options).await?;
        sqlx::raw_sql("SET SESSION wait_timeout = 3, autocommit = 0").execute(&mut connection).await?;
        sqlx::raw_sql(WRITER_SETTINGS).execute(&mut connection).await?;
        sqlx::raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").execute(&mut connection).await?;
        Ok(connection)
    }

    async fn lock_head(&self, connection: &mut MySqlConnection) -> Result<Head, StoreError> {
        let (position, recorded, now): (i64, i64, i64) =
            sqlx::query_as(LOCK_HEAD).bind(SHARD).fetch_one(connection).await?;
        Ok(Head { position, recorded_at: from_micros(recorded), now: from_micros(now) })
    }
}

sql_transaction!(transaction: MySqlTransaction, database: MySql, connection: MySqlConnection);
sql_store!(store: MySqlStore, transaction: MySqlTransaction, database: MySql);
