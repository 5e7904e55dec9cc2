//! What a Booking refuses and what becomes of its money, beyond the table.

use chrono::Duration;
use tickiz_domain::{
    booking::{
        Booking, BookingCommand, BookingDomainEvent, BookingError, BookingStatus, CancelBooking, CancelledBy,
        Canceller, PaymentMethod, PaymentStatus, PlaceBooking, Purchase, RecordSuccess, StartPayment,
        command::MAX_PAYMENTS,
    },
    ids::{PaymentId, RefundId},
    money::Money,
    stored::StoredEvent,
    timer::TimerKind,
};
use uuid::Uuid;

use crate::{
    examples::{ATTEMPT, EARLIER_ATTEMPT, booking_placed, issued, lines, sealed, seat},
    support::{handle, id, now, vnd},
};

fn place() -> PlaceBooking {
    PlaceBooking { placed: booking_placed(), free_tickets: None, now: now() }
}

fn start(payment_id: u128, method: PaymentMethod) -> BookingCommand {
    BookingCommand::StartPayment(Box::new(StartPayment {
        payment_id: id(payment_id),
        method,
        return_url: Some(sealed()),
        pay_until: booking_placed().hold_expires_at,
        show_open: true,
        now: now(),
    }))
}

fn success(payment_id: u128) -> RecordSuccess {
    RecordSuccess {
        payment_id: id(payment_id),
        gateway_reference: "sbx_1".to_owned(),
        amount: vnd(1_650_000),
        tickets: issued(),
        reinstate: true,
        show_open: true,
    }
}

fn paid(payment_id: u128) -> BookingCommand {
    BookingCommand::RecordSuccess(Box::new(success(payment_id)))
}

fn cancel() -> BookingCommand {
    let reason = Some(sealed());
    BookingCommand::Cancel(Box::new(CancelBooking { by: Canceller::Organizer, reason, show_started: false }))
}

fn refund_ok(refund_id: RefundId) -> BookingCommand {
    BookingCommand::RecordRefundSuccess { refund_id, gateway_reference: "sbxr_1".to_owned() }
}

fn refund_failed(refund_id: RefundId) -> BookingCommand {
    BookingCommand::RecordRefundFailure { refund_id, reason: "the account is closed".to_owned() }
}

fn expire() -> BookingCommand {
    BookingCommand::Expire { now: booking_placed().hold_expires_at }
}

/// A booking after these commands, each of which recorded something.
fn after(commands: impl IntoIterator<Item = BookingCommand>) -> Booking {
    let mut booking = Booking::default();
    for command in [BookingCommand::Place(Box::new(place()))].into_iter().chain(commands) {
        assert!(!handle(&mut booking, command).unwrap().is_empty());
    }
    booking
}

fn purchase(booking: &Booking) -> &Purchase {
    booking.0.as_ref().unwrap()
}

fn types(events: &[BookingDomainEvent]) -> Vec<&str> {
    events.iter().map(|event| event.type_name()).collect()
}

fn payment_status(booking: &Booking, payment_id: u128) -> PaymentStatus {
    purchase(booking).payment(id::<PaymentId>(payment_id)).unwrap().status
}

/// Wrong in one place, and what is said about it.
type Fault = (fn(&mut PlaceBooking), BookingError);

