//! What a domain event does to a show, what is left of it, and its seats. Pure.
//!
//! Three things follow from each domain event: the show as the domain folds it, counters of what is taken, and the new status of
//! the seats that it names. A seat's status before is not needed: the log's claims let nobody take what is taken or free what is
//! free, so a domain event that names a seat always changes it, and the counters move by what the domain event says.
//!
//! **The version.** 0 at publication; one more for each domain event that changed a seat, or what is left of a ticket type. A
//! booking is one domain event, whatever its seats. What happens to a draft does not count.

use std::collections::BTreeMap;

use tickiz_domain::{
    booking::{BookingDomainEvent, IssuedTicket, Places},
    event::{Event, EventDomainEvent, EventStatus, Show},
    ids::{EventId, QuotaId, SeatId},
    seating_plan::SeatingPlan,
};
use tickiz_event_log::record::Position;
use tickiz_read_models::{
    SeatStatus,
    events::{sales::Sales, tables::ShowRecord},
};

/// What one domain event means for a show.
#[derive(Clone, Debug)]
pub enum Change {
    /// One of its own.
    Show(Box<EventDomainEvent>),
    /// One of a booking's, as far as the show is concerned.
    Places(PlacesChange),
}

/// Places that a booking takes, keeps for good, or gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesChange {
    /// The show.
    pub event_id: EventId,
    /// The seats that change, and what they become.
    pub seats: Vec<SeatId>,
    /// What the seats become.
    pub status: SeatStatus,
    /// What the counters move by: 1 takes, -1 gives back, 0 only changes the seats' status.
    pub direction: i64,
    /// Places of each quota.
    pub quotas: BTreeMap<QuotaId, i64>,
    /// All places together.
    pub count: i64,
}

/// What a domain event has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The show itself.
    pub show: bool,
    /// The counters or the version.
    pub sales: bool,
    /// Seats by their place in plan order, and what they are now.
    pub seats: Vec<(u32, SeatStatus)>,
}

/// Why a domain event cannot follow. The log does not hold such a history; its show stands still from here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The show does not begin with `EventCreated`.
    #[error("there is no such show before this domain event")]
    NoShow,
    /// A seat is not in the show's plan.
    #[error("seat {0:?} is not in the show's seating plan")]
    UnknownSeat(SeatId),
    /// A booking does not begin with `BookingPlaced`.
    #[error("there is no such booking before this domain event")]
    NoBooking,
}

impl PlacesChange {
    /// What a booking's domain event changes of its show; `None` for those that only concern the booking.
    #[must_use]
    pub fn of(event: BookingDomainEvent) -> Option<Self> {
        use BookingDomainEvent as E;
        Some(match event {
            E::BookingPlaced(placed) => {
                let Places { event_id, seat_ids, quotas, count, .. } =
                    Places::of(placed.event_id, &placed.lines, placed.person, None);
                Self { event_id, seats: seat_ids, status: SeatStatus::Held, direction: 1, quotas, count }
            }
            E::BookingConfirmed(confirmed) => Self {
                event_id: confirmed.event_id,
                seats: confirmed.tickets.into_iter().filter_map(|ticket: IssuedTicket| ticket.seat_id).collect(),
                status: SeatStatus::Booked,
                direction: 0,
                quotas: BTreeMap::new(),
                count: 0,
            },
            E::BookingReinstated(reinstated) => Self::moved(reinstated.taken, SeatStatus::Booked, 1),
            E::BookingExpired(expired) => Self::moved(expired.released, SeatStatus::Free, -1),
            E::BookingCancelled(cancelled) => Self::moved(cancelled.released, SeatStatus::Free, -1),
            E::TicketsRevoked(revoked) => Self::moved(revoked.released, SeatStatus::Free, -1),
            _ => return None,
        })
    }

    /// Whether [`PlacesChange::of`] has something to say of that stored type.
    #[must_use]
    pub fn concerns(event_type: &str) -> bool {
        matches!(
            event_type,
            "BookingPlaced"
                | "BookingConfirmed"
                | "BookingReinstated"
                | "BookingExpired"
                | "BookingCancelled"
                | "TicketsRevoked"
        )
    }

    fn moved(places: Places, status: SeatStatus, direction: i64) -> Self {
        let Places { event_id, seat_ids, quotas, count, .. } = places;
        Self { event_id, seats: seat_ids, status, direction, quotas, count }
    }
}

impl Change {
    /// The seats that it names, all of one show.
    fn seats(&self) -> &[SeatId] {
        match self {
            Self::Places(places) => &places.seats,
            Self::Show(event) => match &**event {
                EventDomainEvent::SeatsBlocked(blocked) => &blocked.seat_ids,
                EventDomainEvent::SeatsUnblocked(unblocked) => &unblocked.seat_ids,
                _ => &[],
            },
        }
    }

    /// Whether the plan is needed to apply it.
    #[must_use]
    pub fn needs_plan(&self) -> bool {
        !self.seats().is_empty()
    }
}

