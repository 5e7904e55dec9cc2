//! `createEvent`: everything of a new Event, its plan included.
//!
//! A ticket type covers seat categories of the plan, or draws on a quota of its own, or shares a quota with others by its name;
//! the capacity of a shared quota stands on one of its types, or the same on several. Which of these a type is follows from
//! what is given, and what contradicts it is a fault at its own place.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tickiz_contract::{
    ErrorCode, PathSegment, Refusals,
    request::{CreateEvent, TicketTypeInput},
};
use tickiz_domain::{
    event::{EventCategory, Venue, VenueTime},
    ids::OrganizerId,
    money::{Currency, Money},
    seating_plan::{self, MAX_CATEGORIES, SeatingPlan},
    zoned,
};

use super::{
    Faults,
    fields::{after, id, key, line, local, optional, price, text, venue, venue_time, within},
    limits::{
        MAX_CAPACITY, MAX_DESCRIPTION_CHARS, MAX_HOLD_SECONDS, MAX_PER_PERSON, MAX_QUOTA_NAME_CHARS, MAX_TICKET_TYPES,
        MAX_TICKETS_PER_BOOKING, MAX_TITLE_CHARS, MAX_TYPE_NAME_CHARS,
    },
};

/// What a new ticket type sells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Stock {
    /// The seats of these categories of the plan.
    Seats(Vec<String>),
    /// The places of a quota, by its index in [`NewEvent::quotas`].
    Quota(usize),
}

/// A new ticket type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct NewTicketType {
    pub name: String,
    pub price: Money,
    pub stock: Stock,
    pub max_per_booking: i32,
}

/// A new quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewQuota {
    /// The organiser's name for it; `None` where it is one type's own.
    pub name: Option<String>,
    /// How many places there are.
    pub capacity: i64,
}

/// A checked `createEvent`. What is serialised is what a repetition under the same idempotency key is compared by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct NewEvent {
    pub title: String,
    pub description: String,
    pub category: EventCategory,
    pub time_zone: String,
    pub starts_at: VenueTime,
    pub ends_at: Option<VenueTime>,
    pub venue: Venue,
    pub currency: Currency,
    pub ticket_types: Vec<NewTicketType>,
    pub quotas: Vec<NewQuota>,
    #[serde(serialize_with = "plan_hash")]
    pub plan: Option<SeatingPlan>,
    pub hold_seconds: u32,
    pub release_on_decline: bool,
    pub sales_start: Option<VenueTime>,
    pub sales_end: Option<VenueTime>,
    pub max_per_person: Option<i32>,
    pub organizer_id: Option<OrganizerId>,
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

fn plan_hash<S: serde::Serializer>(plan: &Option<SeatingPlan>, serializer: S) -> Result<S::Ok, S::Error> {
    plan.as_ref().map(SeatingPlan::content_hash).serialize(serializer)
}

impl NewEvent {
    /// SHA-256 of everything that a repetition is compared by.
    #[must_use]
    pub fn request_hash(&self) -> [u8; 32] {
        let compared =
            serde_json::to_vec(self).expect("checked values have string keys and finite numbers, so JSON cannot fail");
        Sha256::digest(compared).into()
    }
}

/// The times of an Event as they were read, before they are compared.
struct Times {
    starts_at: Option<VenueTime>,
    ends_at: Option<Option<VenueTime>>,
    sales_start: Option<Option<VenueTime>>,
    sales_end: Option<Option<VenueTime>>,
}

/// Reads a `createEvent`.
///
/// # Errors
/// Every fault with its path.
pub fn check(request: &CreateEvent) -> Result<NewEvent, Refusals> {
    let mut faults = Faults::default();
    let event = faults.within("input", |faults| check_in(faults, request));
    faults.finish(event)
}

fn check_in(faults: &mut Faults, request: &CreateEvent) -> Option<NewEvent> {
    let title = line(faults, "title", &request.title, MAX_TITLE_CHARS);
    let description = text(faults, "description", &request.description, MAX_DESCRIPTION_CHARS);
    let times = times(faults, request);
    let venue = venue(faults, "venue", &request.venue);
    let plan =
        optional(request.seating_plan.as_ref(), |plan| faults.within("seatingPlan", |faults| import(faults, plan)));
    let known_plan = plan.as_ref().map(Option::as_ref);
    let types =
        faults.within("ticketTypes", |faults| Types::default().check(faults, &request.ticket_types, known_plan));
    let hold_seconds = within(faults, "holdSeconds", request.hold_seconds, 1..=MAX_HOLD_SECONDS);
    let max_per_person =
        optional(request.max_per_person, |max| within(faults, "maxPerPerson", max, 1..=MAX_PER_PERSON));
    let organizer_id = optional(request.organizer_id.as_deref(), |organizer| id(faults, "organizerId", organizer));
    let idempotency_key = optional(request.idempotency_key.as_deref(), |given| key(faults, "idempotencyKey", given));
    let (ticket_types, quotas, currency) = types?;
    Some(NewEvent {
        title: title?,
        description: description?,
        category: request.category,
        time_zone: request.time_zone.clone(),
        starts_at: times.starts_at?,
        ends_at: times.ends_at?,
        venue: venue?,
        currency,
        ticket_types,
        quotas,
        plan: plan?,
        hold_seconds: hold_seconds?,
        release_on_decline: request.release_on_decline,
        sales_start: times.sales_start?,
        sales_end: times.sales_end?,
        max_per_person: max_per_person?,
        organizer_id: organizer_id?,
        idempotency_key: idempotency_key?,
    })
}

