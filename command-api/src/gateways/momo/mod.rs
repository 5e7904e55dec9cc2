//! MoMo v2 (<https://developers.momo.vn/v3/docs/payment/api/wallet/onetime>).
//!
//! # Layout
//!
//! * [`signing`]: how both sides sign. [`api`]: the calls, and what the result codes mean.
//!
//! # The page's address comes once
//!
//! MoMo answers the same `requestId` once more only when the payment has ended. So where the answer to `create` was lost, its page
//! cannot be had any more, by nobody: the attempt counts as given up, and the buyer may begin another at once. Should money come for
//! it all the same, it is recorded like any.
//!
//! # What is confirmed
//!
//! Attempts are captured by MoMo itself. One that is only authorised (9000) is confirmed when it is read in time, and given back
//! after its deadline.

mod api;
mod signing;

use std::sync::Arc;

use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
};
use tickiz_event_log::runtime::Clock;
use uuid::Uuid;

use self::{
    api::{Answer, Api, Code, signed_value},
    signing::{CONFIRM, CREATE, IPN, QUERY, REFUND, is_signature},
};
use crate::gateways::{
    Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus, RefundOrder,
    RefundOutcome, Rejected, Unsuitable, Verdict, Webhook, WebhookAnswer, wire::odd,
};

/// MoMo's own address.
pub const API_URL: &str = "https://payment.momo.vn";
/// The least and the most of a payment and of a refund, in dong.
const AMOUNTS: (i64, i64) = (1_000, 50_000_000);
/// MoMo's page with every way to pay.
const REQUEST_TYPE: &str = "payWithMethod";
/// The most characters of the show's title on MoMo's page, whose `orderInfo` takes 255.
const MAX_TITLE_CHARS: usize = 200;

/// Where MoMo is and what is shared with it.
pub struct MomoOptions {
    /// Its address, without a slash at the end.
    pub api_url: String,
    /// Our code there.
    pub partner_code: String,
    /// Part of what is signed.
    pub access_key: SecretString,
    /// What both sides sign with.
    pub secret_key: SecretString,
    /// Where it sends its webhooks.
    pub ipn_url: String,
    /// Where the buyer's browser goes afterwards where he did not say.
    pub return_url: String,
    /// Our clock.
    pub clock: Arc<dyn Clock>,
}

/// MoMo, seen from Tickiz.
pub struct MomoGateway {
    api: Api,
    options: MomoOptions,
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn language(locale: Option<&str>) -> &'static str {
    if locale.is_some_and(|locale| locale.starts_with("vi")) { "vi" } else { "en" }
}

