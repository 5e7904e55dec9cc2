//! Connections and transactions.

use std::{str::FromStr, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, MySql, MySqlPool, Sqlite, SqlitePool, Transaction,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions},
    pool::PoolConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Keys, MAX_KEYS_PER_LIST, Row, Upsert, Value, insert_length, padded, places, row_places};
use crate::store::MySqlOptions;

/// Readers of a SQLite file in this process. Each is a thread; more than a few only wait for the same cores.
const SQLITE_READERS: u32 = 4;
/// How long a statement waits for another process that writes to the same SQLite file.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements that a connection which writes keeps prepared: a text for each number of rows up to some dozens.
const STATEMENT_CACHE: usize = 300;
/// Writing connections to MySQL: one a projection, and one for an operator's command.
const MYSQL_WRITERS: u32 = 4;
/// How long a connection may have been idle and still be used without asking the server first whether it is there.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A reader's transaction sees one snapshot, whatever the server's default is.
const MYSQL_READER_SESSION: [&str; 1] = ["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"];
/// A projector that stops dead inside its transaction would keep the checkpoint's row locked. The server ends such a session
/// after 3 s, and the next projector goes on. READ COMMITTED, since nobody else writes these rows and gaps need no locks. Whoever
/// drops a version's tables waits for its last readers, and not for one that stopped dead.
const MYSQL_WRITER_SESSION: [&str; 2] = [
    "SET SESSION wait_timeout = 3, SESSION innodb_lock_wait_timeout = 10, SESSION lock_wait_timeout = 10",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

/// Where connections come from.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    MySql { writers: MySqlPool, readers: MySqlPool },
}

impl Pools {
    pub(crate) async fn sqlite_file(path: &std::path::Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .statement_cache_capacity(STATEMENT_CACHE)
            .journal_mode(SqliteJournalMode::Wal)
            // What a loss of power forgets is projected again, together with its checkpoint.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(SQLITE_BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(SQLITE_READERS).connect_lazy_with(options.read_only(true));
        Ok(Self::Sqlite { writer, readers })
    }

