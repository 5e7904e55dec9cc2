//! What `Create` and `Change` have to hold, whatever the state. The first fault found is the answer; the edge's own validation
//! collects all of an input's faults before, so that this one is the last word and not the usual one.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    command::{ChangeEvent, ChangeTicketType},
    error::EventError,
    event::{EventChanged, EventCreated, PlanSummary, Quota, TicketType, VenueTime},
    state::Show,
};
use crate::{ids::QuotaId, money::Currency};

/// A draft that can be made.
pub(super) fn created(event: &EventCreated) -> Result<(), EventError> {
    times(event.starts_at, event.ends_at)?;
    sale_window(event.sales_start, event.sales_end, Some(event.starts_at))?;
    if event.hold_seconds == 0 {
        return Err(EventError::HoldSeconds);
    }
    per_person(event.max_per_person)?;
    if event.ticket_types.is_empty() {
        return Err(EventError::NoTicketTypes);
    }
    for (index, ticket_type) in event.ticket_types.iter().enumerate() {
        price_currency(index, event.currency, ticket_type.price.currency())?;
        per_booking(index, ticket_type.max_per_booking)?;
        places(index, ticket_type, event.plan.as_ref(), &event.quotas)?;
    }
    composed(event)
}

/// What a change comes to: only what really differs. `Default` where nothing does.
pub(super) fn changed(show: &Show, change: ChangeEvent) -> Result<EventChanged, EventError> {
    let (ticket_types, quotas) = changed_types(show, &change.ticket_types)?;
    let event = EventChanged {
        title: change.title.filter(|title| *title != show.title),
        description: change.description.filter(|description| *description != show.description),
        // A date that is given while the date is open is the new one, even if it is the old one.
        starts_at: change.starts_at.filter(|starts_at| show.postponed || *starts_at != show.starts_at),
        ends_at: change.ends_at.filter(|ends_at| Some(*ends_at) != show.ends_at),
        venue: change.venue.filter(|venue| *venue != show.venue),
        ticket_types,
        quotas,
        sales_start: change.sales_start.filter(|at| Some(*at) != show.sales_start),
        sales_end: change.sales_end.filter(|at| Some(*at) != show.sales_end),
        max_per_person: change.max_per_person.filter(|most| Some(*most) != show.max_per_person),
    };
    per_person(event.max_per_person)?;
    let open_date = show.postponed && event.starts_at.is_none();
    if open_date && event.ends_at.is_some() {
        return Err(EventError::EndWithoutStart);
    }
    let starts_at = event.starts_at.unwrap_or(show.starts_at);
    if event.starts_at.is_some() || event.ends_at.is_some() {
        times(starts_at, event.ends_at.or(show.ends_at))?;
    }
    if event.starts_at.is_some() || event.sales_start.is_some() || event.sales_end.is_some() {
        let (sales_start, sales_end) = (event.sales_start.or(show.sales_start), event.sales_end.or(show.sales_end));
        sale_window(sales_start, sales_end, (!open_date).then_some(starts_at))?;
    }
    Ok(event)
}

/// A new date that can be.
pub(super) fn moved(show: &Show, starts_at: VenueTime, ends_at: Option<VenueTime>) -> Result<(), EventError> {
    times(starts_at, ends_at)?;
    sale_window(show.sales_start, show.sales_end, Some(starts_at))
}

fn times(starts_at: VenueTime, ends_at: Option<VenueTime>) -> Result<(), EventError> {
    match ends_at {
        Some(ends_at) if ends_at.instant <= starts_at.instant => {
            Err(EventError::EndsBeforeStart { starts_at: starts_at.instant, ends_at: ends_at.instant })
        }
        _ => Ok(()),
    }
}

/// `starts_at` is `None` while the date is open: then nothing says that the sale ends.
fn sale_window(
    sales_start: Option<VenueTime>,
    sales_end: Option<VenueTime>,
    starts_at: Option<VenueTime>,
) -> Result<(), EventError> {
    let Some(sales_start) = sales_start.map(|at| at.instant) else { return Ok(()) };
    match (sales_end, starts_at) {
        (Some(end), _) if end.instant <= sales_start => {
            Err(EventError::SaleEndsBeforeStart { sales_start, sales_end: end.instant })
        }
        (None, Some(show)) if show.instant <= sales_start => {
            Err(EventError::SaleStartsAfterShow { sales_start, starts_at: show.instant })
        }
        _ => Ok(()),
    }
}

const fn per_person(most: Option<i32>) -> Result<(), EventError> {
    match most {
        Some(..1) => Err(EventError::MaxPerPerson),
        _ => Ok(()),
    }
}

