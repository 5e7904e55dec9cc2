//! How Tickiz speaks to the sandbox gateway.
//!
//! A refusal with 4xx was said before anything was done; 5xx may have taken effect, and is asked for.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
};
use tickiz_event_log::runtime::Clock;

use crate::gateways::{
    Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus, LookSchedule,
    RefundOrder, RefundOutcome, Rejected, Unsuitable, Webhook,
    wire::{Caller, hmac_sha256_is, json, odd},
};

/// How far a webhook's time may lie from ours, in seconds, either way.
pub const TOLERANCE_SECONDS: i64 = 300;
/// The header that carries a webhook's signature.
const SIGNATURE_HEADER: &str = "sandbox-signature";
/// The longest id of a message.
const MAX_EVENT_KEY_CHARS: usize = 64;

/// A sandbox is looked at in seconds, since somebody sits before it and waits.
const LOOKS: LookSchedule = LookSchedule {
    waits: &[
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(15),
        Duration::from_secs(60),
        Duration::from_secs(300),
        Duration::from_secs(3_600),
    ],
    give_up_after: LookSchedule::WORLD.give_up_after,
    before_deadline: None,
    late_money: Duration::ZERO,
};

/// Where the gateway is and what is shared with it.
pub struct SandboxOptions {
    /// Its address, without a slash at the end.
    pub api_url: String,
    /// Our key there.
    pub api_key: String,
    /// What its webhooks are signed with.
    pub webhook_secret: Vec<u8>,
    /// Our clock, for the webhooks' tolerance.
    pub clock: Arc<dyn Clock>,
}

/// The sandbox gateway, seen from Tickiz.
pub struct SandboxGateway {
    options: SandboxOptions,
    caller: Caller,
}

#[derive(Serialize)]
struct CreateBody<'a> {
    reference: String,
    amount_minor: i64,
    currency: &'static str,
    title: &'a str,
    return_url: Option<&'a str>,
    locale: Option<&'a str>,
    pay_until: DateTime<Utc>,
    hold_ends_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct RefundBody<'a> {
    payment: &'a str,
    amount_minor: i64,
    reason: &'a str,
}

#[derive(Deserialize)]
struct PaymentAnswer {
    id: String,
    reference: String,
    state: String,
    amount_minor: i64,
    currency: String,
    url: String,
}

#[derive(Deserialize)]
struct RefundAnswer {
    id: String,
    state: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    payment: MessagePayment,
}

#[derive(Deserialize)]
struct MessagePayment {
    reference: String,
}

/// The gateway's own words for what it will not do, whoever asks again.
const REFUSALS: [&str; 3] = ["invalid_request", "nothing_to_refund", "too_late"];

/// How a call ended that got an answer.
enum Answered<T> {
    Good(T),
    NotThere,
}

impl SandboxGateway {
    /// The gateway at that address.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: SandboxOptions) -> Result<Self, reqwest::Error> {
        let caller = Caller::try_new(&options.api_url)?;
        Ok(Self { options, caller })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<Answered<T>, GatewayError> {
        let mut request = self
            .caller
            .request(method, format!("{}/sandbox/api/{path}", self.options.api_url))
            .bearer_auth(&self.options.api_key);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        }
        let reply = self.caller.send(request).await?;
        let status = reply.status;
        if status.is_success() {
            return reply.read().map(Answered::Good);
        }
        let error: Option<ErrorAnswer> = reply.said();
        let code = error.as_ref().map_or("", |error| error.error.code.as_str());
        let why = error
            .as_ref()
            .map_or_else(|| status.to_string(), |e| format!("{status} {}: {}", e.error.code, e.error.message));
        match (status, code) {
            (StatusCode::NOT_FOUND, "not_found") => Ok(Answered::NotThere),
            (StatusCode::TOO_MANY_REQUESTS, _) => Err(GatewayError::NotDone(why)),
            // Something else was asked under this key before, such as an older title: what it is, reading says.
            (StatusCode::CONFLICT, "idempotency_key_reused") => Err(GatewayError::Unknown(why)),
            // Another server answers there, or our key is wrong: nothing was done, and somebody will set it right.
            (StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                Err(GatewayError::NotDone(why))
            }
            // Only what the gateway itself says in its own words is a refusal: a 4xx without them is somebody's on the way, such as
            // a proxy's 408.
            (StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY, code)
                if REFUSALS.contains(&code) =>
            {
                Err(GatewayError::Refused(why))
            }
            _ => Err(GatewayError::Unknown(why)),
        }
    }

    async fn find(&self, attempt: &Attempt) -> Result<Option<PaymentAnswer>, GatewayError> {
        let path = format!("payments?key={}", attempt.reference.payment_id);
        Ok(match self.call(Method::GET, &path, None, None).await? {
            Answered::Good(payment) => Some(payment),
            Answered::NotThere => None,
        })
    }
}