/// Applies a domain event to a show. On an error nothing has changed.
///
/// # Errors
/// [`ApplyError`], where the log cannot hold such a history.
pub fn apply(
    id: EventId,
    record: &mut Option<ShowRecord>,
    change: Change,
    position: Position,
    plan: Option<&SeatingPlan>,
) -> Result<Effect, ApplyError> {
    match change {
        Change::Show(event) => match *event {
            EventDomainEvent::EventCreated(_) => {
                *record = created(id, *event, position);
                Ok(Effect { show: true, sales: true, seats: Vec::new() })
            }
            event => apply_own(record.as_mut().ok_or(ApplyError::NoShow)?, event, position, plan),
        },
        Change::Places(places) => apply_places(record.as_mut().ok_or(ApplyError::NoShow)?, &places, position, plan),
    }
}

fn created(id: EventId, event: EventDomainEvent, position: Position) -> Option<ShowRecord> {
    let mut folded = Event::default();
    folded.fold(event);
    let show = folded.0?;
    Some(ShowRecord { id, show, published_at: 0, position, sales: Sales::default(), sales_position: position })
}

fn apply_own(
    record: &mut ShowRecord,
    event: EventDomainEvent,
    position: Position,
    plan: Option<&SeatingPlan>,
) -> Result<Effect, ApplyError> {
    let (seats, direction) = match &event {
        EventDomainEvent::SeatsBlocked(blocked) => (located(&blocked.seat_ids, SeatStatus::Blocked, plan)?, 1),
        EventDomainEvent::SeatsUnblocked(unblocked) => (located(&unblocked.seat_ids, SeatStatus::Free, plan)?, -1),
        _ => (Vec::new(), 0),
    };
    let before = record.sales.availability(&record.show);
    let publishes = matches!(event, EventDomainEvent::EventPublished(_));
    fold(&mut record.show, event);
    record.position = position;
    count_seats(&mut record.sales, &seats, direction, plan);
    if publishes {
        record.published_at = position;
        record.sales.seat_version = 0;
    }
    let changed = !seats.is_empty() || record.sales.availability(&record.show) != before;
    raise_version(record, changed && !publishes);
    // A new price or type changes what lists sort by, even where the counters stay.
    record.sales_position = position;
    Ok(Effect { show: true, sales: true, seats })
}

fn apply_places(
    record: &mut ShowRecord,
    places: &PlacesChange,
    position: Position,
    plan: Option<&SeatingPlan>,
) -> Result<Effect, ApplyError> {
    let seats = located(&places.seats, places.status, plan)?;
    let before = if seats.is_empty() { Some(record.sales.availability(&record.show)) } else { None };
    count_seats(&mut record.sales, &seats, places.direction, plan);
    for (quota, amount) in &places.quotas {
        let used = record.sales.counters.quotas.entry(*quota).or_insert(0);
        *used += places.direction * amount;
        if *used == 0 {
            record.sales.counters.quotas.remove(quota);
        }
    }
    record.sales.taken += places.direction * places.count;
    // Only counters can have changed what is left where no seat did.
    let changed = before.is_none_or(|before| record.sales.availability(&record.show) != before);
    raise_version(record, changed);
    record.sales_position = position;
    Ok(Effect { show: false, sales: true, seats })
}

fn raise_version(record: &mut ShowRecord, changed: bool) {
    if changed && record.show.status != EventStatus::Draft {
        record.sales.seat_version += 1;
    }
}

/// Folds as the domain does, but for the blocked seats, which are rows of their own.
fn fold(show: &mut Show, event: EventDomainEvent) {
    if matches!(event, EventDomainEvent::SeatsBlocked(_) | EventDomainEvent::SeatsUnblocked(_)) {
        return;
    }
    let mut folded = Event(Some(show.clone()));
    folded.fold(event);
    *show = folded.0.expect("only a history that begins makes a show, and none ends one");
}

fn located(
    seats: &[SeatId],
    status: SeatStatus,
    plan: Option<&SeatingPlan>,
) -> Result<Vec<(u32, SeatStatus)>, ApplyError> {
    let place = |seat: &SeatId| {
        let index = plan.and_then(|plan| plan.seat_index(seat.as_str()));
        let index = index.and_then(|index| u32::try_from(index).ok());
        index.map(|index| (index, status)).ok_or_else(|| ApplyError::UnknownSeat(seat.clone()))
    };
    seats.iter().map(place).collect()
}

fn count_seats(sales: &mut Sales, seats: &[(u32, SeatStatus)], direction: i64, plan: Option<&SeatingPlan>) {
    let Some(plan) = plan.filter(|_| direction != 0) else { return };
    for (index, _) in seats {
        let category = plan.category_of(*index as usize);
        let taken = match sales.counters.categories.get_mut(category) {
            Some(taken) => taken,
            None => sales.counters.categories.entry(category.to_owned()).or_insert(0),
        };
        *taken += direction;
        if *taken == 0 {
            sales.counters.categories.remove(category);
        }
    }
}
