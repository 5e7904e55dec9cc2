//! A room: one watched thing, and everybody who watches it.
//!
//! What the lock of a room protects together: its state, and that frames are sent in the order of the changes. A new watcher takes
//! his place in the queue and his snapshot under it, so the first frame that he finds in the queue follows his snapshot, or
//! overlaps it: then what he has is dropped, or the frame is [based](Watched::based_on) on what he has.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use parking_lot::Mutex;
use tickiz_read_models::{Position, Projection, ReadError, ReadStore};
use tokio::sync::{OnceCell, broadcast};
use tokio_util::sync::CancellationToken;

/// How many changes wait in a room that is being loaded. Loading takes milliseconds; a show that changes more often in that time
/// is loaded once more.
const MAX_BACKLOG: usize = 10_000;

/// Something that can be watched.
pub(super) trait Watched: Send + Sized + 'static {
    type Id: Copy + Eq + Hash + Send + Sync + 'static;
    /// What happened to it, decoded once for all.
    type Change: Clone + Send + 'static;
    /// What watchers get.
    type Frame: Send + Sync + 'static;
    /// Whose read model it is loaded from.
    const PROJECTION: Projection;
    /// How many frames wait for a slow reader.
    const QUEUE: usize;
    /// At most one frame in this time.
    const PACE: Duration;

    /// As the read models have it; `None` where there is nothing to watch.
    fn load(store: &ReadStore, id: Self::Id) -> impl Future<Output = Result<Option<Self>, ReadError>> + Send;
    /// Up to which position everything is contained.
    fn position(&self) -> Position;
    /// Folds a change that is behind [`Watched::position`].
    fn apply(&mut self, position: Position, change: Self::Change);
    /// Whether it stands still, since its projection does.
    fn is_stuck(&self) -> bool;
    /// Everything, as it is now.
    fn snapshot(&mut self) -> Arc<Self::Frame>;
    /// What has changed since the last frame; `None` where nothing has that watchers see.
    fn take_frame(&mut self) -> Option<Arc<Self::Frame>>;
    /// What a frame leads to. Rises from frame to frame.
    fn version(frame: &Self::Frame) -> i64;
    /// The frame for one who has that version, which lies within what the frame covers.
    fn based_on(frame: Arc<Self::Frame>, version: i64) -> Arc<Self::Frame>;
}

/// The rooms by what is watched in them.
type Rooms<W> = Mutex<HashMap<<W as Watched>::Id, Weak<Room<W>>>>;
/// A place in a room's queue of frames.
type Queue<W> = broadcast::Receiver<Arc<<W as Watched>::Frame>>;

/// The rooms of this process. A room lives as long as one of its watchers.
pub(super) struct Registry<W: Watched>(Arc<Rooms<W>>);

/// One watched thing.
pub(super) struct Room<W: Watched> {
    id: W::Id,
    /// Whether it is there at all; set once it is loaded.
    loaded: OnceCell<bool>,
    inner: Mutex<Inner<W>>,
    frames: broadcast::Sender<Arc<W::Frame>>,
    home: Weak<Rooms<W>>,
}

struct Inner<W: Watched> {
    state: State<W>,
    /// The last position handed out, whatever became of it.
    handed_out: Position,
    last_frame: Option<Instant>,
}

enum State<W: Watched> {
    /// What was handed out in the meantime; `None`: more than is kept.
    Loading(Option<Vec<(Position, W::Change)>>),
    Ready(W),
}

impl<W: Watched> Inner<W> {
    /// Of a room that is watched.
    fn snapshot(&mut self) -> Arc<W::Frame> {
        let State::Ready(state) = &mut self.state else { unreachable!("a room that was loaded stays loaded") };
        state.snapshot()
    }
}

impl<W: Watched> Drop for Room<W> {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut rooms = home.lock();
        // Another of the same name may have been opened since.
        if rooms.get(&self.id).is_some_and(|room| room.strong_count() == 0) {
            rooms.remove(&self.id);
        }
    }
}

impl<W: Watched> Registry<W> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// The room of a thing that somebody watches.
    pub(super) fn get(&self, id: W::Id) -> Option<Arc<Room<W>>> {
        self.0.lock().get(&id)?.upgrade()
    }

    /// Lets the rooms go on that stood still with a version of the projection that does not answer any more.
    pub(super) async fn unstick(&self, store: &ReadStore) -> Result<(), ReadError> {
        let rooms: Vec<_> = self.0.lock().values().filter_map(Weak::upgrade).collect();
        for room in rooms {
            room.unstick(store).await?;
        }
        Ok(())
    }

    fn enter(&self, id: W::Id) -> Arc<Room<W>> {
        let mut rooms = self.0.lock();
        if let Some(room) = rooms.get(&id).and_then(Weak::upgrade) {
            return room;
        }
        let room = Arc::new(Room {
            id,
            loaded: OnceCell::new(),
            inner: Mutex::new(Inner { state: State::Loading(Some(Vec::new())), handed_out: 0, last_frame: None }),
            frames: broadcast::Sender::new(W::QUEUE),
            home: Arc::downgrade(&self.0),
        });
        rooms.insert(id, Arc::downgrade(&room));
        room
    }

    /// Watches a thing; `None` where there is nothing to watch.
    pub(super) async fn watch(&self, id: W::Id, store: &ReadStore) -> Result<Option<Watcher<W>>, ReadError> {
        // Registered first, loaded then.
        let room = self.enter(id);
        if !*room.loaded.get_or_try_init(|| room.load(store)).await? {
            return Ok(None);
        }
        let mut inner = room.inner.lock();
        let (frames, snapshot) = (room.frames.subscribe(), inner.snapshot());
        drop(inner);
        Ok(Some(Watcher { version: W::version(&snapshot), first: Some(snapshot), frames, room }))
    }
}

