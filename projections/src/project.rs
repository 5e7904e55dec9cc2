//! What a projection is, and how one batch goes into the store.
//!
//! The checkpoint moves first, by compare-and-set, in the transaction that writes the rows. That locks its row, so what is loaded
//! after it is the state at that checkpoint, and of two processes the second waits, finds the checkpoint moved, and drops its
//! batch. A projection keeps what it has written in memory and need not load it again; this is right where its next batch begins
//! at the very checkpoint, of the very version, to which it wrote last. That the compare-and-set succeeds is not enough: a process
//! whose stream failed looks the checkpoint up before it goes on, and another may have moved it meanwhile. So what is in memory
//! is kept together with where it stands ([`WarmProjector`]), and forgotten wherever a batch begins elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use tickiz_event_log::record::{Position, Recorded, StoreError};
use tickiz_read_models::{Projection, ReadError, ReadStore, SetAside, WriteTx, versions::Standing};
use uuid::Uuid;

use crate::{metrics::METRICS, mirror::ShowChange, plans::PlanError, stream::LogSource};

/// Why a batch was not projected. Everything here may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The read models' store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log failed, which plans are read from.
    #[error(transparent)]
    Log(#[from] StoreError),
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store.
    Projected,
    /// Another process has moved the checkpoint; nothing was written.
    Overtaken,
}

/// A builder of read models.
#[async_trait]
pub trait Projector: Send + Sync {
    /// Which projection it builds.
    fn projection(&self) -> Projection;

    /// Loads what a batch touches and is not in memory, folds, writes.
    async fn apply(&mut self, tx: &mut WriteTx, batch: &[Arc<Recorded>]) -> Result<(), ProjectError>;

    /// What the batch that was applied last has changed of shows, for a mirror; given away.
    fn take_changes(&mut self) -> Vec<ShowChange> {
        Vec::new()
    }

    /// Forgets what is in memory.
    fn forget(&mut self);
}

/// A projector, and the version and checkpoint of which it has the state in memory.
pub struct WarmProjector {
    projector: Box<dyn Projector>,
    /// `None`: of none, since nothing was written yet, or it is not certain what was.
    stands_at: Option<(i32, Position)>,
}

impl WarmProjector {
    /// One that has nothing in memory yet.
    #[must_use]
    pub fn new(projector: impl Projector + 'static) -> Self {
        Self { projector: Box::new(projector), stands_at: None }
    }

    /// Which projection it builds.
    #[must_use]
    pub fn projection(&self) -> Projection {
        self.projector.projection()
    }

    /// What the batch that was written last has changed of shows; given away.
    pub fn take_changes(&mut self) -> Vec<ShowChange> {
        self.projector.take_changes()
    }

    /// Applies a batch to the state at `from`, of which this transaction has the checkpoint. What is in memory counts again only
    /// with [`WarmProjector::stands`], after the commit.
    async fn apply(&mut self, tx: &mut WriteTx, from: Position, batch: &[Arc<Recorded>]) -> Result<(), ProjectError> {
        if self.stands_at.take() != Some((tx.version(), from)) {
            self.projector.forget();
        }
        self.projector.apply(tx, batch).await
    }

    fn stands(&mut self, version: i32, position: Position) {
        self.stands_at = Some((version, position));
    }
}

/// Projects one batch that begins after `from`, where the checkpoint is expected to stand, into the version that answers.
///
/// # Errors
/// When the store or the log fails. It is then not certain that nothing was written; the checkpoint says so.
///
/// # Panics
/// When the batch is empty or not contiguous.
pub async fn project(
    projector: &mut WarmProjector,
    store: &ReadStore,
    version: i32,
    from: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    let tx = store.begin(projector.projection(), version).await?;
    write(projector, tx, from, batch).await
}

/// The same into a version that does not answer.
///
/// # Errors
/// As [`project`].
///
/// # Panics
/// As [`project`].
pub async fn project_beside(
    projector: &mut WarmProjector,
    store: &ReadStore,
    version: i32,
    from: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    let tx = store.begin_beside(projector.projection(), version).await?;
    write(projector, tx, from, batch).await
}

