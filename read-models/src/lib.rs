//! The tables that projections write and query-api reads, behind one handle: [`ReadStore`].
//!
//! A row is the state that the domain's own fold gives (`Show`, `Purchase`), as a document, beside the columns that lists filter and
//! sort by. So a read model cannot differ from the log but by being behind it, and every answer says how far it goes: its
//! position is the projection's checkpoint, read in the same statement as the row.
//!
//! # Layout
//!
//! * [`ReadStore`]: open, migrate, wait for a position. [`WriteTx`]: what a projection does in a transaction.
//! * [`events`]: shows, what is left of them, seats, the list. [`bookings`]: bookings. [`reports`]: what was sold. Each has its
//!   tables and, beside them, its queries.
//! * [`plans`]: seating plans. [`projection`]: names, versions, checkpoints. [`cursor`]: places in a list.
//! * [`ReadFront`]: how callers read, from copies near at hand where they will do. [`cache`]: what copies there are.
//! * [`scan`]: all rows, to compare them with the log.
//! * [`versions`]: another version of a projection beside the one that answers.
//! * `sql`: one way to run a statement on SQLite, MySQL and MariaDB. `migrations`: the schema.

pub mod bookings;
pub mod cache;
pub mod cursor;
pub mod error;
pub mod events;
mod front;
mod migrations;
pub mod plans;
pub mod projection;
pub mod reports;
mod rounds;
pub mod scan;
mod sql;
mod store;
pub mod versions;
pub mod view;

pub use cursor::{Cursor, CursorError};
pub use error::ReadError;
pub use events::list::{EventFilter, EventOrder, EventPage, EventQuery, Near};
pub use front::ReadFront;
pub use projection::Projection;
pub use store::{MySqlOptions, ReadStore, WriteTx};
pub use view::{BookingView, EventView, Position, SeatStatus, SeatStatuses, SetAside, TypeAvailability};
