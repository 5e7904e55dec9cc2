//! What is done with a payment: capture, cancel, refunds, disputes.

use serde_json::{Value, json};

use super::book::{Book, Later, Timer};
use super::events::{Cause, paged, tell};
use super::form::{self, need};
use super::{Refusal, Request};
use crate::control::Refused;
use crate::crypto::letters;
use crate::plan::Webhooks;
use crate::server::Sim;

/// When a refund that fails does so.
const FAILS_AFTER_MS: i64 = 60_000;

fn cause(request: &Request<'_>) -> Cause {
    Cause { request: Some(request.id.clone()), key: request.key.clone() }
}

fn whole_of(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The reference under which a PaymentIntent's webhooks are filed.
fn reference_of(book: &Book, intent: &str) -> String {
    let session = book.sessions.iter().rev().find(|(_, session)| session["payment_intent"] == intent);
    session.and_then(|(_, session)| session["client_reference_id"].as_str()).unwrap_or(intent).to_owned()
}

pub(super) fn intent(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["expand[#]"])?;
    let book = request.sim.stripe.book.lock();
    let mut intent = book.intents.get(id).cloned().ok_or_else(|| Refusal::missing("payment_intent", id))?;
    if request.form.values().any(|value| value == "latest_charge")
        && let Some(charge) = intent["latest_charge"].as_str().and_then(|charge| book.charges.get(charge))
    {
        intent["latest_charge"] = charge.clone();
    }
    Ok(intent)
}

/// Notes that so much was captured.
pub(super) fn captured(intent: &mut Value, charge: &mut Value, amount: i64) {
    intent["status"] = "succeeded".into();
    intent["amount_received"] = amount.into();
    intent["amount_capturable"] = 0.into();
    charge["captured"] = true.into();
    charge["amount_captured"] = amount.into();
    // What was not captured is given back.
    charge["amount_refunded"] = (whole_of(&charge["amount"]) - amount).into();
}

fn unexpected_state(intent: &Value, verb: &str) -> Refusal {
    let message = format!("This PaymentIntent could not be {verb} because it has a status of {}", intent["status"]);
    Refusal::request("payment_intent_unexpected_state", &message)
}

pub(super) fn capture(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["amount_to_capture", "final_capture", "metadata[*]"])?;
    let mut book = request.sim.stripe.book.lock();
    let mut intent = book.intents.get(id).cloned().ok_or_else(|| Refusal::missing("payment_intent", id))?;
    if intent["status"] != "requires_capture" {
        return Err(unexpected_state(&intent, "captured"));
    }
    let most = whole_of(&intent["amount_capturable"]);
    let amount = form::whole(&request.form, "amount_to_capture", 1, most)?.unwrap_or(most);
    let Some(mut charge) = intent["latest_charge"].as_str().and_then(|charge| book.charges.get(charge)).cloned() else {
        return Err(unexpected_state(&intent, "captured"));
    };
    captured(&mut intent, &mut charge, amount);
    book.intents.put(id, intent.clone());
    book.charges.put(charge["id"].as_str().unwrap_or_default(), charge.clone());
    let reference = reference_of(&book, id);
    let happened = [("charge.captured", &charge), ("payment_intent.succeeded", &intent)];
    tell(request.sim, &mut book, &reference, &happened, &Webhooks::default(), &cause(request));
    Ok(intent)
}

pub(super) fn cancel(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["cancellation_reason"])?;
    let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
    form::one_of(&request.form, "cancellation_reason", &reasons)?;
    let mut book = request.sim.stripe.book.lock();
    let intent = book.intents.get_mut(id).ok_or_else(|| Refusal::missing("payment_intent", id))?;
    if matches!(intent["status"].as_str(), Some("processing" | "succeeded" | "canceled")) {
        return Err(unexpected_state(intent, "canceled"));
    }
    intent["status"] = "canceled".into();
    intent["amount_capturable"] = 0.into();
    intent["canceled_at"] = request.sim.clock.now_s().into();
    intent["cancellation_reason"] = json!(request.form.get("cancellation_reason"));
    let intent = intent.clone();
    let reference = reference_of(&book, id);
    let happened = [("payment_intent.canceled", &intent)];
    tell(request.sim, &mut book, &reference, &happened, &Webhooks::default(), &cause(request));
    Ok(intent)
}

