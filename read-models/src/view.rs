//! What the read side knows, as callers get it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tickiz_domain::{
    booking::Purchase,
    event::Show,
    ids::{BookingId, EventId, TicketTypeId},
    money::Money,
};

/// A place in the log of a shard: gap-free, from 1, in commit order. 0 stands before the first.
pub type Position = i64;

/// What is left of a ticket type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeAvailability {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// How many tickets of it can be had now: the free seats of its categories, or what is left of its quota.
    pub available: i64,
}

/// A show with what is left of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// As folded from the log, but [`Show::blocked`] is empty here: what is blocked is in the seats' statuses.
    pub show: Show,
    /// One entry per ticket type, in the organiser's order.
    pub availability: Vec<TypeAvailability>,
    /// The version of its seats: 0 at publication, one more for each domain event that changed a seat or what is left.
    pub seat_version: i64,
    /// This is complete up to here: the projection's checkpoint in the same snapshot.
    pub position: Position,
}

impl EventView {
    /// What is left of a type; 0 for a type that the show does not have.
    #[must_use]
    pub fn available(&self, ticket_type: TicketTypeId) -> i64 {
        self.availability.iter().find(|a| a.ticket_type_id == ticket_type).map_or(0, |a| a.available)
    }

    /// The lowest price of a type of which something is left. The sale window is not looked at: a show whose sale has not begun
    /// has its price all the same.
    #[must_use]
    pub fn price_from(&self) -> Option<Money> {
        let had = self.show.ticket_types.iter().filter(|t| self.available(t.id) > 0);
        had.map(|t| t.price).min_by_key(Money::minor)
    }
}

/// What a seat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeatStatus {
    /// Anybody may have it.
    Free,
    /// A booking holds it that is not paid yet.
    Held,
    /// Sold.
    Booked,
    /// Out of sale by the organiser.
    Blocked,
}

impl SeatStatus {
    /// Its character in [`SeatStatuses::statuses`]: F, H, B or X.
    #[must_use]
    pub const fn as_char(self) -> char {
        self.as_byte() as char
    }

    /// The same as an ASCII byte.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Free => b'F',
            Self::Held => b'H',
            Self::Booked => b'B',
            Self::Blocked => b'X',
        }
    }

    /// The status of that character.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'F' => Some(Self::Free),
            b'H' => Some(Self::Held),
            b'B' => Some(Self::Booked),
            b'X' => Some(Self::Blocked),
            _ => None,
        }
    }
}

/// All the seats of a show at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatStatuses {
    /// The version: 0 at publication, one more for each domain event that changed a seat or what is left of a type.
    pub version: i64,
    /// This is complete up to here.
    pub position: Position,
    /// Content hash of the plan; empty for a show without one.
    pub plan_hash: String,
    /// One character per seat in plan order, F H B X; empty for a show without a plan.
    pub statuses: String,
    /// One entry per ticket type, in the organiser's order.
    pub availability: Vec<TypeAvailability>,
}

/// A booking.
#[derive(Clone, Debug, PartialEq)]
pub struct BookingView {
    /// Its id.
    pub id: BookingId,
    /// As folded from the log.
    pub purchase: Purchase,
    /// The position of its last domain event that is contained.
    pub position: Position,
}

/// A domain event that a projection could not read, and with which it stopped for one show or booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The projection.
    pub projection: crate::Projection,
    /// The show or booking that stands still from there on.
    pub subject: uuid::Uuid,
    /// Where it is in the log.
    pub position: Position,
    /// Its stored type name.
    pub event_type: String,
    /// Its stored version.
    pub event_version: i32,
    /// Why.
    pub error: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}
