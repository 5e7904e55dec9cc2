//! What is asked about single shows.

use std::{collections::HashMap, sync::Arc};

use tickiz_domain::{event::PlanSummary, ids::EventId};

use super::tables::{ShowRecord, record_of, sales_of, show_of};
use crate::{
    EventView, Position, ReadError, SeatStatus, SeatStatuses,
    projection::{Projection, SHARD},
    sql::{Keys, Row, Session, Value, versioned},
    store::ReadStore,
};

/// The checkpoint comes with the row in one statement, so it says what the row contains.
const READ_EVENTS: &str = "\
    SELECT e.event_id, e.document, a.seat_version, a.taken, a.counters,
        (SELECT c.position FROM projection_checkpoints c WHERE c.name = 'events' AND c.version = ? AND c.shard = ?)
    FROM rm_events_v1 e JOIN rm_availability_v1 a ON a.event_id = e.event_id
    WHERE e.event_id IN ({keys})";

const READ_RECORD: &str = "\
    SELECT e.event_id, e.document, e.published_at, e.position, a.seat_version, a.taken, a.counters, a.position,
        (SELECT c.position FROM projection_checkpoints c WHERE c.name = 'events' AND c.version = ? AND c.shard = ?)
    FROM rm_events_v1 e JOIN rm_availability_v1 a ON a.event_id = e.event_id
    WHERE e.event_id = ?";

const READ_SEATS: &str = "SELECT seat_index, status FROM rm_seats_v1 WHERE event_id = ? ORDER BY seat_index";

/// Up to where it is complete, what is kept of a show, and the statuses of its seats in plan order.
pub type ShowWithSeats = (Position, ShowRecord, Arc<str>);

/// A show out of the columns `event_id, document, seat_version, taken, counters, checkpoint` from the one of that number on.
pub(super) fn view_of(row: &Row, first: usize) -> Result<EventView, ReadError> {
    let id = EventId(row.uuid(first)?);
    let show = show_of(id, &row.text(first + 1)?)?;
    let sales = sales_of(id, row.int(first + 2)?, row.int(first + 3)?, &row.text(first + 4)?)?;
    let availability = sales.availability(&show);
    Ok(EventView { id, show, availability, seat_version: sales.seat_version, position: row.int(first + 5)? })
}

async fn read_events(session: &mut Session, version: i32, ids: &[EventId]) -> Result<Vec<EventView>, ReadError> {
    let before = [Value::Int(version.into()), Value::Int(SHARD)];
    let keys = ids.iter().map(|id| id.0.into()).collect();
    let rows = session.rows_by_keys(&versioned(READ_EVENTS, version), &Keys::Single, &before, keys).await?;
    rows.iter().map(|row| view_of(row, 0)).collect()
}

impl ReadStore {
    /// A show, whatever its status.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn event(&self, id: EventId) -> Result<Option<EventView>, ReadError> {
        Ok(self.some_events(&[id]).await?.pop())
    }

    /// Several shows, whatever their status; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn events(&self, ids: &[EventId]) -> Result<HashMap<EventId, EventView>, ReadError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(self.some_events(ids).await?.into_iter().map(|view| (view.id, view)).collect())
    }

    async fn some_events(&self, ids: &[EventId]) -> Result<Vec<EventView>, ReadError> {
        loop {
            let version = self.version(Projection::Events);
            let read = async {
                let mut session = self.inner.pools.reader().await?;
                read_events(&mut session, version, ids).await
            };
            let views = read.await;
            let has_all = |views: &Vec<_>| views.len() == ids.len();
            if self.has_moved(Projection::Events, version, &views, has_all).await {
                continue;
            }
            self.saw(views.as_ref().ok().and_then(|views| views.first()).map(|view| view.position));
            return views;
        }
    }

    /// The seats of a show, all at one version. `None` for a show that is not there.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn seat_statuses(&self, id: EventId) -> Result<Option<SeatStatuses>, ReadError> {
        Ok(self.event_with_seats(id).await?.map(|(position, record, statuses)| SeatStatuses {
            version: record.sales.seat_version,
            position,
            plan_hash: record.show.plan.as_ref().map_or_else(String::new, |plan| plan.hash.clone()),
            statuses: statuses.as_ref().to_owned(),
            availability: record.sales.availability(&record.show),
        }))
    }

    /// A show, everything that is kept of it, and the statuses of its seats, in one snapshot: what a fold can go on from. `None` for a
    /// show that is not there.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn event_with_seats(&self, id: EventId) -> Result<Option<ShowWithSeats>, ReadError> {
        loop {
            let version = self.version(Projection::Events);
            let found = self.event_with_seats_of(version, id).await;
            if self.has_moved(Projection::Events, version, &found, Option::is_some).await {
                continue;
            }
            self.saw(found.as_ref().ok().and_then(|found| found.as_ref()).map(|(position, ..)| *position));
            return found;
        }
    }

    async fn event_with_seats_of(&self, version: i32, id: EventId) -> Result<Option<ShowWithSeats>, ReadError> {
        let mut session = self.inner.pools.snapshot().await?;
        let binds = [vec![Value::Int(version.into()), Value::Int(SHARD)], vec![id.0.into()]].concat();
        let rows = session.rows(versioned(READ_RECORD, version), binds).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (record, position) = (record_of(row)?, row.int(8)?);
        let statuses = match &record.show.plan {
            None => Arc::from(""),
            Some(plan) => match self.inner.houses.get(id, version, record.sales_position) {
                Some(statuses) => statuses,
                None => {
                    let rows = session.rows(versioned(READ_SEATS, version), vec![id.0.into()]).await?;
                    let statuses: Arc<str> = house(id, plan, &rows)?.into();
                    self.inner.houses.keep(id, version, record.sales_position, statuses.clone());
                    statuses
                }
            },
        };
        session.commit().await?;
        Ok(Some((position, record, statuses)))
    }

    fn saw(&self, position: Option<Position>) {
        if let Some(position) = position {
            self.inner.checkpoints.raise(Projection::Events, position);
        }
    }
}

/// One character per seat in plan order.
fn house(id: EventId, plan: &PlanSummary, taken: &[Row]) -> Result<String, ReadError> {
    let seats: usize = plan.categories.iter().map(|c| c.seats as usize).sum();
    let mut statuses = vec![SeatStatus::Free.as_byte(); seats];
    for row in taken {
        set_status(id, &mut statuses, row.int(0)?, &row.text(1)?)?;
    }
    Ok(String::from_utf8(statuses).expect("the bytes of statuses are ASCII"))
}

fn set_status(id: EventId, statuses: &mut [u8], index: i64, status: &str) -> Result<(), ReadError> {
    let damaged = || ReadError::Damaged { table: "rm_seats", what: format!("seat {index} of {id} is {status:?}") };
    let &[byte] = status.as_bytes() else { return Err(damaged()) };
    SeatStatus::from_byte(byte).ok_or_else(damaged)?;
    *usize::try_from(index).ok().and_then(|index| statuses.get_mut(index)).ok_or_else(damaged)? = byte;
    Ok(())
}
