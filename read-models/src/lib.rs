//! The tables that projections write and query-api reads, behind one handle: [`ReadStore`].

pub mod cursor;
pub mod error;
pub mod events;
mod store;
pub mod view;

pub use cursor::{Cursor, CursorError};
pub use error::ReadError;
pub use events::list::{EventFilter, EventOrder, EventPage, EventQuery, Near};
pub use store::{MySqlOptions, ReadStore};
pub use view::{BookingView, EventView, Position, SeatStatus, SeatStatuses, SetAside, TypeAvailability};
