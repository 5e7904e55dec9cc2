//! Builds another version of a projection beside the one that answers, from the log at full speed, and flips.
//!
//! Nobody waits for it but at the very end: the version that answers goes on being projected until the other is less than a page
//! behind; then it is held still, what is missing is projected, and the pointer is moved, in one transaction. Interrupted, it goes
//! on where the checkpoint of the version is that was begun; so do two that build the same, which take turns. While a page is
//! written the next one is read.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tickiz_event_log::record::{Position, Recorded, StoreError};
use tickiz_read_models::{Projection, ReadError, ReadStore};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    bookings::BookingsProjector,
    events::EventsProjector,
    plans::PlanSource,
    project::{Flip, Outcome, ProjectError, WarmProjector, project_and_flip, project_beside},
    reports::ReportsProjector,
    stream::LogSource,
};

/// Domain events of one transaction: more than a projector that keeps up takes, since here nobody waits for the next one.
pub const PAGE: usize = 2_000;
/// Pages that are read ahead at the same time, each on a connection of its own.
const READS_AHEAD: usize = 2;
/// How long a store or a log may fail before the build is given up. What was built is kept.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is waited before they are tried again.
const PAUSE: Duration = Duration::from_millis(500);

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

/// What builds a projection.
pub(crate) fn projector(projection: Projection, log: &Arc<dyn LogSource>) -> WarmProjector {
    match projection {
        Projection::Events => WarmProjector::new(EventsProjector::new(Arc::new(PlanSource::new(log.clone())))),
        Projection::Bookings => WarmProjector::new(BookingsProjector::default()),
        Projection::Reports => WarmProjector::new(ReportsProjector::default()),
    }
}

/// Builds, and lets it answer. A store or a log that fails is tried again, for [`PATIENCE`] without any progress.
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
    let version = match goal {
        Goal::Next => store.begin_build(projection).await?,
        Goal::Back => {
            let left = store.versions_of(projection).await?.left;
            *left.last().ok_or(RebuildError::NothingLeft(projection))?
        }
    };
    let mut build = Build { projector: projector(projection, log), store, log, version };
    let from = store.checkpoint_of(projection, version).await?;
    tell(Progress { version, from, position: from });
    let mut furthest = from;
    let mut moved_at = Instant::now();
    loop {
        let built = build.run(stop, |position| {
            if position > furthest {
                (furthest, moved_at) = (position, Instant::now());
            }
            tell(Progress { version, from, position });
        });
        match built.await {
            Err(RebuildError::Read(ReadError::Store(error))) if moved_at.elapsed() < PATIENCE => {
                tracing::warn!(projection = projection.name(), version, %error, "the store failed; it is tried again");
            }
            Err(RebuildError::Log(error)) if moved_at.elapsed() < PATIENCE => {
                tracing::warn!(projection = projection.name(), version, %error, "the log failed; it is tried again");
            }
            ended => return ended,
        }
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return Err(RebuildError::Interrupted);
        }
    }
}

struct Build<'a> {
    projector: WarmProjector,
    store: &'a ReadStore,
    log: &'a Arc<dyn LogSource>,
    version: i32,
}

impl Build<'_> {
    async fn run(&mut self, stop: &CancellationToken, mut tell: impl FnMut(Position)) -> Result<Rebuilt, RebuildError> {
        loop {
            self.catch_up(stop, &mut tell).await?;
            let Self { projector, store, log, version } = self;
            match project_and_flip(projector, store, log, *version, PAGE).await? {
                Flip::Done { before, position } => return Ok(Rebuilt { before, version: *version, position }),
                Flip::TooFarBehind => {}
            }
        }
    }

    /// Projects up to the end of the log.
    async fn catch_up(&mut self, stop: &CancellationToken, mut tell: impl FnMut(Position)) -> Result<(), RebuildError> {
        let projection = self.projector.projection();
        let mut position = self.store.checkpoint_of(projection, self.version).await?;
        let mut ahead = ReadAhead::new(self.log.clone(), position);
        loop {
            if stop.is_cancelled() {
                return Err(RebuildError::Interrupted);
            }
            let page = ahead.next().await?;
            let Some(last) = page.last().map(|last| last.position) else { return Ok(()) };
            if self.write(position, &page).await? {
                position = last;
                tell(position);
            } else {
                // Another process builds the same: it goes on from where that one is.
                position = self.store.checkpoint_of(projection, self.version).await?;
                ahead = ReadAhead::new(self.log.clone(), position);
            }
        }
    }

    /// False: somebody else has moved the checkpoint.
    async fn write(&mut self, from: Position, page: &[Arc<Recorded>]) -> Result<bool, RebuildError> {
        let Self { projector, store, version, .. } = self;
        Ok(project_beside(projector, store, *version, from, page).await? == Outcome::Projected)
    }
}

type Page = Vec<Arc<Recorded>>;

/// The log, page by page, read ahead by tasks of their own: positions have no gap, so it is known where the next pages begin before
/// the last one is there, and what comes next is taken apart on one core while a page is folded and written on another.
struct ReadAhead {
    log: Arc<dyn LogSource>,
    /// Where the next page that is not asked for yet begins.
    next: Position,
    reads: VecDeque<AbortOnDropHandle<Result<Page, StoreError>>>,
}

impl ReadAhead {
    const fn new(log: Arc<dyn LogSource>, after: Position) -> Self {
        Self { log, next: after, reads: VecDeque::new() }
    }

    /// The next page; empty at the end of the log.
    async fn next(&mut self) -> Result<Page, StoreError> {
        let page_length = Position::try_from(PAGE).expect("a page is bounded far below i64");
        while self.reads.len() < READS_AHEAD {
            let (log, after) = (self.log.clone(), self.next);
            self.reads.push_back(AbortOnDropHandle::new(tokio::spawn(async move { log.read(after, PAGE).await })));
            self.next += page_length;
        }
        let read = self.reads.pop_front().expect("there are reads on their way");
        let page = read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        if let Some(last) = page.last().filter(|_| page.len() < PAGE) {
            // The end of the log at that moment: what was asked for behind it does not follow.
            self.reads.clear();
            self.next = last.position;
        }
        Ok(page)
    }
}
