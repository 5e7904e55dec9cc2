//! VNPay 2.1.0 (<https://sandbox.vnpayment.vn/apis/docs/thanh-toan-pay/pay.html>).
//!
//! # Layout
//!
//! * [`signing`]: how both sides sign. [`api`]: `querydr` and `refund`.
//!
//! # Nothing is created
//!
//! The page's address is the request: signed by us, opened by the buyer. Before he opens it VNPay knows nothing, and there is no call
//! to give it up; it ends by the time that stands in it. What VNPay is asked with later, the moment at which the address was made
//! and its own number, is kept as the gateway's reference: `<moment>`, then `<moment>-<number>`.
//!
//! # The IPN
//!
//! A GET whose answer says what became of it: 97 (not signed), 01 (unknown), 04 (another amount), 02 (paid already), 00 (decided), 99
//! (send it again). What is decided is what `querydr` says in the same request.

mod api;
mod signing;

use std::{collections::BTreeMap, sync::Arc};

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tickiz_domain::{
    booking::PaymentMethod,
    money::{Currency, Money},
    text::fold,
};
use tickiz_event_log::runtime::Clock;
use uuid::Uuid;

use self::api::{Answer, Api, VERSION, stamp};
use crate::gateways::{
    Answering, Attempt, AttemptRef, Created, Delivery, Gateway, GatewayError, GatewayPayment, GatewayStatus,
    RefundOrder, RefundOutcome, Rejected, Unsuitable, Verdict, Webhook, WebhookAnswer,
    wire::{odd, scaled, unscaled},
};

/// VNPay counts in hundredths of a dong.
const DECIMALS: u32 = 2;
/// The least and the most in dong: what shops report, and ten digits of the twelve of its field.
const AMOUNTS: (i64, i64) = (5_000, 9_999_999_999);
/// The longest `vnp_OrderInfo` that we write; VNPay takes 255.
const MAX_INFO_CHARS: usize = 200;
/// The longest address to return to.
const MAX_RETURN_URL_CHARS: usize = 255;
/// A buyer who began in time may end after it: so long an attempt is asked for after its deadline that VNPay does not know.
const UNSEEN_GRACE: TimeDelta = TimeDelta::minutes(20);
/// Its category for entertainment.
const ORDER_TYPE: &str = "190000";

/// Where VNPay is and what is shared with it.
pub struct VnpayOptions {
    /// The address of its page.
    pub page_url: String,
    /// The address of its calls.
    pub api_url: String,
    /// Our terminal's code there.
    pub tmn_code: String,
    /// What both sides sign with.
    pub hash_secret: SecretString,
    /// The address that it is told as the buyer's and as ours; the buyer's own is not kept.
    pub ip: String,
    /// Where the buyer's browser goes afterwards where he did not say.
    pub return_url: String,
    /// Our clock.
    pub clock: Arc<dyn Clock>,
}

/// VNPay, seen from Tickiz.
pub struct VnpayGateway {
    api: Api,
    options: VnpayOptions,
}

