//! Whole purchases by Stripe and VNPay, through the simulators of both: paid on their pages, told by their signed webhooks, given back
//! by their refunds. Our clients and the simulators share no code.

mod support;

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use support::{Start, Tickiz, buyer, data, free_ports, general_admission};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The simulators; killed with this.
struct Simulators {
    _process: Child,
    at: Value,
    http: reqwest::Client,
}

impl Simulators {
    /// Those that tell this address; `None` where the program is not built.
    async fn start(tickiz: &str) -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_tickiz")).with_file_name("tickiz-sim");
        if !program.exists() {
            assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "there is no {}", program.display());
            println!("skipped: `cargo xtask test` runs it");
            return None;
        }
        let mut process = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .args(["--webhooks-to", &format!("stripe={tickiz}/webhooks/stripe")])
            .args(["--webhooks-to", &format!("vnpay={tickiz}/webhooks/vnpay")])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the simulators start");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let line = lines.next_line().await.expect("a line").expect("where they listen");
        let at = serde_json::from_str(&line).expect("JSON");
        let http = reqwest::Client::builder().no_proxy().build().expect("the client has no odd settings");
        Some(Self { _process: process, at, http })
    }

    fn gateway(&self, name: &str) -> String {
        self.at["gateways"][name].as_str().unwrap_or_else(|| panic!("{}", self.at)).to_owned()
    }

    /// Lets so many milliseconds pass at the gateways.
    async fn pass(&self, milliseconds: u64) {
        let url = format!("{}/clock", self.at["control"].as_str().expect("an address"));
        let passed = self.http.post(url).json(&json!({"advance_ms": milliseconds})).send().await.expect("it answers");
        assert!(passed.status().is_success(), "{}", passed.status());
    }

    /// The customer opens the page and pays there.
    async fn approve(&self, gateway: &str, page: &str, reference: &str) {
        let opened = self.http.get(page).send().await.expect("the page answers");
        assert!(opened.status().is_success(), "{page}: {}", opened.status());
        let control = self.at["control"].as_str().expect("an address");
        let url = format!("{control}/{gateway}/payments/{reference}/approve");
        let done = self.http.post(&url).send().await.expect("it answers");
        let (status, text) = (done.status(), done.text().await.expect("a text"));
        assert!(status.is_success(), "{url}: {status} {text}");
    }
}

/// What the gateway's page calls the attempt.
fn reference(method: &str, page: &str) -> String {
    let url = reqwest::Url::parse(page).expect("an address");
    let by_name = |name: &str| url.query_pairs().find(|(of, _)| of == name).map(|(_, value)| value.into_owned());
    match method {
        "VNPAY" => by_name("vnp_TxnRef").expect("a reference"),
        _ => url.path_segments().and_then(|mut parts| parts.next_back().map(str::to_owned)).expect("a session"),
    }
}

