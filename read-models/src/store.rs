//! One handle on the read models, and the transaction in which a projection writes.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tickiz_together::Together;
use uuid::Uuid;

use crate::{
    Position, ReadError, SetAside,
    events::houses::Houses,
    plans::PlanCache,
    projection::{Checkpoints, Projection, SHARD},
    rounds::{AreSetAside, ReadBookings},
    sql::{Pools, Session, Upsert, Value},
    versions::{READ_ACTIVE, active_version},
};

/// How a MySQL or MariaDB is used.
#[derive(Clone, Debug)]
pub struct MySqlOptions {
    /// The most connections of this process that read; up to three more write.
    pub max_connections: u32,
    /// How long a question waits for a connection.
    pub acquire_timeout: Duration,
}

impl Default for MySqlOptions {
    fn default() -> Self {
        // As many as a server of average size answers at once; five seconds, since nobody waits longer for a page.
        Self { max_connections: 16, acquire_timeout: Duration::from_secs(5) }
    }
}

/// The read models. A cheap handle; clones share connections, caches and what is known of checkpoints.
#[derive(Clone, Debug)]
pub struct ReadStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) pools: Pools,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) plans: PlanCache,
    pub(crate) houses: Houses,
    pub(crate) lock_file: Option<PathBuf>,
    pub(crate) bookings: Together<ReadBookings>,
    pub(crate) aside: Together<AreSetAside>,
    /// The version of each projection that answers, as last looked up.
    versions: [AtomicI32; Projection::ALL.len()],
}

impl ReadStore {
    fn over(pools: Pools, lock_file: Option<PathBuf>) -> Self {
        let inner = Inner {
            bookings: Together::start(ReadBookings(pools.clone())),
            aside: Together::start(AreSetAside(pools.clone())),
            pools,
            checkpoints: Checkpoints::new(),
            plans: PlanCache::default(),
            houses: Houses::default(),
            lock_file,
            versions: [const { AtomicI32::new(1) }; Projection::ALL.len()],
        };
        Self { inner: Arc::new(inner) }
    }