fn times(faults: &mut Faults, request: &CreateEvent) -> Times {
    let zone = faults.take("timeZone", zoned::parse_zone(&request.time_zone));
    // Without a zone the times are still read, so that their own faults are reported too.
    let read = |faults: &mut Faults, step: &'static str, given: &str| {
        let local = local(faults, step, given)?;
        venue_time(faults, step, local, zone?)
    };
    let starts_at = read(faults, "startsAt", &request.starts_at);
    let ends_at = optional(request.ends_at.as_deref(), |given| read(faults, "endsAt", given));
    let sales_start = optional(request.sales_start.as_deref(), |given| read(faults, "salesStart", given));
    let sales_end = optional(request.sales_end.as_deref(), |given| read(faults, "salesEnd", given));
    after(faults, "endsAt", ends_at.flatten(), starts_at, "it must be after startsAt");
    compare_sales(faults, sales_start.flatten(), sales_end.flatten(), starts_at);
    Times { starts_at, ends_at, sales_start, sales_end }
}

/// Sale has to begin before it ends: as said, else when the show starts.
fn compare_sales(
    faults: &mut Faults,
    sales_start: Option<VenueTime>,
    sales_end: Option<VenueTime>,
    starts_at: Option<VenueTime>,
) {
    if sales_end.is_some() {
        after(faults, "salesEnd", sales_end, sales_start, "it must be after salesStart");
    } else {
        after(faults, "salesStart", starts_at, sales_start, "it must be before startsAt, when sale ends");
    }
}

fn import(faults: &mut Faults, plan: &serde_json::Value) -> Option<SeatingPlan> {
    match SeatingPlan::import(plan) {
        Ok(plan) => Some(plan),
        Err(found) => {
            for fault in found {
                let deeper: Vec<PathSegment> = fault.path.into_iter().map(segment).collect();
                faults.refuse_here(ErrorCode::InvalidInput, fault.message, &deeper);
            }
            None
        }
    }
}

fn segment(segment: seating_plan::PathSegment) -> PathSegment {
    match segment {
        seating_plan::PathSegment::Key(key) => PathSegment::Key(key),
        seating_plan::PathSegment::Index(index) => PathSegment::Index(index),
    }
}

/// A quota that types share by its name, while they are read.
struct Shared {
    /// Its index among the quotas.
    at: usize,
    /// The first type that names it.
    first_type: usize,
    /// The capacity, once a type has said it.
    capacity: Option<i64>,
    /// Whether a type has said a wrong one, which was reported.
    faulty: bool,
}

/// The ticket types read so far.
#[derive(Default)]
struct Types {
    currency: Option<Currency>,
    quotas: Vec<NewQuota>,
    shared: BTreeMap<String, Shared>,
}

impl Types {
    /// Reads all of them. `plan` is `None` where the plan is faulty, so that what cannot be judged is not reported.
    fn check(
        mut self,
        faults: &mut Faults,
        given: &[TicketTypeInput],
        plan: Option<Option<&SeatingPlan>>,
    ) -> Option<(Vec<NewTicketType>, Vec<NewQuota>, Currency)> {
        if given.is_empty() || given.len() > MAX_TICKET_TYPES {
            faults.report_here(format!("an Event has 1 to {MAX_TICKET_TYPES} ticket types, not {}", given.len()));
            return None;
        }
        let mut types = Vec::with_capacity(given.len());
        for (at, input) in given.iter().enumerate() {
            let checked = faults.within(at, |faults| self.ticket_type(faults, at, input, plan));
            types.extend(checked);
        }
        for (name, shared) in &self.shared {
            match shared.capacity {
                Some(capacity) => self.quotas[shared.at].capacity = capacity,
                None if shared.faulty => {}
                None => faults.within(shared.first_type, |faults| {
                    faults.report(
                        "capacity",
                        format!("one of the types that share the quota {name:?} has to say its capacity"),
                    );
                }),
            }
        }
        let covers_seats = given.iter().any(|input| !input.seat_categories.is_empty());
        if plan.flatten().is_some_and(|plan| !plan.is_empty()) && !covers_seats {
            faults.report_here("the seating plan has seats, and no ticket type has seatCategories that cover any");
        }
        Some((types, self.quotas, self.currency?))
    }

