//! MoMo's client against the facts of MoMo's wire, over a real socket, and purchases through it.

mod counterpart;
mod house;
mod world;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use counterpart::{Asked, Counterpart, Says, attempt, deliver, reference, refund_of};
use hmac::{Hmac, KeyInit, Mac};
use house::{House, Plan};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tickiz_command_api::gateways::{
    Attempt, AttemptRef, Gateway, GatewayError, GatewayStatus, RefundOutcome, Rejected,
    momo::{MomoGateway, MomoOptions},
};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    money::Money,
};
use tickiz_event_log::runtime::{Clock, ManualClock};
use world::{Order, hall};

/// The keys of MoMo's own samples.
const ACCESS: &str = "F8BBA842ECF85";
const SECRET: &str = "K951B6PE1waDMi640xX08PD3vg6EkVlz";

fn momo(url: &str, clock: Arc<dyn Clock>) -> MomoGateway {
    MomoGateway::try_new(MomoOptions {
        api_url: url.to_owned(),
        partner_code: "MOMO".to_owned(),
        access_key: ACCESS.into(),
        secret_key: SECRET.into(),
        ipn_url: "https://tickets.example/webhooks/momo".to_owned(),
        return_url: "https://tickets.example".to_owned(),
        clock,
    })
    .expect("a client")
}

fn new_year() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_767_225_600, 0).expect("a time")))
}

