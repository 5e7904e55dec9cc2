//! PayPal, Orders v2 (<https://developer.paypal.com/docs/api/orders/v2/>).
//!
//! # Layout
//!
//! * [`api`]: the token, the calls, what errors mean. [`certificate`]: whose a webhook is.
//!
//! # Who takes the money
//!
//! The buyer only approves; we take it. So an order is captured when it is found approved, under the attempt's own key, while the money
//! still buys something, and never after: what nobody captures PayPal gives up by itself. That is also how an attempt is called back.

mod api;
mod certificate;

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::Method;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
};
use tickiz_event_log::runtime::Clock;
use tokio::sync::Semaphore;

use self::{
    api::{Answered, Api, Capture, Order, Refund, Verification},
    certificate::Certificates,
};
use crate::gateways::{
    Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus, LookSchedule,
    RefundOrder, RefundOutcome, Rejected, Unsuitable, Webhook,
    wire::{self, decimal, id, odd, undecimal, words},
};

/// PayPal's own address.
pub const API_URL: &str = "https://api-m.paypal.com";
/// What it takes (<https://developer.paypal.com/reference/currency-codes/>); three of them without decimals, whatever ISO 4217 says.
const CURRENCIES: &[&str] = &[
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY", "MXN", "MYR", "NOK",
    "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD",
];
const WITHOUT_DECIMALS: [&str; 3] = ["HUF", "JPY", "TWD"];
/// The most minor units: nine digits and the decimals.
const HIGHEST: i64 = 99_999_999_999;
/// How long after its deadline an order may turn out to be paid: an approval holds for three hours (three to six, PayPal says).
const LATE_MONEY: Duration = Duration::from_secs(6 * 60 * 60);
/// Messages whose certificates are fetched, or that PayPal is asked about, at once: anybody may send some, and each costs calls.
const CHECKED_AT_ONCE: usize = 8;
/// The most characters of the description.
const MAX_DESCRIPTION_CHARS: usize = 127;
/// The longest id of a message.
const MAX_EVENT_ID_CHARS: usize = 200;

/// Where PayPal is and what is shared with it.
pub struct PaypalOptions {
    /// Its address, without a slash at the end.
    pub api_url: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub secret: SecretString,
    /// The id of our webhook's registration there, which is part of what is signed.
    pub webhook_id: String,
    /// A certificate in PEM that is trusted as it is: a simulator's.
    pub certificate: Option<Vec<u8>>,
    /// Where the buyer's browser goes afterwards where he did not say.
    pub return_url: String,
    /// Our clock.
    pub clock: Arc<dyn Clock>,
}

/// PayPal, seen from Tickiz.
pub struct PaypalGateway {
    api: Api,
    options: PaypalOptions,
    certificates: Certificates,
    checking: Semaphore,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    event_type: String,
    resource: Resource,
}

/// Of whatever it is about, what leads back to an attempt.
#[derive(Deserialize)]
struct Resource {
    id: Option<String>,
    custom_id: Option<String>,
    #[serde(default)]
    purchase_units: Vec<ResourceUnit>,
}

#[derive(Deserialize)]
struct ResourceUnit {
    custom_id: Option<String>,
}

/// What a message was signed with.
struct Transmission<'a> {
    id: &'a str,
    time: &'a str,
    signature: &'a str,
    certificate: &'a str,
    algorithm: &'a str,
}

fn decimals(currency: Currency) -> u32 {
    if WITHOUT_DECIMALS.contains(&currency.code()) { 0 } else { 2 }
}

fn value(amount: &Money) -> Result<String, Unsuitable> {
    let currency = amount.currency();
    let code = currency.code();
    if !CURRENCIES.contains(&code) {
        return Err(Unsuitable { why: format!("PayPal takes no {code}, but {}", CURRENCIES.join(", ")) });
    }
    let written = decimal(amount, decimals(currency)).filter(|_| (1..=HIGHEST).contains(&amount.minor()));
    let step = if decimals(currency) == 0 { "whole amounts" } else { "amounts" };
    written.ok_or_else(|| Unsuitable { why: format!("PayPal takes {step} of {code} above 0, of at most nine digits") })
}

