//! Every step of a payment fails once, before and after it took effect, and is run twice; and processes die in between.

mod house;
mod world;

use std::sync::Arc;

use futures::{StreamExt, stream};
use house::{
    House, LogList, Plan,
    faults::{Faults, When},
    hall_with,
};
use tickiz_command_api::{
    payments::Next,
    workers::{
        cancellation::EndBookings,
        deadlines::{HoldEnds, ShowEnds, ShowIsNear},
        lane::Step,
    },
};
use tickiz_contract::{Commands, Request};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    timer::TimerKind,
};
use world::{Order, hall, organizer};

/// What is told with one call failing.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// Paid on the page, then cancelled by the buyer, and the money given back.
    PaidAndCancelled,
    /// Paid late, when the seat is somebody else's.
    TooLate,
    /// Given up for another method, and the second one paid.
    AnotherMethod,
    /// Declined.
    Declined,
    /// The show is called off: one has paid, one only holds.
    CalledOff,
    /// The show comes near, and is over.
    NearAndOver,
}

/// The calls of [`Story::TooLate`] where he gets his seats back: create, record it, record the hold's end, read, record the money.
const CALLS_OF_A_QUICK_RETURN: usize = 5;

/// Whether he who came too late was quicker than his rival.
async fn tell(story: Story, faults: Faults) -> bool {
    let mut is_quick = false;
    let house = House::working(Plan { faults, second_method: true, ..Plan::default() }).await;
    let show = house.world.show(hall_with(2, 4, 600)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay_somehow(&booking, "p").await;
    match story {
        Story::PaidAndCancelled => {
            house.press(&page, "pay").await;
            house.status(booking.id, BookingStatus::Confirmed).await;
            house.world.cancel(booking.id, booking.access_token.clone(), "c").await.expect("it can be cancelled");
            house.status(booking.id, BookingStatus::Refunded).await;
        }
        Story::TooLate => {
            house.press(&page, "pay-late").await;
            house.advance(601);
            // Time goes on while a failed step is repeated: the late payer may be back already, or the money there before the end
            // of the hold was recorded. Success and expiry meet at one sequence, and either may win.
            let decided = async || {
                let types = house.world.types().await;
                types.iter().any(|of| of == "BookingExpired" || of == "BookingConfirmed").then_some(())
            };
            house.until("the hold's end", decided).await;
            // Whoever is quicker, this one or the late payer; a refusal means that he was.
            let rival =
                crate::world::place_by(&house.service, Order::of(show.id, "hoa@example.com", "r").seats(&["A-1"]))
                    .await;
            is_quick = rival.is_err();
            let ended = if rival.is_ok() { PaymentStatus::Refunded } else { PaymentStatus::Succeeded };
            house.payment_status(booking.id, payment_id, ended).await;
        }
        Story::AnotherMethod => {
            let second = house.try_pay(&booking, PaymentMethod::Stripe, "q").await.expect("another method");
            let page = async || {
                let purchase = house.purchase(booking.id).await;
                purchase.payment(second.payment_id).and_then(|payment| payment.redirect_url.clone())
            };
            let page = house.until("the second page", page).await;
            house.press(&page, "pay").await;
            house.status(booking.id, BookingStatus::Confirmed).await;
            let ledger = async || house.ledger().await.iter().all(|entry| entry.state.as_str() != "OPEN").then_some(());
            house.until("the first is called off", ledger).await;
        }
        Story::CalledOff => {
            house.press(&page, "pay").await;
            house.status(booking.id, BookingStatus::Confirmed).await;
            let held = house.place(Order::of(show.id, "minh@example.com", "h").seats(&["B-1"])).await;
            let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
            house.service.execute(organizer(), cancel).await.expect("it is cancelled");
            house.status(booking.id, BookingStatus::Refunded).await;
            house.status(held.id, BookingStatus::Cancelled).await;
            house.check_money(held.id).await;
            assert_eq!((house.count("BookingCancelled").await, house.count("RefundRequested").await), (2, 1));
        }
        Story::NearAndOver => {
            house.press(&page, "pay").await;
            house.status(booking.id, BookingStatus::Confirmed).await;
            house.advance(60 * 60 * 30);
            let reminded = async || (house.count("EventRemindersDue").await > 0).then_some(());
            house.until("the reminder", reminded).await;
            house.advance(60 * 60 * 48);
            house.until("its end", async || (house.count("EventCompleted").await > 0).then_some(())).await;
            assert_eq!((house.count("EventRemindersDue").await, house.count("EventCompleted").await), (1, 1));
        }
        Story::Declined => {
            house.press(&page, "decline").await;
            house.payment_status(booking.id, payment_id, PaymentStatus::Failed).await;
        }
    }
    // What was begun twice was done once.
    for entry in house.ledger().await {
        assert!(entry.charged_minor <= entry.amount.minor(), "{entry:?}");
    }
    house.check_money(booking.id).await;
    house.world.check_conservation(show.id).await;
    house.end().await;
    is_quick
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_step_may_fail_once_before_or_after_it_took_effect() {
    use Story::{AnotherMethod, CalledOff, Declined, NearAndOver, PaidAndCancelled, TooLate};
    for story in [PaidAndCancelled, TooLate, AnotherMethod, Declined, CalledOff, NearAndOver] {
        let quiet = Faults::none();
        tell(story, quiet.clone()).await;
        // A step that fails is repeated, so there are more calls than in a quiet run; failing those covers failing twice.
        let calls = quiet.calls().len() + 2;
        assert!(calls > 4, "{story:?} crosses the borders: {:?}", quiet.calls());
        let runs = (0..calls).flat_map(|number| [(number, When::Before), (number, When::After)]);
        stream::iter(runs)
            .for_each_concurrent(8, |(number, when)| async move {
                let faults = Faults::at(number, when);
                let is_quick = tell(story, faults.clone()).await;
                // Who comes too late may still be quicker than his rival; that ending has fewer calls than the other.
                let least = if is_quick { CALLS_OF_A_QUICK_RETURN.min(calls - 2) } else { calls - 2 };
                assert!(faults.hit() || number >= least, "{story:?} {number} {when:?}: {:?}", faults.calls());
            })
            .await;
    }
}

#[tokio::test]
async fn every_step_may_be_run_twice_and_at_once() {
    let house = House::new(Plan { lose_webhooks: true, second_method: true, idle_desk: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let first = house.try_pay(&booking, PaymentMethod::Sandbox, "p").await.expect("it can be paid").payment_id;

    let run_all = async |kind, subject| {
        let timer = house.lease(kind, subject).await;
        // The one that takes over from a dead process knows that it is not the first.
        let mut later = timer.clone();
        later.attempts += 1;
        let payments = &house.payments;
        tokio::join!(payments.step(&timer), payments.step(&timer), payments.step(&later), payments.step(&later));
        payments.run_timer(&timer).await;
    };

    run_all(TimerKind::PaymentStart, first.0).await;
    assert_eq!((house.ledger().await.len(), house.count("PaymentPending").await), (1, 1));

    let second = house.try_pay(&booking, PaymentMethod::Stripe, "q").await.expect("another method").payment_id;
    run_all(TimerKind::PaymentCancel, first.0).await;
    run_all(TimerKind::PaymentStart, second.0).await;
    assert_eq!((house.ledger().await.len(), house.count("PaymentPending").await), (2, 2));
    assert_eq!(house.count("PaymentCancelled").await, 1);

    let page = house.purchase(booking.id).await.payment(second).and_then(|payment| payment.redirect_url.clone());
    house.press(&page.expect("its page"), "pay").await;
    run_all(TimerKind::PaymentCheck, second.0).await;
    assert_eq!((house.count("PaymentSucceeded").await, house.count("BookingConfirmed").await), (1, 1));

    house.world.cancel(booking.id, booking.access_token.clone(), "c").await.expect("it can be cancelled");
    let refund = house.purchase(booking.id).await.refunds[0].id;
    run_all(TimerKind::RefundStart, refund.0).await;
    assert_eq!((house.count("RefundSucceeded").await, house.count("BookingRefunded").await), (1, 1));
    assert_eq!(house.ledger().await.iter().map(|entry| entry.returned_minor).sum::<i64>(), 900_000);
    house.check_money(booking.id).await;

    let other = house.place(Order::of(show.id, "minh@example.com", "k").seats(&["A-2"])).await;
    let hold = house.lease(TimerKind::HoldEnds, other.id.0).await;
    house.advance(601);
    let step = HoldEnds(house.bookings.clone());
    tokio::join!(step.run(&hold), step.run(&hold), step.run(&hold));
    assert_eq!(house.count("BookingExpired").await, 1);

    for seat in ["B-1", "B-2", "B-3"] {
        house.place(Order::of(show.id, "hoa@example.com", seat).seats(&[seat])).await;
    }
    let near = house.lease(TimerKind::EventReminder, show.id.0).await;
    let over = house.lease(TimerKind::EventEnds, show.id.0).await;
    house.advance(60 * 60 * 30);
    let step = ShowIsNear(house.bookings.clone());
    tokio::join!(step.run(&near), step.run(&near), step.run(&near));
    assert_eq!(house.count("EventRemindersDue").await, 1);
    let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
    house.service.execute(organizer(), cancel).await.expect("it is cancelled");
    let ending = house.lease(TimerKind::EventCancellation, show.id.0).await;
    let step = EndBookings {
        bookings: house.bookings.clone(),
        list: Arc::new(LogList(house.world.log.clone())),
        log: house.world.log.clone(),
    };
    let before = house.count("BookingCancelled").await;
    tokio::join!(step.run(&ending), step.run(&ending), step.run(&ending));
    assert_eq!(step.run(&ending).await, Next::Done);
    assert_eq!(house.count("BookingCancelled").await - before, 3);
    house.advance(60 * 60 * 48);
    let step = ShowEnds(house.bookings.clone());
    tokio::join!(step.run(&over), step.run(&over));
    assert_eq!(house.count("EventCompleted").await, 0, "what was cancelled is not over");
    house.world.check_conservation(show.id).await;
    house.end().await;
}

#[tokio::test]
async fn what_a_dead_process_had_leased_another_takes_over() {
    let house = House::working(Plan { idle_desk: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    // Its process dies with the lease, before it called the gateway, or after, before it could record that.
    for (seat, called) in [("A-1", false), ("A-2", true)] {
        let booking = house.place(Order::of(show.id, "lan@example.com", seat).seats(&[seat])).await;
        let payment = house.try_pay(&booking, PaymentMethod::Sandbox, seat).await.expect("it can be paid").payment_id;
        if called {
            let gateway = house.payments.gateways().get(PaymentMethod::Sandbox).expect("the sandbox").clone();
            let purchase = house.purchase(booking.id).await;
            let told = tickiz_command_api::gateways::Attempt {
                reference: tickiz_command_api::gateways::AttemptRef { booking_id: booking.id, payment_id: payment },
                amount: purchase.total,
                title: "as it was called then".to_owned(),
                booking_code: purchase.code.clone(),
                return_url: None,
                pay_until: purchase.hold_expires_at,
                hold_ends_at: purchase.hold_expires_at,
                locale: None,
                gateway_reference: None,
                is_wanted: true,
            };
            gateway.create(&told).await.expect("the gateway takes it");
        }
        house.payment_status(booking.id, payment, PaymentStatus::Pending).await;
        let page = house.purchase(booking.id).await.payment(payment).and_then(|payment| payment.redirect_url.clone());
        house.press(&page.expect("its page"), "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        house.check_money(booking.id).await;
    }
    assert_eq!(house.ledger().await.len(), 2, "one payment an attempt, whoever asked and how often");
    house.end().await;
}

#[tokio::test]
async fn a_webhook_may_come_before_the_answer_that_made_the_payment() {
    // The gateway's answer is lost after it took effect, so the page is not known here; the buyer pays there all the same.
    let faults = Faults::at(0, When::After);
    let mut house = House::new(Plan { faults: faults.clone(), ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let paid = house.try_pay(&booking, PaymentMethod::Sandbox, "p").await.expect("it is recorded");
    let attempt = paid.booking.purchase.payment(paid.payment_id).expect("the attempt").clone();
    assert_eq!((attempt.status, attempt.redirect_url), (PaymentStatus::Created, None));
    let page = format!("{}/sandbox/pay/{}", house.url, house.ledger().await[0].id);
    house.press(&page, "pay").await;
    house.work();
    let confirmed = house.status(booking.id, BookingStatus::Confirmed).await;
    assert_eq!(confirmed.payment(paid.payment_id).map(|payment| payment.status), Some(PaymentStatus::Succeeded));
    // The step that makes the payment known is still to come, and finds nothing to do.
    house.advance(60);
    house
        .until("its timer is gone", async || {
            let timer = house
                .world
                .log
                .lease_timer(TimerKind::PaymentStart, paid.payment_id.0, std::time::Duration::from_secs(1))
                .await;
            timer.expect("the log answers").is_none().then_some(())
        })
        .await;
    assert_eq!(house.count("PaymentPending").await, 0);
    house.check_money(booking.id).await;
    house.end().await;
}
