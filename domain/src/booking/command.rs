//! What can be asked of a Booking, and what each state answers.
//!
//! A booking is held until its deadline, then confirmed by money or by a recorded waiver, or it ends. Money is a fact: whatever
//! the state, a success that the gateway reports is recorded, and in the same append it becomes a ticket, or a refund, or,
//! where it does not fit, a case for a person. Never two of these, never none. What a gateway reports a second time, and a
//! timer that comes early or late, find nothing to do; every other command that does not fit is a named error.
//!
//! # The table
//!
//! `–` is: nothing to do, no domain event. A name in italics is a variant of [`BookingError`](super::BookingError), any other a
//! domain event. `tests/domain/booking_table.rs` reads this very table and tries every cell.
//!
//! The states: *held* without an attempt to pay; *started*, held and an attempt is recorded; *paying*, the gateway knows it;
//! *confirmed* by money; *free*, confirmed with a total of 0; *expired* while the attempt is open; *late*, expired, then paid,
//! and the money is on its way back; *cancelled* while held; *returning*, cancelled when confirmed, and the money is on its way
//! back; *refunded*; *partly*, confirmed by money, of which the first of two tickets was given back, and what it cost is on its way
//! back. Every attempt but the first has an earlier one of another method, which was given up for it.
//!
//! ## Time, and the end
//!
//! | state | `Place` | `Place`, free | `Expire`, due | `Expire`, early |
//! |---|---|---|---|---|
//! | none | BookingPlaced | BookingPlaced, BookingConfirmed | *NotFound* | *NotFound* |
//! | held | *AlreadyPlaced* | *AlreadyPlaced* | BookingExpired | – |
//! | started | *AlreadyPlaced* | *AlreadyPlaced* | BookingExpired | – |
//! | paying | *AlreadyPlaced* | *AlreadyPlaced* | BookingExpired | – |
//! | confirmed | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | free | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | expired | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | late | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | cancelled | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | returning | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | refunded | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//! | partly | *AlreadyPlaced* | *AlreadyPlaced* | – | – |
//!
//! An open attempt outlives the hold: the buyer may be paying at this moment, and his money is decided on when it comes.
//!
//! | state | `Cancel` | `Cancel`, show started | `CancelWithShow` |
//! |---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* |
//! | held | BookingCancelled | BookingCancelled | BookingCancelled |
//! | started | PaymentCancelled, BookingCancelled | PaymentCancelled, BookingCancelled | PaymentCancelled, BookingCancelled |
//! | paying | PaymentCancelled, BookingCancelled | PaymentCancelled, BookingCancelled | PaymentCancelled, BookingCancelled |
//! | confirmed | BookingCancelled, RefundRequested | *ShowStarted* | BookingCancelled, RefundRequested |
//! | free | BookingCancelled | *ShowStarted* | BookingCancelled |
//! | expired | *HoldExpired* | *HoldExpired* | – |
//! | late | *HoldExpired* | *HoldExpired* | – |
//! | cancelled | *AlreadyCancelled* | *AlreadyCancelled* | – |
//! | returning | *AlreadyCancelled* | *AlreadyCancelled* | – |
//! | refunded | *AlreadyCancelled* | *AlreadyCancelled* | – |
//! | partly | BookingCancelled, RefundRequested | *ShowStarted* | BookingCancelled, RefundRequested |
//!
//! ## Paying
//!
//! | state | `StartPayment` | `StartPayment`, other method | `StartPayment`, again | `StartPayment`, too late | `StartPayment`, show closed |
//! |---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | PaymentCreated | PaymentCreated | PaymentCreated | *HoldExpired* | *ShowClosed* |
//! | started | – | PaymentCancelled, PaymentCreated | – | *HoldExpired* | *ShowClosed* |
//! | paying | – | PaymentCancelled, PaymentCreated | – | *HoldExpired* | *ShowClosed* |
//! | confirmed | *AlreadyPaid* | *AlreadyPaid* | – | *AlreadyPaid* | *AlreadyPaid* |
//! | free | *AlreadyPaid* | *AlreadyPaid* | *AlreadyPaid* | *AlreadyPaid* | *AlreadyPaid* |
//! | expired | *HoldExpired* | *HoldExpired* | – | *HoldExpired* | *HoldExpired* |
//! | late | *HoldExpired* | *HoldExpired* | – | *HoldExpired* | *HoldExpired* |
//! | cancelled | *AlreadyCancelled* | *AlreadyCancelled* | – | *AlreadyCancelled* | *AlreadyCancelled* |
//! | returning | *AlreadyCancelled* | *AlreadyCancelled* | – | *AlreadyCancelled* | *AlreadyCancelled* |
//! | refunded | *AlreadyCancelled* | *AlreadyCancelled* | – | *AlreadyCancelled* | *AlreadyCancelled* |
//! | partly | *AlreadyPaid* | *AlreadyPaid* | – | *AlreadyPaid* | *AlreadyPaid* |
//!
//! *again* is the id of an attempt that is recorded already: that attempt, as it is now, is the answer.
//!
//! ## What the gateway says of the attempt
//!
//! | state | `RecordPending` | `RecordDecline` | `RecordAbandonment` | `RecordPaymentExpiry` |
//! |---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | started | PaymentPending | PaymentFailed | PaymentCancelled | PaymentExpired |
//! | paying | – | PaymentFailed | PaymentCancelled | PaymentExpired |
//! | confirmed | – | – | – | – |
//! | free | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | expired | – | PaymentFailed | PaymentCancelled | PaymentExpired |
//! | late | – | – | – | – |
//! | cancelled | – | – | – | – |
//! | returning | – | – | – | – |
//! | refunded | – | – | – | – |
//! | partly | – | – | – | – |
//!
//! Where the show releases on decline:
//!
//! | state | `RecordDecline`, releases | `RecordAbandonment`, releases | `RecordPaymentExpiry`, releases |
//! |---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* |
//! | held | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | started | PaymentFailed, BookingCancelled | PaymentCancelled, BookingCancelled | PaymentExpired |
//! | paying | PaymentFailed, BookingCancelled | PaymentCancelled, BookingCancelled | PaymentExpired |
//! | confirmed | – | – | – |
//! | free | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | expired | PaymentFailed | PaymentCancelled | PaymentExpired |
//! | late | – | – | – |
//! | cancelled | – | – | – |
//! | returning | – | – | – |
//! | refunded | – | – | – |
//! | partly | – | – | – |
//!
//! ## Money
//!
//! Four outcomes have a word: **sell** is PaymentSucceeded, BookingConfirmed; **reinstate** is PaymentSucceeded, BookingReinstated;
//! **give back** is PaymentSucceeded, RefundRequested; **review** is PaymentHeldForReview.
//!
//! | state | `RecordSuccess` | `RecordSuccess`, wrong sum | `RecordSuccess`, places lost | `RecordSuccess`, show closed |
//! |---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | started | sell | review | sell | give back |
//! | paying | sell | review | sell | give back |
//! | confirmed | – | – | – | – |
//! | free | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | expired | reinstate | review | give back | give back |
//! | late | – | – | – | – |
//! | cancelled | give back | review | give back | give back |
//! | returning | – | – | – | – |
//! | refunded | – | – | – | – |
//! | partly | – | – | – | – |
//!
//! The same of the earlier attempt, which was given up and was paid all the same:
//!
//! | state | `RecordSuccess`, earlier | `RecordSuccess`, earlier, wrong sum | `RecordSuccess`, earlier, places lost |
//! |---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* |
//! | held | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | started | PaymentCancelled, sell | review | PaymentCancelled, sell |
//! | paying | PaymentCancelled, sell | review | PaymentCancelled, sell |
//! | confirmed | give back | review | give back |
//! | free | *UnknownPayment* | *UnknownPayment* | *UnknownPayment* |
//! | expired | PaymentCancelled, reinstate | review | give back |
//! | late | reinstate | review | give back |
//! | cancelled | give back | review | give back |
//! | returning | give back | review | give back |
//! | refunded | give back | review | give back |
//! | partly | give back | review | give back |
//!
//! | state | `RecordRefundSuccess` | `RecordRefundFailure` |
//! |---|---|---|
//! | none | *NotFound* | *NotFound* |
//! | held | *UnknownRefund* | *UnknownRefund* |
//! | started | *UnknownRefund* | *UnknownRefund* |
//! | paying | *UnknownRefund* | *UnknownRefund* |
//! | confirmed | *UnknownRefund* | *UnknownRefund* |
//! | free | *UnknownRefund* | *UnknownRefund* |
//! | expired | *UnknownRefund* | *UnknownRefund* |
//! | late | RefundSucceeded | RefundFailed |
//! | cancelled | *UnknownRefund* | *UnknownRefund* |
//! | returning | RefundSucceeded, BookingRefunded | RefundFailed |
//! | refunded | – | – |
//! | partly | RefundSucceeded | RefundFailed |
//!
//! ## At the gate
//!
//! The ticket is one of the booking's. *again* is a scan that is recorded already, *same id* another ticket under its id. *offline* comes from a gate that had no network, and
//! has let somebody in.
//!
//! | state | `Admit` | `Admit`, used | `Admit`, again | `Admit`, same id | `Admit`, old revision | `Admit`, offline | `Admit`, offline, used |
//! |---|---|---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | started | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | paying | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | confirmed | TicketAdmitted | *AlreadyAdmitted* | – | *ScanReused* | *TicketSuperseded* | TicketAdmitted | TicketScanConflicted |
//! | free | TicketAdmitted | *AlreadyAdmitted* | – | *ScanReused* | *TicketSuperseded* | TicketAdmitted | TicketScanConflicted |
//! | expired | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | late | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | cancelled | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* | *UnknownTicket* |
//! | returning | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | TicketScanConflicted | TicketScanConflicted |
//! | refunded | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | TicketScanConflicted | TicketScanConflicted |
//! | partly | *TicketRevoked* | *TicketRevoked* | *TicketRevoked* | TicketAdmitted | *TicketRevoked* | TicketScanConflicted | TicketScanConflicted |
//!
//! ## Tickets anew
//!
//! *used* names a ticket that somebody came in with; of a whole booking the others are issued anew.
//!
//! | state | `Reissue` | `Reissue`, used | `Reissue`, unknown | `Reissue`, too often | `Reissue`, show closed |
//! |---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | started | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | paying | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | confirmed | TicketsReissued | *AlreadyAdmitted* | *UnknownTicket* | *TooManyReissues* | *ShowClosed* |
//! | free | TicketsReissued | *AlreadyAdmitted* | *UnknownTicket* | *TooManyReissues* | *ShowClosed* |
//! | expired | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* |
//! | late | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* |
//! | cancelled | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | returning | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | refunded | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | partly | *TicketRevoked* | *TicketRevoked* | *UnknownTicket* | *TicketRevoked* | *ShowClosed* |
//!
//! ## What goes back while the booking goes on
//!
//! The booking has two tickets. *first* and *second* name one of them, *all* both, *used* the first, with which somebody came in. *too
//! much* is more than was paid.
//!
//! | state | `Refund`, first | `Refund`, second | `Refund`, all | `Refund`, used | `Refund`, unknown | `Refund`, sum | `Refund`, too much | `Refund`, other currency |
//! |---|---|---|---|---|---|---|---|---|
//! | none | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* | *NotFound* |
//! | held | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | started | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | paying | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* | *NotPaid* |
//! | confirmed | TicketsRevoked, RefundRequested | TicketsRevoked, RefundRequested | BookingCancelled, RefundRequested | *AlreadyAdmitted* | *UnknownTicket* | RefundRequested | *RefundTooMuch* | *RefundCurrency* |
//! | free | TicketsRevoked | TicketsRevoked | BookingCancelled | *AlreadyAdmitted* | *UnknownTicket* | *RefundTooMuch* | *RefundTooMuch* | *RefundCurrency* |
//! | expired | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* |
//! | late | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* | *HoldExpired* |
//! | cancelled | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | returning | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | refunded | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* | *AlreadyCancelled* |
//! | partly | *TicketRevoked* | BookingCancelled, RefundRequested | *TicketRevoked* | *TicketRevoked* | *UnknownTicket* | RefundRequested | *RefundTooMuch* | *RefundCurrency* |

