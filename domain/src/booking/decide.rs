//! The decisions: from a state and a command to domain events or a named error, by the table in [`command`](super::command).
//! What has to do with money is in [`settle`](super::settle), with gates in [`admit`](super::admit),
//! with new codes in [`reissue`](super::reissue), with what goes back while the booking goes on in [`refund`](super::refund).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};

use super::{
    admit,
    code::BookingCode,
    command::{BookingCommand, CancelBooking, Canceller, MAX_PAYMENTS, PlaceBooking, StartPayment},
    error::BookingError,
    event::{
        BookingCancelled, BookingConfirmed, BookingDomainEvent, BookingExpired, BookingPlaced, CancelledBy,
        IssuedTicket, Line, PaymentCancelled, PaymentCreated, PaymentPending,
    },
    refund, reissue, settle,
    state::{Booking, BookingStatus, PaymentStatus, Purchase},
};
use crate::{ids::PaymentId, money::Money, sealed::Sealed};

/// What a decision comes to; empty where there is nothing to do.
pub(super) type Decision = Result<Vec<BookingDomainEvent>, BookingError>;

impl Aggregate for Booking {
    const TYPE: &'static str = "Booking";
    type Command = BookingCommand;
    type Event = BookingDomainEvent;
    type Error = BookingError;
    type Services = ();

    async fn handle(&mut self, command: BookingCommand, (): &(), sink: &EventSink<Self>) -> Result<(), BookingError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: BookingDomainEvent) {
        self.fold(event);
    }
}

impl Booking {
    /// What a command comes to in this state: domain events, nothing, or a refusal. Pure.
    ///
    /// # Errors
    /// Where the table says so, and where a command is malformed.
    pub fn decide(&self, command: BookingCommand) -> Decision {
        use BookingCommand as C;
        let Some(purchase) = self.0.as_ref() else {
            let C::Place(place) = command else { return Err(BookingError::NotFound) };
            return placed(*place);
        };
        match command {
            C::Place(_) => Err(BookingError::AlreadyPlaced),
            C::Expire { now } => Ok(expire(purchase, now)),
            C::Cancel(cancel) => cancelled(purchase, *cancel),
            C::CancelWithShow => Ok(cancel_with_show(purchase)),
            C::StartPayment(start) => start_payment(purchase, *start),
            C::RecordPending { payment_id, gateway_reference, redirect_url } => {
                pending(purchase, PaymentPending { payment_id, gateway_reference, redirect_url })
            }
            C::RecordSuccess(success) => settle::success(purchase, *success),
            C::RecordDecline { payment_id, reason } => settle::decline(purchase, payment_id, reason),
            C::RecordAbandonment { payment_id } => settle::abandonment(purchase, payment_id),
            C::RecordPaymentExpiry { payment_id } => settle::payment_expiry(purchase, payment_id),
            C::RecordRefundSuccess { refund_id, gateway_reference } => {
                settle::refund_success(purchase, refund_id, gateway_reference)
            }
            C::RecordRefundFailure { refund_id, reason } => settle::refund_failure(purchase, refund_id, reason),
            C::Admit(scan) => admit::admit(purchase, *scan),
            C::Reissue(asked) => reissue::reissue(purchase, *asked),
            C::Refund(part) => refund::refund(purchase, *part),
        }
    }
}

fn placed(place: PlaceBooking) -> Decision {
    let PlaceBooking { placed, free_tickets, now } = place;
    check_lines(&placed)?;
    if BookingCode::parse(&placed.code).map(|code| code.to_string()).as_ref() != Ok(&placed.code) {
        return Err(BookingError::Malformed("the code is not one, or not as it is shown"));
    }
    if placed.hold_expires_at <= now {
        return Err(BookingError::Malformed("the hold would run out before it begins"));
    }
    match (placed.total.is_zero(), free_tickets) {
        (false, None) => Ok(vec![placed.into()]),
        (true, Some(tickets)) => {
            check_tickets(&placed.lines, &tickets)?;
            let confirmed = BookingConfirmed { event_id: placed.event_id, tickets, payment_id: None };
            Ok(vec![placed.into(), confirmed.into()])
        }
        (true, None) => Err(BookingError::Malformed("a booking with a total of 0 needs its tickets at once")),
        (false, Some(_)) => Err(BookingError::Malformed("tickets are issued when there is nothing left to pay")),
    }
}

/// The lines are some, each is a seat or a place of a quota, no seat and no ticket stands in two, and they sum to the total.
fn check_lines(placed: &BookingPlaced) -> Result<(), BookingError> {
    if placed.lines.is_empty() {
        return Err(BookingError::Malformed("a booking has at least one line"));
    }
    let (mut seats, mut tickets) = (BTreeSet::new(), BTreeSet::new());
    for line in &placed.lines {
        if line.seat_id.is_some() == line.quota_id.is_some() {
            return Err(BookingError::Malformed("a line is a seat or a place of a quota, and not both"));
        }
        if !tickets.insert(line.ticket_id) {
            return Err(BookingError::Malformed("two lines have one ticket"));
        }
        if let Some(seat) = &line.seat_id
            && !seats.insert(seat)
        {
            return Err(BookingError::SeatTwice(seat.clone()));
        }
    }
    let sum = Money::sum(placed.total.currency(), placed.lines.iter().map(|line| line.price));
    if sum == Ok(placed.total) { Ok(()) } else { Err(BookingError::Malformed("the lines do not sum to the total")) }
}

