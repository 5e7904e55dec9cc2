//! PayPal's client against the facts of PayPal's wire, over a real socket, and purchases through it.

mod counterpart;
mod house;
mod world;

use std::sync::Arc;

use aws_lc_rs::{rand::SystemRandom, signature};
use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::DateTime;
use counterpart::{Asked, Counterpart, Says, attempt, deliver, reference, refund_of, text, vectors};
use house::{House, Plan};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tickiz_command_api::{
    CommandOptions, CommandService,
    gateways::{
        Attempt, AttemptRef, Gateway, GatewayError, GatewayStatus, Gateways, RefundOutcome, Rejected,
        paypal::{PaypalGateway, PaypalOptions},
    },
    payments::Payments,
};
use tickiz_contract::{Commands, ErrorCode, Request};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    money::Money,
};
use tickiz_event_log::runtime::{Clock, ManualClock};
use world::{Order, hall, organizer};

const WEBHOOK: &str = "8TKZ0000WEBHOOK01";
const TIME: &str = "2026-01-01T00:00:05Z";
const ORDER: &str = "5O190127TN364715T";

fn test_key() -> Value {
    vectors("paypal-key").remove(0)
}

fn paypal(url: &str, clock: Arc<dyn Clock>) -> PaypalGateway {
    PaypalGateway::try_new(PaypalOptions {
        api_url: url.to_owned(),
        client_id: "client".to_owned(),
        secret: "secret-of-the-tests".into(),
        webhook_id: WEBHOOK.to_owned(),
        certificate: Some(text(&test_key(), "certificate_pem").into()),
        return_url: "https://tickets.example".to_owned(),
        clock,
    })
    .expect("a client")
}

fn new_year() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_767_225_600, 0).expect("a time")))
}

/// PayPal as far as a purchase goes: one order, its capture, its refunds, its token, its certificate.
#[derive(Default)]
struct Books {
    tokens: u32,
    order: Option<Value>,
    capture_issue: Option<&'static str>,
    captures: u32,
    refunds: Vec<(String, Value)>,
    breaks_off: bool,
    has_certificate: bool,
    says_signed: &'static str,
}

fn issue(name: &str) -> Says {
    let details = json!([{"issue": name, "description": "as the test wants it"}]);
    (422, json!({"name": "UNPROCESSABLE_ENTITY", "debug_id": "90957fca61718", "details": details})).into()
}

fn plays(books: &Arc<Mutex<Books>>, asked: &Asked) -> Says {
    let mut books = books.lock();
    let is_authorised = asked.header("authorization") == format!("Bearer token-{}", books.tokens);
    if asked.path.starts_with("/v2/") && !is_authorised {
        return (401, json!({"name": "AUTHENTICATION_FAILURE"})).into();
    }
    let says: Says = match asked.call().as_str() {
        "POST /v1/oauth2/token" => {
            assert_eq!(
                asked.header("authorization"),
                format!("Basic {}", BASE64_STANDARD.encode("client:secret-of-the-tests"))
            );
            assert_eq!(asked.form()["grant_type"], "client_credentials");
            books.tokens += 1;
            let token = format!("token-{}", books.tokens);
            return (200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 32_400})).into();
        }
        "POST /v2/checkout/orders" => {
            let status = if books.order.is_some() { 200 } else { 201 };
            let unit = asked.json()["purchase_units"][0].clone();
            let order = books.order.get_or_insert_with(|| {
                json!({
                    "id": ORDER, "status": "PAYER_ACTION_REQUIRED", "purchase_units": [unit],
                    "links": [{"rel": "self", "href": "x"}, {"rel": "payer-action", "href": "https://www.paypal.com/checkoutnow?token=1"}],
                })
            });
            (status, order.clone()).into()
        }
        "GET /v2/checkout/orders/5O190127TN364715T" => match &books.order {
            Some(order) => (200, order.clone()).into(),
            None => (404, json!({"name": "RESOURCE_NOT_FOUND", "details": [{"issue": "INVALID_RESOURCE_ID"}]})).into(),
        },
        "POST /v2/checkout/orders/5O190127TN364715T/capture" => {
            if let Some(name) = books.capture_issue {
                return issue(name);
            }
            books.captures += 1;
            let order = books.order.as_mut().expect("it is there");
            let amount = order["purchase_units"][0]["amount"].clone();
            order["status"] = "COMPLETED".into();
            order["purchase_units"][0]["payments"] =
                json!({"captures": [{"id": "3C679366HH908993F", "status": "COMPLETED", "amount": amount}]});
            (201, order.clone()).into()
        }
        "POST /v2/payments/captures/3C679366HH908993F/refund" => {
            let key = asked.header("paypal-request-id").to_owned();
            if !books.refunds.iter().any(|(known, _)| *known == key) {
                books.refunds.push((key, asked.json()));
            }
            (201, json!({"id": "1JU08902781691411", "status": "COMPLETED"})).into()
        }
        "GET /v1/notifications/certs/CERT-1" if books.has_certificate => {
            Says::This(200, text(&test_key(), "certificate_pem").to_owned())
        }
        "POST /v1/notifications/verify-webhook-signature" => {
            (200, json!({"verification_status": books.says_signed})).into()
        }
        _ => (404, json!({"name": "no such thing"})).into(),
    };
    if std::mem::take(&mut books.breaks_off) { Says::BreaksOff } else { says }
}

