//! Gateways: those who take the money.
//!
//! [`Gateway`] is what Tickiz needs of one. The sandbox is behind it like any other, and whatever is special to a gateway (its wire
//! types, its amounts, its signatures, its clock) stays inside that gateway's folder.
//!
//! # The protocol
//!
//! 1. The attempt is in the log before anything leaves the house. Its id is the gateway's idempotency key, so that asking
//!    twice for the same attempt makes one payment.
//! 2. What a gateway says is believed only when we asked: a webhook, a browser's return and a timer are three reasons to
//!    [`read`](Gateway::read), and only the answer to that becomes a domain event.
//! 3. A call has three ends: done, certainly not done, or nobody knows ([`GatewayError`]). What nobody knows is found out by
//!    asking, never guessed.
//! 4. No connection to a database and no lock is held across a call.
//!
//! # How the real ones fit
//!
//! | | reference | read | money back | webhook |
//! |---|---|---|---|---|
//! | Stripe | `client_reference_id`, metadata | the session, by its id; without it `create` again under the same key | refund object | event id |
//! | PayPal | `custom_id` | the order; an approved one is captured under the attempt's key | refund of the capture, asked for again under its key | event id, verified by certificate |
//! | VNPay | `vnp_TxnRef` | `querydr` | `refund`, then `querydr` | a query string, whose answer carries the decision ([`Answering::AfterApplying`]) |
//! | MoMo | `orderId` | `query` | `refund` | order, request and transaction |
//! | BTCPay | `metadata.orderId` | the invoice, by its id or by the reference | refused: a person pays back | `originalDeliveryId` |
//!
//! A gateway gets both ids of an attempt in one reference ([`AttemptRef`]), so that whatever it sends can be led back to its
//! booking without a table of our own that could be behind.

pub mod btcpay;
pub mod momo;
pub mod paypal;
pub mod sandbox;
pub mod stripe;
pub mod vnpay;
mod wire;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::PaymentMethod,
    ids::{BookingId, PaymentId, RefundId},
    money::Money,
};
use uuid::Uuid;

/// How long one call to a gateway may take before its outcome counts as unknown. Above the slowest answer that the gateways
/// document for a healthy call, below the lease of the timer that makes it.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// An attempt as a gateway is told of it: both ids, 64 hexadecimal digits. Letters and digits alone are legal in every
/// gateway's reference, and the shortest of them (VNPay's) takes 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptRef {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt; the gateway's idempotency key.
    pub payment_id: PaymentId,
}

impl fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.booking_id.0.simple(), self.payment_id.0.simple())
    }
}

/// The text is not one of our references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reference of ours")]
pub struct ForeignReference;

impl FromStr for AttemptRef {
    type Err = ForeignReference;

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    ///
    /// # Errors
    /// [`ForeignReference`].
    fn from_str(text: &str) -> Result<Self, ForeignReference> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(ForeignReference);
        }
        let (booking, payment) = text.split_at(32);
        let id = |text| Uuid::try_parse(text).map_err(|_| ForeignReference);
        Ok(Self { booking_id: BookingId(id(booking)?), payment_id: PaymentId(id(payment)?) })
    }
}

/// Everything a gateway may need to know of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Both ids.
    pub reference: AttemptRef,
    /// How much.
    pub amount: Money,
    /// The show's title, for the gateway's page.
    pub title: String,
    /// The booking's human code, for the gateway's page and the buyer's statement.
    pub booking_code: String,
    /// Where the buyer's browser goes afterwards; there only as long as `gateway_reference` is not.
    pub return_url: Option<String>,
    /// Until when the gateway is to accept the payment.
    pub pay_until: DateTime<Utc>,
    /// When the booking's hold runs out. Differs from `pay_until` only where a gateway's attempt may outlive the hold.
    pub hold_ends_at: DateTime<Utc>,
    /// BCP 47: the language of the gateway's page.
    pub locale: Option<String>,
    /// The gateway's own id of it, once that is recorded.
    pub gateway_reference: Option<String>,
    /// Whether the money would still buy something. A gateway at which we take it ourselves takes none otherwise.
    pub is_wanted: bool,
}

/// The gateway knows the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// Where the buyer pays; `None` where he needs no page.
    pub redirect_url: Option<String>,
}

/// What a gateway says of an attempt when it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayPayment {
    /// Which attempt the gateway takes it for. Compared with the one that was asked for.
    pub reference: AttemptRef,
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// Where the buyer pays, while he can.
    pub redirect_url: Option<String>,
    /// Where it stands.
    pub status: GatewayStatus,
}

