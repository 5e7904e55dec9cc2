//! The schema of the log: one statement a migration on MySQL, where DDL is not transactional, each written to be repeatable.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
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

/// Brings the file to this version. A lock file beside it keeps two processes from doing so at once.
///
/// # Errors
/// When the file cannot be written, or was made by a version that differs.
pub async fn sqlite(store: &SqliteStore) -> Result<(), StoreError> {
    migrator(sqlite_steps()).run(store.pool()).await.map_err(|error| StoreError(error.to_string().into()))
}

/// Brings the database to this version, under the server's own advisory lock.
///
/// # Errors
/// When the user may not, or the database was made by a version that differs.
pub async fn mysql(store: &MySqlStore) -> Result<(), StoreError> {
    migrator(mysql_steps()).run(store.pool()).await.map_err(|error| StoreError(error.to_string().into()))
}
