//! The schema of the log: one statement a migration on MySQL, where DDL is not transactional, each written to be repeatable.

use std::{borrow::Cow, fs::File, path::Path};

use sqlx::{
    Connection, MySqlConnection, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    mysql::MySqlDatabaseError,
};

use crate::{
    record::StoreError,
    stores::{mysql::MySqlStore, sqlite::SqliteStore},
};

macro_rules! migrations {
    ($folder:literal: $($version:literal $name:literal),+ $(,)?) => {
        vec![$((
            $version,
            $name,
            include_str!(concat!("../../migrations/", $folder, "/log/", $name, ".sql")),
        )),+]
    };
}

type Step = (i64, &'static str, &'static str);

fn mysql_steps() -> Vec<Step> {
    migrations!("mysql":
        1 "0001_events", 2 "0002_log_head", 3 "0003_log_head_row", 4 "0004_claims", 5 "0005_timers", 6 "0006_receipts",
        7 "0007_attachments", 8 "0008_person_keys", 9 "0009_keyring", 10 "0010_snapshots",
    )
}

fn sqlite_steps() -> Vec<Step> {
    migrations!("sqlite": 1 "0001_log")
}

fn migrator(steps: Vec<Step>) -> Migrator {
    let migrations = steps
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    // Other parts of the program keep their own tables in the same database.
    migrator.set_ignore_missing(true).dangerous_set_table_name("log_migrations");
    migrator
}

/// A schema's version: its newest migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// What the store has; 0: nothing.
    pub found: i64,
    /// What this program brings.
    pub wanted: i64,
}

impl SchemaVersion {
    /// Whether this program can work with it. A newer schema serves an older program, since migrations only add until no
    /// program of the old version is left; an older one lacks what this program asks for.
    #[must_use]
    pub const fn serves(self) -> bool {
        self.found >= self.wanted
    }
}

fn newest(steps: &[Step]) -> i64 {
    steps.last().map_or(0, |(version, _, _)| *version)
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string().into())
}

/// The lock of a SQLite file: an empty file beside it, locked by the operating system as long as the value lives. SQLite has
/// no advisory lock of its own, and answers "locked" at once, without waiting, to one of two processes that switch a new file
/// to WAL together.
///
/// # Errors
/// When the file beside cannot be made.
pub(crate) async fn lock_beside(path: &Path) -> Result<File, StoreError> {
    let beside = path.with_added_extension("lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(beside)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    locked.await.map_err(failed)?.map_err(failed)
}

/// Brings the file to this version. A lock file beside it keeps two processes from doing so at once.
///
/// # Errors
/// When the file cannot be written, or was made by a version that differs.
pub async fn sqlite(store: &SqliteStore) -> Result<(), StoreError> {
    let _lock = lock_beside(store.path()).await?;
    migrator(sqlite_steps()).run(store.pool()).await.map_err(failed)
}

/// The version of the file's schema.
///
/// # Errors
/// When the file cannot be read.
pub async fn sqlite_version(store: &SqliteStore) -> Result<SchemaVersion, StoreError> {
    let there: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'log_migrations'")
            .fetch_one(store.pool())
            .await?;
    let found = if there == 0 { 0 } else { sqlx::query_scalar(SELECT_NEWEST).fetch_one(store.pool()).await? };
    Ok(SchemaVersion { found, wanted: newest(&sqlite_steps()) })
}

/// How long a process waits for another that migrates, in seconds.
const MIGRATION_PATIENCE_S: i64 = 300;

/// The server's advisory lock for this database. The migrator of sqlx has one too, but asks for it with a negative timeout,
/// which MariaDB takes for none at all, so that of two processes that start together one fails.
async fn lock_database(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    let got: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT('tickiz/log/', LEFT(SHA2(DATABASE(), 256), 32)), ?)")
            .bind(MIGRATION_PATIENCE_S)
            .fetch_one(connection)
            .await?;
    if got == Some(1) { Ok(()) } else { Err(failed("another process migrates the log, and does not end")) }
}

/// Brings the database to this version, under the server's own advisory lock.
///
/// # Errors
/// When the user may not, or the database was made by a version that differs.
pub async fn mysql(store: &MySqlStore) -> Result<(), StoreError> {
    // Detached, so that it is closed at the end and the lock with it, however this ends.
    let mut lock = store.pool().acquire().await?.detach();
    lock_database(&mut lock).await?;
    let migrator = migrator(mysql_steps());
    let done = match migrator.run(store.pool()).await {
        // A process was killed within that step. Each step is one repeatable statement, so it is simply done again.
        Err(MigrateError::Dirty(version)) => {
            let forget = sqlx::query("DELETE FROM log_migrations WHERE version = ? AND success = FALSE").bind(version);
            forget.execute(store.pool()).await?;
            migrator.run(store.pool()).await
        }
        other => other,
    };
    done.map_err(failed)?;
    forbid_changes(store).await?;
    Ok(lock.close().await?)
}

/// The version of the database's schema.
///
/// # Errors
/// When the server cannot be asked.
pub async fn mysql_version(store: &MySqlStore) -> Result<SchemaVersion, StoreError> {
    let there: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'log_migrations'",
    )
    .fetch_one(store.pool())
    .await?;
    let found = if there == 0 { 0 } else { sqlx::query_scalar(SELECT_NEWEST).fetch_one(store.pool()).await? };
    Ok(SchemaVersion { found, wanted: newest(&mysql_steps()) })
}

const SELECT_NEWEST: &str = "SELECT COALESCE(MAX(version), 0) FROM log_migrations WHERE success = TRUE";

/// The triggers that make domain events immutable, and their names. Not a migration, since with the binary log on a server lets only
/// administrators make triggers (error 1419), unless `log_bin_trust_function_creators` is set; an ordinary user goes on without
/// them, and is told what to grant instead.
const TRIGGERS: [(&str, &str); 2] = [
    ("events_are_never_updated", include_str!("../../migrations/mysql/log/triggers/events_are_never_updated.sql")),
    ("events_are_never_deleted", include_str!("../../migrations/mysql/log/triggers/events_are_never_deleted.sql")),
];

/// What a server answers when this user may not make triggers: ER_TABLEACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED,
/// ER_BINLOG_CREATE_ROUTINE_NEED_SUPER.
const MAY_NOT: [u16; 3] = [1142, 1227, 1419];

async fn forbid_changes(store: &MySqlStore) -> Result<(), StoreError> {
    for (name, sql) in TRIGGERS {
        // Asked first: making a trigger waits for every transaction on the table, even where it is there already.
        let there: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name = ?",
        )
        .bind(name)
        .fetch_one(store.pool())
        .await?;
        if there > 0 {
            continue;
        }
        match sqlx::raw_sql(sql).execute(store.pool()).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if may_not(&*error) => {
                tracing::warn!(
                    %error,
                    trigger = name,
                    "this user may not make triggers; grant the running program SELECT and INSERT on `events`, \
                     but neither UPDATE nor DELETE"
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn may_not(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|error| MAY_NOT.contains(&error.number()))
}