/// Where an attempt stands at its gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum GatewayStatus {
    /// The buyer can pay.
    Open,
    /// He did what he had to, and the gateway is not done yet. It can no longer be called back.
    Pending,
    /// The gateway has the money: this much, which need not be what was asked.
    Succeeded {
        /// What it has.
        received: Money,
    },
    /// Declined.
    Failed {
        /// Why, as far as a buyer may know it.
        reason: String,
    },
    /// The buyer, or we, gave it up.
    Cancelled,
    /// The gateway's own deadline passed.
    Expired,
}

/// Money to be given back.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundOrder {
    /// The refund; the gateway's idempotency key.
    pub refund_id: RefundId,
    /// The attempt whose money it is.
    pub attempt: AttemptRef,
    /// The gateway's own id of that attempt.
    pub gateway_reference: String,
    /// How much.
    pub amount: Money,
    /// How much was paid.
    pub paid: Money,
    /// Why, for the gateway's books. Never a person's words.
    pub reason: String,
}

/// Where a refund stands at its gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is on its way and will not be stopped.
    Done {
        /// The gateway's own id of the refund.
        gateway_reference: String,
    },
    /// Accepted, and not done yet.
    Pending,
    /// Refused; a person has to look.
    Refused {
        /// The gateway's reason.
        reason: String,
    },
}

/// A gateway does not take this amount or currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unsuitable {
    /// What it does not take and what it does, for the buyer or the organiser.
    pub why: String,
}

/// How a call to a gateway ended when it did not end well. The texts are for the program's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Certain: nothing was done. May be tried again.
    #[error("the gateway did nothing: {0}")]
    NotDone(String),
    /// Nobody knows whether it was done. Has to be asked for before it is tried again.
    #[error("the gateway's answer is unknown: {0}")]
    Unknown(String),
    /// The gateway will not do it, however often it is asked.
    #[error("the gateway refused: {0}")]
    Refused(String),
}

/// A webhook as it came.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The query string; where VNPay has everything.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The bytes that were signed.
    pub body: &'a Bytes,
}

/// What a verified webhook says: only which attempt to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The gateway's own id of this message: the same in each repetition, another in each other message. At most 255
    /// visible ASCII characters.
    pub event_key: String,
    /// The attempt that it is about.
    pub attempt: AttemptRef,
    /// The amount that it names, for a gateway that wants to hear whether that is the one that was asked for.
    pub amount: Option<Money>,
}

/// Why a webhook is not taken. Nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// There is no signature, or it is not ours, or it is of another time.
    #[error("the signature is missing, wrong, or of another time")]
    Signature,
    /// Well signed, and not understood.
    #[error("the message is not of the documented form")]
    Malformed,
    /// Well signed and understood, and about something that is not Tickiz's: the account may have other uses.
    #[error("the message is about nothing of ours")]
    NotOurs,
    /// Whether it is signed cannot be found out now; it has to be sent again.
    #[error("the signature cannot be checked now")]
    Unchecked,
}

/// When a gateway wants its webhook answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// As soon as it is stored.
    WhenStored,
    /// When it is decided, since the answer says how (VNPay).
    AfterApplying,
}

/// What became of a webhook, for a gateway that wants to hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored for the first time. With [`Answering::AfterApplying`] also decided.
    Taken,
    /// Was there before.
    Seen,
    /// It is about an attempt that we do not have.
    Foreign,
    /// It names another amount than was asked for. Only with [`Answering::AfterApplying`].
    OtherAmount,
    /// Could not be decided now; send it again.
    Later,
}

/// What a webhook is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// A body of JSON, if the gateway wants one.
    pub json: Option<String>,
}

/// How often an attempt is looked up that nobody has told us the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookSchedule {
    /// The waits after each look, in order; the last one stays. At least one.
    pub waits: &'static [Duration],
    /// How long after the attempt's deadline it is looked up at all. What is still undecided then needs a person.
    pub give_up_after: Duration,
    /// How long before the attempt's deadline it is looked up, in case that the message of its payment was lost: then the buyer still
    /// has the seats that he paid for in time. `None`: not before the deadline.
    pub before_deadline: Option<Duration>,
    /// How long after the attempt's deadline money may still come for one that the gateway has ended: it is looked up until then.
    pub late_money: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);

impl LookSchedule {
    /// For gateways in the world: half a minute before the deadline, and behind it 1, 2, 5, 15, 60 minutes, then hourly for 3 days.
    pub const WORLD: Self = Self {
        waits: &[
            MINUTE,
            Duration::from_secs(2 * 60),
            Duration::from_secs(5 * 60),
            Duration::from_secs(15 * 60),
            Duration::from_secs(60 * 60),
        ],
        give_up_after: Duration::from_secs(3 * 24 * 60 * 60),
        before_deadline: Some(Duration::from_secs(30)),
        late_money: Duration::ZERO,
    };

