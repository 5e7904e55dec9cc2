//! The small stores beside the log: the webhook inbox with the consumers' checkpoints, and the sandbox gateway's books.
//!
//! Embedded, each is one SQLite file of its own; with the log on MySQL or MariaDB they are tables of the same database, which
//! several processes share. The SQL is the same text for all of them, so there is one body of code, and [`on_database!`] writes
//! it out once per driver.
//!
//! None of these stores takes part in the log's transactions, and nothing here is decided on: what a row says is asked for again
//! before it becomes a domain event.

use std::{borrow::Cow, path::Path, sync::Arc, time::Duration};

use sqlx::{
    Connection, Executor, MySqlPool, SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    mysql::MySqlPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tickiz_together::RoundError;

/// The most connections of this process to MySQL for one of these stores: each statement is short, and the log needs the others.
const MAX_CONNECTIONS: u32 = 8;
/// How long a statement waits for a connection before it counts as failed.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may have been idle and still be used without asking the server first whether it is there.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a statement waits for another process that writes the same SQLite file (`tickiz verify` beside a server).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a store is.
pub enum StoreAt<'a> {
    /// A SQLite file; made if it is missing.
    File(&'a Path),
    /// SQLite without a file, gone with its last handle.
    Memory,
    /// A MySQL or MariaDB database, as a URL.
    Server(&'a str),
}

/// A store's tables, as migrations in order, one list per dialect.
pub struct Schema {
    /// Names the table that remembers which migrations ran.
    pub name: &'static str,
    /// For SQLite.
    pub sqlite: &'static [&'static str],
    /// For MySQL and MariaDB, one statement each, since DDL is not transactional there.
    pub mysql: &'static [&'static str],
}

/// The inbox of webhooks and the checkpoints of consumers.
pub const INBOX: Schema = Schema {
    name: "inbox",
    sqlite: &[
        include_str!("../../migrations/sqlite/inbox/0001_webhook_inbox.sql"),
        include_str!("../../migrations/sqlite/inbox/0002_consumers.sql"),
        include_str!("../../migrations/sqlite/inbox/0003_announcements.sql"),
    ],
    mysql: &[
        include_str!("../../migrations/mysql/inbox/0001_webhook_inbox.sql"),
        include_str!("../../migrations/mysql/inbox/0002_consumers.sql"),
        include_str!("../../migrations/mysql/inbox/0003_announcements.sql"),
    ],
};

/// The sandbox gateway's books.
pub const SANDBOX: Schema = Schema {
    name: "sandbox",
    sqlite: &[
        include_str!("../../migrations/sqlite/sandbox/0001_payments.sql"),
        include_str!("../../migrations/sqlite/sandbox/0002_refunds.sql"),
        include_str!("../../migrations/sqlite/sandbox/0003_movements.sql"),
        include_str!("../../migrations/sqlite/sandbox/0004_deliveries.sql"),
    ],
    mysql: &[
        include_str!("../../migrations/mysql/sandbox/0001_payments.sql"),
        include_str!("../../migrations/mysql/sandbox/0002_refunds.sql"),
        include_str!("../../migrations/mysql/sandbox/0003_movements.sql"),
        include_str!("../../migrations/mysql/sandbox/0004_deliveries.sql"),
    ],
};

/// Why a store cannot be used. Says nothing of the URL, which may carry a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Connection, I/O, or a broken rule of a table. It is not certain whether a statement took effect.
    #[error("the store failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("the store's schema cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The tables are of another version of this program.
    #[error("the {store} store has schema version {found}, this program needs {needed}; run `tickiz migrate`")]
    Schema {
        /// Which store.
        store: &'static str,
        /// Its version.
        found: usize,
        /// This program's.
        needed: usize,
    },
    /// A row holds what this program would never write.
    #[error("a row of the store is damaged: {0}")]
    Damaged(String),
    /// Several asked together, and this is what became of it.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl RoundError for StoreError {
    fn shared(error: &Arc<Self>) -> Self {
        Self::Shared(Arc::clone(error))
    }

    fn closed() -> Self {
        Self::Sql(sqlx::Error::PoolClosed)
    }
}

/// A store's database. A cheap handle; clones share connections.
#[derive(Clone)]
pub enum Database {
    /// One connection: SQLite has one writer, and these stores are small.
    Sqlite(SqlitePool),
    /// A few connections.
    MySql(MySqlPool),
}

/// Runs the same text on whichever pool there is.
macro_rules! on_database {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::stores::Database::Sqlite($pool) => $body,
            $crate::stores::Database::MySql($pool) => $body,
        }
    };
}
pub(crate) use on_database;

