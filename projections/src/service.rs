//! The projector service: reads the stream, projects, and goes on until it is told to stop.
//!
//! Each projection runs on its own, with its own checkpoint, so that one that fails holds up no other. Several processes may run
//! this on one store. One of them projects; another, whose compare-and-set failed, stands by: it looks at the checkpoint
//! now and then, and takes over when that no longer moves although the stream goes on. So all is right whoever projects, and
//! mostly nobody works for nothing.

use std::{sync::Arc, time::Duration};

use tickiz_event_log::record::Position;
use tickiz_read_models::{Projection, ReadError, ReadStore};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    bookings::BookingsProjector,
    events::EventsProjector,
    metrics::METRICS,
    mirror::{Mirror, Projected},
    plans::PlanSource,
    project::{Outcome, ProjectError, WarmProjector, project},
    reports::ReportsProjector,
    stream::{DomainEventStream, LogSource, Ordered, StreamError},
};

/// How the service runs.
#[derive(Clone, Debug)]
pub struct ProjectorOptions {
    /// The most domain events of one transaction. More would hold the checkpoint's lock for long and gain nothing.
    pub batch: usize,
    /// How often a projector that stands by looks whether the checkpoint still moves.
    pub standby: Duration,
    /// How long it waits after a failure; twice as long after each that follows, up to a hundred times this.
    pub backoff: Duration,
    /// How long domain events are gathered for a projection that nobody waits for: a few large transactions instead of many small ones,
    /// since on the worst day it shares the store with those that buyers wait for.
    pub gather: Duration,
    /// Who is told what was written.
    pub mirror: Option<Arc<dyn Mirror>>,
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            batch: 500,
            standby: Duration::from_millis(100),
            backoff: Duration::from_millis(50),
            gather: Duration::from_millis(250),
            mirror: None,
        }
    }
}

/// How often it is looked which version answers: that one is projected.
const VERSIONS_LOOK: Duration = Duration::from_millis(250);
/// How often the backoff doubles at most, and so what the longest is.
const MAX_BACKOFF_FACTOR: u32 = 100;

/// Why the service stopped by itself. Nothing of this is mended by trying again.
#[derive(Debug, thiserror::Error)]
#[error("the projection {projection} cannot go on: {source}")]
pub struct ServiceError {
    /// Which projection.
    pub projection: Projection,
    /// Why.
    pub source: StreamError,
}

/// What a projection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It projects, or would if there were something.
    Active,
    /// Another process projects.
    Standby,
    /// Something failed; it tries again.
    Retrying,
}

/// What a projection is doing, and how far this process has seen it come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The checkpoint.
    pub position: Position,
    /// What it is doing.
    pub activity: Activity,
}

/// A cheap handle on the running service.
#[derive(Clone, Debug)]
pub struct ProjectorHandle {
    progress: [watch::Receiver<Progress>; Projection::ALL.len()],
}

impl ProjectorHandle {
    /// What a projection is doing.
    #[must_use]
    pub fn progress(&self, projection: Projection) -> Progress {
        *self.progress[projection as usize].borrow()
    }
}

/// The service: build it, take handles, run it.
pub struct ProjectorService {
    store: ReadStore,
    stream: Arc<dyn DomainEventStream>,
    log: Arc<dyn LogSource>,
    options: ProjectorOptions,
    progress: [watch::Sender<Progress>; Projection::ALL.len()],
}

impl ProjectorService {
    /// A service that has not begun yet.
    #[must_use]
    pub fn new(
        store: ReadStore,
        stream: Arc<dyn DomainEventStream>,
        log: Arc<dyn LogSource>,
        options: ProjectorOptions,
    ) -> Self {
        let progress =
            Projection::ALL.map(|_| watch::Sender::new(Progress { position: 0, activity: Activity::Active }));
        Self { store, stream, log, options, progress }
    }

    /// A handle.
    #[must_use]
    pub fn handle(&self) -> ProjectorHandle {
        ProjectorHandle { progress: self.progress.each_ref().map(watch::Sender::subscribe) }
    }

    /// Projects until it is cancelled; the batch under way is finished.
    ///
    /// # Errors
    /// When the log has a gap. A store that fails is tried again for as long as it takes.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), ServiceError> {
        let plans = Arc::new(PlanSource::new(self.log.clone()));
        let events = EventsProjector::new(plans);
        let events = if self.options.mirror.is_some() { events.mirrored() } else { events };
        let projectors: [WarmProjector; Projection::ALL.len()] = [
            WarmProjector::new(events),
            WarmProjector::new(BookingsProjector::default()),
            WarmProjector::new(ReportsProjector::default()),
        ];
        // One that cannot go on does not stop the other; the service ends with the last.
        let mut tasks = JoinSet::new();
        for (projector, progress) in projectors.into_iter().zip(self.progress) {
            let loop_ = Loop {
                projector,
                progress,
                store: self.store.clone(),
                stream: self.stream.clone(),
                log: self.log.clone(),
                options: self.options.clone(),
                cancel: cancel.clone(),
            };
            tasks.spawn(loop_.run());
        }
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            if let Err(error) = &ended {
                tracing::error!(projection = error.projection.name(), error = %error.source, "a projection has stopped");
            }
            outcome = outcome.and(ended);
        }
        outcome
    }
}

