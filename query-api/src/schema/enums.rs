//! The enums: the domain's and the read models' own, under their documented names.

use async_graphql::Enum;
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
