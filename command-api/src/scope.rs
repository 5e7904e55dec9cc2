//! Whose idempotency keys are compared with each other.
//!
//! A buyer without an account is known by the show and his address, as the show recognises it; everybody else by his bearer
//! token's owner. A scope is at most 200 bytes, which is what a receipt takes.

use tickiz_contract::{CallContext, Caller};
use tickiz_domain::ids::{EventId, OrganizerId, PersonMark};

/// The scope of a buyer without an account.
#[must_use]
pub fn of_buyer(show: EventId, person: &PersonMark) -> String {
    format!("buyer/{show}/{}", person.0)
}

/// The scope of an organiser.
#[must_use]
pub fn of_organizer(organizer: OrganizerId) -> String {
    format!("organizer/{organizer}")
}

/// The scope of somebody with a bearer token; `None` without one.
#[must_use]
pub fn of_caller(context: &CallContext) -> Option<String> {
    match &context.caller {
        Caller::Anonymous => None,
        Caller::Organizer { organizer_id } => Some(of_organizer(*organizer_id)),
        Caller::Gate { organizer_id } => Some(format!("gate/{organizer_id}")),
        Caller::Auditor => Some("auditor".to_owned()),
    }
}
