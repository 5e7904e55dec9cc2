//! Versions of a projection: how another one is made beside the one that answers, and how the pointer is flipped.
//!
//! A build is noted in `projection_builds`, so that one that was interrupted goes on where its checkpoint is. The pointer is moved
//! under the lock of the checkpoint of the version that answers, to a version that has come at least as far: nobody is taken back
//! in time. The version that was left keeps its rows until the next build, so that going back is bringing it up to date and flipping
//! once more.
//!
//! # Why dropping a version harms nobody
//! * It is forgotten first, in one transaction; its tables go then. Killed in between, the tables that are listed nowhere are found
//!   and dropped before the next build.
//! * A number is used once (`projection_numbers`). So if a version answers after a question, it has answered all along, and what was
//!   read is whole. A reader that found nothing, or failed, looks whether the pointer has moved, and if so asks the other version
//!   ([`ReadStore::has_moved`]).
//! * Locks are taken in one order: the pointer's row, the checkpoint of the version that answers, the other checkpoints.

use std::collections::BTreeSet;

use crate::{
    Position, Projection, ReadError, ReadStore, WriteTx,
    migrations::tables_of,
    projection::SHARD,
    sql::{Pools, Session, Upsert, Value},
    store::READ_CHECKPOINT,
};

pub(crate) const READ_ACTIVE: &str = "SELECT active_version FROM projections WHERE name = ?";
const READ_BUILD: &str = "SELECT version FROM projection_builds WHERE name = ?";
const READ_LAST: &str = "SELECT last_version FROM projection_numbers WHERE name = ?";
const READ_VERSIONS_OF: &str =
    "SELECT version FROM projection_checkpoints WHERE name = ? AND shard = ? ORDER BY version";
const BEGIN_BUILD: &str = "INSERT INTO projection_builds (name, version) VALUES (?, ?)";
const END_BUILD: &str = "DELETE FROM projection_builds WHERE name = ? AND version = ?";
const WRITE_LAST: Upsert = Upsert {
    insert: "INSERT INTO projection_numbers (name, last_version) VALUES",
    columns: 2,
    sqlite: "ON CONFLICT (name) DO UPDATE SET last_version = excluded.last_version",
    mysql: "ON DUPLICATE KEY UPDATE last_version = VALUES(last_version)",
};
const BEGIN_CHECKPOINT: &str =
    "INSERT INTO projection_checkpoints (name, version, shard, position) VALUES (?, ?, ?, 0)";
const FORGET_CHECKPOINT: &str = "DELETE FROM projection_checkpoints WHERE name = ? AND version = ?";
const FORGET_ASIDE: &str = "DELETE FROM projection_set_aside WHERE name = ? AND version = ?";
const FLIP: &str = "UPDATE projections SET active_version = ? WHERE name = ?";
const TABLES_SQLITE: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";
/// Cast, since the server gives names as binary strings.
const TABLES_MYSQL: &str =
    "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()";

/// The versions that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The one that answers.
    pub active: i32,
    /// The one that is being built.
    pub building: Option<i32>,
    /// All others, rising.
    pub left: Vec<i32>,
}

fn version(value: i64) -> Result<i32, ReadError> {
    let damaged = |_| ReadError::Damaged { table: "projection_checkpoints", what: format!("a version {value}") };
    i32::try_from(value).map_err(damaged)
}

impl ReadStore {
    /// The versions of a projection, as the store has them now.
    ///
    /// # Errors
    /// When the store fails or has no such projection.
    pub async fn versions_of(&self, projection: Projection) -> Result<Versions, ReadError> {
        versions(&mut self.inner.pools.snapshot().await?, projection).await
    }