impl PaypalGateway {
    /// PayPal, at that address.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: PaypalOptions) -> Result<Self, reqwest::Error> {
        let given = options.certificate.as_ref().and_then(|pem| CertificateDer::from_pem_slice(pem).ok());
        let api = Api::try_new(&options.api_url, options.client_id.clone(), options.secret.clone())?;
        Ok(Self { api, options, certificates: Certificates::new(given), checking: Semaphore::new(CHECKED_AT_ONCE) })
    }

    fn order(&self, attempt: &Attempt, value: &str) -> serde_json::Value {
        let amount = json!({"currency_code": attempt.amount.currency().code(), "value": value});
        let text = format!("{} {}", attempt.booking_code, attempt.title);
        let description: String = text.chars().take(MAX_DESCRIPTION_CHARS).collect();
        let back = attempt.return_url.as_ref().unwrap_or(&self.options.return_url);
        json!({
            "intent": "CAPTURE",
            "purchase_units": [{
                "reference_id": "default",
                "custom_id": attempt.reference.to_string(),
                "invoice_id": attempt.reference.payment_id.to_string(),
                "description": description,
                "amount": amount,
            }],
            "payment_source": {"paypal": {"experience_context": {
                "brand_name": "Tickiz",
                "shipping_preference": "NO_SHIPPING",
                "user_action": "PAY_NOW",
                "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
                "return_url": back,
                "cancel_url": back,
            }}},
        })
    }

    async fn find(&self, order_id: &str) -> Result<Option<Order>, GatewayError> {
        let path = format!("/v2/checkout/orders/{}", id(order_id)?);
        match self.api.call(Method::GET, &path, None, None).await? {
            Answered::Good(order) => Ok(Some(order)),
            Answered::NotThere => Ok(None),
            Answered::Issue { why, .. } => Err(GatewayError::Unknown(why)),
        }
    }

    /// Takes what the buyer approved.
    async fn capture(&self, attempt: &Attempt, order: Order) -> Result<GatewayPayment, GatewayError> {
        let path = format!("/v2/checkout/orders/{}/capture", id(&order.id)?);
        let key = format!("{}-capture", attempt.reference.payment_id);
        match self.api.call::<Order>(Method::POST, &path, Some(&key), Some(b"{}")).await? {
            Answered::Good(mut captured) => {
                // What a short answer leaves out is as it was.
                for (unit, was) in captured.purchase_units.iter_mut().zip(order.purchase_units) {
                    unit.custom_id = unit.custom_id.take().or(was.custom_id);
                }
                payment(captured)
            }
            Answered::NotThere => Ok(ended(attempt, order.id, GatewayStatus::Expired)),
            Answered::Issue { issue, why } => match issue.as_str() {
                // He may choose another way to pay, on the same page.
                "INSTRUMENT_DECLINED" | "PAYER_ACTION_REQUIRED" | "ORDER_NOT_APPROVED" => {
                    let redirect_url = page(&order);
                    Ok(GatewayPayment { redirect_url, ..ended(attempt, order.id, GatewayStatus::Open) })
                }
                "ORDER_ALREADY_CAPTURED" => {
                    let again = self.find(&order.id).await?.ok_or_else(|| odd("a captured order that is not there"))?;
                    payment(again)
                }
                "TRANSACTION_REFUSED"
                | "PAYER_CANNOT_PAY"
                | "PAYER_ACCOUNT_RESTRICTED"
                | "COMPLIANCE_VIOLATION"
                | "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED" => {
                    tracing::info!(%why, "PayPal declines a payment");
                    let reason = "PayPal declined the payment".to_owned();
                    Ok(ended(attempt, order.id, GatewayStatus::Failed { reason }))
                }
                _ => Err(GatewayError::Unknown(why)),
            },
        }
    }

    /// Whether a message is PayPal's: by its certificate; where that cannot be had, by asking PayPal.
    async fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Rejected> {
        let transmission = transmission(headers).ok_or(Rejected::Signature)?;
        let place = certificate::place(transmission.certificate, &self.options.api_url).ok_or(Rejected::Signature)?;
        if transmission.algorithm != "SHA256withRSA" {
            return Err(Rejected::Signature);
        }
        let signature = BASE64_STANDARD.decode(transmission.signature).map_err(|_| Rejected::Signature)?;
        let is_trusted = |chain: &Vec<_>| self.certificates.is_trusted(&place, chain, self.options.clock.now());
        let Some(chain) = self.certificates.kept(&place).filter(is_trusted) else {
            // Who finds no place comes again: PayPal sends a message for three days.
            let _turn = self.checking.try_acquire().map_err(|_| Rejected::Unchecked)?;
            return self.verify_by_calls(&transmission, &place, &signature, body).await;
        };
        self.is_signed(&transmission, &chain, &signature, body)
    }

    /// The same where it takes calls to PayPal.
    async fn verify_by_calls(
        &self,
        transmission: &Transmission<'_>,
        place: &certificate::Place,
        signature: &[u8],
        body: &[u8],
    ) -> Result<(), Rejected> {
        let chain = match self.api.fetch(&place.url).await {
            Ok(pem) => self.certificates.keep(place, &pem),
            Err(error) => {
                tracing::warn!(%error, "a certificate of PayPal's cannot be fetched; PayPal is asked");
                None
            }
        };
        let now = self.options.clock.now();
        match chain.filter(|chain| self.certificates.is_trusted(place, chain, now)) {
            Some(chain) => self.is_signed(transmission, &chain, signature, body),
            None => self.ask_whether_signed(transmission, body).await,
        }
    }

    fn is_signed(
        &self,
        transmission: &Transmission<'_>,
        chain: &[CertificateDer<'static>],
        signature: &[u8],
        body: &[u8],
    ) -> Result<(), Rejected> {
        let text = certificate::message(transmission.id, transmission.time, &self.options.webhook_id, body);
        if certificate::is_signed(&chain[0], &text, signature) { Ok(()) } else { Err(Rejected::Signature) }
    }

    async fn ask_whether_signed(&self, transmission: &Transmission<'_>, body: &[u8]) -> Result<(), Rejected> {
        // The body goes there byte for byte.
        let event = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let event = event.ok_or(Rejected::Signature)?;
        #[derive(serde::Serialize)]
        struct Question<'a> {
            auth_algo: &'a str,
            cert_url: &'a str,
            transmission_id: &'a str,
            transmission_sig: &'a str,
            transmission_time: &'a str,
            webhook_id: &'a str,
            webhook_event: &'a RawValue,
        }
        let question = wire::json(&Question {
            auth_algo: transmission.algorithm,
            cert_url: transmission.certificate,
            transmission_id: transmission.id,
            transmission_sig: transmission.signature,
            transmission_time: transmission.time,
            webhook_id: &self.options.webhook_id,
            webhook_event: event,
        });
        let path = "/v1/notifications/verify-webhook-signature";
        match self.api.call::<Verification>(Method::POST, path, None, Some(&question)).await {
            Ok(Answered::Good(verification)) if verification.verification_status == "SUCCESS" => Ok(()),
            Ok(Answered::Good(_) | Answered::Issue { .. }) => Err(Rejected::Signature),
            Ok(Answered::NotThere) | Err(_) => Err(Rejected::Unchecked),
        }
    }
}

