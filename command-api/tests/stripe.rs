//! Stripe's client against the facts of Stripe's wire, over a real socket, and a purchase through it.

mod counterpart;
mod house;
mod world;

use std::sync::Arc;

use chrono::DateTime;
use counterpart::{Asked, Counterpart, Says, attempt, deliver, reference, refund_of, text, vectors};
use hmac::{Hmac, KeyInit, Mac};
use house::{House, Plan};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tickiz_command_api::gateways::{
    Attempt, Gateway, GatewayError, GatewayStatus, RefundOutcome, Rejected,
    stripe::{StripeGateway, StripeOptions},
};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    money::Money,
};
use tickiz_event_log::runtime::{Clock, ManualClock};
use world::{Order, hall};

const SECRET: &str = "whsec_tickiz_test_secret_0001";

fn stripe(url: &str, clock: Arc<dyn Clock>) -> StripeGateway {
    StripeGateway::try_new(StripeOptions {
        api_url: url.to_owned(),
        key: "sk_test_of_the_tests".into(),
        webhook_secrets: vec![SECRET.into(), "whsec_tickiz_rolled_secret".into()],
        return_url: "https://tickets.example".to_owned(),
        clock,
    })
    .expect("a client")
}

fn at(seconds: i64) -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(seconds, 0).expect("a time")))
}

/// Stripe as far as a purchase goes: one session, which replays its creation, and its refunds.
#[derive(Default)]
struct Books {
    session: Option<Value>,
    created: u32,
    refunds: Vec<Value>,
    breaks_off: bool,
}

