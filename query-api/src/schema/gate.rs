//! What a gate is told.

use async_graphql::{ID, Object};
use tickiz_contract::answer::{self, CheckInAnswer, SeenTicket};

use super::{enums::CheckInOutcome, scalars::DateTime};

/// What became of a scan. A refusal is an answer here, and no error.
pub struct CheckIn(pub CheckInAnswer);

#[Object]
impl CheckIn {
    /// The scan, by the gate's own id of it.
    async fn scan_id(&self) -> ID {
        ID(self.0.scan_id.clone())
    }

    /// What it comes to.
    async fn outcome(&self) -> CheckInOutcome {
        self.0.outcome.into()
    }

    /// The ticket, where it is one of ours. Whose it is is not said.
    async fn ticket(&self) -> Option<CheckedTicket> {
        self.0.ticket.clone().map(CheckedTicket)
    }

    /// When and where somebody was let in with it: by this scan, or by another before.
    async fn admission(&self) -> Option<Admission> {
        self.0.admission.clone().map(Admission)
    }
}

/// A ticket at a gate.
pub struct CheckedTicket(SeenTicket);

#[Object]
impl CheckedTicket {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.ticket_id.to_string().into()
    }

    /// The type's name.
    async fn ticket_type(&self) -> &str {
        &self.0.ticket_type
    }

    /// Section, row and number as a person reads them.
    async fn seat_label(&self) -> Option<&str> {
        self.0.seat_label.as_deref()
    }
}

/// When and where somebody was let in.
pub struct Admission(answer::Admission);

#[Object]
impl Admission {
    /// When, by the gate's clock.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// The gate.
    async fn gate(&self) -> &str {
        &self.0.gate
    }
}