fn signed(names: &[&str], message: &Value) -> String {
    let value = |name: &str| match (name, &message[name]) {
        ("accessKey", _) => ACCESS.to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => String::new(),
        (_, other) => other.to_string(),
    };
    let text = names.iter().map(|name| format!("{name}={}", value(name))).collect::<Vec<_>>().join("&");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// MoMo as far as a purchase goes: what `query` says, whether the order is there, its refunds.
#[derive(Default)]
struct Books {
    created: u32,
    result: i64,
    amount: i64,
    confirmed: Vec<String>,
    refunds: Vec<Value>,
    breaks_off: bool,
}

fn answer(request: &Value, code: i64, more: Value) -> Value {
    let mut answer = Map::new();
    for name in ["partnerCode", "orderId", "requestId"] {
        answer.insert(name.to_owned(), request[name].clone());
    }
    answer.insert("resultCode".to_owned(), json!(code));
    answer.insert("message".to_owned(), json!("as the test wants it"));
    answer.insert("signature".to_owned(), Value::Null);
    answer.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(answer)
}

fn plays(books: &Arc<Mutex<Books>>, asked: &Asked) -> Says {
    let mut books = books.lock();
    let request = asked.json();
    let path = asked.path.strip_prefix("/v2/gateway/api/").expect("its calls");
    let names: &[&str] = match path {
        "create" => &[
            "accessKey",
            "amount",
            "extraData",
            "ipnUrl",
            "orderId",
            "orderInfo",
            "partnerCode",
            "redirectUrl",
            "requestId",
            "requestType",
        ],
        "refund" => &["accessKey", "amount", "description", "orderId", "partnerCode", "requestId", "transId"],
        "confirm" => &["accessKey", "amount", "description", "orderId", "partnerCode", "requestId", "requestType"],
        _ => &["accessKey", "orderId", "partnerCode", "requestId"],
    };
    if request["signature"] != signed(names, &request) {
        return (400, answer(&request, 13, json!({}))).into();
    }
    let says = match path {
        "create" if books.created > 0 => answer(&request, 41, json!({"requestId": null})),
        "create" => {
            books.created += 1;
            books.result = 1000;
            books.amount = request["amount"].as_i64().expect("a number");
            answer(&request, 0, json!({"payUrl": "https://test-payment.momo.vn/v2/gateway/pay?t=x&s=y"}))
        }
        "query" if books.created == 0 => answer(&request, 42, json!({})),
        "query" => {
            let number = if books.result == 0 { 4_610_849_895_i64 } else { 0 };
            answer(&request, books.result, json!({"amount": books.amount, "transId": number}))
        }
        "confirm" => {
            books.confirmed.push(request["requestType"].as_str().expect("a text").to_owned());
            books.result = if request["requestType"] == "capture" { 0 } else { 1003 };
            answer(&request, 0, json!({}))
        }
        "refund" => {
            books.refunds.push(request.clone());
            answer(&request, 0, json!({"transId": 4_610_849_896_i64, "amount": request["amount"]}))
        }
        "refund/query" => match books.refunds.iter().find(|refund| refund["orderId"] == request["orderId"]) {
            Some(refund) => answer(&request, 0, json!({"transId": 4_610_849_896_i64, "amount": refund["amount"]})),
            None => answer(&request, 42, json!({})),
        },
        other => panic!("MoMo has no call {other}"),
    };
    if std::mem::take(&mut books.breaks_off) {
        return Says::BreaksOff;
    }
    (200, says).into()
}

async fn server(books: &Arc<Mutex<Books>>) -> Counterpart {
    let played = books.clone();
    Counterpart::new(move |asked| plays(&played, asked)).await
}

fn known() -> Attempt {
    Attempt { gateway_reference: Some(reference().to_string()), ..attempt("450000", "VND") }
}

fn ipn(attempt: AttemptRef, code: i64, amount: i64) -> Value {
    let mut message = json!({
        "partnerCode": "MOMO", "orderId": attempt.to_string(), "requestId": attempt.payment_id.to_string(),
        "amount": amount, "orderInfo": "Vé đêm nhạc", "orderType": "momo_wallet", "transId": 4_610_849_895_i64,
        "resultCode": code, "message": "Thành công.", "payType": "qr", "responseTime": 1_767_225_792_345_i64, "extraData": "",
    });
    let names = [
        "accessKey",
        "amount",
        "extraData",
        "message",
        "orderId",
        "orderInfo",
        "orderType",
        "partnerCode",
        "payType",
        "requestId",
        "responseTime",
        "resultCode",
        "transId",
    ];
    message["signature"] = signed(&names, &message).into();
    message
}

#[tokio::test]
async fn an_order_is_made_once_under_the_attempts_own_key() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let server = server(&books).await;
    let gateway = momo(&server.url, new_year());
    assert_eq!(gateway.read(&attempt("450000", "VND")).await, Ok(None));
    let created = gateway.create(&attempt("450000", "VND")).await.expect("it is made");
    assert_eq!(created.redirect_url.as_deref(), Some("https://test-payment.momo.vn/v2/gateway/pay?t=x&s=y"));
    let asked = server.last().json();
    for (name, value) in [
        ("amount", json!(450_000)),
        ("requestId", json!(reference().payment_id.to_string())),
        ("orderId", json!(reference().to_string())),
        ("requestType", json!("payWithMethod")),
        ("autoCapture", json!(true)),
        ("orderExpireTime", json!(16)),
        ("ipnUrl", json!("https://tickets.example/webhooks/momo")),
        ("lang", json!("vi")),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let again = gateway.create(&attempt("450000", "VND")).await;
    assert!(matches!(again, Err(GatewayError::Unknown(_))), "{again:?}");
    // Its page was told to somebody who does not remember it: nobody can pay there any more.
    let lost = gateway.read(&attempt("450000", "VND")).await.expect("it answers").expect("it is there");
    assert_eq!(lost.status, GatewayStatus::Expired, "and nobody declined");
    assert_eq!(gateway.read(&known()).await.expect("it answers").expect("it is there").status, GatewayStatus::Open);
    for (amount, currency) in [("999", "VND"), ("50000001", "VND"), ("20.00", "USD")] {
        assert!(matches!(gateway.create(&attempt(amount, currency)).await, Err(GatewayError::Refused(_))));
        let why = gateway.takes(&Money::parse(amount, currency).expect("an amount")).expect_err("refused").why;
        assert!(why.contains("1000 to 50000000 VND"), "{why}");
    }
}

#[tokio::test]
async fn what_a_code_means_is_an_end_only_where_momo_says_so() {
    let code = Arc::new(Mutex::new((200, json!({}))));
    let said = code.clone();
    let server = Counterpart::new(move |_| said.lock().clone().into()).await;
    let gateway = momo(&server.url, new_year());
    for (result, wanted) in [
        (1000, "open"),
        (8000, "open"),
        (7000, "pending"),
        (7002, "pending"),
        (5555, "pending"),
        (1006, "cancelled"),
        (1017, "cancelled"),
        (1005, "expired"),
        (1001, "failed"),
        (4100, "failed"),
        (42, "none"),
        (10, "not done"),
        (13, "not done"),
    ] {
        *code.lock() =
            (200, json!({"orderId": reference().to_string(), "resultCode": result, "message": "x", "amount": 1}));
        let is = match gateway.read(&known()).await {
            Ok(None) => "none",
            Ok(Some(payment)) => match payment.status {
                GatewayStatus::Open => "open",
                GatewayStatus::Pending => "pending",
                GatewayStatus::Cancelled => "cancelled",
                GatewayStatus::Expired => "expired",
                GatewayStatus::Failed { .. } => "failed",
                GatewayStatus::Succeeded { .. } => "succeeded",
            },
            Err(GatewayError::NotDone(_)) => "not done",
            Err(_) => "unknown",
        };
        assert_eq!(is, wanted, "{result}");
    }
    for (status, body, wanted) in [
        (400, json!({"resultCode": 22, "message": "x"}), "refused"),
        (400, json!({"resultCode": 13, "message": "x"}), "not done"),
        (422, json!({"resultCode": 7000, "message": "x"}), "unknown"),
        (200, json!({"resultCode": 0, "message": "x"}), "unknown"),
        (429, json!({}), "unknown"),
        (500, json!("<html>"), "unknown"),
        (200, json!({"resultCode": "0"}), "unknown"),
    ] {
        *code.lock() = (status, body.clone());
        let is = match gateway.create(&attempt("450000", "VND")).await {
            Ok(_) => "created",
            Err(GatewayError::Refused(_)) => "refused",
            Err(GatewayError::NotDone(_)) => "not done",
            Err(GatewayError::Unknown(_)) => "unknown",
        };
        assert_eq!(is, wanted, "{status} {body}");
    }
    *code.lock() = (200, json!({"orderId": "another-shops", "resultCode": 0, "amount": 450_000}));
    assert!(matches!(gateway.read(&known()).await, Err(GatewayError::Unknown(_))));
}

#[tokio::test]
async fn what_is_only_authorised_is_taken_in_time_and_given_back_after_it() {
    for (seconds, wanted, confirmed) in [(-60, "taken", "capture"), (60, "given back", "cancel")] {
        let books = Arc::new(Mutex::new(Books { created: 1, result: 9000, amount: 450_000, ..Books::default() }));
        let server = server(&books).await;
        let clock = Arc::new(ManualClock::new(known().pay_until + TimeDelta::seconds(seconds)));
        let gateway = momo(&server.url, clock);
        let status = gateway.read(&known()).await.expect("it answers").expect("it is there").status;
        match status {
            GatewayStatus::Succeeded { received } => assert_eq!((wanted, received.minor()), ("taken", 450_000)),
            GatewayStatus::Cancelled => assert_eq!(wanted, "given back"),
            other => panic!("{other:?}"),
        }
        assert_eq!(books.lock().confirmed, [confirmed]);
    }
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_found_again_and_not_made_twice() {
    let books = Arc::new(Mutex::new(Books { created: 1, amount: 450_000, ..Books::default() }));
    let server = server(&books).await;
    let gateway = momo(&server.url, new_year());
    let paid = gateway.read(&known()).await.expect("it answers").expect("it is there");
    let order = refund_of(&paid.gateway_reference, "450000", "VND");
    assert_eq!(gateway.read_refund(&order).await, Ok(None));
    books.lock().breaks_off = true;
    assert!(matches!(gateway.refund(&order).await, Err(GatewayError::Unknown(_))));
    let asked = server.last().json();
    assert_eq!((asked["transId"].clone(), asked["amount"].clone()), (json!(4_610_849_895_i64), json!(450_000)));
    let done = RefundOutcome::Done { gateway_reference: "4610849896".to_owned() };
    assert_eq!(gateway.read_refund(&order).await, Ok(Some(done)));
    assert_eq!(books.lock().refunds.len(), 1);
}

#[tokio::test]
async fn only_a_signed_message_about_an_order_of_ours_is_taken() {
    let gateway = momo("http://127.0.0.1:1", new_year());
    let good = ipn(reference(), 0, 450_000);
    let webhook = deliver(&gateway, &[], &good.to_string()).await.expect("it is signed");
    assert_eq!(webhook.attempt, reference());
    assert_eq!(webhook.event_key, format!("{}.4610849895.0", reference()));
    for (name, value) in [("amount", json!(1)), ("resultCode", json!(1006)), ("signature", json!("00"))] {
        let mut forged = good.clone();
        forged[name] = value;
        assert_eq!(deliver(&gateway, &[], &forged.to_string()).await, Err(Rejected::Signature), "{name}");
    }
    let other = AttemptRef { payment_id: tickiz_domain::ids::PaymentId(uuid::Uuid::nil()), ..reference() };
    let mut swapped = ipn(other, 0, 450_000);
    swapped["requestId"] = reference().payment_id.to_string().into();
    assert_eq!(deliver(&gateway, &[], &swapped.to_string()).await, Err(Rejected::Signature));
    assert_eq!(deliver(&gateway, &[], "no JSON").await, Err(Rejected::Signature));
}

#[tokio::test]
async fn a_buyer_pays_by_momo_and_a_message_that_never_comes_is_made_up_for() {
    for is_told in [true, false] {
        let books: Arc<Mutex<Books>> = Arc::default();
        let server = server(&books).await;
        let url = server.url.clone();
        let make: house::MakeGateway = Box::new(move |clock| Arc::new(momo(&url, clock)));
        let house = House::working(Plan { others: vec![make], ..Plan::default() }).await;
        let show = house.world.show(hall(2, 4)).await;
        let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
        let paid = house.try_pay(&booking, PaymentMethod::Momo, "p").await.expect("it can be paid");
        let attempt = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id };
        books.lock().result = 0;
        if is_told {
            let body = ipn(attempt, 0, booking.purchase.total.minor()).to_string();
            for _ in 0..3 {
                let url = format!("{}/webhooks/momo", house.url);
                let sent = house.http.post(url).body(body.clone()).send().await.expect("an answer");
                assert_eq!(sent.status(), 204, "what MoMo wants to hear");
            }
        }
        let confirmed = house.until("the payment", async || {
            let purchase = house.purchase(booking.id).await;
            let payment = purchase.payment(paid.payment_id).expect("the attempt").clone();
            (payment.status == PaymentStatus::Succeeded).then_some(purchase)
        });
        assert_eq!(confirmed.await.status, BookingStatus::Confirmed);
        assert_eq!(house.count("PaymentSucceeded").await, 1);
        house.end().await;
    }
}
