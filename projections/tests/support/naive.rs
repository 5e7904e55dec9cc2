//! The read side once more, as simply as it can be said, and without any of its code: after each domain event everything is
//! counted anew, and the version rises when what is counted is not what it was.

use std::collections::BTreeMap;

use tickiz_domain::{
    booking::{Booking, BookingDomainEvent, BookingStatus},
    event::{Event, EventDomainEvent, EventStatus, Show},
    ids::{BookingId, EventId, TicketTypeId},
    seating_plan::SeatingPlan,
    stream::StreamType,
};
use tickiz_event_log::record::{Position, Recorded};

#[derive(Default)]
pub struct Naive {
    pub shows: BTreeMap<EventId, Event>,
    pub bookings: BTreeMap<BookingId, (Booking, Position)>,
    pub versions: BTreeMap<EventId, i64>,
    pub published_at: BTreeMap<EventId, Position>,
}

/// What a show looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub statuses: String,
    pub left: Vec<(TicketTypeId, i64)>,
}

impl Naive {
    pub fn take(&mut self, plan: &SeatingPlan, recorded: &Recorded) {
        let before: BTreeMap<EventId, Look> = self.shows.keys().map(|id| (*id, self.look(plan, *id))).collect();
        match recorded.stream.stream_type {
            StreamType::Event => {
                let id = EventId(recorded.stream.id);
                let event: EventDomainEvent = recorded.decode().unwrap();
                if matches!(event, EventDomainEvent::EventPublished(_)) {
                    self.versions.insert(id, 0);
                    self.published_at.insert(id, recorded.position);
                }
                self.shows.entry(id).or_default().fold(event);
            }
            StreamType::Booking => {
                let event: BookingDomainEvent = recorded.decode().unwrap();
                let (booking, position) = self.bookings.entry(BookingId(recorded.stream.id)).or_default();
                booking.fold(event);
                *position = recorded.position;
            }
            StreamType::Person => {}
        }
        for (id, before) in before {
            if self.look(plan, id) != before
                && let Some(version) = self.versions.get_mut(&id)
            {
                *version += 1;
            }
        }
    }

    pub fn show(&self, id: EventId) -> &Show {
        self.shows[&id].0.as_ref().unwrap()
    }

    pub fn version(&self, id: EventId) -> i64 {
        self.versions.get(&id).copied().unwrap_or(0)
    }

    pub fn look(&self, plan: &SeatingPlan, id: EventId) -> Look {
        let show = self.show(id);
        let mut statuses = if show.plan.is_some() { vec!['F'; plan.len()] } else { Vec::new() };
        for seat in &show.blocked {
            statuses[plan.seat_index(seat.as_str()).unwrap()] = 'X';
        }
        let mut used: BTreeMap<_, i64> = BTreeMap::new();
        for (booking, _) in self.bookings.values() {
            let Some(purchase) = booking.0.as_ref().filter(|purchase| purchase.event_id == id) else { continue };
            let letter = match purchase.status {
                BookingStatus::Held => 'H',
                BookingStatus::Confirmed => 'B',
                _ => continue,
            };
            for line in purchase.lines.iter().filter(|line| !purchase.revoked.contains(&line.ticket_id)) {
                if let Some(seat) = &line.seat_id {
                    statuses[plan.seat_index(seat.as_str()).unwrap()] = letter;
                }
                if let Some(quota) = line.quota_id {
                    *used.entry(quota).or_default() += 1;
                }
            }
        }
        let left = show.ticket_types.iter().map(|t| {
            let left = match t.quota_id {
                Some(quota) => show.quota(quota).unwrap().capacity - used.get(&quota).copied().unwrap_or(0),
                None => {
                    let covered = |seat: &usize| t.seat_categories.iter().any(|c| c == plan.category_of(*seat));
                    let free = (0..statuses.len()).filter(|seat| statuses[*seat] == 'F').filter(covered).count();
                    i64::try_from(free).unwrap()
                }
            };
            (t.id, left)
        });
        Look { left: left.collect(), statuses: statuses.iter().collect() }
    }

    /// Places of bookings that are held or confirmed.
    pub fn popularity(&self, id: EventId) -> i64 {
        let live = self.bookings.values().filter_map(|(booking, _)| booking.0.as_ref()).filter(|purchase| {
            purchase.event_id == id && matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed)
        });
        live.map(|purchase| i64::try_from(purchase.lines.len() - purchase.revoked.len()).unwrap()).sum()
    }

    pub fn is_listed(&self, id: EventId) -> bool {
        self.show(id).status == EventStatus::Published
    }
}
