//! Stripe, over real sockets.

mod common;

use common::{Got, Merchant, Program, START_MS};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "whsec_tickiz_simulator";

struct Stripe {
    program: Program,
    merchant: Merchant,
}

type Parameters = Vec<(String, String)>;

fn basket(reference: &str, unit: i64) -> Parameters {
    let pairs = [
        ("mode", "payment"),
        ("success_url", "https://shop.test/return?s={CHECKOUT_SESSION_ID}"),
        ("cancel_url", "https://shop.test/cancel"),
        ("client_reference_id", reference),
        ("customer_email", "a@shop.test"),
        ("metadata[attempt_id]", reference),
        ("payment_intent_data[metadata][order_id]", "O1"),
        ("line_items[0][price_data][currency]", "vnd"),
        ("line_items[0][price_data][product_data][name]", "Vé thường"),
        ("line_items[0][quantity]", "2"),
        ("adaptive_pricing[enabled]", "false"),
    ];
    let mut pairs: Parameters = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    pairs.push(("line_items[0][price_data][unit_amount]".into(), unit.to_string()));
    pairs
}

fn with(mut pairs: Parameters, name: &str, value: &str) -> Parameters {
    pairs.retain(|(other, _)| other != name);
    pairs.push((name.to_owned(), value.to_owned()));
    pairs
}

impl Stripe {
    async fn new() -> Self {
        let merchant = Merchant::new(200, "").await;
        let program = Program::new(&[("stripe", &merchant.url)]).await;
        Self { program, merchant }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.program.http.request(method, format!("{}/stripe/v1/{path}", self.program.base));
        request.bearer_auth("sk_test_tickiz").header("Stripe-Version", "2026-06-24.dahlia")
    }

    async fn post(&self, path: &str, key: Option<&str>, pairs: &[(String, String)]) -> (u16, bool, Value) {
        let mut request = self.request(reqwest::Method::POST, path).form(pairs);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.expect("an answer");
        let replayed = response.headers().contains_key("idempotent-replayed");
        assert!(response.headers().contains_key("request-id"));
        (response.status().as_u16(), replayed, response.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        self.request(reqwest::Method::GET, path).send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn create(&self, reference: &str, unit: i64) -> Value {
        let (status, _, session) = self.post("checkout/sessions", None, &basket(reference, unit)).await;
        assert_eq!(status, 200, "{session}");
        session
    }

    async fn act(&self, reference: &str, action: &str) {
        self.program.control(&format!("stripe/payments/{reference}/{action}"), json!({})).await;
    }

    fn kinds(&self) -> Vec<String> {
        let got = self.merchant.take();
        got.iter().map(|got| got.json()["type"].as_str().expect("a type").to_owned()).collect()
    }
}

fn signed(got: &Got, secret: &str) -> bool {
    let header = got.headers["stripe-signature"].to_str().expect("text");
    let part = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)).expect("a part");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{}.{}", part("t="), got.body).as_bytes());
    mac.verify_slice(&hex::decode(part("v1=")).expect("hex")).is_ok()
}

