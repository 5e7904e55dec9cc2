//! What the customer and the bank do with a session, and what time does.

use serde_json::{Value, json};

use super::book::{Book, Later, Timer};
use super::events::{Cause, tell};
use super::money;
use crate::call::{self, Call, Reply};
use crate::control::Refused;
use crate::crypto::letters;
use crate::plan::{Plan, Webhooks};
use crate::server::Sim;

/// How long a delayed method takes.
const DELAYED_MS: i64 = 60_000;

/// A session's reference: ours, or its id.
fn reference_of(session: &Value) -> String {
    session["client_reference_id"].as_str().or(session["id"].as_str()).unwrap_or_default().to_owned()
}

fn plan_of(sim: &Sim, session: &Value) -> Plan {
    let amount = session["amount_total"].as_i64().unwrap_or(0);
    sim.scenarios.plan("pay", &reference_of(session), amount, session["customer_email"].as_str().unwrap_or_default())
}

/// A payment whose webhook comes before the create call is answered is paid in it.
pub(super) fn at_once(sim: &Sim, book: &mut Book, id: &str) {
    let Some(session) = book.sessions.get(id).cloned() else { return };
    if plan_of(sim, &session).webhook.delay_ms < 0 {
        let _ = pay(sim, book, id, None);
    }
}

/// The session's PaymentIntent, made when the customer first tries to pay. True when it is new.
fn intent_of(sim: &Sim, book: &mut Book, session: &mut Value) -> (Value, bool) {
    if let Some(intent) = session["payment_intent"].as_str().and_then(|id| book.intents.get(id)) {
        return (intent.clone(), false);
    }
    let id = format!("pi_{}", letters(24));
    let data = book.intent_data.get(session["id"].as_str().unwrap_or_default()).cloned().unwrap_or(json!({}));
    let intent = json!({
        "id": id, "object": "payment_intent", "amount": session["amount_total"], "amount_capturable": 0,
        "amount_received": 0, "capture_method": data["capture_method"], "currency": session["currency"],
        "created": sim.clock.now_s(), "description": data["description"], "latest_charge": null,
        "last_payment_error": null, "livemode": false, "metadata": data["metadata"], "next_action": null,
        "receipt_email": data["receipt_email"], "status": "requires_payment_method",
        "statement_descriptor_suffix": data["statement_descriptor_suffix"], "canceled_at": null,
        "cancellation_reason": null,
    });
    session["payment_intent"] = id.as_str().into();
    book.intents.put(&id, intent.clone());
    (intent, true)
}

fn charge(sim: &Sim, intent: &Value, status: &str) -> Value {
    let ok = status == "succeeded";
    json!({
        "id": format!("ch_{}", letters(24)), "object": "charge", "amount": intent["amount"], "amount_captured": 0,
        "amount_refunded": 0, "captured": false, "currency": intent["currency"], "created": sim.clock.now_s(),
        "disputed": false, "livemode": false, "metadata": intent["metadata"], "paid": ok,
        "payment_intent": intent["id"], "refunded": false, "status": status,
        "failure_code": if ok { Value::Null } else { "card_declined".into() },
    })
}

fn store(book: &mut Book, session: &Value, intent: &Value, charge: Option<&Value>) {
    book.sessions.put(session["id"].as_str().unwrap_or_default(), session.clone());
    book.intents.put(intent["id"].as_str().unwrap_or_default(), intent.clone());
    if let Some(charge) = charge {
        book.charges.put(charge["id"].as_str().unwrap_or_default(), charge.clone());
    }
}

