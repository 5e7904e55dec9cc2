//! Tickets at the gate, through the program: nobody comes in twice, and whoever is not let in is told why.

mod support;

use std::{collections::BTreeMap, path::Path, process::Stdio};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use support::{AUDITOR_TOKEN, Database, ORGANIZER_TOKEN, Start, Tickiz, buyer, code, command, data, general_admission};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

const GATE_TOKEN: &str = "a-token-of-the-gates-0123456789";
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

    // Its id is that scan's alone: under it no second ticket and no second gate is let in.
    for (ticket, gate) in [(2, "North"), (1, "South")] {
        let answer = tickiz.send(Some(ORGANIZER_TOKEN), CHECK_IN, scan(&show, &codes[ticket], gate, id)).await;
        assert_eq!(code(&answer), "IDEMPOTENCY_KEY_REUSED", "{answer}");
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

    // An id that is another scan's is said of that scan alone; the rest of its page is recorded.
    let third = Uuid::new_v4();
    let page = json!([at_now(&codes[1], first), at_now(&codes[0], third), at_now(&json!("menu"), Uuid::new_v4())]);
    let reused = merge("East", page.clone()).await;
    let told: Vec<_> = (0..3).map(|at| reused[at]["outcome"].as_str().expect("an outcome")).collect();
    assert_eq!(told, ["SCAN_ID_REUSED", "ALREADY_USED", "NOT_A_TICKET"], "{reused}");
    assert_eq!(reused[0]["scanId"], json!(first));
    assert_eq!(merge("South", json!([at_now(&codes[2], first)])).await[0]["outcome"], "SCAN_ID_REUSED", "another gate");
    assert_eq!(merge("East", page).await, reused, "sent again");

    // Given back: nobody comes in any more.
    let (booking_back, paid_back) = confirmed(&tickiz, &show, 1, "back").await;
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
    let input = json!({"input": {"bookingId": booking_back["id"], "accessToken": booking_back["accessToken"], "idempotencyKey": "c"}});
    tickiz.ask(cancel, input).await;
    assert_eq!(check_in(&tickiz, &show, &paid_back["tickets"][0]["code"], "North").await["outcome"], "REVOKED");

    // A show that will not be lets nobody in from that moment on, whatever has become of its bookings yet.
    let (_, lost) = confirmed(&tickiz, &other, 1, "lost").await;
    tickiz
        .organize(
            "mutation($id: ID!) { cancelEvent(id: $id, reason: \"flood\") { status } }",
            json!({"id": other["id"]}),
        )
        .await;
    assert_eq!(check_in(&tickiz, &other, &lost["tickets"][0]["code"], "North").await["outcome"], "REVOKED");

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

    let log = tickiz.log().await;
    let admitted = log.iter().filter(|entry| entry["type"] == "TicketAdmitted").count();
    assert_eq!(admitted, 3, "one for each ticket");

    // How it went, for the organiser and his gates; a gate's token does nothing else.
    let report = "query($id: ID!, $position: Position) { gateReport(eventId: $id, minPosition: $position) { admitted \
                  conflictCount conflicts { scanId outcome admission { gate } first { gate } } position } }";
    let variables = json!({"id": show["id"], "position": log.last().expect("a position")["position"]});
    for token in [ORGANIZER_TOKEN, GATE_TOKEN] {
        let answer = tickiz.send(Some(token), report, variables.clone()).await;
        let report = &answer["data"]["gateReport"];
        assert_eq!((&report["admitted"], &report["conflictCount"]), (&json!(3), &json!(3)), "{answer}");
        let conflicts = report["conflicts"].as_array().expect("a list");
        let east = conflicts.iter().find(|conflict| conflict["scanId"] == json!(second)).expect("it is told");
        assert_eq!(east["outcome"], "ALREADY_USED");
        assert_eq!((&east["admission"]["gate"], &east["first"]["gate"]), (&json!("East"), &json!("North")));
    }
    for (token, expected) in [(None, "UNAUTHENTICATED"), (Some(AUDITOR_TOKEN), "FORBIDDEN")] {
        assert_eq!(code(&tickiz.send(token, report, variables.clone()).await), expected);
    }
    let unknown = json!({"id": Uuid::new_v4()});
    assert_eq!(code(&tickiz.send(Some(GATE_TOKEN), report, unknown).await), "NOT_FOUND");
    let again = tickiz.send(Some(GATE_TOKEN), CHECK_IN, scan(&show, &codes[0], "North", Uuid::new_v4())).await;
    assert_eq!(again["data"]["checkIn"]["outcome"], "ALREADY_USED", "{again}");
    let cancel = "mutation($id: ID!) { cancelEvent(id: $id, reason: \"x\") { status } }";
    assert_eq!(code(&tickiz.send(Some(GATE_TOKEN), cancel, json!({"id": show["id"]})).await), "FORBIDDEN");
    assert_eq!(code(&tickiz.send(Some(GATE_TOKEN), "{ log { position } }", json!({})).await), "FORBIDDEN");
    assert_eq!(tickiz.booking(&booking).await["status"], "CONFIRMED");
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_twice_and_whoever_is_not_let_in_is_told_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = vec![("TICKIZ_GATE_TOKEN", GATE_TOKEN)];
    gates_agree(Start { data_dir: Some(folder.path()), environment, ..Start::default() }).await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_agree_on_mysql_too() {
    let Some(database) = Database::create("TICKIZ_TEST_MYSQL_URL").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let environment = vec![("TICKIZ_GATE_TOKEN", GATE_TOKEN)];
    let (data_dir, mysql_url) = (Some(folder.path()), Some(database.url.as_str()));
    gates_agree(Start { data_dir, mysql_url, environment, ..Start::default() }).await;
    let (code, report) = Tickiz::verify(folder.path(), Some(&database.url)).await;
    assert_eq!(code, 0, "{report}");
    database.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_booking_has_no_room_for_is_said_of_that_scan_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let (_, paid) = confirmed(&tickiz, &show, 1, "k").await;
    let (_, other) = confirmed(&tickiz, &show, 1, "other").await;
    let scan = |ticket: &Value| json!({"scanId": Uuid::new_v4(), "code": ticket["code"], "scannedAt": chrono::Utc::now().to_rfc3339()});
    let merge = async |scans: Vec<Value>| {
        let input = json!({"input": {"eventId": show["id"], "gate": "East", "scans": scans}});
        tickiz.organize(MERGE, input).await["mergeScans"].as_array().expect("a list").clone()
    };
    // As many as a booking keeps, by a scanner that somebody holds over one ticket all evening.
    let mut recorded = BTreeMap::new();
    for _ in 0..5 {
        for told in merge((0..200).map(|_| scan(&paid["tickets"][0])).collect()).await {
            *recorded.entry(told["outcome"].as_str().expect("an outcome").to_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(recorded, BTreeMap::from([("ADMITTED".to_owned(), 1), ("ALREADY_USED".to_owned(), 999)]));
    let before = tickiz.log().await.len();
    let told = merge(vec![scan(&paid["tickets"][0]), scan(&other["tickets"][0])]).await;
    assert_eq!((&told[0]["outcome"], &told[1]["outcome"]), (&json!("NOT_RECORDED"), &json!("ADMITTED")));
    assert_eq!(told[0]["admission"]["gate"], "East", "when and where somebody came in rightly");
    assert_eq!(tickiz.log().await.len(), before + 1, "the other one's alone");
    let online = tickiz
        .send(Some(ORGANIZER_TOKEN), CHECK_IN, self::scan(&show, &paid["tickets"][0]["code"], "West", Uuid::new_v4()))
        .await;
    assert_eq!(code(&online), "LIMIT_EXCEEDED", "nobody is let in that cannot be recorded: {online}");
    tickiz.stop().await;
}

const REISSUE: &str =
    "mutation($input: ReissueTicketsInput!) { reissueTickets(input: $input) { tickets { id code } } }";

fn asked(booking: &Value, token: Option<&Value>, tickets: Option<Value>, key: &str) -> Value {
    json!({"input": {"bookingId": booking["id"], "accessToken": token, "ticketIds": tickets, "idempotencyKey": key}})
}

/// The old code lets nobody in from the moment on that there is a new one, and the new one once.
async fn codes_are_replaced(start: Start<'_>) {
    let tickiz = Tickiz::start(start).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let (booking, paid) = confirmed(&tickiz, &show, 3, "k").await;
    let token = Some(&booking["accessToken"]);
    let old: Vec<Value> = (0..3).map(|at| paid["tickets"][at]["code"].clone()).collect();
    assert_eq!(check_in(&tickiz, &show, &old[0], "North").await["outcome"], "ADMITTED");

    // Twice under one key, once more by another: who is in stays in, the others have new codes.
    let anew = tickiz.ask(REISSUE, asked(&booking, token, None, "r1")).await["reissueTickets"]["tickets"].clone();
    assert_eq!(tickiz.ask(REISSUE, asked(&booking, token, None, "r1")).await["reissueTickets"]["tickets"], anew);
    assert_eq!(anew[0]["code"], old[0]);
    assert!(anew[1]["code"] != old[1] && anew[2]["code"] != old[2]);
    for (code, outcome) in [
        (&old[1], "SUPERSEDED"),
        (&anew[1]["code"], "ADMITTED"),
        (&anew[1]["code"], "ALREADY_USED"),
        (&old[0], "ALREADY_USED"),
    ] {
        assert_eq!(check_in(&tickiz, &show, code, "North").await["outcome"], outcome);
    }
    let one = json!([anew[2]["id"]]);
    let again = tickiz.organize(REISSUE, asked(&booking, None, Some(one.clone()), "o1")).await;
    assert_ne!(again["reissueTickets"]["tickets"][2]["code"], anew[2]["code"]);
    assert_eq!(check_in(&tickiz, &show, &anew[2]["code"], "North").await["outcome"], "SUPERSEDED");

    // Who may not, and what cannot be.
    let wrong = json!("x".repeat(43));
    for (bearer, input, expected) in [
        (None, asked(&booking, None, None, "n1"), "NOT_FOUND"),
        (None, asked(&booking, Some(&wrong), None, "n2"), "NOT_FOUND"),
        (Some(AUDITOR_TOKEN), asked(&booking, None, None, "n3"), "FORBIDDEN"),
        (None, asked(&booking, token, Some(json!([anew[0]["id"]])), "n4"), "CONFLICT"),
        (None, asked(&booking, token, Some(json!([Uuid::new_v4()])), "n5"), "NOT_FOUND"),
        (None, asked(&booking, token, Some(json!([])), "n6"), "INVALID_INPUT"),
        (None, asked(&booking, token, Some(one), "r1"), "IDEMPOTENCY_KEY_REUSED"),
    ] {
        let answer = tickiz.send(bearer, REISSUE, input).await;
        assert_eq!(code(&answer), expected, "{answer}");
    }

    // Two re-issues in one moment, by one key: one outcome, and both are told of it. By two keys: the code is replaced twice.
    let revisions = async || {
        let log = tickiz.log().await;
        log.iter().filter(|entry| entry["type"] == "TicketsReissued").count()
    };
    let (before, third) = (revisions().await, json!([anew[2]["id"]]));
    let same = || tickiz.send(None, REISSUE, asked(&booking, token, Some(third.clone()), "at once"));
    let (one_answer, other_answer) = tokio::join!(same(), same());
    assert_eq!(data(one_answer.clone()), data(other_answer), "one outcome");
    assert_eq!(revisions().await, before + 1);
    let keyed = |key| tickiz.send(None, REISSUE, asked(&booking, token, Some(third.clone()), key));
    let (first_answer, second_answer) = tokio::join!(keyed("at once, a"), keyed("at once, b"));
    assert_eq!(revisions().await, before + 3);
    let code_in = |answer: Value| data(answer)["reissueTickets"]["tickets"][2]["code"].clone();
    let codes = [code_in(one_answer), code_in(first_answer), code_in(second_answer)];
    assert!(
        codes[1] != codes[2] && codes[0] != codes[1] && codes[0] != codes[2],
        "each has the code that it made: {codes:?}"
    );
    let last = tickiz.booking(&booking).await["tickets"][2]["code"].clone();
    assert!(codes[1..].contains(&last), "{last}: {codes:?}");
    let replaced = codes.iter().filter(|code| **code != last);
    for code in replaced {
        assert_eq!(check_in(&tickiz, &show, code, "North").await["outcome"], "SUPERSEDED");
    }

    // A gate and a re-issue at once: the gate was first and nothing is issued anew, or the code was replaced and lets nobody in.
    let input = asked(&booking, token, Some(json!([anew[2]["id"]])), "race");
    let (scanned, reissued) = tokio::join!(check_in(&tickiz, &show, &last, "North"), tickiz.send(None, REISSUE, input));
    let is_replaced = reissued["data"]["reissueTickets"].is_object();
    let expected = if is_replaced { "SUPERSEDED" } else { "ADMITTED" };
    assert_eq!(scanned["outcome"], expected, "{reissued}");
    assert!(is_replaced || code(&reissued) == "CONFLICT", "{reissued}");
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_replaced_lets_nobody_in() {
    let folder = tempfile::tempdir().expect("a folder");
    codes_are_replaced(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_replaced_lets_nobody_in_on_mysql_either() {
    let Some(database) = Database::create("TICKIZ_TEST_MYSQL_URL").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    codes_are_replaced(Start { data_dir: Some(folder.path()), mysql_url: Some(&database.url), ..Start::default() })
        .await;
    database.drop_it().await;
}

/// `tickiz gate run` over these codes; its answers, and what it said beside.
async fn run_gate(folder: &Path, gate: &str, codes: &[&str]) -> (Vec<Value>, String) {
    let mut run = command();
    run.args(["gate", "run", "--json", "--gate", gate])
        .arg("--bundle")
        .arg(folder.join("bundle.json"))
        .arg("--journal")
        .arg(folder.join(format!("{gate}.journal")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // As scanners type: with blanks and line ends of their own, and now and then an empty line.
    let typed: String = codes.iter().map(|code| format!(" {code}\r\n\r\n")).collect();
    // It may have ended already, for want of a bundle that it believes.
    let _ = stdin.write_all(typed.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let answers = lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    (answers, String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn gate_command(tickiz: &Tickiz, arguments: &[&str]) -> (i32, String) {
    let mut gate = command();
    gate.arg("gate").args(arguments).args(["--api", &tickiz.url]).env("TICKIZ_ORGANIZER_TOKEN", ORGANIZER_TOKEN);
    let output = gate.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("it ends by itself"), said)
}

fn outcomes(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["outcome"].as_str().expect("an outcome")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_without_a_network_knows_what_its_bundle_knows_and_hands_in_afterwards_whom_it_let_in() {
    let (data_dir, door) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let tickiz = Tickiz::start(Start { data_dir: Some(data_dir.path()), ..Start::default() }).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let (_, paid) = confirmed(&tickiz, &show, 2, "k").await;
    let (booking, back) = confirmed(&tickiz, &show, 1, "back").await;
    let text = |value: &Value| value.as_str().expect("a code").to_owned();
    let (one, two, revoked) =
        (text(&paid["tickets"][0]["code"]), text(&paid["tickets"][1]["code"]), text(&back["tickets"][0]["code"]));
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { position } }";
    let input =
        json!({"input": {"bookingId": booking["id"], "accessToken": booking["accessToken"], "idempotencyKey": "c"}});
    let cancelled = tickiz.ask(cancel, input).await;
    let position: i64 = text(&cancelled["cancelBooking"]["position"]).parse().expect("a position");

    // The bundle as it is served: believed by its signature over exactly these bytes, by a check that is not ours.
    let url = format!("{}/gate/v1/events/{}/bundle", tickiz.url, show["id"].as_str().expect("an id"));
    let bundle = loop {
        let answer = tickiz.http.get(&url).bearer_auth(ORGANIZER_TOKEN).send().await.expect("it answers");
        let signed: Value = answer.json().await.expect("JSON");
        let decode = |name: &str| STANDARD.decode(signed[name].as_str().expect("text")).expect("Base64");
        let payload = decode("payload");
        let key = UnparsedPublicKey::new(&ED25519, decode("key"));
        let message = [b"TICKIZ-BUNDLE-V1\0".as_slice(), &payload].concat();
        key.verify(&message, &decode("signature")).expect("a good signature");
        let bundle: Value = serde_json::from_slice(&payload).expect("JSON");
        if bundle["seq"].as_i64().expect("a number") >= position {
            break bundle;
        }
    };
    assert_eq!((bundle["revoked"].as_array().expect("a list").len(), &bundle["eventId"]), (1, &show["id"]));
    for (token, status) in [(None, 401), (Some(AUDITOR_TOKEN), 403)] {
        let mut get = tickiz.http.get(&url);
        if let Some(token) = token {
            get = get.bearer_auth(token);
        }
        assert_eq!(get.send().await.expect("it answers").status(), status);
    }

    let file = door.path().join("bundle.json");
    let path = file.to_str().expect("a path").to_owned();
    let event = text(&show["id"]);
    let (exit, said) = gate_command(&tickiz, &["fetch", "--event", &event, "--bundle", &path]).await;
    assert_eq!(exit, 0, "{said}");
    let first_bundle = std::fs::read(&file).expect("a bundle");

    // An evening: killed in between, it knows afterwards whom it let in; what it was writing then does not count.
    let (answers, _) = run_gate(door.path(), "North", &[&one, &one, &revoked, "menu"]).await;
    assert_eq!(outcomes(&answers), ["ADMITTED", "ALREADY_USED", "REVOKED", "NOT_A_TICKET"]);
    let journal = door.path().join("North.journal");
    let mut half = std::fs::read(&journal).expect("a journal");
    // In the middle of a letter.
    half.extend_from_slice(&"{\"kind\":\"Admitted\",\"gate\":\"Cổ".as_bytes()[..30]);
    std::fs::write(&journal, half).expect("a journal");
    let (answers, _) = run_gate(door.path(), "North", &[&one, &two]).await;
    assert_eq!(outcomes(&answers), ["ALREADY_USED", "ADMITTED"]);
    // Another gate knows nothing of it.
    let (answers, _) = run_gate(door.path(), "South", &[&two]).await;
    assert_eq!(outcomes(&answers), ["ADMITTED"]);

    // A newer bundle counts; the old one is not taken back, and a changed one is not believed.
    let mut later = confirmed(&tickiz, &show, 1, "later").await;
    later.1 = tickiz.booking(&later.0).await;
    let newer = loop {
        let (exit, said) = gate_command(&tickiz, &["fetch", "--event", &event, "--bundle", &path]).await;
        assert_eq!(exit, 0, "{said}");
        let bytes = std::fs::read(&file).expect("a bundle");
        let signed: Value = serde_json::from_slice(&bytes).expect("JSON");
        let payload = STANDARD.decode(signed["payload"].as_str().expect("text")).expect("Base64");
        let newer: Value = serde_json::from_slice(&payload).expect("JSON");
        if newer["seq"].as_i64() > bundle["seq"].as_i64() {
            break bytes;
        }
    };
    assert_eq!(
        outcomes(&run_gate(door.path(), "North", &[&text(&later.1["tickets"][0]["code"])]).await.0),
        ["ADMITTED"]
    );
    std::fs::write(&file, &first_bundle).expect("a file");
    let (answers, said) = run_gate(door.path(), "North", &[&one]).await;
    assert!(answers.is_empty() && said.contains("older"), "{said}");
    let changed = String::from_utf8(newer).expect("UTF-8").replacen("\"payload\":\"e", "\"payload\":\"f", 1);
    std::fs::write(&file, changed).expect("a file");
    let (answers, said) = run_gate(door.path(), "North", &[&one]).await;
    assert!(answers.is_empty() && said.contains("signature"), "{said}");

    // Afterwards: what each gate did, and that one came in twice.
    let merge = async |gate: &str| {
        let journal = door.path().join(format!("{gate}.journal"));
        gate_command(&tickiz, &["merge", "--journal", journal.to_str().expect("a path")]).await
    };
    for _ in 0..2 {
        let (exit, said) = merge("North").await;
        assert!(exit == 0 && said.contains("3 scans handed in, 0 of them"), "{said}");
    }
    let (exit, said) = merge("South").await;
    assert!(exit == 1 && said.contains("ALREADY_USED") && said.contains("North"), "{said}");
    tickiz.stop().await;
    let (code, report) = Tickiz::verify(data_dir.path(), None).await;
    assert_eq!(code, 0, "{report}");
}