impl VnpayGateway {
    /// VNPay, at those addresses.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: VnpayOptions) -> Result<Self, reqwest::Error> {
        Ok(Self { api: Api::try_new(&options.api_url, options.hash_secret.clone())?, options })
    }

    fn now(&self) -> DateTime<Utc> {
        self.options.clock.now()
    }

    fn page(&self, attempt: &Attempt, made_at: &str) -> Result<String, GatewayError> {
        let amount = scaled(&attempt.amount, DECIMALS).ok_or_else(|| GatewayError::Refused("too much".to_owned()))?;
        let is_vietnamese = attempt.locale.as_deref().is_some_and(|locale| locale.starts_with("vi"));
        let parameters = BTreeMap::from([
            ("vnp_Version", VERSION.to_owned()),
            ("vnp_Command", "pay".to_owned()),
            ("vnp_TmnCode", self.options.tmn_code.clone()),
            ("vnp_Amount", amount.to_string()),
            ("vnp_CreateDate", made_at.to_owned()),
            ("vnp_CurrCode", "VND".to_owned()),
            ("vnp_ExpireDate", stamp(attempt.pay_until)),
            ("vnp_IpAddr", self.options.ip.clone()),
            ("vnp_Locale", if is_vietnamese { "vn" } else { "en" }.to_owned()),
            ("vnp_OrderInfo", info(&format!("{} {}", attempt.booking_code, fold(&attempt.title)))),
            ("vnp_OrderType", ORDER_TYPE.to_owned()),
            ("vnp_ReturnUrl", self.return_url(attempt)),
            ("vnp_TxnRef", attempt.reference.to_string()),
        ]);
        let query = signing::signed_query(&parameters, &self.options.hash_secret);
        Ok(format!("{}?{query}", self.options.page_url))
    }

    /// Encoders do not agree on six characters, so the address has none of them.
    fn return_url(&self, attempt: &Attempt) -> String {
        let encoded = attempt.return_url.as_ref().map(|url| {
            let mut encoded = String::with_capacity(url.len());
            for c in url.chars() {
                match c {
                    '!' | '\'' | '(' | ')' | '*' | '~' => encoded.push_str(&format!("%{:02X}", u32::from(c))),
                    c => encoded.push(c),
                }
            }
            encoded
        });
        encoded
            .filter(|url| (10..=MAX_RETURN_URL_CHARS).contains(&url.len()))
            .unwrap_or_else(|| self.options.return_url.clone())
    }

    fn request(&self, command: &str, id: String, of: &AttemptRef, made_at: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("vnp_RequestId", id),
            ("vnp_Version", VERSION.to_owned()),
            ("vnp_Command", command.to_owned()),
            ("vnp_TmnCode", self.options.tmn_code.clone()),
            ("vnp_TxnRef", of.to_string()),
            ("vnp_TransactionDate", made_at.to_owned()),
            ("vnp_CreateDate", stamp(self.now())),
            ("vnp_IpAddr", self.options.ip.clone()),
            ("vnp_OrderInfo", format!("Tickiz {command}")),
        ])
    }

    /// What VNPay says of an attempt; `None`: it does not know it.
    async fn ask(&self, of: &AttemptRef, gateway_reference: &str) -> Result<Option<Answer>, GatewayError> {
        let (made_at, _) = parts(gateway_reference);
        let fields = self.request("querydr", Uuid::new_v4().simple().to_string(), of, made_at);
        let answer = self.api.query(fields).await?;
        match answer.get("vnp_ResponseCode") {
            "00" => Ok(Some(answer)),
            "91" => Ok(None),
            // Our code, our form or our signature: nothing was done, and somebody will set it right.
            "02" | "03" | "97" => Err(GatewayError::NotDone(answer.said())),
            _ => Err(GatewayError::Unknown(answer.said())),
        }
    }
}

/// `<moment>-<number>`; VNPay takes 0 where the number is not known.
fn parts(gateway_reference: &str) -> (&str, &str) {
    gateway_reference.split_once('-').unwrap_or((gateway_reference, "0"))
}

/// What VNPay takes as a text: no diacritics, nothing that encoders do not agree on, no bar.
fn info(text: &str) -> String {
    let is_legal = |c: &char| c.is_ascii_alphanumeric() || " .,:;/_-".contains(*c);
    text.chars().filter(is_legal).take(MAX_INFO_CHARS).collect()
}

fn amount(answer: &Answer) -> Result<Money, GatewayError> {
    let value =
        answer.get("vnp_Amount").parse().map_err(|_| odd(format!("vnp_Amount {:?}", answer.get("vnp_Amount"))))?;
    unscaled(value, DECIMALS, Currency::VND)
}

