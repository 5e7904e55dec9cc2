//! What a Booking's domain events do to claims and timers.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::event::{BookingDomainEvent, IssuedTicket, Places};
use crate::{
    claim::{ClaimChange, Holder, NO_LIMIT, Resource},
    ids::BookingId,
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};

/// How long after an attempt's own deadline it is looked up at the gateway for the first time.
pub const FIRST_PAYMENT_CHECK_DELAY_SECONDS: i64 = 15;

fn take(places: &Places, holder: Holder) -> Vec<ClaimChange> {
    let event = places.event_id;
    let seats =
        places.seat_ids.iter().map(|seat| ClaimChange::Take { resource: Resource::Seat(event, seat.clone()), holder });
    let quotas = places.quotas.iter().map(|(quota, amount)| ClaimChange::Use {
        resource: Resource::Quota(event, *quota),
        amount: *amount,
        limit: None,
    });
    let person = ClaimChange::Use {
        resource: Resource::Person(event, places.person.clone()),
        amount: places.count,
        limit: Some(places.max_per_person.unwrap_or(NO_LIMIT)),
    };
    seats.chain(quotas).chain([person]).collect()
}

fn own(tickets: &[IssuedTicket], holder: Holder) -> Vec<ClaimChange> {
    let resource = |ticket: &IssuedTicket| Resource::Ticket(ticket.event_number, ticket.number.0);
    tickets.iter().map(|ticket| ClaimChange::Take { resource: resource(ticket), holder }).collect()
}

fn give_back(places: &Places, holder: Holder) -> Vec<ClaimChange> {
    let event = places.event_id;
    let seats = places
        .seat_ids
        .iter()
        .map(|seat| ClaimChange::Release { resource: Resource::Seat(event, seat.clone()), holder });
    let quotas = places
        .quotas
        .iter()
        .map(|(quota, amount)| ClaimChange::Return { resource: Resource::Quota(event, *quota), amount: *amount });
    let person = ClaimChange::Return { resource: Resource::Person(event, places.person.clone()), amount: places.count };
    seats.chain(quotas).chain([person]).collect()
}

/// A placed or reinstated booking takes its places; one that ended gives them back, and so do tickets that were given back. Its code
/// and its tickets' numbers it keeps for ever: by them a gate finds it.
pub fn claims_of(event: &BookingDomainEvent, stream: Uuid) -> Vec<ClaimChange> {
    let holder = Holder::Booking(BookingId(stream));
    match event {
        BookingDomainEvent::BookingPlaced(placed) => {
            let places =
                Places::of(placed.event_id, &placed.lines, placed.person.clone(), placed.max_per_person.map(i64::from));
            let mut claims = take(&places, holder);
            claims.push(ClaimChange::Take { resource: Resource::BookingCode(placed.code.replace('-', "")), holder });
            claims
        }
        BookingDomainEvent::BookingConfirmed(confirmed) => own(&confirmed.tickets, holder),
        BookingDomainEvent::BookingReinstated(reinstated) => {
            let mut claims = take(&reinstated.taken, holder);
            claims.extend(own(&reinstated.tickets, holder));
            claims
        }
        BookingDomainEvent::BookingExpired(expired) => give_back(&expired.released, holder),
        BookingDomainEvent::BookingCancelled(cancelled) => give_back(&cancelled.released, holder),
        BookingDomainEvent::TicketsRevoked(revoked) => give_back(&revoked.released, holder),
        _ => Vec::new(),
    }
}

/// A hold ends; a recorded attempt has to be sent, and looked up once it should be over; a refund has to be sent.
pub fn timers_of(event: &BookingDomainEvent, stream: Uuid, recorded_at: DateTime<Utc>) -> Vec<Timer> {
    let timer =
        |kind, subject, due_at| Timer { kind, stream: StreamId::new(StreamType::Booking, stream), subject, due_at };
    match event {
        BookingDomainEvent::BookingPlaced(placed) => vec![timer(TimerKind::HoldEnds, stream, placed.hold_expires_at)],
        BookingDomainEvent::PaymentCreated(created) => vec![
            timer(TimerKind::PaymentStart, created.payment_id.0, recorded_at),
            timer(
                TimerKind::PaymentCheck,
                created.payment_id.0,
                created.pay_until + Duration::seconds(FIRST_PAYMENT_CHECK_DELAY_SECONDS),
            ),
        ],
        BookingDomainEvent::PaymentCancelled(cancelled) if cancelled.tell_gateway => {
            vec![timer(TimerKind::PaymentCancel, cancelled.payment_id.0, recorded_at)]
        }
        BookingDomainEvent::RefundRequested(refund) => {
            vec![timer(TimerKind::RefundStart, refund.refund_id.0, recorded_at)]
        }
        _ => Vec::new(),
    }
}