fn transmission(headers: &HeaderMap) -> Option<Transmission<'_>> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.contains('|'));
    Some(Transmission {
        id: header("paypal-transmission-id")?,
        time: header("paypal-transmission-time")?,
        signature: header("paypal-transmission-sig")?,
        certificate: header("paypal-cert-url")?,
        algorithm: header("paypal-auth-algo")?,
    })
}

fn page(order: &Order) -> Option<String> {
    let rel = |name: &str| order.links.iter().find(|link| link.rel == name).map(|link| link.href.clone());
    rel("payer-action").or_else(|| rel("approve"))
}

/// An attempt that PayPal says nothing more of.
fn ended(attempt: &Attempt, gateway_reference: String, status: GatewayStatus) -> GatewayPayment {
    GatewayPayment { reference: attempt.reference, gateway_reference, redirect_url: None, status }
}

fn reference(order: &Order) -> Result<AttemptRef, GatewayError> {
    let named = order.purchase_units.first().and_then(|unit| unit.custom_id.as_deref()).unwrap_or_default();
    named.parse().map_err(|_| odd(format!("the custom_id {named:?}")))
}

/// The last capture; there is one as a rule.
fn capture_of(order: &Order) -> Option<&Capture> {
    order.purchase_units.first().and_then(|unit| unit.payments.captures.last())
}

