//! Live feeds: what changes, to those who watch it.

mod booking_feed;
mod seat_frame;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream;
use tickiz_domain::ids::{BookingId, EventId};
use tickiz_read_models::{BookingView, ReadError};

pub use seat_frame::SeatFrame;

/// A cheap handle on the live feeds of this process.
#[derive(Clone, Debug)]
pub struct LiveFeeds {}

#[expect(unused_variables, clippy::unimplemented, reason = "signatures first; the bodies follow at once")]
impl LiveFeeds {
    /// The seats of a show: a snapshot first, then every change after it, in order, in frames of about 50 ms. A reader who is too
    /// slow gets a snapshot instead of what he missed. `None` for a show that is not there or was never published. The stream ends
    /// when the process shuts down.
    pub async fn subscribe_seats(&self, id: EventId) -> Result<Option<SeatStream>, ReadError> { unimplemented!() }

    /// A booking: first as it stands, then whenever it changes, in order. A reader who is too slow gets it as it then stands. `None`
    /// for a booking that is not there. The stream ends when the process shuts down.
    pub async fn subscribe_booking(&self, id: BookingId) -> Result<Option<BookingStream>, ReadError> { unimplemented!() }
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
