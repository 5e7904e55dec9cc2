//! The domain events of an Event, as they are stored. A field is only ever added, with a `serde` default; anything else is a
//! new version with an upcaster.

use chrono::{DateTime, NaiveDateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{claims_of, timers_of};
use crate::{
    domain_events,
    ids::{EventId, OrganizerId, QuotaId, SeatId, TicketTypeId},
    money::{Currency, Money},
    stream::StreamType,
};

domain_events! {
    /// What can have happened to an Event.
    pub enum EventDomainEvent for StreamType::Event;
    /// A draft was made.
    EventCreated = 1,
    /// It went on sale.
    EventPublished = 1,
    /// The organiser changed it.
    EventChanged = 1,
    /// It was moved, perhaps without a new date yet.
    EventPostponed = 1,
    /// It will not take place.
    EventCancelled = 1,
    /// It is over.
    EventCompleted = 1,
    /// It is near: who has tickets is to be reminded.
    EventRemindersDue = 1,
    /// Seats were taken out of sale.
    SeatsBlocked = 1,
    /// Blocked seats were put back.
    SeatsUnblocked = 1,
}

/// What kind of thing it is. The names are those of the GraphQL enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EventCategory {
    Concert,
    Sports,
    Conference,
    Theatre,
    Festival,
    Exhibition,
    Workshop,
    Other,
}

/// A time as the venue's clock shows it, and the instant that this was when it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VenueTime {
    /// Local date and time in the Event's zone.
    pub local: NaiveDateTime,
    /// The same in UTC.
    pub instant: DateTime<Utc>,
}

/// Where it takes place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Venue {
    /// The house's name.
    pub name: String,
    /// Street and number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The city.
    pub city: String,
    /// ISO 3166-1 alpha-2 code, upper case.
    pub country: String,
    /// Degrees north, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

/// What has a price. Covers seat categories of the plan, or draws on one quota; never both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketType {
    /// Its id.
    pub id: TicketTypeId,
    /// Such as `VIP`.
    pub name: String,
    /// The price of one ticket.
    pub price: Money,
    /// The plan's seat categories that it covers; empty for general admission.
    #[serde(default)]
    pub seat_categories: Vec<String>,
    /// The quota it draws on; `None` where it covers seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_id: Option<QuotaId>,
    /// Most of this type in one booking.
    pub max_per_booking: i32,
    /// The gate rule's number in ticket codes: the type's place in the list at creation.
    pub admission_class: u16,
}

/// A number of places without seats, which one or more ticket types draw on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Its id.
    pub id: QuotaId,
    /// The organiser's name for it where types share it; `None` where it is one type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many places there are.
    pub capacity: i64,
}

/// A seating plan as the Event knows it; the geometry is an attachment of the log under its content hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// SHA-256 of the packed plan, hexadecimal.
    pub hash: String,
    /// How many seats each category has, in plan order.
    pub categories: Vec<CategorySeats>,
}

/// How many seats a category has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategorySeats {
    /// The category's name in the plan.
    pub category: String,
    /// Its seats.
    pub seats: u32,
}

/// A draft was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCreated {
    /// The tenant that sells it.
    pub organizer_id: OrganizerId,
    /// Its number in ticket codes; unique among all Events.
    pub event_number: u32,
    /// Readable address; unique among all Events.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The description; plain text.
    pub description: String,
    /// What kind of thing it is.
    pub category: EventCategory,
    /// IANA zone of the venue.
    pub time_zone: String,
    /// When it begins.
    pub starts_at: VenueTime,
    /// When it ends, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<VenueTime>,
    /// Where.
    pub venue: Venue,
    /// The one currency of all its prices.
    pub currency: Currency,
    /// What has a price, in the organiser's order.
    pub ticket_types: Vec<TicketType>,
    /// The quotas that types draw on.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// The plan, where there are seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
    /// Whether a declined payment releases the seats at once.
    pub release_on_decline: bool,
    /// When sale begins; `None`: at publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_start: Option<VenueTime>,
    /// When sale ends; `None`: when the show starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_end: Option<VenueTime>,
    /// Most tickets of one person, all his bookings together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_person: Option<i32>,
}

/// It went on sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPublished {}

/// The organiser changed it. What is `None` stays as it is; what is given is the new value, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventChanged {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The new beginning; ends a postponement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<VenueTime>,
    /// The new end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<VenueTime>,
    /// The new venue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<Venue>,
    /// The types that changed, each whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticket_types: Vec<TicketType>,
    /// The quotas whose capacity changed, each whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
    /// The new beginning of sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_start: Option<VenueTime>,
    /// The new end of sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_end: Option<VenueTime>,
    /// The new limit per person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_person: Option<i32>,
}

/// It was moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPostponed {
    /// The new beginning; `None`: the new date is open, and sale stops until one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<VenueTime>,
    /// The new end; `None`: nothing is said of it any more. The old one belonged to the old beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<VenueTime>,
    /// Why, as the organiser tells the public.
    pub reason: String,
}

/// It will not take place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCancelled {
    /// Why, as the organiser tells the public.
    pub reason: String,
}

/// It is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCompleted {}

/// It is near: who has tickets is to be reminded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventRemindersDue {
    /// The beginning that it is near to; a show that is moved afterwards has reminders once more.
    pub starts_at: VenueTime,
}

/// Seats were taken out of sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatsBlocked {
    /// The seats, as in the plan.
    pub seat_ids: Vec<SeatId>,
}

/// Blocked seats were put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatsUnblocked {
    /// The seats, as in the plan.
    pub seat_ids: Vec<SeatId>,
}

/// How long after its beginning an Event without an end counts as over, in hours.
pub const DEFAULT_DURATION_HOURS: i64 = 6;

/// How long before its beginning those who have tickets are reminded, in hours: a day, so that nobody has gone away yet.
pub const REMINDER_HOURS: i64 = 24;

impl EventCreated {
    /// The Event that this domain event began, given its stream.
    #[must_use]
    pub const fn event_id(stream: uuid::Uuid) -> EventId {
        EventId(stream)
    }
}
