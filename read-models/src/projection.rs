//! The projections by name, and up to where each is complete.
//!
//! A projection's rows and its checkpoint move in one transaction, by compare-and-set of the checkpoint. So a checkpoint read
//! together with rows says what they contain, a redelivered domain event finds the checkpoint beyond it, and of two processes
//! that project the same one loses and looks again.

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};

use crate::{Position, ReadError, store::ReadStore};

/// The one shard of today.
pub(crate) const SHARD: i64 = 0;
/// How often a checkpoint is looked up in the store while somebody waits for it that this process does not move itself. Between
/// the 5 ms that nobody feels and the load of a query.
const POLL_INTERVAL: Duration = Duration::from_millis(7);
/// For how long it is believed that somebody tells of a checkpoint whenever he moves it, and the store is not asked. A projector that
/// another process has taken over from tells nothing any more.
const TOLD_FOR: Duration = Duration::from_millis(500);

/// What is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Shows, what is left of them, and their seats.
    Events,
    /// Bookings.
    Bookings,
    /// What was sold. Nobody who buys waits for it.
    Reports,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Events, Self::Bookings, Self::Reports];

    /// Those that a caller waits for who wants to see what he did himself. Sums for organisers are not among them: a report that is
    /// behind must not hold up a seat map.
    pub const AWAITED: [Self; 2] = [Self::Events, Self::Bookings];

    /// The tables of which each version has its own, by the names of version 1.
    #[must_use]
    pub(crate) const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["rm_events_v1", "rm_availability_v1", "rm_seats_v1"],
            Self::Bookings => &["rm_bookings_v1"],
            Self::Reports => &["rm_reports_v1"],
        }
    }

    /// The name in tables, logs and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Bookings => "bookings",
            Self::Reports => "reports",
        }
    }
}

impl std::fmt::Display for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The checkpoints as far as this process knows them. They only rise.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    known: watch::Sender<[Position; Projection::ALL.len()]>,
    /// When the store was last asked; locked while it is being asked, so that any number who wait ask once.
    last_poll: Mutex<Option<Instant>>,
    /// When somebody last told of each: who moved it here, or heard of it.
    told: parking_lot::Mutex<[Option<Instant>; Projection::ALL.len()]>,
}

impl Checkpoints {
    pub(crate) fn new() -> Self {
        Self {
            known: watch::Sender::new([0; Projection::ALL.len()]),
            last_poll: Mutex::new(None),
            told: parking_lot::Mutex::default(),
        }
    }

    /// Raises it as one who tells of every move.
    pub(crate) fn tell(&self, projection: Projection, position: Position) {
        self.told.lock()[projection as usize] = Some(Instant::now());
        self.raise(projection, position);
    }

    fn are_told(&self, projections: &[Projection]) -> bool {
        let told = self.told.lock();
        projections.iter().all(|projection| told[*projection as usize].is_some_and(|at| at.elapsed() < TOLD_FOR))
    }

    pub(crate) fn raise(&self, projection: Projection, position: Position) {
        self.known.send_if_modified(|known| {
            let known = &mut known[projection as usize];
            let rises = position > *known;
            *known = (*known).max(position);
            rises
        });
    }

    fn least_of(&self, projections: &[Projection]) -> Position {
        let known = self.known.borrow();
        projections.iter().map(|projection| known[*projection as usize]).min().unwrap_or(0)
    }
}

/// The active checkpoints of all projections.
const READ_CHECKPOINTS: &str = "\
    SELECT c.name, c.position, c.version
    FROM projection_checkpoints c JOIN projections p ON p.name = c.name AND p.active_version = c.version
    WHERE c.shard = ?";

impl ReadStore {
    /// Up to where a projection is complete, as far as this process has seen: by projecting, or by reading. Costs nothing.
    #[must_use]
    pub fn known_checkpoint(&self, projection: Projection) -> Position {
        self.inner.checkpoints.known.borrow()[projection as usize]
    }

    /// The readers' connections: how many there are, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        self.inner.pools.readers()
    }

    /// Notes how far a version of a projection is, as somebody says who has written it. Of another version than the one that
    /// answers, it means nothing.
    pub fn heard(&self, projection: Projection, version: i32, position: Position) {
        if version == self.version(projection) {
            self.inner.checkpoints.tell(projection, position);
        }
    }

    /// Up to where everything here is complete that somebody waits for: the least checkpoint of [`Projection::AWAITED`], read from the
    /// store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn checkpoint(&self) -> Result<Position, ReadError> {
        let rows = self.inner.pools.reader().await?.rows(READ_CHECKPOINTS, vec![SHARD.into()]).await?;
        let mut least = None;
        for row in rows {
            let (name, position) = (row.text(0)?, row.int(1)?);
            if let Some(projection) = Projection::ALL.into_iter().find(|p| p.name() == name) {
                // The pointer may have been moved: then the rows are to be read where the checkpoint is.
                self.answers(projection, row.int(2)?)?;
                self.inner.checkpoints.raise(projection, position);
                if !Projection::AWAITED.contains(&projection) {
                    continue;
                }
                least = Some(least.map_or(position, |least: Position| least.min(position)));
            }
        }
        least.ok_or_else(|| ReadError::Damaged { table: "projection_checkpoints", what: "it has no row".into() })
    }

    /// Waits until [`ReadStore::checkpoint`] has reached a position; false when that takes longer than `timeout`. A projector in this
    /// process wakes it, and whoever [hears](ReadStore::heard) of one elsewhere; where nobody tells, the store is asked every few
    /// milliseconds, once for all who wait.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<bool, ReadError> {
        self.wait_for_all(&Projection::AWAITED, position, timeout).await
    }

    /// The same for these projections.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn wait_for_all(
        &self,
        projections: &[Projection],
        position: Position,
        timeout: Duration,
    ) -> Result<bool, ReadError> {
        let checkpoints = &self.inner.checkpoints;
        let deadline = tokio::time::Instant::now() + timeout;
        let mut changes = checkpoints.known.subscribe();
        loop {
            changes.mark_unchanged();
            if checkpoints.least_of(projections) >= position {
                return Ok(true);
            }
            if !checkpoints.are_told(projections) {
                self.poll_checkpoint().await?;
            }
            if checkpoints.least_of(projections) >= position {
                return Ok(true);
            }
            let now = tokio::time::Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            tokio::select! {
                // The sender lives in the store, so it cannot be gone.
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline.min(now + POLL_INTERVAL)) => {}
            }
        }
    }

    async fn poll_checkpoint(&self) -> Result<(), ReadError> {
        let mut last_poll = self.inner.checkpoints.last_poll.lock().await;
        if last_poll.is_none_or(|at| at.elapsed() >= POLL_INTERVAL) {
            self.checkpoint().await?;
            *last_poll = Some(Instant::now());
        }
        Ok(())
    }
}
