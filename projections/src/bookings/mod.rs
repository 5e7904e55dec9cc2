//! The projection `bookings`: each booking as the domain folds it.
//!
//! The table and its queries are in `tickiz_read_models::bookings`.

use tickiz_domain::{
    booking::{Booking, BookingDomainEvent},
    ids::BookingId,
};
use tickiz_event_log::record::Recorded;
use tickiz_read_models::{BookingView, Position, Projection, ReadError, WriteTx};

use crate::{
    events::ApplyError,
    per_booking::{Kept, PerBooking},
};

/// Builds the projection `bookings`.
pub type BookingsProjector = PerBooking<BookingView>;

/// Folds one domain event into a booking. On an error nothing is left of it.
///
/// # Errors
/// [`ApplyError::NoBooking`] where it does not begin with `BookingPlaced`.
pub fn apply(
    id: BookingId,
    view: &mut Option<BookingView>,
    event: BookingDomainEvent,
    position: Position,
) -> Result<(), ApplyError> {
    let mut booking = Booking(view.take().map(|view| view.purchase));
    booking.fold(event);
    *view = booking.0.map(|purchase| BookingView { id, purchase, position });
    if view.is_some() { Ok(()) } else { Err(ApplyError::NoBooking) }
}

impl Kept for BookingView {
    const PROJECTION: Projection = Projection::Bookings;

    fn id(&self) -> BookingId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn apply(kept: &mut Option<Self>, event: BookingDomainEvent, recorded: &Recorded) -> Result<(), ApplyError> {
        apply(BookingId(recorded.stream.id), kept, event, recorded.position)
    }

    async fn load(tx: &mut WriteTx, ids: &[BookingId]) -> Result<Vec<Self>, ReadError> {
        tx.load_bookings(ids).await
    }

    async fn write(tx: &mut WriteTx, kept: &[&Self]) -> Result<(), ReadError> {
        tx.write_bookings(kept.iter().copied()).await
    }
}
