//! The process manager of a cancelled show: ends every booking of it.
//!
//! Nothing is placed or confirmed after `EventCancelled`, since every append names the show that it was decided on. So the bookings
//! are those that a list of them has once it has reached that position, and nobody is forgotten. The list comes from outside
//! ([`BookingList`]); whether a booking is really ended, and whether money goes back, the booking decides.
//!
//! It may die anywhere: whoever takes over begins anew, and what is ended already is skipped.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tickiz_domain::{
    ids::{BookingId, EventId},
    timer::TimerKind,
};
use tickiz_event_log::{EventLog, LeasedTimer, Position};

use super::lane::{Lane, Step};
use crate::payments::{Bookings, BookingsError, Fact, Next, retry_wait};

/// A cancelled stadium is ended in pages, under a lease that covers one run of them.
pub const CANCELLATIONS: Lane = Lane {
    name: "cancellations",
    kinds: &[TimerKind::EventCancellation],
    at_once: 4,
    lease: Duration::from_secs(120),
    poll: Duration::from_millis(500),
};

/// How many bookings are read at a time.
const PAGE: usize = 500;
/// How many bookings are ended at once.
const AT_ONCE: usize = 64;
/// After so many bookings the timer is given back, well within its lease; whoever takes it goes on.
const MOST_PER_RUN: usize = 5_000;
/// When the list is asked again that is not there yet.
const LIST_WAIT: Duration = Duration::from_millis(250);

/// Why the list of bookings cannot be had now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list of bookings cannot be read: {0}")]
pub struct ListError(pub String);

/// The bookings of shows, as a read model has them.
#[async_trait::async_trait]
pub trait BookingList: Send + Sync {
    /// The bookings of a show that have not ended yet (held or confirmed), in the order of their ids, after one of them, at
    /// most `limit`. `None` as long as the list has not reached the position `at_least`.
    ///
    /// # Errors
    /// When the list cannot be read.
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError>;
}

/// Ends the bookings of a cancelled show.
pub struct EndBookings {
    /// The bookings.
    pub bookings: Arc<dyn Bookings>,
    /// The list of them.
    pub list: Arc<dyn BookingList>,
    /// The log.
    pub log: EventLog,
}

enum Ended {
    All,
    NotYet,
    More,
}

impl EndBookings {
    async fn end_all(&self, event: EventId, timer: &LeasedTimer) -> Result<Ended, String> {
        // The cancellation was in the log before its timer was, so the head is at or after it.
        let at_least = self.log.head().await.map_err(|error| error.to_string())?;
        let mut after = None;
        let mut ended = 0;
        loop {
            let page = self.list.bookings_of(event, at_least, after, PAGE).await.map_err(|error| error.to_string())?;
            let Some(page) = page else { return Ok(Ended::NotYet) };
            let Some(last) = page.last() else { return Ok(Ended::All) };
            after = Some(*last);
            ended += page.len();
            let results = stream::iter(page)
                .map(|id| async move { self.end(id, timer).await })
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>()
                .await;
            for result in results {
                result.map_err(|error| error.to_string())?;
            }
            if ended >= MOST_PER_RUN {
                return Ok(Ended::More);
            }
        }
    }

    async fn end(&self, id: BookingId, timer: &LeasedTimer) -> Result<(), BookingsError> {
        match self.bookings.record(id, timer.timer_id, Fact::ShowCancelled).await {
            Ok(_) => Ok(()),
            Err(BookingsError::Unknown) => {
                tracing::error!(booking.id = %id, "the list has a booking that is not there");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait::async_trait]
impl Step for EndBookings {
    async fn run(&self, timer: &LeasedTimer) -> Next {
        let event = EventId(timer.timer.stream.id);
        match self.end_all(event, timer).await {
            Ok(Ended::All) => Next::Done,
            Ok(Ended::NotYet) => Next::Again(LIST_WAIT),
            Ok(Ended::More) => Next::Again(Duration::ZERO),
            Err(error) => {
                tracing::warn!(event.id = %event, attempts = timer.attempts, %error, "ending a cancelled show's bookings is tried again");
                Next::Again(retry_wait(timer.attempts))
            }
        }
    }
}
