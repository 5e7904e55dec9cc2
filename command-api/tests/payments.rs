//! Payments over real sockets: every button of the sandbox's page, every loss on the way, and every order of arrival.

mod house;
mod world;

use house::{House, Plan, hall_with};
use tickiz_command_api::gateways::sandbox::provider::machine::State;
use tickiz_domain::booking::{BookingStatus, PaymentMethod, PaymentStatus};
use world::{Order, Store, hall};

#[tokio::test]
async fn a_payment_on_the_page_becomes_tickets_by_a_signed_webhook() {
    for store in [Store::Memory, Store::Sqlite] {
        let house = House::working(Plan { store, ..Plan::default() }).await;
        let show = house.world.show(hall(2, 5)).await;
        let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1", "B-1"])).await;
        let (payment_id, page) = house.pay(&booking, "p").await;

        let shown = house.http.get(&page).send().await.expect("the page");
        assert_eq!(shown.status(), 200);
        let html = shown.text().await.expect("HTML");
        assert!(html.contains("Đêm nhạc Trịnh") && html.contains("1350000 VND"), "{html}");
        for outcome in ["pay", "decline", "cancel", "pay-late"] {
            assert!(html.contains(&format!("name=\"outcome\" value=\"{outcome}\"")), "{html}");
        }
        assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Held, "looking at the page changes nothing");

        let pressed = house.press(&page, "pay").await;
        assert_eq!(pressed.status(), 303);
        assert_eq!(pressed.headers()["location"], "https://shop.example/thanks?order=1&x=y");
        let confirmed = house.status(booking.id, BookingStatus::Confirmed).await;
        assert_eq!(confirmed.tickets.len(), 2);
        assert_eq!(confirmed.payment(payment_id).map(|payment| payment.status), Some(PaymentStatus::Succeeded));
        let again = house.press(&page, "pay").await;
        assert_eq!(again.status(), 303, "the same button is answered as the first time");
        let other = house.press(&page, "decline").await;
        assert_eq!(other.status(), 409, "another one changes nothing");
        let log = house.world.log.read(0, 100).await.expect("the log");
        let says = |text: &str| log.iter().any(|recorded| String::from_utf8_lossy(&recorded.payload).contains(text));
        assert!(says("returnUrl") && !says("shop.example"), "the buyer's way back is in the log only sealed");
        house.check_money(booking.id).await;
        house.end().await;
    }
}

#[tokio::test]
async fn the_page_takes_nothing_but_its_own_buttons() {
    let house = House::working(Plan::default()).await;
    let mut request = hall(2, 3);
    request["title"] = "<script>alert(1)</script> & \"co\"".into();
    let show = house.world.show(request).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (_, page) = house.pay(&booking, "p").await;
    let html = house.http.get(&page).send().await.expect("the page").text().await.expect("HTML");
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");

    for outcome in ["", "PAY", "refund", "pay,decline"] {
        assert_eq!(house.press(&page, outcome).await.status(), 400, "{outcome}");
    }
    assert_eq!(house.http.post(&page).send().await.expect("an answer").status(), 415);
    assert_eq!(house.http.post(&page).json(&"pay").send().await.expect("an answer").status(), 415);
    let twice =
        house.http.post(&page).form(&[("outcome", "pay"), ("outcome", "decline")]).send().await.expect("an answer");
    assert_eq!(twice.status(), 400);
    let huge = house.http.post(&page).form(&[("outcome", "x".repeat(100_000))]).send().await.expect("an answer");
    assert_eq!(huge.status(), 413);
    let nobody = format!("{}/sandbox/pay/sbx_00000000000000000000000000000000", house.url);
    assert_eq!(house.press(&nobody, "pay").await.status(), 404);
    assert_eq!(house.http.get(&nobody).send().await.expect("an answer").status(), 404);
    assert_eq!(house.ledger().await[0].charged_minor, 0);
    house.end().await;
}

