//! The read side's builders.

pub mod live;