async fn server(books: &Arc<Mutex<Books>>) -> Counterpart {
    let played = books.clone();
    Counterpart::new(move |asked| plays(&played, asked)).await
}

fn known() -> Attempt {
    Attempt { gateway_reference: Some(ORDER.to_owned()), ..attempt("20.00", "USD") }
}

/// The headers of a message that PayPal signed with the key of the vectors.
fn signed(url: &str, body: &str) -> Vec<(&'static str, String)> {
    let pem = test_key();
    let pem: String = text(&pem, "private_key_pem").lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(pem).expect("base64");
    let key = signature::RsaKeyPair::from_pkcs8(&der).expect("a key");
    let message = format!("transmission-1|{TIME}|{WEBHOOK}|{}", crc32fast::hash(body.as_bytes()));
    let mut signed = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signed).expect("it signs");
    vec![
        ("paypal-transmission-id", "transmission-1".to_owned()),
        ("paypal-transmission-time", TIME.to_owned()),
        ("paypal-transmission-sig", BASE64_STANDARD.encode(signed)),
        ("paypal-cert-url", format!("{url}/v1/notifications/certs/CERT-1")),
        ("paypal-auth-algo", "SHA256withRSA".to_owned()),
    ]
}

fn approved(of: AttemptRef, id: &str) -> String {
    json!({
        "id": id, "event_type": "CHECKOUT.ORDER.APPROVED", "resource_type": "checkout-order",
        "resource": {"id": ORDER, "status": "APPROVED", "purchase_units": [{"custom_id": of.to_string()}]},
    })
    .to_string()
}

