//! The fold of an Event's history. Also what the read side keeps of a show, so that it cannot differ from the log.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{
    DEFAULT_DURATION_HOURS, EventCategory, EventChanged, EventDomainEvent, PlanSummary, Quota, REMINDER_HOURS,
    TicketType, Venue, VenueTime,
};
use crate::{
    ids::{OrganizerId, QuotaId, SeatId, TicketTypeId},
    money::Currency,
};

/// Where an Event stands. A postponed one is `Published` with [`Show::postponed`] set until it has a new date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventStatus {
    /// Only its organiser sees it.
    Draft,
    /// On sale, within its window.
    Published,
    /// It will not take place.
    Cancelled,
    /// It is over.
    Completed,
}

/// The aggregate: nothing yet, or a show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Event(pub Option<Show>);

/// Everything that is decided about an Event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Show {
    /// The tenant that sells it.
    pub organizer_id: OrganizerId,
    /// Its number in ticket codes.
    pub event_number: u32,
    /// Readable address.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The description; plain text.
    pub description: String,
    /// What kind of thing it is.
    pub category: EventCategory,
    /// Where it stands.
    pub status: EventStatus,
    /// True between a postponement and its new date.
    pub postponed: bool,
    /// Why it was postponed or cancelled, the last time.
    pub reason: Option<String>,
    /// IANA zone of the venue.
    pub time_zone: String,
    /// When it begins.
    pub starts_at: VenueTime,
    /// When it ends, if that was said.
    pub ends_at: Option<VenueTime>,
    /// Where.
    pub venue: Venue,
    /// The one currency of all its prices.
    pub currency: Currency,
    /// What has a price, in the organiser's order.
    pub ticket_types: Vec<TicketType>,
    /// The quotas that types draw on.
    pub quotas: Vec<Quota>,
    /// The plan, where there are seats.
    pub plan: Option<PlanSummary>,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
    /// Whether a declined payment releases the seats at once.
    pub release_on_decline: bool,
    /// When sale begins; `None`: at publication.
    pub sales_start: Option<VenueTime>,
    /// When sale ends; `None`: when the show starts.
    pub sales_end: Option<VenueTime>,
    /// Most tickets of one person, all his bookings together.
    pub max_per_person: Option<i32>,
    /// The seats that are out of sale.
    pub blocked: BTreeSet<SeatId>,
    /// The beginning that was reminded of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded_of: Option<DateTime<Utc>>,
}

impl Show {
    /// The type of that id.
    #[must_use]
    pub fn ticket_type(&self, id: TicketTypeId) -> Option<&TicketType> {
        self.ticket_types.iter().find(|t| t.id == id)
    }

    /// The quota of that id.
    #[must_use]
    pub fn quota(&self, id: QuotaId) -> Option<&Quota> {
        self.quotas.iter().find(|q| q.id == id)
    }

    /// The types that cover a seat category, in the organiser's order.
    pub fn types_covering<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a TicketType> {
        self.ticket_types.iter().filter(move |t| t.seat_categories.iter().any(|c| c == category))
    }

    /// How many tickets of a type there are in all: the seats of its categories, or its quota's places.
    #[must_use]
    pub fn capacity_of(&self, ticket_type: &TicketType) -> i64 {
        match ticket_type.quota_id {
            Some(id) => self.quota(id).map_or(0, |quota| quota.capacity),
            None => self.plan.as_ref().map_or(0, |plan| {
                plan.categories
                    .iter()
                    .filter(|c| ticket_type.seat_categories.contains(&c.category))
                    .map(|c| i64::from(c.seats))
                    .sum()
            }),
        }
    }

    /// How many tickets of all types together there are: the places of each quota once, and the seats of every category that a type
    /// covers.
    #[must_use]
    pub fn capacity(&self) -> i64 {
        let used = |quota: &&Quota| self.ticket_types.iter().any(|t| t.quota_id == Some(quota.id));
        let places: i64 = self.quotas.iter().filter(used).map(|quota| quota.capacity).sum();
        let categories = self.plan.iter().flat_map(|plan| &plan.categories);
        let covered = categories.filter(|c| self.types_covering(&c.category).next().is_some());
        places + covered.map(|c| i64::from(c.seats)).sum::<i64>()
    }