use chrono::{DateTime, Utc};

use super::event::{BookingPlaced, IssuedTicket, PaymentMethod, RefundedBy, ReissuedBy, TicketNumber};
use crate::{
    ids::{PaymentId, RefundId, ScanId, TicketId},
    money::Money,
    sealed::Sealed,
};

/// The most attempts to pay one booking. Nobody who means to pay needs as many; without a bound a buyer could make one
/// booking's history as long as he likes.
pub const MAX_PAYMENTS: usize = 50;

/// The most scans that one booking keeps, good and conflicting: far above what doors need, and a bound to its history.
pub const MAX_SCANS: usize = 1_000;

/// How often one ticket is issued anew: more than anybody loses it, a bound to its history, and far below what a code can say (255).
pub const MAX_REISSUES: u8 = 20;

/// In how many parts the money of one booking goes back: more than it has tickets, and a bound to its history.
pub const MAX_REFUNDS: usize = 200;

/// What can be asked of a Booking. `now` is the store's clock.
#[derive(Clone, Debug, PartialEq)]
pub enum BookingCommand {
    /// A buyer takes places.
    Place(Box<PlaceBooking>),
    /// The timer's question whether the hold ran out.
    Expire {
        /// The store's clock.
        now: DateTime<Utc>,
    },
    /// The buyer or the organiser ends it.
    Cancel(Box<CancelBooking>),
    /// The show was cancelled, and its bookings end with it. All that was paid goes back.
    CancelWithShow,
    /// The buyer wants to pay.
    StartPayment(Box<StartPayment>),
    /// The gateway knows the attempt.
    RecordPending {
        /// The attempt.
        payment_id: PaymentId,
        /// The gateway's own id of it.
        gateway_reference: String,
        /// Where the buyer pays; `None` where he needs no page.
        redirect_url: Option<String>,
    },
    /// The gateway has money.
    RecordSuccess(Box<RecordSuccess>),
    /// The gateway declined.
    RecordDecline {
        /// The attempt.
        payment_id: PaymentId,
        /// The gateway's reason, as far as a buyer may know it.
        reason: String,
    },
    /// The buyer gave up on the gateway's page. The gateway knows.
    RecordAbandonment {
        /// The attempt.
        payment_id: PaymentId,
    },
    /// The gateway's own deadline passed.
    RecordPaymentExpiry {
        /// The attempt.
        payment_id: PaymentId,
    },
    /// The gateway gave money back.
    RecordRefundSuccess {
        /// The refund.
        refund_id: RefundId,
        /// The gateway's own id of it.
        gateway_reference: String,
    },
    /// The gateway refused to give money back.
    RecordRefundFailure {
        /// The refund.
        refund_id: RefundId,
        /// The gateway's reason.
        reason: String,
    },
    /// A gate scans a ticket.
    Admit(Box<AdmitTicket>),
    /// The buyer or the organiser wants new codes in the place of those so far.
    Reissue(Box<ReissueTickets>),
    /// A part is to go back, and the booking goes on with the rest.
    Refund(Box<RefundPart>),
}

