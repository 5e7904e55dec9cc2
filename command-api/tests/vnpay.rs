//! VNPay's client against the facts of VNPay's wire, over a real socket, and purchases through it.

mod counterpart;
mod house;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;
use counterpart::{Counterpart, Says, attempt, reference, refund_of};
use hmac::{Hmac, KeyInit, Mac};
use house::{House, Plan};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tickiz_command_api::gateways::{
    Attempt, AttemptRef, Gateway, GatewayError, GatewayStatus, RefundOutcome,
    vnpay::{VnpayGateway, VnpayOptions},
};
use tickiz_contract::{BookingAnswer, PaymentAnswer};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    money::Money,
};
use tickiz_event_log::runtime::{Clock, ManualClock};
use world::{Order, hall};

const SECRET: &str = "TICKIZVNPAYTESTHASHSECRET0000001";
const PAGE: &str = "https://sandbox.vnpayment.vn/paymentv2/vpcpay.html";
/// What VNPay signs of an answer.
const SIGNED: [&str; 15] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
];

fn hash(text: &str) -> String {
    let mut mac = Hmac::<sha2::Sha512>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn vnpay(url: &str, clock: Arc<dyn Clock>) -> VnpayGateway {
    VnpayGateway::try_new(VnpayOptions {
        page_url: PAGE.to_owned(),
        api_url: format!("{url}/merchant_webapi/api/transaction"),
        tmn_code: "TICKIZ01".to_owned(),
        hash_secret: SECRET.into(),
        ip: "203.0.113.7".to_owned(),
        return_url: "https://tickets.example".to_owned(),
        clock,
    })
    .expect("a client")
}

/// 2026-01-01 00:00:00 UTC, which is 07:00:00 there.
fn new_year() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_767_225_600, 0).expect("a time")))
}

/// What VNPay has: what it answers to `querydr` and to `refund`, by field.
type Books = Arc<Mutex<BTreeMap<&'static str, Vec<(&'static str, String)>>>>;

/// Checks what it is asked, and answers with what is in the books, signed.
fn plays(books: &Books, asked: &counterpart::Asked) -> Says {
    let request: Map<String, Value> = serde_json::from_slice(&asked.body).expect("JSON");
    let field = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let command = field("vnp_Command");
    let order: &[&str] = if command == "refund" {
        &[
            "vnp_RequestId",
            "vnp_Version",
            "vnp_Command",
            "vnp_TmnCode",
            "vnp_TransactionType",
            "vnp_TxnRef",
            "vnp_Amount",
            "vnp_TransactionNo",
            "vnp_TransactionDate",
            "vnp_CreateBy",
            "vnp_CreateDate",
            "vnp_IpAddr",
            "vnp_OrderInfo",
        ]
    } else {
        &[
            "vnp_RequestId",
            "vnp_Version",
            "vnp_Command",
            "vnp_TmnCode",
            "vnp_TxnRef",
            "vnp_TransactionDate",
            "vnp_CreateDate",
            "vnp_IpAddr",
            "vnp_OrderInfo",
        ]
    };
    let text = order.iter().map(|name| field(name)).collect::<Vec<_>>().join("|");
    let mut answer: BTreeMap<&str, String> = BTreeMap::from([
        ("vnp_ResponseId", "r1".to_owned()),
        ("vnp_Command", command.clone()),
        ("vnp_TmnCode", "TICKIZ01".to_owned()),
        ("vnp_TxnRef", field("vnp_TxnRef")),
        ("vnp_ResponseCode", "91".to_owned()),
        ("vnp_Message", "Transaction not found".to_owned()),
    ]);
    if field("vnp_SecureHash") != hash(&text) || field("vnp_RequestId").len() > 32 {
        answer.insert("vnp_ResponseCode", "97".to_owned());
    } else {
        let key = if command == "refund" { "refund" } else { "querydr" };
        answer.extend(books.lock().get(key).cloned().unwrap_or_default());
    }
    let count = if command == "refund" { 13 } else { 15 };
    let text = SIGNED[..count].iter().map(|name| answer.get(name).cloned().unwrap_or_default()).collect::<Vec<_>>();
    answer.entry("vnp_SecureHash").or_insert(hash(&text.join("|")));
    (200, json!(answer)).into()
}

