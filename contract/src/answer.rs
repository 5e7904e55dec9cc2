//! What a command changed, as the write side folded it.

use serde::{Deserialize, Serialize};
use tickiz_domain::{
    booking::Purchase,
    event::Show,
    ids::{BookingId, EventId, PaymentId},
};

use crate::request::AccessToken;

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "answer")]
pub enum Answer {
    /// An Event as it is now.
    Event(Box<EventAnswer>),
    /// A booking as it is now.
    Booking(Box<BookingAnswer>),
    /// A payment attempt as it is now, inside its booking.
    Payment(Box<PaymentAnswer>),
}

/// An Event as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAnswer {
    /// Its id.
    pub id: EventId,
    /// As folded.
    pub show: Show,
    /// The last position that is in it.
    pub position: i64,
}

/// A booking as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingAnswer {
    /// Its id.
    pub id: BookingId,
    /// As folded.
    pub purchase: Purchase,
    /// The last position that is in it.
    pub position: i64,
    /// The buyer's secret; only in `placeBooking`'s answer and its repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
}

/// A payment attempt as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentAnswer {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The booking that it is in.
    pub booking: BookingAnswer,
}