    /// Whether somebody who asked that version has to ask again: he got less than he might have, or the server refused, and another
    /// version answers by now. Where that cannot be found out, what he got has to do.
    pub(crate) async fn has_moved<T>(
        &self,
        projection: Projection,
        asked: i32,
        answer: &Result<T, ReadError>,
        got_all: impl FnOnce(&T) -> bool + Send,
    ) -> bool {
        let is_sure = match answer {
            Ok(answer) => got_all(answer),
            // A table or a checkpoint that is gone. A server that cannot be reached would only be waited for once more.
            Err(ReadError::Store(sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. })) => false,
            Err(_) => true,
        };
        !is_sure && self.load_versions().await.is_ok() && self.version(projection) != asked
    }

    /// Begins a new version beside the one that answers, or goes on with one that was begun; its number. Versions that were left
    /// are dropped before a new one begins.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_build(&self, projection: Projection) -> Result<i32, ReadError> {
        let mut session = self.inner.pools.write().await?;
        lock_pointer(&self.inner.pools, &mut session, projection).await?;
        let Versions { active, building, left } = versions(&mut session, projection).await?;
        let building = match building {
            Some(building) => building,
            None => {
                let name: Value = projection.name().into();
                let last = session.rows(READ_LAST, vec![name.clone()]).await?;
                let last = last.first().map(|row| version(row.int(0)?)).transpose()?.unwrap_or(active);
                let next = left.iter().copied().fold(last.max(active), i32::max) + 1;
                for version in left {
                    forget(&mut session, projection, version).await?;
                }
                session.upsert(&WRITE_LAST, 1, vec![name.clone(), i64::from(next).into()]).await?;
                session.execute(BEGIN_CHECKPOINT, vec![name.clone(), i64::from(next).into(), SHARD.into()]).await?;
                session.execute(BEGIN_BUILD, vec![name, i64::from(next).into()]).await?;
                next
            }
        };
        session.commit().await?;
        self.sweep(projection).await?;
        for statement in tables_of(&self.inner.pools, projection.tables(), building) {
            self.execute(statement).await?;
        }
        Ok(building)
    }

    /// Drops a version that nobody is to read any more.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When it is the one that answers.
    pub async fn drop_version(&self, projection: Projection, version: i32) -> Result<(), ReadError> {
        let mut session = self.inner.pools.write().await?;
        let active = lock_pointer(&self.inner.pools, &mut session, projection).await?;
        assert!(active != version, "the version that answers is not dropped");
        forget(&mut session, projection, version).await?;
        session.commit().await?;
        self.sweep(projection).await
    }

    /// Drops the tables of all versions that are listed nowhere. Those of version 1 are the schema's, and are only emptied.
    async fn sweep(&self, projection: Projection) -> Result<(), ReadError> {
        let mut session = self.inner.pools.snapshot().await?;
        let Versions { active, building, left } = versions(&mut session, projection).await?;
        let listed: BTreeSet<i32> = left.into_iter().chain([active]).chain(building).collect();
        let tables = match &self.inner.pools {
            Pools::Sqlite { .. } => TABLES_SQLITE,
            Pools::MySql { .. } => TABLES_MYSQL,
        };
        let tables = session.rows(tables, vec![]).await?;
        session.commit().await?;
        for row in tables {
            let table = row.text(0)?;
            let of = |first: &&str| table.strip_prefix(first.trim_end_matches('1'))?.parse::<i32>().ok();
            let Some(version) = projection.tables().iter().find_map(of).filter(|found| !listed.contains(found)) else {
                continue;
            };
            let statement = match (&self.inner.pools, version) {
                (Pools::Sqlite { .. }, 1) => format!("DELETE FROM {table}"),
                (Pools::MySql { .. }, 1) => format!("TRUNCATE TABLE {table}"),
                _ => format!("DROP TABLE IF EXISTS {table}"),
            };
            self.execute(statement).await?;
        }
        Ok(())
    }

    async fn execute(&self, statement: String) -> Result<(), ReadError> {
        let mut session = self.inner.pools.write().await?;
        session.execute(statement, vec![]).await?;
        Ok(session.commit().await?)
    }
}

/// What moving the pointer has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version that answers.
    pub active: i32,
    /// Up to where that one is complete. It stands still until the transaction ends.
    pub there: Position,
    /// Up to where the version of this transaction is complete.
    pub here: Position,
}

impl WriteTx {
    /// Lets nobody move the pointer, or project the version that answers, until the transaction ends.
    ///
    /// # Errors
    /// When the store fails, or the version of this transaction was dropped.
    pub async fn hold_pointer(&mut self) -> Result<Standing, ReadError> {
        let (pools, projection, version) = (self.store.inner.pools.clone(), self.projection, self.version);
        let active = lock_pointer(&pools, &mut self.session, projection).await?;
        let there = locked_checkpoint(&pools, &mut self.session, projection, active).await?;
        let here = locked_checkpoint(&pools, &mut self.session, projection, version).await?;
        Ok(Standing { active, there, here })
    }