async fn write(
    projector: &mut WarmProjector,
    mut tx: WriteTx,
    from: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    let contiguous = batch.iter().zip(from + 1..).all(|(recorded, wanted)| recorded.position == wanted);
    assert!(contiguous && !batch.is_empty(), "a batch after {from} is contiguous and not empty");
    let to = from + i64::try_from(batch.len()).expect("a batch is bounded far below i64");
    if !tx.advance(from, to).await? {
        return Ok(Outcome::Overtaken);
    }
    let version = tx.version();
    projector.apply(&mut tx, from, batch).await?;
    tx.commit().await?;
    projector.stands(version, to);
    Ok(Outcome::Projected)
}

/// What became of an attempt to let another version answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// It answers.
    Done {
        /// The version that answered before.
        before: i32,
        /// Up to where the new one was complete then.
        position: Position,
    },
    /// It is further behind than one batch. Nothing was done.
    TooFarBehind,
}

/// Lets another version answer. What the one that answers is ahead is projected first, at most `limit` domain events; whoever
/// projects that one waits meanwhile, so that it cannot stay ahead for ever.
///
/// # Errors
/// As [`project`].
///
/// # Panics
/// When the log has a gap.
pub async fn project_and_flip(
    projector: &mut WarmProjector,
    store: &ReadStore,
    log: &Arc<dyn LogSource>,
    version: i32,
    limit: usize,
) -> Result<Flip, ProjectError> {
    let mut tx = store.begin_beside(projector.projection(), version).await?;
    let Standing { active, there, here } = tx.hold_pointer().await?;
    if active == tx.version() {
        return Ok(Flip::Done { before: active, position: there });
    }
    let behind = usize::try_from(there - here).unwrap_or(0);
    if behind > limit {
        return Ok(Flip::TooFarBehind);
    }
    if behind > 0 {
        let batch = log.read(here, behind).await?;
        let contiguous = batch.iter().zip(here + 1..).all(|(recorded, wanted)| recorded.position == wanted);
        assert!(contiguous && batch.len() == behind, "the log has what was projected out of it");
        assert!(tx.advance(here, there).await?, "a checkpoint that is held stands still");
        projector.apply(&mut tx, here, &batch).await?;
    }
    tx.flip().await?;
    Ok(Flip::Done { before: active, position: here.max(there) })
}

/// Why a domain event stops its show or booking.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] tickiz_domain::stored::DecodeError),
    /// It cannot follow what was before.
    #[error(transparent)]
    Apply(#[from] crate::events::ApplyError),
    /// Its booking has a domain event before it that could not be read.
    #[error("booking {0} has a domain event before it that cannot be read")]
    Follows(Uuid),
    /// Its plan is not to be had.
    #[error("{0}")]
    Plan(String),
}

/// A plan's failure is the store's, or the domain event's that names it.
impl From<PlanError> for Stop {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => Self::Failed(error.into()),
            PlanError::Unusable { .. } => Self::Poison(Poison::Plan(error.to_string())),
        }
    }
}

/// Why a step does not go on: for the whole batch, or for one show or booking.
pub(crate) enum Stop {
    Failed(ProjectError),
    Poison(Poison),
}

impl From<tickiz_domain::stored::DecodeError> for Stop {
    fn from(error: tickiz_domain::stored::DecodeError) -> Self {
        Self::Poison(error.into())
    }
}

impl From<crate::events::ApplyError> for Stop {
    fn from(error: crate::events::ApplyError) -> Self {
        Self::Poison(error.into())
    }
}

/// The note of a domain event that stops a show or booking. Logged here, once, since only the first is noted.
pub(crate) fn note(projection: Projection, subject: Uuid, recorded: &Recorded, poison: &Poison) -> SetAside {
    METRICS.set_aside(projection);
    tracing::error!(
        projection = projection.name(),
        position = recorded.position,
        %subject,
        event_type = recorded.event_type,
        error = %poison,
        "a domain event is set aside; its show or booking stands still in this projection until that is rebuilt"
    );
    SetAside {
        projection,
        subject,
        position: recorded.position,
        event_type: recorded.event_type.clone(),
        event_version: recorded.event_version,
        error: poison.to_string(),
        recorded_at: recorded.recorded_at,
    }
}
