//! Demo data: ten shows in the weeks to come, made by the ordinary commands. Repeated, it finds its own shows again: every
//! command carries an idempotency key of the demo.

mod hall;
mod shows;

use chrono::{DateTime, Utc};
use tickiz_contract::{Answer, CallContext, Caller, Commands, Refusals, Request};
use tickiz_domain::{
    event::{EventStatus, Show},
    ids::{EventId, OrganizerId},
};
use uuid::Uuid;

/// A show of the demo, as it was made.
pub struct DemoShow {
    /// Its id.
    pub id: EventId,
    /// As folded.
    pub show: Show,
}

/// The demo's organiser: always the same, so that a second start finds what the first made.
#[must_use]
pub fn organizer_id() -> OrganizerId {
    OrganizerId(Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://tickiz.example/organizers/demo"))
}

/// Makes the demo's shows where they are not there yet, and publishes them. `now` places them in the weeks to come.
///
/// # Errors
/// What the write side refused.
pub async fn load(
    commands: &dyn Commands,
    organizer_id: OrganizerId,
    now: DateTime<Utc>,
) -> Result<Vec<DemoShow>, Refusals> {
    let context = || CallContext {
        caller: Caller::Organizer { organizer_id },
        correlation_id: Uuid::new_v4(),
        traceparent: None,
    };
    let mut made = Vec::new();
    for create in shows::all(now) {
        let answer = commands.execute(context(), Request::CreateEvent(Box::new(create))).await?;
        let Answer::Event(event) = answer else { continue };
        let (id, mut show) = (event.id, event.show);
        if show.status == EventStatus::Draft {
            let published = commands.execute(context(), Request::PublishEvent { id: id.to_string() }).await?;
            if let Answer::Event(event) = published {
                show = event.show;
            }
        }
        made.push(DemoShow { id, show });
    }
    Ok(made)
}