/// An order that was captured.
fn payment(order: Order) -> Result<GatewayPayment, GatewayError> {
    let reference = reference(&order)?;
    let capture = capture_of(&order).ok_or_else(|| odd("a completed order without a capture"))?;
    let status = match capture.status.as_str() {
        // Given back before we heard of it, by somebody at PayPal: no ticket without its money.
        "REFUNDED" => GatewayStatus::Failed { reason: "the payment was given back".to_owned() },
        "PARTIALLY_REFUNDED" => {
            tracing::error!(order = %order.id, "a part of a payment was given back at PayPal before it was confirmed; look it up there");
            GatewayStatus::Pending
        }
        "COMPLETED" => {
            let amount = capture.amount.as_ref().ok_or_else(|| odd("a capture without an amount"))?;
            let currency = Currency::parse(&amount.currency_code).map_err(odd)?;
            GatewayStatus::Succeeded { received: undecimal(&amount.value, currency)? }
        }
        // An order is completed with it, and there is no money yet.
        "PENDING" => GatewayStatus::Pending,
        "DECLINED" | "FAILED" => GatewayStatus::Failed { reason: "PayPal declined the payment".to_owned() },
        other => return Err(odd(format!("a capture of status {other:?}"))),
    };
    Ok(GatewayPayment { reference, gateway_reference: order.id, redirect_url: None, status })
}

fn outcome(refund: Refund) -> Result<RefundOutcome, GatewayError> {
    match refund.status.as_str() {
        "COMPLETED" => Ok(RefundOutcome::Done { gateway_reference: refund.id }),
        "PENDING" => Ok(RefundOutcome::Pending),
        status @ ("CANCELLED" | "FAILED") => {
            Ok(RefundOutcome::Refused { reason: format!("the refund is {}", status.to_lowercase()) })
        }
        other => Err(odd(format!("a refund of status {other:?}"))),
    }
}

