//! Aggregates: loaded from a snapshot and what came after, kept warm, snapshotted from the log in the background.
//!
//! cqrs-es 0.5's own snapshot and aggregate stores are not used: their commit applies every event a second time, after
//! `EventSink::write` applied it already. Here a snapshot is folded from the log and from nothing else, by the same function
//! that loads, so it cannot hold what the log does not.
//!
//! A warm aggregate may be stale; that is harmless, since every append names the sequences it read and is decided again when
//! they moved. It is dropped on any error.

use std::{marker::PhantomData, num::NonZeroUsize, sync::Arc};

use cqrs_es::Aggregate;
use moka::sync::Cache;
use tickiz_domain::{
    stored::{DecodeError, StoredEvent},
    stream::StreamId,
};

use crate::{
    EventLog,
    record::{Position, Recorded, Sequence, StoreError},
    rounds::MAX_TAIL,
    store::Snapshot,
};

/// Aggregates kept warm, a process and kind.
const MAX_WARM: u64 = 10_000;
/// A snapshot is due after so many domain events since the last: a stream that is loaded by that many is loaded quickly.
pub const DEFAULT_SNAPSHOT_EVERY: usize = 200;
/// The shape of stored states. Raised whenever a state's fields change; older snapshots are then folded anew.
pub const SNAPSHOT_FORMAT: i32 = 1;

/// Why an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored domain event cannot be read by this version.
    #[error("position {position}: {source}")]
    Decode {
        /// Where.
        position: Position,
        /// Why.
        source: DecodeError,
    },
}

/// An aggregate with where it stands.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// As folded.
    pub aggregate: A,
    /// The last sequence in it; 0: the stream does not exist.
    pub sequence: Sequence,
    /// The last position in it.
    pub position: Position,
}

impl<A: Default> Default for Loaded<A> {
    fn default() -> Self {
        Self { aggregate: A::default(), sequence: 0, position: 0 }
    }
}

impl<A> Loaded<A>
where
    A: Aggregate,
    A::Event: StoredEvent,
{
    /// Folds what follows. The sequence must be the next: a gap in a stream is a broken invariant.
    ///
    /// # Errors
    /// When the domain event cannot be read.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), LoadError> {
        assert_eq!(recorded.sequence, self.sequence + 1, "a stream's sequences have no gap");
        let event = recorded.decode().map_err(|source| LoadError::Decode { position: recorded.position, source })?;
        self.aggregate.apply(event);
        self.sequence = recorded.sequence;
        self.position = recorded.position;
        Ok(())
    }
}

/// The aggregates of one kind. Cheap to clone.
pub struct Repository<A> {
    log: EventLog,
    warm: Cache<StreamId, Arc<Loaded<A>>>,
    snapshot_every: NonZeroUsize,
    kind: PhantomData<fn() -> A>,
}

impl<A> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self { log: self.log.clone(), warm: self.warm.clone(), snapshot_every: self.snapshot_every, kind: PhantomData }
    }
}