pub(super) fn refund(request: &Request<'_>) -> Result<Value, Refusal> {
    let (sim, form) = (request.sim, &request.form);
    form::only(form, &["payment_intent", "charge", "amount", "reason", "metadata[*]"])?;
    form::one_of(form, "reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let mut book = sim.stripe.book.lock();
    let charge_id = match (form.get("payment_intent"), form.get("charge")) {
        (Some(_), Some(_)) => return Err(Refusal::request("", "Give payment_intent or charge, not both")),
        (None, None) => return Err(Refusal::parameter("parameter_missing", "payment_intent", "is required")),
        (None, Some(charge)) => charge.clone(),
        (Some(id), None) => {
            let intent = book.intents.get(id).ok_or_else(|| Refusal::missing("payment_intent", id))?;
            let found = intent["latest_charge"].as_str().filter(|_| intent["status"] == "succeeded");
            found.map(str::to_owned).ok_or_else(|| {
                Refusal::request(
                    "payment_intent_unexpected_state",
                    "This PaymentIntent has no successful charge to refund",
                )
            })?
        }
    };
    let mut charge = book.charges.get(&charge_id).cloned().ok_or_else(|| Refusal::missing("charge", &charge_id))?;
    let left = whole_of(&charge["amount"]) - whole_of(&charge["amount_refunded"]);
    if left <= 0 {
        return Err(Refusal::request("charge_already_refunded", "Charge has already been refunded."));
    }
    if charge["disputed"] == true {
        return Err(Refusal::request("charge_disputed", "Charge is disputed and cannot be refunded."));
    }
    let amount = form::whole(form, "amount", 1, i64::MAX)?.unwrap_or(left);
    if amount > left {
        return Err(Refusal::parameter(
            "amount_too_large",
            "amount",
            &format!("is greater than the unrefunded {left}"),
        ));
    }
    let refunded = whole_of(&charge["amount_refunded"]) + amount;
    charge["amount_refunded"] = refunded.into();
    charge["refunded"] = (amount == left).into();
    let id = format!("re_{}", letters(24));
    let refund = json!({
        "id": id, "object": "refund", "amount": amount, "charge": charge_id, "created": sim.clock.now_s(),
        "currency": charge["currency"], "metadata": form::metadata(form, "metadata")?,
        "payment_intent": charge["payment_intent"], "reason": form.get("reason"), "status": "succeeded",
        "failure_reason": null, "pending_reason": null,
    });
    book.refunds.put(&id, refund.clone());
    book.charges.put(&charge_id, charge.clone());
    let reference = reference_of(&book, charge["payment_intent"].as_str().unwrap_or_default());
    let plan = sim.scenarios.plan("refund", &reference, whole_of(&charge["amount"]), "");
    if plan.refund_fails {
        let due = sim.clock.now_ms() + FAILS_AFTER_MS;
        book.timers.push(Timer { due, what: Later::RefundFails { refund: id } });
    }
    let happened = [("refund.created", &refund), ("charge.refunded", &charge), ("refund.updated", &refund)];
    tell(sim, &mut book, &reference, &happened, &plan.webhook, &cause(request));
    Ok(refund)
}

/// A refund fails days after it was taken for done: the money is back with the merchant.
pub(super) fn refund_fails(sim: &Sim, book: &mut Book, id: &str) {
    let Some(refund) = book.refunds.get_mut(id) else { return };
    refund["status"] = "failed".into();
    refund["failure_reason"] = "expired_or_canceled_card".into();
    let refund = refund.clone();
    let charge = refund["charge"].as_str().unwrap_or_default().to_owned();
    if let Some(charge) = book.charges.get_mut(&charge) {
        charge["amount_refunded"] = (whole_of(&charge["amount_refunded"]) - whole_of(&refund["amount"])).into();
        charge["refunded"] = false.into();
    }
    let reference = reference_of(book, refund["payment_intent"].as_str().unwrap_or_default());
    tell(sim, book, &reference, &[("refund.failed", &refund)], &Webhooks::default(), &Cause::default());
}

pub(super) fn read_refund(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    request.sim.stripe.book.lock().refunds.get(id).cloned().ok_or_else(|| Refusal::missing("refund", id))
}

pub(super) fn refunds(request: &Request<'_>) -> Result<Value, Refusal> {
    form::only(&request.form, &["payment_intent", "charge", "limit", "starting_after", "ending_before"])?;
    let of = |refund: &Value, field: &str| request.form.get(field).is_none_or(|wanted| refund[field] == **wanted);
    let book = request.sim.stripe.book.lock();
    let all = book.refunds.iter().rev().map(|(_, refund)| refund.clone());
    let all = all.filter(|refund| of(refund, "payment_intent") && of(refund, "charge")).collect();
    paged(request, all, "/v1/refunds")
}

/// The bank opens or closes a dispute of a session's payment.
pub(super) fn disputed(sim: &Sim, book: &mut Book, session: &str, action: &str) -> Result<(), Refused> {
    let intent = book.sessions.get(session).and_then(|session| session["payment_intent"].as_str()).unwrap_or_default();
    let charge = book.intents.get(intent).and_then(|intent| intent["latest_charge"].as_str()).unwrap_or_default();
    let charge = book.charges.get(charge).filter(|charge| charge["captured"] == true).cloned();
    let mut charge = charge.ok_or((409_u16, "stripe: nothing was paid".to_owned()))?;
    let charge_id = charge["id"].as_str().unwrap_or_default().to_owned();
    let reference = reference_of(book, charge["payment_intent"].as_str().unwrap_or_default());
    let quiet = Webhooks::default();
    if action == "dispute" {
        if charge["disputed"] == true {
            return Err((409, "stripe: the payment is disputed already".into()));
        }
        let id = format!("du_{}", letters(24));
        let dispute = json!({
            "id": id, "object": "dispute", "amount": charge["amount"], "charge": charge_id,
            "created": sim.clock.now_s(), "currency": charge["currency"], "evidence": {},
            "evidence_details": { "due_by": sim.clock.now_s() + 7 * 86_400, "has_evidence": false, "past_due": false,
                                  "submission_count": 0 },
            "is_charge_refundable": false, "livemode": false, "metadata": {},
            "payment_intent": charge["payment_intent"], "reason": "fraudulent", "status": "needs_response",
        });
        charge["disputed"] = true.into();
        book.charges.put(&charge_id, charge);
        book.disputes.put(&id, dispute.clone());
        let happened = [("charge.dispute.created", &dispute), ("charge.dispute.funds_withdrawn", &dispute)];
        tell(sim, book, &reference, &happened, &quiet, &Cause::default());
        return Ok(());
    }
    let found = book.disputes.iter().find(|(_, dispute)| {
        dispute["charge"] == charge_id && !matches!(dispute["status"].as_str(), Some("won" | "lost"))
    });
    let id = found.map(|(id, _)| id.clone()).ok_or((409_u16, "stripe: no open dispute".to_owned()))?;
    close(sim, book, &id, action == "dispute_won", &Cause::default());
    Ok(())
}

fn close(sim: &Sim, book: &mut Book, id: &str, won: bool, cause: &Cause) -> Value {
    let Some(dispute) = book.disputes.get_mut(id) else { return Value::Null };
    dispute["status"] = if won { "won" } else { "lost" }.into();
    let dispute = dispute.clone();
    let mut happened = vec![("charge.dispute.updated", &dispute), ("charge.dispute.closed", &dispute)];
    if won {
        happened.push(("charge.dispute.funds_reinstated", &dispute));
    }
    let reference = reference_of(book, dispute["payment_intent"].as_str().unwrap_or_default());
    tell(sim, book, &reference, &happened, &Webhooks::default(), cause);
    dispute
}

pub(super) fn dispute(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    request.sim.stripe.book.lock().disputes.get(id).cloned().ok_or_else(|| Refusal::missing("dispute", id))
}

pub(super) fn submit_evidence(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    form::only(&request.form, &["evidence[*]", "metadata[*]", "submit"])?;
    form::one_of(&request.form, "submit", &["true", "false"])?;
    let evidence = form::metadata(&request.form, "evidence")?;
    let mut book = request.sim.stripe.book.lock();
    let dispute = book.disputes.get_mut(id).ok_or_else(|| Refusal::missing("dispute", id))?;
    if dispute["status"] != "needs_response" {
        return Err(Refusal::request("", "This dispute takes no more evidence"));
    }
    dispute["evidence"] = evidence;
    dispute["evidence_details"]["has_evidence"] = true.into();
    if request.form.get("submit").is_none_or(|submit| submit == "true") {
        need(&request.form, request.form.keys().next().map_or("evidence", String::as_str))?;
        dispute["status"] = "under_review".into();
        dispute["evidence_details"]["submission_count"] = 1.into();
    }
    let dispute = dispute.clone();
    let reference = reference_of(&book, dispute["payment_intent"].as_str().unwrap_or_default());
    let happened = [("charge.dispute.updated", &dispute)];
    tell(request.sim, &mut book, &reference, &happened, &Webhooks::default(), &cause(request));
    Ok(dispute)
}

/// The merchant gives up.
pub(super) fn close_dispute(request: &Request<'_>, id: &str) -> Result<Value, Refusal> {
    let mut book = request.sim.stripe.book.lock();
    let dispute = book.disputes.get(id).ok_or_else(|| Refusal::missing("dispute", id))?;
    if matches!(dispute["status"].as_str(), Some("won" | "lost")) {
        return Err(Refusal::request("", "This dispute is closed already"));
    }
    Ok(close(request.sim, &mut book, id, false, &cause(request)))
}
