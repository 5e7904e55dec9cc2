//! Stripe: a Checkout Session an attempt, on Stripe's own page (<https://docs.stripe.com/api/checkout/sessions>).
//!
//! # Layout
//!
//! * [`api`]: the calls and their words. [`amounts`]: what Stripe takes. [`webhook`]: its signature.
//!
//! # The session's end
//!
//! A session lives at least 30 minutes, which is longer than a hold. So it is made to end 31 minutes after the attempt's deadline, a
//! moment that is the same in each repetition of the call, and is ended by a call of its own when the deadline has passed: the
//! reconciler finds it open and gives it up ([`Gateway::cancel`]).
//!
//! # What is looked up
//!
//! A session whose answer was lost is found by asking for it once more under the same key. Refunds are of the session's payment
//! intent, and carry our own id in their metadata, by which they are found again.

mod amounts;
mod api;
mod webhook;

use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
};
use tickiz_event_log::runtime::Clock;

use self::api::{Answered, Api, Id, List, Refund, Session};
use crate::gateways::{
    Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus, RefundOrder,
    RefundOutcome, Rejected, Unsuitable, Webhook,
    wire::{id, odd, unscaled, words},
};

/// Stripe's own address.
pub const API_URL: &str = "https://api.stripe.com";
/// How long after the attempt's deadline a session ends by itself: Stripe allows no less than 30 minutes from its creation, which is
/// before the deadline.
const SESSION_OUTLIVES: TimeDelta = TimeDelta::minutes(31);
/// A session may not outlive a day, which is also what it lives where nothing is said: so nothing is said of one that is to end so
/// far away or later.
const LONGEST_LEFT: TimeDelta = TimeDelta::hours(23);
/// The most characters of the show's title on Stripe's page.
const MAX_NAME_CHARS: usize = 200;
/// The most refunds of one payment that are looked through; Stripe's longest page.
const MAX_REFUNDS: usize = 100;

/// Where Stripe is and what is shared with it.
pub struct StripeOptions {
    /// Its address, without a slash at the end.
    pub api_url: String,
    /// Our secret or restricted key, `sk_…` or `rk_…`.
    pub key: SecretString,
    /// What its webhooks are signed with, `whsec_…`; two while it is being rolled.
    pub webhook_secrets: Vec<SecretString>,
    /// Where the buyer's browser goes afterwards where he did not say.
    pub return_url: String,
    /// Our clock, for the webhooks' tolerance.
    pub clock: Arc<dyn Clock>,
}

/// Stripe, seen from Tickiz.
pub struct StripeGateway {
    api: Api,
    options: StripeOptions,
}

impl StripeGateway {
    /// Stripe, at that address.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: StripeOptions) -> Result<Self, reqwest::Error> {
        Ok(Self { api: Api::try_new(&options.api_url, options.key.clone())?, options })
    }

    /// Whether our key, and with it our webhooks, is of the mode in which money moves.
    fn is_live(&self) -> bool {
        self.options.key.expose_secret().contains("_live_")
    }

    fn form(&self, attempt: &Attempt, amount: i64) -> Vec<(&'static str, String)> {
        let back = attempt.return_url.as_ref().unwrap_or(&self.options.return_url);
        let name: String = attempt.title.chars().take(MAX_NAME_CHARS).collect();
        let reference = attempt.reference.to_string();
        let ends = attempt.pay_until - self.options.clock.now() < LONGEST_LEFT;
        let ends_at = ends.then(|| ("expires_at", (attempt.pay_until + SESSION_OUTLIVES).timestamp().to_string()));
        let form = [
            ("mode", "payment".to_owned()),
            ("client_reference_id", reference.clone()),
            ("metadata[attempt_id]", reference.clone()),
            ("metadata[order_id]", attempt.booking_code.clone()),
            // A session's metadata is not copied to what is made of it.
            ("payment_intent_data[metadata][attempt_id]", reference),
            ("payment_intent_data[metadata][order_id]", attempt.booking_code.clone()),
            ("payment_intent_data[description]", format!("Tickiz {}", attempt.booking_code)),
            ("line_items[0][price_data][currency]", attempt.amount.currency().code().to_lowercase()),
            ("line_items[0][price_data][unit_amount]", amount.to_string()),
            ("line_items[0][price_data][product_data][name]", name),
            ("line_items[0][quantity]", "1".to_owned()),
            // Nobody is to be charged in another currency than the show's.
            ("adaptive_pricing[enabled]", "false".to_owned()),
            ("submit_type", "book".to_owned()),
            ("locale", locale(attempt.locale.as_deref()).to_owned()),
            ("success_url", back.clone()),
            ("cancel_url", back.clone()),
        ];
        form.into_iter().chain(ends_at).collect()
    }

    async fn session(&self, session_id: &str) -> Result<Option<Session>, GatewayError> {
        let path = format!("checkout/sessions/{}?expand[]=payment_intent", id(session_id)?);
        Ok(match self.api.call(Method::GET, &path, None, None).await? {
            Answered::Good(session) => Some(session),
            Answered::NotThere => None,
        })
    }

    async fn payment_intent(&self, order: &RefundOrder) -> Result<Option<String>, GatewayError> {
        let session = self.session(&order.gateway_reference).await?;
        Ok(session.and_then(|session| session.payment_intent).map(|intent| intent.id().to_owned()))
    }
}

