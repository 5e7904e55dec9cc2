//! What goes back of a booking that goes on: never more than came, and each ticket once.

use tickiz_domain::{
    booking::{
        Booking, BookingCommand, BookingDomainEvent, BookingError, BookingStatus, CancelBooking, Canceller,
        MAX_REFUNDS, PaymentMethod, PaymentStatus, PlaceBooking, Purchase, RecordSuccess, RefundPart, RefundStatus,
        RefundWhat, RefundedBy, StartPayment,
    },
    ids::{RefundId, TicketId},
    stored::StoredEvent,
    timer::TimerKind,
};
use uuid::Uuid;

use crate::{
    examples::{ATTEMPT, EARLIER_ATTEMPT, booking_placed, issued, lines, sealed},
    support::{handle, id, now, vnd},
};

/// The booking of the examples, 1,200,000 and 450,000 dong, paid by an attempt.
fn paid_by(attempts: &[u128]) -> Booking {
    let mut booking = Booking::default();
    let place = PlaceBooking { placed: booking_placed(), free_tickets: None, now: now() };
    handle(&mut booking, BookingCommand::Place(Box::new(place))).unwrap();
    for (attempt, method) in attempts.iter().zip([PaymentMethod::Sandbox, PaymentMethod::Stripe]) {
        let start = StartPayment {
            payment_id: id(*attempt),
            method,
            return_url: None,
            pay_until: booking_placed().hold_expires_at,
            show_open: true,
            now: now(),
        };
        handle(&mut booking, BookingCommand::StartPayment(Box::new(start))).unwrap();
    }
    for attempt in attempts {
        let success = RecordSuccess {
            payment_id: id(*attempt),
            gateway_reference: "sbx_1".to_owned(),
            amount: vnd(1_650_000),
            tickets: issued(),
            reinstate: true,
            show_open: true,
        };
        handle(&mut booking, BookingCommand::RecordSuccess(Box::new(success))).unwrap();
    }
    booking
}

fn part(what: RefundWhat) -> BookingCommand {
    BookingCommand::Refund(Box::new(RefundPart { what, by: RefundedBy::Organizer, reason: Some(sealed()) }))
}

fn sum(amount: u32) -> BookingCommand {
    part(RefundWhat::Amount(vnd(amount)))
}

fn ticket(place: usize) -> BookingCommand {
    part(RefundWhat::Tickets(vec![lines()[place].ticket_id]))
}

fn done(refund_id: RefundId) -> BookingCommand {
    BookingCommand::RecordRefundSuccess { refund_id, gateway_reference: "sbxr_1".to_owned() }
}

fn failed(refund_id: RefundId) -> BookingCommand {
    BookingCommand::RecordRefundFailure { refund_id, reason: "the account is closed".to_owned() }
}

fn cancel() -> BookingCommand {
    BookingCommand::Cancel(Box::new(CancelBooking { by: Canceller::Organizer, reason: None, show_started: false }))
}

fn purchase(booking: &Booking) -> &Purchase {
    booking.0.as_ref().unwrap()
}

fn types(events: &[BookingDomainEvent]) -> Vec<&'static str> {
    events.iter().map(StoredEvent::type_name).collect()
}

fn left(amount: u32) -> BookingError {
    BookingError::RefundTooMuch { left: vnd(amount) }
}

#[test]
fn a_ticket_goes_back_for_exactly_what_it_cost_and_leaves_the_other_as_it_is() {
    let mut booking = paid_by(&[ATTEMPT]);
    let recorded = handle(&mut booking, ticket(0)).unwrap();
    let [BookingDomainEvent::TicketsRevoked(revoked), BookingDomainEvent::RefundRequested(refund)] = &recorded[..]
    else {
        panic!("{recorded:?}")
    };
    assert_eq!((refund.amount, refund.payment_id), (vnd(1_200_000), id(ATTEMPT)));
    assert_eq!((&refund.ticket_ids, refund.by), (&vec![id::<TicketId>(0x71)], Some(RefundedBy::Organizer)));
    assert_eq!((revoked.refund_id, revoked.tickets[0].price), (Some(refund.refund_id), vnd(1_200_000)));
    assert_eq!((revoked.released.seat_ids.len(), revoked.released.quotas.len(), revoked.released.count), (1, 0, 1));
    let timers = recorded[1].timers(Uuid::nil(), now());
    assert_eq!((timers.len(), timers[0].kind), (1, TimerKind::RefundStart), "the gateway is asked");

    let refund_id = refund.refund_id;
    assert_eq!(types(&handle(&mut booking, done(refund_id)).unwrap()), ["RefundSucceeded"]);
    let after = purchase(&booking);
    assert_eq!((after.status, after.payments[0].status), (BookingStatus::Confirmed, PaymentStatus::PartiallyRefunded));
    assert_eq!((after.valid_tickets().count(), after.due_minor()), (1, 450_000));
    assert_eq!(after.places().count, 1);
    // The other one is its last: the booking ends as a cancelled one does.
    let ended = handle(&mut booking, ticket(1)).unwrap();
    assert_eq!(types(&ended), ["BookingCancelled", "RefundRequested"]);
    let rest = purchase(&booking).refunds[1].clone();
    assert_eq!((rest.amount, rest.by), (vnd(450_000), None));
    assert_eq!(types(&handle(&mut booking, done(rest.id)).unwrap()), ["RefundSucceeded", "BookingRefunded"]);
    assert_eq!(purchase(&booking).status, BookingStatus::Refunded);
    assert_eq!(purchase(&booking).valid_tickets().count(), 0);
}

