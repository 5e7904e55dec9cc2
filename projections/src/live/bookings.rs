//! A booking, watched.

use std::{sync::Arc, time::Duration};

use tickiz_domain::{booking::BookingDomainEvent, ids::BookingId};
use tickiz_read_models::{BookingView, Position, Projection, ReadError, ReadStore};

use super::room::Watched;
use crate::bookings::apply;

/// A booking in a room.
pub(super) struct WatchedBooking {
    view: Option<BookingView>,
    id: BookingId,
    sent: Position,
    /// A domain event came that cannot be applied: the projection stands still for this booking, and so does this.
    stuck: bool,
}

impl WatchedBooking {
    fn view(&self) -> &BookingView {
        self.view.as_ref().expect("a room is made of a booking, and none ends one")
    }
}

impl Watched for WatchedBooking {
    type Id = BookingId;
    /// `None`: a domain event of the booking that cannot be read.
    type Change = Option<Box<BookingDomainEvent>>;
    type Frame = BookingView;
    const PROJECTION: Projection = Projection::Bookings;
    /// A booking changes a dozen times in its life.
    const QUEUE: usize = 16;
    /// At once: each append is a change that somebody waits for.
    const PACE: Duration = Duration::ZERO;

    async fn load(store: &ReadStore, id: BookingId) -> Result<Option<Self>, ReadError> {
        let Some(view) = store.booking(id).await? else { return Ok(None) };
        let sent = view.position;
        let stuck = store.is_set_aside(Projection::Bookings, id.0).await?;
        Ok(Some(Self { view: Some(view), id, sent, stuck }))
    }

    fn position(&self) -> Position {
        self.view().position
    }

    fn apply(&mut self, position: Position, change: Self::Change) {
        let applied = change.filter(|_| !self.stuck).map(|event| apply(self.id, &mut self.view, *event, position));
        // The projector says so once, with the reason.
        self.stuck = !matches!(applied, Some(Ok(())));
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn snapshot(&mut self) -> Arc<BookingView> {
        Arc::new(self.view().clone())
    }

    fn take_frame(&mut self) -> Option<Arc<BookingView>> {
        let position = self.view().position;
        if position == self.sent {
            return None;
        }
        self.sent = position;
        Some(self.snapshot())
    }

    fn version(frame: &BookingView) -> i64 {
        frame.position
    }

    fn based_on(frame: Arc<BookingView>, _: i64) -> Arc<BookingView> {
        frame
    }
}