    /// The wait after that many looks.
    #[must_use]
    pub fn wait(&self, looks: u32) -> Duration {
        let index = usize::try_from(looks).unwrap_or(usize::MAX).min(self.waits.len().saturating_sub(1));
        self.waits.get(index).copied().unwrap_or(MINUTE)
    }
}

/// One gateway.
#[async_trait::async_trait]
pub trait Gateway: Send + Sync {
    /// Which.
    fn method(&self) -> PaymentMethod;

    /// Whether it can take that amount at all. Asked before a show is published and before a buyer is sent away.
    ///
    /// # Errors
    /// [`Unsuitable`], with what it does take.
    fn takes(&self, amount: &Money) -> Result<(), Unsuitable>;

    /// How often its attempts are looked up.
    fn looks(&self) -> LookSchedule {
        LookSchedule::WORLD
    }

    /// Makes the gateway know the attempt. The attempt's id is the idempotency key: a second call for the same attempt
    /// answers with the same payment.
    ///
    /// # Errors
    /// [`GatewayError`]; after `Unknown`, [`read`](Self::read) says whether there is something.
    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError>;

    /// Asks where the attempt stands. `None`: the gateway has no such payment, or none that can be found before its own id
    /// is recorded; then `create` under the same key is safe.
    ///
    /// # Errors
    /// [`GatewayError`]; nothing was changed in any case.
    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError>;

    /// Asks the gateway not to take the money any more. What became of it has to be read.
    ///
    /// # Errors
    /// [`GatewayError`]; `Refused` where it is too late.
    async fn cancel(&self, attempt: &Attempt) -> Result<(), GatewayError>;

    /// Gives money back. The refund's id is the idempotency key.
    ///
    /// # Errors
    /// [`GatewayError`]; after `Unknown`, [`read_refund`](Self::read_refund) says.
    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError>;

    /// Asks where a refund stands; `None` where the gateway has none under that key.
    ///
    /// # Errors
    /// [`GatewayError`]; nothing was changed in any case.
    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError>;

    /// Verifies a webhook over its raw bytes, in constant time, and says which attempt it is about.
    ///
    /// # Errors
    /// [`Rejected`].
    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected>;

    /// How it sends its webhooks.
    fn delivered_by(&self) -> Method {
        Method::POST
    }

    /// When it wants its webhooks answered.
    fn answering(&self) -> Answering {
        Answering::WhenStored
    }

    /// What it wants to be answered.
    fn answer(&self, verdict: Verdict) -> WebhookAnswer {
        let status = if verdict == Verdict::Later { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        WebhookAnswer { status, json: None }
    }

    /// What it wants to be answered where nothing is taken; `None`: an HTTP status says it.
    fn answer_rejected(&self, _: Rejected) -> Option<WebhookAnswer> {
        None
    }
}

/// The name of a gateway in `/webhooks/{gateway}` and in tables.
#[must_use]
pub const fn name_of(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::Sandbox => "sandbox",
        PaymentMethod::Stripe => "stripe",
        PaymentMethod::Paypal => "paypal",
        PaymentMethod::Vnpay => "vnpay",
        PaymentMethod::Momo => "momo",
        PaymentMethod::Bitcoin => "bitcoin",
    }
}

/// The gateways that are configured. Cheap to clone.
#[derive(Clone, Default)]
pub struct Gateways(Arc<BTreeMap<PaymentMethod, Arc<dyn Gateway>>>);

impl Gateways {
    /// Those.
    #[must_use]
    pub fn new(gateways: impl IntoIterator<Item = Arc<dyn Gateway>>) -> Self {
        Self(Arc::new(gateways.into_iter().map(|gateway| (gateway.method(), gateway)).collect()))
    }

    /// The one of that method, if it is configured.
    #[must_use]
    pub fn get(&self, method: PaymentMethod) -> Option<&Arc<dyn Gateway>> {
        self.0.get(&method)
    }

    /// The one of that name in a path.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        self.0.values().find(|gateway| name_of(gateway.method()) == name)
    }

    /// The methods, for messages.
    pub fn methods(&self) -> impl Iterator<Item = PaymentMethod> + '_ {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_leads_back_to_its_attempt_and_nothing_else_does() {
        let reference =
            AttemptRef { booking_id: BookingId(Uuid::from_u128(7)), payment_id: PaymentId(Uuid::from_u128(u128::MAX)) };
        let text = reference.to_string();
        assert_eq!((text.len(), text.parse()), (64, Ok(reference)));
        for foreign in ["", "x", &text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("{}é", &text[..62])] {
            assert_eq!(foreign.parse::<AttemptRef>(), Err(ForeignReference), "{foreign}");
        }
    }

    #[test]
    fn looks_become_rarer_and_stay_at_the_last_wait() {
        let minutes: Vec<u64> = (0..7).map(|looks| LookSchedule::WORLD.wait(looks).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 5, 15, 60, 60, 60]);
    }
}
