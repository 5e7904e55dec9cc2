//! Checkout Sessions: what may be asked, and what they look like.

use serde_json::{Value, json};

use super::events::{Cause, tell};
use super::form::{self, Form, need};
use super::{Refusal, Request, pay};
use crate::crypto::letters;
use crate::plan::Webhooks;

/// A session may not expire sooner, nor later, than this many seconds after its creation.
const EXPIRY: std::ops::RangeInclusive<i64> = 1_800..=86_400;
/// `amount` has at most 8 digits.
const MOST: i64 = 99_999_999;

const ZERO_DECIMAL: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
const TWO_DECIMAL: [&str; 24] = [
    "usd", "eur", "gbp", "aud", "cad", "chf", "sgd", "hkd", "nzd", "thb", "myr", "php", "idr", "inr", "cny", "twd",
    "huf", "czk", "pln", "dkk", "nok", "sek", "isk", "ugx",
];

const KNOWN: [&str; 27] = [
    "mode",
    "ui_mode",
    "success_url",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "expires_at",
    "locale",
    "submit_type",
    "metadata[*]",
    "payment_intent_data[metadata][*]",
    "payment_intent_data[description]",
    "payment_intent_data[statement_descriptor_suffix]",
    "payment_intent_data[receipt_email]",
    "payment_intent_data[capture_method]",
    "line_items[#][price_data][currency]",
    "line_items[#][price_data][unit_amount]",
    "line_items[#][price_data][product_data][name]",
    "line_items[#][price_data][product_data][description]",
    "line_items[#][price_data][product_data][metadata][*]",
    "line_items[#][quantity]",
    "adaptive_pricing[enabled]",
    "payment_method_types[#]",
    "expand[#]",
    "billing_address_collection",
    "allow_promotion_codes",
    "automatic_tax[enabled]",
];

/// About 0.50 USD, in the currency's smallest unit on the wire; nothing for a currency that is not known.
fn minimum(currency: &str) -> Option<i64> {
    match currency {
        "vnd" => Some(12_500),
        "jpy" => Some(50),
        "krw" => Some(700),
        "huf" => Some(17_500),
        "isk" => Some(7_000),
        "ugx" => Some(190_000),
        zero if ZERO_DECIMAL.contains(&zero) => Some(50),
        three if THREE_DECIMAL.contains(&three) => Some(200),
        two if TWO_DECIMAL.contains(&two) => Some(50),
        _ => None,
    }
}

struct Basket {
    currency: String,
    total: i64,
    lines: Vec<Value>,
}

fn basket(form: &Form) -> Result<Basket, Refusal> {
    let mut basket = Basket { currency: String::new(), total: 0, lines: vec![] };
    for index in 0..=100 {
        let prefix = format!("line_items[{index}]");
        if !form.keys().any(|name| name.starts_with(&prefix)) {
            break;
        }
        if index == 100 {
            return Err(Refusal::parameter("parameter_invalid", "line_items", "are 100 at most"));
        }
        let (in_currency, in_amount) =
            (format!("{prefix}[price_data][currency]"), format!("{prefix}[price_data][unit_amount]"));
        let currency = need(form, &in_currency)?;
        if minimum(currency).is_none() || (index > 0 && currency != basket.currency) {
            return Err(Refusal::parameter(
                "parameter_invalid",
                &in_currency,
                "is no currency, or not that of the others",
            ));
        }
        currency.clone_into(&mut basket.currency);
        need(form, &in_amount)?;
        let unit = form::whole(form, &in_amount, 0, MOST)?.unwrap_or(0);
        let step = match currency {
            three if THREE_DECIMAL.contains(&three) => 10,
            "isk" | "ugx" => 100,
            _ => 1,
        };
        if unit % step != 0 {
            return Err(Refusal::parameter(
                "parameter_invalid_integer",
                &in_amount,
                &format!("is no multiple of {step}"),
            ));
        }
        let in_quantity = format!("{prefix}[quantity]");
        need(form, &in_quantity)?;
        let quantity = form::whole(form, &in_quantity, 1, 1_000_000)?.unwrap_or(1);
        let name = need(form, &format!("{prefix}[price_data][product_data][name]"))?;
        basket.total = basket.total.saturating_add(unit.saturating_mul(quantity));
        basket.lines.push(json!({
            "id": format!("li_{}", letters(24)), "object": "item", "description": name, "currency": currency,
            "quantity": quantity, "amount_subtotal": unit * quantity, "amount_total": unit * quantity,
            "amount_discount": 0, "amount_tax": 0,
            "price": { "id": format!("price_{}", letters(24)), "object": "price", "currency": currency, "unit_amount": unit },
        }));
    }
    if basket.lines.is_empty() {
        return Err(Refusal::parameter("parameter_missing", "line_items", "is required"));
    }
    if basket.total > MOST {
        return Err(Refusal::request("amount_too_large", "The amount has at most 8 digits"));
    }
    if minimum(&basket.currency).is_some_and(|least| basket.total < least) {
        return Err(Refusal::request("amount_too_small", "The amount must reach about 0.50 USD"));
    }
    Ok(basket)
}

