//! What a projection is, and how one batch goes into the store.
//!
//! The checkpoint moves first, by compare-and-set, in the transaction that writes the rows. That locks its row, so what is loaded
//! after it is the state at that checkpoint, and of two processes the second waits, finds the checkpoint moved, and drops its
//! batch. A projection keeps what it has written in memory and need not load it again; this is right for as long as the
//! compare-and-set succeeds, since then nobody else has written in between. Whenever it fails, or anything else does, it forgets.

use std::sync::Arc;

use async_trait::async_trait;
use tickiz_event_log::record::{Position, Recorded, StoreError};
use tickiz_read_models::{Projection, ReadError, ReadStore, SetAside, WriteTx};
use uuid::Uuid;

use crate::{mirror::ShowChange, plans::PlanError};

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

/// Why a domain event stops its show or booking.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] tickiz_domain::stored::DecodeError),
    /// It cannot follow what was before.
    #[error(transparent)]
    Apply(#[from] crate::events::ApplyError),
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
