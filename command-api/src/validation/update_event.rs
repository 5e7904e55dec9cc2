//! `updateEvent` and the other commands on an Event that exists: `publishEvent`, `postponeEvent`, `cancelEvent`, `blockSeats`.
//!
//! Two steps. The first reads what the request alone can tell; the second needs the show: its zone turns local times into
//! instants, its currency bounds prices, and what is left out stays as the show has it.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tickiz_contract::{
    Refusals,
    request::{BlockSeats, PostponeEvent, UpdateEvent, UpdateTicketTypeInput},
};
use tickiz_domain::{
    event::{
        Show, TicketType, Venue, VenueTime,
        command::{ChangeEvent, ChangeTicketType},
    },
    ids::{EventId, QuotaId, SeatId, TicketTypeId},
    money::Money,
    seating_plan::SeatingPlan,
    zoned,
};

use super::{
    Faults,
    fields::{id, key, line, local, optional, price, reason, seat_id, text, venue, venue_time, within},
    limits::{
        MAX_CAPACITY, MAX_DESCRIPTION_CHARS, MAX_PER_PERSON, MAX_SEATS_PER_BLOCK, MAX_TICKET_TYPES,
        MAX_TICKETS_PER_BOOKING, MAX_TITLE_CHARS, MAX_TYPE_NAME_CHARS,
    },
};

/// What changes of one ticket type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct TypeChange {
    pub id: TicketTypeId,
    pub name: Option<String>,
    pub price: Option<Money>,
    pub capacity: Option<i64>,
    pub max_per_booking: Option<i32>,
}

/// An `updateEvent` after its first step. What is serialised is what a repetition is compared by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Update {
    pub id: EventId,
    pub title: Option<String>,
    pub description: Option<String>,
    pub starts_at: Option<NaiveDateTime>,
    pub ends_at: Option<NaiveDateTime>,
    pub venue: Option<Venue>,
    pub ticket_types: Vec<TypeChange>,
    pub sales_start: Option<NaiveDateTime>,
    pub sales_end: Option<NaiveDateTime>,
    pub max_per_person: Option<i32>,
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A `postponeEvent` after its first step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Postponement {
    pub id: EventId,
    pub starts_at: Option<NaiveDateTime>,
    pub ends_at: Option<NaiveDateTime>,
    pub reason: String,
}

/// A `blockSeats` after its first step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Block {
    pub event_id: EventId,
    pub seat_ids: Vec<SeatId>,
    pub blocked: bool,
}

/// Reads the `id` of `publishEvent`.
///
/// # Errors
/// Its fault.
pub fn check_id(given: &str) -> Result<EventId, Refusals> {
    let mut faults = Faults::default();
    let id = id(&mut faults, "id", given);
    faults.finish(id)
}

/// Reads a `cancelEvent`.
///
/// # Errors
/// Every fault with its path.
pub fn check_cancel(given_id: &str, given_reason: &str) -> Result<(EventId, String), Refusals> {
    let mut faults = Faults::default();
    let id = id(&mut faults, "id", given_id);
    let reason = reason(&mut faults, "reason", given_reason);
    faults.finish(id.zip(reason))
}

/// Reads a `postponeEvent`.
///
/// # Errors
/// Every fault with its path.
pub fn check_postpone(request: &PostponeEvent) -> Result<Postponement, Refusals> {
    let mut faults = Faults::default();
    let id = id(&mut faults, "id", &request.id);
    let starts_at = optional(request.starts_at.as_deref(), |given| local(&mut faults, "startsAt", given));
    let ends_at = optional(request.ends_at.as_deref(), |given| local(&mut faults, "endsAt", given));
    if request.ends_at.is_some() && request.starts_at.is_none() {
        faults.report("endsAt", "an end needs startsAt beside it: without startsAt the new date is open");
    }
    let reason = reason(&mut faults, "reason", &request.reason);
    let checked = (|| Some(Postponement { id: id?, starts_at: starts_at?, ends_at: ends_at?, reason: reason? }))();
    faults.finish(checked)
}

