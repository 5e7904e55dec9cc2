//! Bookings.
//!
//! * [`tables`]: what the projection keeps, and how it is loaded and written.
//! * `queries`: what is asked about bookings.

mod queries;
pub mod tables;