#[test]
fn sums_go_back_until_nothing_is_left_and_the_tickets_stay() {
    let mut booking = paid_by(&[ATTEMPT]);
    assert_eq!(types(&handle(&mut booking, sum(1_000_000)).unwrap()), ["RefundRequested"]);
    assert_eq!(handle(&mut booking, sum(650_001)), Err(left(650_000)));
    assert_eq!(handle(&mut booking, ticket(0)), Err(left(650_000)), "its price is not there any more");
    assert_eq!(types(&handle(&mut booking, ticket(1)).unwrap()), ["TicketsRevoked", "RefundRequested"]);
    assert_eq!(types(&handle(&mut booking, sum(200_000)).unwrap()), ["RefundRequested"]);
    assert_eq!(handle(&mut booking, sum(1)), Err(left(0)));
    let ids: std::collections::BTreeSet<RefundId> = purchase(&booking).refunds.iter().map(|refund| refund.id).collect();
    assert_eq!(ids.len(), 3, "each part has its own id, which is the gateway's idempotency key");
    for refund in ids {
        assert_eq!(types(&handle(&mut booking, done(refund)).unwrap()), ["RefundSucceeded"]);
    }
    let after = purchase(&booking);
    assert_eq!((after.status, after.payments[0].status), (BookingStatus::Confirmed, PaymentStatus::Refunded));
    assert_eq!(
        (after.valid_tickets().count(), after.due_minor()),
        (1, 0),
        "the organiser may let somebody in for nothing"
    );
    assert_eq!(types(&handle(&mut booking, cancel()).unwrap()), ["BookingCancelled", "BookingRefunded"]);
}

#[test]
fn money_of_a_part_that_failed_waits_for_a_person_and_is_not_given_back_as_another_part() {
    let mut booking = paid_by(&[ATTEMPT]);
    handle(&mut booking, ticket(0)).unwrap();
    let first = purchase(&booking).refunds[0].id;
    handle(&mut booking, failed(first)).unwrap();
    assert_eq!(purchase(&booking).failed_refunds().map(|refund| refund.id).collect::<Vec<_>>(), [first]);
    assert_eq!(purchase(&booking).due_minor(), 450_000, "what failed is still owed");
    assert_eq!(handle(&mut booking, sum(450_001)), Err(left(450_000)));
    assert_eq!(types(&handle(&mut booking, done(first)).unwrap()), ["RefundSucceeded"], "a person paid it back");
    assert_eq!(purchase(&booking).failed_refunds().count(), 0);
    // At the end everything is asked for that is left, also what failed; then nobody waits for that any more.
    let mut booking = paid_by(&[ATTEMPT]);
    handle(&mut booking, sum(100_000)).unwrap();
    let first = purchase(&booking).refunds[0].id;
    handle(&mut booking, failed(first)).unwrap();
    handle(&mut booking, cancel()).unwrap();
    assert_eq!(purchase(&booking).refunds[1].amount, vnd(1_650_000));
    assert_eq!(purchase(&booking).failed_refunds().count(), 0);
    assert_eq!(handle(&mut booking, done(first)), Err(BookingError::RefundExceedsReceived(first)));
}

#[test]
fn a_part_is_taken_of_the_money_that_bought_the_booking_and_of_no_other() {
    let mut booking = paid_by(&[EARLIER_ATTEMPT, ATTEMPT]);
    let whole = purchase(&booking).refunds[0].clone();
    assert_eq!(whole.payment_id, id(ATTEMPT), "the second money goes back whole");
    handle(&mut booking, failed(whole.id)).unwrap();
    handle(&mut booking, ticket(1)).unwrap();
    assert_eq!(purchase(&booking).refunds[1].payment_id, id(EARLIER_ATTEMPT));
    assert_eq!(handle(&mut booking, sum(1_200_001)), Err(left(1_200_000)));
}

#[test]
fn the_parts_of_a_booking_are_bounded_and_its_end_is_not() {
    let mut booking = paid_by(&[ATTEMPT]);
    for _ in 0..MAX_REFUNDS {
        handle(&mut booking, sum(1)).unwrap();
    }
    assert_eq!(handle(&mut booking, sum(1)), Err(BookingError::TooManyRefunds));
    assert_eq!(types(&handle(&mut booking, cancel()).unwrap()), ["BookingCancelled", "RefundRequested"]);
    let asked = purchase(&booking).refunds.iter().filter(|refund| refund.status == RefundStatus::Requested);
    assert_eq!(asked.map(|refund| refund.amount.minor()).sum::<i64>(), 1_650_000);
}

#[test]
fn a_ticket_named_twice_goes_back_once() {
    let mut booking = paid_by(&[ATTEMPT]);
    let twice = RefundWhat::Tickets(vec![lines()[1].ticket_id, lines()[1].ticket_id]);
    handle(&mut booking, part(twice)).unwrap();
    assert_eq!((purchase(&booking).revoked.len(), purchase(&booking).refunds[0].amount), (1, vnd(450_000)));
}
