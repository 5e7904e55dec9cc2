//! Money: what it buys, and how it goes back.
//!
//! # Why no money is without a ticket or a refund
//!
//! * The gateway's success is recorded whatever the state, and in the same append it becomes a ticket (`BookingConfirmed`,
//!   `BookingReinstated`) or a refund (`RefundRequested`). Only a sum that is not the one asked for becomes neither: a person
//!   looks (`PaymentHeldForReview`).
//! * An attempt's money is recorded once: [`Payment::received`](super::Payment::received) stays, whatever the attempt becomes,
//!   and a second report of it finds nothing to do. That the attempt was given up, declined or run out on our side says
//!   nothing about the gateway's side, so a success after that is a first one.
//! * At most one attempt pays a booking. When one does, the one that is open is ended with it; if that is paid all the same, it
//!   finds the booking confirmed and its money goes back.
//! * A refund never asks for more than what an attempt's money has left ([`Purchase::refundable_minor`]).
//! * Part of the money of a booking that goes on goes back by [`refund`](super::refund) alone.

use uuid::Uuid;

use super::{
    command::RecordSuccess,
    decide::{Decision, check_tickets, end_open_payment},
    error::BookingError,
    event::{
        BookingCancelled, BookingConfirmed, BookingDomainEvent, BookingRefunded, BookingReinstated, CancelledBy,
        PaymentCancelled, PaymentExpired, PaymentFailed, PaymentHeldForReview, PaymentSucceeded, RefundFailed,
        RefundRequested, RefundSucceeded,
    },
    state::{BookingStatus, Payment, PaymentStatus, Purchase, Refund, RefundStatus},
};
use crate::{
    ids::{PaymentId, RefundId},
    money::Money,
};

fn attempt(purchase: &Purchase, id: PaymentId) -> Result<&Payment, BookingError> {
    purchase.payment(id).ok_or(BookingError::UnknownPayment(id))
}

/// The gateway has money for an attempt.
pub(super) fn success(purchase: &Purchase, success: RecordSuccess) -> Decision {
    let payment = attempt(purchase, success.payment_id)?;
    if payment.received.is_some() {
        return Ok(Vec::new());
    }
    let RecordSuccess { payment_id, gateway_reference, amount, tickets, reinstate, show_open } = success;
    if amount != payment.amount {
        let reason = format!("{} was asked for, {amount} came", payment.amount);
        return Ok(vec![PaymentHeldForReview { payment_id, gateway_reference, received: amount, reason }.into()]);
    }
    let succeeded = PaymentSucceeded { payment_id, gateway_reference, amount };
    let buys: BookingDomainEvent = match purchase.status {
        BookingStatus::Held if show_open => {
            BookingConfirmed { event_id: purchase.event_id, tickets: tickets.clone(), payment_id: Some(payment_id) }
                .into()
        }
        BookingStatus::Expired if show_open && reinstate => {
            BookingReinstated { taken: purchase.places(), tickets: tickets.clone(), payment_id }.into()
        }
        status => {
            let (refund_id, why) = (next_refund_id(purchase, payment_id), too_late(status, show_open));
            let refund = RefundRequested::whole(refund_id, payment_id, amount, why.to_owned());
            return Ok(vec![succeeded.into(), refund.into()]);
        }
    };
    check_tickets(&purchase.lines, &tickets)?;
    let other = end_open_payment(purchase, Some(payment_id));
    Ok(other.into_iter().chain([succeeded.into(), buys]).collect())
}

/// Why money buys nothing, as support reads it.
const fn too_late(status: BookingStatus, show_open: bool) -> &'static str {
    match status {
        BookingStatus::Confirmed => "the booking was paid already",
        BookingStatus::Cancelled | BookingStatus::Refunded => "the booking was cancelled before the payment came",
        BookingStatus::Held | BookingStatus::Expired if !show_open => {
            "the event was cancelled or over before the payment came"
        }
        BookingStatus::Held | BookingStatus::Expired => {
            "the payment came after the hold ran out, and its places were taken"
        }
    }
}

/// The gateway declined.
pub(super) fn decline(purchase: &Purchase, payment_id: PaymentId, reason: String) -> Decision {
    if !attempt(purchase, payment_id)?.status.is_open() {
        return Ok(Vec::new());
    }
    Ok(release(purchase, PaymentFailed { payment_id, reason }.into()))
}

/// The buyer gave up at the gateway.
pub(super) fn abandonment(purchase: &Purchase, payment_id: PaymentId) -> Decision {
    if !attempt(purchase, payment_id)?.status.is_open() {
        return Ok(Vec::new());
    }
    Ok(release(purchase, PaymentCancelled { payment_id, tell_gateway: false }.into()))
}