#[async_trait::async_trait]
impl Gateway for PaypalGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Paypal
    }

    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        value(amount).map(drop)
    }

    /// A capture whose answer was lost may still succeed after the deadline.
    fn looks(&self) -> LookSchedule {
        LookSchedule { late_money: LATE_MONEY, ..LookSchedule::WORLD }
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        let value = value(&attempt.amount).map_err(|unsuitable| GatewayError::Refused(unsuitable.why))?;
        let body = wire::json(&self.order(attempt, &value));
        let key = attempt.reference.payment_id.to_string();
        match self.api.call::<Order>(Method::POST, "/v2/checkout/orders", Some(&key), Some(&body)).await? {
            Answered::Good(order) => {
                id(&order.id)?;
                let redirect_url = page(&order);
                Ok(Created { gateway_reference: order.id, redirect_url })
            }
            Answered::NotThere => Err(GatewayError::NotDone("there is no such call at that address".to_owned())),
            // Under this key something else was asked before, such as an older title.
            Answered::Issue { issue, why } if issue == "DUPLICATE_REQUEST_ID" => Err(GatewayError::Unknown(why)),
            Answered::Issue { why, .. } => Err(GatewayError::Refused(why)),
        }
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        let Some(order_id) = &attempt.gateway_reference else { return Ok(None) };
        // PayPal forgets what was not approved in time.
        let Some(order) = self.find(order_id).await? else {
            return Ok(Some(ended(attempt, order_id.clone(), GatewayStatus::Expired)));
        };
        let reference = reference(&order)?;
        if reference != attempt.reference {
            return Ok(Some(GatewayPayment { reference, ..ended(attempt, order.id, GatewayStatus::Pending) }));
        }
        let is_wanted = attempt.is_wanted && self.options.clock.now() < attempt.pay_until;
        match order.status.as_str() {
            "COMPLETED" => payment(order).map(Some),
            "VOIDED" => Ok(Some(ended(attempt, order.id, GatewayStatus::Cancelled))),
            "APPROVED" if is_wanted => self.capture(attempt, order).await.map(Some),
            "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" if is_wanted => {
                let redirect_url = page(&order);
                Ok(Some(GatewayPayment { redirect_url, ..ended(attempt, order.id, GatewayStatus::Open) }))
            }
            // Nobody takes it any more.
            "APPROVED" | "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" => {
                let status = if attempt.is_wanted { GatewayStatus::Expired } else { GatewayStatus::Cancelled };
                Ok(Some(ended(attempt, order.id, status)))
            }
            other => Err(odd(format!("an order of status {other:?}"))),
        }
    }

    /// Nothing is called: what we do not capture, nobody takes.
    async fn cancel(&self, _: &Attempt) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let found = self.find(&order.gateway_reference).await?;
        let Some(capture) = found.as_ref().and_then(capture_of) else {
            return Ok(RefundOutcome::Refused { reason: "the order has no capture".to_owned() });
        };
        let value = value(&order.amount).map_err(|unsuitable| GatewayError::Refused(unsuitable.why))?;
        let body = wire::json(&json!({
            "amount": {"currency_code": order.amount.currency().code(), "value": value},
            "custom_id": order.attempt.to_string(),
        }));
        let path = format!("/v2/payments/captures/{}/refund", id(&capture.id)?);
        let key = order.refund_id.to_string();
        match self.api.call::<Refund>(Method::POST, &path, Some(&key), Some(&body)).await? {
            Answered::Good(refund) => outcome(refund),
            Answered::NotThere => Ok(RefundOutcome::Refused { reason: "the capture is not there".to_owned() }),
            Answered::Issue { issue, why } if issue == "PENDING_CAPTURE" => Err(GatewayError::NotDone(why)),
            Answered::Issue { why, .. } => Ok(RefundOutcome::Refused { reason: words(&why) }),
        }
    }

    /// For 45 days PayPal answers the same key with the refund that was made under it, as it stands: so it is asked for by asking for
    /// it once more, and that is [`Self::refund`].
    async fn read_refund(&self, _: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        Ok(None)
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        self.verify(delivery.headers, delivery.body).await?;
        let message: Message = serde_json::from_slice(delivery.body).map_err(|_| Rejected::Malformed)?;
        let event_key = message.id;
        let named = !event_key.is_empty() && event_key.len() <= MAX_EVENT_ID_CHARS;
        if !named || !event_key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::Malformed);
        }
        let resource = message.resource;
        if message.event_type.starts_with("CUSTOMER.DISPUTE.") || message.event_type == "PAYMENT.CAPTURE.REVERSED" {
            // Its money is taken back, or may be, and what becomes of the tickets a person decides.
            let about = resource.id.as_deref().unwrap_or("–");
            tracing::error!(kind = %message.event_type, about, "a payment is disputed at PayPal; look it up there");
        }
        let of_order = resource.purchase_units.into_iter().next().and_then(|unit| unit.custom_id);
        let reference = resource.custom_id.or(of_order);
        let attempt = reference.and_then(|reference| reference.parse().ok()).ok_or(Rejected::NotOurs)?;
        Ok(Webhook { event_key, attempt, amount: None })
    }
}
