//! The Booking: one purchase, with its priced lines, its tickets, its payment attempts and its refunds.
//!
//! Files: [`command`] what can be asked of it, [`event`] what can have happened to it, [`state`] the fold, [`error`] the
//! named refusals, [`code`] what it is called by people. `command` opens with the state × command table.

mod admit;
mod claims;
pub mod code;
pub mod command;
mod decide;
pub mod error;
pub mod event;
mod refund;
mod reissue;
mod settle;
pub mod state;

pub use claims::{claims_of, timers_of};
pub use code::BookingCode;
pub use command::{
    AdmitTicket, BookingCommand, CancelBooking, Canceller, MAX_REFUNDS, MAX_REISSUES, MAX_SCANS, PlaceBooking,
    RecordSuccess, RefundPart, RefundWhat, ReissueTickets, StartPayment,
};
pub use error::BookingError;
pub use event::*;
pub use state::{Booking, BookingStatus, Payment, PaymentStatus, Purchase, Refund, RefundStatus, Scan};
