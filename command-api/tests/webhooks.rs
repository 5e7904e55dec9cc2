//! Webhooks over real sockets: forged, replayed, oversized, foreign, early, twice and in parallel.

mod house;
mod world;

use std::sync::Arc;

use house::{House, Plan, SECRET, hall_with};
use serde_json::json;
use tickiz_command_api::gateways::{AttemptRef, sandbox::provider::courier::sign};
use tickiz_domain::booking::{BookingStatus, PaymentMethod, PaymentStatus};
use tickiz_event_log::runtime::Clock;
use uuid::Uuid;
use world::{Order, hall};

/// A message as the sandbox gateway writes it, about an attempt.
fn message(id: &str, reference: &str) -> Vec<u8> {
    json!({"id": id, "type": "payment.paid", "payment": {"id": "sbx_1", "reference": reference, "state": "PAID"}})
        .to_string()
        .into_bytes()
}

fn foreign() -> String {
    let id = Uuid::from_u128(0xF0);
    AttemptRef { booking_id: id.into(), payment_id: id.into() }.to_string()
}

/// Sends that many times 64 KiB without having said how much will come; the answer's first bytes.
async fn unannounced(house: &House, chunks: usize) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(house.address).await.expect("it listens");
    let head = "POST /webhooks/sandbox HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 1 << 16], b"\r\n"].concat();
    for _ in 0..chunks {
        // Cut off in the middle, which is what is wanted.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn a_forged_message_changes_nothing_and_does_not_block_the_true_one() {
    let house = House::working(Plan { lose_webhooks: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    let reference = AttemptRef { booking_id: booking.id, payment_id }.to_string();
    let body = message("evt_true", &reference);
    let url = format!("{}/webhooks/sandbox", house.url);
    let now = house.world.clock.now().timestamp();
    let forged = [
        None,
        Some(sign(b"another secret", now, &body)),
        Some(sign(SECRET, now, &message("evt_other", &reference))),
        Some(sign(SECRET, now - 301, &body)),
        Some(sign(SECRET, now + 302, &body)),
        Some("t=1,v1=".to_owned()),
        Some("garbage".to_owned()),
    ];
    for signature in forged {
        let mut request = house.http.post(&url).body(body.clone());
        if let Some(signature) = &signature {
            request = request.header("sandbox-signature", signature);
        }
        assert_eq!(request.send().await.expect("an answer").status(), 401, "{signature:?}");
    }
    assert!(house.inbox_rows().await.is_empty(), "nothing of a forged message is kept");
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Held);

    // A true one that says what is not so changes nothing either: the gateway is asked, and asked again, since it may say so
    // before its own books do.
    assert_eq!(house.signed(&body).send().await.expect("an answer").status(), 200);
    house.until("it is looked at again", async || (house.inbox_rows().await[0].2 > 1).then_some(())).await;
    assert_eq!(house.inbox_rows().await[0].1, "NEW");
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Held, "nobody has paid");

    // The message that came too early is enough.
    house.press(&page, "pay").await;
    house
        .until("it is confirmed", async || {
            (house.purchase(booking.id).await.status == BookingStatus::Confirmed).then_some(())
        })
        .await;
    house.check_money(booking.id).await;
    house.end().await;
}