impl<W: Watched> Room<W> {
    /// Loads it, and brings it up to what was handed out in the meantime. May be given up at any await and begun again by another.
    async fn load(&self, store: &ReadStore) -> Result<bool, ReadError> {
        loop {
            let Some(mut loaded) = W::load(store, self.id).await? else { return Ok(false) };
            let mut inner = self.inner.lock();
            let State::Loading(backlog) = &mut inner.state else { unreachable!("a room is loaded once") };
            let Some(changes) = backlog.take() else {
                *backlog = Some(Vec::new());
                continue;
            };
            for (position, change) in changes {
                if position > loaded.position() {
                    loaded.apply(position, change);
                }
            }
            // Nobody watches yet, so nobody needs the frame of it.
            loaded.take_frame();
            inner.state = State::Ready(loaded);
            return Ok(true);
        }
    }

    /// Takes what was handed out.
    pub(super) fn apply(&self, position: Position, change: W::Change) {
        let mut inner = self.inner.lock();
        inner.handed_out = position;
        match &mut inner.state {
            State::Loading(backlog) => {
                if let Some(waiting) = backlog.as_mut().filter(|waiting| waiting.len() < MAX_BACKLOG) {
                    waiting.push((position, change));
                } else {
                    *backlog = None;
                }
            }
            State::Ready(state) if position > state.position() => state.apply(position, change),
            State::Ready(_) => {}
        }
    }

    /// Goes on where it stood still, since the projection was built anew; who watches gets everything as it is now.
    async fn unstick(&self, store: &ReadStore) -> Result<(), ReadError> {
        let is_stuck = |state: &State<W>| matches!(state, State::Ready(state) if state.is_stuck());
        while is_stuck(&self.inner.lock().state) {
            let reached = store.checkpoint_of(W::PROJECTION, store.version(W::PROJECTION)).await?;
            let Some(mut loaded) = W::load(store, self.id).await?.filter(|loaded| !loaded.is_stuck()) else {
                return Ok(());
            };
            let mut inner = self.inner.lock();
            // What was handed out while it was loaded is not in what was loaded: once more.
            if inner.handed_out > reached.max(loaded.position()) {
                continue;
            }
            let _ = self.frames.send(loaded.snapshot());
            inner.state = State::Ready(loaded);
        }
        Ok(())
    }

    /// Sends a frame of what has changed, if the pace allows one now; else says when.
    pub(super) fn send_frame(&self, now: Instant) -> Option<Instant> {
        let mut inner = self.inner.lock();
        if let Some(due) = inner.last_frame.map(|last| last + W::PACE).filter(|due| *due > now) {
            return Some(due);
        }
        let State::Ready(state) = &mut inner.state else { return None };
        if let Some(frame) = state.take_frame() {
            // Nobody may be listening at this moment.
            let _ = self.frames.send(frame);
            inner.last_frame = Some(now);
        }
        None
    }

    /// Everything as it is now, and a place in the queue behind it.
    fn again(&self) -> (Queue<W>, Arc<W::Frame>) {
        let mut inner = self.inner.lock();
        let snapshot = inner.snapshot();
        (self.frames.subscribe(), snapshot)
    }
}

/// One who watches.
pub(super) struct Watcher<W: Watched> {
    /// What he has.
    version: i64,
    first: Option<Arc<W::Frame>>,
    frames: Queue<W>,
    room: Arc<Room<W>>,
}

impl<W: Watched> Watcher<W> {
    /// The snapshot and what follows, until the process shuts down.
    pub(super) fn stream(self, closing: CancellationToken) -> impl Stream<Item = Arc<W::Frame>> + Send {
        stream::unfold((self, closing), |(mut watcher, closing)| async move {
            let frame = tokio::select! {
                biased;
                () = closing.cancelled() => None,
                frame = watcher.next() => frame,
            };
            frame.map(|frame| (frame, (watcher, closing)))
        })
    }

    async fn next(&mut self) -> Option<Arc<W::Frame>> {
        match self.first.take() {
            Some(snapshot) => Some(snapshot),
            None => self.behind_first().await,
        }
    }

    /// Everything as it is now.
    pub(super) fn snapshot(&self) -> Arc<W::Frame> {
        self.room.inner.lock().snapshot()
    }

    /// The frames behind the first snapshot. May be given up at any await.
    pub(super) async fn behind_first(&mut self) -> Option<Arc<W::Frame>> {
        loop {
            let frame = match self.frames.recv().await {
                Ok(frame) if W::version(&frame) <= self.version => continue,
                Ok(frame) => W::based_on(frame, self.version),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let (frames, snapshot) = self.room.again();
                    self.frames = frames;
                    if W::version(&snapshot) <= self.version {
                        continue;
                    }
                    snapshot
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            self.version = W::version(&frame);
            return Some(frame);
        }
    }
}
