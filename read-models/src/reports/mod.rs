//! What was sold, for reports.
//!
//! * [`sale`]: what a booking comes to, and how it divides among its ticket types.
//! * [`tables`]: what the projection keeps, and how it is loaded and written.
//! * [`queries`]: sums of it.

pub mod queries;
pub mod sale;
pub mod tables;