fn status(answer: &Answer) -> Result<GatewayStatus, GatewayError> {
    let is_payment = matches!(answer.get("vnp_TransactionType"), "" | "01");
    Ok(match answer.get("vnp_TransactionStatus") {
        // 09: a refund of it was refused, so the money is there. 05 and 06 are a refund that we did not ask for, since we ask only for what
        // is recorded as paid, and then look no more: no ticket without its money.
        "00" | "09" if is_payment => GatewayStatus::Succeeded { received: amount(answer)? },
        "01" => GatewayStatus::Open,
        "02" => GatewayStatus::Failed { reason: "the payment was not made".to_owned() },
        status @ ("00" | "04" | "05" | "06" | "07" | "09") => {
            tracing::error!(
                reference = answer.get("vnp_TxnRef"),
                status,
                "a payment needs a look at VNPay: taken back, suspicious or given back"
            );
            GatewayStatus::Pending
        }
        other => return Err(odd(format!("vnp_TransactionStatus {other:?}"))),
    })
}

fn done(answer: &Answer) -> RefundOutcome {
    RefundOutcome::Done { gateway_reference: answer.get("vnp_TransactionNo").to_owned() }
}

fn refused(answer: &Answer) -> RefundOutcome {
    RefundOutcome::Refused { reason: answer.said() }
}

