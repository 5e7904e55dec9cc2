//! `publishEvent`, `postponeEvent`, `cancelEvent`: the steps of an Event's life. They have no idempotency key: what is asked for
//! a second time is there already or refused by the state.

use tickiz_contract::{Answer, CallContext, Refusals, request};
use tickiz_domain::{
    event::{Event, EventCommand, EventError, Show},
    ids::{EventId, OrganizerId},
};
use tickiz_event_log::{Loaded, LostClaim};

use super::{
    ReceiptResult, event_answer,
    pay_booking::{PaymentDesk, unpayable},
};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading},
    refusals::{self, InputRoot, internal},
    service::CommandService,
    system::SystemCommands,
    validation::update_event::{Postponement, check_cancel, check_id, check_postpone, resolve_postponement},
};

/// Carries a `publishEvent` out.
pub(crate) async fn publish_event(
    service: &CommandService,
    context: &CallContext,
    id: &str,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let event_id = check_id(id)?;
    manage(service, context, event_id, organizer, Step::Publish).await
}

/// Carries a `postponeEvent` out.
pub(crate) async fn postpone_event(
    service: &CommandService,
    context: &CallContext,
    request: &request::PostponeEvent,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let postponement = check_postpone(request)?;
    manage(service, context, postponement.id, organizer, Step::Postpone(postponement)).await
}

/// Carries a `cancelEvent` out. Its bookings are ended by a process manager.
pub(crate) async fn cancel_event(
    service: &CommandService,
    context: &CallContext,
    id: &str,
    reason: &str,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let (event_id, reason) = check_cancel(id, reason)?;
    manage(service, context, event_id, organizer, Step::Cancel { reason }).await
}

async fn manage(
    service: &CommandService,
    context: &CallContext,
    event_id: EventId,
    organizer: OrganizerId,
    step: Step,
) -> Result<Answer, Refusals> {
    let system = service.system();
    let _permit = service.admit().await?;
    let desk = service.desk().map(AsRef::as_ref);
    let mut decision = Manage { system, desk, event_id, organizer, step };
    match system.executor().run(event_id.0, &Origin::of(context), None, &mut decision).await? {
        Carried::Done(loaded) => Ok(event_answer(event_id, &loaded)?),
        Carried::Repeated(_) => Err(internal(&"a command without a key was answered by a receipt").into()),
    }
}

/// One step of an Event's life.
enum Step {
    Publish,
    Postpone(Postponement),
    Cancel { reason: String },
}

/// The decision of each of them.
struct Manage<'a> {
    system: &'a SystemCommands,
    desk: Option<&'a dyn PaymentDesk>,
    event_id: EventId,
    organizer: OrganizerId,
    step: Step,
}

impl Manage<'_> {
    fn command(&self, show: &Show) -> Result<EventCommand, Refusals> {
        let now = self.system.now();
        Ok(match &self.step {
            Step::Publish => {
                if let Some(refusal) = unpayable(self.desk, show) {
                    return Err(refusal.into());
                }
                EventCommand::Publish { now }
            }
            Step::Postpone(postponement) => {
                let (starts_at, ends_at) = resolve_postponement(postponement, show)?;
                EventCommand::Postpone { starts_at, ends_at, reason: postponement.reason.clone(), now }
            }
            Step::Cancel { reason } => EventCommand::Cancel { reason: reason.clone() },
        })
    }
}

impl Decision<Event> for Manage<'_> {
    async fn decide(&mut self, target: &Loaded<Event>, _: Reading) -> Result<Ask<Event>, Refusals> {
        let show = access::own_show(self.organizer, target.aggregate.0.as_ref())?;
        Ok(Ask {
            command: self.command(show)?,
            reads: Vec::new(),
            organizer_id: Some(self.organizer),
            show_id: Some(self.event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &EventError) -> Refusals {
        let Step::Postpone(postponement) = &self.step else {
            return refusals::event(error, InputRoot::None).into();
        };
        let is_given = |time: &str| match time {
            "startsAt" => postponement.starts_at.is_some(),
            "endsAt" => postponement.ends_at.is_some(),
            _ => false,
        };
        refusals::at_given(refusals::event(error, InputRoot::Arguments), is_given).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("a step of an Event's life claims nothing and lost {lost:?}")).into())
    }

    fn result(&self, _: &Event) -> Vec<u8> {
        ReceiptResult::Event(self.event_id).to_json()
    }
}