/// One ticket a line, in the order of the lines.
pub(super) fn check_tickets(lines: &[Line], tickets: &[IssuedTicket]) -> Result<(), BookingError> {
    let matches = |(line, ticket): (&Line, &IssuedTicket)| {
        (line.ticket_id, line.ticket_type_id, &line.seat_id)
            == (ticket.ticket_id, ticket.ticket_type_id, &ticket.seat_id)
    };
    if lines.len() == tickets.len() && lines.iter().zip(tickets).all(matches) {
        Ok(())
    } else {
        Err(BookingError::Malformed("the tickets are not those of the lines"))
    }
}

/// A timer asks; of one that comes early or late, nothing is left to do. An open attempt stays open: the buyer may be paying at
/// this moment, and his money is decided on when it comes.
fn expire(purchase: &Purchase, now: DateTime<Utc>) -> Vec<BookingDomainEvent> {
    if purchase.status == BookingStatus::Held && now >= purchase.hold_expires_at {
        vec![BookingExpired { released: purchase.places() }.into()]
    } else {
        Vec::new()
    }
}

fn cancelled(purchase: &Purchase, cancel: CancelBooking) -> Decision {
    match purchase.status {
        BookingStatus::Held => {}
        BookingStatus::Confirmed if cancel.show_started => return Err(BookingError::ShowStarted),
        BookingStatus::Confirmed => {}
        BookingStatus::Expired => return Err(BookingError::HoldExpired { at: purchase.hold_expires_at }),
        BookingStatus::Cancelled | BookingStatus::Refunded => return Err(BookingError::AlreadyCancelled),
    }
    let by = match cancel.by {
        Canceller::Buyer => CancelledBy::Buyer,
        Canceller::Organizer => CancelledBy::Organizer,
    };
    Ok(end(purchase, by, cancel.reason))
}

/// The process manager's list may be older than the booking: of one that has ended, nothing is left to do.
fn cancel_with_show(purchase: &Purchase) -> Vec<BookingDomainEvent> {
    match purchase.status {
        BookingStatus::Held | BookingStatus::Confirmed => end(purchase, CancelledBy::EventCancelled, None),
        BookingStatus::Expired | BookingStatus::Cancelled | BookingStatus::Refunded => Vec::new(),
    }
}

/// Ends a booking that has places: the attempt by which the buyer could still pay, the booking, and all the money goes back.
pub(super) fn end(purchase: &Purchase, by: CancelledBy, reason: Option<Sealed>) -> Vec<BookingDomainEvent> {
    let mut events: Vec<BookingDomainEvent> = end_open_payment(purchase, None).into_iter().collect();
    events.push(BookingCancelled { by, reason, released: purchase.places() }.into());
    events.extend(settle::refund_everything(purchase, by));
    if settle::is_all_back(purchase, None) {
        events.push(settle::refunded(purchase, None));
    }
    events
}

/// Ends the open attempt, unless that is `keep`; the gateway has to be told.
pub(super) fn end_open_payment(purchase: &Purchase, keep: Option<PaymentId>) -> Option<BookingDomainEvent> {
    let open = purchase.open_payment().filter(|payment| Some(payment.id) != keep)?;
    Some(PaymentCancelled { payment_id: open.id, tell_gateway: true }.into())
}

fn start_payment(purchase: &Purchase, start: StartPayment) -> Decision {
    // A repeated command is answered, not redone.
    if purchase.payment(start.payment_id).is_some() {
        return Ok(Vec::new());
    }
    let expired = BookingError::HoldExpired { at: purchase.hold_expires_at };
    match purchase.status {
        BookingStatus::Held if start.now >= purchase.hold_expires_at => return Err(expired),
        BookingStatus::Held if !start.show_open => return Err(BookingError::ShowClosed),
        BookingStatus::Held => {}
        BookingStatus::Confirmed => return Err(BookingError::AlreadyPaid),
        BookingStatus::Expired => return Err(expired),
        BookingStatus::Cancelled | BookingStatus::Refunded => return Err(BookingError::AlreadyCancelled),
    }
    if purchase.open_payment().is_some_and(|open| open.method == start.method) {
        return Ok(Vec::new());
    }
    if purchase.payments.len() >= MAX_PAYMENTS {
        return Err(BookingError::TooManyPayments);
    }
    let created = PaymentCreated {
        payment_id: start.payment_id,
        method: start.method,
        amount: purchase.total,
        return_url: start.return_url,
        pay_until: start.pay_until,
    };
    Ok(end_open_payment(purchase, None).into_iter().chain([created.into()]).collect())
}

/// The gateway's answer to the attempt. One that comes after the attempt ended changes nothing, and of two the first stays.
fn pending(purchase: &Purchase, pending: PaymentPending) -> Decision {
    let payment = purchase.payment(pending.payment_id).ok_or(BookingError::UnknownPayment(pending.payment_id))?;
    Ok(if payment.status == PaymentStatus::Created { vec![pending.into()] } else { Vec::new() })
}