/// Reads a `blockSeats`.
///
/// # Errors
/// Every fault with its path.
pub fn check_block(request: &BlockSeats) -> Result<Block, Refusals> {
    let mut faults = Faults::default();
    let event_id = id(&mut faults, "eventId", &request.event_id);
    let seat_ids = faults.within("seatIds", |faults| {
        let given = &request.seat_ids;
        if given.is_empty() || given.len() > MAX_SEATS_PER_BLOCK {
            faults.report_here(format!("it takes 1 to {MAX_SEATS_PER_BLOCK} seats at once, not {}", given.len()));
            return None;
        }
        let mut seen = BTreeSet::new();
        for (at, seat) in given.iter().enumerate() {
            if let Some(seat) = seat_id(faults, at, seat)
                && !seen.insert(seat)
            {
                faults.report(at, "the seat is there already");
            }
        }
        Some(given.iter().cloned().map(SeatId).collect())
    });
    let checked =
        event_id.zip(seat_ids).map(|(event_id, seat_ids)| Block { event_id, seat_ids, blocked: request.blocked });
    faults.finish(checked)
}

/// Second step of `blockSeats`: that the plan has the seats.
///
/// # Errors
/// Every seat that it has not, with its path.
pub fn check_block_seats(block: &Block, plan: Option<&SeatingPlan>) -> Result<(), Refusals> {
    let mut faults = Faults::default();
    faults.within("seatIds", |faults| {
        for (at, seat) in block.seat_ids.iter().enumerate() {
            if plan.is_none_or(|plan| plan.seat_index(seat.as_str()).is_none()) {
                faults.report(at, "the show has no such seat");
            }
        }
    });
    faults.finish(Some(()))
}

/// Reads an `updateEvent`.
///
/// # Errors
/// Every fault with its path.
pub fn check(request: &UpdateEvent) -> Result<Update, Refusals> {
    let mut faults = Faults::default();
    let update = faults.within("input", |faults| check_in(faults, request));
    faults.finish(update)
}

fn check_in(faults: &mut Faults, request: &UpdateEvent) -> Option<Update> {
    let id = id(faults, "id", &request.id);
    let title = optional(request.title.as_deref(), |given| line(faults, "title", given, MAX_TITLE_CHARS));
    let description =
        optional(request.description.as_deref(), |given| text(faults, "description", given, MAX_DESCRIPTION_CHARS));
    let starts_at = optional(request.starts_at.as_deref(), |given| local(faults, "startsAt", given));
    let ends_at = optional(request.ends_at.as_deref(), |given| local(faults, "endsAt", given));
    let venue = optional(request.venue.as_ref(), |given| venue(faults, "venue", given));
    let ticket_types =
        faults.within("ticketTypes", |faults| types(faults, request.ticket_types.as_deref().unwrap_or_default()));
    let sales_start = optional(request.sales_start.as_deref(), |given| local(faults, "salesStart", given));
    let sales_end = optional(request.sales_end.as_deref(), |given| local(faults, "salesEnd", given));
    let max_per_person =
        optional(request.max_per_person, |max| within(faults, "maxPerPerson", max, 1..=MAX_PER_PERSON));
    let idempotency_key = optional(request.idempotency_key.as_deref(), |given| key(faults, "idempotencyKey", given));
    Some(Update {
        id: id?,
        title: title?,
        description: description?,
        starts_at: starts_at?,
        ends_at: ends_at?,
        venue: venue?,
        ticket_types: ticket_types?,
        sales_start: sales_start?,
        sales_end: sales_end?,
        max_per_person: max_per_person?,
        idempotency_key: idempotency_key?,
    })
}

fn types(faults: &mut Faults, given: &[UpdateTicketTypeInput]) -> Option<Vec<TypeChange>> {
    if given.len() > MAX_TICKET_TYPES {
        faults.report_here(format!("an Event has at most {MAX_TICKET_TYPES} ticket types, not {}", given.len()));
        return None;
    }
    let mut changes: Vec<TypeChange> = Vec::with_capacity(given.len());
    for (at, input) in given.iter().enumerate() {
        let change = faults.within(at, |faults| {
            let id = id(faults, "ticketTypeId", &input.ticket_type_id);
            if id.is_some_and(|id| changes.iter().any(|change| change.id == id)) {
                faults.report("ticketTypeId", "the ticket type is there already");
            }
            let name = optional(input.name.as_deref(), |given| line(faults, "name", given, MAX_TYPE_NAME_CHARS));
            let price = optional(input.price.as_ref(), |given| price(faults, "price", given));
            let capacity = optional(input.capacity, |given| within(faults, "capacity", given, 1..=MAX_CAPACITY));
            let max_per_booking = optional(input.max_per_booking, |given| {
                within(faults, "maxPerBooking", given, 1..=MAX_TICKETS_PER_BOOKING as i64)
            });
            let (name, price, capacity, max_per_booking) = (name?, price?, capacity?, max_per_booking?);
            Some(TypeChange { id: id?, name, price, capacity, max_per_booking })
        });
        changes.extend(change);
    }
    Some(changes)
}

