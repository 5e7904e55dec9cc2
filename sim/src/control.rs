//! The control API: clock, scenarios, faults, the customer's and the bank's hands, the journal of webhooks.

use chrono::DateTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::faults::Fault;
use crate::plan::Scenario;
use crate::server::Sim;
use crate::settings::Gateway;
use crate::{stripe, vnpay};

/// Ten years, further than which no expiry is.
const FARTHEST_MS: i64 = 10 * 366 * 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Milliseconds since 1970, or RFC 3339.
    set: Option<Value>,
    advance_ms: Option<i64>,
    freeze: Option<bool>,
}

/// Why a control call was refused: a status and a sentence.
pub(crate) type Refused = (u16, String);

pub(crate) async fn answer(sim: &Sim, call: &Call) -> Reply {
    match act(sim, call).await {
        Ok(value) => Reply::json(200, &value),
        Err((status, message)) => Reply::json(status, &json!({ "error": message })),
    }
}

async fn act(sim: &Sim, call: &Call) -> Result<Value, Refused> {
    match (call.method.as_str(), call.route().as_slice()) {
        ("GET", ["clock"]) => Ok(json!({ "nowMs": sim.clock.now_ms() })),
        ("POST", ["clock"]) => clock(sim, read(call)?).await,
        ("POST", ["scenario"]) => {
            let scenario: Scenario = read(call)?;
            sim.scenarios.add(scenario).then(|| json!({})).ok_or((409, "scenario: too many, reset first".into()))
        }
        ("POST", ["faults"]) => {
            let fault: Fault = read(call)?;
            let kinds = [fault.timeout, fault.reset, fault.status.is_some(), fault.hold_ms > 0];
            if kinds.iter().filter(|given| **given).count() != 1 {
                return Err((400, "faults: give one of status, timeout, reset, hold_ms".into()));
            }
            if fault.status.is_some_and(|status| !(400..600).contains(&status)) {
                return Err((400, "faults: status is from 400 to 599".into()));
            }
            sim.faults.add(fault).then(|| json!({})).ok_or((409, "faults: too many, reset first".into()))
        }
        ("GET", ["webhooks"]) => Ok(sim.outbox.journal()),
        ("POST", ["webhooks", id, "redeliver"]) => {
            let found = id.parse().is_ok_and(|id| sim.outbox.redeliver(id, sim.clock.now_ms()));
            sim.run_due().await;
            found.then(|| json!({})).ok_or((404, format!("webhooks: no delivery {id}")))
        }
        ("POST", [gateway, "payments", reference, action]) => {
            let done = match Gateway::named(gateway) {
                Some(Gateway::Stripe) => stripe::act(sim, reference, action)?,
                Some(Gateway::Vnpay) => vnpay::act(sim, reference, action)?,
                None => return Err((404, format!("no gateway {gateway}"))),
            };
            // What was caused is sent before this is answered, so that a test can look at it at once.
            sim.run_due().await;
            Ok(done)
        }
        ("POST", ["reset"]) => {
            sim.reset();
            Ok(json!({}))
        }
        _ => Err((404, "no such control route".into())),
    }
}

async fn clock(sim: &Sim, moved: Move) -> Result<Value, Refused> {
    let now = sim.clock.now_ms();
    let target = match (moved.set, moved.advance_ms) {
        (Some(Value::Number(ms)), None) => ms.as_i64(),
        (Some(Value::String(text)), None) => {
            DateTime::parse_from_rfc3339(&text).ok().map(|time| time.timestamp_millis())
        }
        (None, Some(by)) => (0..=FARTHEST_MS).contains(&by).then(|| now + by),
        (None, None) if moved.freeze.is_some() => Some(now),
        _ => None,
    };
    let target = target.filter(|target| (0..now.max(0) + 10 * FARTHEST_MS).contains(target));
    let Some(target) = target else {
        return Err((400, "clock: give set (ms or RFC 3339), or advance_ms from 0 to ten years, or freeze".into()));
    };
    sim.move_clock(target, moved.freeze).await;
    Ok(json!({ "nowMs": sim.clock.now_ms() }))
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refused> {
    serde_json::from_slice(&call.body).map_err(|error| (400, format!("body: {error}")))
}
