//! The room and its seats.
//!
//! A big house is read by `planHash` and `statuses`; the tree of sections, rows and seats is put together only where a client
//! selects it, field by field, from the plan's columns.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use tickiz_domain::{ids::EventId, seating_plan::SeatingPlan};
use tickiz_projections::live::SeatFrame;
use tickiz_read_models as read;

use super::{app_of, enums::SeatStatus, event::IntoGql, scalars::int};
use crate::app::{Failure, Fault};

/// The plan and the statuses of its seats, shared by everything below a seat map.
struct House {
    plan: Arc<SeatingPlan>,
    statuses: String,
}

/// The seats of a show at one version.
pub struct SeatMap {
    /// The show.
    pub event_id: EventId,
    /// Its seats.
    pub seats: read::SeatStatuses,
}

#[Object]
impl SeatMap {
    async fn event_id(&self) -> ID {
        self.event_id.into_gql()
    }
    /// 0 at publication; rises by one with every domain event that changed a seat's status or what is left of a type.
    async fn version(&self) -> i32 {
        int(self.seats.version)
    }
    /// Content hash of the plan's geometry. GET /seat-plans/{hash} serves it as packed columns, cacheable for ever.
    async fn plan_hash(&self) -> &str {
        &self.seats.plan_hash
    }
    /// For small houses and simple clients; a big house is read by planHash and statuses.
    async fn sections(&self, ctx: &Context<'_>) -> Result<Vec<SeatSection>, Failure> {
        let plan = app_of(ctx).reads.plan(&self.seats.plan_hash).await?;
        let plan = plan
            .ok_or_else(|| Fault::new(format!("the plan {} of {} is missing", self.seats.plan_hash, self.event_id)))?;
        let sections = plan.sections().len();
        let house = Arc::new(House { plan, statuses: self.seats.statuses.clone() });
        Ok((0..sections).map(|index| SeatSection { house: Arc::clone(&house), index }).collect())
    }
    /// The whole house in one string: one character per seat in plan order, F H B X for FREE HELD BOOKED BLOCKED.
    async fn statuses(&self) -> &str {
        &self.seats.statuses
    }
}

/// A section of the room.
pub struct SeatSection {
    house: Arc<House>,
    index: usize,
}

#[Object]
impl SeatSection {
    async fn id(&self) -> ID {
        ID(self.house.plan.sections()[self.index].id.clone())
    }
    async fn name(&self) -> &str {
        &self.house.plan.sections()[self.index].name
    }
    async fn rows(&self) -> Vec<SeatRow> {
        self.house
            .plan
            .section_rows(self.index)
            .map(|index| SeatRow { house: Arc::clone(&self.house), index })
            .collect()
    }
}

/// A row of a section.
pub struct SeatRow {
    house: Arc<House>,
    index: usize,
}

#[Object]
impl SeatRow {
    async fn label(&self) -> &str {
        &self.house.plan.rows()[self.index].label
    }
    async fn seats(&self) -> Vec<Seat> {
        self.house.plan.row_seats(self.index).map(|index| Seat::of(&self.house, index)).collect()
    }
}

#[derive(SimpleObject)]
pub struct Seat {
    id: ID,
    number: String,
    category: String,
    status: SeatStatus,
    x: f64,
    y: f64,
}

impl Seat {
    fn of(house: &House, index: usize) -> Self {
        let seat = house.plan.seat(index);
        let status = house.statuses.as_bytes().get(index).copied().and_then(read::SeatStatus::from_byte);
        Self {
            id: ID(seat.id.to_owned()),
            number: seat.number.to_owned(),
            category: house.plan.category_of(index).to_owned(),
            // A plan longer than its statuses cannot be; nothing is ever said to be free that is not known to be.
            status: status.unwrap_or(read::SeatStatus::Blocked).into(),
            x: seat.x,
            y: seat.y,
        }
    }
}

#[derive(SimpleObject)]
pub struct SeatChange {
    seat_id: ID,
    status: SeatStatus,
}

#[derive(SimpleObject)]
pub struct TicketTypeAvailability {
    ticket_type_id: ID,
    available: i32,
}

/// What changed, or all of it.
pub struct SeatAvailability(pub Arc<SeatFrame>);

#[Object]
impl SeatAvailability {
    async fn event_id(&self) -> ID {
        self.0.event_id.into_gql()
    }
    /// The changes lead from this version to the next one given; apply them only onto it, else wait for a snapshot.
    async fn from_version(&self) -> i32 {
        int(self.0.from_version)
    }
    async fn version(&self) -> i32 {
        int(self.0.version)
    }
    async fn plan_hash(&self) -> &str {
        &self.0.plan_hash
    }
    /// True: changes holds every seat that is not free, and what the client knew is void.
    async fn snapshot(&self) -> bool {
        self.0.snapshot
    }
    async fn changes(&self) -> Vec<SeatChange> {
        let change = |(seat, status): &(tickiz_domain::ids::SeatId, read::SeatStatus)| SeatChange {
            seat_id: ID(seat.0.clone()),
            status: (*status).into(),
        };
        self.0.changes().iter().map(change).collect()
    }
    /// Only in a snapshot: as SeatMap.statuses. A big house selects this instead of changes.
    async fn statuses(&self) -> Option<&str> {
        self.0.statuses.as_deref()
    }
    async fn ticket_types(&self) -> Vec<TicketTypeAvailability> {
        let left = |a: &read::TypeAvailability| TicketTypeAvailability {
            ticket_type_id: a.ticket_type_id.into_gql(),
            available: int(a.available),
        };
        self.0.availability.iter().map(left).collect()
    }
}
