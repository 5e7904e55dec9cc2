//! `updateEvent`: what is given changes, the rest stays. A price counts for bookings placed from then on; a capacity below what is
//! taken is refused by its claim.

use tickiz_contract::{Answer, CallContext, PathSegment, Refusal, Refusals, request};
use tickiz_domain::{
    claim::Resource,
    event::{Event, EventCommand, EventError, Show},
    ids::{EventId, OrganizerId, QuotaId},
};
use tickiz_event_log::{Loaded, LostClaim, LostReason};

use super::{ReceiptResult, event_answer};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    refusals::{self, InputRoot, internal},
    scope,
    service::CommandService,
    system::SystemCommands,
    validation::update_event::{Update, check},
};

/// Carries an `updateEvent` out.
pub(crate) async fn update_event(
    service: &CommandService,
    context: &CallContext,
    request: &request::UpdateEvent,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let update = check(request)?;
    let system = service.system();
    let key = update.idempotency_key.as_ref().map(|key| RequestKey {
        scope: scope::of_organizer(organizer),
        operation: "updateEvent",
        key: key.clone(),
        request_hash: update.request_hash(),
    });
    let event_id = update.id;
    let _permit = service.admit().await?;
    let mut decision = Change { system, organizer, update, show: None };
    match system.executor().run(event_id.0, &Origin::of(context), key.as_ref(), &mut decision).await? {
        Carried::Done(loaded) => Ok(event_answer(event_id, &loaded)?),
        Carried::Repeated(_) => Ok(event_answer(event_id, &*system.event(event_id, Reading::Fresh).await?)?),
    }
}

/// The decision of `updateEvent`.
struct Change<'a> {
    system: &'a SystemCommands,
    organizer: OrganizerId,
    update: Update,
    /// As it was decided on last, to find a quota's type again.
    show: Option<Show>,
}

impl Change<'_> {
    /// The place of the change that set this quota's capacity.
    fn path_of(&self, quota: QuotaId) -> Option<Vec<PathSegment>> {
        let show = self.show.as_ref()?;
        let is_of_quota = |id| show.ticket_type(id).is_some_and(|of| of.quota_id == Some(quota));
        let at =
            self.update.ticket_types.iter().position(|change| change.capacity.is_some() && is_of_quota(change.id))?;
        Some(vec!["input".into(), "ticketTypes".into(), at.into(), "capacity".into()])
    }
}

impl Decision<Event> for Change<'_> {
    async fn decide(&mut self, target: &Loaded<Event>, _: Reading) -> Result<Ask<Event>, Refusals> {
        let show = access::own_show(self.organizer, target.aggregate.0.as_ref())?;
        let change = Box::new(self.update.resolve(show)?);
        self.show = Some(show.clone());
        Ok(Ask {
            command: EventCommand::Change { change, now: self.system.now() },
            reads: Vec::new(),
            organizer_id: Some(self.organizer),
            show_id: Some(self.update.id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &EventError) -> Refusals {
        let is_given = |time: &str| match time {
            "startsAt" => self.update.starts_at.is_some(),
            "endsAt" => self.update.ends_at.is_some(),
            "salesStart" => self.update.sales_start.is_some(),
            _ => self.update.sales_end.is_some(),
        };
        refusals::at_given(refusals::event(error, InputRoot::Input), is_given).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        let mut found = Vec::new();
        for LostClaim { resource, reason } in lost {
            match (&resource, reason) {
                (Resource::Quota(_, quota), LostReason::Exhausted { used, .. }) => {
                    let message = format!("{used} places are taken already; the capacity cannot go below that");
                    let path = self.path_of(*quota).unwrap_or_else(|| vec!["input".into(), "ticketTypes".into()]);
                    found.push(Refusal::invalid(path, message));
                }
                (_, reason) => found.push(internal(&format!("updateEvent lost the claim {resource}: {reason:?}"))),
            }
        }
        Err(Refusals(found))
    }

    fn result(&self, _: &Event) -> Vec<u8> {
        let id: EventId = self.update.id;
        ReceiptResult::Event(id).to_json()
    }
}
