//! The call to the merchant, and how often it is made.

use std::sync::Arc;

use serde_json::Value;

use super::{Payment, sign};
use crate::outbox::{Answer, Message, Next, Outgoing};
use crate::plan::Webhooks;
use crate::server::Sim;
use crate::settings::Gateway;

/// At most so many calls,
const CALLS: u32 = 10;
/// so far apart.
const APART_MS: i64 = 300_000;

struct Ipn {
    url: String,
    secret: String,
    values: Vec<(&'static str, String)>,
}

impl Message for Ipn {
    fn kind(&self) -> String {
        "ipn".into()
    }

    fn request(&self, _: i64, forged: bool) -> Outgoing {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}{}", self.url, sign::query(&self.secret, &self.values, forged));
        Outgoing { method: reqwest::Method::GET, url, headers: vec![], body: String::new() }
    }

    fn next(&self, attempt: u32, answer: Option<&Answer>) -> Next {
        let said = answer.filter(|answer| answer.status == 200);
        let said = said.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok()).unwrap_or_default();
        match said["RspCode"].as_str() {
            Some("00" | "02") => Next::Done,
            _ if attempt >= CALLS => Next::GivenUp,
            _ => Next::Again { after_ms: APART_MS },
        }
    }
}

/// The parameters of IPN and return alike.
pub(super) fn values(sim: &Sim, payment: &Payment, plan: &Webhooks) -> Vec<(&'static str, String)> {
    let paid = payment.transaction != "0";
    vec![
        ("vnp_TmnCode", sim.settings.vnpay_tmn_code.clone()),
        ("vnp_Amount", (payment.amount + plan.amount * 100).to_string()),
        ("vnp_BankCode", if paid { "NCB".into() } else { "VNPAY".into() }),
        ("vnp_BankTranNo", if paid { format!("VNP{}", payment.transaction) } else { String::new() }),
        ("vnp_CardType", if paid { "ATM".into() } else { "QRCODE".into() }),
        ("vnp_PayDate", payment.paid_at.clone()),
        ("vnp_OrderInfo", payment.info.clone()),
        ("vnp_TransactionNo", payment.transaction.clone()),
        ("vnp_ResponseCode", payment.response.into()),
        ("vnp_TransactionStatus", payment.status.into()),
        ("vnp_TxnRef", payment.reference.clone()),
    ]
}

pub(super) fn send(sim: &Sim, payment: &Payment, plan: &Webhooks) {
    let Some(url) = sim.settings.webhooks_to.get(&Gateway::Vnpay) else { return };
    let values = values(sim, payment, plan);
    let ipn = Ipn { url: url.clone(), secret: sim.settings.vnpay_hash_secret.clone(), values };
    sim.outbox.send(Gateway::Vnpay, &payment.reference, vec![Arc::new(ipn)], plan, sim.clock.now_ms());
}