fn plays(books: &Arc<Mutex<Books>>, asked: &Asked) -> Says {
    let mut books = books.lock();
    let form = asked.form();
    match (asked.call().as_str(), asked.path.rsplit('/').next()) {
        ("POST /v1/checkout/sessions", _) => {
            if books.session.is_none() {
                books.created += 1;
                books.session = Some(json!({
                    "id": "cs_test_1", "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_test_1",
                    "status": "open", "payment_status": "unpaid", "payment_intent": null,
                    "amount_total": form["line_items[0][price_data][unit_amount]"].parse::<i64>().expect("a number"),
                    "currency": form["line_items[0][price_data][currency]"], "livemode": false,
                    "client_reference_id": form["client_reference_id"],
                }));
            }
            if books.breaks_off {
                books.breaks_off = false;
                return Says::BreaksOff;
            }
            (200, books.session.clone().expect("it is made")).into()
        }
        ("GET /v1/checkout/sessions/cs_test_1", _) => match &books.session {
            Some(session) => (200, session.clone()).into(),
            None => (404, error("invalid_request_error", "resource_missing")).into(),
        },
        ("POST /v1/checkout/sessions/cs_test_1/expire", _) => {
            let session = books.session.as_mut().expect("it is there");
            if session["status"] != "open" {
                return (400, error("invalid_request_error", "")).into();
            }
            session["status"] = "expired".into();
            (200, session.clone()).into()
        }
        ("POST /v1/refunds", _) => {
            let number = books.refunds.len() + 1;
            let refund = json!({
                "id": format!("re_{number}"), "amount": form["amount"].parse::<i64>().expect("a number"),
                "payment_intent": form["payment_intent"], "status": "succeeded",
                "metadata": {"refund_id": form["metadata[refund_id]"]},
            });
            books.refunds.push(refund.clone());
            if books.breaks_off {
                books.breaks_off = false;
                return Says::BreaksOff;
            }
            (200, refund).into()
        }
        ("GET /v1/refunds", _) => (200, json!({"object": "list", "data": books.refunds, "has_more": false})).into(),
        _ => (404, json!({"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}})).into(),
    }
}

fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": "as the test wants it"}})
}

fn paid(books: &Mutex<Books>, amount: i64) {
    let mut books = books.lock();
    let session = books.session.as_mut().expect("there is a session");
    session["status"] = "complete".into();
    session["payment_status"] = "paid".into();
    session["amount_total"] = amount.into();
    session["payment_intent"] = json!({"id": "pi_1", "status": "succeeded", "amount_received": amount});
}

fn signature(secret: &str, now: i64, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{now}.{body}").as_bytes());
    format!("t={now},v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn known(gateway_reference: &str) -> Attempt {
    Attempt { gateway_reference: Some(gateway_reference.to_owned()), ..attempt("450000", "VND") }
}

#[tokio::test]
async fn the_signature_vectors_are_taken_and_refused_as_they_say() {
    for vector in vectors("stripe-webhook") {
        let secrets = match &vector["secret"] {
            Value::Array(secrets) => secrets.iter().map(|secret| secret.as_str().expect("a secret")).collect(),
            secret => vec![secret.as_str().expect("a secret")],
        };
        for secret in secrets {
            let now = vector["now"].as_i64().or(vector["timestamp"].as_i64()).unwrap_or(1_767_225_600);
            let gateway = StripeGateway::try_new(StripeOptions {
                api_url: "http://127.0.0.1:1".to_owned(),
                key: "sk_test_of_the_tests".into(),
                webhook_secrets: vec![secret.into()],
                return_url: String::new(),
                clock: at(now),
            })
            .expect("a client");
            let taken =
                deliver(&gateway, &[("stripe-signature", text(&vector, "header"))], text(&vector, "body")).await;
            let is_signed = !matches!(taken, Err(Rejected::Signature));
            assert_eq!(is_signed, vector["accept"].as_bool().expect("it says"), "{}: {taken:?}", vector["id"]);
        }
    }
}

#[tokio::test]
async fn a_webhook_leads_to_its_attempt_by_whichever_object_it_is_about() {
    let gateway = stripe("http://127.0.0.1:1", at(1_767_225_600));
    let ours = reference().to_string();
    for (object, wanted) in [
        (json!({"id": "cs_1", "client_reference_id": ours}), Ok(())),
        (json!({"id": "pi_1", "client_reference_id": null, "metadata": {"attempt_id": ours}}), Ok(())),
        (json!({"id": "re_1", "metadata": {}}), Err(Rejected::NotOurs)),
        (json!({"id": "cs_2", "client_reference_id": "another-shops"}), Err(Rejected::NotOurs)),
    ] {
        let body = json!({"id": "evt_1", "type": "x", "livemode": false, "data": {"object": object}}).to_string();
        let header = signature(SECRET, 1_767_225_600, &body);
        let read = deliver(&gateway, &[("stripe-signature", &header)], &body).await;
        assert_eq!(read.map(|webhook| assert_eq!(webhook.attempt, reference())), wanted, "{body}");
    }
    let live = json!({"id": "evt_2", "type": "x", "livemode": true, "data": {"object": {"client_reference_id": ours}}});
    let header = signature(SECRET, 1_767_225_600, &live.to_string());
    assert_eq!(deliver(&gateway, &[("stripe-signature", &header)], &live.to_string()).await, Err(Rejected::NotOurs));
    let header = signature(SECRET, 1_767_225_600, "{}");
    assert_eq!(deliver(&gateway, &[("stripe-signature", &header)], "{}").await, Err(Rejected::Malformed));
}

#[tokio::test]
async fn a_session_is_asked_for_in_stripes_words_under_the_attempts_own_key() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let played = books.clone();
    let server = Counterpart::new(move |asked| plays(&played, asked)).await;
    let gateway = stripe(&server.url, at(1_767_225_600));
    let created = gateway.create(&attempt("450000", "VND")).await.expect("it is made");
    assert_eq!(created.gateway_reference, "cs_test_1");
    assert_eq!(created.redirect_url.as_deref(), Some("https://checkout.stripe.com/c/pay/cs_test_1"));
    let asked = server.last();
    assert_eq!(asked.header("authorization"), "Bearer sk_test_of_the_tests");
    assert_eq!(asked.header("idempotency-key"), format!("tkz:{}:create:0", reference().payment_id));
    assert!(!asked.header("stripe-version").is_empty());
    let form = asked.form();
    for (name, value) in [
        ("mode", "payment"),
        ("line_items[0][price_data][currency]", "vnd"),
        ("line_items[0][price_data][unit_amount]", "450000"),
        ("line_items[0][price_data][product_data][name]", "Đêm nhạc Trịnh & bạn bè"),
        ("line_items[0][quantity]", "1"),
        ("adaptive_pricing[enabled]", "false"),
        ("client_reference_id", &reference().to_string()),
        ("payment_intent_data[metadata][attempt_id]", &reference().to_string()),
        ("success_url", "https://shop.example/thanks?order=1&x=y"),
        ("locale", "vi"),
        // 00:15:00 and 31 minutes: more than half an hour from now, in each repetition before the deadline.
        ("expires_at", "1767228360"),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
    // Stripe takes no end beyond a day; its own is one.
    let mut long = attempt("450000", "VND");
    long.pay_until = DateTime::from_timestamp(1_767_225_600 + 86_400, 0).expect("a time");
    gateway.create(&long).await.expect("it is made");
    assert!(!server.last().form().contains_key("expires_at"));
    // No amount that it does not take leaves the house.
    let refused = gateway.create(&attempt("0.10", "USD")).await.expect_err("too little");
    assert!(matches!(&refused, GatewayError::Refused(why) if why.contains("0.50")), "{refused}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_an_answer_means_is_certain_only_where_stripe_says_so() {
    let says: Arc<Mutex<(u16, String)>> = Arc::default();
    let said = says.clone();
    let server = Counterpart::new(move |_| {
        let (status, body) = said.lock().clone();
        Says::This(status, body)
    })
    .await;
    let gateway = stripe(&server.url, at(1_767_225_600));
    let refused = |e: &GatewayError| matches!(e, GatewayError::Refused(_));
    let not_done = |e: &GatewayError| matches!(e, GatewayError::NotDone(_));
    let unknown = |e: &GatewayError| matches!(e, GatewayError::Unknown(_));
    type Is = fn(&GatewayError) -> bool;
    let cases: Vec<(u16, String, Is)> = vec![
        (400, error("invalid_request_error", "parameter_invalid").to_string(), refused),
        (402, error("card_error", "card_declined").to_string(), refused),
        (400, error("idempotency_error", "").to_string(), unknown),
        (409, error("invalid_request_error", "idempotency_key_in_use").to_string(), unknown),
        (401, error("invalid_request_error", "").to_string(), not_done),
        (403, "<html>".to_owned(), not_done),
        (404, "<html>".to_owned(), not_done),
        (429, error("invalid_request_error", "rate_limit").to_string(), not_done),
        (400, "<html>a proxy</html>".to_owned(), unknown),
        (500, error("api_error", "").to_string(), unknown),
        (503, String::new(), unknown),
        (302, String::new(), unknown),
        (200, "{\"id\":".to_owned(), unknown),
        (200, "[]".to_owned(), unknown),
        (200, json!({"id": "cs/../evil", "url": "https://x"}).to_string(), unknown),
    ];
    for (status, body, is_so) in cases {
        *says.lock() = (status, body.clone());
        let error = gateway.create(&attempt("450000", "VND")).await.expect_err("no good answer");
        assert!(is_so(&error), "{status} {body}: {error:?}");
    }
    let nobody = stripe("http://127.0.0.1:1", at(0)).create(&attempt("450000", "VND")).await;
    assert!(matches!(nobody, Err(GatewayError::NotDone(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_session_is_read_as_stripe_says_it_stands() {
    let session: Arc<Mutex<Value>> = Arc::default();
    let shown = session.clone();
    let server = Counterpart::new(move |_| (200, shown.lock().clone()).into()).await;
    let gateway = stripe(&server.url, at(0));
    let received =
        |amount: &str, currency| GatewayStatus::Succeeded { received: Money::parse(amount, currency).unwrap() };
    let failed = GatewayStatus::Failed { reason: "the payment did not go through".to_owned() };
    for (status, paid, intent, amount, currency, wanted) in [
        ("open", "unpaid", json!(null), 450_000, "vnd", GatewayStatus::Open),
        ("expired", "unpaid", json!(null), 450_000, "vnd", GatewayStatus::Expired),
        ("complete", "unpaid", json!({"id": "pi_1", "status": "processing"}), 1, "vnd", GatewayStatus::Pending),
        ("complete", "unpaid", json!({"id": "pi_1", "status": "requires_payment_method"}), 1, "vnd", failed),
        ("complete", "unpaid", json!({"id": "pi_1", "status": "canceled"}), 1, "vnd", GatewayStatus::Cancelled),
        ("complete", "paid", json!("pi_1"), 450_000, "vnd", received("450000", "VND")),
        ("complete", "paid", json!("pi_1"), 5_120, "kwd", received("5.120", "KWD")),
        ("complete", "paid", json!("pi_1"), 50_000, "isk", received("500", "ISK")),
        // Captured by hand, and less: what counts is what was taken, in the currency in which it was.
        (
            "complete",
            "paid",
            json!({"id": "pi_1", "status": "succeeded", "amount_received": 1_900}),
            2_000,
            "usd",
            received("19.00", "USD"),
        ),
    ] {
        *session.lock() = json!({
            "id": "cs_test_1", "status": status, "payment_status": paid, "payment_intent": intent, "url": "https://page",
            "amount_total": amount, "currency": currency, "client_reference_id": reference().to_string(),
        });
        let payment = gateway.read(&known("cs_test_1")).await.expect("it answers").expect("it is there");
        assert_eq!(payment.status, wanted, "{status} {paid}");
        assert_eq!(payment.redirect_url.is_some(), wanted == GatewayStatus::Open);
        assert_eq!(payment.reference, reference());
    }
    session.lock()["client_reference_id"] = "another-shops".into();
    assert!(matches!(gateway.read(&known("cs_test_1")).await, Err(GatewayError::Unknown(_))));
    session.lock()["client_reference_id"] = reference().to_string().into();
    session.lock()["status"] = "unheard-of".into();
    assert!(matches!(gateway.read(&known("cs_test_1")).await, Err(GatewayError::Unknown(_))));
    let asked = server.asked().len();
    assert_eq!(gateway.read(&attempt("450000", "VND")).await, Ok(None), "without an id there is nothing to ask for");
    assert_eq!(server.asked().len(), asked);
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_found_again_and_not_made_twice() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let played = books.clone();
    let server = Counterpart::new(move |asked| plays(&played, asked)).await;
    let gateway = stripe(&server.url, at(0));
    gateway.create(&attempt("450000", "VND")).await.expect("it is made");
    let order = refund_of("cs_test_1", "450000", "VND");
    let unpaid = gateway.refund(&order).await.expect("it answers");
    assert!(matches!(unpaid, RefundOutcome::Refused { .. }), "{unpaid:?}");
    paid(&books, 450_000);
    assert_eq!(gateway.read_refund(&order).await, Ok(None));
    books.lock().breaks_off = true;
    assert!(matches!(gateway.refund(&order).await, Err(GatewayError::Unknown(_))));
    let asked = server.last();
    assert_eq!(asked.header("idempotency-key"), format!("tkz:{}:refund:0", order.refund_id));
    assert_eq!((asked.form()["amount"].as_str(), asked.form()["payment_intent"].as_str()), ("450000", "pi_1"));
    let done = RefundOutcome::Done { gateway_reference: "re_1".to_owned() };
    assert_eq!(gateway.read_refund(&order).await, Ok(Some(done)));
    // One that somebody made by hand is not taken for it, and one that failed is a person's.
    books.lock().refunds[0]["metadata"] = json!({});
    assert_eq!(gateway.read_refund(&order).await, Ok(None));
    books.lock().refunds[0]["metadata"] = json!({"refund_id": order.refund_id.to_string()});
    books.lock().refunds[0]["status"] = "failed".into();
    books.lock().refunds[0]["failure_reason"] = "expired_or_canceled_card".into();
    let failed = gateway.read_refund(&order).await.expect("it answers").expect("it is there");
    assert!(matches!(&failed, RefundOutcome::Refused { reason } if reason.contains("expired_or_canceled_card")));
}

/// A house with Stripe in it.
async fn house(books: &Arc<Mutex<Books>>) -> (House, Counterpart) {
    let played = books.clone();
    let server = Counterpart::new(move |asked| plays(&played, asked)).await;
    let url = server.url.clone();
    let make: house::MakeGateway = Box::new(move |clock| Arc::new(stripe(&url, clock)));
    (House::working(Plan { others: vec![make], ..Plan::default() }).await, server)
}

async fn tell(house: &House, body: &str) -> u16 {
    let header = signature(SECRET, house.world.clock.now().timestamp(), body);
    let url = format!("{}/webhooks/stripe", house.url);
    let sent = house.http.post(url).header("stripe-signature", header).body(body.to_owned()).send().await;
    sent.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_buyer_pays_by_stripe_once_though_the_first_answer_was_lost() {
    let books = Arc::new(Mutex::new(Books { breaks_off: true, ..Books::default() }));
    let (house, server) = house(&books).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let pay = house.try_pay(&booking, PaymentMethod::Stripe, "p").await.expect("it can be paid");
    let page = async || house.purchase(booking.id).await.payment(pay.payment_id).and_then(|p| p.redirect_url.clone());
    assert_eq!(house.until("the page", page).await, "https://checkout.stripe.com/c/pay/cs_test_1");
    assert_eq!(books.lock().created, 1, "asked twice, made once");
    let amount = booking.purchase.total.minor();
    paid(&books, amount);
    let attempt = tickiz_command_api::gateways::AttemptRef { booking_id: booking.id, payment_id: pay.payment_id };
    let event = json!({
        "id": "evt_paid", "type": "checkout.session.completed", "livemode": false,
        "data": {"object": {"id": "cs_test_1", "client_reference_id": attempt.to_string()}},
    })
    .to_string();
    let told = futures::future::join_all((0..4).map(|_| tell(&house, &event))).await;
    assert_eq!(told, [200; 4]);
    let foreign = json!({"id": "evt_other", "type": "customer.created", "livemode": false, "data": {"object": {}}});
    assert_eq!(tell(&house, &foreign.to_string()).await, 200, "the account's other events are none of ours");
    let confirmed = house.status(booking.id, BookingStatus::Confirmed).await;
    assert_eq!(confirmed.payment(pay.payment_id).expect("it").status, PaymentStatus::Succeeded);
    assert_eq!(house.count("PaymentSucceeded").await, 1);
    assert_eq!(house.inbox_rows().await.len(), 1, "one event, one row; what is not ours leaves none");
    assert!(server.asked().iter().all(|asked| asked.path.starts_with("/v1/")));
    house.end().await;
}

#[tokio::test]
async fn the_session_is_ended_with_the_hold_and_money_that_comes_all_the_same_goes_back() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let (house, _server) = house(&books).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let pay = house.try_pay(&booking, PaymentMethod::Stripe, "p").await.expect("it can be paid");
    house.status(booking.id, BookingStatus::Expired).await;
    house
        .until("the session's end", async || (books.lock().session.as_ref()?["status"] == "expired").then_some(()))
        .await;
    house.payment_status(booking.id, pay.payment_id, PaymentStatus::Expired).await;
    // Somebody else has the seat, and Stripe says that it was paid in the same second.
    house.place(Order::of(show.id, "minh@example.com", "k2").seats(&["A-1"])).await;
    paid(&books, booking.purchase.total.minor());
    let attempt = tickiz_command_api::gateways::AttemptRef { booking_id: booking.id, payment_id: pay.payment_id };
    let event = json!({
        "id": "evt_late", "type": "checkout.session.completed", "livemode": false,
        "data": {"object": {"id": "cs_test_1", "client_reference_id": attempt.to_string()}},
    });
    assert_eq!(tell(&house, &event.to_string()).await, 200);
    house.payment_status(booking.id, pay.payment_id, PaymentStatus::Refunded).await;
    assert_eq!(books.lock().refunds.len(), 1);
    house.end().await;
}