/// An attempt ended without money: the hold stays for another try, or ends at once where the show says so.
fn release(purchase: &Purchase, ended: BookingDomainEvent) -> Vec<BookingDomainEvent> {
    if purchase.release_on_decline && purchase.status == BookingStatus::Held {
        let cancelled = BookingCancelled { by: CancelledBy::Decline, reason: None, released: purchase.places() };
        return vec![ended, cancelled.into()];
    }
    vec![ended]
}

/// The gateway's own deadline passed. That is nobody's decline: the hold stays.
pub(super) fn payment_expiry(purchase: &Purchase, payment_id: PaymentId) -> Decision {
    if !attempt(purchase, payment_id)?.status.is_open() {
        return Ok(Vec::new());
    }
    Ok(vec![PaymentExpired { payment_id }.into()])
}

/// Asks back what every attempt's money has left, but for money under review, which a person decides on.
pub(super) fn refund_everything(purchase: &Purchase, by: CancelledBy) -> impl Iterator<Item = BookingDomainEvent> {
    let reason = match by {
        CancelledBy::Buyer => "the buyer cancelled the booking",
        CancelledBy::Organizer => "the organiser cancelled the booking",
        CancelledBy::Decline => "a payment was declined",
        CancelledBy::EventCancelled => "the event was cancelled",
    };
    purchase.payments.iter().filter(|payment| payment.status != PaymentStatus::Review).filter_map(move |payment| {
        let left = purchase.refundable_minor(payment);
        let amount = Money::try_new(left, payment.amount.currency()).ok().filter(|amount| !amount.is_zero())?;
        let refund_id = next_refund_id(purchase, payment.id);
        Some(RefundRequested::whole(refund_id, payment.id, amount, reason.to_owned()).into())
    })
}

/// The id of an attempt's next refund: UUIDv5 of the attempt and of how many refunds it has. So a decision that is made again,
/// on the same history, asks the gateway for the same refund.
pub(super) fn next_refund_id(purchase: &Purchase, payment_id: PaymentId) -> RefundId {
    let earlier = purchase.refunds.iter().filter(|refund| refund.payment_id == payment_id).count();
    RefundId(Uuid::new_v5(&payment_id.0, format!("refund/{earlier}").as_bytes()))
}

/// The gateway gave money back. Also of a refund that it had refused before, as long as its money was not asked back again.
pub(super) fn refund_success(purchase: &Purchase, refund_id: RefundId, gateway_reference: String) -> Decision {
    let refund = purchase.refund(refund_id).ok_or(BookingError::UnknownRefund(refund_id))?;
    match refund.status {
        RefundStatus::Succeeded => return Ok(Vec::new()),
        RefundStatus::Requested => {}
        RefundStatus::Failed => {
            let payment = attempt(purchase, refund.payment_id)?;
            if purchase.refundable_minor(payment) < refund.amount.minor() {
                return Err(BookingError::RefundExceedsReceived(refund_id));
            }
        }
    }
    let mut events = vec![RefundSucceeded { refund_id, gateway_reference }.into()];
    if purchase.status == BookingStatus::Cancelled && is_all_back(purchase, Some(refund)) {
        events.push(refunded(purchase, Some(refund)));
    }
    Ok(events)
}

/// The gateway refused to give money back; a person has to look.
pub(super) fn refund_failure(purchase: &Purchase, refund_id: RefundId, reason: String) -> Decision {
    let refund = purchase.refund(refund_id).ok_or(BookingError::UnknownRefund(refund_id))?;
    Ok(match refund.status {
        RefundStatus::Requested => vec![RefundFailed { refund_id, reason }.into()],
        RefundStatus::Succeeded | RefundStatus::Failed => Vec::new(),
    })
}

/// Whether money came and all of it went back, `also` being a refund that succeeds now.
pub(super) fn is_all_back(purchase: &Purchase, also: Option<&Refund>) -> bool {
    let received: i64 =
        purchase.payments.iter().filter_map(|payment| payment.received).map(|money| money.minor()).sum();
    received > 0 && back_minor(purchase, also) >= received
}

/// The last of the money went back.
pub(super) fn refunded(purchase: &Purchase, also: Option<&Refund>) -> BookingDomainEvent {
    // Where several attempts of the highest amount were paid, their sum is no amount any more; the refunds say it one by one.
    let amount = Money::try_new(back_minor(purchase, also), purchase.total.currency()).unwrap_or(purchase.total);
    BookingRefunded { amount }.into()
}

fn back_minor(purchase: &Purchase, also: Option<&Refund>) -> i64 {
    let succeeded = purchase.refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
    succeeded.chain(also).map(|refund| refund.amount.minor()).sum()
}