/// The language of Stripe's page; it refuses those that it does not have.
fn locale(wanted: Option<&str>) -> &'static str {
    const LOCALES: [&str; 38] = [
        "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr", "hu",
        "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv",
        "th", "tr", "vi", "zh",
    ];
    let wanted = wanted.unwrap_or_default();
    let language = wanted.split('-').next().unwrap_or_default();
    let has = |name: &str| LOCALES.into_iter().find(|locale| locale.eq_ignore_ascii_case(name));
    has(wanted).or_else(|| has(language)).unwrap_or("auto")
}

impl Session {
    fn status(&self) -> Result<GatewayStatus, GatewayError> {
        let intent = self.payment_intent.as_ref();
        Ok(match (self.status.as_str(), self.payment_status.as_str()) {
            ("open", _) => GatewayStatus::Open,
            ("expired", _) => GatewayStatus::Expired,
            ("complete", "paid" | "no_payment_required") => GatewayStatus::Succeeded { received: self.received()? },
            ("complete", "unpaid") => match intent.and_then(Id::status) {
                Some("canceled") => GatewayStatus::Cancelled,
                // A delayed method that did not go through: the session stays complete, and the intent falls back to its beginning.
                Some("requires_payment_method") => {
                    GatewayStatus::Failed { reason: "the payment did not go through".into() }
                }
                _ => GatewayStatus::Pending,
            },
            (status, paid) => return Err(odd(format!("a session {status:?} and {paid:?}"))),
        })
    }

    fn received(&self) -> Result<Money, GatewayError> {
        let code = self.currency.as_deref().unwrap_or_default().to_uppercase();
        let currency = Currency::parse(&code).map_err(odd)?;
        // What was taken, which with a capture by hand may be less than the session's total.
        let taken = self.payment_intent.as_ref().and_then(Id::amount_received).or(self.amount_total);
        let amount = taken.ok_or_else(|| odd("a paid session without an amount"))?;
        unscaled(amount, amounts::decimals(currency), currency)
    }

    fn into_payment(self) -> Result<GatewayPayment, GatewayError> {
        let named = self.client_reference_id.as_deref().unwrap_or_default();
        let reference: AttemptRef = named.parse().map_err(|_| odd(format!("the reference {named:?}")))?;
        let status = self.status()?;
        let redirect_url = self.url.filter(|_| status == GatewayStatus::Open);
        Ok(GatewayPayment { reference, gateway_reference: self.id, redirect_url, status })
    }
}

impl Refund {
    fn into_outcome(self) -> Result<RefundOutcome, GatewayError> {
        match self.status.as_deref().unwrap_or_default() {
            "succeeded" => Ok(RefundOutcome::Done { gateway_reference: self.id }),
            "pending" | "requires_action" => Ok(RefundOutcome::Pending),
            status @ ("failed" | "canceled") => {
                let why = self.failure_reason.as_deref().unwrap_or("no reason given");
                Ok(RefundOutcome::Refused { reason: words(&format!("the refund is {status}: {why}")) })
            }
            other => Err(odd(format!("a refund of status {other:?}"))),
        }
    }
}