fn says(books: &Books, command: &'static str, code: &str, status: &str, kind: &str, amount: i64) {
    let fields = vec![
        ("vnp_ResponseCode", code.to_owned()),
        ("vnp_TransactionStatus", status.to_owned()),
        ("vnp_TransactionType", kind.to_owned()),
        ("vnp_Amount", (amount * 100).to_string()),
        ("vnp_TransactionNo", "15000001".to_owned()),
    ];
    books.lock().insert(command, fields);
}

fn known() -> Attempt {
    Attempt { gateway_reference: Some("20260101070000".to_owned()), ..attempt("450000", "VND") }
}

async fn server(books: &Books) -> Counterpart {
    let played = books.clone();
    Counterpart::new(move |asked| plays(&played, asked)).await
}

#[tokio::test]
async fn the_pages_address_is_the_request_signed_and_in_vietnams_time() {
    let gateway = vnpay("http://127.0.0.1:1", new_year());
    let mut asked = attempt("450000", "VND");
    asked.return_url = Some("https://shop.example/(thanks)*?x='~!".to_owned());
    let created = gateway.create(&asked).await.expect("nobody is asked");
    assert_eq!(created.gateway_reference, "20260101070000");
    let url = created.redirect_url.expect("the page");
    let (query, digits) =
        url.strip_prefix(&format!("{PAGE}?")).expect("its page").rsplit_once("&vnp_SecureHash=").unwrap();
    assert_eq!(digits, hash(query));
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in [
        ("vnp_Version", "2.1.0"),
        ("vnp_Command", "pay"),
        ("vnp_TmnCode", "TICKIZ01"),
        ("vnp_Amount", "45000000"),
        ("vnp_CreateDate", "20260101070000"),
        ("vnp_ExpireDate", "20260101071500"),
        ("vnp_Locale", "vn"),
        ("vnp_TxnRef", &reference().to_string()),
        ("vnp_OrderInfo", "K7QF-2MXD dem nhac trinh  ban be"),
        ("vnp_ReturnUrl", "https://shop.example/%28thanks%29%2A?x=%27%7E%21"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
    for (amount, currency) in [("4999", "VND"), ("20.00", "USD"), ("10000000000", "VND")] {
        let why = gateway.takes(&Money::parse(amount, currency).expect("an amount")).expect_err("it is refused").why;
        assert!(why.contains("5000 to 9999999999 VND"), "{why}");
        assert!(matches!(gateway.create(&attempt(amount, currency)).await, Err(GatewayError::Refused(_))));
    }
}

#[tokio::test]
async fn an_attempt_is_read_as_vnpay_says_it_stands() {
    let books: Books = Arc::default();
    let server = server(&books).await;
    let gateway = vnpay(&server.url, new_year());
    let received = GatewayStatus::Succeeded { received: Money::parse("450000", "VND").expect("an amount") };
    let failed = GatewayStatus::Failed { reason: "the payment was not made".to_owned() };
    for (status, kind, wanted) in [
        ("00", "01", received.clone()),
        ("09", "01", received.clone()),
        ("05", "01", GatewayStatus::Pending),
        ("06", "01", GatewayStatus::Pending),
        ("01", "01", GatewayStatus::Open),
        ("02", "01", failed),
        ("04", "01", GatewayStatus::Pending),
        ("07", "01", GatewayStatus::Pending),
        ("00", "02", GatewayStatus::Pending),
    ] {
        says(&books, "querydr", "00", status, kind, 450_000);
        let read = gateway.read(&known()).await.expect("it answers").expect("it is there");
        assert_eq!((read.reference, read.status), (reference(), wanted), "{status} {kind}");
        assert_eq!(read.gateway_reference, "20260101070000-15000001");
    }
    let asked = server.last().json();
    assert_eq!(
        (&asked["vnp_TransactionDate"], &asked["vnp_CreateDate"]),
        (&json!("20260101070000"), &json!("20260101070000"))
    );
    for (code, is_not_done) in [("02", true), ("03", true), ("97", true), ("94", false), ("99", false)] {
        says(&books, "querydr", code, "", "", 0);
        let error = gateway.read(&known()).await.expect_err("no good answer");
        assert_eq!(matches!(error, GatewayError::NotDone(_)), is_not_done, "{code} {error}");
    }
    // Not signed, cut off, a rest of a dong, somebody else's: nothing is believed.
    says(&books, "querydr", "00", "00", "01", 450_000);
    for (name, value) in [
        ("vnp_SecureHash", "00"),
        ("vnp_SecureHash", ""),
        ("vnp_Amount", "45000001"),
        ("vnp_Amount", "-1"),
        ("vnp_TransactionStatus", "55"),
        ("vnp_TxnRef", "another-shops"),
        ("vnp_TransactionNo", "x y"),
    ] {
        let good = books.lock()["querydr"].clone();
        books.lock().get_mut("querydr").expect("it is there").push((name, value.to_owned()));
        let read = gateway.read(&known()).await;
        assert!(matches!(read, Err(GatewayError::Unknown(_))), "{name} {value} {read:?}");
        books.lock().insert("querydr", good);
    }
    let broken = Counterpart::new(|_| Says::BreaksOff).await;
    let read = vnpay(&broken.url, new_year()).read(&known()).await;
    assert!(matches!(read, Err(GatewayError::Unknown(_))), "{read:?}");
}

#[tokio::test]
async fn what_vnpay_has_not_seen_stays_open_until_a_late_buyer_must_be_done() {
    let books: Books = Arc::default();
    let server = server(&books).await;
    let deadline = known().pay_until;
    for (seconds, is_open) in [(-60, true), (60, true), (19 * 60, true), (21 * 60, false)] {
        let clock = Arc::new(ManualClock::new(deadline + chrono::TimeDelta::seconds(seconds)));
        let read = vnpay(&server.url, clock.clone()).read(&known()).await.expect("it answers");
        assert_eq!(read.is_some(), is_open, "{seconds} {read:?}");
        assert!(read.is_none_or(|read| read.status == GatewayStatus::Open && read.redirect_url.is_some()));
    }
    let asked = server.asked().len();
    assert_eq!(vnpay(&server.url, new_year()).read(&attempt("450000", "VND")).await, Ok(None));
    assert_eq!(server.asked().len(), asked, "an address that was never recorded nobody has");
}

#[tokio::test]
async fn a_refund_is_followed_until_the_bank_has_it() {
    let books: Books = Arc::default();
    let server = server(&books).await;
    let gateway = vnpay(&server.url, new_year());
    let order = refund_of("20260101070000-14999999", "450000", "VND");
    says(&books, "refund", "00", "05", "02", 450_000);
    assert_eq!(gateway.refund(&order).await, Ok(RefundOutcome::Pending));
    let asked = server.last().json();
    for (name, value) in [
        ("vnp_TransactionType", "02"),
        ("vnp_Amount", "45000000"),
        ("vnp_TransactionNo", "14999999"),
        ("vnp_TransactionDate", "20260101070000"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert_eq!(asked["vnp_RequestId"], order.refund_id.0.simple().to_string(), "the refund's id is the key");
    let done = RefundOutcome::Done { gateway_reference: "15000001".to_owned() };
    for (status, kind, wanted) in [
        ("00", "01", None),
        ("05", "01", Some(RefundOutcome::Pending)),
        ("05", "02", Some(RefundOutcome::Pending)),
        ("06", "02", Some(done.clone())),
        ("00", "02", Some(done)),
    ] {
        says(&books, "querydr", "00", status, kind, 450_000);
        assert_eq!(gateway.read_refund(&order).await, Ok(wanted), "{status} {kind}");
    }
    says(&books, "querydr", "00", "09", "02", 450_000);
    assert!(matches!(gateway.read_refund(&order).await, Ok(Some(RefundOutcome::Refused { .. }))));
    says(&books, "querydr", "00", "06", "03", 100_000);
    assert_eq!(gateway.read_refund(&order).await, Ok(None), "another part's end is not its end");
    for (code, wanted) in
        [("94", "pending"), ("95", "refused"), ("91", "refused"), ("97", "not done"), ("99", "unknown")]
    {
        says(&books, "refund", code, "", "", 0);
        let is = match gateway.refund(&order).await {
            Ok(RefundOutcome::Pending) => "pending",
            Ok(RefundOutcome::Refused { .. }) => "refused",
            Ok(RefundOutcome::Done { .. }) => "done",
            Err(GatewayError::NotDone(_)) => "not done",
            Err(_) => "unknown",
        };
        assert_eq!(is, wanted, "{code}");
    }
}

/// A house with VNPay in it, and a booking that is being paid there.
async fn paying(books: &Books) -> (House, Counterpart, BookingAnswer, PaymentAnswer) {
    let server = server(books).await;
    let url = server.url.clone();
    let make: house::MakeGateway = Box::new(move |clock| Arc::new(vnpay(&url, clock)));
    let house = House::working(Plan { others: vec![make], ..Plan::default() }).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
    let paid = house.try_pay(&booking, PaymentMethod::Vnpay, "p").await.expect("it can be paid");
    let page = paid.booking.purchase.payment(paid.payment_id).and_then(|payment| payment.redirect_url.clone());
    assert!(page.expect("the page comes with the answer").starts_with(PAGE));
    (house, server, booking, paid)
}

fn ipn(reference: &str, amount: i64, codes: (&str, &str)) -> String {
    let number = if codes.0 == "00" { "15000001" } else { "0" };
    let query = format!(
        "vnp_Amount={}&vnp_BankCode=NCB&vnp_OrderInfo=Ve+1&vnp_ResponseCode={}&vnp_TmnCode=TICKIZ01&vnp_TransactionNo={number}\
         &vnp_TransactionStatus={}&vnp_TxnRef={reference}",
        amount * 100,
        codes.0,
        codes.1
    );
    format!("{query}&vnp_SecureHash={}", hash(&query))
}

async fn tell(house: &House, query: &str) -> String {
    let sent = house.http.get(format!("{}/webhooks/vnpay?{query}", house.url)).send().await.expect("an answer");
    assert_eq!(sent.status(), 200);
    assert_eq!(sent.headers()["content-type"], "application/json");
    let answer: Value = sent.json().await.expect("JSON");
    answer["RspCode"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn the_ipns_answer_says_what_was_decided_in_vnpays_order() {
    let books: Books = Arc::default();
    let (house, _server, booking, paid) = paying(&books).await;
    let name = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id }.to_string();
    let total = booking.purchase.total.minor();
    let good = ipn(&name, total, ("00", "00"));
    assert_eq!(tell(&house, &good.replace("vnp_BankCode=NCB", "vnp_BankCode=ACB")).await, "97");
    assert_eq!(tell(&house, "").await, "97");
    assert_eq!(tell(&house, &ipn(&reference().to_string(), total, ("00", "00"))).await, "01");
    assert_eq!(tell(&house, &ipn("another-shops", total, ("00", "00"))).await, "01");
    assert_eq!(tell(&house, &ipn(&name, total - 1, ("00", "00"))).await, "04");
    let posted = house.http.post(format!("{}/webhooks/vnpay?{good}", house.url)).send().await.expect("an answer");
    assert_eq!((posted.status().as_u16(), &posted.headers()["allow"]), (405, &"GET".parse().expect("a value")));
    // Its own books do not show it yet: send it again.
    assert_eq!(tell(&house, &good).await, "99");
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Held);
    says(&books, "querydr", "00", "00", "01", total);
    let answers = futures::future::join_all((0..4).map(|_| tell(&house, &good))).await;
    assert!(answers.iter().all(|code| code == "00" || code == "02"), "{answers:?}");
    assert_eq!(house.purchase(booking.id).await.status, BookingStatus::Confirmed, "decided when it is answered");
    assert_eq!(tell(&house, &good).await, "02");
    assert_eq!(tell(&house, &ipn(&name, total, ("00", "02"))).await, "02", "paid stays paid");
    assert_eq!(house.count("PaymentSucceeded").await, 1);
    house.end().await;
}

#[tokio::test]
async fn a_payment_that_was_not_made_is_confirmed_too_and_one_that_comes_late_goes_back() {
    let books: Books = Arc::default();
    let (house, _server, booking, paid) = paying(&books).await;
    let name = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id }.to_string();
    let total = booking.purchase.total.minor();
    says(&books, "querydr", "00", "02", "01", total);
    assert_eq!(tell(&house, &ipn(&name, total, ("24", "02"))).await, "00");
    house.payment_status(booking.id, paid.payment_id, PaymentStatus::Failed).await;
    // The hold runs out, somebody else takes the seat, and the money is there after all.
    house.status(booking.id, BookingStatus::Expired).await;
    house.place(Order::of(booking.purchase.event_id, "minh@example.com", "k2").seats(&["A-1"])).await;
    says(&books, "querydr", "00", "00", "01", total);
    says(&books, "refund", "00", "06", "02", total);
    assert_eq!(tell(&house, &ipn(&name, total, ("00", "00"))).await, "00", "money is a fact");
    house.payment_status(booking.id, paid.payment_id, PaymentStatus::Refunded).await;
    house.end().await;
}
