//! Stripe: Checkout Sessions, PaymentIntents, refunds, disputes, events, and signed webhooks.

mod book;
mod events;
mod form;
mod money;
mod pay;
mod sessions;

use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) use self::pay::{act, next_due, run_due};
use crate::call::{Call, Reply};
use crate::crypto::{letters, same};
use crate::server::Sim;
use crate::shelf::Shelf;

/// A key may be forgotten after this, and is.
const KEY_MS: i64 = 86_400_000;

/// A key and what came of it.
enum Kept {
    Running,
    Done { asked: String, reply: Reply, at: i64 },
}

#[derive(Default)]
pub(crate) struct Stripe {
    book: Mutex<book::Book>,
    keys: Mutex<Shelf<Kept>>,
}

impl Stripe {
    pub(crate) fn clear(&self) {
        *self.book.lock() = book::Book::default();
        *self.keys.lock() = Shelf::default();
    }
}

/// A call that was refused before anything was done; an idempotency key is not used up by it.
#[derive(Debug)]
struct Refusal {
    status: u16,
    error: Value,
}

impl Refusal {
    fn new(status: u16, kind: &str, code: &str, message: &str) -> Self {
        let code = if code.is_empty() { Value::Null } else { code.into() };
        Self { status, error: json!({ "type": kind, "code": code, "message": message }) }
    }

    fn request(code: &str, message: &str) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    fn parameter(code: &str, name: &str, message: &str) -> Self {
        let mut refusal = Self::request(code, &format!("{name} {message}"));
        refusal.error["param"] = name.into();
        refusal
    }

    fn missing(what: &str, id: &str) -> Self {
        let mut refusal =
            Self::new(404, "invalid_request_error", "resource_missing", &format!("No such {what}: '{id}'"));
        refusal.error["param"] = "id".into();
        refusal
    }

    fn reply(mut self) -> Reply {
        if let Some(fields) = self.error.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Reply::json(self.status, &json!({ "error": self.error }))
    }
}

/// A call with what its answer needs.
struct Request<'a> {
    sim: &'a Sim,
    form: form::Form,
    id: String,
    key: Option<String>,
}

pub(crate) async fn answer(sim: &Sim, call: &Call) -> Reply {
    if let ["pay", id] = call.route().as_slice() {
        return pay::page(sim, call, id);
    }
    let id = format!("req_{}", letters(14));
    let reply = match admit(sim, call) {
        Err(refusal) => refusal.reply(),
        Ok(()) => keyed(sim, call, &id).await,
    };
    reply.with("request-id", id)
}

/// Checks what every call of the API must carry.
fn admit(sim: &Sim, call: &Call) -> Result<(), Refusal> {
    let given = call.header("authorization").unwrap_or_default();
    let bearer = format!("Bearer {}", sim.settings.stripe_key);
    let basic = {
        use base64::Engine as _;
        let both = format!("{}:", sim.settings.stripe_key);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))
    };
    if !same(given, &bearer) && !same(given, &basic) {
        return Err(Refusal::new(401, "invalid_request_error", "", "Invalid API Key provided"));
    }
    // Stricter than Stripe, which takes the account's version: an unpinned client breaks on the day that it changes.
    let version = call.header("stripe-version").unwrap_or_default();
    let date = version.split('.').next().unwrap_or_default();
    if chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_err() {
        return Err(Refusal::request("", "Stripe-Version: expected <date>.<train>"));
    }
    let form = call.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if call.is_post() && !call.body.is_empty() && !form {
        return Err(Refusal::request("", "Content-Type: expected application/x-www-form-urlencoded"));
    }
    Ok(())
}

