//! Timers: what a domain event wants to be looked at again, and when.
//!
//! A timer is a row in the log's store, written in the append's own transaction, fired by a leased poller, and what comes out
//! is an ordinary command with a deterministic id. The state decides: a timer is never cancelled, and one that comes too
//! late or twice finds nothing to do.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::stream::StreamId;

/// What a timer is for. The text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// A booking's hold runs out.
    HoldEnds,
    /// A payment attempt was recorded and the gateway has to be called.
    PaymentStart,
    /// A payment attempt has to be looked up at the gateway (the reconciler). Subject: the payment.
    PaymentCheck,
    /// A payment attempt was ended by us and the gateway has to be told. Subject: the payment.
    PaymentCancel,
    /// A refund was requested and the gateway has to be called. Subject: the refund.
    RefundStart,
    /// A show was cancelled and its bookings have to be ended.
    EventCancellation,
    /// A show is over.
    EventEnds,
    /// A show is near, and who has tickets is to be reminded.
    EventReminder,
}

impl TimerKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::HoldEnds,
        Self::PaymentStart,
        Self::PaymentCheck,
        Self::PaymentCancel,
        Self::RefundStart,
        Self::EventCancellation,
        Self::EventEnds,
        Self::EventReminder,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HoldEnds => "hold-ends",
            Self::PaymentStart => "payment-start",
            Self::PaymentCheck => "payment-check",
            Self::PaymentCancel => "payment-cancel",
            Self::RefundStart => "refund-start",
            Self::EventCancellation => "event-cancellation",
            Self::EventEnds => "event-ends",
            Self::EventReminder => "event-reminder",
        }
    }

    /// The kind of that stored name, if this version knows it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One timer. `(kind, stream, subject, due_at)` names it: the same domain event always sets the same timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What it is for.
    pub kind: TimerKind,
    /// The aggregate that is to decide.
    pub stream: StreamId,
    /// The entity inside it (a payment, a refund), or the stream's own id.
    pub subject: Uuid,
    /// When it is due, by the store's clock.
    pub due_at: DateTime<Utc>,
}
