//! What a payment does other than go well: by scenarios that were scripted, or by the amount's last three digits.

use parking_lot::Mutex;
use serde::Deserialize;

/// More would be a mistake of the script.
const SCENARIOS: usize = 1_000;

/// What happens at one step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// The step: `pay` or `refund`.
    on: String,
    /// `insufficient_funds` or `issuer`.
    pub(crate) decline: Option<String>,
    /// The outcome is known a minute later only; `decline` says which.
    pub(crate) pending: bool,
    /// The customer pays when the payment has expired.
    pub(crate) pay_after_expiry: bool,
    /// A refund is accepted, and fails a minute later.
    pub(crate) refund_fails: bool,
    pub(crate) webhook: Webhooks,
}

/// What happens to the step's webhooks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// None is sent.
    pub(crate) drop: bool,
    /// How often each is sent, 0 and 1 alike.
    pub(crate) duplicate: u32,
    /// All at once, not one after another.
    pub(crate) parallel: bool,
    /// How late; below zero, before the call that caused it is answered.
    pub(crate) delay_ms: i64,
    /// With a wrong signature.
    pub(crate) forged: bool,
    /// With a wrong signature, then with the right one.
    pub(crate) bad_signature_then_good: bool,
    /// `reverse`, or as usual.
    pub(crate) order: Option<String>,
    /// Added to the amount, in minor units.
    pub(crate) amount: i64,
    /// Another currency.
    pub(crate) currency: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Match {
    reference: Option<String>,
    amount: Option<i64>,
    email: Option<String>,
}

/// Which payments, and what they do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    #[serde(rename = "match")]
    wanted: Match,
    script: Vec<Plan>,
}

#[derive(Default)]
pub(crate) struct Scenarios(Mutex<Vec<Scenario>>);

impl Scenarios {
    /// Adds one; false when there are too many.
    pub(crate) fn add(&self, scenario: Scenario) -> bool {
        let mut all = self.0.lock();
        let room = all.len() < SCENARIOS;
        if room {
            all.push(scenario);
        }
        room
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// What `step` (`pay` or `refund`) does with this payment. The newest scenario wins, and any of them over the amount.
    pub(crate) fn plan(&self, step: &str, reference: &str, minor: i64, email: &str) -> Plan {
        let all = self.0.lock();
        let scripted = all.iter().rev().find_map(|scenario| {
            let wanted = &scenario.wanted;
            let matches = wanted.reference.as_ref().is_none_or(|other| other == reference)
                && wanted.amount.is_none_or(|other| other == minor)
                && wanted.email.as_ref().is_none_or(|other| other == email);
            scenario.script.iter().find(|plan| matches && plan.on == step).cloned()
        });
        scripted.unwrap_or_else(|| by_amount(step, minor))
    }
}

fn by_amount(step: &str, minor: i64) -> Plan {
    let mut plan = Plan::default();
    match (step, minor.rem_euclid(1000)) {
        ("pay", 1) => plan.decline = Some("insufficient_funds".into()),
        ("pay", 2) => plan.decline = Some("issuer".into()),
        ("pay", 3) => plan.webhook.duplicate = 2,
        ("pay", 4) => plan.webhook.delay_ms = -50,
        ("pay", 5) => plan.webhook.drop = true,
        ("pay", 6) => plan.pay_after_expiry = true,
        ("pay", 7) => plan.webhook.amount = -1,
        ("pay", 8) => plan.pending = true,
        ("pay", 9) => (plan.pending, plan.decline) = (true, Some("issuer".into())),
        ("refund", 10) => plan.refund_fails = true,
        _ => {}
    }
    plan
}
