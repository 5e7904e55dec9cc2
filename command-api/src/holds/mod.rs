//! Short claims of seats beside those of the log: they turn the many losers of an on-sale away cheaply, and give nothing out.
//!
//! A booking's seats are reserved before its append, all or none. The reservation lasts [`RESERVED_FOR`], which an append needs
//! even on a bad day; once the append is acknowledged it lasts as long as the hold. It is given back by its owner only. Every
//! reservation may be lost at any moment, or outlive what it stands for, so:
//!
//! * **What is reserved here is not had.** The claim in the append decides, whatever is reserved for whom.
//! * **Nobody is refused for a reservation**, which may come to nothing: he waits a moment for what becomes of it.
//! * **Who is refused for a hold** is refused by the claims, which are looked at
//!   ([`Occupancy::confirm_taken`](crate::occupancy::Occupancy::confirm_taken)), once a second for any number of losers. So a hold that
//!   was given back in the log and forgotten here blocks nobody.
//! * **Who is not refused** goes on to the append, as everybody does where there is no such store at all.
//!
//! [`MemoryHolds`] is for one process; several share one in Redis (`tickiz_redis::RedisHolds`). [`conformance`] is what both obey.

pub mod conformance;
mod memory;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::BookingDomainEvent,
    ids::{BookingId, EventId, SeatId},
};
use tickiz_event_log::record::Recorded;

pub use memory::MemoryHolds;

use crate::metrics::METRICS;

/// How long seats are reserved for a booking that is being appended.
pub const RESERVED_FOR: Duration = Duration::from_secs(5);
/// The most seats of one reservation; a booking has fewer.
pub const MAX_SEATS: usize = 1_000;

/// How a seat is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// His append is under way.
    Reserved,
    /// His append was acknowledged; the log's claims know better by now.
    Held,
}

/// A seat that is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which of the seats that were asked for.
    pub index: usize,
    /// Whose it is.
    pub holder: BookingId,
    /// How.
    pub standing: Standing,
}

/// What became of a reservation's booking. Told, not asked: nobody waits, and what gets lost runs out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The log has it: the seats are held until then, whoever else has reserved them meanwhile.
    Keep {
        /// The show.
        show: EventId,
        /// Whose they are.
        booking: BookingId,
        /// The seats.
        seats: Vec<SeatId>,
        /// The hold's end.
        until: DateTime<Utc>,
    },
    /// They are his no longer. What is somebody else's by now stays his.
    Release {
        /// The show.
        show: EventId,
        /// Whose they were.
        booking: BookingId,
        /// The seats.
        seats: Vec<SeatId>,
    },
}

/// The store does not answer. Then the log alone decides, slower and just as right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of holds does not answer: {0}")]
pub struct HoldsUnavailable(pub String);

/// A store of short claims.
#[async_trait]
pub trait HoldStore: Send + Sync {
    /// Reserves all these seats for [`RESERVED_FOR`], or none: then those that are somebody else's, in the order of the question.
    /// What the booking has reserved or holds already stays as it is.
    ///
    /// # Errors
    /// When the store does not answer in time. It is then not known what is reserved.
    async fn reserve(
        &self,
        show: EventId,
        booking: BookingId,
        seats: &[SeatId],
    ) -> Result<Vec<Conflict>, HoldsUnavailable>;

    /// Tells what became of a booking.
    fn tell(&self, note: Note);
}

/// Gives back what bookings have given back in the log.
pub fn give_back(holds: &dyn HoldStore, appended: &[Arc<Recorded>]) {
    for recorded in appended {
        if !matches!(recorded.event_type.as_str(), "BookingExpired" | "BookingCancelled" | "TicketsRevoked") {
            continue;
        }
        let released = match recorded.decode::<BookingDomainEvent>() {
            Ok(BookingDomainEvent::BookingExpired(expired)) => expired.released,
            Ok(BookingDomainEvent::BookingCancelled(cancelled)) => cancelled.released,
            Ok(BookingDomainEvent::TicketsRevoked(revoked)) => revoked.released,
            _ => continue,
        };
        if !released.seat_ids.is_empty() {
            let booking = BookingId(recorded.stream.id);
            holds.tell(Note::Release { show: released.event_id, booking, seats: released.seat_ids });
        }
    }
}

/// Seats that are reserved for a booking until this is dropped or [kept](Reservation::keep).
pub struct Reservation {
    holds: Arc<dyn HoldStore>,
    show: EventId,
    booking: BookingId,
    seats: Vec<SeatId>,
}

impl Reservation {
    /// Reserves; the conflicts where that is not possible. Where the store does not answer, nothing is reserved, and nobody is refused.
    pub async fn take(
        holds: &Arc<dyn HoldStore>,
        show: EventId,
        booking: BookingId,
        seats: Vec<SeatId>,
    ) -> Result<Self, Vec<Conflict>> {
        let reservation = Self { holds: holds.clone(), show, booking, seats };
        if reservation.seats.is_empty() {
            return Ok(reservation);
        }
        match holds.reserve(show, booking, &reservation.seats).await {
            Ok(conflicts) if conflicts.is_empty() => {
                METRICS.hold("reserved");
                Ok(reservation)
            }
            Ok(conflicts) => {
                METRICS.hold("taken");
                reservation.forget();
                Err(conflicts)
            }
            // Perhaps it is reserved all the same: given back when this is dropped.
            Err(_) => {
                METRICS.hold("unavailable");
                Ok(reservation)
            }
        }
    }

    /// The same for other seats of the booking, which may overlap; the conflicts where that is not possible, and nothing is
    /// reserved any more.
    pub async fn exchange(self, seats: Vec<SeatId>) -> Result<Self, Vec<Conflict>> {
        if self.seats == seats {
            return Ok(self);
        }
        let mut old = self;
        let taken = Self::take(&old.holds, old.show, old.booking, seats).await;
        if let Ok(new) = &taken {
            old.seats.retain(|seat| !new.seats.contains(seat));
        }
        taken
    }

    /// The log has the booking, held until then.
    pub fn keep(mut self, until: DateTime<Utc>) {
        let seats = std::mem::take(&mut self.seats);
        if !seats.is_empty() {
            self.holds.tell(Note::Keep { show: self.show, booking: self.booking, seats, until });
        }
    }

    /// Nothing was reserved, or another command of the same booking keeps it.
    pub fn forget(mut self) {
        self.seats.clear();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let seats = std::mem::take(&mut self.seats);
        if !seats.is_empty() {
            self.holds.tell(Note::Release { show: self.show, booking: self.booking, seats });
        }
    }
}
