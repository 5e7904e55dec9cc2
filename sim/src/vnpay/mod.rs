//! VNPay 2.1.0: the payment page, IPN and return, querydr and refund.

mod api;
mod ipn;
mod page;
mod sign;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::control::Refused;
use crate::crypto::digits;
use crate::plan::Plan;
use crate::server::Sim;
use crate::shelf::Shelf;

/// How long a payment that hangs does so, and a refund that is with the bank.
const LATER_MS: i64 = 60_000;
/// A request id may not be used again within this time.
const REQUEST_ID_MS: i64 = 300_000;

/// A payment, from the moment in which the customer opened the page.
#[derive(Clone)]
struct Payment {
    reference: String,
    /// As on the wire: hundredths of a VND.
    amount: i64,
    info: String,
    created: String,
    expires_ms: i64,
    return_url: String,
    response: &'static str,
    status: &'static str,
    transaction: String,
    paid_at: String,
    refunded: i64,
    /// When, and with what response code, a hanging payment ends.
    ends: Option<(i64, &'static str)>,
    /// When, and with what status, the last refund ends.
    refund_ends: Option<(i64, &'static str)>,
}

impl Payment {
    fn is_open(&self) -> bool {
        self.status == "01" && self.ends.is_none()
    }

    fn plan(&self, sim: &Sim, step: &str) -> Plan {
        sim.scenarios.plan(step, &self.reference, self.amount / 100, "")
    }
}

#[derive(Default)]
struct Book {
    /// By day of creation and reference, which is what must be unique.
    payments: Shelf<Payment>,
    requests: Shelf<i64>,
}

impl Book {
    /// The newest payment of that reference.
    fn key_of(&self, reference: &str) -> Option<String> {
        self.payments.iter().rev().find(|(_, payment)| payment.reference == reference).map(|(key, _)| key.clone())
    }
}

#[derive(Default)]
pub(crate) struct Vnpay(Mutex<Book>);

impl Vnpay {
    pub(crate) fn clear(&self) {
        *self.0.lock() = Book::default();
    }
}

/// Payments are one a day and reference.
fn key(created: &str, reference: &str) -> String {
    format!("{} {reference}", created.get(..8).unwrap_or_default())
}

pub(crate) fn answer(sim: &Sim, call: &Call) -> Reply {
    match (call.method.as_str(), call.route().as_slice()) {
        ("GET", ["paymentv2", "vpcpay.html"]) => page::open(sim, call),
        ("GET" | "POST", ["paymentv2", "pay", day, reference]) => page::button(sim, call, day, reference),
        ("POST", ["merchant_webapi", "api", "transaction"]) => api::answer(sim, call),
        ("POST", ["qrpayauth", "api", "merchant", "get_bank_list"]) => Reply::json(
            200,
            &json!([
                { "bank_code": "NCB", "bank_name": "Ngan hang NCB", "logo_link": "", "bank_type": 1, "display_order": 1 },
            ]),
        ),
        _ => Reply::empty(404),
    }
}

/// Ends a payment with a response code, and calls the merchant.
fn end(sim: &Sim, payment: &mut Payment, code: &'static str) {
    let now = sim.clock.now_ms();
    payment.ends = None;
    payment.response = code;
    payment.status = if code == "00" { "00" } else { "02" };
    payment.transaction = if matches!(code, "24" | "11") { "0".into() } else { digits(8) };
    payment.paid_at = if payment.transaction == "0" { String::new() } else { crate::clock::vietnam(now) };
    let plan = payment.plan(sim, "pay").webhook;
    ipn::send(sim, payment, &plan);
}

/// The customer pays: well, badly, or with an outcome that comes later.
fn pay(sim: &Sim, payment: &mut Payment, decline: bool) {
    let plan = payment.plan(sim, "pay");
    let code = match plan.decline.as_deref() {
        Some("insufficient_funds") => "51",
        Some(_) => "09",
        None if decline => "51",
        None => "00",
    };
    if plan.pending {
        payment.ends = Some((sim.clock.now_ms() + LATER_MS, code));
    } else {
        end(sim, payment, code);
    }
}

/// The control API's customer and bank.
pub(crate) fn act(sim: &Sim, reference: &str, action: &str) -> Result<Value, Refused> {
    let mut book = sim.vnpay.0.lock();
    let missing = || (404_u16, format!("vnpay: the customer opened no payment {reference}"));
    let key = book.key_of(reference).ok_or_else(missing)?;
    let payment = book.payments.get_mut(&key).ok_or_else(missing)?;
    let late = action == "pay_late" || (action == "approve" && payment.plan(sim, "pay").pay_after_expiry);
    match action {
        "approve" | "decline" | "cancel" | "expire" if !payment.is_open() => {
            return Err((409, "vnpay: the payment has ended".into()));
        }
        "approve" | "decline" | "cancel" if !late && sim.clock.now_ms() > payment.expires_ms => {
            return Err((409, "vnpay: the payment has expired; only pay_late remains".into()));
        }
        "approve" | "decline" => pay(sim, payment, action == "decline"),
        "cancel" => end(sim, payment, "24"),
        "expire" => end(sim, payment, "11"),
        "pay_late" if payment.status != "00" => end(sim, payment, "00"),
        "pay_late" => return Err((409, "vnpay: paid already".into())),
        "review" if payment.is_open() => {
            end(sim, payment, "07");
            payment.status = "07";
        }
        "reverse" if payment.status == "00" => payment.status = "04",
        _ => {
            let allowed = "approve, decline, cancel, expire, pay_late, review, reverse (of what was paid)";
            return Err((404, format!("vnpay: no action {action} now; allowed: {allowed}")));
        }
    }
    Ok(json!({ "responseCode": payment.response, "transactionStatus": payment.status }))
}

/// When the next hanging payment or refund ends.
pub(crate) fn next_due(sim: &Sim) -> Option<i64> {
    let book = sim.vnpay.0.lock();
    let dues = book.payments.iter().flat_map(|(_, payment)| [payment.ends, payment.refund_ends]);
    dues.flatten().map(|(due, _)| due).min()
}

/// Ends what ends by now.
pub(crate) fn run_due(sim: &Sim, now: i64) {
    let mut book = sim.vnpay.0.lock();
    let is_due = |at: Option<(i64, &'static str)>| at.is_some_and(|(due, _)| due <= now);
    let due: Vec<String> = book
        .payments
        .iter()
        .filter(|(_, payment)| is_due(payment.ends) || is_due(payment.refund_ends))
        .map(|(key, _)| key.clone())
        .collect();
    for key in due {
        let Some(payment) = book.payments.get_mut(&key) else { continue };
        if let Some((_, code)) = payment.ends.filter(|_| is_due(payment.ends)) {
            end(sim, payment, code);
        }
        if let Some((_, status)) = payment.refund_ends.filter(|_| is_due(payment.refund_ends)) {
            payment.status = status;
            payment.refund_ends = None;
        }
    }
}