impl PaymentAnswer {
    fn into_payment(self) -> Result<GatewayPayment, GatewayError> {
        let reference: AttemptRef =
            self.reference.parse().map_err(|_| odd(format!("reference {:?}", self.reference)))?;
        let status = match self.state.as_str() {
            "OPEN" => GatewayStatus::Open,
            "PROCESSING" => GatewayStatus::Pending,
            "PAID" => {
                let currency = Currency::parse(&self.currency).map_err(odd)?;
                let received = Money::try_new(self.amount_minor, currency).map_err(odd)?;
                GatewayStatus::Succeeded { received }
            }
            "DECLINED" => GatewayStatus::Failed { reason: "declined".to_owned() },
            "CANCELLED" => GatewayStatus::Cancelled,
            "EXPIRED" => GatewayStatus::Expired,
            other => return Err(odd(format!("state {other:?}"))),
        };
        let redirect_url = (status == GatewayStatus::Open).then_some(self.url);
        Ok(GatewayPayment { reference, gateway_reference: self.id, redirect_url, status })
    }
}

impl RefundAnswer {
    fn into_outcome(self) -> Result<RefundOutcome, GatewayError> {
        match self.state.as_str() {
            "DONE" => Ok(RefundOutcome::Done { gateway_reference: self.id }),
            "PENDING" => Ok(RefundOutcome::Pending),
            other => Err(GatewayError::Unknown(format!("a refund of state {other:?}"))),
        }
    }
}

#[async_trait::async_trait]
impl Gateway for SandboxGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Sandbox
    }

    /// Every amount above nothing, in every currency.
    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        if amount.minor() > 0 { Ok(()) } else { Err(Unsuitable { why: "there is nothing to pay".to_owned() }) }
    }

    fn looks(&self) -> LookSchedule {
        LOOKS
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        let body = json(&CreateBody {
            reference: attempt.reference.to_string(),
            amount_minor: attempt.amount.minor(),
            currency: attempt.amount.currency().code(),
            title: &attempt.title,
            return_url: attempt.return_url.as_deref(),
            locale: attempt.locale.as_deref(),
            pay_until: attempt.pay_until,
            hold_ends_at: attempt.hold_ends_at,
        });
        let key = attempt.reference.payment_id.to_string();
        match self.call::<PaymentAnswer>(Method::POST, "payments", Some(key), Some(body)).await? {
            Answered::Good(payment) => Ok(Created { gateway_reference: payment.id, redirect_url: Some(payment.url) }),
            Answered::NotThere => Err(GatewayError::NotDone("the gateway has no such call".to_owned())),
        }
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        self.find(attempt).await?.map(PaymentAnswer::into_payment).transpose()
    }

    async fn cancel(&self, attempt: &Attempt) -> Result<(), GatewayError> {
        let id = match &attempt.gateway_reference {
            Some(id) => id.clone(),
            None => match self.find(attempt).await? {
                Some(payment) => payment.id,
                None => return Ok(()),
            },
        };
        self.call::<PaymentAnswer>(Method::POST, &format!("payments/{id}/cancel"), None, None).await.map(drop)
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let body = json(&RefundBody {
            payment: &order.gateway_reference,
            amount_minor: order.amount.minor(),
            reason: &order.reason,
        });
        match self.call::<RefundAnswer>(Method::POST, "refunds", Some(order.refund_id.to_string()), Some(body)).await {
            Ok(Answered::Good(refund)) => refund.into_outcome(),
            Ok(Answered::NotThere) => {
                Ok(RefundOutcome::Refused { reason: "the gateway has no such payment".to_owned() })
            }
            Err(GatewayError::Refused(reason)) => Ok(RefundOutcome::Refused { reason }),
            Err(error) => Err(error),
        }
    }

    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        match self.call::<RefundAnswer>(Method::GET, &format!("refunds?key={}", order.refund_id), None, None).await? {
            Answered::Good(refund) => refund.into_outcome().map(Some),
            Answered::NotThere => Ok(None),
        }
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        let now = self.options.clock.now().timestamp();
        verify(&self.options.webhook_secret, delivery.headers, delivery.body, now)?;
        let message: Message = serde_json::from_slice(delivery.body).map_err(|_| Rejected::Malformed)?;
        let event_key = message.id;
        let named = !event_key.is_empty() && event_key.len() <= MAX_EVENT_KEY_CHARS;
        if !named || !event_key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::Malformed);
        }
        let attempt = message.payment.reference.parse().map_err(|_| Rejected::Malformed)?;
        Ok(Webhook { event_key, attempt, amount: None })
    }
}

