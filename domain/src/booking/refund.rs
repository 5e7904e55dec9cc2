//! What goes back of a booking that goes on: some of its tickets with what they cost, or a sum.
//!
//! # Why no more goes back than came
//!
//! A part is taken of the money that bought the booking, and that is one attempt's: any other's went back whole when it came. What is
//! left of it is what was received less every refund of it, those that failed among them: their money is owed already, and a person
//! sees to it. All of a booking's refunds are decided in its one stream, so of many at once each is decided after the one before it.
//! Only the end of the booking asks for everything that is left, failed or not, and after it there are no parts.

use super::{
    command::{MAX_REFUNDS, RefundPart, RefundWhat},
    decide::{Decision, end},
    error::BookingError,
    event::{CancelledBy, Line, RefundRequested, RefundedBy, RevokedTicket, TicketsRevoked},
    settle::next_refund_id,
    state::{BookingStatus, Payment, PaymentStatus, Purchase, Refund, RefundStatus},
};
use crate::{ids::TicketId, money::Money, sealed::Sealed};

/// A part goes back of a confirmed booking, whether its show has begun or not.
pub(super) fn refund(purchase: &Purchase, part: RefundPart) -> Decision {
    match purchase.status {
        BookingStatus::Held => return Err(BookingError::NotPaid),
        BookingStatus::Confirmed => {}
        BookingStatus::Expired => return Err(BookingError::HoldExpired { at: purchase.hold_expires_at }),
        BookingStatus::Cancelled | BookingStatus::Refunded => return Err(BookingError::AlreadyCancelled),
    }
    let RefundPart { what, by, reason } = part;
    match what {
        RefundWhat::Tickets(ids) => tickets(purchase, &ids, by, reason),
        RefundWhat::Amount(amount) => {
            if amount.currency() != purchase.total.currency() {
                return Err(BookingError::RefundCurrency(purchase.total.currency()));
            }
            if amount.is_zero() {
                return Err(BookingError::Malformed("a refund of nothing"));
            }
            let why = "the organiser gave back a part of the price";
            Ok(vec![asked(purchase, amount, why, by, Vec::new(), reason)?.into()])
        }
    }
}

/// The named tickets go back for what they cost. Where those are all that the booking has left it ends, and everything that is left of
/// its money goes back.
fn tickets(purchase: &Purchase, ids: &[TicketId], by: RefundedBy, reason: Option<Sealed>) -> Decision {
    if ids.is_empty() {
        return Err(BookingError::Malformed("no ticket is to go back"));
    }
    for id in ids {
        if !purchase.tickets.iter().any(|ticket| ticket.ticket_id == *id) {
            return Err(BookingError::UnknownTicket);
        }
        if purchase.is_revoked(*id) {
            return Err(BookingError::TicketRevoked);
        }
        if let Some(first) = purchase.admission(*id) {
            return Err(BookingError::AlreadyAdmitted { at: first.scanned_at, gate: first.gate.clone() });
        }
    }
    if purchase.valid_tickets().all(|ticket| ids.contains(&ticket.ticket_id)) {
        let by = match by {
            RefundedBy::Organizer => CancelledBy::Organizer,
        };
        return Ok(end(purchase, by, reason));
    }
    let lines: Vec<&Line> = purchase.lines.iter().filter(|line| ids.contains(&line.ticket_id)).collect();
    let price = Money::sum(purchase.total.currency(), lines.iter().map(|line| line.price))
        .map_err(|_| BookingError::Malformed("a part of the lines has no sum"))?;
    let ticket_ids = lines.iter().map(|line| line.ticket_id).collect();
    let why = "the organiser took tickets back";
    let money = if price.is_zero() { None } else { Some(asked(purchase, price, why, by, ticket_ids, reason.clone())?) };
    let sold = |line: &&Line| RevokedTicket {
        ticket_id: line.ticket_id,
        ticket_type_id: line.ticket_type_id,
        price: line.price,
    };
    let revoked = TicketsRevoked {
        event_id: purchase.event_id,
        tickets: lines.iter().map(sold).collect(),
        released: purchase.places_of(lines),
        by,
        reason,
        refund_id: money.as_ref().map(|money| money.refund_id),
    };
    Ok([revoked.into()].into_iter().chain(money.map(Into::into)).collect())
}

/// Asks for a part of the money that bought the booking, if so much is left of it.
fn asked(
    purchase: &Purchase,
    amount: Money,
    why: &str,
    by: RefundedBy,
    ticket_ids: Vec<TicketId>,
    note: Option<Sealed>,
) -> Result<RefundRequested, BookingError> {
    let too_much = |left: i64| {
        let left = Money::try_new(left, purchase.total.currency()).unwrap_or(Money::zero(purchase.total.currency()));
        BookingError::RefundTooMuch { left }
    };
    let payment = purchase.payments.iter().find(|payment| has_bought(purchase, payment));
    let payment = payment.ok_or_else(|| too_much(0))?;
    let failed = |refund: &&Refund| refund.payment_id == payment.id && refund.status == RefundStatus::Failed;
    let failed: i64 = purchase.refunds.iter().filter(failed).map(|refund| refund.amount.minor()).sum();
    let left = purchase.refundable_minor(payment) - failed;
    if amount.minor() > left {
        return Err(too_much(left));
    }
    if purchase.refunds.len() >= MAX_REFUNDS {
        return Err(BookingError::TooManyRefunds);
    }
    let (refund_id, reason) = (next_refund_id(purchase, payment.id), why.to_owned());
    Ok(RefundRequested { refund_id, payment_id: payment.id, amount, reason, by: Some(by), ticket_ids, note })
}

/// Whether that attempt's money bought the booking, which is confirmed. What bought nothing went back whole in the append that
/// recorded it, or is held for a person.
fn has_bought(purchase: &Purchase, payment: &Payment) -> bool {
    let went_back = |refund: &Refund| refund.payment_id == payment.id && refund.by.is_none();
    payment.received.is_some() && payment.status != PaymentStatus::Review && !purchase.refunds.iter().any(went_back)
}