async fn told(gateway: &PaypalGateway, headers: &[(&'static str, String)], body: &str) -> Result<AttemptRef, Rejected> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    deliver(gateway, &headers, body).await.map(|webhook| webhook.attempt)
}

#[tokio::test]
async fn an_order_is_made_under_the_attempts_own_key_in_paypals_amounts() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let server = server(&books).await;
    let gateway = paypal(&server.url, new_year());
    for _ in 0..2 {
        let created = gateway.create(&attempt("20.00", "USD")).await.expect("it is made, or there");
        assert_eq!(created.gateway_reference, ORDER);
        assert_eq!(created.redirect_url.as_deref(), Some("https://www.paypal.com/checkoutnow?token=1"));
    }
    let asked = server.last();
    assert_eq!(asked.header("paypal-request-id"), reference().payment_id.to_string());
    let unit = &asked.json()["purchase_units"][0];
    assert_eq!(unit["amount"], json!({"currency_code": "USD", "value": "20.00"}));
    assert_eq!(unit["custom_id"], reference().to_string());
    assert_eq!(books.lock().tokens, 1, "one token does for both");
    // A token may end before its time: one more is asked for, once.
    books.lock().tokens = 7;
    assert_eq!(gateway.read(&known()).await.expect("it answers").expect("it is there").status, GatewayStatus::Open);
    assert_eq!(books.lock().tokens, 8);
    for (amount, currency, wanted) in [("1200", "JPY", "1200"), ("4500.00", "HUF", "4500"), ("600.00", "TWD", "600")] {
        gateway.create(&attempt(amount, currency)).await.expect("it is made");
        assert_eq!(server.last().json()["purchase_units"][0]["amount"]["value"], wanted);
    }
    let asked = server.asked().len();
    for (amount, currency, says) in
        [("450000", "VND", "takes no VND"), ("4500.50", "HUF", "whole amounts"), ("5.120", "KWD", "takes no KWD")]
    {
        let why = gateway.takes(&Money::parse(amount, currency).expect("an amount")).expect_err("refused").why;
        assert!(why.contains(says), "{why}");
        assert!(matches!(gateway.create(&attempt(amount, currency)).await, Err(GatewayError::Refused(_))));
    }
    assert_eq!(server.asked().len(), asked);
}

#[tokio::test]
async fn an_approved_order_is_captured_once_while_its_money_buys_something_and_never_after() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let server = server(&books).await;
    let gateway = paypal(&server.url, new_year());
    gateway.create(&attempt("20.00", "USD")).await.expect("it is made");
    let approve = || books.lock().order.as_mut().expect("it is there")["status"] = "APPROVED".into();
    let read = async |attempt: &Attempt| gateway.read(attempt).await.expect("it answers").expect("it is there").status;
    assert_eq!(read(&known()).await, GatewayStatus::Open);
    let unwanted = Attempt { is_wanted: false, ..known() };
    assert_eq!(read(&unwanted).await, GatewayStatus::Cancelled, "what nobody captures, nobody takes");
    approve();
    assert_eq!(read(&unwanted).await, GatewayStatus::Cancelled);
    let late = paypal(&server.url, Arc::new(ManualClock::new(known().pay_until)));
    assert_eq!(late.read(&known()).await.expect("it answers").expect("it").status, GatewayStatus::Expired);
    for (name, wanted) in [
        ("INSTRUMENT_DECLINED", Some(GatewayStatus::Open)),
        ("TRANSACTION_REFUSED", Some(GatewayStatus::Failed { reason: "PayPal declined the payment".to_owned() })),
        ("UNHEARD_OF", None),
    ] {
        books.lock().capture_issue = Some(name);
        let read = gateway.read(&known()).await;
        assert_eq!(read.ok().flatten().map(|payment| payment.status), wanted, "{name}");
    }
    assert_eq!(books.lock().captures, 0);
    books.lock().capture_issue = None;
    let taken = GatewayStatus::Succeeded { received: Money::parse("20.00", "USD").expect("an amount") };
    assert_eq!(read(&known()).await, taken);
    let asked = server.last();
    assert_eq!(asked.header("paypal-request-id"), format!("{}-capture", reference().payment_id));
    // Had its answer been lost, what became of it the order would say.
    assert_eq!(read(&known()).await, taken);
    assert_eq!(books.lock().captures, 1);
    for (status, wanted) in [
        ("PENDING", GatewayStatus::Pending),
        ("DECLINED", GatewayStatus::Failed { reason: "PayPal declined the payment".to_owned() }),
        ("REFUNDED", GatewayStatus::Failed { reason: "the payment was given back".to_owned() }),
        ("PARTIALLY_REFUNDED", GatewayStatus::Pending),
    ] {
        books.lock().order.as_mut().expect("it")["purchase_units"][0]["payments"]["captures"][0]["status"] =
            status.into();
        assert_eq!(read(&known()).await, wanted, "{status}");
    }
    books.lock().order = None;
    assert_eq!(read(&known()).await, GatewayStatus::Expired, "PayPal forgets what was not approved");
}

#[tokio::test]
async fn a_refund_is_asked_for_again_under_its_own_key() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let server = server(&books).await;
    let gateway = paypal(&server.url, new_year());
    gateway.create(&attempt("20.00", "USD")).await.expect("it is made");
    let order = refund_of(ORDER, "20.00", "USD");
    assert!(matches!(gateway.refund(&order).await, Ok(RefundOutcome::Refused { .. })), "nothing was captured");
    books.lock().order.as_mut().expect("it is there")["status"] = "APPROVED".into();
    gateway.read(&known()).await.expect("it is captured");
    let done = RefundOutcome::Done { gateway_reference: "1JU08902781691411".to_owned() };
    for _ in 0..2 {
        assert_eq!(gateway.read_refund(&order).await, Ok(None));
        assert_eq!(gateway.refund(&order).await, Ok(done.clone()));
    }
    let refunds = books.lock().refunds.clone();
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0].0, order.refund_id.to_string());
    assert_eq!(refunds[0].1["amount"], json!({"currency_code": "USD", "value": "20.00"}));
}

