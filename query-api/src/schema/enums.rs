//! The enums: the domain's and the read models' own, under their documented names.

use async_graphql::Enum;
use tickiz_contract::answer;
use tickiz_domain::{booking, event};
use tickiz_read_models as read;

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "event::EventCategory")]
pub enum EventCategory {
    Concert,
    Sports,
    Conference,
    Theatre,
    Festival,
    Exhibition,
    Workshop,
    Other,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "event::EventStatus")]
pub enum EventStatus {
    Draft,
    Published,
    Cancelled,
    Completed,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "booking::BookingStatus")]
pub enum BookingStatus {
    Held,
    Confirmed,
    Expired,
    Cancelled,
    Refunded,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "booking::PaymentStatus")]
pub enum PaymentStatus {
    Created,
    Pending,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
    Review,
    Refunded,
    PartiallyRefunded,
}

/// What a code at a gate comes to.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "answer::CheckInOutcome")]
pub enum CheckInOutcome {
    /// Let in.
    Admitted,
    /// Somebody was let in with it before: admission says when and where.
    AlreadyUsed,
    /// It was refunded or cancelled.
    Revoked,
    /// It was issued anew since.
    Superseded,
    /// It is a ticket for another show.
    WrongEvent,
    /// Its time has not begun.
    TooEarly,
    /// Its time is over.
    Expired,
    /// It is not signed by us, or signed and never issued.
    Forged,
    /// It is no ticket at all.
    NotATicket,
    /// Its booking has as many scans as it keeps, and this one is not among them: only of a gate that was not connected.
    NotRecorded,
    /// Under its scanId another ticket or gate was recorded, and this scan was not: hand it in under an id of its own. Only of a gate
    /// that was not connected; a gate that is connected gets the error IDEMPOTENCY_KEY_REUSED.
    ScanIdReused,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "booking::PaymentMethod")]
pub enum PaymentMethod {
    Sandbox,
    Stripe,
    Paypal,
    Vnpay,
    Momo,
    Bitcoin,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "read::SeatStatus")]
pub enum SeatStatus {
    Free,
    Held,
    Booked,
    Blocked,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "read::EventOrder")]
pub enum EventOrder {
    StartsAt,
    Popularity,
    Price,
    Newest,
    Relevance,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum QrFormat {
    Svg,
    Png,
}