#[async_trait::async_trait]
impl Gateway for StripeGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Stripe
    }

    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        amounts::wire(amount).map(drop)
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        let amount = amounts::wire(&attempt.amount).map_err(|unsuitable| GatewayError::Refused(unsuitable.why))?;
        let key = format!("tkz:{}:create:0", attempt.reference.payment_id);
        let form = self.form(attempt, amount);
        match self.api.call::<Session>(Method::POST, "checkout/sessions", Some(key), Some(&form)).await? {
            Answered::Good(session) => {
                id(&session.id)?;
                Ok(Created { gateway_reference: session.id, redirect_url: session.url })
            }
            Answered::NotThere => Err(GatewayError::NotDone("there is no such call at that address".to_owned())),
        }
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        let Some(session_id) = &attempt.gateway_reference else { return Ok(None) };
        self.session(session_id).await?.map(Session::into_payment).transpose()
    }

    async fn cancel(&self, attempt: &Attempt) -> Result<(), GatewayError> {
        // One whose id nobody has, nobody can pay: its page's address came with the id.
        let Some(session_id) = &attempt.gateway_reference else { return Ok(()) };
        let path = format!("checkout/sessions/{}/expire", id(session_id)?);
        let key = format!("tkz:{}:expire:0", attempt.reference.payment_id);
        self.api.call::<Session>(Method::POST, &path, Some(key), Some(&[])).await.map(drop)
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let nothing_paid = || RefundOutcome::Refused { reason: "the session has no payment".to_owned() };
        let Some(intent) = self.payment_intent(order).await? else { return Ok(nothing_paid()) };
        let amount = amounts::scaled(&order.amount)
            .ok_or_else(|| GatewayError::Refused("Stripe has no such amount".to_owned()))?;
        let key = format!("tkz:{}:refund:0", order.refund_id);
        let form = [
            ("payment_intent", intent),
            ("amount", amount.to_string()),
            ("reason", "requested_by_customer".to_owned()),
            ("metadata[refund_id]", order.refund_id.to_string()),
            ("metadata[attempt_id]", order.attempt.to_string()),
        ];
        match self.api.call::<Refund>(Method::POST, "refunds", Some(key), Some(&form)).await {
            Ok(Answered::Good(refund)) => refund.into_outcome(),
            Ok(Answered::NotThere) => Ok(nothing_paid()),
            Err(GatewayError::Refused(reason)) => Ok(RefundOutcome::Refused { reason }),
            Err(error) => Err(error),
        }
    }

    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        let Some(intent) = self.payment_intent(order).await? else { return Ok(None) };
        let path = format!("refunds?payment_intent={}&limit={MAX_REFUNDS}", id(&intent)?);
        let Answered::Good(list) = self.api.call::<List<Refund>>(Method::GET, &path, None, None).await? else {
            return Ok(None);
        };
        let wanted = order.refund_id.to_string();
        let ours = list.data.into_iter().find(|refund| refund.metadata.refund_id.as_ref() == Some(&wanted));
        if ours.is_none() && list.has_more {
            // To say that there is none would make a second one.
            return Err(odd(format!("more than {MAX_REFUNDS} refunds of one payment")));
        }
        ours.map(Refund::into_outcome).transpose()
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        let now = self.options.clock.now().timestamp();
        webhook::verify(&self.options.webhook_secrets, delivery.headers, delivery.body, now)?;
        webhook::read(delivery.body, self.is_live())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_the_buyers_language_where_it_has_it() {
        for (wanted, found) in
            [("vi-VN", "vi"), ("en-GB", "en-GB"), ("pt-br", "pt-BR"), ("de-AT", "de"), ("ga", "auto"), ("", "auto")]
        {
            assert_eq!(locale(Some(wanted)), found);
        }
        assert_eq!(locale(None), "auto");
    }
}
