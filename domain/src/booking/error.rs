//! Why a Booking refuses a command.

use chrono::{DateTime, Utc};

use super::command::{MAX_PAYMENTS, MAX_REFUNDS, MAX_REISSUES, MAX_SCANS};
use crate::{
    ids::{PaymentId, RefundId, SeatId},
    money::{Currency, Money},
};

/// A refusal. None of them leaves anything behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookingError {
    /// The stream has no history.
    #[error("there is no such booking")]
    NotFound,
    /// `Place` met a stream that has a history.
    #[error("this booking was placed already")]
    AlreadyPlaced,
    /// The hold ran out, whether the domain event that says so is recorded yet or not.
    #[error("the hold ran out at {at}")]
    HoldExpired {
        /// When.
        at: DateTime<Utc>,
    },
    /// The booking was ended; its money is back or on its way.
    #[error("the booking is cancelled already")]
    AlreadyCancelled,
    /// There is nothing left to pay.
    #[error("the booking is paid already")]
    AlreadyPaid,
    /// A confirmed booking can be cancelled until its show starts.
    #[error("the event has started; its bookings cannot be cancelled any more")]
    ShowStarted,
    /// The show is cancelled or over; nothing is paid for it any more.
    #[error("the event is cancelled or over")]
    ShowClosed,
    /// The booking has [`MAX_PAYMENTS`] attempts already.
    #[error("a booking has at most {MAX_PAYMENTS} attempts to pay, and this one has had them")]
    TooManyPayments,
    /// A seat stands in two lines. Input: the second of them.
    #[error("seat {0} is asked for twice")]
    SeatTwice(SeatId),
    /// The booking has no such attempt.
    #[error("the booking has no payment {0}")]
    UnknownPayment(PaymentId),
    /// The booking has no such refund.
    #[error("the booking has no refund {0}")]
    UnknownRefund(RefundId),
    /// A refund that had failed is said to have succeeded, after its money was asked back by another one. A person has to
    /// look: more may have gone back than came.
    #[error("refund {0} would give back more than was received")]
    RefundExceedsReceived(RefundId),
    /// More is to go back than can. Input: the amount.
    #[error("{left} of what was paid can still go back")]
    RefundTooMuch {
        /// What was received, less what went back, is on its way, or waits for a person since its refund failed.
        left: Money,
    },
    /// An amount is to go back in another currency than it came. Input: the amount's currency.
    #[error("the booking was paid in {0}")]
    RefundCurrency(Currency),
    /// The booking has [`MAX_REFUNDS`] refunds already.
    #[error("a booking's money goes back in at most {MAX_REFUNDS} parts, and this one's has; cancel the booking")]
    TooManyRefunds,
    /// The booking has no ticket of that number.
    #[error("the booking has no such ticket")]
    UnknownTicket,
    /// The ticket lets nobody in any more: it was given back, or its booking was cancelled or refunded.
    #[error("the ticket is no longer valid")]
    TicketRevoked,
    /// The ticket was issued anew, and this is the old one.
    #[error("the ticket was replaced by a newer one")]
    TicketSuperseded,
    /// Somebody was let in with it.
    #[error("the ticket was used at {at}, gate {gate}")]
    AlreadyAdmitted {
        /// When.
        at: DateTime<Utc>,
        /// Where.
        gate: String,
    },
    /// Another ticket was scanned under this id, or at another gate.
    #[error("this id is another scan's; each scan has one of its own")]
    ScanReused,
    /// The booking has [`MAX_SCANS`] scans already.
    #[error("a booking keeps at most {MAX_SCANS} scans of its tickets, and this one has them")]
    TooManyScans,
    /// A held booking has no tickets yet.
    #[error("the booking is not paid yet; it has no tickets")]
    NotPaid,
    /// A ticket was issued anew [`MAX_REISSUES`] times already.
    #[error("a ticket is issued anew at most {MAX_REISSUES} times, and one of these was")]
    TooManyReissues,
    /// A command that Tickiz itself put together wrongly: nobody's input, a fault of ours.
    #[error("malformed command: {0}")]
    Malformed(&'static str),
}
