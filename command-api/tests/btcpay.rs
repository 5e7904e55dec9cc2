//! BTCPay's client against the facts of BTCPay's wire, over a real socket, and purchases through it.

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
    Attempt, AttemptRef, Gateway, GatewayError, GatewayStatus, RefundOutcome, Rejected,
    btcpay::{BtcpayGateway, BtcpayOptions},
};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus, RefundStatus},
    money::Money,
};
use tickiz_event_log::runtime::{Clock, ManualClock};
use world::{Order, hall};

const SECRET: &str = "BTCPayTickizSecret";
const STORE: &str = "StoreTkz1";

fn btcpay(url: &str, clock: Arc<dyn Clock>) -> BtcpayGateway {
    BtcpayGateway::try_new(BtcpayOptions {
        api_url: url.to_owned(),
        store_id: STORE.to_owned(),
        api_key: "key-of-the-tests".into(),
        webhook_secret: SECRET.into(),
        return_url: "https://tickets.example".to_owned(),
        clock,
    })
    .expect("a client")
}

fn new_year() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_767_225_600, 0).expect("a time")))
}

/// The server as far as a purchase goes: its invoices and what was paid on the first.
#[derive(Default)]
struct Books {
    invoices: Vec<Value>,
    payments: Vec<&'static str>,
    breaks_off: bool,
}

fn plays(books: &Arc<Mutex<Books>>, asked: &Asked) -> Says {
    let mut books = books.lock();
    assert_eq!(asked.header("authorization"), "token key-of-the-tests");
    let path = asked.path.strip_prefix("/api/v1/stores/StoreTkz1/").expect("the store's calls").to_owned();
    match (asked.method.as_str(), path.as_str()) {
        ("POST", "invoices") => {
            let request = asked.json();
            let number = books.invoices.len() + 1;
            books.invoices.push(json!({
                "id": format!("InvTkz{number}"), "storeId": STORE, "status": "New", "additionalStatus": "None",
                "amount": request["amount"], "paidAmount": "0", "currency": request["currency"],
                "checkoutLink": format!("https://btcpay.example/i/InvTkz{number}"), "metadata": request["metadata"],
            }));
            if std::mem::take(&mut books.breaks_off) {
                return Says::BreaksOff;
            }
            (200, books.invoices.last().cloned().expect("it is made")).into()
        }
        ("GET", "invoices") => {
            let name = asked.query.strip_prefix("orderId=").expect("by its name");
            let found: Vec<&Value> = books.invoices.iter().filter(|of| of["metadata"]["orderId"] == name).collect();
            (200, json!(found)).into()
        }
        ("GET", "invoices/InvTkz1") if !books.invoices.is_empty() => (200, books.invoices[0].clone()).into(),
        ("GET", "invoices/InvTkz1/payment-methods") => {
            let payments: Vec<Value> = books.payments.iter().map(|status| json!({"status": status})).collect();
            (200, json!([{"paymentMethodId": "BTC-CHAIN", "payments": payments}, {"paymentMethodId": "BTC-LN"}])).into()
        }
        _ => (404, json!({"code": "invoice-not-found", "message": "The invoice was not found"})).into(),
    }
}

async fn server(books: &Arc<Mutex<Books>>) -> Counterpart {
    let played = books.clone();
    Counterpart::new(move |asked| plays(&played, asked)).await
}

fn known() -> Attempt {
    Attempt { gateway_reference: Some("InvTkz1".to_owned()), ..attempt("450000", "VND") }
}

