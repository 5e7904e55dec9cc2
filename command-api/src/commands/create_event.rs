//! `createEvent`: a draft, with its slug, its number in ticket codes, and its seating plan as an attachment of the log.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tickiz_contract::{Answer, CallContext, Refusals, request};
use tickiz_domain::{
    event::{CategorySeats, Event, EventCommand, EventCreated, EventError, PlanSummary, Quota, TicketType},
    ids::{EventId, OrganizerId, QuotaId},
    seating_plan::SeatingPlan,
    text::slugify,
};
use tickiz_event_log::{Attachment, Loaded, LostClaim};

use super::{ReceiptResult, event_answer};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    refusals::{self, InputRoot, LostByKind, internal},
    scope,
    service::CommandService,
    system::SystemCommands,
    validation::create_event::{NewEvent, NewQuota, NewTicketType, Stock, check},
};

/// The most bytes of a slug before its suffix: an address that still fits in a line of a mail.
const MAX_SLUG_BYTES: usize = 80;
/// The slug of a title without a letter or digit of ASCII, such as one in Chinese; always with a suffix.
const NAMELESS_SLUG: &str = "event";

/// Carries a `createEvent` out.
pub(crate) async fn create_event(
    service: &CommandService,
    context: &CallContext,
    request: &request::CreateEvent,
) -> Result<Answer, Refusals> {
    let organizer = access::organizer(context)?;
    let new = check(request)?;
    let organizer = access::own_organizer(organizer, new.organizer_id)?;
    let system = service.system();
    let key = new.idempotency_key.as_ref().map(|key| RequestKey {
        scope: scope::of_organizer(organizer),
        operation: "createEvent",
        key: key.clone(),
        request_hash: new.request_hash(),
    });
    let permit = service.admit().await?;
    let event_id: EventId = system.ids().timely(system.now());
    let mut decision = Create::new(system, event_id, organizer, new);
    let carried = system.executor().run(event_id.0, &Origin::of(context), key.as_ref(), &mut decision).await?;
    drop(permit);
    match carried {
        Carried::Done(loaded) => Ok(event_answer(event_id, &loaded)?),
        Carried::Repeated(receipt) => match ReceiptResult::read(&receipt.result)? {
            ReceiptResult::Event(id) => Ok(event_answer(id, &*system.event(id, Reading::Fresh).await?)?),
            _ => Err(internal(&"a receipt of createEvent names no Event").into()),
        },
    }
}

/// The decision of `createEvent`.
struct Create<'a> {
    system: &'a SystemCommands,
    event_id: EventId,
    draft: EventCreated,
    plan: Option<Attachment>,
    /// The slug without its suffix.
    slug: String,
}

impl<'a> Create<'a> {
    fn new(system: &'a SystemCommands, event_id: EventId, organizer_id: OrganizerId, new: NewEvent) -> Self {
        let quotas: Vec<Quota> = new.quotas.into_iter().map(|quota| made_quota(system, quota)).collect();
        let ticket_types = (0_u16..).zip(new.ticket_types).map(|(at, of)| made_type(system, at, of, &quotas)).collect();
        let (plan, attachment) = new.plan.as_ref().map(packed).unzip();
        let title_slug = slugify(&new.title, MAX_SLUG_BYTES);
        let (base, slug) = if title_slug.is_empty() {
            (NAMELESS_SLUG.to_owned(), format!("{NAMELESS_SLUG}-{}", system.ids().slug_suffix()))
        } else {
            (title_slug.clone(), title_slug)
        };
        let draft = EventCreated {
            organizer_id,
            event_number: system.ids().event_number(),
            slug,
            title: new.title,
            description: new.description,
            category: new.category,
            time_zone: new.time_zone,
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            venue: new.venue,
            currency: new.currency,
            ticket_types,
            quotas,
            plan,
            hold_seconds: new.hold_seconds,
            release_on_decline: new.release_on_decline,
            sales_start: new.sales_start,
            sales_end: new.sales_end,
            max_per_person: new.max_per_person,
        };
        Self { system, event_id, draft, plan: attachment, slug: base }
    }
}

fn made_quota(system: &SystemCommands, quota: NewQuota) -> Quota {
    Quota { id: system.ids().random::<QuotaId>(), name: quota.name, capacity: quota.capacity }
}

fn made_type(system: &SystemCommands, at: u16, of: NewTicketType, quotas: &[Quota]) -> TicketType {
    let (seat_categories, quota_id) = match of.stock {
        Stock::Seats(categories) => (categories, None),
        Stock::Quota(index) => (Vec::new(), Some(quotas[index].id)),
    };
    TicketType {
        id: system.ids().random(),
        name: of.name,
        price: of.price,
        seat_categories,
        quota_id,
        max_per_booking: of.max_per_booking,
        admission_class: at,
    }
}

/// The plan as the domain event has it, and its bytes under the same hash.
fn packed(plan: &SeatingPlan) -> (PlanSummary, Attachment) {
    let bytes: Arc<[u8]> = plan.to_packed_json().into();
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let sizes = plan.categories().iter().zip(plan.category_sizes());
    let categories = sizes.map(|(category, seats)| CategorySeats { category: category.clone(), seats }).collect();
    (PlanSummary { hash: hex::encode(hash), categories }, Attachment { hash, bytes })
}

impl Decision<Event> for Create<'_> {
    const IS_NEW: bool = true;

    async fn decide(&mut self, _: &Loaded<Event>, _: Reading) -> Result<Ask<Event>, Refusals> {
        Ok(Ask {
            command: EventCommand::Create(Box::new(self.draft.clone())),
            reads: Vec::new(),
            organizer_id: Some(self.draft.organizer_id),
            show_id: Some(self.event_id),
            attachments: self.plan.iter().cloned().collect(),
        })
    }

    fn refused(&self, error: &EventError) -> Refusals {
        refusals::event(error, InputRoot::Input).into()
    }

    /// Another Event has the slug or the number: both are drawn anew.
    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        let kinds = LostByKind::of(lost);
        if let Some(refusal) = kinds.refusal() {
            return Err(internal(&format!("createEvent lost a claim that it cannot make: {refusal}")).into());
        }
        self.draft.slug = format!("{}-{}", self.slug, self.system.ids().slug_suffix());
        self.draft.event_number = self.system.ids().event_number();
        Ok(())
    }

    fn result(&self, _: &Event) -> Vec<u8> {
        ReceiptResult::Event(self.event_id).to_json()
    }
}
