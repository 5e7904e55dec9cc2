//! `refundBooking`: the organiser gives some tickets of a booking back, or a sum, and the booking goes on with the rest.

use tickiz_contract::{Answer, CallContext, Refusals, request};
use tickiz_domain::{
    booking::{Booking, BookingCommand, BookingError, RefundPart, RefundWhat, RefundedBy},
    sealed::Sealed,
};
use tickiz_event_log::{Loaded, LostClaim};

use super::{ReceiptResult, booking_answer};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    refusals::{self, internal},
    scope,
    service::CommandService,
    validation::refund::{Part, check_refund},
};

/// Carries a `refundBooking` out.
pub(crate) async fn refund_booking(
    service: &CommandService,
    context: &CallContext,
    request: &request::RefundBooking,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let part = check_refund(request)?;
    let system = service.system();
    let booking_id = part.booking_id;
    let _permit = service.admit().await?;
    let (purchase, _) = system.booking_of_party(booking_id, context, None).await?;
    let key = RequestKey {
        scope: scope::of_organizer(organizer),
        operation: "refundBooking",
        key: part.idempotency_key.clone(),
        request_hash: part.request_hash(|reason| system.keys().text_mark(reason)),
    };
    // Sealed with the buyer's key, since people write names and numbers there; dropped where he was erased.
    let reason = match &part.reason {
        Some(reason) => system.seal_for(purchase.buyer.person_id, reason.as_bytes()).await?,
        None => None,
    };
    let mut decision = GiveBack { part: &part, reason };
    let origin = Origin::of(context);
    let loaded = match system.executor().run(booking_id.0, &origin, Some(&key), &mut decision).await? {
        Carried::Done(loaded) => loaded,
        Carried::Repeated(_) => system.booking(booking_id, Reading::Fresh).await?,
    };
    Ok(Answer::Booking(Box::new(booking_answer(booking_id, &loaded)?)))
}

/// The decision of `refundBooking`. It reads nothing but its booking: what is left of the money stands there, and of many at once each is
/// decided after the one before it.
struct GiveBack<'a> {
    part: &'a Part,
    reason: Option<Sealed>,
}

impl Decision<Booking> for GiveBack<'_> {
    async fn decide(&mut self, target: &Loaded<Booking>, _: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(refusals::booking(&BookingError::NotFound).into()) };
        Ok(Ask {
            command: BookingCommand::Refund(Box::new(RefundPart {
                what: self.part.what.clone(),
                by: RefundedBy::Organizer,
                reason: self.reason.clone(),
            })),
            reads: Vec::new(),
            organizer_id: Some(purchase.organizer_id),
            show_id: Some(purchase.event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        let refusal = refusals::booking(error);
        match (error, &self.part.what) {
            (BookingError::RefundTooMuch { .. }, RefundWhat::Amount(_)) => {
                refusal.at(vec!["input".into(), "amount".into(), "amount".into()]).into()
            }
            _ => refusal.into(),
        }
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("refundBooking gave back what the booking did not have: {lost:?}")).into())
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.part.booking_id).to_json()
    }
}