/// Which part of a booking goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundWhat {
    /// These tickets, with what they cost. Where they are all that it has left, the booking ends.
    Tickets(Vec<TicketId>),
    /// A sum; the tickets stay as they are.
    Amount(Money),
}

/// A part of a booking goes back.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundPart {
    /// Which.
    pub what: RefundWhat,
    /// Who wants it.
    pub by: RefundedBy,
    /// Why, in his words, sealed with the buyer's key.
    pub reason: Option<Sealed>,
}

/// New codes in the place of those so far: they were seen by others, or lost.
#[derive(Clone, Debug, PartialEq)]
pub struct ReissueTickets {
    /// Which tickets; `None`: all with which nobody came in yet.
    pub ticket_ids: Option<Vec<TicketId>>,
    /// Who.
    pub by: ReissuedBy,
    /// Why, in his words, sealed with the buyer's key.
    pub reason: Option<Sealed>,
    /// The number of the key that the codes are to be signed with.
    pub kid: u8,
    /// Until when they are valid, unix seconds, as the show now stands.
    pub expires: u32,
    /// Whether the show still takes place ([`Show::honours_bookings`](crate::event::Show::honours_bookings)).
    pub show_open: bool,
}

/// A scan at a gate. That the code is genuine, of this show and within its time was checked outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmitTicket {
    /// The ticket's number in its code.
    pub number: TicketNumber,
    /// The code's revision.
    pub revision: u8,
    /// The scan: the same one again is answered, not decided again.
    pub scan_id: ScanId,
    /// The gate, as the house calls it.
    pub gate: String,
    /// When, by the gate's clock.
    pub scanned_at: DateTime<Utc>,
    /// Whether the gate had no network, and somebody is in already: what speaks against it is recorded instead of refused.
    pub offline: bool,
}