impl Database {
    /// Opens a store. Its tables are neither made nor looked at.
    ///
    /// # Errors
    /// When the file or server cannot be reached.
    pub async fn open(at: &StoreAt<'_>) -> Result<Self, StoreError> {
        match at {
            StoreAt::File(path) => {
                Self::sqlite(SqliteConnectOptions::new().filename(path).create_if_missing(true)).await
            }
            StoreAt::Memory => Self::sqlite(SqliteConnectOptions::new().in_memory(true)).await,
            StoreAt::Server(url) => {
                let pool = MySqlPoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .test_before_acquire(false)
                    .before_acquire(|connection, meta| {
                        Box::pin(async move { Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) })
                    })
                    // No gap locks: two inserts into one unique key must not wait for each other crosswise.
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map(drop)
                        })
                    })
                    .connect(url)
                    .await?;
                Ok(Self::MySql(pool))
            }
        }
    }

    /// FULL, since an answered webhook must survive a loss of power.
    async fn sqlite(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // The one connection of a store without a file is the store.
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        Ok(Self::Sqlite(pool))
    }

    /// Brings the tables to this program's version. May be repeated.
    ///
    /// # Errors
    /// When a statement fails, or the tables are of a newer program.
    pub async fn migrate(&self, schema: &Schema) -> Result<(), StoreError> {
        on_database!(self, pool => migrator(schema, self.statements(schema)).run(pool).await?);
        Ok(())
    }

    /// Refuses tables of another version.
    ///
    /// # Errors
    /// [`StoreError::Schema`].
    pub async fn check_schema(&self, schema: &Schema) -> Result<(), StoreError> {
        let needed = self.statements(schema).len();
        let text = format!("SELECT COUNT(*) FROM {} WHERE success = TRUE", table_name(schema));
        let text = sqlx::AssertSqlSafe(text).into_sql_str();
        let found: Result<i64, sqlx::Error> =
            on_database!(self, pool => sqlx::query_scalar(text).persistent(false).fetch_one(pool).await);
        let found = match found {
            Ok(found) => usize::try_from(found).unwrap_or_default(),
            // The table is not there: nothing was ever migrated. Anything else is a failure of the store.
            Err(sqlx::Error::Database(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        if found == needed { Ok(()) } else { Err(StoreError::Schema { store: schema.name, found, needed }) }
    }

    const fn statements(&self, schema: &Schema) -> &'static [&'static str] {
        match self {
            Self::Sqlite(_) => schema.sqlite,
            Self::MySql(_) => schema.mysql,
        }
    }

    /// The connections: how many there are, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        on_database!(self, pool => (pool.size(), pool.num_idle()))
    }

    /// Closes the connections. Statements that run are waited for.
    pub async fn close(&self) {
        on_database!(self, pool => pool.close().await);
    }
}

/// Up to here each count has a statement of its own. As a rule a round is no longer, and then it is one statement without a transaction
/// around it.
const MAX_EXACT: usize = 16;

/// What many ask for, in pieces for one statement each. A long one is a power of two, so that few texts are prepared.
pub(crate) fn pieces<T>(mut all: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let log = all.len().checked_ilog2()?;
        let (piece, rest) = all.split_at(if all.len() <= MAX_EXACT { all.len() } else { 1 << log });
        all = rest;
        Some(piece)
    })
}

/// Runs statements: a single one by itself, several in one transaction.
macro_rules! execute_all {
    ($pool:ident, $queries:expr) => {{
        let mut queries: Vec<_> = $queries;
        match queries.len() {
            0 => {}
            1 => {
                if let Some(query) = queries.pop() {
                    query.execute($pool).await?;
                }
            }
            _ => {
                let mut transaction = $pool.begin().await?;
                for query in queries {
                    query.execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
    }};
}
pub(crate) use execute_all;

/// A statement's text with one `place` after the other between `head` and `tail`; the parts are constants of this program.
pub(crate) fn repeated(head: &str, place: &str, between: &str, count: usize, tail: &str) -> sqlx::SqlStr {
    let text = format!("{head}{}{tail}", vec![place; count].join(between));
    sqlx::AssertSqlSafe(text).into_sql_str()
}

fn table_name(schema: &Schema) -> String {
    format!("_sqlx_migrations_{}", schema.name)
}

fn migrator(schema: &Schema, statements: &'static [&'static str]) -> Migrator {
    let migrations = statements
        .iter()
        .zip(1..)
        .map(|(sql, version)| {
            Migration::new(version, Cow::Borrowed(schema.name), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    // Each store has its own memory, since several share one database.
    migrator.dangerous_set_table_name(table_name(schema));
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_statements_come_in_few_texts() {
        let all: Vec<u8> = (0..100).collect();
        assert_eq!(pieces(&all).map(<[u8]>::len).collect::<Vec<_>>(), [64, 32, 4]);
        assert_eq!(pieces(&all[..13]).map(<[u8]>::len).collect::<Vec<_>>(), [13]);
        assert_eq!(pieces(&all).flatten().copied().collect::<Vec<_>>(), all);
        assert_eq!(pieces::<u8>(&[]).count(), 0);
        assert_eq!(repeated("SELECT a WHERE b IN (", "?", ", ", 2, ")").as_str(), "SELECT a WHERE b IN (?, ?)");
    }

    #[tokio::test]
    async fn a_store_of_another_version_is_refused_and_migration_may_be_repeated() {
        let database = Database::open(&StoreAt::Memory).await.unwrap();
        let found = database.check_schema(&INBOX).await;
        assert!(matches!(found, Err(StoreError::Schema { store: "inbox", found: 0, .. })), "{found:?}");
        for _ in 0..2 {
            database.migrate(&INBOX).await.unwrap();
            database.migrate(&SANDBOX).await.unwrap();
        }
        database.check_schema(&INBOX).await.unwrap();
        database.check_schema(&SANDBOX).await.unwrap();
    }
}