    /// Opens or makes a SQLite file, its folder too: one writer, several readers, write-ahead log, synchronous NORMAL (a loss of
    /// power may forget the newest transactions; they are projected again). [`ReadStore::migrate`] or [`ReadStore::check_schema`] is
    /// the first thing to call.
    ///
    /// # Errors
    /// When the file or its folder cannot be used.
    pub async fn open_sqlite(path: &Path) -> Result<Self, ReadError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut lock_file = path.as_os_str().to_owned();
        lock_file.push(".migrating");
        Ok(Self::over(Pools::sqlite_file(path).await?, Some(lock_file.into())))
    }

    /// SQLite without a file, for tests and simulation: one connection, which readers and writers share. It is gone with the last
    /// handle. Its schema is this program's.
    ///
    /// # Errors
    /// When SQLite fails.
    pub async fn open_memory() -> Result<Self, ReadError> {
        let store = Self::over(Pools::sqlite_memory().await?, None);
        store.migrate().await?;
        Ok(store)
    }

    /// Connects to MySQL 9 or MariaDB 10.11 and above. [`ReadStore::migrate`] or [`ReadStore::check_schema`] is the first thing to
    /// call.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open_mysql(url: &str, options: MySqlOptions) -> Result<Self, ReadError> {
        Ok(Self::over(Pools::mysql(url, &options).await?, None))
    }

    /// Closes all connections. What comes after fails.
    pub async fn close(&self) {
        self.inner.pools.close().await;
    }

    /// The version of a projection that answers.
    #[must_use]
    pub fn version(&self, projection: Projection) -> i32 {
        self.inner.versions[projection as usize].load(Ordering::Relaxed)
    }

    /// Looks up which versions answer.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load_versions(&self) -> Result<(), ReadError> {
        let rows = self.inner.pools.reader().await?.rows(READ_VERSIONS, vec![]).await?;
        for row in rows {
            let (name, version) = (row.text(0)?, row.int(1)?);
            let Some(projection) = Projection::ALL.into_iter().find(|p| p.name() == name) else { continue };
            self.answers(projection, version)?;
        }
        Ok(())
    }

    /// That version of a projection answers from now on.
    pub(crate) fn answers(&self, projection: Projection, version: i64) -> Result<(), ReadError> {
        let version = i32::try_from(version).map_err(|_| ReadError::Damaged {
            table: "projections",
            what: format!("{projection} is at version {version}"),
        })?;
        self.inner.versions[projection as usize].store(version, Ordering::Relaxed);
        Ok(())
    }

    /// Up to where a version of a projection is complete.
    ///
    /// # Errors
    /// When the store fails, or there is no such version.
    pub async fn checkpoint_of(&self, projection: Projection, version: i32) -> Result<Position, ReadError> {
        let binds = vec![projection.name().into(), i64::from(version).into(), SHARD.into()];
        let rows = self.inner.pools.reader().await?.rows(READ_CHECKPOINT, binds).await?;
        let row = rows.first().ok_or_else(|| ReadError::Damaged {
            table: "projection_checkpoints",
            what: format!("it has no row of {projection} version {version}"),
        })?;
        let position = row.int(0)?;
        if version == self.version(projection) {
            self.inner.checkpoints.raise(projection, position);
        }
        Ok(position)
    }

    /// The domain events with which the active projections stopped for one show or booking, in the order of their positions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set_aside(&self) -> Result<Vec<SetAside>, ReadError> {
        let mut session = self.inner.pools.snapshot().await?;
        let mut found = Vec::new();
        for projection in Projection::ALL {
            let version = active_version(&mut session, projection).await?;
            found.extend(read_set_aside(&mut session, projection, version).await?);
        }
        found.sort_by_key(|aside| (aside.position, aside.projection));
        Ok(found)
    }

    /// Whether the active version of a projection stopped for that show or booking.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_set_aside(&self, projection: Projection, subject: Uuid) -> Result<bool, ReadError> {
        self.inner.aside.ask((projection, subject)).await
    }

    /// Begins a transaction in which the version of a projection writes that answers.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin(&self, projection: Projection, version: i32) -> Result<WriteTx, ReadError> {
        let session = self.inner.pools.write().await?;
        Ok(WriteTx { session, projection, version, beside: false, reached: None, store: self.clone() })
    }

    /// The same for a version that does not answer: one that is built beside, or brought up to date.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_beside(&self, projection: Projection, version: i32) -> Result<WriteTx, ReadError> {
        Ok(WriteTx { beside: true, ..self.begin(projection, version).await? })
    }
}

const READ_VERSIONS: &str = "SELECT name, active_version FROM projections";
pub(crate) const READ_CHECKPOINT: &str =
    "SELECT position FROM projection_checkpoints WHERE name = ? AND version = ? AND shard = ?";
const MOVE_CHECKPOINT: &str = "\
    UPDATE projection_checkpoints SET position = ? WHERE name = ? AND version = ? AND shard = ? AND position = ?";
const READ_SET_ASIDE: &str = "\
    SELECT subject, position, event_type, event_version, error, recorded_at FROM projection_set_aside \
    WHERE name = ? AND version = ?";
/// A subject stands still from its first one on, so that one stays.
const WRITE_SET_ASIDE: Upsert = Upsert {
    insert: "\
        INSERT INTO projection_set_aside (name, version, subject, shard, position, event_type, event_version, error, recorded_at) \
        VALUES",
    columns: 9,
    sqlite: "ON CONFLICT (name, version, subject) DO NOTHING",
    mysql: "ON DUPLICATE KEY UPDATE subject = VALUES(subject)",
};