/// Why a pass through the stream ended.
enum Pass {
    Cancelled,
    Overtaken,
    Flipped,
}

#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error(transparent)]
    Stream(#[from] StreamError),
}

struct Loop {
    projector: WarmProjector,
    progress: watch::Sender<Progress>,
    store: ReadStore,
    stream: Arc<dyn DomainEventStream>,
    log: Arc<dyn LogSource>,
    options: ProjectorOptions,
    cancel: CancellationToken,
}

impl Loop {
    async fn run(mut self) -> Result<(), ServiceError> {
        let projection = self.projector.projection();
        let mut failures: u32 = 0;
        loop {
            let before = self.progress.borrow().position;
            match self.pass().await {
                Ok(Pass::Cancelled) => return Ok(()),
                Ok(Pass::Flipped) => failures = 0,
                Ok(Pass::Overtaken) => {
                    failures = 0;
                    self.stand_by().await;
                }
                Err(PassError::Stream(source @ StreamError::GapInLog { .. })) => {
                    return Err(ServiceError { projection, source });
                }
                Err(error) => {
                    let moved = self.progress.borrow().position > before;
                    failures = if moved { 1 } else { failures + 1 };
                    if failures == 1 {
                        tracing::warn!(projection = projection.name(), error = %error, "a projection failed; it is tried again");
                    }
                    self.is_now(Activity::Retrying);
                    let factor = 1_u32.checked_shl(failures - 1).unwrap_or(MAX_BACKOFF_FACTOR).min(MAX_BACKOFF_FACTOR);
                    self.pause(self.options.backoff * factor).await;
                }
            }
            if self.cancel.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Projects from the checkpoint on until something is in the way.
    async fn pass(&mut self) -> Result<Pass, PassError> {
        self.store.load_versions().await?;
        let projection = self.projector.projection();
        let version = self.store.version(projection);
        let mut position = self.store.checkpoint_of(projection, version).await?;
        let mut events = Ordered::open(&*self.stream, self.log.clone(), position).await?;
        self.reached(position);
        let mut look = tokio::time::interval(VERSIONS_LOOK);
        loop {
            let batch = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Pass::Cancelled),
                _ = look.tick() => {
                    self.store.load_versions().await?;
                    if self.store.version(projection) != version {
                        tracing::info!(projection = projection.name(), version = self.store.version(projection), "another version answers");
                        return Ok(Pass::Flipped);
                    }
                    continue;
                }
                batch = events.next_batch(self.options.batch) => batch?,
            };
            let began = std::time::SystemTime::now();
            match project(&mut self.projector, &self.store, version, position, &batch).await? {
                Outcome::Projected => {}
                Outcome::Overtaken => return Ok(Pass::Overtaken),
            }
            METRICS.projected(projection, &batch, began);
            let from = position;
            position = batch.last().map_or(position, |last| last.position);
            if let Some(mirror) = &self.options.mirror {
                let shows = self.projector.take_changes();
                mirror.projected(Projected { projection, version, from, to: position, shows });
            }
            tracing::trace!(projection = projection.name(), position, batch_len = batch.len(), "projected");
            self.reached(position);
            if !Projection::AWAITED.contains(&projection) && batch.len() < self.options.batch {
                self.pause(self.options.gather).await;
            }
        }
    }

    /// Watches the checkpoint until it stands still for one look.
    async fn stand_by(&self) {
        self.is_now(Activity::Standby);
        let projection = self.projector.projection();
        let mut last = None;
        while !self.cancel.is_cancelled() {
            // A store that fails is the next pass's to report.
            let Ok(position) = self.store.checkpoint_of(projection, self.store.version(projection)).await else {
                return;
            };
            if last == Some(position) {
                return;
            }
            last = Some(position);
            self.progress.send_modify(|progress| progress.position = position);
            self.pause(self.options.standby).await;
        }
    }

    async fn pause(&self, duration: Duration) {
        let _ = tokio::time::timeout(duration, self.cancel.cancelled()).await;
    }

    fn reached(&self, position: Position) {
        self.progress.send_replace(Progress { position, activity: Activity::Active });
    }

    fn is_now(&self, activity: Activity) {
        self.progress.send_modify(|progress| progress.activity = activity);
    }
}