impl MomoGateway {
    /// MoMo, at that address.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: MomoOptions) -> Result<Self, reqwest::Error> {
        let (partner, access) = (options.partner_code.clone(), options.access_key.clone());
        Ok(Self { api: Api::try_new(&options.api_url, partner, access, options.secret_key.clone())?, options })
    }

    fn creation(&self, attempt: &Attempt) -> Map<String, Value> {
        let title: String = attempt.title.chars().take(MAX_TITLE_CHARS).collect();
        let left = attempt.pay_until - self.options.clock.now();
        fields([
            ("requestId", json!(attempt.reference.payment_id.to_string())),
            ("amount", json!(attempt.amount.minor())),
            ("orderId", json!(attempt.reference.to_string())),
            ("orderInfo", json!(format!("{} {title}", attempt.booking_code))),
            ("redirectUrl", json!(attempt.return_url.as_ref().unwrap_or(&self.options.return_url))),
            ("ipnUrl", json!(self.options.ipn_url)),
            ("requestType", json!(REQUEST_TYPE)),
            ("extraData", json!("")),
            ("lang", json!(language(attempt.locale.as_deref()))),
            ("autoCapture", json!(true)),
            ("storeId", json!("Tickiz")),
            // Whole minutes; the one that has begun counts.
            ("orderExpireTime", json!((left.num_seconds() / 60 + 1).max(1))),
        ])
    }

    async fn ask(&self, attempt: &AttemptRef) -> Result<Answer, GatewayError> {
        let query = fields([
            ("requestId", json!(Uuid::new_v4().to_string())),
            ("orderId", json!(attempt.to_string())),
            ("lang", json!("en")),
        ]);
        self.api.call("query", QUERY, query).await
    }

    /// Takes what is authorised, or gives it back, once under an id of its own.
    async fn confirm(&self, attempt: &Attempt, request_type: &str) -> Result<Answer, GatewayError> {
        let id = Uuid::new_v5(&attempt.reference.payment_id.0, request_type.as_bytes());
        let confirm = fields([
            ("requestId", json!(id.to_string())),
            ("orderId", json!(attempt.reference.to_string())),
            ("requestType", json!(request_type)),
            ("amount", json!(attempt.amount.minor())),
            ("description", json!("")),
            ("lang", json!("en")),
        ]);
        self.api.call("confirm", CONFIRM, confirm).await
    }

    async fn authorised(&self, attempt: &Attempt) -> Result<GatewayStatus, GatewayError> {
        let in_time = attempt.is_wanted && self.options.clock.now() < attempt.pay_until;
        let answer = self.confirm(attempt, if in_time { "capture" } else { "cancel" }).await?;
        Ok(match answer.code() {
            Code::Success if in_time => GatewayStatus::Succeeded { received: attempt.amount },
            Code::Success | Code::Cancelled => GatewayStatus::Cancelled,
            // What became of it the next look says.
            _ => GatewayStatus::Pending,
        })
    }
}

fn received(answer: &Answer) -> Result<Money, GatewayError> {
    let amount = answer.number("amount").ok_or_else(|| odd("a payment without an amount"))?;
    Money::try_new(amount, Currency::VND).map_err(odd)
}

fn outcome(answer: &Answer) -> Result<RefundOutcome, GatewayError> {
    Ok(match answer.code() {
        Code::Success => {
            let number = answer.transaction().ok_or_else(|| odd("a refund without a number"))?;
            RefundOutcome::Done { gateway_reference: number.to_string() }
        }
        Code::Open | Code::Pending | Code::Authorised => RefundOutcome::Pending,
        Code::Closed => return Err(GatewayError::NotDone(answer.said())),
        // Under this id it was asked before: what became of it, reading says.
        Code::Asked => return Err(GatewayError::Unknown(answer.said())),
        _ => RefundOutcome::Refused { reason: answer.said() },
    })
}

