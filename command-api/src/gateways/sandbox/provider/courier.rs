//! What the sandbox gateway does by itself: it ends payments whose time has come, and sends the webhooks that it owes.
//!
//! A webhook is written in the transaction that moves the payment, so none is forgotten, and sent from the books, so a crash
//! between the two costs a moment. It is sent until somebody answers 2xx, at most [`MAX_ATTEMPTS`] times; the same message has
//! the same id and the same bytes each time, and a fresh signature.
//!
//! The signature is `Sandbox-Signature: t=<unix seconds>,v1=<hexadecimal HMAC-SHA-256>` over the time, a full stop and the raw
//! body, under the secret that merchant and gateway share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    account::{BooksError, OwedDelivery, Payment},
    books::{Books, DUE_BATCH},
    machine::{Act, State},
};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";
/// How long an idle gateway sleeps before it looks again: a webhook that another process owes goes out within a second.
const IDLE: Duration = Duration::from_millis(400);
/// The most webhooks on their way at once.
const MAX_IN_FLIGHT: usize = 128;
/// How long a receiver may take. Also how long an attempt keeps others from trying.
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(5);
/// The waits after failed attempts, in seconds; the last one stays.
const WAITS_SECONDS: [i64; 6] = [1, 2, 5, 15, 60, 300];
/// After this many attempts, some six hours, nobody is told any more; the merchant can still ask.
pub const MAX_ATTEMPTS: i32 = 75;
/// The most characters of a receiver's answer that the journal keeps.
const MAX_ANSWER_CHARS: usize = 200;

/// The bytes of a webhook.
#[must_use]
pub fn message(id: &str, event_type: &str, payment: &Payment, state: State, now: DateTime<Utc>) -> Vec<u8> {
    json!({
        "id": id,
        "type": event_type,
        "created_at": now,
        "payment": {
            "id": payment.id,
            "key": payment.asked.idempotency_key,
            "reference": payment.asked.reference,
            "state": state.as_str(),
            "amount_minor": payment.asked.amount.minor(),
            "currency": payment.asked.amount.currency().code(),
        },
    })
    .to_string()
    .into_bytes()
}

/// The value of the signature's header.
#[must_use]
pub fn sign(secret: &[u8], unix_seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(unix_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={unix_seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// The one who does it. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    pub(super) books: Books,
    pub(super) notify_url: Arc<str>,
    pub(super) secret: Arc<[u8]>,
    pub(super) http: reqwest::Client,
    pub(super) wake: Arc<Notify>,
    /// Whether a webhook may wait for a place.
    pub(super) is_full: Arc<AtomicBool>,
}

impl Courier {
    /// Works until it is told to stop, then waits for what is on its way.
    pub async fn run(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let mut sending = JoinSet::new();
        while !stop.is_cancelled() {
            let more = match self.round(&places, &mut sending).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::error!(%error, "the sandbox gateway cannot read its books; it tries again");
                    false
                }
            };
            while sending.try_join_next().is_some() {}
            if more {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// One look at the books; true where there may be more to do at once.
    async fn round(&self, places: &Arc<Semaphore>, sending: &mut JoinSet<()>) -> Result<bool, BooksError> {
        let due = self.books.due().await?;
        for id in &due {
            self.books.act(id, Act::Due).await?;
        }
        let free = places.available_permits();
        let owed = if free == 0 { Vec::new() } else { self.books.owed(i64::try_from(free).unwrap_or(1)).await? };
        self.is_full.store(owed.len() == free, Ordering::Relaxed);
        let lease = self.books.now() + after(RECEIVER_TIMEOUT) + TimeDelta::seconds(1);
        for delivery in self.books.take_deliveries(owed, lease).await? {
            // Only this task takes places, so there are as many as were free.
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
            let courier = self.clone();
            sending.spawn(async move {
                courier.deliver(delivery).await;
                drop(place);
                if courier.is_full.swap(false, Ordering::Relaxed) {
                    courier.wake.notify_one();
                }
            });
        }
        Ok(i64::try_from(due.len()).is_ok_and(|due| due == DUE_BATCH))
    }

    async fn deliver(&self, owed: OwedDelivery) {
        let attempt = owed.attempts + 1;
        let signature = sign(&self.secret, self.books.now().timestamp(), &owed.body);
        let answer = self
            .http
            .post(&*self.notify_url)
            .header(SIGNATURE_HEADER, signature)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .timeout(RECEIVER_TIMEOUT)
            .body(owed.body)
            .send()
            .await;
        let (delivered, answer) = match answer {
            Ok(answer) => (answer.status().is_success(), answer.status().to_string()),
            Err(error) => (false, error.without_url().to_string()),
        };
        let next = (!delivered && attempt < MAX_ATTEMPTS).then(|| self.books.now() + wait_after(attempt));
        let answer: String = answer.chars().take(MAX_ANSWER_CHARS).collect();
        if !delivered && next.is_none() {
            tracing::warn!(delivery.id = %owed.id, %answer, "a webhook of the sandbox gateway was given up");
        }
        if let Err(error) = self.books.settle_delivery(&owed.id, attempt, &answer, delivered, next).await {
            // Sent again when the attempt's lease runs out; the receiver knows it by its id.
            tracing::warn!(delivery.id = %owed.id, %error, "the answer to a webhook could not be written down");
        }
    }
}

fn after(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn wait_after(attempt: i32) -> TimeDelta {
    let index = usize::try_from(attempt - 1).unwrap_or_default().min(WAITS_SECONDS.len() - 1);
    TimeDelta::seconds(WAITS_SECONDS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_time_and_raw_body() {
        // printf '1800000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1800000000,v1=5847cdad07809eddc3ac6ac8796d56ab2884e2b0831aa11ebd49b6c942021281";
        assert_eq!(sign(b"secret", 1_800_000_000, br#"{"id":"evt_1"}"#), expected);
    }

    #[test]
    fn a_webhook_is_tried_for_hours_and_not_for_ever() {
        let waits: Vec<i64> = (1..9).map(|attempt| wait_after(attempt).num_seconds()).collect();
        assert_eq!(waits, [1, 2, 5, 15, 60, 300, 300, 300]);
        let total: i64 = (1..MAX_ATTEMPTS).map(|attempt| wait_after(attempt).num_seconds()).sum();
        assert!((5..=7).contains(&(total / 3_600)), "{total}");
    }
}
