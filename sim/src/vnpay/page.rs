//! The payment page: what may open it, and its buttons.

use super::{Payment, act, ipn, key, sign};
use crate::call::{self, Call, Reply, value_of};
use crate::clock::from_vietnam;
use crate::plan::Webhooks;
use crate::server::Sim;

/// Names that a payment may have, besides `vnp_Bill_…` and `vnp_Inv_…`.
const KNOWN: [&str; 15] = [
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_CreateDate",
    "vnp_CurrCode",
    "vnp_IpAddr",
    "vnp_Locale",
    "vnp_OrderInfo",
    "vnp_OrderType",
    "vnp_ReturnUrl",
    "vnp_ExpireDate",
    "vnp_TxnRef",
    "vnp_SecureHash",
];
/// A clock that is so far ahead of ours is taken for right.
const AHEAD_MS: i64 = 300_000;

/// Why the page shows an error: VNPay's code, and what was wrong.
type Wrong = (&'static str, String);

fn wrong(name: &str, rule: &str) -> Wrong {
    ("03", format!("{name}: {rule}"))
}

/// Opens the page, which is what makes the payment.
pub(super) fn open(sim: &Sim, call: &Call) -> Reply {
    match admit(sim, &call.query) {
        Ok(to) => Reply::to(&to),
        Err((code, message)) => {
            let lines = [format!("Error code {code}"), message];
            Reply::html(200, call::page("Payment error", &lines, "", &[])).with("x-sim-error", code)
        }
    }
}

fn admit(sim: &Sim, query: &str) -> Result<String, Wrong> {
    let pairs = call::pairs(query.as_bytes());
    let value = |name: &str| value_of(&pairs, name).unwrap_or_default();
    let last = pairs.last().map(|(name, _)| name.as_str());
    if last != Some("vnp_SecureHash") || !sign::verifies(&sim.settings.vnpay_hash_secret, query) {
        return Err(("70", "vnp_SecureHash: wrong, or not the last".into()));
    }
    for (name, _) in &pairs {
        let extra = name.starts_with("vnp_Bill_") || name.starts_with("vnp_Inv_");
        if !extra && !KNOWN.contains(&name.as_str()) {
            return Err(wrong(name, "is unknown in 2.1.0"));
        }
        if pairs.iter().filter(|(other, _)| other == name).count() > 1 {
            return Err(wrong(name, "was given twice"));
        }
    }
    let tmn = sim.settings.vnpay_tmn_code.as_str();
    for (name, exact) in
        [("vnp_Version", "2.1.0"), ("vnp_Command", "pay"), ("vnp_CurrCode", "VND"), ("vnp_TmnCode", tmn)]
    {
        if value(name) != exact {
            return Err(wrong(name, &format!("must be {exact}")));
        }
    }
    if !matches!(value("vnp_Locale"), "vn" | "en") {
        return Err(wrong("vnp_Locale", "must be vn or en"));
    }
    let lengths = [
        ("vnp_IpAddr", 7, 45),
        ("vnp_OrderInfo", 1, 255),
        ("vnp_OrderType", 1, 100),
        ("vnp_ReturnUrl", 10, 255),
        ("vnp_TxnRef", 1, 100),
    ];
    for (name, least, most) in lengths {
        if !(least..=most).contains(&value(name).chars().count()) {
            return Err(wrong(name, &format!("has from {least} to {most} characters")));
        }
    }
    if !value("vnp_OrderInfo").chars().all(|letter| letter.is_ascii_alphanumeric() || " .,:;/_-".contains(letter)) {
        return Err(wrong("vnp_OrderInfo", "has diacritics or special characters"));
    }
    if !value("vnp_TxnRef").chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter)) {
        return Err(wrong("vnp_TxnRef", "has letters, digits, and _ - . only"));
    }
    if url::Url::parse(value("vnp_ReturnUrl")).is_err() {
        return Err(wrong("vnp_ReturnUrl", "is no URL"));
    }
    let digits = value("vnp_Amount");
    let amount = digits.parse::<i64>().ok().filter(|amount| *amount > 0 && digits.len() <= 12 && amount % 100 == 0);
    let amount = amount.ok_or_else(|| wrong("vnp_Amount", "is VND times 100, in 1 to 12 digits"))?;
    let now = sim.clock.now_ms();
    let created =
        from_vietnam(value("vnp_CreateDate")).ok_or_else(|| wrong("vnp_CreateDate", "is yyyyMMddHHmmss at GMT+7"))?;
    let expires_ms =
        from_vietnam(value("vnp_ExpireDate")).ok_or_else(|| wrong("vnp_ExpireDate", "is yyyyMMddHHmmss at GMT+7"))?;
    if created > now + AHEAD_MS || expires_ms <= created {
        return Err(wrong("vnp_CreateDate", "is in the future, or not before vnp_ExpireDate"));
    }
    if now > expires_ms {
        return Err(("15", "vnp_ExpireDate: the payment has expired".into()));
    }
    let reference = value("vnp_TxnRef").to_owned();
    let name = key(value("vnp_CreateDate"), &reference);
    let mut book = sim.vnpay.0.lock();
    if book.payments.has(&name) {
        return Err(("01", "vnp_TxnRef: was used already today".into()));
    }
    let payment = Payment {
        amount,
        info: value("vnp_OrderInfo").to_owned(),
        created: value("vnp_CreateDate").to_owned(),
        expires_ms,
        return_url: value("vnp_ReturnUrl").to_owned(),
        response: "",
        status: "01",
        transaction: "0".into(),
        paid_at: String::new(),
        refunded: 0,
        ends: None,
        refund_ends: None,
        reference: reference.clone(),
    };
    book.payments.put(&name, payment);
    Ok(format!("/vnpay/paymentv2/pay/{}/{reference}", &value("vnp_CreateDate")[..8]))
}

/// Shows a payment, or does what a button says and sends the customer back.
pub(super) fn button(sim: &Sim, call: &Call, day: &str, reference: &str) -> Reply {
    let name = key(day, reference);
    let read = || sim.vnpay.0.lock().payments.get(&name).cloned();
    let Some(payment) = read() else { return Reply::html(404, "no such payment".into()) };
    if call.is_get() {
        let lines = [format!("{} VND", payment.amount / 100), payment.info.clone(), format!("Reference {reference}")];
        let buttons = [("approve", "Pay"), ("decline", "Decline"), ("cancel", "Cancel"), ("pay_late", "Pay late")];
        let action = format!("/vnpay/paymentv2/pay/{day}/{reference}");
        return Reply::html(200, call::page("VNPay", &lines, &action, &buttons));
    }
    let form = call::pairs(&call.body);
    if let Err((status, message)) = act(sim, reference, value_of(&form, "do").unwrap_or_default()) {
        return Reply::html(status, call::escape(&message));
    }
    let Some(after) = read() else { return Reply::empty(404) };
    let joint = if after.return_url.contains('?') { '&' } else { '?' };
    let values = ipn::values(sim, &after, &Webhooks::default());
    Reply::to(&format!("{}{joint}{}", after.return_url, sign::query(&sim.settings.vnpay_hash_secret, &values, false)))
}