    fn ticket_type(
        &mut self,
        faults: &mut Faults,
        at: usize,
        input: &TicketTypeInput,
        plan: Option<Option<&SeatingPlan>>,
    ) -> Option<NewTicketType> {
        let name = line(faults, "name", &input.name, MAX_TYPE_NAME_CHARS);
        let price = price(faults, "price", &input.price);
        if let Some(price) = price {
            self.check_currency(faults, price);
        }
        let max_per_booking =
            within(faults, "maxPerBooking", input.max_per_booking, 1..=MAX_TICKETS_PER_BOOKING as i64);
        let capacity = optional(input.capacity, |capacity| within(faults, "capacity", capacity, 1..=MAX_CAPACITY));
        let stock = if input.seat_categories.is_empty() {
            self.places(faults, at, input, capacity).map(Stock::Quota)
        } else {
            seats(faults, input, capacity, plan).map(Stock::Seats)
        };
        Some(NewTicketType { name: name?, price: price?, stock: stock?, max_per_booking: max_per_booking? })
    }

    fn check_currency(&mut self, faults: &mut Faults, price: Money) {
        let first = *self.currency.get_or_insert(price.currency());
        if price.currency() != first {
            let message = format!("all prices of an Event are in one currency, and the first is in {first}");
            faults.within("price", |faults| faults.report("currency", message));
        }
    }

    /// The quota of a type without seats, by its index.
    fn places(
        &mut self,
        faults: &mut Faults,
        at: usize,
        input: &TicketTypeInput,
        capacity: Option<Option<i64>>,
    ) -> Option<usize> {
        let Some(name) = &input.quota else {
            if capacity == Some(None) {
                faults.report("capacity", "a ticket type without seatCategories or quota needs a capacity");
            }
            self.quotas.push(NewQuota { name: None, capacity: capacity?? });
            return Some(self.quotas.len() - 1);
        };
        let name = line(faults, "quota", name, MAX_QUOTA_NAME_CHARS)?;
        let quotas = &mut self.quotas;
        let shared = self.shared.entry(name.clone()).or_insert_with(|| {
            // Set once all types are read.
            quotas.push(NewQuota { name: Some(name.clone()), capacity: 0 });
            Shared { at: quotas.len() - 1, first_type: at, capacity: None, faulty: false }
        });
        shared.faulty |= capacity.is_none();
        if let Some(capacity) = capacity? {
            let first = *shared.capacity.get_or_insert(capacity);
            if capacity != first {
                faults.report("capacity", format!("the quota {name:?} has the capacity {first} by an earlier type"));
                return None;
            }
        }
        Some(shared.at)
    }
}

/// The categories of a type that covers seats.
fn seats(
    faults: &mut Faults,
    input: &TicketTypeInput,
    capacity: Option<Option<i64>>,
    plan: Option<Option<&SeatingPlan>>,
) -> Option<Vec<String>> {
    if input.quota.is_some() {
        faults.report("quota", "a ticket type that covers seats draws on no quota");
    }
    let Some(plan) = plan? else {
        faults.report("seatCategories", "there are no seat categories without a seatingPlan");
        return None;
    };
    let sizes = plan.category_sizes();
    let mut seats = 0;
    faults.within("seatCategories", |faults| {
        if input.seat_categories.len() > MAX_CATEGORIES {
            faults.report_here(format!("a ticket type covers at most {MAX_CATEGORIES} seat categories"));
            return;
        }
        for (at, name) in input.seat_categories.iter().enumerate() {
            if input.seat_categories[..at].contains(name) {
                faults.report(at, format!("the category {name:?} is there already"));
            } else if let Some(category) = plan.category_index(name) {
                seats += i64::from(sizes[category]);
            } else {
                let known = plan.categories().iter().take(20).map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ");
                faults.report(at, format!("the seating plan has no category of that name; it has {known}"));
            }
        }
        if faults.is_empty() && seats == 0 {
            faults.report_here("the seating plan has no seat in any of these categories");
        }
    });
    match capacity? {
        // Who repeats what the plan says contradicts nothing.
        Some(capacity) if capacity != seats => {
            faults.report(
                "capacity",
                format!("the plan says it: these categories have {seats} seats; leave capacity out"),
            );
            None
        }
        _ => Some(input.seat_categories.clone()),
    }
}