/// The customer pays. `card` declines with this reason, whatever the plan says.
fn pay(sim: &Sim, book: &mut Book, id: &str, card: Option<&str>) -> Result<(), Refused> {
    let mut session = book.sessions.get(id).cloned().ok_or((404_u16, format!("stripe: no session {id}")))?;
    if session["status"] != "open" {
        return Err((409, format!("stripe: the session is {}", session["status"])));
    }
    let mut plan = plan_of(sim, &session);
    plan.decline = card.map(str::to_owned).or(plan.decline);
    let (mut intent, new) = intent_of(sim, book, &mut session);
    let created = intent.clone();
    let first = new.then_some(("payment_intent.created", &created));
    let reference = reference_of(&session);
    let cause = Cause::default();
    if plan.pending {
        intent["status"] = "processing".into();
        session["status"] = "complete".into();
        complete(&mut session, "unpaid");
        store(book, &session, &intent, None);
        let due = sim.clock.now_ms() + DELAYED_MS;
        let what = Later::Settle { session: id.to_owned(), paid: plan.decline.is_none() };
        book.timers.push(Timer { due, what });
        let rest = [("checkout.session.completed", &session), ("payment_intent.processing", &intent)];
        tell(sim, book, &reference, &first.into_iter().chain(rest).collect::<Vec<_>>(), &plan.webhook, &cause);
        return Ok(());
    }
    if let Some(reason) = &plan.decline {
        let failed = decline(sim, &mut intent, reason);
        store(book, &session, &intent, Some(&failed));
        let rest = [("charge.failed", &failed), ("payment_intent.payment_failed", &intent)];
        tell(sim, book, &reference, &first.into_iter().chain(rest).collect::<Vec<_>>(), &plan.webhook, &cause);
        return Ok(());
    }
    let mut paid = charge(sim, &intent, "succeeded");
    intent["latest_charge"] = paid["id"].clone();
    intent["last_payment_error"] = Value::Null;
    session["status"] = "complete".into();
    if intent["capture_method"] == "manual" {
        intent["status"] = "requires_capture".into();
        intent["amount_capturable"] = intent["amount"].clone();
        complete(&mut session, "unpaid");
        store(book, &session, &intent, Some(&paid));
        let rest = [("payment_intent.amount_capturable_updated", &intent), ("checkout.session.completed", &session)];
        tell(sim, book, &reference, &first.into_iter().chain(rest).collect::<Vec<_>>(), &plan.webhook, &cause);
        return Ok(());
    }
    let whole = intent["amount"].as_i64().unwrap_or(0);
    money::captured(&mut intent, &mut paid, whole);
    complete(&mut session, "paid");
    store(book, &session, &intent, Some(&paid));
    let rest = [
        ("charge.succeeded", &paid),
        ("payment_intent.succeeded", &intent),
        ("checkout.session.completed", &session),
        ("charge.updated", &paid),
    ];
    tell(sim, book, &reference, &first.into_iter().chain(rest).collect::<Vec<_>>(), &plan.webhook, &cause);
    Ok(())
}

fn complete(session: &mut Value, payment_status: &str) {
    session["payment_status"] = payment_status.into();
    session["url"] = Value::Null;
    session["customer_details"] = json!({
        "email": session["customer_email"], "name": "A Customer", "phone": null, "address": null,
        "tax_exempt": "none", "tax_ids": [],
    });
}

fn decline(sim: &Sim, intent: &mut Value, reason: &str) -> Value {
    let code = if reason == "insufficient_funds" { reason } else { "generic_decline" };
    let failed = charge(sim, intent, "failed");
    intent["status"] = "requires_payment_method".into();
    intent["latest_charge"] = failed["id"].clone();
    intent["last_payment_error"] = json!({
        "type": "card_error", "code": "card_declined", "decline_code": code, "message": "Your card was declined.",
        "charge": failed["id"],
    });
    failed
}

/// A delayed payment ends.
fn settle(sim: &Sim, book: &mut Book, id: &str, paid: bool) {
    let Some(mut session) = book.sessions.get(id).cloned() else { return };
    let Some(mut intent) = session["payment_intent"].as_str().and_then(|id| book.intents.get(id)).cloned() else {
        return;
    };
    let plan = plan_of(sim, &session).webhook;
    let reference = reference_of(&session);
    let kinds = if paid {
        let mut made = charge(sim, &intent, "succeeded");
        intent["latest_charge"] = made["id"].clone();
        let whole = intent["amount"].as_i64().unwrap_or(0);
        money::captured(&mut intent, &mut made, whole);
        session["payment_status"] = "paid".into();
        store(book, &session, &intent, Some(&made));
        ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"]
    } else {
        let failed = decline(sim, &mut intent, "generic_decline");
        store(book, &session, &intent, Some(&failed));
        ["payment_intent.payment_failed", "checkout.session.async_payment_failed"]
    };
    tell(sim, book, &reference, &[(kinds[0], &intent), (kinds[1], &session)], &plan, &Cause::default());
}

/// Cancels the PaymentIntent of a session that expired, if it has one.
pub(super) fn cancel_intent_of(sim: &Sim, book: &mut Book, session: &Value, cause: &Cause) {
    let Some(intent) = session["payment_intent"].as_str().and_then(|id| book.intents.get_mut(id)) else { return };
    intent["status"] = "canceled".into();
    intent["canceled_at"] = sim.clock.now_s().into();
    let intent = intent.clone();
    tell(sim, book, &reference_of(session), &[("payment_intent.canceled", &intent)], &Webhooks::default(), cause);
}

fn expire(sim: &Sim, book: &mut Book, id: &str) {
    let Some(session) = book.sessions.get_mut(id).filter(|session| session["status"] == "open") else { return };
    session["status"] = "expired".into();
    session["url"] = Value::Null;
    let session = session.clone();
    let cause = Cause::default();
    tell(sim, book, &reference_of(&session), &[("checkout.session.expired", &session)], &Webhooks::default(), &cause);
    cancel_intent_of(sim, book, &session, &cause);
}

