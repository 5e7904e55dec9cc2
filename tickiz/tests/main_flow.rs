//! The main flow from outside, over the real program: create, publish, place, pay, get a ticket; and every way it ends.

mod support;

use serde_json::{Value, json};
use support::{Start, Tickiz, buyer, code, data, general_admission, seated};

async fn start(folder: &tempfile::TempDir) -> Tickiz {
    Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await
}

async fn assert_promises_kept(tickiz: Tickiz, folder: &tempfile::TempDir) {
    assert!(tickiz.stop().await.success(), "it drains and exits 0");
    let (exit, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(exit, 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_booking_has_tickets_with_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let show = tickiz.publish(seated("Concert", 4, 10)).await;
    let placed = tickiz
        .place(json!({"eventId": show["id"], "seats": [{"seatId": "2-3"}, {"seatId": "2-4"}], "buyer": buyer("lan"), "idempotencyKey": "k1"}))
        .await;
    let booking = data(placed)["placeBooking"].clone();
    assert_eq!(booking["status"], "HELD");
    assert_eq!(booking["total"], json!({"amount": "200000", "currency": "VND"}));
    assert!(booking["tickets"][0]["code"].is_null(), "no code before it is paid");

    tickiz.pay(&booking, "p1", "pay").await;
    let paid = tickiz.wait_for_status(&booking, "CONFIRMED").await;
    check_documents(&tickiz, &booking).await;
    for ticket in paid["tickets"].as_array().expect("tickets is a list") {
        let code = ticket["code"].as_str().expect("a confirmed booking has codes");
        assert_eq!(code.len(), 149, "TKZ1 has 149 characters: {code}");
        assert!(ticket["qr"].as_str().expect("and QR images").contains("<svg"));
    }
    assert_eq!(paid["payments"][0]["status"], "SUCCEEDED");
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_seat_is_refused_and_a_cancelled_one_is_free_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let show = tickiz.publish(seated("Concert", 2, 5)).await;
    let input = |who: &str, key: &str| json!({"eventId": show["id"], "seats": [{"seatId": "1-1"}], "buyer": buyer(who), "idempotencyKey": key});
    let first = data(tickiz.place(input("lan", "k1")).await)["placeBooking"].clone();
    let second = tickiz.place(input("minh", "k2")).await;
    assert_eq!(code(&second), "SEAT_TAKEN");
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
    let cancelled = tickiz
        .ask(
            cancel,
            json!({"input": {"bookingId": first["id"], "accessToken": first["accessToken"], "idempotencyKey": "c1"}}),
        )
        .await;
    assert_eq!(cancelled["cancelBooking"]["status"], "CANCELLED");
    assert_eq!(data(tickiz.place(input("minh", "k3")).await)["placeBooking"]["status"], "HELD");
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_is_answered_not_redone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let show = tickiz.publish(general_admission("Match", "50.00", "USD", 100)).await;
    let kind = show["ticketTypes"][0]["id"].clone();
    let input = |quantity: i64| json!({"eventId": show["id"], "tickets": [{"ticketTypeId": kind, "quantity": quantity}], "buyer": buyer("lan"), "idempotencyKey": "k1"});
    let answers = futures::future::join_all((0..10).map(|_| tickiz.place(input(2)))).await;
    let bookings: Vec<_> = answers.into_iter().map(|answer| data(answer)["placeBooking"].clone()).collect();
    assert!(bookings.iter().all(|b| b["id"] == bookings[0]["id"] && b["accessToken"] == bookings[0]["accessToken"]));
    assert!(bookings[0]["accessToken"].is_string());
    assert_eq!(code(&tickiz.place(input(3)).await), "IDEMPOTENCY_KEY_REUSED");
    let placed = tickiz.log().await.iter().filter(|entry| entry["type"] == "BookingPlaced").count();
    assert_eq!(placed, 1);
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_not_paid_ends_by_a_recorded_event_and_late_money_is_never_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let mut input = seated("Concert", 1, 4);
    input["holdSeconds"] = json!(2);
    let show = tickiz.publish(input).await;
    let place = |seat: &str, who: &str| json!({"eventId": show["id"], "seats": [{"seatId": seat}], "buyer": buyer(who), "idempotencyKey": format!("{seat}-{who}")});

    // Both pay five seconds after their holds ran out; the second one's seat is sold to somebody else by then.
    let lucky = data(tickiz.place(place("1-1", "lan")).await)["placeBooking"].clone();
    let late = data(tickiz.place(place("1-2", "minh")).await)["placeBooking"].clone();
    tickiz.pay(&lucky, "p1", "pay-late").await;
    tickiz.pay(&late, "p2", "pay-late").await;
    tickiz.wait_for_status(&late, "EXPIRED").await;
    let mut taken = tickiz.place(place("1-2", "hoa")).await;
    while taken.get("errors").is_some() {
        assert_eq!(code(&taken), "SEAT_TAKEN");
        taken = tickiz.place(place("1-2", "hoa")).await;
    }
    let taken = data(taken)["placeBooking"].clone();
    tickiz.pay(&taken, "p3", "pay").await;
    tickiz.wait_for_status(&taken, "CONFIRMED").await;

    let reinstated = tickiz.wait_for_status(&lucky, "CONFIRMED").await;
    assert!(reinstated["tickets"][0]["code"].is_string());
    let begun = std::time::Instant::now();
    loop {
        let now = tickiz.booking(&late).await;
        if now["payments"][0]["status"] == "REFUNDED" {
            assert_eq!(now["status"], "EXPIRED");
            break;
        }
        assert!(begun.elapsed() < support::PATIENCE, "the late payment is refunded: {now:#}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let kinds: Vec<_> =
        tickiz.log().await.iter().map(|entry| entry["type"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(kinds.iter().any(|kind| kind == "BookingReinstated"), "{kinds:?}");
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_keeps_the_hold_unless_the_show_releases() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    for (release, status) in [(false, "HELD"), (true, "CANCELLED")] {
        let mut input = general_admission("Match", "10.00", "USD", 10);
        input["releaseOnDecline"] = json!(release);
        let show = tickiz.publish(input).await;
        let placed = tickiz
            .place(json!({"eventId": show["id"], "tickets": [{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": 1}], "buyer": buyer("lan"), "idempotencyKey": "k"}))
            .await;
        let booking = data(placed)["placeBooking"].clone();
        tickiz.pay(&booking, "p", "decline").await;
        let begun = std::time::Instant::now();
        let after = loop {
            let now = tickiz.booking(&booking).await;
            if now["payments"][0]["status"] == "FAILED" {
                break now;
            }
            assert!(begun.elapsed() < support::PATIENCE, "{now:#}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!(after["status"], status);
        if !release {
            tickiz.pay(&booking, "p-again", "pay").await;
            tickiz.wait_for_status(&booking, "CONFIRMED").await;
        }
    }
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_of_nothing_is_confirmed_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let show = tickiz.publish(general_admission("Open day", "0", "VND", 10)).await;
    let placed = tickiz
        .place(json!({"eventId": show["id"], "tickets": [{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": 2}], "buyer": buyer("lan"), "idempotencyKey": "k"}))
        .await;
    let booking = data(placed)["placeBooking"].clone();
    assert_eq!(booking["status"], "CONFIRMED");
    assert_eq!(booking["payments"], json!([]));
    assert!(booking["tickets"][1]["code"].is_string());
    assert_promises_kept(tickiz, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_show_ends_every_booking_and_gives_the_money_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = start(&folder).await;
    let show = tickiz.publish(seated("Concert", 2, 5)).await;
    let place = |seat: &str| json!({"eventId": show["id"], "seats": [{"seatId": seat}], "buyer": buyer("lan"), "idempotencyKey": seat});
    let paid = data(tickiz.place(place("1-1")).await)["placeBooking"].clone();
    let held = data(tickiz.place(place("1-2")).await)["placeBooking"].clone();
    tickiz.pay(&paid, "p", "pay").await;
    tickiz.wait_for_status(&paid, "CONFIRMED").await;
    let cancelled = tickiz
        .organize(
            "mutation($id: ID!) { cancelEvent(id: $id, reason: \"flood\") { status } }",
            json!({"id": show["id"]}),
        )
        .await;
    assert_eq!(cancelled["cancelEvent"]["status"], "CANCELLED");
    assert_eq!(code(&tickiz.place(place("1-3")).await), "CONFLICT");
    tickiz.wait_for_status(&held, "CANCELLED").await;
    let refunded = tickiz.wait_for_status(&paid, "REFUNDED").await;
    assert_eq!(refunded["payments"][0]["status"], "REFUNDED");
    assert!(refunded["tickets"][0]["code"].is_null());
    assert_promises_kept(tickiz, &folder).await;
}

/// The tickets by link: for whoever has the token, and nobody else.
async fn check_documents(tickiz: &Tickiz, booking: &Value) {
    let (id, token) = (booking["id"].as_str().expect("an id"), booking["accessToken"].as_str().expect("a token"));
    let get =
        async |path: &str| tickiz.http.get(format!("{}/tickets/{path}", tickiz.url)).send().await.expect("it answers");
    let page = get(&format!("{id}?token={token}")).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(
        (&page.headers()["cache-control"], &page.headers()["referrer-policy"]),
        (&"no-store".parse().expect("a value"), &"no-referrer".parse().expect("a value"))
    );
    let html = page.text().await.expect("text");
    assert!(html.contains("<svg") && html.contains("TKZ1:") && !html.contains("<script"), "{html}");
    let pdf = get(&format!("{id}/tickets.pdf?token={token}")).await;
    assert_eq!(pdf.headers()["content-type"], "application/pdf");
    assert!(pdf.bytes().await.expect("bytes").starts_with(b"%PDF-"));
    let calendar = get(&format!("{id}/event.ics?token={token}")).await.text().await.expect("text");
    assert!(calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.contains("DTSTART:"), "{calendar}");
    for stranger in
        [id.to_owned(), format!("{id}?token=wrong"), format!("{id}/tickets.pdf?token=wrong"), "x?token=y".to_owned()]
    {
        assert_eq!(get(&stranger).await.status(), 404, "{stranger}");
    }
}
