//! What a projection is, and how one batch goes into the store.
//!
//! The checkpoint moves first, by compare-and-set, in the transaction that writes the rows. That locks its row, so what is loaded
//! after it is the state at that checkpoint, and of two processes the second waits, finds the checkpoint moved, and drops its
//! batch. A projection keeps what it has written in memory and need not load it again; this is right for as long as the
//! compare-and-set succeeds, since then nobody else has written in between. Whenever it fails, or anything else does, it forgets.

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

/// Projects one batch that begins after `from`, where the checkpoint is expected to stand, into the version that answers.
///
/// # Errors
/// When the store or the log fails. It is then not certain that nothing was written; the checkpoint says so.
///
/// # Panics
/// When the batch is empty or not contiguous.
pub async fn project(
    projector: &mut dyn Projector,
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
    projector: &mut dyn Projector,
    store: &ReadStore,
    version: i32,
    from: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    let tx = store.begin_beside(projector.projection(), version).await?;
    write(projector, tx, from, batch).await
}

async fn write(
    projector: &mut dyn Projector,
    tx: WriteTx,
    from: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    let contiguous = batch.iter().zip(from + 1..).all(|(recorded, wanted)| recorded.position == wanted);
    assert!(contiguous && !batch.is_empty(), "a batch after {from} is contiguous and not empty");
    let to = from + i64::try_from(batch.len()).expect("a batch is bounded far below i64");
    let outcome = write_to(projector, tx, from, to, batch).await;
    if !matches!(outcome, Ok(Outcome::Projected)) {
        projector.forget();
    }
    outcome
}

async fn write_to(
    projector: &mut dyn Projector,
    mut tx: WriteTx,
    from: Position,
    to: Position,
    batch: &[Arc<Recorded>],
) -> Result<Outcome, ProjectError> {
    if !tx.advance(from, to).await? {
        return Ok(Outcome::Overtaken);
    }
    projector.apply(&mut tx, batch).await?;
    tx.commit().await?;
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
    projector: &mut dyn Projector,
    store: &ReadStore,
    log: &Arc<dyn LogSource>,
    version: i32,
    limit: usize,
) -> Result<Flip, ProjectError> {
    let tx = store.begin_beside(projector.projection(), version).await?;
    let outcome = flip_in(projector, tx, log, limit).await;
    // What is in memory is right only if this process has written last.
    if outcome.is_err() {
        projector.forget();
    }
    outcome
}

async fn flip_in(
    projector: &mut dyn Projector,
    mut tx: WriteTx,
    log: &Arc<dyn LogSource>,
    limit: usize,
) -> Result<Flip, ProjectError> {
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
        // Another process may have written meanwhile what this one has in memory.
        projector.forget();
        assert!(tx.advance(here, there).await?, "a checkpoint that is held stands still");
        projector.apply(&mut tx, &batch).await?;
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