#[tokio::test]
async fn a_decline_keeps_the_hold_unless_the_show_releases() {
    let house = House::working(Plan::default()).await;
    for (release, status) in [(false, BookingStatus::Held), (true, BookingStatus::Cancelled)] {
        let mut request = hall(2, 4);
        request["releaseOnDecline"] = release.into();
        let show = house.world.show(request).await;
        for (seat, button, ended) in
            [("A-1", "decline", PaymentStatus::Failed), ("A-2", "cancel", PaymentStatus::Cancelled)]
        {
            let booking = house.place(Order::of(show.id, "lan@example.com", seat).seats(&[seat])).await;
            let (payment_id, page) = house.pay(&booking, seat).await;
            assert_eq!(house.press(&page, button).await.status(), 303);
            let after = house.payment_status(booking.id, payment_id, ended).await;
            assert_eq!(after.status, status, "{button}");
            if !release {
                let (second, page) = house.pay(&booking, &format!("{seat} again")).await;
                assert_ne!(second, payment_id);
                house.press(&page, "pay").await;
                house.status(booking.id, BookingStatus::Confirmed).await;
            }
            house.check_money(booking.id).await;
        }
    }
    house.end().await;
}

#[tokio::test]
async fn a_late_payment_brings_the_booking_back_or_goes_back_itself() {
    let house = House::working(Plan::default()).await;
    let show = house.world.show(hall_with(2, 4, 60)).await;
    let lucky = house.place(Order::of(show.id, "lan@example.com", "1").seats(&["A-1"])).await;
    let unlucky = house.place(Order::of(show.id, "minh@example.com", "2").seats(&["A-2"])).await;
    let mut payments = Vec::new();
    for booking in [&lucky, &unlucky] {
        let (payment_id, page) = house.pay(booking, "p").await;
        assert_eq!(house.press(&page, "pay-late").await.status(), 303);
        payments.push(payment_id);
    }
    house.advance(61);
    house
        .soon("the hold's end", async || {
            (house.purchase(unlucky.id).await.status == BookingStatus::Expired).then_some(())
        })
        .await;
    assert_eq!(house.ledger().await.iter().map(|entry| entry.charged_minor).sum::<i64>(), 0, "not before it is late");
    let other = house.place(Order::of(show.id, "hoa@example.com", "3").seats(&["A-2"])).await;

    let reinstated = house.status(lucky.id, BookingStatus::Confirmed).await;
    assert_eq!(reinstated.tickets.len(), 1);
    let refunded = house.payment_status(unlucky.id, payments[1], PaymentStatus::Refunded).await;
    assert_eq!(refunded.status, BookingStatus::Expired);
    assert_eq!((house.count("BookingReinstated").await, house.count("RefundSucceeded").await), (1, 1));
    for booking in [&lucky, &unlucky, &other] {
        house.check_money(booking.id).await;
    }
    house.world.check_conservation(show.id).await;
    house.end().await;
}

