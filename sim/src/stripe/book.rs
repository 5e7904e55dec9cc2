//! All objects of the account.

use serde_json::Value;

use crate::shelf::Shelf;

/// Something that happens by itself later on.
pub(super) struct Timer {
    pub(super) due: i64,
    pub(super) what: Later,
}

/// What.
pub(super) enum Later {
    /// A delayed payment of this session ends, well or not.
    Settle { session: String, paid: bool },
    /// A refund fails.
    RefundFails { refund: String },
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) sessions: Shelf<Value>,
    pub(super) lines: Shelf<Value>,
    /// What a session gives to its PaymentIntent: `payment_intent_data`.
    pub(super) intent_data: Shelf<Value>,
    pub(super) intents: Shelf<Value>,
    pub(super) charges: Shelf<Value>,
    pub(super) refunds: Shelf<Value>,
    pub(super) disputes: Shelf<Value>,
    pub(super) events: Shelf<Value>,
    pub(super) timers: Vec<Timer>,
    pub(super) urgent: bool,
}

impl Book {
    /// Whether something must be sent before the call is answered; asked once.
    pub(super) fn take_urgent(&mut self) -> bool {
        std::mem::take(&mut self.urgent)
    }

    /// A session by its id or our reference.
    pub(super) fn session_named(&self, name: &str) -> Option<String> {
        if self.sessions.has(name) {
            return Some(name.to_owned());
        }
        self.sessions.iter().rev().find(|(_, session)| session["client_reference_id"] == name).map(|(id, _)| id.clone())
    }
}
