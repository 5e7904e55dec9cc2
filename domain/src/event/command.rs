//! What can be asked of an Event, and what each state answers.
//!
//! An Event is a draft, goes on sale, may be moved (perhaps without a new date yet), and ends cancelled or completed. Both ends
//! are final. Whatever an Event says no to is a named error; a command that finds its work done already, and a timer that
//! comes early or late, find nothing to do.
//!
//! # The table
//!
//! `–` is: nothing to do, no domain event. A name in italics is a variant of [`EventError`](super::EventError), any other a domain
//! event. *postponed* is published without a date. `tests/domain/event_table.rs` reads this very table and tries every cell.
//!
//! | state | `Create` | `Publish` | `Publish`, start is past | `Cancel` | `Complete`, over | `Complete`, early |
//! |---|---|---|---|---|---|---|
//! | none | EventCreated | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | draft | *AlreadyExists* | EventPublished | *StartsInPast* | EventCancelled | – | – |
//! | published | *AlreadyExists* | – | – | EventCancelled | EventCompleted | – |
//! | postponed | *AlreadyExists* | – | – | EventCancelled | – | – |
//! | cancelled | *AlreadyExists* | *Cancelled* | *Cancelled* | *Cancelled* | – | – |
//! | completed | *AlreadyExists* | *Completed* | *Completed* | *Completed* | – | – |
//!
//! | state | `Change` | `Change`, nothing new | `Change`, same start | `Change`, start is past | `Change`, start past the end |
//! |---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | draft | EventChanged | – | – | EventChanged | *EndsBeforeStart* |
//! | published | EventChanged | – | – | *StartsInPast* | *EndsBeforeStart* |
//! | postponed | EventChanged | – | EventChanged | *StartsInPast* | EventChanged |
//! | cancelled | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* |
//! | completed | *Completed* | *Completed* | *Completed* | *Completed* | *Completed* |
//!
//! | state | `Postpone` | `Postpone`, no date | `Postpone`, as it is | `Postpone`, date is past | `Postpone`, end alone |
//! |---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | draft | *NotPublished* | *NotPublished* | *NotPublished* | *NotPublished* | *NotPublished* |
//! | published | EventPostponed | EventPostponed | – | *StartsInPast* | *EndWithoutStart* |
//! | postponed | EventPostponed | EventPostponed | – | *StartsInPast* | *EndWithoutStart* |
//! | cancelled | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* |
//! | completed | *Completed* | *Completed* | *Completed* | *Completed* | *Completed* |
//!
//! | state | `BlockSeats` | `BlockSeats`, all blocked | `BlockSeats`, unknown | `UnblockSeats` | `UnblockSeats`, none blocked |
//! |---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | draft | SeatsBlocked | – | *UnknownSeats* | SeatsUnblocked | – |
//! | published | SeatsBlocked | – | *UnknownSeats* | SeatsUnblocked | – |
//! | postponed | SeatsBlocked | – | *UnknownSeats* | SeatsUnblocked | – |
//! | cancelled | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* | *Cancelled* |
//! | completed | *Completed* | *Completed* | *Completed* | *Completed* | *Completed* |
//!
//! | state | `Remind`, near | `Remind`, early | `Remind`, begun | `Remind`, done |
//! |---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | draft | – | – | – | – |
//! | published | EventRemindersDue | – | – | – |
//! | postponed | – | – | – | – |
//! | cancelled | – | – | – | – |
//! | completed | – | – | – | – |
//!
//! What else can be wrong with the input of `Create` and `Change` does not depend on the state; it is checked by
//! `validate`, and [`EventError`](super::EventError) lists it. What is taken or sold out is not known here: that is decided
//! by claims, in the append.

use chrono::{DateTime, Utc};

use super::event::{EventCreated, Venue, VenueTime};
use crate::{
    ids::{SeatId, TicketTypeId},
    money::Money,
};

/// What can be asked of an Event. `now` is the store's clock.
#[derive(Clone, Debug, PartialEq)]
pub enum EventCommand {
    /// Makes a draft. Ids, number, slug and resolved times come in with it.
    Create(Box<EventCreated>),
    /// Puts it on sale, within its window.
    Publish {
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// Changes what is given and leaves the rest.
    Change {
        /// What is to change.
        change: Box<ChangeEvent>,
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// Moves it. Without a new beginning the date is open, and sale stops until `Change` gives one. The old end does not
    /// count any more.
    Postpone {
        /// The new beginning.
        starts_at: Option<VenueTime>,
        /// The new end.
        ends_at: Option<VenueTime>,
        /// Why, for the public.
        reason: String,
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// Calls it off. Its bookings are ended by the process manager.
    Cancel {
        /// Why, for the public.
        reason: String,
    },
    /// The timer's question whether it is over.
    Complete {
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// The timer's question whether it is near enough to remind of it.
    Remind {
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// Takes seats out of sale, all of them or none. A seat that is blocked already is skipped.
    BlockSeats {
        /// The seats.
        seat_ids: Vec<SeatId>,
        /// Those of them that the Event's plan has not; the caller has the plan.
        unknown: Vec<SeatId>,
    },
    /// Puts blocked seats back. A seat that is not blocked is skipped.
    UnblockSeats {
        /// The seats.
        seat_ids: Vec<SeatId>,
        /// Those of them that the Event's plan has not; the caller has the plan.
        unknown: Vec<SeatId>,
    },
}

/// What is to change of an Event. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeEvent {
    /// The new title.
    pub title: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new beginning; ends a postponement.
    pub starts_at: Option<VenueTime>,
    /// The new end.
    pub ends_at: Option<VenueTime>,
    /// The new venue, whole.
    pub venue: Option<Venue>,
    /// The types to change.
    pub ticket_types: Vec<ChangeTicketType>,
    /// The new beginning of sale.
    pub sales_start: Option<VenueTime>,
    /// The new end of sale.
    pub sales_end: Option<VenueTime>,
    /// The new limit per person.
    pub max_per_person: Option<i32>,
}

/// What is to change of a ticket type. What is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeTicketType {
    /// Which.
    pub id: TicketTypeId,
    /// The new name.
    pub name: Option<String>,
    /// The new price; counts for bookings placed from now on.
    pub price: Option<Money>,
    /// The new capacity of its quota, for every type that shares it. Whether that is below what is taken is decided by the
    /// claim.
    pub capacity: Option<i64>,
    /// The new limit per booking.
    pub max_per_booking: Option<i32>,
}

impl ChangeTicketType {
    /// A change of that type which changes nothing yet.
    #[must_use]
    pub const fn new(id: TicketTypeId) -> Self {
        Self { id, name: None, price: None, capacity: None, max_per_booking: None }
    }
}