#[tokio::test]
async fn a_paid_session_tells_of_itself_in_the_usual_order_and_signed() {
    let stripe = Stripe::new().await;
    let session = stripe.create("A1", 225_000).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("open"), &json!("unpaid")));
    assert_eq!(session["amount_total"], 450_000);
    assert_eq!(session["expires_at"], START_MS / 1000 + 86_400);
    assert_eq!(session["payment_intent"], Value::Null);

    let page = session["url"].as_str().expect("a page");
    let shown = stripe.program.http.get(page).send().await.expect("a page").text().await.expect("text");
    assert!(shown.contains(">Pay</button>") && shown.contains("450000 VND"), "{shown}");
    let back = stripe.program.http.post(page).form(&[("do", "approve")]).send().await.expect("an answer");
    let id = session["id"].as_str().expect("an id");
    assert_eq!(back.headers()["location"], format!("https://shop.test/return?s={id}"));

    stripe.program.advance(0).await;
    let got = stripe.merchant.got();
    assert!(got.iter().all(|got| signed(got, SECRET) && !signed(got, "whsec_other")));
    assert!(got.iter().all(|got| got.body.contains("\n  \"")), "Stripe indents its bodies");
    let expected = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "charge.updated",
    ];
    assert_eq!(stripe.kinds(), expected);
    let read = stripe.get(&format!("checkout/sessions/{id}?expand[]=payment_intent")).await;
    assert_eq!((&read["status"], &read["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(read["payment_intent"]["status"], "succeeded");
    assert_eq!(read["payment_intent"]["metadata"], json!({ "order_id": "O1" }), "not the session's own");
    let events = stripe.get("events?type=checkout.session.completed").await;
    assert_eq!(events["data"][0]["data"]["object"]["client_reference_id"], "A1");
}

#[tokio::test]
async fn idempotency_keys_follow_each_row_of_the_table() {
    let stripe = Stripe::new().await;
    let (path, pairs) = ("checkout/sessions", basket("K1", 225_000));
    let (_, replayed, first) = stripe.post(path, Some("k"), &pairs).await;
    assert!(!replayed);
    let (status, replayed, again) = stripe.post(path, Some("k"), &pairs).await;
    assert_eq!((status, replayed, &again), (200, true, &first));

    let (status, _, error) = stripe.post(path, Some("k"), &basket("K1", 226_000)).await;
    assert_eq!((status, &error["error"]["type"]), (400, &json!("idempotency_error")));

    let wrong = with(pairs.clone(), "mode", "setup");
    assert_eq!(stripe.post(path, Some("refused"), &wrong).await.0, 400);
    assert_eq!(stripe.post(path, Some("refused"), &pairs).await.0, 200, "a refused call uses no key up");

    stripe.program.advance(86_400_000).await;
    let (_, replayed, later) = stripe.post(path, Some("k"), &pairs).await;
    assert!(!replayed && later["id"] != first["id"], "a day later the key is new");

    // Done, but the answer was lost: the same key gives the payment that was made.
    let fault = json!({ "gateway": "stripe", "route": "/v1/checkout", "reset": true, "after_commit": true });
    stripe.program.control("faults", fault).await;
    let lost = stripe.request(reqwest::Method::POST, path).form(&pairs).header("Idempotency-Key", "lost");
    let lost = match lost.send().await {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(lost, "the connection was broken");
    let (status, replayed, _) = stripe.post(path, Some("lost"), &pairs).await;
    assert_eq!((status, replayed), (200, true));

    let fault = json!({ "gateway": "stripe", "route": "/v1/checkout", "status": 500, "after_commit": true });
    stripe.program.control("faults", fault).await;
    assert_eq!(stripe.post(path, Some("broken"), &pairs).await.0, 500);
    let (status, replayed, _) = stripe.post(path, Some("broken"), &pairs).await;
    assert_eq!((status, replayed), (500, true), "a 500 is kept as well");
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() {
    let stripe = Stripe::new().await;
    let fault = json!({ "gateway": "stripe", "route": "/v1/checkout", "method": "POST", "hold_ms": 600_000 });
    stripe.program.control("faults", fault).await;
    let pairs = basket("U1", 225_000);
    let held = stripe.request(reqwest::Method::POST, "checkout/sessions").form(&pairs).header("Idempotency-Key", "u");
    let held = tokio::spawn(held.send());
    // The first is held back for as long as the test runs; it has arrived when its session is there.
    while stripe.program.try_control("stripe/payments/U1/cancel", "").await.0 == 404 {
        tokio::task::yield_now().await;
    }
    let (status, _, error) = stripe.post("checkout/sessions", Some("u"), &pairs).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    held.abort();
}

#[tokio::test]
async fn a_careless_client_is_refused() {
    let stripe = Stripe::new().await;
    let start = START_MS / 1000;
    let good = basket("W1", 225_000);
    let amount = "line_items[0][price_data][unit_amount]";
    let currency = "line_items[0][price_data][currency]";
    let cases = [
        (with(good.clone(), "amount", "1"), "parameter_unknown"),
        (with(good.clone(), "success_url", ""), "parameter_missing"),
        (with(good.clone(), amount, "12.5"), "parameter_invalid_integer"),
        (with(good.clone(), amount, "5000"), "amount_too_small"),
        (with(good.clone(), amount, "99999999"), "amount_too_large"),
        (with(good.clone(), currency, "VND"), "parameter_invalid"),
        (with(with(good.clone(), currency, "kwd"), amount, "5121"), "parameter_invalid_integer"),
        (with(with(good.clone(), currency, "isk"), amount, "50050"), "parameter_invalid_integer"),
        (with(good.clone(), "expires_at", &(start + 1_799).to_string()), "parameter_invalid"),
        (with(good.clone(), "expires_at", &(start + 86_401).to_string()), "parameter_invalid"),
        (with(good.clone(), "metadata[k]", &"x".repeat(501)), "parameter_invalid"),
    ];
    for (pairs, code) in cases {
        let (status, _, error) = stripe.post("checkout/sessions", None, &pairs).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!(code)), "{error}");
    }
    for edge in [1_800, 86_400] {
        let pairs = with(good.clone(), "expires_at", &(start + edge).to_string());
        assert_eq!(stripe.post("checkout/sessions", None, &pairs).await.0, 200);
    }
    let url = format!("{}/stripe/v1/checkout/sessions", stripe.program.base);
    let post = || stripe.program.http.post(&url).form(&good);
    let status =
        |request: reqwest::RequestBuilder| async move { request.send().await.expect("an answer").status().as_u16() };
    assert_eq!(status(post().header("Stripe-Version", "2026-06-24.dahlia")).await, 401);
    assert_eq!(status(post().bearer_auth("sk_test_other").header("Stripe-Version", "2026-06-24.dahlia")).await, 401);
    assert_eq!(status(post().bearer_auth("sk_test_tickiz")).await, 400, "no version");
    let json = stripe.request(reqwest::Method::POST, "checkout/sessions").json(&json!({ "mode": "payment" }));
    assert_eq!(status(json).await, 400, "JSON is no form");
}

#[tokio::test]
async fn a_session_expires_by_time_or_by_call_and_only_once() {
    let stripe = Stripe::new().await;
    let first = stripe.create("E1", 225_000).await;
    let path = format!("checkout/sessions/{}/expire", first["id"].as_str().expect("an id"));
    assert_eq!(stripe.post(&path, None, &[]).await.2["status"], "expired");
    assert_eq!(stripe.post(&path, None, &[]).await.0, 400);
    stripe.program.advance(0).await;
    assert_eq!(stripe.kinds(), ["checkout.session.expired"]);

    let expires = (START_MS / 1000 + 1_800).to_string();
    let pairs = with(basket("E2", 225_000), "expires_at", &expires);
    stripe.post("checkout/sessions", None, &pairs).await;
    stripe.program.advance(1_799_999).await;
    assert!(stripe.kinds().is_empty());
    stripe.program.advance(1).await;
    assert_eq!(stripe.kinds(), ["checkout.session.expired"]);
    stripe.act("E2", "pay_late").await;
    let last = stripe.kinds();
    assert!(last.contains(&"checkout.session.completed".to_owned()), "money came after the expiry: {last:?}");
}

#[tokio::test]
async fn refunds_add_up_to_what_was_paid_and_may_fail_later() {
    let stripe = Stripe::new().await;
    let id = stripe.create("R1", 225_000).await["id"].as_str().expect("an id").to_owned();
    stripe.act("R1", "approve").await;
    stripe.kinds();
    let session = stripe.get(&format!("checkout/sessions/{id}")).await;
    let intent = session["payment_intent"].as_str().expect("an intent").to_owned();
    let refund = |amount: &str| {
        let mut pairs = vec![("payment_intent".to_owned(), intent.clone())];
        if !amount.is_empty() {
            pairs.push(("amount".to_owned(), amount.to_owned()));
        }
        pairs
    };
    assert_eq!(stripe.post("refunds", None, &refund("100000")).await.2["status"], "succeeded");
    assert_eq!(stripe.post("refunds", None, &refund("350001")).await.0, 400);
    stripe.program.advance(0).await;
    assert_eq!(stripe.kinds(), ["refund.created", "charge.refunded", "refund.updated"]);

    let step = json!({ "on": "refund", "refund_fails": true });
    let scenario = json!({ "match": { "reference": "R1" }, "script": [step] });
    stripe.program.control("scenario", scenario).await;
    assert_eq!(stripe.post("refunds", None, &refund("")).await.2["amount"], 350_000);
    let (_, _, error) = stripe.post("refunds", None, &refund("1")).await;
    assert_eq!(error["error"]["code"], "charge_already_refunded");
    stripe.program.advance(60_000).await;
    assert_eq!(stripe.kinds().last().map(String::as_str), Some("refund.failed"));
    let all = stripe.get(&format!("refunds?payment_intent={intent}")).await;
    let states: Vec<&Value> = all["data"].as_array().expect("a list").iter().map(|refund| &refund["status"]).collect();
    assert_eq!(states, ["failed", "succeeded"]);
}

#[tokio::test]
async fn webhooks_are_repeated_by_the_clock_doubled_forged_dropped_and_changed() {
    let stripe = Stripe::new().await;
    stripe.create("H1", 225_000).await;
    stripe.merchant.answers(500, "");
    stripe.act("H1", "expire").await;
    assert_eq!(stripe.merchant.take().len(), 1);
    stripe.program.advance(599_999).await;
    assert!(stripe.merchant.take().is_empty());
    stripe.program.advance(1).await;
    let again = stripe.merchant.take();
    assert_eq!(again.len(), 1);
    assert!(signed(&again[0], SECRET));
    let header = again[0].headers["stripe-signature"].to_str().expect("text");
    assert!(header.starts_with(&format!("t={},", START_MS / 1000 + 600)), "signed anew: {header}");

    // …003 twice, …005 not at all, …007 with a wrong amount, and a forged one by a scenario.
    stripe.post("checkout/sessions", None, &with(basket("H5", 450_005), "line_items[0][quantity]", "1")).await;
    stripe.post("checkout/sessions", None, &with(basket("H7", 450_007), "line_items[0][quantity]", "1")).await;
    stripe.post("checkout/sessions", None, &with(basket("D3", 450_003), "line_items[0][quantity]", "1")).await;
    stripe.act("D3", "approve").await;
    assert_eq!(stripe.kinds().len(), 10);
    stripe.act("H5", "approve").await;
    assert!(stripe.kinds().is_empty());
    stripe.act("H7", "approve").await;
    let completed = stripe
        .merchant
        .take()
        .into_iter()
        .map(|got| got.json())
        .find(|event| event["type"] == "checkout.session.completed");
    assert_eq!(completed.expect("an event")["data"]["object"]["amount_total"], 450_006);
    let forged = json!({ "on": "pay", "webhook": { "bad_signature_then_good": true } });
    stripe.create("F1", 225_000).await;
    stripe.program.control("scenario", json!({ "match": { "reference": "F1" }, "script": [forged] })).await;
    stripe.act("F1", "approve").await;
    let good: Vec<bool> = stripe.merchant.take().iter().map(|got| signed(got, SECRET)).collect();
    assert_eq!(good, [false, true, false, true, false, true, false, true, false, true]);
}

#[tokio::test]
async fn the_webhook_may_come_before_the_answer_and_a_dispute_stops_refunds() {
    let stripe = Stripe::new().await;
    let pairs = with(basket("B4", 450_004), "line_items[0][quantity]", "1");
    let (_, _, session) = stripe.post("checkout/sessions", None, &pairs).await;
    assert_eq!(stripe.kinds().len(), 5, "sent before the create call was answered");
    let id = session["id"].as_str().expect("an id");
    stripe.act("B4", "dispute").await;
    assert_eq!(stripe.kinds(), ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    let read = stripe.get(&format!("checkout/sessions/{id}")).await;
    let intent = read["payment_intent"].as_str().expect("an intent").to_owned();
    assert_eq!(stripe.post("refunds", None, &[("payment_intent".into(), intent)]).await.0, 400);
    stripe.act("B4", "dispute_won").await;
    let expected = ["charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_reinstated"];
    assert_eq!(stripe.kinds(), expected);
}

#[tokio::test]
async fn the_control_api_names_what_is_wrong() {
    let stripe = Stripe::new().await;
    let cases = [
        ("clock", "{}", 400, "clock"),
        ("faults", r#"{"gateway":"paypal","status":500}"#, 400, "paypal"),
        ("faults", r#"{"gateway":"stripe"}"#, 400, "status, timeout, reset, hold_ms"),
        ("scenario", r#"{"match":{},"script":[{"on":"pay","declined":true}]}"#, 400, "declined"),
        ("stripe/payments/none/approve", "{}", 404, "none"),
        ("webhooks/77/redeliver", "{}", 404, "77"),
    ];
    for (path, body, expected, word) in cases {
        let (status, answer) = stripe.program.try_control(path, body).await;
        assert_eq!(status, expected, "{path}");
        assert!(answer["error"].as_str().expect("a sentence").contains(word), "{answer}");
    }
}
