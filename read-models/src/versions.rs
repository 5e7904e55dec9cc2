//! Versions of a projection: how another one is made beside the one that answers, and how the pointer is flipped.
//!
//! A build is noted in `projection_builds`, so that one that was interrupted goes on where its checkpoint is. The pointer is moved only
//! to a version that has come at least as far as the one that answers, in one transaction with that comparison: nobody is taken
//! back in time. The version that was left keeps its rows until the next build, so that going back is bringing it up to date and
//! flipping once more.

use crate::{
    Position, Projection, ReadError, ReadStore,
    migrations::tables_of,
    projection::SHARD,
    sql::{Pools, Session, Value},
    store::READ_CHECKPOINT,
};

pub(crate) const READ_ACTIVE: &str = "SELECT active_version FROM projections WHERE name = ?";
const READ_BUILD: &str = "SELECT version FROM projection_builds WHERE name = ?";
const READ_VERSIONS_OF: &str =
    "SELECT version FROM projection_checkpoints WHERE name = ? AND shard = ? ORDER BY version";
const BEGIN_BUILD: &str = "INSERT INTO projection_builds (name, version) VALUES (?, ?)";
const END_BUILD: &str = "DELETE FROM projection_builds WHERE name = ?";
const BEGIN_CHECKPOINT: &str =
    "INSERT INTO projection_checkpoints (name, version, shard, position) VALUES (?, ?, ?, 0)";
const FORGET_CHECKPOINT: &str = "DELETE FROM projection_checkpoints WHERE name = ? AND version = ?";
const FORGET_ASIDE: &str = "DELETE FROM projection_set_aside WHERE name = ? AND version = ?";
const FLIP: &str = "UPDATE projections SET active_version = ? WHERE name = ? AND active_version = ?";

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

    /// Begins a new version beside the one that answers, or goes on with one that was begun; its number. Versions that were left
    /// are dropped before a new one begins.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_build(&self, projection: Projection) -> Result<i32, ReadError> {
        let Versions { active, building, left } = self.versions_of(projection).await?;
        if let Some(building) = building {
            self.make_tables(projection, building).await?;
            return Ok(building);
        }
        // Numbers are not used again: who still reads a version that was dropped is to find nothing rather than half of another.
        let next = left.iter().copied().fold(active, i32::max) + 1;
        for version in left {
            self.drop_version(projection, version).await?;
        }
        self.make_tables(projection, next).await?;
        let mut session = self.inner.pools.write().await?;
        let name: Value = projection.name().into();
        session.execute(BEGIN_CHECKPOINT, vec![name.clone(), i64::from(next).into(), SHARD.into()]).await?;
        session.execute(BEGIN_BUILD, vec![name, i64::from(next).into()]).await?;
        session.commit().await?;
        Ok(next)
    }

    /// Lets another version answer, if it has come as far as the one that answers now; false where it has not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn flip(&self, projection: Projection, to: i32) -> Result<bool, ReadError> {
        let mut session = self.inner.pools.write().await?;
        let from = versions(&mut session, projection).await?.active;
        let there = locked_checkpoint(&self.inner.pools, &mut session, projection, from).await?;
        if locked_checkpoint(&self.inner.pools, &mut session, projection, to).await? < there {
            return Ok(false);
        }
        let name: Value = projection.name().into();
        let binds = vec![i64::from(to).into(), name.clone(), i64::from(from).into()];
        let moved = session.execute(FLIP, binds).await?;
        session.execute(END_BUILD, vec![name]).await?;
        session.commit().await?;
        self.load_versions().await?;
        Ok(moved == 1)
    }

    /// Drops a version that nobody is to read any more.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When it is the one that answers.
    pub async fn drop_version(&self, projection: Projection, version: i32) -> Result<(), ReadError> {
        let versions = self.versions_of(projection).await?;
        assert!(versions.active != version, "the version that answers is not dropped");
        let mut session = self.inner.pools.write().await?;
        let binds: Vec<Value> = vec![projection.name().into(), i64::from(version).into()];
        session.execute(FORGET_ASIDE, binds.clone()).await?;
        session.execute(FORGET_CHECKPOINT, binds).await?;
        if versions.building == Some(version) {
            session.execute(END_BUILD, vec![projection.name().into()]).await?;
        }
        session.commit().await?;
        // Version 1 is of the schema: it is emptied, and may be built again.
        for table in projection.tables() {
            let table = table.replace("_v1", &format!("_v{version}"));
            let statement =
                if version == 1 { format!("DELETE FROM {table}") } else { format!("DROP TABLE IF EXISTS {table}") };
            let mut session = self.inner.pools.write().await?;
            session.execute(statement, vec![]).await?;
            session.commit().await?;
        }
        Ok(())
    }

    async fn make_tables(&self, projection: Projection, version: i32) -> Result<(), ReadError> {
        for statement in tables_of(&self.inner.pools, projection.tables(), version) {
            let mut session = self.inner.pools.write().await?;
            session.execute(statement, vec![]).await?;
            session.commit().await?;
        }
        Ok(())
    }
}

async fn versions(session: &mut Session, projection: Projection) -> Result<Versions, ReadError> {
    let name: Value = projection.name().into();
    let active = session.rows(READ_ACTIVE, vec![name.clone()]).await?;
    let missing = || ReadError::Damaged { table: "projections", what: format!("it has no row of {projection}") };
    let active = version(active.first().ok_or_else(missing)?.int(0)?)?;
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

/// A checkpoint that nobody moves until the transaction ends. SQLite's whole file is locked by then.
async fn locked_checkpoint(
    pools: &Pools,
    session: &mut Session,
    projection: Projection,
    version: i32,
) -> Result<Position, ReadError> {
    let lock = match pools {
        Pools::Sqlite { .. } => "",
        Pools::MySql { .. } => " FOR UPDATE",
    };
    let binds = vec![projection.name().into(), i64::from(version).into(), SHARD.into()];
    let rows = session.rows(format!("{READ_CHECKPOINT}{lock}"), binds).await?;
    let missing = || ReadError::Damaged {
        table: "projection_checkpoints",
        what: format!("it has no row of {projection} version {version}"),
    };
    Ok(rows.first().ok_or_else(missing)?.int(0)?)
}