#[tokio::test]
async fn a_message_is_believed_by_its_certificate_or_by_paypals_own_word() {
    let books = Arc::new(Mutex::new(Books { has_certificate: true, says_signed: "FAILURE", ..Books::default() }));
    let server = server(&books).await;
    let gateway = paypal(&server.url, new_year());
    let body = approved(reference(), "WH-1");
    let good = signed(&server.url, &body);
    assert_eq!(told(&gateway, &good, &body).await, Ok(reference()));
    assert_eq!(told(&gateway, &good, &approved(reference(), "WH-2")).await, Err(Rejected::Signature));
    let fetched = |path: &str| server.asked().iter().filter(|asked| asked.path == path).count();
    assert_eq!(fetched("/v1/notifications/certs/CERT-1"), 1, "it is kept");
    assert_eq!(fetched("/v1/notifications/verify-webhook-signature"), 0);
    let changed = |name: &str, value: &str| {
        let change =
            |(of, was): &(&'static str, String)| (*of, if *of == name { value.to_owned() } else { was.clone() });
        good.iter().map(change).collect::<Vec<_>>()
    };
    let asked = server.asked().len();
    for (name, value) in [
        ("paypal-cert-url", "https://evilpaypal.com/v1/notifications/certs/CERT-1"),
        ("paypal-cert-url", "http://127.0.0.1:9/v1/notifications/certs/CERT-1"),
        ("paypal-auth-algo", "none"),
        ("paypal-transmission-id", "transmission-2"),
        ("paypal-transmission-time", "2026-01-01T00:00:06Z"),
        ("paypal-transmission-sig", "AAAA"),
    ] {
        assert_eq!(told(&gateway, &changed(name, value), &body).await, Err(Rejected::Signature), "{name} {value}");
    }
    assert_eq!(told(&gateway, &[], &body).await, Err(Rejected::Signature));
    assert_eq!(server.asked().len(), asked, "nobody is asked for what is wrong by itself");

    // A certificate that cannot be had: PayPal is asked, with the body as it came.
    let other = changed("paypal-cert-url", &format!("{}/v1/notifications/certs/CERT-2", server.url));
    let odd = body.replace("{\"id\"", "{  \"id\"");
    for (says, wanted) in [("SUCCESS", Ok(reference())), ("FAILURE", Err(Rejected::Signature))] {
        books.lock().says_signed = says;
        assert_eq!(told(&gateway, &other, &odd).await, wanted);
        let asked = server.last();
        assert_eq!(asked.path, "/v1/notifications/verify-webhook-signature");
        assert!(String::from_utf8_lossy(&asked.body).contains(&odd), "byte for byte");
    }
    let nobody = paypal("http://127.0.0.1:1", new_year());
    let there = changed("paypal-cert-url", "http://127.0.0.1:1/v1/notifications/certs/CERT-1");
    assert_eq!(told(&nobody, &there, &body).await, Err(Rejected::Unchecked), "it has to be sent again");
    let dispute =
        json!({"id": "WH-3", "event_type": "CUSTOMER.DISPUTE.CREATED", "resource": {"id": "PP-D-1"}}).to_string();
    assert_eq!(told(&gateway, &signed(&server.url, &dispute), &dispute).await, Err(Rejected::NotOurs));
}

fn in_dollars(show: &Value) -> Value {
    let text = show.to_string().replace("\"VND\"", "\"USD\"");
    serde_json::from_str(&text.replace("\"900000\"", "\"90.00\"").replace("\"450000\"", "\"45.00\"")).expect("JSON")
}

#[tokio::test]
async fn a_buyer_who_only_approved_has_his_tickets_by_the_webhook() {
    let books = Arc::new(Mutex::new(Books { has_certificate: true, ..Books::default() }));
    let server = server(&books).await;
    let url = server.url.clone();
    let make: house::MakeGateway = Box::new(move |clock| Arc::new(paypal(&url, clock)));
    let house = House::working(Plan { others: vec![make], ..Plan::default() }).await;
    let dong = house.world.show(hall(2, 4)).await;
    let in_dong = house.place(Order::of(dong.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let refused = house.try_pay(&in_dong, PaymentMethod::Paypal, "p").await.expect_err("PayPal has no dong");
    let said = refused.to_string();
    assert!(said.contains("PayPal takes no VND") && said.contains("methods that take it: SANDBOX"), "{said}");
    assert!(server.asked().is_empty(), "decided before anybody is sent away");
    let show = house.world.show(in_dollars(&hall(2, 4))).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k2").seats(&["A-1"])).await;
    let paid = house.try_pay(&booking, PaymentMethod::Paypal, "p").await.expect("it can be paid");
    let of = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id };
    books.lock().order.as_mut().expect("it is made")["status"] = "APPROVED".into();
    let body = approved(of, "WH-paid");
    for wanted in [200, 200] {
        let mut request = house.http.post(format!("{}/webhooks/paypal", house.url)).body(body.clone());
        for (name, value) in signed(&server.url, &body) {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), wanted);
    }
    let confirmed = house.status(booking.id, BookingStatus::Confirmed).await;
    assert_eq!(confirmed.payment(paid.payment_id).expect("it").status, PaymentStatus::Succeeded);
    assert_eq!(books.lock().captures, 1);
    house.end().await;
}

#[tokio::test]
async fn who_only_approved_has_his_tickets_though_the_message_was_lost() {
    let books = Arc::new(Mutex::new(Books { has_certificate: true, ..Books::default() }));
    let server = server(&books).await;
    let url = server.url.clone();
    let make: house::MakeGateway = Box::new(move |clock| Arc::new(paypal(&url, clock)));
    let house = House::working(Plan { others: vec![make], ..Plan::default() }).await;
    let show = house.world.show(in_dollars(&hall(2, 4))).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let paid = house.try_pay(&booking, PaymentMethod::Paypal, "p").await.expect("it can be paid");
    house.payment_status(booking.id, paid.payment_id, PaymentStatus::Pending).await;
    books.lock().order.as_mut().expect("it is made")["status"] = "APPROVED".into();
    let confirmed = house.status(booking.id, BookingStatus::Confirmed).await;
    assert!(house.world.clock.now() < booking.purchase.hold_expires_at, "while the hold stands");
    assert_eq!(confirmed.payment(paid.payment_id).expect("it").status, PaymentStatus::Succeeded);
    assert!(house.inbox_rows().await.is_empty(), "nothing was told");
    assert_eq!(books.lock().captures, 1);
    house.end().await;
}

#[tokio::test]
async fn a_paid_show_is_published_only_where_a_gateway_takes_its_currency() {
    let house = House::new(Plan::default()).await;
    let clock: Arc<dyn Clock> = Arc::new(house.world.clock.clone());
    let only_paypal = Gateways::new([Arc::new(paypal("http://127.0.0.1:1", clock)) as Arc<dyn Gateway>]);
    let payments = Payments::new(
        house.world.log.clone(),
        house.bookings.clone(),
        only_paypal,
        tokio_util::task::TaskTracker::new(),
    );
    let options = CommandOptions::default();
    let with_paypal = CommandService::new(house.world.system.clone(), Some(Arc::new(payments)), &options);
    let with_none = CommandService::new(house.world.system.clone(), None, &options);
    let publish = async |service: &CommandService, id: &str| {
        service.execute(organizer(), Request::PublishEvent { id: id.to_owned() }).await.map(drop)
    };
    let in_dong = house.world.create(hall(2, 4)).await.id.to_string();
    let in_dollars = house.world.create(in_dollars(&hall(2, 4))).await.id.to_string();
    let mut free = hall(2, 4);
    for of in free["ticketTypes"].as_array_mut().expect("types") {
        of["price"]["amount"] = "0".into();
    }
    let free = house.world.create(free).await.id.to_string();
    for (service, id, says) in [
        (&with_paypal, &in_dong, Some("PAYPAL: PayPal takes no VND, but AUD")),
        (&with_none, &in_dollars, Some("none is configured")),
        (&with_paypal, &in_dollars, None),
        (&with_none, &free, None),
        // The house's own has the sandbox, which takes everything.
        (&house.service, &in_dong, None),
    ] {
        let published = publish(service, id).await;
        let Some(says) = says else {
            published.expect("it is published");
            continue;
        };
        let refusal = published.expect_err("nobody could pay").0.remove(0);
        assert_eq!((refusal.code, refusal.path), (ErrorCode::InvalidInput, Some(vec!["id".into()])));
        assert!(refusal.message.contains(says) && refusal.message.contains("\"VIP\" costs"), "{}", refusal.message);
    }
    house.end().await;
}