#[test]
fn a_booking_whose_lines_do_not_hold_together_is_refused() {
    let faults: Vec<Fault> = vec![
        (|p| p.placed.lines.clear(), BookingError::Malformed("a booking has at least one line")),
        (|p| p.placed.total = vnd(1), BookingError::Malformed("the lines do not sum to the total")),
        (
            |p| p.placed.lines[0].price = Money::parse("10.00", "USD").unwrap(),
            BookingError::Malformed("the lines do not sum to the total"),
        ),
        (
            |p| p.placed.lines[0].quota_id = Some(id(1)),
            BookingError::Malformed("a line is a seat or a place of a quota, and not both"),
        ),
        (
            |p| p.placed.lines[0].seat_id = None,
            BookingError::Malformed("a line is a seat or a place of a quota, and not both"),
        ),
        (
            |p| p.placed.lines[1].ticket_id = p.placed.lines[0].ticket_id,
            BookingError::Malformed("two lines have one ticket"),
        ),
        (
            |p| (p.placed.lines[1].seat_id, p.placed.lines[1].quota_id) = (Some(seat("A-1")), None),
            BookingError::SeatTwice(seat("A-1")),
        ),
        (
            |p| p.placed.code = "k7qf2mxd".to_owned(),
            BookingError::Malformed("the code is not one, or not as it is shown"),
        ),
        (|p| p.now = p.placed.hold_expires_at, BookingError::Malformed("the hold would run out before it begins")),
        (
            |p| p.free_tickets = Some(issued()),
            BookingError::Malformed("tickets are issued when there is nothing left to pay"),
        ),
    ];
    for (spoil, expected) in faults {
        let mut place = place();
        spoil(&mut place);
        assert_eq!(handle(&mut Booking::default(), BookingCommand::Place(Box::new(place))), Err(expected));
    }
}

#[test]
fn a_ticket_is_issued_only_for_its_own_line() {
    let mut swapped = issued();
    swapped.reverse();
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox)]);
    for wrong in [Vec::new(), issued()[..1].to_vec(), swapped] {
        let command = BookingCommand::RecordSuccess(Box::new(RecordSuccess { tickets: wrong, ..success(ATTEMPT) }));
        let expected = BookingError::Malformed("the tickets are not those of the lines");
        assert_eq!(handle(&mut booking, command), Err(expected));
    }
    let mut free = place();
    free.placed.total = vnd(0);
    free.placed.lines.iter_mut().for_each(|line| line.price = vnd(0));
    let expected = BookingError::Malformed("a booking with a total of 0 needs its tickets at once");
    assert_eq!(handle(&mut Booking::default(), BookingCommand::Place(Box::new(free))), Err(expected));
}

#[test]
fn paid_by_two_attempts_one_buys_and_one_goes_back() {
    let mut booking = after([start(EARLIER_ATTEMPT, PaymentMethod::Stripe), start(ATTEMPT, PaymentMethod::Sandbox)]);
    let first = handle(&mut booking, paid(EARLIER_ATTEMPT)).unwrap();
    assert_eq!(types(&first), ["PaymentCancelled", "PaymentSucceeded", "BookingConfirmed"]);
    let timers = first[0].timers(Uuid::nil(), now());
    assert_eq!(
        timers.iter().map(|timer| timer.kind).collect::<Vec<_>>(),
        [TimerKind::PaymentCancel],
        "the gateway is told"
    );
    assert_eq!(types(&handle(&mut booking, paid(ATTEMPT)).unwrap()), ["PaymentSucceeded", "RefundRequested"]);
    assert_eq!(handle(&mut booking, paid(ATTEMPT)), Ok(vec![]), "told a second time");
    assert_eq!(purchase(&booking).status, BookingStatus::Confirmed);
    let refund = purchase(&booking).refunds[0].clone();
    assert_eq!((refund.payment_id, refund.amount), (id(ATTEMPT), vnd(1_650_000)));
    assert_eq!(types(&handle(&mut booking, refund_ok(refund.id)).unwrap()), ["RefundSucceeded"]);
    assert_eq!(purchase(&booking).status, BookingStatus::Confirmed, "its own money is still here");
}

#[test]
fn a_late_payment_that_goes_back_leaves_the_booking_expired_and_the_payment_refunded() {
    let late = BookingCommand::RecordSuccess(Box::new(RecordSuccess { reinstate: false, ..success(ATTEMPT) }));
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox), expire(), late]);
    let refund = purchase(&booking).refunds[0].id;
    assert_eq!(types(&handle(&mut booking, refund_ok(refund)).unwrap()), ["RefundSucceeded"]);
    assert_eq!(purchase(&booking).status, BookingStatus::Expired);
    assert_eq!(payment_status(&booking, ATTEMPT), PaymentStatus::Refunded);
}

