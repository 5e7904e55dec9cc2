//! What a command changed, as the write side folded it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tickiz_domain::{
    booking::Purchase,
    event::Show,
    ids::{BookingId, EventId, PaymentId, TicketId, TicketTypeId},
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
    /// What became of scans at a gate, in the order they were given.
    CheckIns(Vec<CheckInAnswer>),
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

/// What a code at a gate comes to. A refusal is an answer here: whoever stands at the door is told what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckInOutcome {
    /// Let in.
    Admitted,
    /// Somebody was let in with it before.
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
    /// Its booking keeps no further scans; only of a gate that was not connected.
    NotRecorded,
    /// Under its id its booking has a scan of another ticket or gate; only of a gate that was not connected.
    ScanIdReused,
}

/// What became of one scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckInAnswer {
    /// The scan, by the gate's own id of it.
    pub scan_id: String,
    /// What it comes to.
    pub outcome: CheckInOutcome,
    /// The ticket, where it is one of ours.
    pub ticket: Option<SeenTicket>,
    /// When and where somebody was let in with it.
    pub admission: Option<Admission>,
}

/// A ticket at a gate, without a word of whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenTicket {
    /// Its booking.
    pub booking_id: BookingId,
    /// Its id.
    pub ticket_id: TicketId,
    /// What was bought.
    pub ticket_type_id: TicketTypeId,
    /// The type's name.
    pub ticket_type: String,
    /// Section, row and number as a person reads them.
    pub seat_label: Option<String>,
    /// The last position that is in what is said of its booking.
    pub position: i64,
}

/// When and where somebody was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// When, by the gate's clock.
    pub at: DateTime<Utc>,
    /// The gate.
    pub gate: String,
}