    /// Lets the version of this transaction answer, from the commit on. [`WriteTx::hold_pointer`] comes before it, and the version
    /// has to have come as far as the one that answers.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn flip(mut self) -> Result<(), ReadError> {
        let (name, version): (Value, Value) = (self.projection.name().into(), i64::from(self.version).into());
        let moved = self.session.execute(FLIP, vec![version.clone(), name.clone()]).await?;
        assert_eq!(moved, 1, "a projection has one pointer");
        self.session.execute(END_BUILD, vec![name, version]).await?;
        let store = self.store.clone();
        self.commit().await?;
        store.load_versions().await
    }
}

async fn forget(session: &mut Session, projection: Projection, version: i32) -> Result<(), ReadError> {
    let binds: Vec<Value> = vec![projection.name().into(), i64::from(version).into()];
    for statement in [FORGET_ASIDE, FORGET_CHECKPOINT, END_BUILD] {
        session.execute(statement, binds.clone()).await?;
    }
    Ok(())
}

/// What locks the row that a SELECT finds. SQLite's whole file is locked by then.
const fn for_update(pools: &Pools) -> &'static str {
    match pools {
        Pools::Sqlite { .. } => "",
        Pools::MySql { .. } => " FOR UPDATE",
    }
}

/// The version that answers; it stays so until the transaction ends.
async fn lock_pointer(pools: &Pools, session: &mut Session, projection: Projection) -> Result<i32, ReadError> {
    let rows = session.rows(format!("{READ_ACTIVE}{}", for_update(pools)), vec![projection.name().into()]).await?;
    active_of(&rows, projection)
}

fn active_of(rows: &[crate::sql::Row], projection: Projection) -> Result<i32, ReadError> {
    let missing = || ReadError::Damaged { table: "projections", what: format!("it has no row of {projection}") };
    version(rows.first().ok_or_else(missing)?.int(0)?)
}

pub(crate) async fn active_version(session: &mut Session, projection: Projection) -> Result<i32, ReadError> {
    active_of(&session.rows(READ_ACTIVE, vec![projection.name().into()]).await?, projection)
}

async fn versions(session: &mut Session, projection: Projection) -> Result<Versions, ReadError> {
    let name: Value = projection.name().into();
    let active = active_version(session, projection).await?;
    let building = session.rows(READ_BUILD, vec![name.clone()]).await?;
    let building = building.first().map(|row| version(row.int(0)?)).transpose()?;
    let mut left = Vec::new();
    for row in session.rows(READ_VERSIONS_OF, vec![name, SHARD.into()]).await? {
        let found = version(row.int(0)?)?;
        if found != active && Some(found) != building {
            left.push(found);
        }
    }
    Ok(Versions { active, building, left })
}

/// A checkpoint that nobody moves until the transaction ends.
async fn locked_checkpoint(
    pools: &Pools,
    session: &mut Session,
    projection: Projection,
    version: i32,
) -> Result<Position, ReadError> {
    let binds = vec![projection.name().into(), i64::from(version).into(), SHARD.into()];
    let rows = session.rows(format!("{READ_CHECKPOINT}{}", for_update(pools)), binds).await?;
    let missing = || ReadError::Damaged {
        table: "projection_checkpoints",
        what: format!("it has no row of {projection} version {version}"),
    };
    Ok(rows.first().ok_or_else(missing)?.int(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tables_that_a_killed_process_left_are_gone_before_the_next_build_and_their_number_is_not_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ReadStore::open_sqlite(&folder.path().join("read.db")).await.expect("it opens");
        store.migrate().await.expect("the schema");
        let second = store.begin_build(Projection::Bookings).await.expect("it begins");
        assert_eq!(second, 2);
        let row = "INSERT INTO rm_bookings_v2 (booking_id, event_id, status, document, position) VALUES (x'01', x'01', 'HELD', '', 1)";
        store.execute(row.to_owned()).await.expect("a row of it");
        // Killed after it was forgotten and before its tables went.
        let mut session = store.inner.pools.write().await.expect("a transaction");
        forget(&mut session, Projection::Bookings, second).await.expect("it is forgotten");
        session.commit().await.expect("it commits");
        let third = store.begin_build(Projection::Bookings).await.expect("it begins");
        assert_eq!(third, 3);
        let mut session = store.inner.pools.snapshot().await.expect("a transaction");
        let tables = session.rows(TABLES_SQLITE, vec![]).await.expect("the tables");
        let tables: BTreeSet<String> = tables.iter().map(|row| row.text(0).expect("a name")).collect();
        let of_bookings: Vec<_> = tables.iter().filter(|table| table.starts_with("rm_bookings")).collect();
        assert_eq!(of_bookings, ["rm_bookings_v1", "rm_bookings_v3"]);
    }
}