#[async_trait::async_trait]
impl Gateway for VnpayGateway {
    fn method(&self) -> PaymentMethod {
        PaymentMethod::Vnpay
    }

    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        let (least, most) = AMOUNTS;
        if amount.currency() == Currency::VND && (least..=most).contains(&amount.minor()) {
            return Ok(());
        }
        Err(Unsuitable { why: format!("VNPay takes {least} to {most} VND") })
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        self.takes(&attempt.amount).map_err(|unsuitable| GatewayError::Refused(unsuitable.why))?;
        let made_at = stamp(self.now());
        let page = self.page(attempt, &made_at)?;
        Ok(Created { gateway_reference: made_at, redirect_url: Some(page) })
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        // Whose address was never recorded nobody has opened.
        let Some(known) = &attempt.gateway_reference else { return Ok(None) };
        let (made_at, _) = parts(known);
        let Some(answer) = self.ask(&attempt.reference, known).await? else {
            let is_over = self.now() >= attempt.pay_until + UNSEEN_GRACE;
            let unseen = GatewayPayment {
                reference: attempt.reference,
                gateway_reference: known.clone(),
                redirect_url: Some(self.page(attempt, made_at)?),
                status: GatewayStatus::Open,
            };
            return Ok((!is_over).then_some(unseen));
        };
        let named = answer.get("vnp_TxnRef");
        let reference: AttemptRef = named.parse().map_err(|_| odd(format!("vnp_TxnRef {named:?}")))?;
        let number = answer.get("vnp_TransactionNo");
        if !number.bytes().all(|b| b.is_ascii_digit()) || number.len() > 20 {
            return Err(odd(format!("vnp_TransactionNo {number:?}")));
        }
        let status = status(&answer)?;
        let gateway_reference = if number.is_empty() { known.clone() } else { format!("{made_at}-{number}") };
        Ok(Some(GatewayPayment { reference, gateway_reference, redirect_url: None, status }))
    }

    async fn cancel(&self, _: &Attempt) -> Result<(), GatewayError> {
        Err(GatewayError::Refused("VNPay has no call for that; the page ends by its own time".to_owned()))
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        let amount = scaled(&order.amount, DECIMALS).ok_or_else(|| GatewayError::Refused("too much".to_owned()))?;
        let is_whole = order.amount == order.paid;
        let (made_at, number) = parts(&order.gateway_reference);
        let mut fields = self.request("refund", order.refund_id.0.simple().to_string(), &order.attempt, made_at);
        fields.insert("vnp_TransactionType", if is_whole { "02" } else { "03" }.to_owned());
        fields.insert("vnp_Amount", amount.to_string());
        fields.insert("vnp_TransactionNo", number.to_owned());
        fields.insert("vnp_CreateBy", "Tickiz".to_owned());
        let answer = self.api.refund(fields).await?;
        match (answer.get("vnp_ResponseCode"), answer.get("vnp_TransactionStatus")) {
            ("00", "09") | ("91" | "95", _) => Ok(refused(&answer)),
            ("00", "06") => Ok(done(&answer)),
            // Which of several parts `querydr` speaks of later, nobody can tell: that this one was accepted is all there is.
            ("00", _) if !is_whole => Ok(done(&answer)),
            // Accepted, or being worked on already: asked for until VNPay has handed it to the bank.
            ("00" | "94", _) => Ok(RefundOutcome::Pending),
            ("02" | "03" | "97", _) => Err(GatewayError::NotDone(answer.said())),
            _ => Err(GatewayError::Unknown(answer.said())),
        }
    }

    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        let Some(answer) = self.ask(&order.attempt, &order.gateway_reference).await? else { return Ok(None) };
        let is_whole = order.amount == order.paid;
        let is_it = match answer.get("vnp_TransactionType") {
            "02" | "03" => amount(&answer)? == order.amount,
            _ => is_whole,
        };
        let is_refund = matches!(answer.get("vnp_TransactionType"), "02" | "03");
        Ok(match answer.get("vnp_TransactionStatus") {
            _ if !is_it => None,
            "06" => Some(done(&answer)),
            "00" if is_refund => Some(done(&answer)),
            "01" if is_refund => Some(RefundOutcome::Pending),
            "05" => Some(RefundOutcome::Pending),
            "09" => Some(refused(&answer)),
            _ => None,
        })
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        let query = delivery.query.ok_or(Rejected::Signature)?;
        let fields = signing::verified(query, &self.options.hash_secret)?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field("vnp_TmnCode") != self.options.tmn_code {
            return Err(Rejected::NotOurs);
        }
        let attempt: AttemptRef = field("vnp_TxnRef").parse().map_err(|_| Rejected::NotOurs)?;
        let codes = [field("vnp_TransactionNo"), field("vnp_ResponseCode"), field("vnp_TransactionStatus")];
        if !codes.iter().all(|code| code.len() <= 20 && code.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return Err(Rejected::Malformed);
        }
        let value = field("vnp_Amount").parse().map_err(|_| Rejected::Malformed)?;
        // What is no whole number of dong is not what was asked for, whatever that was.
        let amount = unscaled(value, DECIMALS, Currency::VND).unwrap_or(Money::zero(Currency::VND));
        let event_key = format!("{attempt}.{}", codes.join("."));
        Ok(Webhook { event_key, attempt, amount: Some(amount) })
    }

    fn delivered_by(&self) -> axum::http::Method {
        axum::http::Method::GET
    }

    fn answering(&self) -> Answering {
        Answering::AfterApplying
    }

    fn answer(&self, verdict: Verdict) -> WebhookAnswer {
        said(match verdict {
            Verdict::Taken => ("00", "Confirm Success"),
            Verdict::Seen => ("02", "Order already confirmed"),
            Verdict::Foreign => ("01", "Order not found"),
            Verdict::OtherAmount => ("04", "Invalid amount"),
            Verdict::Later => ("99", "Unknown error"),
        })
    }

    fn answer_rejected(&self, rejected: Rejected) -> Option<WebhookAnswer> {
        Some(match rejected {
            Rejected::Signature => said(("97", "Invalid signature")),
            Rejected::NotOurs => self.answer(Verdict::Foreign),
            Rejected::Malformed | Rejected::Unchecked => self.answer(Verdict::Later),
        })
    }
}

/// VNPay reads the body, and takes any other status than 200 for no answer.
fn said((code, message): (&str, &str)) -> WebhookAnswer {
    let json = serde_json::json!({"RspCode": code, "Message": message}).to_string();
    WebhookAnswer { status: StatusCode::OK, json: Some(json) }
}
