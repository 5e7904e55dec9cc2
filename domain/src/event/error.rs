//! Why an Event refuses a command. Where input is at fault the variant says which, so that the edge can name its path; where
//! a list is meant, by the place in the command's own list.

use chrono::{DateTime, Utc};

use crate::{
    ids::{SeatId, TicketTypeId},
    money::Currency,
};

/// A refusal. None of them leaves anything behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The stream has no history.
    #[error("there is no such event")]
    NotFound,
    /// `Create` met a stream that has a history.
    #[error("this event exists already")]
    AlreadyExists,
    /// Only what was announced can be postponed.
    #[error("the event is a draft; only a published one can be postponed")]
    NotPublished,
    /// It was cancelled, which is final.
    #[error("the event is cancelled")]
    Cancelled,
    /// It is over, which is final.
    #[error("the event is over")]
    Completed,

    /// What is on sale begins in the future. Input: `startsAt`.
    #[error("the event would begin at {starts_at}, which is past")]
    StartsInPast {
        /// The beginning that was to count.
        starts_at: DateTime<Utc>,
    },
    /// The end is not after the beginning. Input: `endsAt`, also where only the beginning was moved.
    #[error("the event would end at {ends_at}, which is not after its beginning at {starts_at}; give an end that is")]
    EndsBeforeStart {
        /// The beginning that was to count.
        starts_at: DateTime<Utc>,
        /// The end that was to count.
        ends_at: DateTime<Utc>,
    },
    /// An end was given while the date is open. Input: `endsAt`.
    #[error("an end needs a beginning; give both or neither")]
    EndWithoutStart,
    /// The sale would end before it begins. Input: `salesEnd`.
    #[error("the sale would end at {sales_end}, which is not after its beginning at {sales_start}")]
    SaleEndsBeforeStart {
        /// The sale's beginning that was to count.
        sales_start: DateTime<Utc>,
        /// The sale's end that was to count.
        sales_end: DateTime<Utc>,
    },
    /// The sale has no end of its own and would begin when the show has begun. Input: `salesStart`.
    #[error(
        "the sale would begin at {sales_start}, but without an end of its own it ends when the event begins, at {starts_at}"
    )]
    SaleStartsAfterShow {
        /// The sale's beginning that was to count.
        sales_start: DateTime<Utc>,
        /// The show's beginning that was to count.
        starts_at: DateTime<Utc>,
    },
    /// A hold of no length. Input: `holdSeconds`.
    #[error("a hold lasts at least one second")]
    HoldSeconds,
    /// A limit per person below one. Input: `maxPerPerson`.
    #[error("the limit per person is at least 1")]
    MaxPerPerson,

    /// Nothing would be for sale. Input: `ticketTypes`.
    #[error("an event has at least one ticket type")]
    NoTicketTypes,
    /// A type covers nothing and draws on nothing. Input: `ticketTypes[index]`.
    #[error("a ticket type has a capacity, a quota or seat categories")]
    NoPlaces {
        /// Which.
        index: usize,
    },
    /// A type covers seats and draws on a quota. Input: `ticketTypes[index].seatCategories`.
    #[error("a ticket type covers seat categories or has a capacity or quota, never both")]
    SeatsAndQuota {
        /// Which.
        index: usize,
    },
    /// A type covers seats where there is no plan, or a category that the plan has not.
    /// Input: `ticketTypes[index].seatCategories[category_index]`.
    #[error("the seating plan has no category {category:?}")]
    UnknownCategory {
        /// Which type.
        index: usize,
        /// Which of its categories.
        category_index: usize,
        /// Its name.
        category: String,
    },
    /// A type lists a category twice. Input: `ticketTypes[index].seatCategories[category_index]`.
    #[error("the category {category:?} is listed twice")]
    CategoryTwice {
        /// Which type.
        index: usize,
        /// The second of the two.
        category_index: usize,
        /// Its name.
        category: String,
    },
    /// A price in another currency than the Event's. Input: `ticketTypes[index].price.currency`.
    #[error("an event has one currency; its is {expected}, not {found}")]
    PriceCurrency {
        /// Which type.
        index: usize,
        /// The Event's.
        expected: Currency,
        /// The price's.
        found: Currency,
    },
    /// Fewer than one a booking. Input: `ticketTypes[index].maxPerBooking`.
    #[error("the limit per booking is at least 1")]
    MaxPerBooking {
        /// Which type.
        index: usize,
    },
    /// Fewer than one place. Input: `ticketTypes[index].capacity`.
    #[error("a capacity is at least 1")]
    Capacity {
        /// Which type.
        index: usize,
    },
    /// The capacity of a type that covers seats is the number of its seats. Input: `ticketTypes[index].capacity`.
    #[error("the capacity of a ticket type with seats is the number of its seats and cannot be set")]
    CapacityOfSeats {
        /// Which type.
        index: usize,
    },
    /// Two types that share a quota were given different capacities. Input: `ticketTypes[index].capacity`.
    #[error("ticket types that share a quota share its capacity; give it on one of them, or the same on all")]
    SharedCapacity {
        /// The second of the two.
        index: usize,
    },
    /// A change of a type that the Event has not. Input: `ticketTypes[index].ticketTypeId`.
    #[error("the event has no ticket type {id}")]
    UnknownTicketType {
        /// Which change.
        index: usize,
        /// The id that was asked for.
        id: TicketTypeId,
    },
    /// Two changes of one type. Input: `ticketTypes[index].ticketTypeId`.
    #[error("the ticket type {id} is changed twice")]
    TicketTypeTwice {
        /// The second of the two.
        index: usize,
        /// The type.
        id: TicketTypeId,
    },

    /// Seats were named where there are none. Input: `seatIds`.
    #[error("the event has no seating plan")]
    NoSeatingPlan,
    /// Seats were named that the plan has not. Input: the places of these in `seatIds`.
    #[error("the seating plan has no seat {}", .0.iter().map(SeatId::as_str).collect::<Vec<_>>().join(", "))]
    UnknownSeats(Vec<SeatId>),

    /// A command that Tickiz itself put together wrongly: nobody's input, a fault of ours.
    #[error("malformed command: {0}")]
    Malformed(&'static str),
}