    pub(crate) async fn sqlite_memory() -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
        // Each connection would have a database of its own, so there is one, and it is never closed.
        let one = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        Ok(Self::Sqlite { writer: one.clone(), readers: one })
    }

    pub(crate) async fn mysql(url: &str, options: &MySqlOptions) -> Result<Self, sqlx::Error> {
        let connect = MySqlConnectOptions::from_str(url)?;
        let pool = |connections: u32, session: &'static [&'static str]| {
            let pool = MySqlPoolOptions::new().max_connections(connections).acquire_timeout(options.acquire_timeout);
            let pool = pool.test_before_acquire(false).before_acquire(|connection, meta| {
                Box::pin(async move { Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) })
            });
            pool.after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in session {
                        sqlx::query(*statement).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
        };
        let readers = pool(options.max_connections, &MYSQL_READER_SESSION).connect_with(connect.clone()).await?;
        let connect = connect.statement_cache_capacity(STATEMENT_CACHE);
        let writers = pool(MYSQL_WRITERS, &MYSQL_WRITER_SESSION).connect_lazy_with(connect);
        Ok(Self::MySql { writers, readers })
    }

    /// The readers' connections: how many there are, and how many of them are idle.
    pub(crate) fn readers(&self) -> (u32, usize) {
        match self {
            Self::Sqlite { readers, .. } => (readers.size(), readers.num_idle()),
            Self::MySql { readers, .. } => (readers.size(), readers.num_idle()),
        }
    }

    /// A connection for single statements.
    pub(crate) async fn reader(&self) -> Result<Session, sqlx::Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Session::Sqlite(readers.acquire().await?),
            Self::MySql { readers, .. } => Session::MySql(readers.acquire().await?),
        })
    }

    /// A transaction that sees one snapshot from its first statement on.
    pub(crate) async fn snapshot(&self) -> Result<Session, sqlx::Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Session::SqliteTx(readers.begin().await?),
            Self::MySql { readers, .. } => Session::MySqlTx(readers.begin().await?),
        })
    }

    /// A transaction that writes.
    pub(crate) async fn write(&self) -> Result<Session, sqlx::Error> {
        Ok(match self {
            // A deferred one would find out at its first write that another process was faster.
            Self::Sqlite { writer, .. } => Session::SqliteTx(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::MySql { writers, .. } => Session::MySqlTx(writers.begin().await?),
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::MySql { writers, readers } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }
}

/// A connection, or a transaction that rolls back when it is dropped.
pub(crate) enum Session {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    MySql(PoolConnection<MySql>),
    MySqlTx(Transaction<'static, MySql>),
}

impl Session {
    /// The rows of a SELECT.
    pub(crate) async fn rows(&mut self, sql: impl Into<String>, binds: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match self {
            Self::Sqlite(c) => {
                sqlite(sqlx::query(sql), binds).fetch_all(&mut **c).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::SqliteTx(c) => {
                sqlite(sqlx::query(sql), binds).fetch_all(&mut **c).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::MySql(c) => {
                mysql(sqlx::query(sql), binds).fetch_all(&mut **c).await?.into_iter().map(Row::MySql).collect()
            }
            Self::MySqlTx(c) => {
                mysql(sqlx::query(sql), binds).fetch_all(&mut **c).await?.into_iter().map(Row::MySql).collect()
            }
        })
    }

    /// Runs a statement; how many rows it matched (MySQL counts rows found, not rows changed).
    pub(crate) async fn execute(&mut self, sql: impl Into<String>, binds: Vec<Value>) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match self {
            Self::Sqlite(c) => sqlite(sqlx::query(sql), binds).execute(&mut **c).await?.rows_affected(),
            Self::SqliteTx(c) => sqlite(sqlx::query(sql), binds).execute(&mut **c).await?.rows_affected(),
            Self::MySql(c) => mysql(sqlx::query(sql), binds).execute(&mut **c).await?.rows_affected(),
            Self::MySqlTx(c) => mysql(sqlx::query(sql), binds).execute(&mut **c).await?.rows_affected(),
        })
    }

    /// The rows of a SELECT with `{keys}` in it, for any number of keys. `before` is bound before the keys.
    pub(crate) async fn rows_by_keys(
        &mut self,
        sql: &str,
        shape: &Keys,
        before: &[Value],
        keys: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = Vec::new();
        for (text, binds) in self.with_keys(sql, shape, before, keys) {
            rows.extend(self.rows(text, binds).await?);
        }
        Ok(rows)
    }

    /// Runs a statement with `{keys}` in it, for any number of keys.
    pub(crate) async fn execute_by_keys(
        &mut self,
        sql: &str,
        shape: &Keys,
        keys: Vec<Value>,
    ) -> Result<(), sqlx::Error> {
        for (text, binds) in self.with_keys(sql, shape, &[], keys) {
            self.execute(text, binds).await?;
        }
        Ok(())
    }

    fn with_keys(&self, sql: &str, shape: &Keys, before: &[Value], keys: Vec<Value>) -> Vec<(String, Vec<Value>)> {
        let width = match shape {
            Keys::Single => 1,
            Keys::Pair => 2,
        };
        let parts = keys.chunks(width * MAX_KEYS_PER_LIST).map(|chunk| {
            let count = chunk.len() / width;
            let list = match shape {
                Keys::Single => places(padded(count)),
                Keys::Pair if self.is_sqlite() => format!("(VALUES {})", row_places(padded(count), 2)),
                Keys::Pair => format!("({})", row_places(padded(count), 2)),
            };
            let last = &chunk[chunk.len() - width..];
            let filling = std::iter::repeat_n(last, padded(count) - count).flatten();
            let binds = before.iter().chain(chunk).chain(filling).cloned().collect();
            (sql.replace("{keys}", &list), binds)
        });
        parts.collect()
    }

    /// Writes rows, their columns one after the other.
    pub(crate) async fn upsert(
        &mut self,
        upsert: &Upsert,
        version: i32,
        mut values: Vec<Value>,
    ) -> Result<(), sqlx::Error> {
        assert_eq!(
            values.len() % upsert.columns,
            0,
            "every row of an upsert has a value for each column that it names"
        );
        let tail = if self.is_sqlite() { upsert.sqlite } else { upsert.mysql };
        while !values.is_empty() {
            let sizes = values.chunks(upsert.columns).map(|row| row.iter().map(Value::size).sum());
            let length = insert_length(sizes);
            let rest = values.split_off(length * upsert.columns);
            let insert = super::versioned(upsert.insert, version);
            let sql = format!("{insert} {} {tail}", row_places(length, upsert.columns));
            self.execute(sql, std::mem::replace(&mut values, rest)).await?;
        }
        Ok(())
    }

    const fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::SqliteTx(_))
    }

    /// Commits a transaction; for a mere connection there is nothing to do.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) | Self::MySql(_) => Ok(()),
            Self::SqliteTx(tx) => tx.commit().await,
            Self::MySqlTx(tx) => tx.commit().await,
        }
    }
}

fn sqlite<'q>(query: Query<'q, Sqlite, SqliteArguments>, binds: Vec<Value>) -> Query<'q, Sqlite, SqliteArguments> {
    binds.into_iter().fold(query, |query, value| match value {
        Value::Int(v) => query.bind(v),
        Value::OptInt(v) => query.bind(v),
        Value::OptFloat(v) => query.bind(v),
        Value::Float(v) => query.bind(v),
        Value::Text(v) => query.bind(v),
        Value::Bytes(v) => query.bind(v),
        Value::Uuid(v) => query.bind(v),
        Value::Time(v) => query.bind(v.timestamp_micros()),
    })
}

fn mysql<'q>(query: Query<'q, MySql, MySqlArguments>, binds: Vec<Value>) -> Query<'q, MySql, MySqlArguments> {
    binds.into_iter().fold(query, |query, value| match value {
        Value::Int(v) => query.bind(v),
        Value::OptInt(v) => query.bind(v),
        Value::OptFloat(v) => query.bind(v),
        Value::Float(v) => query.bind(v),
        Value::Text(v) => query.bind(v),
        Value::Bytes(v) => query.bind(v),
        Value::Uuid(v) => query.bind(v),
        // As DATETIME: the driver calls a `DateTime<Utc>` a TIMESTAMP, and what lies beyond 2038 becomes NULL on MariaDB.
        Value::Time(v) => query.bind(v.naive_utc()),
    })
}
