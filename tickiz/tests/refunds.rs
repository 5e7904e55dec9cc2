//! Part of a booking goes back through the program, and the booking goes on: the gate, the gates without a network, the seller's report,
//! the next buyer and `verify` all know of it.

mod support;

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{Database, ORGANIZER_TOKEN, PATIENCE, Start, Tickiz, buyer, code, data, general_admission};
use uuid::Uuid;

const GATE_TOKEN: &str = "a-token-of-the-gates-0123456789";
const REFUND: &str = "mutation($input: RefundBookingInput!) { refundBooking(input: $input) { \
    status total { amount } tickets { id refunded code } } }";

async fn place(tickiz: &Tickiz, show: &Value, quantity: u32, who: &str) -> Value {
    let tickets = json!([{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": quantity}]);
    let input = json!({"eventId": show["id"], "tickets": tickets, "buyer": buyer(who), "idempotencyKey": who});
    tickiz.place(input).await
}

async fn refund(tickiz: &Tickiz, booking: &Value, what: Value, key: &str) -> Value {
    let mut input = what;
    input["bookingId"] = booking["id"].clone();
    input["idempotencyKey"] = json!(key);
    tickiz.send(Some(ORGANIZER_TOKEN), REFUND, json!({"input": input})).await
}

async fn check_in(tickiz: &Tickiz, show: &Value, code: &Value) -> Value {
    let query = "mutation($input: CheckInInput!) { checkIn(input: $input) { outcome } }";
    let input = json!({"eventId": show["id"], "code": code, "gate": "North", "scanId": Uuid::new_v4()});
    tickiz.organize(query, json!({"input": input})).await["checkIn"]["outcome"].clone()
}

/// Waits until so many refunds are done; the log as it is then.
async fn refunded(tickiz: &Tickiz, wanted: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let log = tickiz.log().await;
        if log.iter().filter(|entry| entry["type"] == "RefundSucceeded").count() == wanted {
            return log;
        }
        assert!(begun.elapsed() < PATIENCE, "{wanted} refunds are not done");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_part_goes_back(start: Start<'_>) {
    let tickiz = Tickiz::start(start).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 3)).await;
    let booking = data(place(&tickiz, &show, 3, "Lan").await)["placeBooking"].clone();
    let ticket = booking["tickets"][0]["id"].clone();
    let early = refund(&tickiz, &booking, json!({"ticketIds": [ticket]}), "early").await;
    assert_eq!(code(&early), "CONFLICT", "nothing is paid yet: {early}");
    tickiz.pay(&booking, "p", "pay").await;
    let paid = tickiz.wait_for_status(&booking, "CONFIRMED").await;
    assert_eq!(code(&place(&tickiz, &show, 1, "Minh").await), "SOLD_OUT");

    // One ticket, twice under one key.
    for _ in 0..2 {
        let answer = data(
            refund(&tickiz, &booking, json!({"ticketIds": [ticket], "reason": "asked on the phone"}), "one").await,
        );
        let after = &answer["refundBooking"];
        assert_eq!(after["status"], "CONFIRMED");
        let gone: Vec<bool> = (0..3).map(|at| after["tickets"][at]["refunded"] == true).collect();
        assert_eq!(gone, [true, false, false], "{after}");
        assert_eq!((&after["tickets"][0]["code"], after["tickets"][1]["code"].is_string()), (&Value::Null, true));
    }
    // A sum, and what is wrong.
    let sum = |amount: &str, currency: &str| json!({"amount": {"amount": amount, "currency": currency}});
    assert_eq!(
        data(refund(&tickiz, &booking, sum("150000", "VND"), "sum").await)["refundBooking"]["status"],
        "CONFIRMED"
    );
    for (what, key, expected) in [
        (sum("250001", "VND"), "too much", "CONFLICT"),
        (sum("1.00", "USD"), "dollars", "INVALID_INPUT"),
        (sum("0", "VND"), "nothing", "INVALID_INPUT"),
        (json!({}), "what", "INVALID_INPUT"),
        (json!({"ticketIds": [ticket]}), "again", "CONFLICT"),
        (json!({"ticketIds": [Uuid::new_v4()]}), "unknown", "NOT_FOUND"),
        (sum("150001", "VND"), "sum", "IDEMPOTENCY_KEY_REUSED"),
    ] {
        let answer = refund(&tickiz, &booking, what.clone(), key).await;
        assert_eq!(code(&answer), expected, "{what}: {answer}");
    }
    let input = json!({"input": {"bookingId": booking["id"], "ticketIds": [ticket], "idempotencyKey": "x"}});
    assert_eq!(code(&tickiz.send(None, REFUND, input).await), "UNAUTHENTICATED");
    let log = refunded(&tickiz, 2).await;

    // Its place is the next one's.
    let next = data(place(&tickiz, &show, 1, "Hoa").await)["placeBooking"].clone();
    tickiz.pay(&next, "p", "pay").await;
    tickiz.wait_for_status(&next, "CONFIRMED").await;
    assert_eq!(code(&place(&tickiz, &show, 1, "Nam").await), "SOLD_OUT");

    // At the gate, and in what gates without a network know.
    let codes: Vec<&Value> = (0..3).map(|at| &paid["tickets"][at]["code"]).collect();
    assert_eq!(check_in(&tickiz, &show, codes[0]).await, "REVOKED");
    assert_eq!(check_in(&tickiz, &show, codes[1]).await, "ADMITTED");
    let used = refund(&tickiz, &booking, json!({"ticketIds": [paid["tickets"][1]["id"]]}), "used").await;
    assert_eq!(code(&used), "CONFLICT", "somebody came in with it: {used}");
    let url = format!("{}/gate/v1/events/{}/bundle", tickiz.url, show["id"].as_str().expect("an id"));
    let signed: Value =
        tickiz.http.get(url).bearer_auth(GATE_TOKEN).send().await.expect("it answers").json().await.expect("JSON");
    let payload = STANDARD.decode(signed["payload"].as_str().expect("a payload")).expect("Base64");
    let bundle: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(bundle["revoked"].as_array().map(Vec::len), Some(1), "{bundle}");

    // What the seller reads.
    let query = "query($id: ID!, $position: Position) { salesReport(filter: {eventId: $id}, groupBy: [SHOW], \
                 minPosition: $position) { rows { tickets { sold valid returned } received { amount } refunded { amount } } } }";
    let last = tickiz.log().await.last().expect("a position")["position"].clone();
    let report = tickiz.organize(query, json!({"id": show["id"], "position": last})).await;
    let row = &report["salesReport"]["rows"][0];
    assert_eq!(row["tickets"], json!({"sold": 4, "valid": 3, "returned": 1}), "{report}");
    assert_eq!(
        (&row["received"]["amount"], &row["refunded"]["amount"]),
        (&json!("800000"), &json!("350000")),
        "{report}"
    );

    // The log names no person, and the reason is sealed.
    let revoked = log.iter().find(|entry| entry["type"] == "TicketsRevoked").expect("it is recorded");
    assert!(!revoked.to_string().contains("phone"), "{revoked}");

    // The rest goes back with the booking, and never more than came.
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
    tickiz.organize(cancel, json!({"input": {"bookingId": booking["id"], "idempotencyKey": "c"}})).await;
    let log = refunded(&tickiz, 3).await;
    let back: i64 = log
        .iter()
        .filter(|entry| entry["type"] == "RefundRequested")
        .map(|entry| {
            entry["data"]["amount"]["amount"].as_str().and_then(|text| text.parse::<i64>().ok()).expect("an amount")
        })
        .sum();
    assert_eq!(back, 600_000, "what he paid for three tickets");
    tickiz.wait_for_status(&booking, "REFUNDED").await;
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_booking_goes_back_and_everybody_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = vec![("TICKIZ_GATE_TOKEN", GATE_TOKEN)];
    a_part_goes_back(Start { data_dir: Some(folder.path()), environment, ..Start::default() }).await;
    let (exit, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(exit, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_goes_back_on_mysql_too() {
    let Some(database) = Database::create("TICKIZ_TEST_MYSQL_URL").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let environment = vec![("TICKIZ_GATE_TOKEN", GATE_TOKEN)];
    let (data_dir, mysql_url) = (Some(folder.path()), Some(database.url.as_str()));
    a_part_goes_back(Start { data_dir, mysql_url, environment, ..Start::default() }).await;
    let (exit, report) = Tickiz::verify(folder.path(), Some(&database.url)).await;
    assert_eq!(exit, 0, "{report}");
    database.drop_it().await;
}