#[async_trait::async_trait]
impl Gateway for MomoGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Momo
    }

    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        let (least, most) = AMOUNTS;
        if amount.currency() == Currency::VND && (least..=most).contains(&amount.minor()) {
            return Ok(());
        }
        Err(Unsuitable { why: format!("MoMo takes {least} to {most} VND") })
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        self.takes(&attempt.amount).map_err(|unsuitable| GatewayError::Refused(unsuitable.why))?;
        let answer = self.api.call("create", CREATE, self.creation(attempt)).await?;
        match answer.code() {
            Code::Success if !answer.text("payUrl").is_empty() => Ok(Created {
                gateway_reference: attempt.reference.to_string(),
                redirect_url: Some(answer.text("payUrl").to_owned()),
            }),
            Code::Wrong | Code::Declined => Err(GatewayError::Refused(answer.said())),
            Code::Closed => Err(GatewayError::NotDone(answer.said())),
            _ => Err(GatewayError::Unknown(answer.said())),
        }
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        let answer = self.ask(&attempt.reference).await?;
        let declined = || GatewayStatus::Failed { reason: "the payment was not made".to_owned() };
        let status = match answer.code() {
            Code::NotThere => return Ok(None),
            Code::Closed | Code::Wrong | Code::Asked => return Err(GatewayError::NotDone(answer.said())),
            Code::Success => GatewayStatus::Succeeded { received: received(&answer)? },
            Code::Authorised => self.authorised(attempt).await?,
            // Its page's address was lost on its way, and is told to nobody a second time. That is nobody's decline.
            Code::Open if attempt.gateway_reference.is_none() => GatewayStatus::Expired,
            Code::Open => GatewayStatus::Open,
            Code::Pending => GatewayStatus::Pending,
            Code::Cancelled => GatewayStatus::Cancelled,
            Code::Expired => GatewayStatus::Expired,
            Code::Declined | Code::RefundRefused => declined(),
        };
        let named = answer.text("orderId");
        let reference: AttemptRef = named.parse().map_err(|_| odd(format!("orderId {named:?}")))?;
        let is_paid = matches!(status, GatewayStatus::Succeeded { .. });
        // A refund wants the transaction's number; before there is one, the order's name stands for it.
        let number = answer.transaction().filter(|_| is_paid).map(|number| number.to_string());
        let gateway_reference = number.unwrap_or_else(|| attempt.reference.to_string());
        Ok(Some(GatewayPayment { reference, gateway_reference, redirect_url: None, status }))
    }

    async fn cancel(&self, _: &Attempt) -> Result<(), GatewayError> {
        Err(GatewayError::Refused("MoMo has no call for that; the page ends by its own time".to_owned()))
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let number = match order.gateway_reference.parse() {
            Ok(number) => number,
            // It was confirmed by us, whose answer has no number of the payment.
            Err(_) => self.ask(&order.attempt).await?.transaction().unwrap_or_default(),
        };
        let refund = fields([
            ("requestId", json!(order.refund_id.to_string())),
            ("orderId", json!(order.refund_id.0.simple().to_string())),
            ("amount", json!(order.amount.minor())),
            ("transId", json!(number)),
            ("lang", json!("en")),
            ("description", json!("")),
        ]);
        outcome(&self.api.call("refund", REFUND, refund).await?)
    }

    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        let query = fields([
            ("requestId", json!(Uuid::new_v4().to_string())),
            ("orderId", json!(order.refund_id.0.simple().to_string())),
            ("lang", json!("en")),
        ]);
        let answer = self.api.call("refund/query", QUERY, query).await?;
        match answer.code() {
            Code::NotThere => Ok(None),
            // What is refused there is the question, not the refund.
            Code::Wrong | Code::Asked => Err(GatewayError::NotDone(answer.said())),
            Code::Declined | Code::Cancelled | Code::Expired => Err(GatewayError::Unknown(answer.said())),
            _ => outcome(&answer).map(Some),
        }
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        let message: Map<String, Value> = serde_json::from_slice(delivery.body).map_err(|_| Rejected::Signature)?;
        let value = |name: &str| match name {
            "accessKey" => self.options.access_key.expose_secret().to_owned().into(),
            name => signed_value(message.get(name).unwrap_or(&Value::Null)),
        };
        if !is_signature(IPN, value, &value("signature"), &self.options.secret_key) {
            return Err(Rejected::Signature);
        }
        let attempt: AttemptRef = value("orderId").parse().map_err(|_| Rejected::NotOurs)?;
        let is_ours =
            value("partnerCode") == self.options.partner_code && value("requestId") == attempt.payment_id.to_string();
        if !is_ours {
            return Err(Rejected::NotOurs);
        }
        let (number, code) = (value("transId"), value("resultCode"));
        if ![&number, &code].iter().all(|digits| digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Rejected::Malformed);
        }
        Ok(Webhook { event_key: format!("{attempt}.{number}.{code}"), attempt, amount: None })
    }

    /// MoMo wants 204 and nothing in it.
    fn answer(&self, verdict: Verdict) -> WebhookAnswer {
        let status = if verdict == Verdict::Later { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT };
        WebhookAnswer { status, json: None }
    }
}
