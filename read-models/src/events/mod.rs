//! Shows, what is left of them, and their seats.
//!
//! * [`tables`]: what the projection keeps, and how it is loaded and written.
//! * [`sales`]: what is left of a show, from counters of what is taken.
//! * `queries`: single shows and their seats, whole ones kept by `houses`. [`list`]: the list with its filters and orders, by `list_sql`.
//! * [`search`], `globe`, `price`: how words, distances and prices become something that a database can compare.

mod globe;
pub(crate) mod houses;
pub mod list;
mod list_sql;
pub(crate) mod price;
mod queries;
pub mod sales;
pub mod search;
pub mod tables;
