//! Holds that run out, and shows that are near or over.
//!
//! A deadline is judged by the store's clock, and the booking judges it by the time that this process takes for it. Where that is
//! a moment behind, the booking would say "not yet" and the timer would be gone; so a timer only ends when what it is for is
//! seen to be over.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::BookingStatus,
    event::EventStatus,
    ids::{BookingId, EventId},
    timer::TimerKind,
};
use tickiz_event_log::LeasedTimer;

use super::lane::{Lane, Step};
use crate::payments::{Bookings, BookingsError, Fact, Next, retry_wait};

/// Thousands of holds may end in one second, when a sale began for all of them at once. 512 at a time fill the log's batches. The
/// lease is short, since another process has to take over within the five seconds in which a hold's end is promised.
pub const HOLDS: Lane = Lane {
    name: "holds",
    kinds: &[TimerKind::HoldEnds],
    at_once: 512,
    lease: Duration::from_secs(3),
    poll: Duration::from_millis(200),
};

/// Nobody waits for a show to be called over.
pub const SHOWS: Lane = Lane {
    name: "shows",
    kinds: &[TimerKind::EventEnds],
    at_once: 32,
    lease: Duration::from_secs(30),
    poll: Duration::from_secs(1),
};

/// Reminders have a day; nobody waits for them either.
pub const REMINDERS: Lane = Lane {
    name: "reminders",
    kinds: &[TimerKind::EventReminder],
    at_once: 8,
    lease: Duration::from_secs(30),
    poll: Duration::from_secs(2),
};

/// When a draft that is near its date is looked at again: it may yet be published and sold.
const DRAFT_AGAIN: Duration = Duration::from_mins(10);
/// The longest a step waits for a deadline that the store has seen and this process has not.
const MAX_AHEAD: Duration = Duration::from_millis(500);
/// When a step looks again whose deadline was not yet there.
const SOON: Duration = Duration::from_millis(50);
/// A hold's end must not wait for long after a failure: it is promised within five seconds, and overload is when it matters most.
const HOLD_RETRY: Duration = Duration::from_millis(250);
/// What the wait after a hold's end that failed again and again grows to.
const MAX_HOLD_RETRY: Duration = Duration::from_secs(1);

/// When something is looked at again that is not over: at its deadline as it now is, since the timer may have been due by a clock
/// that was wrong.
fn again_at(deadline: DateTime<Utc>, now: DateTime<Utc>) -> Next {
    Next::Again((deadline - now).to_std().unwrap_or_default().max(SOON))
}

/// Waits until this process, too, takes a deadline for past.
async fn wait_until(bookings: &dyn Bookings, due_at: DateTime<Utc>) {
    let ahead = (due_at - bookings.now()).to_std().unwrap_or_default();
    if !ahead.is_zero() {
        tokio::time::sleep(ahead.min(MAX_AHEAD)).await;
    }
}

/// A hold runs out.
pub struct HoldEnds(pub Arc<dyn Bookings>);

#[async_trait::async_trait]
impl Step for HoldEnds {
    async fn run(&self, timer: &LeasedTimer) -> Next {
        let id = BookingId(timer.timer.stream.id);
        wait_until(&*self.0, timer.timer.due_at).await;
        match self.0.record(id, timer.timer_id, Fact::HoldEnded).await {
            // Extended, or the clock went back: whichever, as long as it is held somebody has to come again.
            Ok(after) if after.status == BookingStatus::Held => again_at(after.hold_expires_at, self.0.now()),
            Ok(_) => Next::Done,
            Err(BookingsError::Unknown) => {
                tracing::error!(booking.id = %id, "a hold's timer is about a booking that is not there");
                Next::Done
            }
            Err(error) => {
                tracing::warn!(booking.id = %id, attempts = timer.attempts, %error, "a hold's end is tried again");
                let times = u32::try_from(timer.attempts).unwrap_or(u32::MAX).max(1);
                Next::Again(HOLD_RETRY.saturating_mul(times).min(MAX_HOLD_RETRY))
            }
        }
    }
}

/// A show is over.
pub struct ShowEnds(pub Arc<dyn Bookings>);

#[async_trait::async_trait]
impl Step for ShowEnds {
    async fn run(&self, timer: &LeasedTimer) -> Next {
        let id = EventId(timer.timer.stream.id);
        wait_until(&*self.0, timer.timer.due_at).await;
        match self.0.complete_show(id, timer.timer_id).await {
            // A draft that is never published stays one, and a postponed show gets a timer with its new date.
            Ok(show) if show.status == EventStatus::Published && !show.postponed => {
                again_at(show.over_at(), self.0.now())
            }
            Ok(_) => Next::Done,
            Err(BookingsError::Unknown) => {
                tracing::error!(event.id = %id, "a show's timer is about a show that is not there");
                Next::Done
            }
            Err(error) => {
                tracing::warn!(event.id = %id, attempts = timer.attempts, %error, "a show's end is tried again");
                Next::Again(retry_wait(timer.attempts))
            }
        }
    }
}

/// A show is near.
pub struct ShowIsNear(pub Arc<dyn Bookings>);

#[async_trait::async_trait]
impl Step for ShowIsNear {
    async fn run(&self, timer: &LeasedTimer) -> Next {
        let id = EventId(timer.timer.stream.id);
        wait_until(&*self.0, timer.timer.due_at).await;
        match self.0.remind_of_show(id, timer.timer_id).await {
            Ok(show) if self.0.now() >= show.starts_at.instant => Next::Done,
            Ok(show) if show.status == EventStatus::Draft => Next::Again(DRAFT_AGAIN),
            // Not yet by this process's clock.
            Ok(show) if show.awaits_reminder() => again_at(show.reminder_at(), self.0.now()),
            Ok(_) => Next::Done,
            Err(BookingsError::Unknown) => {
                tracing::error!(event.id = %id, "a show's timer is about a show that is not there");
                Next::Done
            }
            Err(error) => {
                tracing::warn!(event.id = %id, attempts = timer.attempts, %error, "a show's reminder is tried again");
                Next::Again(retry_wait(timer.attempts))
            }
        }
    }
}