fn zone_of(show: &Show) -> Tz {
    zoned::parse_zone(&show.time_zone)
        .expect("a show's zone was checked when the show was made, and zones are never removed")
}

/// Second step of `postponeEvent`: its times as instants of the show's zone.
///
/// # Errors
/// Every fault with its path.
pub fn resolve_postponement(
    postponement: &Postponement,
    show: &Show,
) -> Result<(Option<VenueTime>, Option<VenueTime>), Refusals> {
    let mut faults = Faults::default();
    let zone = zone_of(show);
    let starts_at = optional(postponement.starts_at, |local| venue_time(&mut faults, "startsAt", local, zone));
    let ends_at = optional(postponement.ends_at, |local| venue_time(&mut faults, "endsAt", local, zone));
    faults.finish(starts_at.zip(ends_at))
}

impl Update {
    /// SHA-256 of everything that a repetition is compared by.
    #[must_use]
    pub fn request_hash(&self) -> [u8; 32] {
        let compared =
            serde_json::to_vec(self).expect("checked values have string keys and finite numbers, so JSON cannot fail");
        Sha256::digest(compared).into()
    }

    /// Second step: what is to change of the show. That its times fit together, with those that stay, is the Event's own to say.
    ///
    /// # Errors
    /// Every fault with its path.
    pub fn resolve(&self, show: &Show) -> Result<ChangeEvent, Refusals> {
        let mut faults = Faults::default();
        let change = faults.within("input", |faults| self.resolve_in(faults, show));
        faults.finish(change)
    }

    fn resolve_in(&self, faults: &mut Faults, show: &Show) -> Option<ChangeEvent> {
        let zone = zone_of(show);
        let mut time = |step: &'static str, given: Option<NaiveDateTime>| {
            optional(given, |local| venue_time(faults, step, local, zone))
        };
        let starts_at = time("startsAt", self.starts_at);
        let ends_at = time("endsAt", self.ends_at);
        let sales_start = time("salesStart", self.sales_start);
        let sales_end = time("salesEnd", self.sales_end);
        let ticket_types = faults.within("ticketTypes", |faults| self.resolve_types(faults, show));
        Some(ChangeEvent {
            title: self.title.clone(),
            description: self.description.clone(),
            starts_at: starts_at?,
            ends_at: ends_at?,
            venue: self.venue.clone(),
            ticket_types,
            sales_start: sales_start?,
            sales_end: sales_end?,
            max_per_person: self.max_per_person,
        })
    }

    fn resolve_types(&self, faults: &mut Faults, show: &Show) -> Vec<ChangeTicketType> {
        let mut changes = Vec::with_capacity(self.ticket_types.len());
        let mut capacities = Vec::new();
        for (at, change) in self.ticket_types.iter().enumerate() {
            faults.within(at, |faults| {
                let Some(old) = show.ticket_type(change.id) else {
                    faults.report("ticketTypeId", "the show has no such ticket type");
                    return;
                };
                if let Some(price) = change.price
                    && price.currency() != show.currency
                {
                    let message = format!("all prices of this Event are in {}", show.currency);
                    faults.within("price", |faults| faults.report("currency", message));
                }
                changes.push(ChangeTicketType {
                    id: change.id,
                    name: change.name.clone(),
                    price: change.price,
                    capacity: change.capacity.and_then(|new| capacity(faults, new, old, show, &mut capacities)),
                    max_per_booking: change.max_per_booking,
                });
            });
        }
        changes
    }
}

/// The new capacity of the type's quota, if it has one.
fn capacity(
    faults: &mut Faults,
    capacity: i64,
    old: &TicketType,
    show: &Show,
    capacities: &mut Vec<(QuotaId, i64)>,
) -> Option<i64> {
    let Some(quota) = old.quota_id else {
        let seats = show.capacity_of(old);
        // Who repeats what the plan says contradicts nothing.
        if capacity != seats {
            faults.report(
                "capacity",
                format!("the seating plan says it: this type covers {seats} seats; block seats instead"),
            );
        }
        return None;
    };
    match capacities.iter().find(|(id, _)| *id == quota) {
        Some((_, earlier)) if *earlier != capacity => {
            faults.report("capacity", format!("its quota gets the capacity {earlier} by an earlier type"));
            None
        }
        Some(_) => Some(capacity),
        None => {
            capacities.push((quota, capacity));
            Some(capacity)
        }
    }
}
