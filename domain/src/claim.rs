//! Claims: what makes a resource unique or bounded.
//!
//! A claim change is a pure function of a domain event, and the log applies it in the append's own transaction. So no way of
//! appending can forget one, and the whole claims table can be recomputed from the log, which is how `tickiz verify` finds a
//! row that somebody moved.
//!
//! There are two shapes. A **unique** resource (a seat, a slug) has one holder or none. A **counter** (a quota, one person's
//! places in a show) has what is used and a limit; `used` never exceeds `limit` when a use is appended, and never sinks
//! below zero.

use std::fmt;

use crate::ids::{BookingId, EventId, PersonMark, QuotaId, SeatId};

/// The longest resource name in bytes: the claims table's key. A seat's id is bounded so that its resource fits.
pub const MAX_RESOURCE_BYTES: usize = 255;

/// What can be claimed. Its text is the key of the `claims` table; outsiders read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// One seat of one show: `seat/<event>/<seat id as in the plan>`. Unique.
    Seat(EventId, SeatId),
    /// The places of one quota of one show: `quota/<event>/<quota>`. Counter.
    Quota(EventId, QuotaId),
    /// The places of one person in one show: `person/<event>/<mark>`. Counter.
    Person(EventId, PersonMark),
    /// A show's readable address: `slug/<slug>`. Unique.
    Slug(String),
    /// A show's number in ticket codes: `event-number/<n>`. Unique.
    EventNumber(u32),
    /// A ticket's number in its code, within its show's number: `ticket/<event number>/<ticket number>`. Unique, and kept for ever.
    Ticket(u32, u64),
    /// A booking's human code without its hyphen: `booking-code/<code>`. Unique.
    BookingCode(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seat(event, seat) => write!(f, "seat/{event}/{seat}"),
            Self::Quota(event, quota) => write!(f, "quota/{event}/{quota}"),
            Self::Person(event, mark) => write!(f, "person/{event}/{}", mark.0),
            Self::Slug(slug) => write!(f, "slug/{slug}"),
            Self::EventNumber(number) => write!(f, "event-number/{number}"),
            Self::Ticket(event, ticket) => write!(f, "ticket/{event}/{ticket}"),
            Self::BookingCode(code) => write!(f, "booking-code/{code}"),
        }
    }
}

/// Who holds a unique resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A booking, held or sold: `booking/<id>`.
    Booking(BookingId),
    /// The organiser's block: `block/<event>`.
    Block(EventId),
    /// An Event that owns a name or number: `event/<id>`.
    Event(EventId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Booking(id) => write!(f, "booking/{id}"),
            Self::Block(id) => write!(f, "block/{id}"),
            Self::Event(id) => write!(f, "event/{id}"),
        }
    }
}

/// What a domain event does to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// Takes a unique resource; lost if another holds it. A holder taking what he has already is a broken invariant.
    Take {
        /// The resource.
        resource: Resource,
        /// The new holder.
        holder: Holder,
    },
    /// Gives a unique resource back. Compare-and-delete: lost if `holder` does not hold it.
    Release {
        /// The resource.
        resource: Resource,
        /// The holder that gives it back.
        holder: Holder,
    },
    /// Sets a counter's limit, creating the counter. Lost if more than that is used.
    SetLimit {
        /// The counter.
        resource: Resource,
        /// The new limit, in places.
        limit: i64,
    },
    /// Uses some of a counter. Lost if `used + amount` would exceed the limit.
    Use {
        /// The counter.
        resource: Resource,
        /// How many places; at least 1.
        amount: i64,
        /// A limit that comes with the use instead of standing in the row (places per person); `None` takes the row's.
        limit: Option<i64>,
    },
    /// Gives some of a counter back.
    Return {
        /// The counter.
        resource: Resource,
        /// How many places; at least 1.
        amount: i64,
    },
}

impl ClaimChange {
    /// The resource that is changed.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        match self {
            Self::Take { resource, .. }
            | Self::Release { resource, .. }
            | Self::SetLimit { resource, .. }
            | Self::Use { resource, .. }
            | Self::Return { resource, .. } => resource,
        }
    }
}

/// Stands for "no limit" in a counter whose show sets none per person; the counter is kept all the same, since a limit
/// set later counts what was bought before.
pub const NO_LIMIT: i64 = i64::MAX;