/// Checks `Sandbox-Signature: t=<unix seconds>,v1=<hexadecimal HMAC-SHA-256>` over the time, a full stop and the raw body. The
/// comparison takes the same time wherever the two differ.
fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Rejected> {
    let mut values = headers.get_all(SIGNATURE_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Rejected::Signature) };
    let value = value.to_str().map_err(|_| Rejected::Signature)?;
    let (time, signature) =
        value.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).ok_or(Rejected::Signature)?;
    if time.len() > 12 || !time.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Rejected::Signature);
    }
    let seconds: i64 = time.parse().map_err(|_| Rejected::Signature)?;
    let is_ours = hmac_sha256_is(secret, &[time.as_bytes(), b".", body], signature);
    if is_ours && (now - seconds).abs() <= TOLERANCE_SECONDS { Ok(()) } else { Err(Rejected::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    /// `printf '1800000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac secret`
    const MAC: &str = "5847cdad07809eddc3ac6ac8796d56ab2884e2b0831aa11ebd49b6c942021281";
    const TIME: i64 = 1_800_000_000;

    fn check(value: &str, body: &[u8], now: i64) -> Result<(), Rejected> {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_HEADER, value.parse().unwrap());
        verify(b"secret", &headers, body, now)
    }

    #[test]
    fn only_the_secrets_owner_signs_and_only_now() {
        let good = format!("t={TIME},v1={MAC}");
        for now in [TIME - TOLERANCE_SECONDS, TIME, TIME + TOLERANCE_SECONDS] {
            assert_eq!(check(&good, BODY, now), Ok(()));
        }
        for now in [TIME - TOLERANCE_SECONDS - 1, TIME + TOLERANCE_SECONDS + 1] {
            assert_eq!(check(&good, BODY, now), Err(Rejected::Signature));
        }
        assert_eq!(check(&good, br#"{"id":"evt_2"}"#, TIME), Err(Rejected::Signature));
        assert_eq!(check(&good, br#"{"id": "evt_1"}"#, TIME), Err(Rejected::Signature));
    }

    #[test]
    fn a_signature_that_is_not_exactly_of_the_form_is_none() {
        let flipped = format!("t={TIME},v1=4{}", &MAC[1..]);
        let later = format!("t={},v1={MAC}", TIME + 1);
        let wrong = [
            "",
            "t=,v1=",
            "v1=x,t=1",
            flipped.as_str(),
            later.as_str(),
            &format!("t={TIME},v1={}", &MAC[..62]),
            &format!("t={TIME},v1={MAC}00"),
            &format!("t= {TIME},v1={MAC}"),
            &format!("t=+{TIME},v1={MAC}"),
            &format!("t={TIME},v1={MAC},v1={MAC}"),
            &format!("t={TIME},v0={MAC}"),
            &format!("t={TIME}"),
            MAC,
        ];
        for value in wrong {
            assert_eq!(check(value, BODY, TIME), Err(Rejected::Signature), "{value}");
        }
        assert_eq!(verify(b"secret", &HeaderMap::new(), BODY, TIME), Err(Rejected::Signature));
    }
}