pub(crate) async fn read_set_aside(
    session: &mut Session,
    projection: Projection,
    version: i32,
) -> Result<Vec<SetAside>, ReadError> {
    let rows = session.rows(READ_SET_ASIDE, vec![projection.name().into(), i64::from(version).into()]).await?;
    let of = |row: &crate::sql::Row| {
        let event_version = row.int(3)?;
        Ok(SetAside {
            projection,
            subject: row.uuid(0)?,
            position: row.int(1)?,
            event_type: row.text(2)?,
            event_version: i32::try_from(event_version).map_err(|_| ReadError::Damaged {
                table: "projection_set_aside",
                what: format!("an event_version of {event_version}"),
            })?,
            error: row.text(4)?,
            recorded_at: row.time(5)?,
        })
    };
    rows.iter().map(of).collect()
}

/// A transaction in which a version of a projection writes. Rolls back when it is dropped.
///
/// [`WriteTx::advance`] comes first: it locks the checkpoint's row, so that whatever is loaded after it is the state at that
/// checkpoint and stays so until the commit.
pub struct WriteTx {
    pub(crate) session: Session,
    pub(crate) projection: Projection,
    pub(crate) version: i32,
    /// Whether it may write although another version answers.
    beside: bool,
    reached: Option<Position>,
    pub(crate) store: ReadStore,
}

impl WriteTx {
    /// The version that is written.
    #[must_use]
    pub const fn version(&self) -> i32 {
        self.version
    }

    /// Moves the checkpoint, if it stands at `from`. False: another process has projected, or another version answers now; roll back
    /// and look where it stands.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When the checkpoint would not rise, or more than one row is moved.
    pub async fn advance(&mut self, from: Position, to: Position) -> Result<bool, ReadError> {
        assert!(from < to, "a checkpoint only rises: from {from} to {to}");
        let key = [self.projection.name().into(), i64::from(self.version).into(), SHARD.into()];
        let binds = [vec![to.into()], key.to_vec(), vec![from.into()]].concat();
        let moved = self.session.execute(MOVE_CHECKPOINT, binds).await?;
        assert!(moved <= 1, "a checkpoint is one row");
        if moved == 0 {
            return Ok(false);
        }
        // Under the checkpoint's lock, which whoever flips has to have: a version that was left stands still from then on, or
        // somebody who still reads it would see more than he does afterwards.
        if !self.beside {
            let rows = self.session.rows(READ_ACTIVE, vec![self.projection.name().into()]).await?;
            let active = rows.first().map(|row| row.int(0)).transpose()?;
            if active != Some(self.version.into()) {
                return Ok(false);
            }
        }
        self.reached = Some(to);
        Ok(true)
    }

    /// The shows or bookings that stand still.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load_set_aside(&mut self) -> Result<Vec<SetAside>, ReadError> {
        read_set_aside(&mut self.session, self.projection, self.version).await
    }

    /// Notes that a show or booking stands still from a domain event on that could not be read. The first note stays.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_set_aside(&mut self, aside: impl Iterator<Item = &SetAside>) -> Result<(), ReadError> {
        let values = aside.flat_map(|aside| {
            let SetAside { projection: _, subject, position, event_type, event_version, error, recorded_at } = aside;
            [
                self.projection.name().into(),
                i64::from(self.version).into(),
                (*subject).into(),
                SHARD.into(),
                (*position).into(),
                event_type.clone().into(),
                i64::from(*event_version).into(),
                error.clone().into(),
                (*recorded_at).into(),
            ]
        });
        let values: Vec<Value> = values.collect();
        Ok(self.session.upsert(&WRITE_SET_ASIDE, 1, values).await?)
    }

    /// Commits, and wakes those who wait for the position.
    ///
    /// # Errors
    /// When the store fails. Then it is not known whether it committed; the checkpoint says so.
    pub async fn commit(self) -> Result<(), ReadError> {
        self.session.commit().await?;
        if let Some(position) = self.reached
            && self.version == self.store.version(self.projection)
        {
            self.store.inner.checkpoints.tell(self.projection, position);
        }
        Ok(())
    }
}
