//! What stands in the sandbox gateway's books, as values.

use chrono::{DateTime, Utc};
use tickiz_domain::money::Money;

use super::machine::{Standing, State};
use crate::stores::StoreError;

/// A payment as the merchant asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    /// The merchant's key: the same key is the same payment.
    pub idempotency_key: String,
    /// SHA-256 of what was asked, hexadecimal: another request under the same key is an error.
    pub request_hash: String,
    /// The merchant's reference.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// What is bought.
    pub title: String,
    /// BCP 47: the language of the page.
    pub locale: Option<String>,
    /// Where the buyer's browser goes afterwards.
    pub return_url: Option<String>,
    /// Until when the merchant wants it taken.
    pub pay_until: DateTime<Utc>,
    /// When the merchant's hold runs out.
    pub hold_ends_at: DateTime<Utc>,
}

/// A payment as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// The gateway's own id; 128 random bits, so that nobody finds another one's page.
    pub id: String,
    /// As it was asked for.
    pub asked: NewPayment,
    /// Where it stands.
    pub state: State,
    /// Minor units that went back.
    pub refunded_minor: i64,
    /// When the gateway itself does something.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
}

impl Payment {
    pub(super) fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            pay_until: self.asked.pay_until,
            hold_ends_at: self.asked.hold_ends_at,
            due_at: self.due_at,
        }
    }
}

/// A refund as the merchant asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefund {
    /// The merchant's key.
    pub idempotency_key: String,
    /// SHA-256 of what was asked, hexadecimal.
    pub request_hash: String,
    /// The gateway's own id of the payment.
    pub payment_id: String,
    /// How much, in minor units of the payment's currency.
    pub amount_minor: i64,
    /// Why.
    pub reason: String,
}

/// A refund as it stands: done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The gateway's own id.
    pub id: String,
    /// The gateway's own id of the payment.
    pub payment_id: String,
    /// How much, in minor units of the payment's currency.
    pub amount_minor: i64,
}

/// Whether an idempotent request was the first of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// It was.
    First,
    /// It is answered from before.
    Again,
}

/// A webhook that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedDelivery {
    /// The message's id; the same in every attempt.
    pub id: String,
    /// The bytes to send.
    pub body: Vec<u8>,
    /// How often it was tried.
    pub attempts: i32,
}

/// One payment as the ledger lists it, for whoever checks a merchant's books against it.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerPayment {
    /// The gateway's own id.
    pub id: String,
    /// The merchant's key: the attempt's id.
    pub idempotency_key: String,
    /// The merchant's reference: booking and attempt.
    pub reference: String,
    /// How much was asked.
    pub amount: Money,
    /// Where it stands.
    pub state: State,
    /// Minor units that came, by the movements.
    pub charged_minor: i64,
    /// Minor units that went back, by the movements.
    pub returned_minor: i64,
    /// Minor units that went back, by the account.
    pub refunded_minor: i64,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
}

/// Why the books refuse or fail.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The key was used for another request.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// There is no such payment.
    #[error("there is no such payment")]
    NotFound,
    /// More is asked back than is there.
    #[error("only a paid payment can be refunded, and never more than is left of it")]
    NothingToRefund,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BooksError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
