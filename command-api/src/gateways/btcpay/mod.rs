//! Bitcoin, by a BTCPay Server of one's own (<https://docs.btcpayserver.org/API/Greenfield/v1/>).
//!
//! # An invoice an attempt
//!
//! The server knows no idempotency keys. An invoice carries the attempt's reference as its `orderId`, and is looked for by that before
//! it is made; where two were made all the same, the buyer has seen the address of one.
//!
//! # What counts as paid
//!
//! A settled invoice: as many confirmations as the store wants. More than was asked buys the tickets, and the rest a person pays back.
//! Money that came after the invoice's end never settles it: so an ended invoice is looked up for a day on, and once such payments
//! are settled, they are taken for what they are, all of it or a part, which the booking decides. Bitcoin cannot be sent back to where
//! it came from, so a refund is a person's task.

mod api;

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
};
use tickiz_event_log::runtime::Clock;

use self::api::{Api, Invoice, Metadata, Way};
use crate::gateways::{
    Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus, LookSchedule,
    RefundOrder, RefundOutcome, Rejected, Unsuitable, Webhook,
    wire::{hmac_sha256_is, id, json as body, odd, undecimal},
};

/// The header that carries a webhook's signature.
const SIGNATURE_HEADER: &str = "btcpay-sig";
/// How long the server looks for payments after an invoice's end, in minutes: its own default.
const MONITORING_MINUTES: i64 = 1_440;
/// An invoice is looked up as long, and an hour on.
const LATE_MONEY: Duration = Duration::from_secs(25 * 60 * 60);
/// The longest id of a message.
const MAX_EVENT_ID_CHARS: usize = 200;

/// Where the server is and what is shared with it.
pub struct BtcpayOptions {
    /// Its address, without a slash at the end.
    pub api_url: String,
    /// Our store there.
    pub store_id: String,
    /// Our key there.
    pub api_key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: SecretString,
    /// Where the buyer's browser goes afterwards where he did not say.
    pub return_url: String,
    /// Our clock.
    pub clock: Arc<dyn Clock>,
}

/// A BTCPay Server, seen from Tickiz.
pub struct BtcpayGateway {
    api: Api,
    options: BtcpayOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    original_delivery_id: String,
    store_id: String,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl BtcpayGateway {
    /// The server at that address.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: BtcpayOptions) -> Result<Self, reqwest::Error> {
        Ok(Self { api: Api::try_new(&options.api_url, &options.store_id, options.api_key.clone())?, options })
    }

    fn invoice(&self, attempt: &Attempt) -> Vec<u8> {
        let left = (attempt.pay_until - self.options.clock.now()).num_seconds();
        let is_vietnamese = attempt.locale.as_deref().is_some_and(|locale| locale.starts_with("vi"));
        body(&json!({
            "amount": attempt.amount.to_decimal_string(),
            "currency": attempt.amount.currency().code(),
            "metadata": {
                "orderId": attempt.reference.to_string(),
                "itemDesc": format!("{} {}", attempt.booking_code, attempt.title),
            },
            "checkout": {
                // Whole minutes; the one that has begun counts.
                "expirationMinutes": (left / 60 + i64::from(left % 60 > 0)).max(1),
                "monitoringMinutes": MONITORING_MINUTES,
                // Whatever the store allows elsewhere: settled means paid in full.
                "paymentTolerance": 0,
                "redirectURL": attempt.return_url.as_ref().unwrap_or(&self.options.return_url),
                "redirectAutomatically": true,
                "defaultLanguage": if is_vietnamese { "vi" } else { "en" },
            },
            "additionalSearchTerms": [attempt.booking_code],
        }))
    }

    async fn find(&self, attempt: &Attempt) -> Result<Option<Invoice>, GatewayError> {
        if let Some(invoice_id) = &attempt.gateway_reference {
            return self.api.call(Method::GET, &format!("invoices/{}", id(invoice_id)?), None).await;
        }
        let path = format!("invoices?orderId={}", attempt.reference);
        let found: Vec<Invoice> = self.api.call(Method::GET, &path, None).await?.unwrap_or_default();
        let name = attempt.reference.to_string();
        let mut ours = found.into_iter().filter(|invoice| invoice.metadata.order_id.as_ref() == Some(&name));
        let first = ours.next();
        // One with money goes before one without.
        Ok(ours.find(|invoice| invoice.status != "New" && invoice.status != "Expired").or(first))
    }

    /// Whether every payment of an invoice has as many confirmations as the store wants.
    async fn is_settled(&self, invoice: &Invoice) -> Result<bool, GatewayError> {
        let path = format!("invoices/{}/payment-methods", id(&invoice.id)?);
        let ways: Vec<Way> = self.api.call(Method::GET, &path, None).await?.unwrap_or_default();
        let mut payments =
            ways.iter().flat_map(|way| &way.payments).filter(|payment| payment.status != "Invalid").peekable();
        Ok(payments.peek().is_some() && payments.all(|payment| payment.status == "Settled"))
    }