/// A buyer takes places. Prices, seats, code and deadline were decided outside, on the show as it was read; the append names
/// that reading. What the seats and quotas have left is decided by claims.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceBooking {
    /// The domain event that is to be.
    pub placed: BookingPlaced,
    /// The tickets, one a line, where the total is 0: then there is nothing to pay, and the waiver is recorded at once. `None`
    /// where there is something to pay.
    pub free_tickets: Option<Vec<IssuedTicket>>,
    /// The store's clock.
    pub now: DateTime<Utc>,
}

/// Who can end a booking by a command of his.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceller {
    /// The buyer.
    Buyer,
    /// The organiser.
    Organizer,
}

/// Ends a booking.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelBooking {
    /// Who.
    pub by: Canceller,
    /// Why, in his words, sealed with the buyer's key.
    pub reason: Option<Sealed>,
    /// Whether the show has started ([`Show::has_started`](crate::event::Show::has_started)): a hold may still be given up,
    /// a confirmed booking not.
    pub show_started: bool,
}

/// Records an attempt to pay, before anything leaves the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPayment {
    /// The new attempt, if there is to be one.
    pub payment_id: PaymentId,
    /// By which gateway.
    pub method: PaymentMethod,
    /// Where the buyer's browser goes afterwards, sealed with his key.
    pub return_url: Option<Sealed>,
    /// Until when the gateway is to accept the payment.
    pub pay_until: DateTime<Utc>,
    /// Whether the show still takes place ([`Show::honours_bookings`](crate::event::Show::honours_bookings)).
    pub show_open: bool,
    /// The store's clock.
    pub now: DateTime<Utc>,
}

/// The gateway has money for an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSuccess {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// What it has.
    pub amount: Money,
    /// The tickets to issue, one a line, if it comes to that.
    pub tickets: Vec<IssuedTicket>,
    /// Whether an expired booking may come back. Its places are claimed anew, all or none; the caller tries with `true`, and
    /// when a claim is lost decides again with `false`.
    pub reinstate: bool,
    /// Whether the show still takes place ([`Show::honours_bookings`](crate::event::Show::honours_bookings)).
    pub show_open: bool,
}