#[tokio::test]
async fn what_is_too_long_unknown_or_not_understood_is_refused() {
    let house = House::working(Plan::default()).await;
    let at_limit = vec![b' '; 1 << 20];
    assert_eq!(house.signed(&at_limit).send().await.expect("an answer").status(), 400, "well signed, not understood");
    let over = vec![b' '; (1 << 20) + 1];
    assert_eq!(house.signed(&over).send().await.expect("an answer").status(), 413);
    assert!(unannounced(&house, 20).await.starts_with("HTTP/1.1 413"));
    let url = format!("{}/webhooks/sandbox", house.url);
    for (gateway, status) in [("stripe", 404), ("SANDBOX", 404), ("", 404), ("sandbox%2f", 404)] {
        let answer = house.http.post(format!("{}/webhooks/{gateway}", house.url)).body("{}").send().await;
        assert_eq!(answer.expect("an answer").status(), status, "{gateway}");
    }
    assert_eq!(house.http.get(&url).send().await.expect("an answer").status(), 405);
    let reference = foreign();
    let no_reference = json!({"id": "evt", "payment": {}}).to_string().into_bytes();
    let odd: [Vec<u8>; 7] = [
        Vec::new(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        no_reference,
        message("", &reference),
        message("evt 1", &reference),
        message("evt", "not-a-reference"),
    ];
    for body in odd {
        assert_eq!(
            house.signed(&body).send().await.expect("an answer").status(),
            400,
            "{:?}",
            String::from_utf8_lossy(&body)
        );
    }
    assert!(house.inbox_rows().await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_foreign_message_is_taken_once_and_ignored() {
    let house = House::working(Plan::default()).await;
    let head = house.world.log.head().await.expect("the log answers");
    for _ in 0..3 {
        assert_eq!(house.signed(&message("evt_foreign", &foreign())).send().await.expect("an answer").status(), 200);
    }
    house.soon("it is ignored", async || (house.inbox_rows().await[0].1 == "IGNORED").then_some(())).await;
    assert_eq!(house.inbox_rows().await.len(), 1);
    assert_eq!(house.world.log.head().await.expect("the log answers"), head);
    house.end().await;
}

#[tokio::test]
async fn the_same_message_many_times_at_once_is_one_message() {
    let house = Arc::new(House::working(Plan { lose_webhooks: true, ..Plan::default() }).await);
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1", "A-2"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    house.press(&page, "pay").await;
    let body = message("evt_once", &AttemptRef { booking_id: booking.id, payment_id }.to_string());
    let sent = (0..30).map(|_| {
        let (house, body) = (house.clone(), body.clone());
        tokio::spawn(async move { house.signed(&body).send().await.expect("an answer").status() })
    });
    for status in futures::future::join_all(sent).await {
        assert_eq!(status.expect("no panic"), 200);
    }
    house.status(booking.id, BookingStatus::Confirmed).await;
    assert_eq!(house.signed(&body).send().await.expect("an answer").status(), 200, "answered as the first time");
    assert_eq!(house.inbox_rows().await.len(), 1);
    assert_eq!((house.count("PaymentSucceeded").await, house.count("BookingConfirmed").await), (1, 1));
    house.check_money(booking.id).await;
}

#[tokio::test]
async fn different_messages_about_one_payment_at_once_have_one_effect() {
    let house = Arc::new(House::working(Plan { lose_webhooks: true, ..Plan::default() }).await);
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    house.press(&page, "pay").await;
    let reference = AttemptRef { booking_id: booking.id, payment_id }.to_string();
    let sent = (0..30).map(|number| {
        let (house, body) = (house.clone(), message(&format!("evt_{number}"), &reference));
        tokio::spawn(async move { house.signed(&body).send().await.expect("an answer").status() })
    });
    for status in futures::future::join_all(sent).await {
        assert_eq!(status.expect("no panic"), 200);
    }
    house
        .until("all are applied", async || house.inbox_rows().await.iter().all(|row| row.1 == "APPLIED").then_some(()))
        .await;
    assert_eq!((house.count("PaymentSucceeded").await, house.count("BookingConfirmed").await), (1, 1));
    house.check_money(booking.id).await;
}

#[tokio::test]
async fn a_message_that_a_dead_process_had_stored_is_applied_by_another() {
    let mut house = House::new(Plan { lose_webhooks: true, ..Plan::default() }).await;
    let show = house.world.show(hall_with(2, 4, 600)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let (payment_id, page) = house.pay(&booking, "p").await;
    house.press(&page, "pay").await;
    // Stored and answered, and nobody works: the row stands under the dead one's lease.
    let body = message("evt_orphan", &AttemptRef { booking_id: booking.id, payment_id }.to_string());
    assert_eq!(house.signed(&body).send().await.expect("an answer").status(), 200);
    let rows = house.inbox_rows().await;
    assert_eq!(rows, [("evt_orphan".to_owned(), "NEW".to_owned(), 1)]);
    house.forget_waiting();
    house.work();
    house.payment_status(booking.id, payment_id, PaymentStatus::Succeeded).await;
    house.until("it is settled", async || (house.inbox_rows().await[0].1 == "APPLIED").then_some(())).await;
    assert!(house.inbox_rows().await[0].2 > 1);
    house.check_money(booking.id).await;
    house.end().await;
}

#[tokio::test]
async fn a_gateway_that_wants_the_decision_in_the_answer_gets_it() {
    // Without workers: nobody else works on the message.
    let house = House::new(Plan { lose_webhooks: true, second_method: true, ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let paid = house.try_pay(&booking, PaymentMethod::Stripe, "p").await.expect("it can be paid");
    let page = paid.booking.purchase.payment(paid.payment_id).and_then(|payment| payment.redirect_url.clone());
    house.press(&page.expect("its page"), "pay").await;
    let reference = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id }.to_string();
    let verdict = async |id: &str, reference: &str| {
        let answer = house.signed_to("stripe", &message(id, reference)).send().await.expect("an answer");
        answer.text().await.expect("a body")
    };
    assert_eq!(verdict("evt_1", &reference).await, r#"{"verdict":"Taken"}"#);
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Confirmed, "decided when it is answered");
    assert_eq!(verdict("evt_1", &reference).await, r#"{"verdict":"Seen"}"#);
    assert_eq!(verdict("evt_2", &foreign()).await, r#"{"verdict":"Foreign"}"#);
    house.check_money(booking.id).await;
    house.end().await;
}
