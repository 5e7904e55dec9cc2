//! The commands, one file each, and the door that leads to them.
//!
//! Each is a [`Decision`](crate::executor::Decision): what is prepared once (checks, ids, sealing), and what is decided anew for
//! every attempt on the aggregates as they then stand.

pub mod block_seats;
pub mod cancel_booking;
pub mod check_in;
pub mod create_event;
pub mod manage_event;
pub mod pay_booking;
pub mod place_booking;
pub mod refund_booking;
pub mod reissue_tickets;
pub mod ticket_issue;
pub mod update_event;

use serde::{Deserialize, Serialize};
use tickiz_contract::{Answer, BookingAnswer, EventAnswer, Refusal};
use tickiz_domain::{
    booking::{Booking, Purchase},
    event::{Event, Show},
    ids::{BookingId, EventId, PaymentId},
};

use tickiz_event_log::Loaded;

use crate::refusals::internal;

/// What a receipt keeps of an answer: ids, from which the repetition is answered as things stand then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReceiptResult {
    /// An Event.
    Event(EventId),
    /// A booking.
    Booking(BookingId),
    /// An attempt of a booking.
    Payment(BookingId, PaymentId),
}

impl ReceiptResult {
    /// As a receipt keeps it.
    #[must_use]
    pub fn to_json(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("ids are JSON")
    }

    /// Reads what a receipt has kept.
    ///
    /// # Errors
    /// `INTERNAL` where it is not one of ours.
    pub fn read(json: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(json).map_err(|error| internal(&error))
    }
}

/// An Event that is there, as an answer.
pub(crate) fn event_answer(id: EventId, loaded: &Loaded<Event>) -> Result<Answer, Refusal> {
    let show: Show = loaded.aggregate.0.clone().ok_or_else(|| Refusal::not_found("event"))?;
    Ok(Answer::Event(Box::new(EventAnswer { id, show, position: loaded.position })))
}

/// A booking that is there, as an answer without its access token.
pub(crate) fn booking_answer(id: BookingId, loaded: &Loaded<Booking>) -> Result<BookingAnswer, Refusal> {
    let purchase: Purchase = loaded.aggregate.0.clone().ok_or_else(|| Refusal::not_found("booking"))?;
    Ok(BookingAnswer { id, purchase, position: loaded.position, access_token: None })
}
