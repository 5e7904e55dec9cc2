//! What is sold, as it is shown.

use std::sync::Arc;

use async_graphql::{ID, Object, SimpleObject};
use tickiz_domain::{event as domain, ids::TicketTypeId, money};
use tickiz_read_models::EventView;

use super::{
    enums::{EventCategory, EventStatus},
    scalars::{DateTime, Decimal, Position, int},
};

#[derive(SimpleObject, Clone)]
pub struct Money {
    amount: Decimal,
    currency: String,
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self { amount: Decimal(money.to_decimal_string()), currency: money.currency().code().to_owned() }
    }
}

#[derive(SimpleObject, Clone)]
pub struct Venue {
    name: String,
    address: Option<String>,
    city: String,
    country: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl From<&domain::Venue> for Venue {
    fn from(venue: &domain::Venue) -> Self {
        let domain::Venue { name, address, city, country, latitude, longitude } = venue.clone();
        Self { name, address, city, country, latitude, longitude }
    }
}

/// A ticket type of a show.
pub struct TicketType {
    event: Arc<EventView>,
    index: usize,
}

impl TicketType {
    /// The type of that id; `None` where the show has none.
    pub fn of(event: &Arc<EventView>, id: TicketTypeId) -> Option<Self> {
        let index = event.show.ticket_types.iter().position(|ty| ty.id == id)?;
        Some(Self { event: Arc::clone(event), index })
    }

    fn ty(&self) -> &domain::TicketType {
        &self.event.show.ticket_types[self.index]
    }
}

#[Object]
impl TicketType {
    async fn id(&self) -> ID {
        self.ty().id.into_gql()
    }
    async fn name(&self) -> &str {
        &self.ty().name
    }
    async fn price(&self) -> Money {
        self.ty().price.into()
    }
    /// How many can be had at this moment.
    async fn available(&self) -> i32 {
        int(self.event.available(self.ty().id))
    }
    async fn capacity(&self) -> i32 {
        int(self.event.show.capacity_of(self.ty()))
    }
    /// The seat categories of the plan that it covers; empty for general admission.
    async fn seat_categories(&self) -> &[String] {
        &self.ty().seat_categories
    }
    async fn max_per_booking(&self) -> i32 {
        self.ty().max_per_booking
    }
    /// The quota it draws on, where that is shared with other types.
    async fn quota(&self) -> Option<&str> {
        self.ty().quota_id.and_then(|id| self.event.show.quota(id)).and_then(|quota| quota.name.as_deref())
    }
}

/// A show.
pub struct Event(pub Arc<EventView>);

#[Object]
impl Event {
    async fn id(&self) -> ID {
        self.0.id.into_gql()
    }
    async fn slug(&self) -> &str {
        &self.0.show.slug
    }
    async fn organizer_id(&self) -> ID {
        self.0.show.organizer_id.into_gql()
    }
    async fn title(&self) -> &str {
        &self.0.show.title
    }
    async fn description(&self) -> &str {
        &self.0.show.description
    }
    async fn category(&self) -> EventCategory {
        self.0.show.category.into()
    }
    async fn status(&self) -> EventStatus {
        self.0.show.status.into()
    }
    /// True between a postponement and its new date.
    async fn postponed(&self) -> bool {
        self.0.show.postponed
    }
    async fn starts_at(&self) -> DateTime {
        self.0.show.starts_at.instant.into()
    }
    async fn ends_at(&self) -> Option<DateTime> {
        self.0.show.ends_at.map(|time| time.instant.into())
    }
    /// IANA zone of the venue.
    async fn time_zone(&self) -> &str {
        &self.0.show.time_zone
    }
    async fn venue(&self) -> Venue {
        (&self.0.show.venue).into()
    }
    async fn ticket_types(&self) -> Vec<TicketType> {
        (0..self.0.show.ticket_types.len()).map(|index| TicketType { event: Arc::clone(&self.0), index }).collect()
    }
    /// The lowest price that can be had now.
    async fn price_from(&self) -> Option<Money> {
        self.0.price_from().map(Into::into)
    }
    async fn has_seating_plan(&self) -> bool {
        self.0.show.plan.is_some()
    }
    async fn sales_start(&self) -> Option<DateTime> {
        self.0.show.sales_start.map(|time| time.instant.into())
    }
    async fn sales_end(&self) -> Option<DateTime> {
        self.0.show.sales_end.map(|time| time.instant.into())
    }
    /// Of all bookings of one person together.
    async fn max_per_person(&self) -> Option<i32> {
        self.0.show.max_per_person
    }
    /// The position up to which this answer is complete.
    async fn position(&self) -> Position {
        self.0.position.into()
    }
}

#[derive(SimpleObject)]
pub struct EventEdge {
    pub cursor: String,
    pub node: Event,
}

#[derive(SimpleObject)]
pub struct PageInfo {
    pub has_next_page: bool,
    pub end_cursor: Option<String>,
}

#[derive(SimpleObject)]
pub struct EventConnection {
    pub edges: Vec<EventEdge>,
    pub page_info: PageInfo,
    pub total_count: i32,
}

/// An identifier as GraphQL has it.
pub trait IntoGql {
    /// Its text.
    fn into_gql(self) -> ID;
}

impl<T: std::fmt::Display> IntoGql for T {
    fn into_gql(self) -> ID {
        ID(self.to_string())
    }
}
