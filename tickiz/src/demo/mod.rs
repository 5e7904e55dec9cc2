//! Demo data: forty-two shows in the year to come, made by the ordinary commands, one of them sold out and one cancelled. Repeated, it
//! finds its own shows again: every command carries an idempotency key of the demo.

mod hall;
pub mod history;
mod shows;

use chrono::{DateTime, Utc};
use tickiz_contract::{
    Answer, CallContext, Caller, Commands, Refusals, Request,
    request::{BuyerInput, PlaceBooking, TicketSelection},
};
use tickiz_domain::{
    event::{EventStatus, Show},
    ids::{EventId, OrganizerId},
};
use uuid::Uuid;

use self::shows::Then;

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

/// How long a hold lasts, in seconds.
const HOLD_SECONDS: i64 = 600;
/// Why one of them will not be.
const REASON: &str = "The orchestra is ill. You get your money back.";
/// Tickets of one booking of the show that is sold out.
const TICKETS: i64 = 10;

/// Books every place of a free show, each ten by another guest.
async fn book_all(commands: &dyn Commands, id: EventId, show: &Show) -> Result<(), Refusals> {
    let Some(ticket_type) = show.ticket_types.first() else { return Ok(()) };
    for guest in 1..=shows::SOLD_OUT_PLACES / TICKETS {
        let place = PlaceBooking {
            event_id: id.to_string(),
            seats: Vec::new(),
            tickets: vec![TicketSelection { ticket_type_id: ticket_type.id.to_string(), quantity: TICKETS }],
            buyer: BuyerInput { name: format!("Guest {guest}"), email: format!("guest-{guest}@example.com") },
            locale: Some("en".to_owned()),
            idempotency_key: format!("demo-booking-{guest}"),
        };
        let context = CallContext { caller: Caller::Anonymous, correlation_id: Uuid::new_v4(), traceparent: None };
        commands.execute(context, Request::PlaceBooking(place)).await?;
    }
    Ok(())
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
    for (create, then) in shows::all(now) {
        let answer = commands.execute(context(), Request::CreateEvent(Box::new(create))).await?;
        let Answer::Event(event) = answer else { continue };
        let (id, mut show) = (event.id, event.show);
        if show.status == EventStatus::Draft {
            let published = commands.execute(context(), Request::PublishEvent { id: id.to_string() }).await?;
            if let Answer::Event(event) = published {
                show = event.show;
            }
        }
        match then {
            Then::Nothing => {}
            Then::BookAll => book_all(commands, id, &show).await?,
            Then::Cancel => {
                let cancel = Request::CancelEvent { id: id.to_string(), reason: REASON.to_owned() };
                if show.status == EventStatus::Published {
                    commands.execute(context(), cancel).await?;
                }
                continue;
            }
        }
        made.push(DemoShow { id, show });
    }
    Ok(made)
}