    async fn status(&self, invoice: &Invoice) -> Result<GatewayStatus, GatewayError> {
        let currency = Currency::parse(&invoice.currency).map_err(odd)?;
        let asked = undecimal(&invoice.amount, currency)?;
        Ok(match (invoice.status.as_str(), invoice.additional_status.as_str()) {
            ("New", _) => GatewayStatus::Open,
            ("Processing", _) => GatewayStatus::Pending,
            ("Settled", additional) => {
                if additional == "PaidOver" {
                    tracing::error!(invoice = %invoice.id, "more bitcoin came than was asked for; pay the rest back at BTCPay");
                }
                GatewayStatus::Succeeded { received: asked }
            }
            ("Invalid", _) => {
                // Its coins may still arrive, and then nobody tells us.
                tracing::error!(invoice = %invoice.id, "a payment in bitcoin was not confirmed in time; watch it at BTCPay");
                GatewayStatus::Failed { reason: "the payment was not confirmed by the network".to_owned() }
            }
            ("Expired", "PaidLate" | "PaidPartial" | "PaidOver") => {
                let paid = invoice.paid_amount.as_deref().ok_or_else(|| odd("a late payment without an amount"))?;
                let paid = undecimal(paid, currency)?;
                if paid.is_zero() || !self.is_settled(invoice).await? {
                    return Ok(GatewayStatus::Pending);
                }
                // A surplus is a person's, as above.
                GatewayStatus::Succeeded { received: if paid.minor() >= asked.minor() { asked } else { paid } }
            }
            ("Expired", _) => GatewayStatus::Expired,
            (other, _) => return Err(odd(format!("an invoice of status {other:?}"))),
        })
    }

    async fn payment(&self, invoice: Invoice) -> Result<GatewayPayment, GatewayError> {
        if invoice.store_id != self.options.store_id {
            return Err(odd(format!("an invoice of the store {:?}", invoice.store_id)));
        }
        let named = invoice.metadata.order_id.as_deref().unwrap_or_default();
        let reference: AttemptRef = named.parse().map_err(|_| odd(format!("the orderId {named:?}")))?;
        let status = self.status(&invoice).await?;
        let redirect_url = invoice.checkout_link.filter(|_| status == GatewayStatus::Open);
        Ok(GatewayPayment { reference, gateway_reference: invoice.id, redirect_url, status })
    }
}

#[async_trait::async_trait]
impl Gateway for BtcpayGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Bitcoin
    }

    /// Every amount above nothing: which currencies have a rate, the store's settings say.
    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        if amount.is_zero() { Err(Unsuitable { why: "there is nothing to pay".to_owned() }) } else { Ok(()) }
    }

    fn looks(&self) -> LookSchedule {
        LookSchedule { late_money: LATE_MONEY, ..LookSchedule::WORLD }
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        let invoice = match self.find(attempt).await {
            Ok(Some(invoice)) => invoice,
            Ok(None) => {
                let made = self.api.call(Method::POST, "invoices", Some(self.invoice(attempt))).await?;
                made.ok_or_else(|| GatewayError::NotDone("there is no such store at that address".to_owned()))?
            }
            // Nothing was asked for but whether it is there.
            Err(error) => return Err(GatewayError::NotDone(error.to_string())),
        };
        id(&invoice.id)?;
        Ok(Created { gateway_reference: invoice.id, redirect_url: invoice.checkout_link })
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        match self.find(attempt).await? {
            Some(invoice) => self.payment(invoice).await.map(Some),
            None => Ok(None),
        }
    }

    /// An invoice stays payable until its own end, whatever is done to it, and money that came must stay visible.
    async fn cancel(&self, _: &Attempt) -> Result<(), GatewayError> {
        Err(GatewayError::Refused("an invoice ends by its own time".to_owned()))
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let reason = format!(
            "bitcoin is paid back by a person: give back {} {} of invoice {}",
            order.amount.to_decimal_string(),
            order.amount.currency(),
            order.gateway_reference
        );
        Ok(RefundOutcome::Refused { reason })
    }

    async fn read_refund(&self, _: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        Ok(None)
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        let mut values = delivery.headers.get_all(SIGNATURE_HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Rejected::Signature) };
        let value = value.to_str().map_err(|_| Rejected::Signature)?;
        let digits = value.strip_prefix("sha256=").ok_or(Rejected::Signature)?;
        if !hmac_sha256_is(self.options.webhook_secret.expose_secret().as_bytes(), &[delivery.body], digits) {
            return Err(Rejected::Signature);
        }
        let message: Message = serde_json::from_slice(delivery.body).map_err(|_| Rejected::Malformed)?;
        let event_key = message.original_delivery_id;
        let named = !event_key.is_empty() && event_key.len() <= MAX_EVENT_ID_CHARS;
        if !named || !event_key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::Malformed);
        }
        if message.store_id != self.options.store_id {
            return Err(Rejected::NotOurs);
        }
        let reference = message.metadata.and_then(|metadata| metadata.order_id);
        let attempt = reference.and_then(|reference| reference.parse().ok()).ok_or(Rejected::NotOurs)?;
        Ok(Webhook { event_key, attempt, amount: None })
    }
}
