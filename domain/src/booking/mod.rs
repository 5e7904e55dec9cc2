//! The Booking: one purchase, with its priced lines, its tickets, its payment attempts and its refunds.
//!
//! Files: [`command`] what can be asked of it, [`event`] what can have happened to it, [`state`] the fold, [`error`] the
//! named refusals. `command` opens with the state × command table.

mod claims;
pub mod command;
pub mod error;
pub mod event;
pub mod state;

pub use claims::{claims_of, timers_of};
pub use command::BookingCommand;
pub use error::BookingError;
pub use event::*;
pub use state::{Booking, BookingStatus, Payment, PaymentStatus, Purchase, Refund, RefundStatus};
