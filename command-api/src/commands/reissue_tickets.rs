//! `reissueTickets`: the buyer, or the organiser whose Event it is, has tickets issued anew. The codes so far let nobody in any more.

use tickiz_contract::{Answer, CallContext, Refusals, request};
use tickiz_domain::{
    booking::{Booking, BookingCommand, BookingError, Purchase, ReissueTickets, ReissuedBy},
    sealed::Sealed,
};
use tickiz_event_log::{Loaded, LostClaim};

use super::{ReceiptResult, booking_answer, ticket_issue::expires};
use crate::{
    access::{self, Party},
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    refusals::{self, internal},
    scope,
    service::CommandService,
    system::{SystemCommands, show_read},
    validation::reissue::{Reissue, check_reissue},
};

/// Carries a `reissueTickets` out.
pub(crate) async fn reissue_tickets(
    service: &CommandService,
    context: &CallContext,
    request: request::ReissueTickets,
) -> Result<Answer, Refusals> {
    let asked = check_reissue(request)?;
    access::may_cancel(context, asked.access_token.as_ref())?;
    let system = service.system();
    let booking_id = asked.booking_id;
    let _permit = service.admit().await?;
    let (purchase, party) = system.booking_of_party(booking_id, context, asked.access_token.as_ref()).await?;
    let (scope, origin, by) = match party {
        Party::Buyer => {
            (scope::of_buyer(purchase.event_id, &purchase.person), Origin::of_buyer(context), ReissuedBy::Buyer)
        }
        Party::Organizer(id) => (scope::of_organizer(id), Origin::of(context), ReissuedBy::Organizer),
    };
    let key = RequestKey {
        scope,
        operation: "reissueTickets",
        key: asked.idempotency_key.clone(),
        request_hash: asked.request_hash(|reason| system.keys().text_mark(reason)),
    };
    let reason = sealed_reason(system, &asked, &purchase).await?;
    let mut decision = Anew { system, asked: &asked, by, reason };
    let loaded = match system.executor().run(booking_id.0, &origin, Some(&key), &mut decision).await? {
        Carried::Done(loaded) => loaded,
        Carried::Repeated(_) => system.booking(booking_id, Reading::Fresh).await?,
    };
    Ok(Answer::Booking(Box::new(booking_answer(booking_id, &loaded)?)))
}

/// The reason, sealed with the buyer's key as that of a cancellation is; dropped where he was erased.
async fn sealed_reason(
    system: &SystemCommands,
    asked: &Reissue,
    purchase: &Purchase,
) -> Result<Option<Sealed>, Refusals> {
    match &asked.reason {
        Some(reason) => Ok(system.seal_for(purchase.buyer.person_id, reason.as_bytes()).await?),
        None => Ok(None),
    }
}

/// The decision of `reissueTickets`. Each revision follows from the booking as it is read, so of two at once the second follows the
/// first one's, and no two codes have one revision.
struct Anew<'a> {
    system: &'a SystemCommands,
    asked: &'a Reissue,
    by: ReissuedBy,
    reason: Option<Sealed>,
}

impl Decision<Booking> for Anew<'_> {
    async fn decide(&mut self, target: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(refusals::booking(&BookingError::NotFound).into()) };
        let event = self.system.event(purchase.event_id, reading).await?;
        let Some(show) = &event.aggregate.0 else { return Err(internal(&"a booking is of no show").into()) };
        Ok(Ask {
            command: BookingCommand::Reissue(Box::new(ReissueTickets {
                ticket_ids: self.asked.ticket_ids.clone(),
                by: self.by,
                reason: self.reason.clone(),
                kid: self.system.ticket_kid(),
                expires: expires(show),
                show_open: show.honours_bookings(self.system.now()),
            })),
            reads: vec![show_read(purchase.event_id, &event)],
            organizer_id: Some(purchase.organizer_id),
            show_id: Some(purchase.event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        refusals::booking(error).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("reissueTickets claims nothing and lost {lost:?}")).into())
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.asked.booking_id).to_json()
    }
}
