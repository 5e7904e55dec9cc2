//! Events: kept for lists, and sent with a signature.

use std::sync::Arc;

use serde_json::{Value, json};

use super::book::Book;
use super::form::{self, need};
use super::{Refusal, Request};
use crate::crypto::{hmac_sha256, letters, spoil};
use crate::outbox::{Answer, Message, Next, Outgoing};
use crate::plan::Webhooks;
use crate::server::Sim;
use crate::settings::Gateway;

/// The sandbox's three repeats over a few hours, in seconds after the attempt before.
const REPEATS: [i64; 3] = [600, 3_600, 7_200];
/// The version of the webhook endpoint.
pub(super) const API_VERSION: &str = "2026-06-24.dahlia";

/// What a change is due to.
#[derive(Clone, Default)]
pub(super) struct Cause {
    pub(super) request: Option<String>,
    pub(super) key: Option<String>,
}

/// The header `Stripe-Signature` for a body.
pub(super) fn signature(secret: &str, seconds: i64, body: &str, forged: bool) -> String {
    let mut v1 = hmac_sha256(secret, format!("{seconds}.{body}").as_bytes());
    if forged {
        v1 = spoil(&v1);
    }
    // Test mode sends a false scheme too, which a client must pass over.
    format!("t={seconds},v1={v1},v0={}", hmac_sha256("v0", body.as_bytes()))
}

struct Notice {
    url: String,
    secret: String,
    kind: String,
    body: String,
}

impl Message for Notice {
    fn kind(&self) -> String {
        self.kind.clone()
    }

    fn request(&self, now_ms: i64, forged: bool) -> Outgoing {
        let signature = signature(&self.secret, now_ms.div_euclid(1000), &self.body, forged);
        Outgoing {
            method: reqwest::Method::POST,
            url: self.url.clone(),
            headers: vec![("content-type", "application/json; charset=utf-8".into()), ("stripe-signature", signature)],
            body: self.body.clone(),
        }
    }

    fn next(&self, attempt: u32, answer: Option<&Answer>) -> Next {
        if answer.is_some_and(|answer| (200..300).contains(&answer.status)) {
            return Next::Done;
        }
        match REPEATS.get(attempt as usize - 1) {
            Some(after) => Next::Again { after_ms: after * 1000 },
            None => Next::GivenUp,
        }
    }
}

/// Keeps events and sends them. `happened` are types with their objects, in the usual order.
pub(super) fn tell(
    sim: &Sim,
    book: &mut Book,
    reference: &str,
    happened: &[(&str, &Value)],
    plan: &Webhooks,
    cause: &Cause,
) {
    let now = sim.clock.now_ms();
    let mut messages: Vec<Arc<dyn Message>> = vec![];
    for (kind, object) in happened {
        let id = format!("evt_{}", letters(24));
        let mut object = (*object).clone();
        distort(&mut object, plan);
        let event = json!({
            "id": id, "object": "event", "api_version": API_VERSION, "created": now.div_euclid(1000),
            "data": { "object": object }, "livemode": false, "pending_webhooks": 1,
            "request": { "id": cause.request, "idempotency_key": cause.key }, "type": kind,
        });
        book.events.put(&id, event.clone());
        if let Some(url) = sim.settings.webhooks_to.get(&Gateway::Stripe) {
            // Stripe indents its bodies, which undoes any client that writes them anew before it checks.
            let body = serde_json::to_string_pretty(&event).unwrap_or_default();
            let secret = sim.settings.stripe_webhook_secret.clone();
            messages.push(Arc::new(Notice { url: url.clone(), secret, kind: (*kind).to_owned(), body }));
        }
    }
    book.urgent |= plan.delay_ms < 0;
    sim.outbox.send(Gateway::Stripe, reference, messages, plan, now);
}

/// Puts in the wrong amount or currency that the plan asks for.
fn distort(object: &mut Value, plan: &Webhooks) {
    for field in ["amount", "amount_total", "amount_received"] {
        if let Some(amount) = object.get(field).and_then(Value::as_i64).filter(|amount| *amount > 0) {
            object[field] = (amount + plan.amount).into();
        }
    }
    if let (Some(currency), true) = (&plan.currency, object.get("currency").is_some()) {
        object["currency"] = currency.to_lowercase().into();
    }
}

pub(super) fn read(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    request.sim.stripe.book.lock().events.get(id).cloned().ok_or_else(|| Refusal::missing("event", id))
}

/// The newest first, by type and time.
pub(super) fn list(request: &Request<'_>) -> Result<Value, Refusal> {
    form::only(&request.form, &["type", "created[gte]", "limit", "starting_after", "ending_before"])?;
    let since = form::whole(&request.form, "created[gte]", 0, i64::MAX)?.unwrap_or(0);
    let kind = request.form.get("type");
    let book = request.sim.stripe.book.lock();
    let all: Vec<Value> = book
        .events
        .iter()
        .rev()
        .map(|(_, event)| event.clone())
        .filter(|event| kind.is_none_or(|kind| event["type"] == *kind))
        .filter(|event| event["created"].as_i64().unwrap_or(0) >= since)
        .collect();
    paged(request, all, "/v1/events")
}

/// One page of a list, newest first.
pub(super) fn paged(request: &Request<'_>, all: Vec<Value>, url: &str) -> Result<Value, Refusal> {
    let limit = form::whole(&request.form, "limit", 1, 100)?.unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(10);
    let place = |name: &str| {
        let id = need(&request.form, name).ok()?;
        Some(all.iter().position(|item| item["id"] == *id).ok_or_else(|| Refusal::missing("object", id)))
    };
    let (from, to) = match (place("starting_after"), place("ending_before")) {
        (Some(_), Some(_)) => return Err(Refusal::request("", "Give starting_after or ending_before, not both")),
        (Some(after), None) => (after? + 1, all.len()),
        (None, Some(before)) => {
            let before = before?;
            (before.saturating_sub(limit), before)
        }
        (None, None) => (0, all.len()),
    };
    let to_page = to.min(from + limit);
    let more = if request.form.contains_key("ending_before") { from > 0 } else { to_page < to };
    Ok(json!({ "object": "list", "data": all[from..to_page], "has_more": more, "url": url }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::signature;

    #[test]
    fn the_published_vectors_are_signed_so() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors.json")).expect("JSON");
        let mut seen = 0;
        for vector in vectors.iter().filter(|vector| vector["timestamp"].is_i64()) {
            let text = |name: &str| vector[name].as_str().unwrap_or_default();
            let seconds = vector["timestamp"].as_i64().unwrap_or(0);
            let start = format!("t={seconds},v1={},", text("expected"));
            assert!(signature(text("secret"), seconds, text("body"), false).starts_with(&start), "{}", text("id"));
            assert!(!signature(text("secret"), seconds, text("body"), true).starts_with(&start), "{}", text("id"));
            seen += 1;
        }
        assert_eq!(seen, 5);
    }
}