impl<A> Repository<A>
where
    A: Aggregate + Clone + 'static,
    A::Event: StoredEvent,
{
    /// The aggregates of that log.
    #[must_use]
    pub fn new(log: EventLog) -> Self {
        let every = NonZeroUsize::new(DEFAULT_SNAPSHOT_EVERY).unwrap_or(NonZeroUsize::MIN);
        Self::with_snapshots_every(log, every)
    }

    /// The same, with a snapshot after so many domain events.
    #[must_use]
    pub fn with_snapshots_every(log: EventLog, snapshot_every: NonZeroUsize) -> Self {
        Self { log, warm: Cache::new(MAX_WARM), snapshot_every, kind: PhantomData }
    }

    /// The log below.
    #[must_use]
    pub const fn log(&self) -> &EventLog {
        &self.log
    }

    /// The stream of that id.
    #[must_use]
    pub const fn stream(id: uuid::Uuid) -> StreamId {
        StreamId::new(A::Event::STREAM_TYPE, id)
    }

    /// The aggregate, warm if it is, perhaps a little old: the append finds out.
    ///
    /// # Errors
    /// When the store fails or a domain event cannot be read.
    pub async fn load(&self, stream: StreamId) -> Result<Arc<Loaded<A>>, LoadError> {
        if let Some(warm) = self.warm.get(&stream) {
            return Ok(warm);
        }
        self.load_fresh(stream).await
    }

    /// The aggregate as the log has it now: what is warm, if anything is, and what came after it.
    ///
    /// # Errors
    /// When the store fails or a domain event cannot be read.
    pub async fn load_fresh(&self, stream: StreamId) -> Result<Arc<Loaded<A>>, LoadError> {
        // What is warm was folded from the log too; a stream only grows, so it is right as far as it goes.
        let (base, snapshotted) = match self.warm.get(&stream) {
            Some(warm) => (Arc::unwrap_or_clone(warm), None),
            None => {
                let snapshot = self.snapshot_of(stream).await?;
                let sequence = snapshot.sequence;
                (snapshot, Some(sequence))
            }
        };
        let mut loaded = base;
        let before = loaded.sequence;
        loop {
            let page = self.log.tail(stream, loaded.sequence).await?;
            for recorded in &page {
                loaded.fold(recorded)?;
            }
            if page.len() < MAX_TAIL {
                break;
            }
        }
        let snapshotted = snapshotted.unwrap_or(before - before % self.every());
        let loaded = Arc::new(loaded);
        if loaded.sequence > 0 {
            self.warm.insert(stream, loaded.clone());
            let since = usize::try_from(loaded.sequence - snapshotted).unwrap_or(0);
            if since >= self.snapshot_every.get() {
                self.save(stream, loaded.clone());
            }
        }
        Ok(loaded)
    }

    /// Takes what an append made of an aggregate that was loaded here, so that the next command needs no read.
    pub fn absorb(&self, stream: StreamId, before: &Loaded<A>, events: &[Arc<Recorded>]) -> Option<Arc<Loaded<A>>> {
        let mut after = before.clone();
        for recorded in events.iter().filter(|recorded| recorded.stream == stream) {
            if after.fold(recorded).is_err() {
                self.evict(stream);
                return None;
            }
        }
        let after = Arc::new(after);
        self.warm.insert(stream, after.clone());
        if after.sequence / self.every() > before.sequence / self.every() {
            self.save(stream, after.clone());
        }
        Some(after)
    }

    fn every(&self) -> Sequence {
        i64::try_from(self.snapshot_every.get()).unwrap_or(i64::MAX)
    }

    /// Forgets a warm aggregate.
    pub fn evict(&self, stream: StreamId) {
        self.warm.invalidate(&stream);
    }

    async fn snapshot_of(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        let snapshot = self.log.store().snapshot(stream).await?;
        let state = snapshot.filter(|snapshot| snapshot.format == SNAPSHOT_FORMAT).and_then(|snapshot| {
            let aggregate = serde_json::from_slice(&snapshot.state).ok()?;
            Some(Loaded { aggregate, sequence: snapshot.sequence, position: snapshot.position })
        });
        Ok(state.unwrap_or_default())
    }

    /// In the background: a snapshot is only ever a short cut, and nobody waits for it.
    fn save(&self, stream: StreamId, loaded: Arc<Loaded<A>>) {
        let log = self.log.clone();
        self.log.background(async move {
            let Ok(state) = serde_json::to_vec(&loaded.aggregate) else { return };
            let snapshot =
                Snapshot { sequence: loaded.sequence, position: loaded.position, format: SNAPSHOT_FORMAT, state };
            if let Err(error) = log.store().save_snapshot(stream, &snapshot).await {
                tracing::debug!(%error, %stream, "a snapshot was not kept");
            }
        });
    }
}