/// When the next session expires or timer rings.
pub(crate) fn next_due(sim: &Sim) -> Option<i64> {
    let book = sim.stripe.book.lock();
    let open = book.sessions.iter().filter(|(_, session)| session["status"] == "open");
    let expiries = open.filter_map(|(_, session)| session["expires_at"].as_i64().map(|seconds| seconds * 1000));
    expiries.chain(book.timers.iter().map(|timer| timer.due)).min()
}

/// Expires what has expired, and lets timers ring.
pub(crate) fn run_due(sim: &Sim, now: i64) {
    let mut book = sim.stripe.book.lock();
    let expired: Vec<String> = book
        .sessions
        .iter()
        .filter(|(_, session)| session["status"] == "open")
        .filter(|(_, session)| session["expires_at"].as_i64().is_some_and(|seconds| seconds * 1000 <= now))
        .map(|(id, _)| id.clone())
        .collect();
    for id in expired {
        expire(sim, &mut book, &id);
    }
    let (due, later) = std::mem::take(&mut book.timers).into_iter().partition(|timer| timer.due <= now);
    book.timers = later;
    let mut due: Vec<Timer> = due;
    due.sort_by_key(|timer| timer.due);
    for timer in due {
        match timer.what {
            Later::Settle { session, paid } => settle(sim, &mut book, &session, paid),
            Later::RefundFails { refund } => money::refund_fails(sim, &mut book, &refund),
        }
    }
}

/// The control API's customer and bank. `name` is a session's id or our reference.
pub(crate) fn act(sim: &Sim, name: &str, action: &str) -> Result<Value, Refused> {
    let mut book = sim.stripe.book.lock();
    let id = book.session_named(name).ok_or((404_u16, format!("stripe: no payment {name}")))?;
    let late = book.sessions.get(&id).is_some_and(|session| plan_of(sim, session).pay_after_expiry);
    match action {
        "approve" if !late => pay(sim, &mut book, &id, None)?,
        "decline" => pay(sim, &mut book, &id, Some("generic_decline"))?,
        // Pressing back leaves the session open and payable.
        "cancel" => {}
        "expire" => expire(sim, &mut book, &id),
        // The customer was on the page when it expired, and the bank was slower than the clock.
        "pay_late" | "approve" => {
            expire(sim, &mut book, &id);
            if let Some(session) = book.sessions.get_mut(&id).filter(|session| session["status"] == "expired") {
                session["status"] = "open".into();
                session["payment_intent"] = Value::Null;
            }
            pay(sim, &mut book, &id, None)?;
        }
        "dispute" | "dispute_won" | "dispute_lost" => money::disputed(sim, &mut book, &id, action)?,
        _ => {
            let allowed = "approve, decline, cancel, expire, pay_late, dispute, dispute_won, dispute_lost";
            return Err((404, format!("stripe: no action {action}; allowed: {allowed}")));
        }
    }
    Ok(json!({ "session": book.sessions.get(&id) }))
}

/// The hosted page, and its buttons.
pub(super) fn page(sim: &Sim, call: &Call, id: &str) -> Reply {
    let book = sim.stripe.book.lock();
    let Some(session) = book.sessions.get(id).cloned() else { return Reply::html(404, "no such session".into()) };
    drop(book);
    if call.is_get() {
        let lines = [
            format!("{} {}", session["amount_total"], session["currency"].as_str().unwrap_or_default().to_uppercase()),
            format!("Reference {}", reference_of(&session)),
            format!("Status {}", session["status"].as_str().unwrap_or_default()),
        ];
        let buttons = [("approve", "Pay"), ("decline", "Decline"), ("cancel", "Cancel"), ("pay_late", "Pay late")];
        return Reply::html(200, call::page("Checkout", &lines, &format!("/stripe/pay/{id}"), &buttons));
    }
    let form = call::pairs(&call.body);
    let action = call::value_of(&form, "do").unwrap_or_default();
    if let Err((status, message)) = act(sim, id, action) {
        return Reply::html(status, call::escape(&message));
    }
    let after = sim.stripe.book.lock().sessions.get(id).cloned().unwrap_or_default();
    let back = match (after["status"].as_str(), action) {
        (Some("complete"), _) => after["success_url"].as_str().map(|url| url.replace("{CHECKOUT_SESSION_ID}", id)),
        (_, "cancel") => after["cancel_url"].as_str().map(str::to_owned),
        _ => None,
    };
    Reply::to(&back.unwrap_or_else(|| format!("/stripe/pay/{id}")))
}