const fn per_booking(index: usize, most: i32) -> Result<(), EventError> {
    if most < 1 { Err(EventError::MaxPerBooking { index }) } else { Ok(()) }
}

const fn capacity(index: usize, capacity: i64) -> Result<(), EventError> {
    if capacity < 1 { Err(EventError::Capacity { index }) } else { Ok(()) }
}

fn price_currency(index: usize, expected: Currency, found: Currency) -> Result<(), EventError> {
    if expected == found { Ok(()) } else { Err(EventError::PriceCurrency { index, expected, found }) }
}

/// A type covers categories that the plan has, or draws on a quota that the Event has, never both. Two types may cover the
/// same category (adult and child): then a buyer has to name the one he wants.
fn places(index: usize, of: &TicketType, plan: Option<&PlanSummary>, quotas: &[Quota]) -> Result<(), EventError> {
    let Some(quota_id) = of.quota_id else {
        if of.seat_categories.is_empty() {
            return Err(EventError::NoPlaces { index });
        }
        for (category_index, category) in of.seat_categories.iter().enumerate() {
            let category = category.clone();
            if of.seat_categories[..category_index].contains(&category) {
                return Err(EventError::CategoryTwice { index, category_index, category });
            }
            if !plan.is_some_and(|plan| plan.categories.iter().any(|c| c.category == category)) {
                return Err(EventError::UnknownCategory { index, category_index, category });
            }
        }
        return Ok(());
    };
    if !of.seat_categories.is_empty() {
        return Err(EventError::SeatsAndQuota { index });
    }
    let quota = quotas.iter().find(|quota| quota.id == quota_id);
    capacity(index, quota.ok_or(EventError::Malformed("a ticket type draws on a quota that is not given"))?.capacity)
}

/// What nobody's input can get wrong: the ids and numbers that Tickiz gave.
fn composed(event: &EventCreated) -> Result<(), EventError> {
    let types = &event.ticket_types;
    if types.iter().map(|t| t.id).collect::<BTreeSet<_>>().len() < types.len() {
        return Err(EventError::Malformed("two ticket types have one id"));
    }
    if types.iter().map(|t| t.admission_class).collect::<BTreeSet<_>>().len() < types.len() {
        return Err(EventError::Malformed("two ticket types have one admission class"));
    }
    if event.quotas.iter().map(|q| q.id).collect::<BTreeSet<_>>().len() < event.quotas.len() {
        return Err(EventError::Malformed("two quotas have one id"));
    }
    let drawn_on: BTreeSet<QuotaId> = types.iter().filter_map(|t| t.quota_id).collect();
    if event.quotas.iter().any(|quota| !drawn_on.contains(&quota.id)) {
        return Err(EventError::Malformed("no ticket type draws on a quota"));
    }
    Ok(())
}

/// The types and quotas that really change, each whole.
fn changed_types(show: &Show, changes: &[ChangeTicketType]) -> Result<(Vec<TicketType>, Vec<Quota>), EventError> {
    let mut types: Vec<TicketType> = Vec::new();
    let mut capacities: BTreeMap<QuotaId, i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        let id = change.id;
        let old = show.ticket_type(id).ok_or(EventError::UnknownTicketType { index, id })?;
        if !seen.insert(id) {
            return Err(EventError::TicketTypeTwice { index, id });
        }
        let new = changed_type(index, old, change, show.currency)?;
        if new != *old {
            types.push(new);
        }
        if let Some(wanted) = change.capacity {
            let quota_id = old.quota_id.ok_or(EventError::CapacityOfSeats { index })?;
            capacity(index, wanted)?;
            if capacities.insert(quota_id, wanted).is_some_and(|other| other != wanted) {
                return Err(EventError::SharedCapacity { index });
            }
        }
    }
    let quotas = show.quotas.iter().filter_map(|quota| {
        let capacity = *capacities.get(&quota.id).filter(|capacity| **capacity != quota.capacity)?;
        Some(Quota { capacity, ..quota.clone() })
    });
    Ok((types, quotas.collect()))
}

fn changed_type(
    index: usize,
    old: &TicketType,
    change: &ChangeTicketType,
    currency: Currency,
) -> Result<TicketType, EventError> {
    let mut new = old.clone();
    if let Some(name) = &change.name {
        new.name.clone_from(name);
    }
    if let Some(price) = change.price {
        price_currency(index, currency, price.currency())?;
        new.price = price;
    }
    if let Some(most) = change.max_per_booking {
        per_booking(index, most)?;
        new.max_per_booking = most;
    }
    Ok(new)
}