/// Answers a POST with a key as the first time, if there was one.
async fn keyed(sim: &Sim, call: &Call, id: &str) -> Reply {
    let key = call.header("idempotency-key").filter(|_| call.is_post()).map(str::to_owned);
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 255) {
        return Refusal::request("", "Idempotency-Key: from 1 to 255 characters").reply();
    }
    let text: &[u8] = if call.is_post() { &call.body } else { call.query.as_bytes() };
    let form = match form::parse(text) {
        Ok(form) => form,
        Err(refusal) => return refusal.reply(),
    };
    let asked = format!("{} {} {:?}", call.method, call.path.join("/"), form);
    if let Some(reply) = key.as_ref().and_then(|key| replay(sim, key, &asked)) {
        return reply;
    }
    let request = Request { sim, form, id: id.to_owned(), key: key.clone() };
    let done = dispatch(&request, call);
    if done.is_ok() {
        // Webhooks that are to come before the answer.
        if sim.stripe.book.lock().take_urgent() {
            sim.run_due().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(call.hold_ms)).await;
    }
    let Some(key) = key else { return done.unwrap_or_else(Refusal::reply) };
    match done {
        Err(refusal) => {
            sim.stripe.keys.lock().remove(&key);
            refusal.reply()
        }
        Ok(reply) => {
            let failed = |status| Refusal::new(status, "api_error", "", "scripted fault").reply();
            let reply = call.failing.filter(|status| *status >= 500).map_or(reply, failed);
            let kept = Kept::Done { asked, reply: reply.clone(), at: sim.clock.now_ms() };
            sim.stripe.keys.lock().put(&key, kept);
            reply
        }
    }
}

/// The answer to a key that was seen before; otherwise the key is marked as being in use.
fn replay(sim: &Sim, key: &str, now_asked: &str) -> Option<Reply> {
    let mut keys = sim.stripe.keys.lock();
    match keys.get(key) {
        Some(Kept::Running) => {
            let message = "There is currently another in-progress request using this Idempotency Key";
            return Some(Refusal::new(409, "idempotency_error", "idempotency_key_in_use", message).reply());
        }
        Some(Kept::Done { asked, reply, at }) if sim.clock.now_ms() - at < KEY_MS => {
            if asked == now_asked {
                return Some(reply.clone().with("idempotent-replayed", "true"));
            }
            let message =
                "Keys for idempotent requests can only be used with the same parameters they were first used with";
            return Some(Refusal::new(400, "idempotency_error", "", message).reply());
        }
        _ => {}
    }
    keys.put(key, Kept::Running);
    None
}

fn dispatch(request: &Request<'_>, call: &Call) -> Result<Reply, Refusal> {
    let route = call.route();
    let result = match (call.method.as_str(), route.as_slice()) {
        ("POST", ["v1", "checkout", "sessions"]) => sessions::create(request),
        ("GET", ["v1", "checkout", "sessions", id]) => sessions::read(request, id),
        ("GET", ["v1", "checkout", "sessions", id, "line_items"]) => sessions::line_items(request, id),
        ("POST", ["v1", "checkout", "sessions", id, "expire"]) => sessions::expire(request, id),
        ("GET", ["v1", "payment_intents", id]) => money::intent(request, id),
        ("POST", ["v1", "payment_intents", id, "capture"]) => money::capture(request, id),
        ("POST", ["v1", "payment_intents", id, "cancel"]) => money::cancel(request, id),
        ("POST", ["v1", "refunds"]) => money::refund(request),
        ("GET", ["v1", "refunds"]) => money::refunds(request),
        ("GET", ["v1", "refunds", id]) => money::read_refund(request, id),
        ("GET", ["v1", "disputes", id]) => money::dispute(request, id),
        ("POST", ["v1", "disputes", id]) => money::submit_evidence(request, id),
        ("POST", ["v1", "disputes", id, "close"]) => money::close_dispute(request, id),
        ("GET", ["v1", "events"]) => events::list(request),
        ("GET", ["v1", "events", id]) => events::read(request, id),
        _ => {
            let message = format!("Unrecognized request URL ({}: /{})", call.method, call.path.join("/"));
            return Err(Refusal::new(404, "invalid_request_error", "", &message));
        }
    };
    result.map(|value| Reply::json(200, &value))
}
