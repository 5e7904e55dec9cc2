//! Builds another version of a projection beside the one that answers, from the log at full speed, and flips.
//!
//! Nobody waits for it: the version that answers goes on being projected until the pointer is moved, and is not moved before the
//! other has come as far. Interrupted, it goes on where the checkpoint of the version is that was begun. While a page is written
//! the next one is read.

use std::{sync::Arc, time::Duration};

use tickiz_event_log::record::{Position, Recorded, StoreError};
use tickiz_read_models::{Projection, ReadError, ReadStore};
use tokio_util::sync::CancellationToken;

use crate::{
    bookings::BookingsProjector,
    events::EventsProjector,
    plans::PlanSource,
    project::{Outcome, ProjectError, Projector, project_beside},
    stream::LogSource,
};

/// Domain events of one transaction: more than a projector that keeps up takes, since here nobody waits for the next one.
pub const PAGE: usize = 2_000;
/// How long it is waited before the pointer is tried again that the other version was too far ahead for.
const FLIP_PAUSE: Duration = Duration::from_millis(5);
/// How often that is tried.
const MAX_FLIPS: u32 = 2_000;

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A new version, or the one that was begun.
    Next,
    /// The version that answered before.
    Back,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The version that is built.
    pub version: i32,
    /// Where it began, this time.
    pub from: Position,
    /// Where it is.
    pub position: Position,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The version that answered before.
    pub before: i32,
    /// The version that answers now.
    pub version: i32,
    /// Up to where it was complete when it was made to answer.
    pub position: Position,
}

/// Why it was not finished. What was built is kept, and is gone on with the next time.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The read models' store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// There is no version that was left.
    #[error("there is no version of {0} to go back to")]
    NothingLeft(Projection),
    /// The version that answers stays ahead.
    #[error("the new version of {0} does not catch up with the one that answers; try again when less is sold")]
    NeverCatchesUp(Projection),
    /// It was told to stop.
    #[error("interrupted; the same command goes on where it was")]
    Interrupted,
}

impl From<ProjectError> for RebuildError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Read(error) => Self::Read(error),
            ProjectError::Log(error) => Self::Log(error),
        }
    }
}

fn projector(projection: Projection, log: &Arc<dyn LogSource>) -> Box<dyn Projector> {
    match projection {
        Projection::Events => Box::new(EventsProjector::new(Arc::new(PlanSource::new(log.clone())))),
        Projection::Bookings => Box::new(BookingsProjector::default()),
    }
}

/// Builds, and lets it answer.
///
/// # Errors
/// Why it was not finished.
pub async fn rebuild(
    store: &ReadStore,
    log: &Arc<dyn LogSource>,
    projection: Projection,
    goal: Goal,
    stop: &CancellationToken,
    mut tell: impl FnMut(Progress),
) -> Result<Rebuilt, RebuildError> {
    let versions = store.versions_of(projection).await?;
    let version = match goal {
        Goal::Next => store.begin_build(projection).await?,
        Goal::Back => *versions.left.last().ok_or(RebuildError::NothingLeft(projection))?,
    };
    let mut build = Build { projector: projector(projection, log), store, log, version };
    let from = store.checkpoint_of(projection, version).await?;
    tell(Progress { version, from, position: from });
    for _ in 0..MAX_FLIPS {
        let position = build.catch_up(stop, |position| tell(Progress { version, from, position })).await?;
        if store.flip(projection, version).await? {
            return Ok(Rebuilt { before: versions.active, version, position });
        }
        tokio::time::sleep(FLIP_PAUSE).await;
    }
    Err(RebuildError::NeverCatchesUp(projection))
}

struct Build<'a> {
    projector: Box<dyn Projector>,
    store: &'a ReadStore,
    log: &'a Arc<dyn LogSource>,
    version: i32,
}

impl Build<'_> {
    /// Projects up to the end of the log; up to where that was.
    async fn catch_up(
        &mut self,
        stop: &CancellationToken,
        mut tell: impl FnMut(Position),
    ) -> Result<Position, RebuildError> {
        let (projection, log) = (self.projector.projection(), self.log.clone());
        let mut position = self.store.checkpoint_of(projection, self.version).await?;
        let mut page = log.read(position, PAGE).await?;
        while let Some(last) = page.last().map(|last| last.position) {
            if stop.is_cancelled() {
                return Err(RebuildError::Interrupted);
            }
            let (written, next) = tokio::join!(self.write(position, &page), log.read(last, PAGE));
            if written? {
                position = last;
                tell(position);
                page = next?;
            } else {
                // Another process builds the same: it goes on from where that one is.
                position = self.store.checkpoint_of(projection, self.version).await?;
                page = log.read(position, PAGE).await?;
            }
        }
        Ok(position)
    }

    /// False: somebody else has moved the checkpoint.
    async fn write(&mut self, from: Position, page: &[Arc<Recorded>]) -> Result<bool, RebuildError> {
        let Self { projector, store, version, .. } = self;
        Ok(project_beside(&mut **projector, store, *version, from, page).await? == Outcome::Projected)
    }
}