fn check(form: &Form, now: i64) -> Result<i64, Refusal> {
    form::only(form, &KNOWN)?;
    if need(form, "mode")? != "payment" {
        return Err(Refusal::parameter("parameter_invalid", "mode", "is payment here"));
    }
    form::one_of(form, "submit_type", &["pay", "book", "donate", "auto"])?;
    form::one_of(form, "ui_mode", &["hosted_page"])?;
    form::one_of(form, "adaptive_pricing[enabled]", &["true", "false"])?;
    form::one_of(form, "payment_intent_data[capture_method]", &["automatic", "automatic_async", "manual"])?;
    for name in ["success_url", "cancel_url"] {
        let given = form.get(name).filter(|value| name == "success_url" || !value.is_empty());
        let address = if name == "success_url" { Some(need(form, name)?) } else { given.map(String::as_str) };
        if address.is_some_and(|address| url::Url::parse(address).is_err()) {
            return Err(Refusal::parameter("url_invalid", name, "is no URL"));
        }
    }
    if form.get("client_reference_id").is_some_and(|value| value.chars().count() > 200) {
        return Err(Refusal::parameter("parameter_invalid", "client_reference_id", "has at most 200 characters"));
    }
    if form.get("customer_email").is_some_and(|value| !value.contains('@')) {
        return Err(Refusal::parameter("email_invalid", "customer_email", "is no address"));
    }
    let expires = form::whole(form, "expires_at", 0, i64::MAX)?.unwrap_or(now + EXPIRY.end());
    if !EXPIRY.contains(&(expires - now)) {
        return Err(Refusal::parameter("parameter_invalid", "expires_at", "is from 30 minutes to 24 hours from now"));
    }
    Ok(expires)
}

pub(super) fn create(request: &Request<'_>) -> Result<Value, Refusal> {
    let (sim, form) = (request.sim, &request.form);
    let now = sim.clock.now_s();
    let expires = check(form, now)?;
    let basket = basket(form)?;
    let id = format!("cs_test_{}", letters(58));
    let text = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let session = json!({
        "id": id, "object": "checkout.session", "url": format!("{}/stripe/pay/{id}", sim.base),
        "status": "open", "payment_status": "unpaid", "payment_intent": null,
        "amount_subtotal": basket.total, "amount_total": basket.total, "currency": basket.currency,
        "client_reference_id": text("client_reference_id"), "customer": null,
        "customer_email": text("customer_email"), "customer_details": null,
        "expires_at": expires, "created": now, "livemode": false, "metadata": form::metadata(form, "metadata")?,
        "mode": "payment", "payment_method_types": ["card"],
        "success_url": text("success_url"), "cancel_url": text("cancel_url"),
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "after_expiration": null, "recovered_from": null, "locale": text("locale"), "ui_mode": "hosted_page",
        "submit_type": text("submit_type"),
    });
    let for_intent = json!({
        "metadata": form::metadata(form, "payment_intent_data[metadata]")?,
        "description": text("payment_intent_data[description]"),
        "receipt_email": text("payment_intent_data[receipt_email]"),
        "statement_descriptor_suffix": text("payment_intent_data[statement_descriptor_suffix]"),
        "capture_method": text("payment_intent_data[capture_method]").map_or("automatic_async", String::as_str),
    });
    let mut book = sim.stripe.book.lock();
    book.sessions.put(&id, session.clone());
    book.lines.put(&id, basket.lines.into());
    book.intent_data.put(&id, for_intent);
    pay::at_once(sim, &mut book, &id);
    Ok(session)
}

pub(super) fn read(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["expand[#]"])?;
    let book = request.sim.stripe.book.lock();
    let mut session = book.sessions.get(id).cloned().ok_or_else(|| Refusal::missing("checkout.session", id))?;
    for wanted in request.form.values() {
        let intent = session["payment_intent"].as_str().and_then(|intent| book.intents.get(intent)).cloned();
        match (wanted.as_str(), intent) {
            ("payment_intent", Some(intent)) => session["payment_intent"] = intent,
            ("payment_intent.latest_charge", Some(mut intent)) => {
                if let Some(charge) = intent["latest_charge"].as_str().and_then(|charge| book.charges.get(charge)) {
                    intent["latest_charge"] = charge.clone();
                }
                session["payment_intent"] = intent;
            }
            ("line_items", _) => session["line_items"] = list_of(book.lines.get(id), id),
            ("payment_intent" | "payment_intent.latest_charge", None) => {}
            _ => return Err(Refusal::parameter("parameter_invalid", "expand", "cannot be expanded")),
        }
    }
    Ok(session)
}

fn list_of(lines: Option<&Value>, id: &str) -> Value {
    let url = format!("/v1/checkout/sessions/{id}/line_items");
    json!({ "object": "list", "data": lines.cloned().unwrap_or(json!([])), "has_more": false, "url": url })
}

pub(super) fn line_items(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["limit", "starting_after", "ending_before"])?;
    let book = request.sim.stripe.book.lock();
    let lines = book.lines.get(id).ok_or_else(|| Refusal::missing("checkout.session", id))?;
    let all = lines.as_array().cloned().unwrap_or_default();
    super::events::paged(request, all, &format!("/v1/checkout/sessions/{id}/line_items"))
}

pub(super) fn expire(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["expand[#]"])?;
    let mut book = request.sim.stripe.book.lock();
    let session = book.sessions.get_mut(id).ok_or_else(|| Refusal::missing("checkout.session", id))?;
    if session["status"] != "open" {
        return Err(Refusal::request("", "Only Checkout Sessions with a status in [\"open\"] can be expired"));
    }
    session["status"] = "expired".into();
    session["url"] = Value::Null;
    let session = session.clone();
    let cause = Cause { request: Some(request.id.clone()), key: request.key.clone() };
    pay::cancel_intent_of(request.sim, &mut book, &session, &cause);
    let reference = session["client_reference_id"].as_str().unwrap_or(id);
    tell(request.sim, &mut book, reference, &[("checkout.session.expired", &session)], &Webhooks::default(), &cause);
    Ok(session)
}
