//! What an Event's domain events do to claims and timers.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::event::{DEFAULT_DURATION_HOURS, EventDomainEvent, Quota, REMINDER_HOURS, VenueTime};
use crate::{
    claim::{ClaimChange, Holder, Resource},
    ids::{EventId, SeatId},
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};

/// A new Event owns its slug and number; a quota's limit stands in its row; a block takes its seats.
pub fn claims_of(event: &EventDomainEvent, stream: Uuid) -> Vec<ClaimChange> {
    let id = EventId(stream);
    let limits = |quotas: &[Quota]| -> Vec<ClaimChange> {
        quotas
            .iter()
            .map(|quota| ClaimChange::SetLimit { resource: Resource::Quota(id, quota.id), limit: quota.capacity })
            .collect()
    };
    let seat = |seat: &SeatId| Resource::Seat(id, seat.clone());
    match event {
        EventDomainEvent::EventCreated(created) => {
            let mut claims = vec![
                ClaimChange::Take { resource: Resource::Slug(created.slug.clone()), holder: Holder::Event(id) },
                ClaimChange::Take { resource: Resource::EventNumber(created.event_number), holder: Holder::Event(id) },
            ];
            claims.extend(limits(&created.quotas));
            claims
        }
        EventDomainEvent::EventChanged(changed) => limits(&changed.quotas),
        EventDomainEvent::SeatsBlocked(blocked) => blocked
            .seat_ids
            .iter()
            .map(|s| ClaimChange::Take { resource: seat(s), holder: Holder::Block(id) })
            .collect(),
        EventDomainEvent::SeatsUnblocked(unblocked) => unblocked
            .seat_ids
            .iter()
            .map(|s| ClaimChange::Release { resource: seat(s), holder: Holder::Block(id) })
            .collect(),
        EventDomainEvent::EventPublished(_)
        | EventDomainEvent::EventPostponed(_)
        | EventDomainEvent::EventCancelled(_)
        | EventDomainEvent::EventCompleted(_)
        | EventDomainEvent::EventRemindersDue(_) => Vec::new(),
    }
}

/// A show with a date has reminders and ends; a cancelled one has bookings to end. A date that moved sets new timers, and the old
/// ones find nothing to do.
pub fn timers_of(event: &EventDomainEvent, stream: Uuid, recorded_at: DateTime<Utc>) -> Vec<Timer> {
    let timer =
        |kind, due_at| Timer { kind, stream: StreamId::new(StreamType::Event, stream), subject: stream, due_at };
    let dated = |starts: Option<VenueTime>, ends: Option<VenueTime>| -> Vec<Timer> {
        let over = ends
            .map(|end| end.instant)
            .or_else(|| starts.map(|start| start.instant + Duration::hours(DEFAULT_DURATION_HOURS)));
        let near = starts.map(|start| start.instant - Duration::hours(REMINDER_HOURS));
        let ends = over.map(|at| timer(TimerKind::EventEnds, at));
        let reminder = near.map(|at| timer(TimerKind::EventReminder, at));
        ends.into_iter().chain(reminder).collect()
    };
    match event {
        EventDomainEvent::EventCreated(created) => dated(Some(created.starts_at), created.ends_at),
        EventDomainEvent::EventChanged(changed) => dated(changed.starts_at, changed.ends_at),
        EventDomainEvent::EventPostponed(postponed) => dated(postponed.starts_at, postponed.ends_at),
        EventDomainEvent::EventCancelled(_) => vec![timer(TimerKind::EventCancellation, recorded_at)],
        EventDomainEvent::EventPublished(_)
        | EventDomainEvent::EventCompleted(_)
        | EventDomainEvent::EventRemindersDue(_)
        | EventDomainEvent::SeatsBlocked(_)
        | EventDomainEvent::SeatsUnblocked(_) => Vec::new(),
    }
}
