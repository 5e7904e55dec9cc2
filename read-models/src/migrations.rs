//! The schema: migrations in `migrations/{sqlite,mysql}/read-models`, one statement a file (DDL is not transactional on MySQL),
//! recorded in a table of their own, since the event log may live in the same database.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::{ReadError, sql::Pools, store::ReadStore};

/// Where it is recorded what was applied.
const HISTORY_TABLE: &str = "read_models_migrations";
/// The newest version that was applied.
const NEWEST_APPLIED: &str = "SELECT COALESCE(MAX(version), 0) FROM read_models_migrations WHERE success = TRUE";

macro_rules! files {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../migrations/", $folder, "/read-models/", $file)))),+]
    };
}

const SQLITE: &[(&str, &str)] = files!("sqlite":
    "0001_projections.sql",
    "0002_projections_rows.sql",
    "0003_projection_checkpoints.sql",
    "0004_projection_checkpoints_rows.sql",
    "0005_projection_set_aside.sql",
    "0006_rm_events_v1.sql",
    "0007_rm_events_v1_starts_at.sql",
    "0008_rm_events_v1_published_at.sql",
    "0009_rm_availability_v1.sql",
    "0010_rm_availability_v1_taken.sql",
    "0011_rm_availability_v1_price_key.sql",
    "0012_rm_seats_v1.sql",
    "0013_rm_seat_plans.sql",
    "0014_rm_bookings_v1.sql",
    "0015_rm_bookings_v1_event.sql",
    "0016_projection_builds.sql",
    "0017_projection_numbers.sql",
    "0018_rm_reports_v1.sql",
    "0019_rm_reports_v1_organizer.sql",
    "0020_rm_reports_v1_event.sql",
    "0021_projections_reports.sql",
    "0022_projection_checkpoints_reports.sql",
);

const MYSQL: &[(&str, &str)] = files!("mysql":
    "0001_projections.sql",
    "0002_projections_rows.sql",
    "0003_projection_checkpoints.sql",
    "0004_projection_checkpoints_rows.sql",
    "0005_projection_set_aside.sql",
    "0006_rm_events_v1.sql",
    "0007_rm_availability_v1.sql",
    "0008_rm_seats_v1.sql",
    "0009_rm_seat_plans.sql",
    "0010_rm_bookings_v1.sql",
    "0011_projection_builds.sql",
    "0012_projection_numbers.sql",
    "0013_rm_reports_v1.sql",
    "0014_projections_reports.sql",
    "0015_projection_checkpoints_reports.sql",
);

/// The statements that make the tables of a version of these kinds, each harmless where it was run before.
pub(crate) fn tables_of(pools: &Pools, tables: &[&str], version: i32) -> Vec<String> {
    let files = match pools {
        Pools::Sqlite { .. } => SQLITE,
        Pools::MySql { .. } => MYSQL,
    };
    let ours = files.iter().filter(|(file, _)| {
        let name = file.split_once('_').map_or("", |(_, rest)| rest);
        tables.iter().any(|table| name.starts_with(table))
    });
    let again = |sql: &str| {
        let sql = sql.replace("_v1", &format!("_v{version}"));
        if sql.contains("IF NOT EXISTS") {
            return sql;
        }
        sql.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ")
            .replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ")
    };
    ours.map(|(_, sql)| again(sql)).collect()
}

/// The version that a file's name begins with.
fn version_of(file: &str) -> i64 {
    file.split('_')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a migration's file name begins with its number")
}

fn migrator(files: &'static [(&'static str, &'static str)]) -> Migrator {
    let migrations = files.iter().map(|(file, sql)| {
        let description = file.trim_end_matches(".sql").split_once('_').map_or("", |(_, rest)| rest);
        Migration::new(version_of(file), Cow::Borrowed(description), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(HISTORY_TABLE);
    migrator
}

impl ReadStore {
    /// The version of the schema that this program needs.
    #[must_use]
    pub fn wanted_schema(&self) -> i64 {
        let files = match self.inner.pools {
            Pools::Sqlite { .. } => SQLITE,
            Pools::MySql { .. } => MYSQL,
        };
        files.iter().map(|(file, _)| version_of(file)).max().unwrap_or(0)
    }

    /// Brings the schema to this program's version. May be repeated, and run by several processes at once.
    ///
    /// # Errors
    /// When the store fails, or has a newer schema or another history.
    pub async fn migrate(&self) -> Result<(), ReadError> {
        match &self.inner.pools {
            Pools::Sqlite { writer, .. } => {
                // SQLite has no lock that outlives a transaction, so the file beside it is one.
                let _lock = self.inner.lock_file.as_deref().map(lock).transpose()?;
                migrator(SQLITE).run(writer).await?;
            }
            Pools::MySql { writers, .. } => migrator(MYSQL).run(writers).await?,
        }
        self.check_schema().await
    }

    /// Refuses a store whose schema is not this program's.
    ///
    /// # Errors
    /// [`ReadError::Schema`], and when the store fails.
    pub async fn check_schema(&self) -> Result<(), ReadError> {
        let mut session = self.inner.pools.reader().await?;
        let found = match session.rows(NEWEST_APPLIED, vec![]).await {
            Ok(rows) => rows.first().map_or(Ok(0), |row| row.int(0))?,
            // No such table: nothing was ever applied.
            Err(sqlx::Error::Database(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        drop(session);
        let wanted = self.wanted_schema();
        if found == wanted { self.load_versions().await } else { Err(ReadError::Schema { found, wanted }) }
    }
}

fn lock(path: &std::path::Path) -> Result<std::fs::File, std::io::Error> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_once_and_in_order() {
        for (folder, files) in [("sqlite", SQLITE), ("mysql", MYSQL)] {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
            let mut found: Vec<String> = std::fs::read_dir(format!("{path}/{folder}/read-models"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(files.iter().map(|(file, _)| *file).collect::<Vec<_>>(), found);
            let versions: Vec<i64> = files.iter().map(|(file, _)| version_of(file)).collect();
            assert_eq!(versions, (1..=i64::try_from(files.len()).unwrap()).collect::<Vec<_>>());
            for (file, sql) in files {
                assert!(!sql.trim_end().contains(';'), "{file} is one statement");
            }
        }
    }
}
