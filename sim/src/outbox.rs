//! Webhooks on their way: when each is due, what was sent, what came back, and when it is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::plan::Webhooks;
use crate::settings::Gateway;

/// Deliveries that are remembered, done or not.
const DELIVERIES: usize = 20_000;
/// Attempts of one delivery that are remembered.
const ATTEMPTS: usize = 50;
/// As long as a gateway waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is kept.
const ANSWER_BYTES: usize = 4_096;

/// What is sent.
pub(crate) struct Outgoing {
    pub(crate) method: reqwest::Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What follows from it.
pub(crate) enum Next {
    Done,
    Again { after_ms: i64 },
    GivenUp,
}

/// One notice of a gateway. It is written anew for each attempt, as signatures hold the time.
pub(crate) trait Message: Send + Sync {
    fn kind(&self) -> String;
    fn request(&self, now_ms: i64, forged: bool) -> Outgoing;
    /// `attempt` counts from 1; no answer is `None`.
    fn next(&self, attempt: u32, answer: Option<&Answer>) -> Next;
}

struct Delivery {
    id: u64,
    gateway: Gateway,
    reference: String,
    message: Arc<dyn Message>,
    forged: bool,
    parallel: bool,
    due: Option<i64>,
    outcome: &'static str,
    attempts: VecDeque<Value>,
    count: u32,
}

#[derive(Default)]
struct State {
    last: u64,
    deliveries: VecDeque<Delivery>,
}

pub(crate) struct Outbox {
    state: Mutex<State>,
    // One runner at a time: webhooks leave in the order in which they are due.
    running: tokio::sync::Mutex<()>,
    client: reqwest::Client,
}

impl Outbox {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // No gateway follows a redirect.
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { state: Mutex::default(), running: tokio::sync::Mutex::default(), client })
    }

    /// Puts messages on their way as the plan says.
    pub(crate) fn send(
        &self,
        gateway: Gateway,
        reference: &str,
        mut messages: Vec<Arc<dyn Message>>,
        plan: &Webhooks,
        now_ms: i64,
    ) {
        if plan.drop {
            return;
        }
        if plan.order.as_deref() == Some("reverse") {
            messages.reverse();
        }
        let due = now_ms + plan.delay_ms.max(0);
        let mut state = self.state.lock();
        for message in messages {
            let mut forged = vec![plan.forged; plan.duplicate.clamp(1, 100) as usize];
            if plan.bad_signature_then_good {
                forged.insert(0, true);
            }
            for forged in forged {
                state.last += 1;
                let delivery = Delivery {
                    id: state.last,
                    gateway,
                    reference: reference.to_owned(),
                    message: Arc::clone(&message),
                    forged,
                    parallel: plan.parallel,
                    due: Some(due),
                    outcome: "waiting",
                    attempts: VecDeque::new(),
                    count: 0,
                };
                state.deliveries.push_back(delivery);
            }
        }
        while state.deliveries.len() > DELIVERIES {
            state.deliveries.pop_front();
        }
    }

    pub(crate) fn next_due(&self) -> Option<i64> {
        self.state.lock().deliveries.iter().filter_map(|delivery| delivery.due).min()
    }

    /// Sends all that is due at that time, in order, and what became due by it.
    pub(crate) async fn run_due(&self, now_ms: i64) {
        let _one = self.running.lock().await;
        loop {
            let batch = self.take_due(now_ms);
            if batch.is_empty() {
                return;
            }
            futures::future::join_all(
                batch.into_iter().map(|(id, message, forged)| self.attempt(id, message, forged, now_ms)),
            )
            .await;
        }
    }

    /// The first that is due, with all that leave together with it.
    fn take_due(&self, now_ms: i64) -> Vec<(u64, Arc<dyn Message>, bool)> {
        let mut state = self.state.lock();
        let first = state
            .deliveries
            .iter()
            .filter(|delivery| delivery.due.is_some_and(|due| due <= now_ms))
            .min_by_key(|delivery| (delivery.due, delivery.id))
            .map(|delivery| (delivery.id, delivery.parallel, delivery.due));
        let Some((id, parallel, due)) = first else { return vec![] };
        let mut batch = vec![];
        for delivery in &mut state.deliveries {
            if delivery.id == id || (parallel && delivery.parallel && delivery.due == due) {
                delivery.due = None;
                batch.push((delivery.id, Arc::clone(&delivery.message), delivery.forged));
            }
        }
        batch
    }

    async fn attempt(&self, id: u64, message: Arc<dyn Message>, forged: bool, now_ms: i64) {
        let outgoing = message.request(now_ms, forged);
        let mut request = self.client.request(outgoing.method.clone(), &outgoing.url).body(outgoing.body.clone());
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        let answer = match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let mut body = response.text().await.unwrap_or_default();
                body.truncate(body.floor_char_boundary(ANSWER_BYTES));
                Some(Answer { status, body })
            }
            Err(_) => None,
        };
        let mut state = self.state.lock();
        let Some(delivery) = state.deliveries.iter_mut().find(|delivery| delivery.id == id) else { return };
        delivery.count += 1;
        let headers: serde_json::Map<String, Value> =
            outgoing.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        delivery.attempts.push_back(json!({
            "attempt": delivery.count, "atMs": now_ms,
            "request": { "method": outgoing.method.as_str(), "url": outgoing.url, "headers": headers, "body": outgoing.body },
            "response": answer.as_ref().map(|answer| json!({ "status": answer.status, "body": answer.body })),
        }));
        if delivery.attempts.len() > ATTEMPTS {
            delivery.attempts.pop_front();
        }
        (delivery.outcome, delivery.due) = match message.next(delivery.count, answer.as_ref()) {
            Next::Done => ("done", None),
            Next::Again { after_ms } => ("waiting", Some(now_ms + after_ms)),
            Next::GivenUp => ("given_up", None),
        };
    }

    /// Makes a delivery due now; false when there is none of that number.
    pub(crate) fn redeliver(&self, id: u64, now_ms: i64) -> bool {
        let mut state = self.state.lock();
        let found = state.deliveries.iter_mut().find(|delivery| delivery.id == id);
        found.map(|delivery| (delivery.due, delivery.outcome) = (Some(now_ms), "waiting")).is_some()
    }

    /// All that was sent and is to be sent, oldest first.
    pub(crate) fn journal(&self) -> Value {
        let state = self.state.lock();
        let all = state.deliveries.iter().map(|delivery| {
            json!({
                "id": delivery.id, "gateway": delivery.gateway, "reference": delivery.reference,
                "kind": delivery.message.kind(), "forged": delivery.forged, "outcome": delivery.outcome,
                "nextMs": delivery.due, "attempts": delivery.attempts,
            })
        });
        Value::Array(all.collect())
    }

    pub(crate) fn clear(&self) {
        self.state.lock().deliveries.clear();
    }
}
