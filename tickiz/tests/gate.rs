//! Tickets at the gate, through the program: nobody comes in twice, and whoever is not let in is told why.

mod support;

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use support::{AUDITOR_TOKEN, Database, ORGANIZER_TOKEN, Start, Tickiz, buyer, code, data, general_admission};
use uuid::Uuid;

const CHECK_IN: &str = "mutation($input: CheckInInput!) { checkIn(input: $input) { \
    scanId outcome ticket { ticketType seatLabel } admission { at gate } } }";
const MERGE: &str = "mutation($input: MergeScansInput!) { mergeScans(input: $input) { \
    scanId outcome admission { gate } } }";

/// A confirmed booking of that many places of a show, with its tickets.
async fn confirmed(tickiz: &Tickiz, show: &Value, quantity: u32, key: &str) -> (Value, Value) {
    let placed = tickiz
        .place(json!({
            "eventId": show["id"], "tickets": [{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": quantity}],
            "buyer": buyer(key), "idempotencyKey": key,
        }))
        .await;
    let booking = data(placed)["placeBooking"].clone();
    tickiz.pay(&booking, "p", "pay").await;
    let paid = tickiz.wait_for_status(&booking, "CONFIRMED").await;
    (booking, paid)
}

fn scan(show: &Value, code: &Value, gate: &str, scan_id: Uuid) -> Value {
    json!({"input": {"eventId": show["id"], "code": code, "gate": gate, "scanId": scan_id}})
}

async fn check_in(tickiz: &Tickiz, show: &Value, code: &Value, gate: &str) -> Value {
    tickiz.organize(CHECK_IN, scan(show, code, gate, Uuid::new_v4())).await["checkIn"].clone()
}

async fn gates_agree(start: Start<'_>) {
    let tickiz = Tickiz::start(start).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let other = tickiz.publish(general_admission("Another", "200000", "VND", 100)).await;
    let (booking, paid) = confirmed(&tickiz, &show, 3, "k").await;
    let codes: Vec<Value> = (0..3).map(|at| paid["tickets"][at]["code"].clone()).collect();

    // Sixty gates read one code in the same moment.
    let scans: Vec<Value> = stream::iter(0..60)
        .map(|gate| {
            let (tickiz, show, code) = (&tickiz, &show, &codes[0]);
            async move { check_in(tickiz, show, code, &format!("gate {gate}")).await }
        })
        .buffer_unordered(60)
        .collect()
        .await;
    let mut outcomes = BTreeMap::new();
    for scan in &scans {
        *outcomes.entry(scan["outcome"].as_str().expect("an outcome")).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([("ADMITTED", 1), ("ALREADY_USED", 59)]));
    let admitted = scans.iter().find(|scan| scan["outcome"] == "ADMITTED").expect("one");
    assert!(scans.iter().all(|scan| scan["admission"] == admitted["admission"]), "all are told when and where");
    assert_eq!(admitted["ticket"]["ticketType"], show["ticketTypes"][0]["name"]);

    // A scan that is sent again is answered as before.
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let again = tickiz.organize(CHECK_IN, scan(&show, &codes[1], "North", id)).await;
        assert_eq!(again["checkIn"]["outcome"], "ADMITTED");
    }

    // What is not let in, and why.
    let code_of = |at: usize| codes[at].as_str().expect("a code").to_owned();
    let mut forged = code_of(2);
    let middle = if &forged[100..101] == "A" { "B" } else { "A" };
    forged.replace_range(100..101, middle);
    for (at, given, outcome) in [
        (&other, codes[2].clone(), "WRONG_EVENT"),
        (&show, json!(forged), "FORGED"),
        (&show, json!("https://example.com/menu"), "NOT_A_TICKET"),
        (&show, json!(code_of(2).to_lowercase()), "NOT_A_TICKET"),
        (&show, json!(""), "NOT_A_TICKET"),
    ] {
        let scan = check_in(&tickiz, at, &given, "North").await;
        assert_eq!((scan["outcome"].as_str(), &scan["admission"]), (Some(outcome), &Value::Null), "{given}");
    }

    // Two gates without a network: both let the third in, and a second gate somebody who was in already.
    let merge = async |gate: &str, scans: Value| {
        let input = json!({"input": {"eventId": show["id"], "gate": gate, "scans": scans}});
        tickiz.organize(MERGE, input).await["mergeScans"].clone()
    };
    let now = || chrono::Utc::now().to_rfc3339();
    let at_now = |code: &Value, id: Uuid| json!({"scanId": id, "code": code, "scannedAt": now()});
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let east = merge("East", json!([at_now(&codes[2], first), at_now(&codes[1], second)])).await;
    assert_eq!((&east[0]["outcome"], &east[1]["outcome"]), (&json!("ADMITTED"), &json!("ALREADY_USED")), "{east}");
    assert_eq!(east[1]["admission"]["gate"], "North");
    let west = merge("West", json!([at_now(&codes[2], Uuid::new_v4())])).await;
    assert_eq!((&west[0]["outcome"], &west[0]["admission"]["gate"]), (&json!("ALREADY_USED"), &json!("East")));
    assert_eq!(merge("East", json!([at_now(&codes[2], first), at_now(&codes[1], second)])).await, east, "sent again");

    // Given back: nobody comes in any more.
    let (booking_back, paid_back) = confirmed(&tickiz, &show, 1, "back").await;
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
    let input = json!({"input": {"bookingId": booking_back["id"], "accessToken": booking_back["accessToken"], "idempotencyKey": "c"}});
    tickiz.ask(cancel, input).await;
    assert_eq!(check_in(&tickiz, &show, &paid_back["tickets"][0]["code"], "North").await["outcome"], "REVOKED");

    // Who may not.
    for (token, expected) in [(None, "UNAUTHENTICATED"), (Some(AUDITOR_TOKEN), "FORBIDDEN")] {
        let answer = tickiz.send(token, CHECK_IN, scan(&show, &codes[2], "x", Uuid::new_v4())).await;
        assert_eq!(code(&answer), expected);
    }
    let unknown =
        json!({"input": {"eventId": Uuid::new_v4(), "code": codes[2], "gate": "x", "scanId": Uuid::new_v4()}});
    assert_eq!(code(&tickiz.send(Some(ORGANIZER_TOKEN), CHECK_IN, unknown).await), "NOT_FOUND");
    for wrong in [
        json!({"eventId": show["id"], "code": "x", "gate": "", "scanId": Uuid::new_v4()}),
        json!({"eventId": show["id"], "code": "x", "gate": "North", "scanId": "1"}),
        json!({"eventId": show["id"], "code": "x".repeat(513), "gate": "North", "scanId": Uuid::new_v4()}),
    ] {
        let answer = tickiz.send(Some(ORGANIZER_TOKEN), CHECK_IN, json!({"input": wrong})).await;
        assert_eq!(code(&answer), "INVALID_INPUT", "{answer}");
    }

    let admitted = tickiz.log().await.iter().filter(|entry| entry["type"] == "TicketAdmitted").count();
    assert_eq!(admitted, 3, "one for each ticket");
    assert_eq!(tickiz.booking(&booking).await["status"], "CONFIRMED");
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_twice_and_whoever_is_not_let_in_is_told_why() {
    let folder = tempfile::tempdir().expect("a folder");
    gates_agree(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_agree_on_mysql_too() {
    let Some(database) = Database::create("TICKIZ_TEST_MYSQL_URL").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    gates_agree(Start { data_dir: Some(folder.path()), mysql_url: Some(&database.url), ..Start::default() }).await;
    let (code, report) = Tickiz::verify(folder.path(), Some(&database.url)).await;
    assert_eq!(code, 0, "{report}");
    database.drop_it().await;
}