    /// When sale ends: as said, else when the show starts.
    #[must_use]
    pub fn sales_end_instant(&self) -> DateTime<Utc> {
        self.sales_end.map_or(self.starts_at.instant, |end| end.instant)
    }

    /// When it counts as over.
    #[must_use]
    pub fn over_at(&self) -> DateTime<Utc> {
        self.ends_at.map_or_else(|| self.starts_at.instant + Duration::hours(DEFAULT_DURATION_HOURS), |end| end.instant)
    }

    /// When those who have tickets are reminded.
    #[must_use]
    pub fn reminder_at(&self) -> DateTime<Utc> {
        self.starts_at.instant - Duration::hours(REMINDER_HOURS)
    }

    /// Whether it has a beginning that was not reminded of yet.
    #[must_use]
    pub fn awaits_reminder(&self) -> bool {
        self.status == EventStatus::Published && !self.postponed && self.reminded_of != Some(self.starts_at.instant)
    }

    fn change(&mut self, change: EventChanged) {
        if let Some(title) = change.title {
            self.title = title;
        }
        if let Some(description) = change.description {
            self.description = description;
        }
        if let Some(starts_at) = change.starts_at {
            self.starts_at = starts_at;
            self.postponed = false;
        }
        self.ends_at = change.ends_at.or(self.ends_at);
        if let Some(venue) = change.venue {
            self.venue = venue;
        }
        for new in change.ticket_types {
            if let Some(old) = self.ticket_types.iter_mut().find(|t| t.id == new.id) {
                *old = new;
            }
        }
        for new in change.quotas {
            if let Some(old) = self.quotas.iter_mut().find(|q| q.id == new.id) {
                *old = new;
            }
        }
        self.sales_start = change.sales_start.or(self.sales_start);
        self.sales_end = change.sales_end.or(self.sales_end);
        self.max_per_person = change.max_per_person.or(self.max_per_person);
    }
}

impl Event {
    /// Folds one domain event. Total: a history that the log holds was decided by this aggregate, so what cannot follow is
    /// ignored rather than a reason to stop reading.
    pub fn fold(&mut self, event: EventDomainEvent) {
        if let EventDomainEvent::EventCreated(created) = event {
            self.0 = Some(Show {
                organizer_id: created.organizer_id,
                event_number: created.event_number,
                slug: created.slug,
                title: created.title,
                description: created.description,
                category: created.category,
                status: EventStatus::Draft,
                postponed: false,
                reason: None,
                time_zone: created.time_zone,
                starts_at: created.starts_at,
                ends_at: created.ends_at,
                venue: created.venue,
                currency: created.currency,
                ticket_types: created.ticket_types,
                quotas: created.quotas,
                plan: created.plan,
                hold_seconds: created.hold_seconds,
                release_on_decline: created.release_on_decline,
                sales_start: created.sales_start,
                sales_end: created.sales_end,
                max_per_person: created.max_per_person,
                blocked: BTreeSet::new(),
                reminded_of: None,
            });
            return;
        }
        let Some(show) = self.0.as_mut() else { return };
        match event {
            EventDomainEvent::EventCreated(_) => {}
            EventDomainEvent::EventPublished(_) => show.status = EventStatus::Published,
            EventDomainEvent::EventChanged(change) => show.change(change),
            EventDomainEvent::EventPostponed(postponed) => {
                show.postponed = postponed.starts_at.is_none();
                show.starts_at = postponed.starts_at.unwrap_or(show.starts_at);
                // The old end belonged to the old beginning.
                show.ends_at = postponed.ends_at;
                show.reason = Some(postponed.reason);
            }
            EventDomainEvent::EventCancelled(cancelled) => {
                show.status = EventStatus::Cancelled;
                show.reason = Some(cancelled.reason);
            }
            EventDomainEvent::EventCompleted(_) => show.status = EventStatus::Completed,
            EventDomainEvent::EventRemindersDue(due) => show.reminded_of = Some(due.starts_at.instant),
            EventDomainEvent::SeatsBlocked(blocked) => show.blocked.extend(blocked.seat_ids),
            EventDomainEvent::SeatsUnblocked(unblocked) => {
                for seat in &unblocked.seat_ids {
                    show.blocked.remove(seat);
                }
            }
        }
    }
}