#[test]
fn money_after_a_decline_is_money() {
    let decline = BookingCommand::RecordDecline { payment_id: id(ATTEMPT), reason: "no".to_owned() };
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox), decline]);
    assert_eq!(types(&handle(&mut booking, paid(ATTEMPT)).unwrap()), ["PaymentSucceeded", "BookingConfirmed"]);
    assert_eq!(purchase(&booking).payment(id(ATTEMPT)).unwrap().reason, None);
}

#[test]
fn money_of_another_currency_is_looked_at_by_a_person() {
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox)]);
    let amount = Money::parse("16500.00", "USD").unwrap();
    assert_eq!(amount.minor(), vnd(1_650_000).minor());
    let command = BookingCommand::RecordSuccess(Box::new(RecordSuccess { amount, ..success(ATTEMPT) }));
    let recorded = handle(&mut booking, command).unwrap();
    assert_eq!(types(&recorded), ["PaymentHeldForReview"]);
    assert_eq!(handle(&mut booking, paid(ATTEMPT)), Ok(vec![]), "what the person decides is not decided by a report");
    let ended = handle(&mut booking, cancel()).unwrap();
    assert_eq!(types(&ended), ["BookingCancelled"], "money under review goes nowhere by itself");
}

#[test]
fn a_refund_that_failed_is_asked_for_anew_and_never_twice_over() {
    let mut booking = after([start(EARLIER_ATTEMPT, PaymentMethod::Stripe), start(ATTEMPT, PaymentMethod::Sandbox)]);
    handle(&mut booking, paid(EARLIER_ATTEMPT)).unwrap();
    handle(&mut booking, paid(ATTEMPT)).unwrap();
    let first = purchase(&booking).refunds[0].id;
    assert_eq!(types(&handle(&mut booking, refund_failed(first)).unwrap()), ["RefundFailed"]);
    let ended = handle(&mut booking, cancel()).unwrap();
    assert_eq!(types(&ended), ["BookingCancelled", "RefundRequested", "RefundRequested"]);
    let ids: std::collections::BTreeSet<RefundId> = purchase(&booking).refunds.iter().map(|refund| refund.id).collect();
    assert_eq!(ids.len(), 3, "each refund has its own id, which is the gateway's idempotency key");
    let late = handle(&mut booking, refund_ok(first));
    assert_eq!(late, Err(BookingError::RefundExceedsReceived(first)), "the same money is on its way by another refund");
    let [.., second, third] = purchase(&booking).refunds.clone().try_into().map(|r: [_; 3]| r).unwrap();
    assert_eq!(types(&handle(&mut booking, refund_ok(second.id)).unwrap()), ["RefundSucceeded"]);
    assert_eq!(types(&handle(&mut booking, refund_ok(third.id)).unwrap()), ["RefundSucceeded", "BookingRefunded"]);
    assert_eq!(purchase(&booking).status, BookingStatus::Refunded);
}

#[test]
fn a_refund_that_failed_may_succeed_after_all() {
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox), paid(ATTEMPT), cancel()]);
    let refund = purchase(&booking).refunds[0].id;
    handle(&mut booking, refund_failed(refund)).unwrap();
    assert_eq!(handle(&mut booking, refund_failed(refund)), Ok(vec![]), "told a second time");
    assert_eq!(types(&handle(&mut booking, refund_ok(refund)).unwrap()), ["RefundSucceeded", "BookingRefunded"]);
    assert_eq!(handle(&mut booking, refund_failed(refund)), Ok(vec![]), "money that is back is back");
}

#[test]
fn the_same_decision_asks_for_the_same_refund() {
    let history = || after([start(ATTEMPT, PaymentMethod::Sandbox), paid(ATTEMPT)]);
    assert_eq!(handle(&mut history(), cancel()), handle(&mut history(), cancel()));
}

