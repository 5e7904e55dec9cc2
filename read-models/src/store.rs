//! One handle on the read models.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use tickiz_domain::{
    booking::BookingStatus,
    ids::{BookingId, EventId},
    seating_plan::SeatingPlan,
};

use crate::{BookingView, EventPage, EventQuery, EventView, Position, ReadError, SeatStatuses, SetAside};

/// How a MySQL or MariaDB is used.
#[derive(Clone, Debug)]
pub struct MySqlOptions {
    /// The most connections of this process.
    pub max_connections: u32,
    /// How long a question waits for a connection.
    pub acquire_timeout: Duration,
}

impl Default for MySqlOptions {
    fn default() -> Self {
        Self { max_connections: 16, acquire_timeout: Duration::from_secs(5) }
    }
}

/// The read models. A cheap handle; clones share connections.
#[derive(Clone, Debug)]
pub struct ReadStore {}

#[expect(unused_variables, clippy::unimplemented, reason = "signatures first; the bodies follow at once")]
impl ReadStore {
    /// Opens or makes a SQLite file: one writer, several readers, write-ahead log, synchronous NORMAL (a loss of power may forget
    /// the newest transactions; they are projected again).
    pub async fn open_sqlite(path: &Path) -> Result<Self, ReadError> { unimplemented!() }
    /// SQLite without a file: for tests and simulation. It is gone with the last handle.
    pub async fn open_memory() -> Result<Self, ReadError> { unimplemented!() }
    /// Connects to MySQL or MariaDB.
    pub async fn open_mysql(url: &str, options: MySqlOptions) -> Result<Self, ReadError> { unimplemented!() }
    /// Brings the schema to this program's version.
    pub async fn migrate(&self) -> Result<(), ReadError> { unimplemented!() }
    /// Refuses a store whose schema is not this program's ([`ReadError::Schema`]).
    pub async fn check_schema(&self) -> Result<(), ReadError> { unimplemented!() }
    /// A show, whatever its status.
    pub async fn event(&self, id: EventId) -> Result<Option<EventView>, ReadError> { unimplemented!() }
    /// Several shows, whatever their status; those that are not there are left out.
    pub async fn events(&self, ids: &[EventId]) -> Result<HashMap<EventId, EventView>, ReadError> { unimplemented!() }
    /// A page of the list of shows.
    pub async fn list_events(&self, query: &EventQuery) -> Result<EventPage, ReadError> { unimplemented!() }
    /// The seats of a show, all at one version.
    pub async fn seat_statuses(&self, id: EventId) -> Result<Option<SeatStatuses>, ReadError> { unimplemented!() }
    /// A seating plan by its hash, parsed and cached.
    pub async fn plan(&self, hash: &str) -> Result<Option<Arc<SeatingPlan>>, ReadError> { unimplemented!() }
    /// A seating plan by its hash, packed, as it is served.
    pub async fn plan_bytes(&self, hash: &str) -> Result<Option<Vec<u8>>, ReadError> { unimplemented!() }
    /// A booking.
    pub async fn booking(&self, id: BookingId) -> Result<Option<BookingView>, ReadError> { unimplemented!() }
    /// The bookings of a show in the order of their ids, after one of them.
    pub async fn bookings_of_event(
        &self, id: EventId, after: Option<BookingId>, limit: u32,
    ) -> Result<Vec<(BookingId, BookingStatus)>, ReadError> { unimplemented!() }
    /// Up to where everything here is complete: the least checkpoint of the active projections.
    pub async fn checkpoint(&self) -> Result<Position, ReadError> { unimplemented!() }
    /// Waits until [`ReadStore::checkpoint`] has reached a position; false when that takes longer than `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<bool, ReadError> { unimplemented!() }
    /// The domain events with which a projection stopped for one show or booking.
    pub async fn set_aside(&self) -> Result<Vec<SetAside>, ReadError> { unimplemented!() }
}
