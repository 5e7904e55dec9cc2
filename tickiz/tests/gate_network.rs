//! A gate with a network that comes and goes, through the program and over real sockets.

mod support;

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{AUDITOR_TOKEN, ORGANIZER_TOKEN, PATIENCE, Start, Tickiz, buyer, command, data, general_admission};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
};
use uuid::Uuid;

/// How long between two looks at what becomes true in its own time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A confirmed booking of that many places, as it was placed, and its codes.
async fn confirmed(tickiz: &Tickiz, show: &Value, quantity: u32, key: &str) -> (Value, Vec<String>) {
    let placed = tickiz
        .place(json!({
            "eventId": show["id"], "tickets": [{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": quantity}],
            "buyer": buyer(key), "idempotencyKey": key,
        }))
        .await;
    let booking = data(placed)["placeBooking"].clone();
    tickiz.pay(&booking, "p", "pay").await;
    let paid = tickiz.wait_for_status(&booking, "CONFIRMED").await;
    let codes = paid["tickets"].as_array().expect("tickets").iter().map(|ticket| text(&ticket["code"])).collect();
    (booking, codes)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn give_back(tickiz: &Tickiz, booking: &Value) -> i64 {
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { position } }";
    let input =
        json!({"input": {"bookingId": booking["id"], "accessToken": booking["accessToken"], "idempotencyKey": "c"}});
    text(&tickiz.ask(cancel, input).await["cancelBooking"]["position"]).parse().expect("a position")
}

async fn issue_anew(tickiz: &Tickiz, booking: &Value) -> i64 {
    let reissue = "mutation($input: ReissueTicketsInput!) { reissueTickets(input: $input) { position } }";
    let input =
        json!({"input": {"bookingId": booking["id"], "accessToken": booking["accessToken"], "idempotencyKey": "r"}});
    text(&tickiz.ask(reissue, input).await["reissueTickets"]["position"]).parse().expect("a position")
}

/// The number of a ticket in its code: the six bytes before it are version, key and show.
fn number(code: &str) -> String {
    let bits = code["TKZ1:".len()..].bytes().flat_map(|letter| {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).expect("Base32");
        (0..5).rev().map(move |bit| (value >> bit) & 1)
    });
    bits.skip(6 * 8).take(64).fold(0_u64, |number, bit| number << 1 | bit as u64).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_told_what_changed_since_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let other = tickiz.publish(general_admission("Another", "200000", "VND", 100)).await;
    let (early, early_codes) = confirmed(&tickiz, &show, 1, "early").await;
    let (late, late_codes) = confirmed(&tickiz, &show, 1, "late").await;
    let (_, _) = confirmed(&tickiz, &other, 1, "elsewhere").await;
    let (anew, anew_codes) = confirmed(&tickiz, &show, 2, "anew").await;
    let at = |event: &Value, rest: &str| format!("{}/gate/v1/events/{}/{rest}", tickiz.url, text(&event["id"]));
    let get = async |url: String| tickiz.http.get(url).bearer_auth(ORGANIZER_TOKEN).send().await.expect("it answers");
    // By a check that is not ours, over the text that no bundle's signature can be of.
    let changed = async |event: &Value, since: Option<i64>, at_least: i64| loop {
        let query = since.map_or_else(String::new, |since| format!("?since={since}"));
        let answer = get(at(event, &format!("revocations{query}"))).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let signed: Value = answer.json().await.expect("JSON");
        let decode = |name: &str| STANDARD.decode(text(&signed[name])).expect("Base64");
        let payload = decode("payload");
        let key = UnparsedPublicKey::new(&ED25519, decode("key"));
        let message = [b"TICKIZ-REVOCATIONS-V1\0".as_slice(), &payload].concat();
        key.verify(&message, &decode("signature")).expect("a good signature");
        let told: Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!((&told["eventId"], &told["since"]), (&event["id"], &json!(since.unwrap_or(0))));
        if told["seq"].as_i64().expect("a number") >= at_least {
            break told;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };

    let position = give_back(&tickiz, &early).await;
    let first = changed(&show, Some(0), position).await;
    assert_eq!((&first["revoked"], &first["minRev"]), (&json!([number(&early_codes[0])]), &json!({})));
    let seq = first["seq"].as_i64().expect("a number");
    give_back(&tickiz, &late).await;
    let position = issue_anew(&tickiz, &anew).await;
    let second = changed(&show, Some(seq), position).await;
    assert_eq!(second["revoked"], json!([number(&late_codes[0])]), "what was told before is not told again");
    let replaced: serde_json::Map<String, Value> = anew_codes.iter().map(|code| (number(code), json!(1))).collect();
    assert_eq!(second["minRev"], Value::Object(replaced));
    let whole = changed(&show, None, position).await;
    assert_eq!(whole["revoked"].as_array().expect("a list").len(), 2, "without since, everything");
    let seq = second["seq"].as_i64().expect("a number");
    let nothing = changed(&show, Some(seq), seq).await;
    assert_eq!((&nothing["revoked"], &nothing["minRev"]), (&json!([]), &json!({})));
    assert_eq!(changed(&other, None, seq).await["revoked"], json!([]), "another show's tickets are another's");

    for wrong in ["revocations?since=-1", "revocations?since=soon", "revocations?since="] {
        let answer = get(at(&show, wrong)).await;
        assert_eq!(answer.status(), 400, "{wrong}");
        assert!(answer.text().await.expect("text").contains("since is the seq of the bundle"), "{wrong}");
    }
    for (token, status) in [(None, 401), (Some(AUDITOR_TOKEN), 403)] {
        let mut get = tickiz.http.get(at(&show, "revocations?since=0"));
        if let Some(token) = token {
            get = get.bearer_auth(token);
        }
        assert_eq!(get.send().await.expect("it answers").status(), status);
    }
    let unknown = json!({"id": Uuid::new_v4()});
    assert_eq!(get(at(&unknown, "revocations?since=0")).await.status(), 404);
    tickiz.stop().await;
}

/// A network that can be cut: connections through it end, and no new one gets anywhere.
struct Network {
    url: String,
    is_up: Arc<AtomicBool>,
    /// Connections through it.
    open: Arc<AtomicUsize>,
}

impl Network {
    async fn to(tickiz: &Tickiz) -> Self {
        let upstream = tickiz.url.strip_prefix("http://").expect("an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let is_up = Arc::new(AtomicBool::new(true));
        let open = Arc::new(AtomicUsize::new(0));
        let (up, through) = (is_up.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                // Counted before it is looked whether there is a network: who cuts it waits for those that are counted.
                through.fetch_add(1, Ordering::SeqCst);
                let (up, upstream, through) = (up.clone(), upstream.clone(), through.clone());
                tokio::spawn(async move {
                    let cut = async {
                        while up.load(Ordering::SeqCst) {
                            tokio::time::sleep(LOOK_AGAIN).await;
                        }
                    };
                    let pass = async {
                        if up.load(Ordering::SeqCst)
                            && let Ok(mut far) = TcpStream::connect(&upstream).await
                        {
                            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                        }
                    };
                    tokio::select! {
                        () = pass => {}
                        () = cut => {}
                    }
                    through.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, is_up, open }
    }

    /// Nothing gets through any more when this returns.
    async fn cut(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        while self.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn mend(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }
}

/// `tickiz gate run`, at work.
struct Gate {
    child: Child,
    scanner: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Gate {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut run = command();
        run.args(["gate", "run", "--json", "--gate", "North"])
            .arg("--bundle")
            .arg(folder.join("bundle.json"))
            .arg("--journal")
            .arg(folder.join("north.journal"))
            .args(arguments)
            .env("TICKIZ_GATE_TOKEN", "a-token-of-the-gates-0123456789")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = run.spawn().expect("it starts");
        let scanner = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, scanner, answers, said }
    }

    /// Scans a code: the outcome, and whether the API said it.
    async fn scan(&mut self, code: &str) -> (String, bool) {
        self.scanner.write_all(format!("{code}\n").as_bytes()).await.expect("it reads");
        let answer = tokio::time::timeout(PATIENCE, self.answers.next_line()).await.expect("an answer in time");
        let answer: Value = serde_json::from_str(&answer.expect("text").expect("a line")).expect("JSON");
        (text(&answer["outcome"]), answer["online"].as_bool().expect("whether"))
    }

    /// Waits until it says something on standard error that has this in it.
    async fn says(&mut self, what: &str) -> String {
        let line = async {
            loop {
                let line = self.said.next_line().await.expect("text").unwrap_or_else(|| panic!("it never says {what}"));
                if line.contains(what) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, line).await.unwrap_or_else(|_| panic!("it does not say {what} in time"))
    }

    async fn end(self) -> i32 {
        let Self { mut child, scanner, .. } = self;
        drop(scanner);
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends in time");
        status.expect("it can be waited for").code().expect("by itself")
    }
}

async fn fetch(tickiz: &Tickiz, show: &Value, folder: &Path) {
    let mut fetch = command();
    fetch
        .args(["gate", "fetch", "--api", &tickiz.url, "--event", &text(&show["id"])])
        .arg("--bundle")
        .arg(folder.join("bundle.json"))
        .env("TICKIZ_ORGANIZER_TOKEN", ORGANIZER_TOKEN);
    let output = fetch.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn house(folder: &Path) -> Tickiz {
    let environment = vec![("TICKIZ_GATE_TOKEN", "a-token-of-the-gates-0123456789")];
    Tickiz::start(Start { data_dir: Some(folder), environment, ..Start::default() }).await
}

fn here(outcome: &str) -> (String, bool) {
    (outcome.to_owned(), false)
}

fn online(outcome: &str) -> (String, bool) {
    (outcome.to_owned(), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_hears_what_changed_while_it_has_a_network_and_remembers_it_without_one() {
    let (data_dir, door) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let tickiz = house(data_dir.path()).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    let (back, back_codes) = confirmed(&tickiz, &show, 1, "back").await;
    let (anew, anew_codes) = confirmed(&tickiz, &show, 1, "anew").await;
    let (_, codes) = confirmed(&tickiz, &show, 2, "good").await;
    fetch(&tickiz, &show, door.path()).await;
    let network = Network::to(&tickiz).await;
    let mut gate = Gate::start(door.path(), &["--api", &network.url, "--refresh", "1"]);
    assert_eq!(gate.scan(&codes[0]).await, here("ADMITTED"), "it decides by itself");
    give_back(&tickiz, &back).await;
    gate.says("no longer valid").await;
    assert_eq!(gate.scan(&back_codes[0]).await, here("REVOKED"));
    issue_anew(&tickiz, &anew).await;
    gate.says("no longer valid").await;
    assert_eq!(gate.scan(&anew_codes[0]).await, here("SUPERSEDED"));

    // The network goes; it says so, and goes on.
    network.cut().await;
    gate.says("going on by the bundle").await;
    assert_eq!(gate.scan(&back_codes[0]).await, here("REVOKED"));
    assert_eq!(gate.scan(&codes[0]).await, here("ALREADY_USED"));
    assert_eq!(gate.end().await, 0);
    // Another day without any network: what it was told it has written down.
    let mut gate = Gate::start(door.path(), &[]);
    for (code, outcome) in [(&back_codes[0], "REVOKED"), (&anew_codes[0], "SUPERSEDED"), (&codes[1], "ADMITTED")] {
        assert_eq!(gate.scan(code).await, here(outcome));
    }
    assert_eq!(gate.end().await, 0);
    let admitted = tickiz.log().await.iter().filter(|entry| entry["type"] == "TicketAdmitted").count();
    assert_eq!(admitted, 0, "who is not online hands in by `merge`");
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_online_gate_asks_for_each_code_decides_alone_where_nobody_answers_and_hands_in_afterwards() {
    let (data_dir, door) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let tickiz = house(data_dir.path()).await;
    let show = tickiz.publish(general_admission("Hội An Jazz", "200000", "VND", 100)).await;
    fetch(&tickiz, &show, door.path()).await;
    let (_, codes) = confirmed(&tickiz, &show, 4, "good").await;
    let (back, back_codes) = confirmed(&tickiz, &show, 1, "back").await;
    give_back(&tickiz, &back).await;
    let network = Network::to(&tickiz).await;
    // The bundle knows nothing of what happened since, and is not asked.
    let mut gate = Gate::start(door.path(), &["--api", &network.url, "--online", "--refresh", "1"]);
    assert_eq!(gate.scan(&codes[0]).await, online("ADMITTED"));
    assert_eq!(gate.scan(&back_codes[0]).await, online("REVOKED"));
    assert_eq!(gate.scan("menu").await, online("NOT_A_TICKET"));
    let admitted =
        async |tickiz: &Tickiz| tickiz.log().await.iter().filter(|entry| entry["type"] == "TicketAdmitted").count();
    assert_eq!(admitted(&tickiz).await, 1, "at once, and not when somebody hands it in");
    // Somewhere else, a moment ago.
    let elsewhere =
        json!({"input": {"eventId": show["id"], "code": codes[1], "gate": "South", "scanId": Uuid::new_v4()}});
    tickiz.organize("mutation($input: CheckInInput!) { checkIn(input: $input) { outcome } }", elsewhere).await;
    assert_eq!(gate.scan(&codes[1]).await, online("ALREADY_USED"));

    network.cut().await;
    assert_eq!(gate.scan(&codes[2]).await, here("ADMITTED"));
    assert_eq!(gate.scan(&codes[0]).await, here("ALREADY_USED"), "it remembers whom the API let in");
    assert_eq!(gate.scan(&codes[2]).await, here("ALREADY_USED"));
    assert_eq!(admitted(&tickiz).await, 2, "nobody told the API");
    network.mend();
    gate.says("1 scans handed in").await;
    assert_eq!(admitted(&tickiz).await, 3);
    assert_eq!(gate.scan(&codes[3]).await, online("ADMITTED"), "and it asks again");
    assert_eq!(gate.scan(&codes[2]).await, here("ALREADY_USED"));

    // Without a network till the end: what is left is said, and handed in at the next start.
    let (_, more) = confirmed(&tickiz, &show, 1, "more").await;
    network.cut().await;
    assert_eq!(gate.scan(&more[0]).await, here("ADMITTED"));
    assert_eq!(gate.end().await, 0);
    network.mend();
    let mut gate = Gate::start(door.path(), &["--api", &network.url, "--online", "--refresh", "1"]);
    gate.says("1 scans handed in").await;
    assert_eq!(gate.scan(&more[0]).await, here("ALREADY_USED"));
    assert_eq!(gate.end().await, 0);

    // Handing all of it in once more changes nothing.
    let log = tickiz.log().await.len();
    let mut merge = command();
    merge.args(["gate", "merge", "--api", &tickiz.url]).arg("--journal").arg(door.path().join("north.journal"));
    let output = merge.env("TICKIZ_ORGANIZER_TOKEN", ORGANIZER_TOKEN).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("4 scans handed in, 0 of them"), "{said}");
    assert_eq!(tickiz.log().await.len(), log);
    tickiz.stop().await;
    let (code, report) = Tickiz::verify(data_dir.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_names_the_classes_and_how_long_its_keys_count_and_a_gate_may_be_for_some_of_them() {
    let (data_dir, door) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let tickiz = house(data_dir.path()).await;
    let mut input = general_admission("Hội An Jazz", "200000", "VND", 100);
    input["ticketTypes"] = json!([
        {"name": "Floor", "price": {"amount": "200000", "currency": "VND"}, "capacity": 50},
        {"name": "Balcony", "price": {"amount": "300000", "currency": "VND"}, "capacity": 50},
    ]);
    let show = tickiz.publish(input).await;
    let (_, floor) = confirmed(&tickiz, &show, 1, "floor").await;
    fetch(&tickiz, &show, door.path()).await;
    let signed: Value =
        serde_json::from_slice(&std::fs::read(door.path().join("bundle.json")).expect("a file")).expect("JSON");
    let bundle: Value =
        serde_json::from_slice(&STANDARD.decode(text(&signed["payload"])).expect("Base64")).expect("JSON");
    let named: Vec<&Value> =
        bundle["categories"].as_array().expect("a list").iter().map(|category| &category["ticketTypes"]).collect();
    assert_eq!(named, [&json!(["Floor"]), &json!(["Balcony"])]);
    assert!(bundle["keys"][0]["notAfter"].as_i64() >= bundle["ticketsUntil"].as_i64(), "{bundle}");

    let mut gate = Gate::start(door.path(), &["--only", "Balcony"]);
    assert_eq!(gate.scan(&floor[0]).await, here("OTHER_GATE"));
    assert_eq!(gate.end().await, 0);
    let mut gate = Gate::start(door.path(), &["--only", "Balcony", "--only", "Floor"]);
    assert_eq!(gate.scan(&floor[0]).await, here("ADMITTED"));
    assert_eq!(gate.end().await, 0);
    let mut gate = Gate::start(door.path(), &["--only", "Stalls"]);
    assert!(gate.says("no such ticket type").await.contains("it has Floor, Balcony"));
    assert_eq!(gate.end().await, 1);
    tickiz.stop().await;
}