fn stands(books: &Mutex<Books>, status: &str, additional: &str, paid: &str, payments: &[&'static str]) {
    let mut books = books.lock();
    books.payments = payments.to_vec();
    let invoice = &mut books.invoices[0];
    invoice["status"] = status.into();
    invoice["additionalStatus"] = additional.into();
    invoice["paidAmount"] = paid.into();
}

#[tokio::test]
async fn the_signature_vectors_are_taken_and_refused_as_they_say() {
    let gateway = btcpay("http://127.0.0.1:1", new_year());
    for vector in vectors("btcpay-webhook") {
        if vector["secret"] != SECRET {
            continue;
        }
        let taken = deliver(&gateway, &[("btcpay-sig", text(&vector, "header"))], text(&vector, "message")).await;
        let is_signed = !matches!(taken, Err(Rejected::Signature));
        assert_eq!(is_signed, vector["accept"].as_bool().expect("it says"), "{}: {taken:?}", vector["id"]);
    }
    assert_eq!(deliver(&gateway, &[], "{}").await, Err(Rejected::Signature));
}

#[tokio::test]
async fn an_invoice_whose_answer_was_lost_is_found_by_its_name_and_not_made_twice() {
    let books = Arc::new(Mutex::new(Books { breaks_off: true, ..Books::default() }));
    let server = server(&books).await;
    let gateway = btcpay(&server.url, new_year());
    assert_eq!(gateway.read(&attempt("450000", "VND")).await, Ok(None));
    assert!(matches!(gateway.create(&attempt("450000", "VND")).await, Err(GatewayError::Unknown(_))));
    let asked = server.last().json();
    assert_eq!((asked["amount"].as_str(), asked["currency"].as_str()), (Some("450000"), Some("VND")));
    assert_eq!(asked["checkout"]["expirationMinutes"], 15);
    assert_eq!(asked["metadata"]["orderId"], reference().to_string());
    let found = gateway.read(&attempt("450000", "VND")).await.expect("it answers").expect("it is there");
    assert_eq!((found.status, found.gateway_reference.as_str()), (GatewayStatus::Open, "InvTkz1"));
    let created = gateway.create(&attempt("450000", "VND")).await.expect("it is there");
    assert_eq!(created.redirect_url.as_deref(), Some("https://btcpay.example/i/InvTkz1"));
    assert_eq!(books.lock().invoices.len(), 1);
}

#[tokio::test]
async fn an_invoice_is_read_as_it_stands_late_too_little_and_too_much() {
    let books: Arc<Mutex<Books>> = Arc::default();
    let server = server(&books).await;
    let gateway = btcpay(&server.url, new_year());
    gateway.create(&attempt("450000", "VND")).await.expect("it is made");
    let received = |amount| GatewayStatus::Succeeded { received: Money::parse(amount, "VND").expect("an amount") };
    let failed = GatewayStatus::Failed { reason: "the payment was not confirmed by the network".to_owned() };
    for (status, additional, paid, payments, wanted) in [
        ("New", "None", "0", &[][..], GatewayStatus::Open),
        ("New", "PaidPartial", "200000", &["Settled"], GatewayStatus::Open),
        ("Processing", "None", "450000", &["Processing"], GatewayStatus::Pending),
        ("Processing", "PaidOver", "500000", &["Processing"], GatewayStatus::Pending),
        ("Settled", "None", "450000", &["Settled"], received("450000")),
        // The rest is a person's; the tickets are the buyer's.
        ("Settled", "PaidOver", "500000.77", &["Settled"], received("450000")),
        ("Invalid", "None", "450000", &["Invalid"], failed),
        ("Expired", "None", "0", &[], GatewayStatus::Expired),
        ("Expired", "PaidLate", "450000", &["Processing"], GatewayStatus::Pending),
        ("Expired", "PaidLate", "450000.99", &["Settled"], received("450000")),
        ("Expired", "PaidPartial", "200000", &["Settled", "Processing"], GatewayStatus::Pending),
        ("Expired", "PaidPartial", "200000.5", &["Settled", "Invalid"], received("200000")),
        ("Expired", "PaidPartial", "200000", &["Invalid"], GatewayStatus::Pending),
    ] {
        stands(&books, status, additional, paid, payments);
        let read = gateway.read(&known()).await.expect("it answers").expect("it is there");
        assert_eq!(read.status, wanted, "{status} {additional} {paid}");
        assert_eq!(read.reference, reference());
    }
    for (name, value) in
        [("storeId", "another"), ("status", "unheard-of"), ("amount", "1e5"), ("metadata", "none"), ("currency", "XXX")]
    {
        let good = books.lock().invoices[0].clone();
        books.lock().invoices[0][name] = value.into();
        assert!(matches!(gateway.read(&known()).await, Err(GatewayError::Unknown(_))), "{name}");
        books.lock().invoices[0] = good;
    }
    let refused = gateway.refund(&refund_of("InvTkz1", "450000", "VND")).await.expect("it is said");
    assert!(
        matches!(&refused, RefundOutcome::Refused { reason } if reason.contains("by a person") && reason.contains("InvTkz1"))
    );
    for (status, body, wanted) in [
        (400, json!([{"path": "amount", "message": "no rate"}]).to_string(), "refused"),
        (403, json!({"code": "missing-permission"}).to_string(), "not done"),
        (404, "<html>".to_owned(), "not done"),
        (400, "<html>".to_owned(), "unknown"),
        (500, String::new(), "unknown"),
    ] {
        let said = body.clone();
        let server = Counterpart::new(move |asked| match asked.method.as_str() {
            "GET" => (200, json!([])).into(),
            _ => Says::This(status, said.clone()),
        })
        .await;
        let is = match btcpay(&server.url, new_year()).create(&attempt("450000", "VND")).await {
            Ok(_) => "created",
            Err(GatewayError::Refused(_)) => "refused",
            Err(GatewayError::NotDone(_)) => "not done",
            Err(GatewayError::Unknown(_)) => "unknown",
        };
        assert_eq!(is, wanted, "{status} {body}");
    }
}

async fn tell(house: &House, id: &str, of: AttemptRef) -> u16 {
    // Indented and with its own line ends, as the server writes it.
    let body = format!(
        "{{\r\n  \"deliveryId\": \"{id}-2\",\r\n  \"originalDeliveryId\": \"{id}\",\r\n  \"type\": \"InvoiceSettled\",\r\n  \
         \"storeId\": \"{STORE}\",\r\n  \"invoiceId\": \"InvTkz1\",\r\n  \"metadata\": {{\r\n    \"orderId\": \"{of}\"\r\n  }}\r\n}}"
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    let header = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let url = format!("{}/webhooks/bitcoin", house.url);
    house.http.post(url).header("btcpay-sig", header).body(body).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn bitcoin_buys_when_it_is_settled_and_what_comes_late_is_found_without_a_message() {
    for is_late in [false, true] {
        let books: Arc<Mutex<Books>> = Arc::default();
        let server = server(&books).await;
        let url = server.url.clone();
        let make: house::MakeGateway = Box::new(move |clock| Arc::new(btcpay(&url, clock)));
        let house = House::working(Plan { others: vec![make], ..Plan::default() }).await;
        let show = house.world.show(hall(2, 4)).await;
        let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1"])).await;
        let paid = house.try_pay(&booking, PaymentMethod::Bitcoin, "p").await.expect("it can be paid");
        let of = AttemptRef { booking_id: booking.id, payment_id: paid.payment_id };
        let total = booking.purchase.total.to_decimal_string();
        if is_late {
            stands(&books, "Expired", "None", "0", &[]);
            house.payment_status(booking.id, paid.payment_id, PaymentStatus::Expired).await;
            house.status(booking.id, BookingStatus::Expired).await;
            house.place(Order::of(show.id, "minh@example.com", "k2").seats(&["A-1"])).await;
            stands(&books, "Expired", "PaidLate", &total, &["Settled"]);
            let refused = house.until("the money", async || {
                let purchase = house.purchase(booking.id).await;
                purchase.refunds.iter().any(|refund| refund.status == RefundStatus::Failed).then_some(purchase)
            });
            let received = refused.await.payment(paid.payment_id).and_then(|payment| payment.received);
            assert_eq!(received, Some(booking.purchase.total), "it is known, and a person pays it back");
        } else {
            stands(&books, "Processing", "None", &total, &["Processing"]);
            assert_eq!(tell(&house, "delivery-1", of).await, 200);
            stands(&books, "Settled", "None", &total, &["Settled"]);
            assert_eq!(tell(&house, "delivery-2", of).await, 200);
            assert_eq!(tell(&house, "delivery-2", of).await, 200);
            house.status(booking.id, BookingStatus::Confirmed).await;
            assert_eq!(house.count("PaymentSucceeded").await, 1);
        }
        house.end().await;
    }
}