#[tokio::test]
async fn a_lost_webhook_is_made_up_for_by_the_reconciler() {
    let house = House::working(Plan { lose_webhooks: true, ..Plan::default() }).await;
    let show = house.world.show(hall_with(2, 4, 60)).await;
    let endings = [
        ("A-1", "pay", BookingStatus::Confirmed, PaymentStatus::Succeeded),
        ("A-2", "decline", BookingStatus::Expired, PaymentStatus::Failed),
        ("A-3", "cancel", BookingStatus::Expired, PaymentStatus::Cancelled),
        ("A-4", "", BookingStatus::Expired, PaymentStatus::Expired),
    ];
    let mut begun = Vec::new();
    for (seat, button, status, payment_status) in endings {
        let booking = house.place(Order::of(show.id, "lan@example.com", seat).seats(&[seat])).await;
        let (payment_id, page) = house.pay(&booking, seat).await;
        if !button.is_empty() {
            assert_eq!(house.press(&page, button).await.status(), 303);
        }
        begun.push((booking.id, payment_id, status, payment_status));
    }
    for (booking, payment, status, payment_status) in begun {
        let purchase = house.payment_status(booking, payment, payment_status).await;
        assert_eq!(purchase.status, status, "{payment_status:?}");
        house.check_money(booking).await;
    }
    assert!(house.inbox_rows().await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_page_is_closed_when_nobody_paid_in_time() {
    let house = House::working(Plan::default()).await;
    let show = house.world.show(hall_with(2, 4, 60)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    house.payment_status(booking.id, payment_id, PaymentStatus::Expired).await;
    let late = house.press(&page, "pay").await;
    assert_eq!(late.status(), 409, "the gateway was told that the time is over");
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Expired);
    house.check_money(booking.id).await;
    house.end().await;
}

#[tokio::test]
async fn ten_at_once_under_one_key_get_one_page_and_the_gateway_one_payment() {
    let house = std::sync::Arc::new(House::working(Plan::default()).await);
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let asked = (0..10).map(|_| {
        let (house, booking) = (house.clone(), booking.clone());
        tokio::spawn(async move { house.pay(&booking, "p").await })
    });
    let mut answers = std::collections::BTreeSet::new();
    for answer in futures::future::join_all(asked).await {
        answers.insert(answer.expect("no panic"));
    }
    assert_eq!(answers.len(), 1);
    assert_eq!(house.ledger().await.len(), 1);
    assert_eq!(house.count("PaymentPending").await, 1);
}

#[tokio::test]
async fn an_attempt_given_up_for_another_is_called_off_at_its_gateway() {
    let house = House::working(Plan { second_method: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (first, page) = house.pay(&booking, "p").await;
    let second = house.try_pay(&booking, PaymentMethod::Stripe, "q").await.expect("another method");
    house.payment_status(booking.id, first, PaymentStatus::Cancelled).await;
    let called_off = async || house.ledger().await.iter().any(|entry| entry.state == State::Cancelled).then_some(());
    house.soon("the page is closed", called_off).await;
    assert_eq!(house.press(&page, "pay").await.status(), 409);
    let attempt = second.booking.purchase.payment(second.payment_id).expect("the attempt").clone();
    house.press(&attempt.redirect_url.expect("its page"), "pay").await;
    house.status(booking.id, BookingStatus::Confirmed).await;
    house.check_money(booking.id).await;
    house.end().await;
}

#[tokio::test]
async fn who_pays_twice_gets_one_of_them_back() {
    // Without workers first, so that the first attempt's page stays open while the second is made.
    let mut house = House::new(Plan { second_method: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (_, first) = house.pay(&booking, "p").await;
    let second = house.try_pay(&booking, PaymentMethod::Stripe, "q").await.expect("another method");
    let attempt = second.booking.purchase.payment(second.payment_id).expect("the attempt").clone();
    assert_eq!(house.press(&first, "pay").await.status(), 303);
    assert_eq!(house.press(&attempt.redirect_url.expect("its page"), "pay").await.status(), 303);
    house.work();
    house.status(booking.id, BookingStatus::Confirmed).await;
    house
        .until("the second payment goes back", async || {
            (house.ledger().await.iter().map(|entry| entry.returned_minor).sum::<i64>() == 900_000).then_some(())
        })
        .await;
    house.until("it is recorded", async || (house.count("RefundSucceeded").await == 1).then_some(())).await;
    assert_eq!(house.count("BookingConfirmed").await, 1);
    house.check_money(booking.id).await;
    house.end().await;
}

#[tokio::test]
async fn a_buyer_who_cancels_while_he_pays_gets_his_money_back() {
    let house = House::working(Plan::default()).await;
    let show = house.world.show(hall_with(2, 4, 60)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    // On its way, so that the gateway cannot be told to stop.
    house.press(&page, "pay-late").await;
    house.world.cancel(booking.id, booking.access_token.clone(), "c").await.expect("it can be cancelled");
    let purchase = house.payment_status(booking.id, payment_id, PaymentStatus::Refunded).await;
    assert_ne!(purchase.status, BookingStatus::Confirmed);
    house.check_money(booking.id).await;
    house.end().await;
}
