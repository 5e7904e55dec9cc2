//! querydr and refund.

use serde_json::{Map, Value, json};

use super::{Book, LATER_MS, Payment, REQUEST_ID_MS, key, sign};
use crate::call::{Call, Reply};
use crate::clock::from_vietnam;
use crate::crypto::{letters, same};
use crate::server::Sim;

/// What is answered besides the code.
#[derive(Default)]
struct Outcome {
    code: &'static str,
    payment: Option<Payment>,
    kind: &'static str,
    amount: i64,
}

fn only(code: &'static str) -> Outcome {
    Outcome { code, ..Outcome::default() }
}

pub(super) fn answer(sim: &Sim, call: &Call) -> Reply {
    let asked: Map<String, Value> = serde_json::from_slice(&call.body).unwrap_or_default();
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    let command = text("vnp_Command");
    let outcome = decide(sim, &asked);
    let payment = outcome.payment.as_ref();
    let of = |read: fn(&Payment) -> String| payment.map(read).unwrap_or_default();
    let message = match outcome.code {
        "00" => "Success",
        "91" => "Transaction not found",
        "94" => "Duplicate request",
        "95" => "Transaction not successful",
        "97" => "Invalid checksum",
        "02" => "Invalid TmnCode",
        _ => "Invalid format",
    };
    let mut values = vec![
        ("vnp_ResponseId", letters(32)),
        ("vnp_Command", command.to_owned()),
        ("vnp_ResponseCode", outcome.code.to_owned()),
        ("vnp_Message", message.to_owned()),
        ("vnp_TmnCode", text("vnp_TmnCode").to_owned()),
        ("vnp_TxnRef", text("vnp_TxnRef").to_owned()),
        ("vnp_Amount", payment.map(|_| outcome.amount.to_string()).unwrap_or_default()),
        ("vnp_BankCode", of(|_| "NCB".into())),
        ("vnp_PayDate", of(|payment| payment.paid_at.clone())),
        ("vnp_TransactionNo", of(|payment| payment.transaction.clone())),
        ("vnp_TransactionType", outcome.kind.to_owned()),
        ("vnp_TransactionStatus", of(|payment| payment.status.to_owned())),
        ("vnp_OrderInfo", text("vnp_OrderInfo").to_owned()),
    ];
    if command == "querydr" {
        values.extend([("vnp_PromotionCode", String::new()), ("vnp_PromotionAmount", String::new())]);
    }
    let signed: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    let hash = sign::barred(&sim.settings.vnpay_hash_secret, &signed);
    let mut body: Map<String, Value> = values
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    body.insert("vnp_SecureHash".into(), json!(hash));
    Reply::json(200, &Value::Object(body))
}

fn decide(sim: &Sim, asked: &Map<String, Value>) -> Outcome {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    let refund = text("vnp_Command") == "refund";
    // All values are strings, an amount too.
    if !asked.values().all(Value::is_string) || !matches!(text("vnp_Command"), "querydr" | "refund") {
        return only("03");
    }
    let names: &[&str] = if refund {
        &[
            "RequestId",
            "Version",
            "Command",
            "TmnCode",
            "TransactionType",
            "TxnRef",
            "Amount",
            "TransactionNo",
            "TransactionDate",
            "CreateBy",
            "CreateDate",
            "IpAddr",
            "OrderInfo",
        ]
    } else {
        &[
            "RequestId",
            "Version",
            "Command",
            "TmnCode",
            "TxnRef",
            "TransactionDate",
            "CreateDate",
            "IpAddr",
            "OrderInfo",
        ]
    };
    let values: Vec<&str> = names.iter().map(|name| text(&format!("vnp_{name}"))).collect();
    let hash = sign::barred(&sim.settings.vnpay_hash_secret, &values);
    if !same(&text("vnp_SecureHash").to_lowercase(), &hash) {
        return only("97");
    }
    if text("vnp_TmnCode") != sim.settings.vnpay_tmn_code {
        return only("02");
    }
    let optional = |name: &str| name == "TransactionNo";
    let empty = names.iter().zip(&values).any(|(name, value)| value.is_empty() && !optional(name));
    let dates = [text("vnp_CreateDate"), text("vnp_TransactionDate")].iter().all(|date| from_vietnam(date).is_some());
    if empty || !dates || text("vnp_Version") != "2.1.0" || text("vnp_RequestId").len() > 32 {
        return only("03");
    }
    let now = sim.clock.now_ms();
    let mut book = sim.vnpay.0.lock();
    let id = text("vnp_RequestId");
    if book.requests.get(id).is_some_and(|at| now - at < REQUEST_ID_MS) {
        return only("94");
    }
    book.requests.put(id, now);
    let name = key(text("vnp_TransactionDate"), text("vnp_TxnRef"));
    let Some(payment) = book.payments.get(&name).filter(|payment| payment.created == text("vnp_TransactionDate"))
    else {
        return only("91");
    };
    if !refund {
        let (payment, kind) = (payment.clone(), if payment.refunded == 0 { "01" } else { "02" });
        let kind = if payment.refunded > 0 && payment.refunded < payment.amount { "03" } else { kind };
        return Outcome { code: "00", amount: payment.amount, payment: Some(payment), kind };
    }
    give_back(sim, &mut book, &name, text("vnp_TransactionType"), text("vnp_Amount"), text("vnp_TransactionNo"))
}

fn give_back(sim: &Sim, book: &mut Book, name: &str, kind: &str, amount: &str, transaction: &str) -> Outcome {
    let now = sim.clock.now_ms();
    let Some(payment) = book.payments.get_mut(name) else { return only("91") };
    if payment.refund_ends.is_some() {
        return only("94");
    }
    // A refund before may have ended: what is left can still be asked for.
    if !matches!(payment.status, "00" | "06" | "09") {
        return only("95");
    }
    let Some(amount) = amount.parse::<i64>().ok().filter(|amount| *amount > 0 && amount % 100 == 0) else {
        return only("03");
    };
    let left = payment.amount - payment.refunded;
    let fits = match kind {
        "02" => amount == payment.amount && left == amount,
        "03" => amount <= left,
        _ => false,
    };
    if !fits {
        return only(if left == 0 { "94" } else { "03" });
    }
    if !matches!(transaction, "" | "0") && transaction != payment.transaction {
        return only("91");
    }
    let fails = payment.plan(sim, "refund").refund_fails;
    payment.status = "05";
    payment.refund_ends = Some((now + LATER_MS, if fails { "09" } else { "06" }));
    payment.refunded += if fails { 0 } else { amount };
    let kind = if kind == "02" { "02" } else { "03" };
    Outcome { code: "00", amount, payment: Some(payment.clone()), kind }
}