/// `tickiz review`: its exit code and its lines.
async fn review(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut review = support::command();
    review.arg("review").args(arguments).env("TICKIZ_DATA_DIR", folder);
    let output = review.output().await.expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8(said).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_gateway_refused_waits_for_a_person_who_records_what_he_did() {
    let url = format!("http://127.0.0.1:{}", free_ports(1)[0]);
    let Some(simulators) = Simulators::start(&url).await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = start(&simulators, &url, folder.path()).await;
    // By its last digits the simulator knows that the bank will not take this one back.
    let booking = buy(&simulators, &tickiz, Sale { method: "VNPAY", price: "100005", currency: "VND" }).await;
    let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
    let input = json!({"bookingId": booking["id"], "accessToken": booking["accessToken"], "idempotencyKey": "c"});
    tickiz.ask(cancel, json!({"input": input})).await;
    let begun = std::time::Instant::now();
    let waiting: Value = loop {
        simulators.pass(60_000).await;
        let (code, lines) = review(folder.path(), &["--json"]).await;
        assert_eq!(code, 0, "{lines}");
        if let Some(line) = lines.lines().next() {
            break serde_json::from_str(line).expect("JSON");
        }
        assert!(begun.elapsed() < support::PATIENCE, "nothing waits for a person");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!((&waiting["kind"], &waiting["bookingId"]), (&json!("REFUND_FAILED"), &booking["id"]), "{waiting}");
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 1, "money was paid and kept for nothing: {report}");

    let refund = waiting["refundId"].as_str().expect("an id");
    let (code, said) = review(folder.path(), &["--paid-back", refund]).await;
    assert!(code != 0 && said.contains("--reference"), "{said}");
    let other = "00000000-0000-0000-0000-000000000001";
    let (code, said) = review(folder.path(), &["--paid-back", other, "--reference", "bank 42"]).await;
    assert!(code == 1 && said.contains("no refund 00000000"), "{said}");
    let (code, said) = review(folder.path(), &["--paid-back", refund, "--reference", "bank 42"]).await;
    assert!(code == 0 && said.contains("paid back"), "{said}");
    tickiz.wait_for_status(&booking, "REFUNDED").await;
    assert!(review(folder.path(), &[]).await.1.contains("nothing waits"));
    tickiz.stop().await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

/// Tickiz with Stripe and VNPay, both simulated.
async fn start(simulators: &Simulators, url: &str, folder: &Path) -> Tickiz {
    let (stripe, vnpay) = (simulators.gateway("stripe"), simulators.gateway("vnpay"));
    let (page, calls) = (format!("{vnpay}/paymentv2/vpcpay.html"), format!("{vnpay}/merchant_webapi/api/transaction"));
    let environment = vec![
        ("TICKIZ_LISTEN", url.trim_start_matches("http://")),
        ("TICKIZ_PUBLIC_URL", url),
        ("TICKIZ_STRIPE_KEY", "sk_test_tickiz"),
        ("TICKIZ_STRIPE_WEBHOOK_SECRET", "whsec_tickiz_simulator"),
        ("TICKIZ_STRIPE_URL", &stripe),
        ("TICKIZ_VNPAY_TMN_CODE", "TICKIZ01"),
        ("TICKIZ_VNPAY_HASH_SECRET", "TICKIZSIMULATORTICKIZSIMULATOR01"),
        ("TICKIZ_VNPAY_PAGE_URL", &page),
        ("TICKIZ_VNPAY_API_URL", &calls),
    ];
    Tickiz::start(Start { data_dir: Some(folder), environment, ..Start::default() }).await
}

/// What is sold, and how it is paid.
#[derive(Clone, Copy)]
struct Sale {
    method: &'static str,
    price: &'static str,
    currency: &'static str,
}

/// Two tickets of a show of its own, paid on the gateway's page; the booking as it was placed.
async fn buy(simulators: &Simulators, tickiz: &Tickiz, sale: Sale) -> Value {
    let Sale { method, price, currency } = sale;
    let show = tickiz.publish(general_admission(method, price, currency, 10)).await;
    let tickets = json!([{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": 2}]);
    let placed = tickiz
        .place(json!({"eventId": show["id"], "tickets": tickets, "buyer": buyer("lan"), "idempotencyKey": method}))
        .await;
    let booking = data(placed)["placeBooking"].clone();
    let input = json!({"bookingId": booking["id"], "method": method, "accessToken": booking["accessToken"],
                       "idempotencyKey": "p"});
    let pay = "mutation($input: PayBookingInput!) { payBooking(input: $input) { redirectUrl } }";
    let paid = tickiz.ask(pay, json!({"input": input})).await;
    let page = paid["payBooking"]["redirectUrl"].as_str().unwrap_or_else(|| panic!("{method}: {paid}")).to_owned();
    simulators.approve(&method.to_lowercase(), &page, &reference(method, &page)).await;
    let confirmed = tickiz.wait_for_status(&booking, "CONFIRMED").await;
    assert_eq!(confirmed["tickets"].as_array().map(Vec::len), Some(2), "{method}: {confirmed}");
    booking
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_bought_and_given_back_at_each_simulated_gateway() {
    let url = format!("http://127.0.0.1:{}", free_ports(1)[0]);
    let Some(simulators) = Simulators::start(&url).await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = start(&simulators, &url, folder.path()).await;
    for (method, price, currency) in [("VNPAY", "200000", "VND"), ("STRIPE", "20.00", "USD")] {
        let booking = buy(&simulators, &tickiz, Sale { method, price, currency }).await;
        let cancel = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { status } }";
        let input = json!({"bookingId": booking["id"], "accessToken": booking["accessToken"], "idempotencyKey": "c"});
        tickiz.ask(cancel, json!({"input": input})).await;
        // VNPay takes its time until the bank has the money.
        let refunding = async {
            loop {
                simulators.pass(60_000).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            _ = tickiz.wait_for_status(&booking, "REFUNDED") => {}
            () = refunding => {}
        }
    }
    tickiz.stop().await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}
