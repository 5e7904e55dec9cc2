//! `blockSeats`: takes free seats out of sale, or puts blocked ones back; all of them or none. A block is a claim like a
//! booking's, so a seat that somebody has cannot be blocked.

use tickiz_contract::{Answer, CallContext, ErrorCode, Refusal, Refusals, request};
use tickiz_domain::{
    event::{Event, EventCommand, EventError},
    ids::OrganizerId,
};
use tickiz_event_log::{Loaded, LostClaim, LostReason};

use super::{ReceiptResult, event_answer};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading},
    refusals::{self, InputRoot, LostByKind, internal},
    service::CommandService,
    system::SystemCommands,
    validation::update_event::{Block, check_block, check_block_seats},
};

/// Carries a `blockSeats` out.
pub(crate) async fn block_seats(
    service: &CommandService,
    context: &CallContext,
    request: &request::BlockSeats,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let block = check_block(request)?;
    let event_id = block.event_id;
    let system = service.system();
    let _permit = service.admit().await?;
    let mut decision = Move { system, organizer, block };
    match system.executor().run(event_id.0, &Origin::of(context), None, &mut decision).await? {
        Carried::Done(loaded) => Ok(event_answer(event_id, &loaded)?),
        Carried::Repeated(_) => Err(internal(&"a command without a key was answered by a receipt").into()),
    }
}

/// The decision of `blockSeats`.
struct Move<'a> {
    system: &'a SystemCommands,
    organizer: OrganizerId,
    block: Block,
}

impl Decision<Event> for Move<'_> {
    async fn decide(&mut self, target: &Loaded<Event>, _: Reading) -> Result<Ask<Event>, Refusals> {
        let show = access::own_show(self.organizer, target.aggregate.0.as_ref())?;
        let plan = self.system.plans().of(show).await?;
        check_block_seats(&self.block, plan.as_deref())?;
        let seat_ids = self.block.seat_ids.clone();
        let command = if self.block.blocked {
            EventCommand::BlockSeats { seat_ids, unknown: Vec::new() }
        } else {
            EventCommand::UnblockSeats { seat_ids, unknown: Vec::new() }
        };
        Ok(Ask {
            command,
            reads: Vec::new(),
            organizer_id: Some(self.organizer),
            show_id: Some(self.block.event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &EventError) -> Refusals {
        refusals::event(error, InputRoot::Arguments).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        if lost.iter().any(|claim| claim.reason == LostReason::NotHeld) {
            let message = "some of these seats are not blocked any more; nothing was changed";
            return Err(Refusal::new(ErrorCode::Conflict, message).into());
        }
        Err(refusals::seats_taken(LostByKind::of(lost).seats).into())
    }

    fn result(&self, _: &Event) -> Vec<u8> {
        ReceiptResult::Event(self.block.event_id).to_json()
    }
}
