//! `cancelBooking`: the buyer, or the organiser whose Event it is, ends a booking. What was paid goes back.

use tickiz_contract::{Answer, CallContext, Refusals, request};
use tickiz_domain::{
    booking::{Booking, BookingCommand, BookingError, CancelBooking, Canceller, Purchase},
    sealed::Sealed,
};
use tickiz_event_log::{Loaded, LostClaim};

use super::{ReceiptResult, booking_answer};
use crate::{
    access::{self, Party},
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    refusals::{self, internal},
    scope,
    service::CommandService,
    system::{SystemCommands, show_read},
    validation::booking::{Cancel, check_cancel},
};

/// Carries a `cancelBooking` out.
pub(crate) async fn cancel_booking(
    service: &CommandService,
    context: &CallContext,
    request: request::CancelBooking,
) -> Result<Answer, Refusals> {
    let cancel = check_cancel(request)?;
    access::may_cancel(context, cancel.access_token.as_ref())?;
    let system = service.system();
    let booking_id = cancel.booking_id;
    let _permit = service.admit().await?;
    let (purchase, party) = system.booking_of_party(booking_id, context, cancel.access_token.as_ref()).await?;
    let (scope, origin, by) = match party {
        Party::Buyer => {
            (scope::of_buyer(purchase.event_id, &purchase.person), Origin::of_buyer(context), Canceller::Buyer)
        }
        Party::Organizer(id) => (scope::of_organizer(id), Origin::of(context), Canceller::Organizer),
    };
    let key = RequestKey {
        scope,
        operation: "cancelBooking",
        key: cancel.idempotency_key.clone(),
        request_hash: cancel.request_hash(|reason| system.keys().text_mark(reason)),
    };
    let reason = sealed_reason(system, &cancel, &purchase).await?;
    let mut decision = End { system, cancel: &cancel, by, reason };
    let loaded = match system.executor().run(booking_id.0, &origin, Some(&key), &mut decision).await? {
        Carried::Done(loaded) => loaded,
        Carried::Repeated(_) => system.booking(booking_id, Reading::Fresh).await?,
    };
    Ok(Answer::Booking(Box::new(booking_answer(booking_id, &loaded)?)))
}

/// The reason, sealed with the buyer's key, since people write names and numbers there. Where the buyer was erased there is no key
/// any more, and the reason is dropped with him.
async fn sealed_reason(
    system: &SystemCommands,
    cancel: &Cancel,
    purchase: &Purchase,
) -> Result<Option<Sealed>, Refusals> {
    match &cancel.reason {
        Some(reason) => Ok(system.seal_for(purchase.buyer.person_id, reason.as_bytes()).await?),
        None => Ok(None),
    }
}

/// The decision of `cancelBooking`.
struct End<'a> {
    system: &'a SystemCommands,
    cancel: &'a Cancel,
    by: Canceller,
    reason: Option<Sealed>,
}

impl Decision<Booking> for End<'_> {
    async fn decide(&mut self, target: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(refusals::booking(&BookingError::NotFound).into()) };
        let event = self.system.event(purchase.event_id, reading).await?;
        let now = self.system.now();
        let show_started = event.aggregate.0.as_ref().is_some_and(|show| show.has_started(now));
        Ok(Ask {
            command: BookingCommand::Cancel(Box::new(CancelBooking {
                by: self.by,
                reason: self.reason.clone(),
                show_started,
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
        Err(internal(&format!("cancelBooking gave back what the booking did not have: {lost:?}")).into())
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.cancel.booking_id).to_json()
    }
}
