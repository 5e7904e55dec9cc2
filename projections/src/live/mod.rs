//! Live feeds: what changes, to those who watch it.
//!
//! Each process feeds its own watchers, from the same stream that projections read, so that any number of processes may share one
//! store and it does not matter which of them projects. The argument that nobody misses a change:
//!
//! 1. A domain event is handed to watchers only after the read model that they are loaded from has reached it: to those of seats
//!    after `events`, to those of bookings after `bookings`; neither waits for the other's. So what is read from it at any moment
//!    contains everything that was handed out before that moment.
//! 2. A watcher's **room** (one per show or booking, shared by all who watch it) is registered first and loaded from the read models
//!    then. What is handed out in between waits in the room. Loaded, the room knows its position and drops what is not behind it.
//! 3. From then on the room folds every domain event itself, by the projection's own functions. Whoever comes later gets his
//!    snapshot from the room, under the same lock that his place in the queue of frames is taken under.
//!
//! Frames are bounded: at most one per show in [`seats::FRAME`], shared by all as one `Arc`, in a queue of fixed length. Who is too
//! slow for it finds that he lost some, and gets a snapshot. A room lives as long as somebody watches.
//!
//! # Layout
//!
//! * [`LiveService`]: reads the stream and hands out. [`LiveFeeds`]: subscribe here.
//! * `room`: loading, backlog, snapshot and frames, whatever is watched. `seats`, `bookings`: what is watched.

mod bookings;
mod room;
mod seat_frame;
mod seats;
mod service;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tickiz_domain::ids::{BookingId, EventId};
use tickiz_read_models::{BookingView, Position, Projection, ReadError, ReadStore};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use seat_frame::SeatFrame;
pub use service::{LiveOptions, LiveService};

use self::{
    bookings::WatchedBooking,
    room::{Registry, Watcher},
    seats::WatchedSeats,
};

/// How long a new watcher waits at most until this process has handed out what its read models have reached. After that he gets
/// the snapshot as it is, which is a little older and as consistent.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1);

/// A cheap handle on the live feeds of this process.
#[derive(Clone)]
pub struct LiveFeeds {
    inner: Arc<Inner>,
}

struct Inner {
    store: ReadStore,
    seats: Registry<WatchedSeats>,
    bookings: Registry<WatchedBooking>,
    /// Up to which position watchers of seats have everything.
    seats_out: watch::Sender<Position>,
    /// Watchers of bookings.
    bookings_out: watch::Sender<Position>,
    /// Ends every stream when the process shuts down.
    closing: CancellationToken,
}

impl LiveFeeds {
    /// The seats of a show: a snapshot first, then every change after it, in order, in frames of about 50 ms. A reader who is too
    /// slow gets a snapshot instead of what he missed. `None` for a show that is not there or was never published. The stream ends
    /// when the process shuts down.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn subscribe_seats(&self, id: EventId) -> Result<Option<SeatStream>, ReadError> {
        Ok(self.watch_seats(id).await?.map(SeatWatch::into_stream))
    }

    /// The seats of a show, for one who passes frames on to many and knows what each of them has. `None` as in
    /// [`LiveFeeds::subscribe_seats`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn watch_seats(&self, id: EventId) -> Result<Option<SeatWatch>, ReadError> {
        self.catch_up(Projection::Events, &self.inner.seats_out).await;
        let watcher = self.inner.seats.watch(id, &self.inner.store).await?;
        Ok(watcher.map(|watcher| SeatWatch { watcher, closing: self.inner.closing.clone() }))
    }

    /// A booking: first as it stands, then whenever it changes, in order, once for each append to the log. A reader who is too slow
    /// gets it as it then stands. `None` for a booking that is not there. The stream ends when the process shuts down.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn subscribe_booking(&self, id: BookingId) -> Result<Option<BookingStream>, ReadError> {
        self.catch_up(Projection::Bookings, &self.inner.bookings_out).await;
        let watcher = self.inner.bookings.watch(id, &self.inner.store).await?;
        Ok(watcher.map(|watcher| BookingStream(Box::pin(watcher.stream(self.inner.closing.clone())))))
    }

    /// How many shows and how many bookings are watched.
    #[must_use]
    pub fn watched(&self) -> (usize, usize) {
        (self.inner.seats.len(), self.inner.bookings.len())
    }

    /// Who has just read a version from the read models must not get a snapshot of an older one.
    async fn catch_up(&self, projection: Projection, handed_out: &watch::Sender<Position>) {
        let reached = self.inner.store.known_checkpoint(projection);
        let mut handed_out = handed_out.subscribe();
        let caught_up = handed_out.wait_for(|position| *position >= reached);
        let _ = tokio::time::timeout(CATCH_UP_LIMIT, caught_up).await;
    }
}

/// The seats of a show: its frames, and whenever somebody comes to whom they go, a snapshot.
pub struct SeatWatch {
    watcher: Watcher<WatchedSeats>,
    closing: CancellationToken,
}

impl SeatWatch {
    /// The next frame; each leads on from the one before, or is a snapshot where this reader was too slow. `None` when the process
    /// shuts down. May be given up and asked again.
    pub async fn next(&mut self) -> Option<Arc<SeatFrame>> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            frame = self.watcher.behind_first() => frame,
        }
    }

    /// Everything as it is now: at least what was handed out as frames. A frame may lead from before to behind it, and is then for
    /// one who has it [based](SeatFrame::from) on it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<SeatFrame> {
        self.watcher.snapshot()
    }

    /// The same as a stream for one reader, a snapshot first.
    #[must_use]
    pub fn into_stream(self) -> SeatStream {
        SeatStream(Box::pin(self.watcher.stream(self.closing)))
    }
}

/// The seats of one show for one reader.
pub struct SeatStream(Pin<Box<dyn Stream<Item = Arc<SeatFrame>> + Send>>);

impl Stream for SeatStream {
    type Item = Arc<SeatFrame>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// One booking for one reader.
pub struct BookingStream(Pin<Box<dyn Stream<Item = Arc<BookingView>> + Send>>);

impl Stream for BookingStream {
    type Item = Arc<BookingView>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}
