//! What the gateways' side needs of bookings: to see one as it is, and to record a fact about it.

use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::{Payment, Purchase},
    event::Show,
    ids::{BookingId, EventId, PaymentId, RefundId},
    money::Money,
    sealed::Buyer,
};
use uuid::Uuid;

/// Something that happened outside and is to be recorded. The booking decides what it means; a fact that it knows already, or
/// that its state has passed, changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The gateway knows the attempt.
    Pending {
        /// The attempt.
        payment_id: PaymentId,
        /// The gateway's own id of it.
        gateway_reference: String,
        /// Where the buyer pays.
        redirect_url: Option<String>,
    },
    /// The gateway has money. With it come the tickets, or a refund.
    Succeeded {
        /// The attempt.
        payment_id: PaymentId,
        /// The gateway's own id of it.
        gateway_reference: String,
        /// What it has.
        received: Money,
    },
    /// The gateway declined.
    Declined {
        /// The attempt.
        payment_id: PaymentId,
        /// Why, as far as a buyer may know it.
        reason: String,
    },
    /// The buyer gave up at the gateway.
    Abandoned {
        /// The attempt.
        payment_id: PaymentId,
    },
    /// The gateway's own deadline passed.
    PaymentExpired {
        /// The attempt.
        payment_id: PaymentId,
    },
    /// The gateway gave money back.
    RefundDone {
        /// The refund.
        refund_id: RefundId,
        /// The gateway's own id of it.
        gateway_reference: String,
    },
    /// The gateway refused to give money back.
    RefundRefused {
        /// The refund.
        refund_id: RefundId,
        /// The gateway's reason.
        reason: String,
    },
    /// The hold's deadline may have passed.
    HoldEnded,
    /// The show was cancelled, and the booking ends with it.
    ShowCancelled,
}

/// Why a booking could not be seen or a fact not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookingsError {
    /// There is no such booking, attempt or refund. Asking again does not help.
    #[error("there is no such booking, attempt or refund")]
    Unknown,
    /// Not now: the log is overloaded, its store fails, or too many changed the same booking. Nothing is known to have been
    /// recorded; trying again is safe.
    #[error("not now: {0}")]
    Unavailable(String),
}

/// Bookings and shows, as the gateways' side and the workers see them.
#[async_trait::async_trait]
pub trait Bookings: Send + Sync {
    /// The store's clock.
    fn now(&self) -> DateTime<Utc>;

    /// A booking as the log has it now; `None` where there is none.
    ///
    /// # Errors
    /// [`BookingsError::Unavailable`].
    async fn booking(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError>;

    /// A booking as this process remembers it, perhaps a moment old; for what is checked again when something is recorded of it.
    ///
    /// # Errors
    /// [`BookingsError::Unavailable`].
    async fn remembered(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError>;

    /// A show, perhaps a moment old; `None` where there is none.
    ///
    /// # Errors
    /// [`BookingsError::Unavailable`].
    async fn show(&self, id: EventId) -> Result<Option<Show>, BookingsError>;

    /// A booking's buyer in the clear, for a mail; `None` once he was erased.
    ///
    /// # Errors
    /// [`BookingsError::Unavailable`].
    async fn buyer(&self, purchase: &Purchase) -> Result<Option<Buyer>, BookingsError>;

    /// Where the buyer's browser goes after an attempt, in the clear, for the gateway; `None` where it was not said, or the buyer was
    /// erased.
    ///
    /// # Errors
    /// [`BookingsError::Unavailable`].
    async fn return_url(&self, payment: &Payment) -> Result<Option<String>, BookingsError>;

    /// Records a fact, with what made us know it (a timer, a webhook); the booking as it stands afterwards.
    ///
    /// # Errors
    /// [`BookingsError`].
    async fn record(&self, booking: BookingId, cause: Uuid, fact: Fact) -> Result<Purchase, BookingsError>;

    /// Ends a show if it is over; the show as it stands afterwards.
    ///
    /// # Errors
    /// [`BookingsError`].
    async fn complete_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError>;

    /// Has a show reminded of if it is near; the show as it stands afterwards.
    ///
    /// # Errors
    /// [`BookingsError`].
    async fn remind_of_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError>;
}