#[test]
fn a_payment_for_a_cancelled_show_goes_back_whoever_comes_first() {
    let closed = || BookingCommand::RecordSuccess(Box::new(RecordSuccess { show_open: false, ..success(ATTEMPT) }));
    // The refund is there before the process manager.
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox), closed()]);
    assert_eq!(purchase(&booking).status, BookingStatus::Held);
    let refund = purchase(&booking).refunds[0].id;
    assert_eq!(types(&handle(&mut booking, refund_ok(refund)).unwrap()), ["RefundSucceeded"]);
    let ended = handle(&mut booking, BookingCommand::CancelWithShow).unwrap();
    assert_eq!(types(&ended), ["BookingCancelled", "BookingRefunded"]);
    // The process manager is there before the refund.
    let mut booking = after([start(ATTEMPT, PaymentMethod::Sandbox), closed(), BookingCommand::CancelWithShow]);
    let refund = purchase(&booking).refunds[0].id;
    assert_eq!(types(&handle(&mut booking, refund_ok(refund)).unwrap()), ["RefundSucceeded", "BookingRefunded"]);
}

#[test]
fn who_ended_a_booking_is_on_record() {
    let by = |booking: &mut Booking, command| match handle(booking, command).unwrap().as_slice() {
        [.., BookingDomainEvent::BookingCancelled(cancelled)] => (cancelled.by, cancelled.reason.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(by(&mut after([]), cancel()), (CancelledBy::Organizer, true));
    assert_eq!(by(&mut after([]), BookingCommand::CancelWithShow), (CancelledBy::EventCancelled, false));
    let mut releasing = Booking::default();
    let mut placed = place();
    placed.placed.release_on_decline = true;
    handle(&mut releasing, BookingCommand::Place(Box::new(placed))).unwrap();
    handle(&mut releasing, start(ATTEMPT, PaymentMethod::Sandbox)).unwrap();
    let decline = BookingCommand::RecordDecline { payment_id: id(ATTEMPT), reason: "no".to_owned() };
    assert_eq!(by(&mut releasing, decline), (CancelledBy::Decline, false));
}

#[test]
fn a_booking_has_no_more_attempts_than_anybody_needs() {
    let mut booking = after([]);
    for attempt in 0..MAX_PAYMENTS as u128 {
        let method = if attempt % 2 == 0 { PaymentMethod::Sandbox } else { PaymentMethod::Stripe };
        handle(&mut booking, start(0x1000 + attempt, method)).unwrap();
    }
    assert_eq!(handle(&mut booking, start(ATTEMPT, PaymentMethod::Momo)), Err(BookingError::TooManyPayments));
    assert_eq!(
        types(&handle(&mut booking, paid(0x1000)).unwrap()).last(),
        Some(&"BookingConfirmed"),
        "an old one still pays"
    );
}

#[test]
fn a_hold_and_an_attempt_and_a_refund_are_looked_at_again() {
    let mut booking = Booking::default();
    let mut timers = Vec::new();
    let mut send = |command| {
        for event in handle(&mut booking, command).unwrap() {
            timers.extend(event.timers(Uuid::nil(), now()).into_iter().map(|timer| (timer.kind, timer.due_at)));
        }
    };
    send(BookingCommand::Place(Box::new(place())));
    send(start(ATTEMPT, PaymentMethod::Sandbox));
    send(paid(ATTEMPT));
    send(cancel());
    let deadline = booking_placed().hold_expires_at;
    let expected = [
        (TimerKind::HoldEnds, deadline),
        (TimerKind::PaymentStart, now()),
        (TimerKind::PaymentCheck, deadline + Duration::seconds(15)),
        (TimerKind::RefundStart, now()),
    ];
    assert_eq!(timers, expected);
    assert_eq!(lines().len(), purchase(&booking).tickets.len());
}
