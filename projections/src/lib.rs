//! The read side's builders: they read the log's domain events in order and write read models.
//!
//! # Layout
//!
//! * [`stream`]: where domain events come from, and how every one comes once and none is missing. `log_stream`: the event
//!   log as such a stream.
//! * [`events`], [`bookings`], [`reports`]: the projections; `per_booking`: what the last two have in common. [`project`]: how a batch goes into the store. [`plans`]: seating plans.
//! * [`mirror`]: who is told what they have written. [`service`]: runs them. [`live`]: what changes, to those who watch it.
//! * [`rebuild`]: another version of a projection, built beside the one that answers. [`up_to`]: one as it stood at a position.
//! * [`compare`]: compares the read models with the log.

pub mod bookings;
pub mod compare;
pub mod events;
pub mod live;
mod log_stream;
mod metrics;
pub mod mirror;
pub mod per_booking;
pub mod plans;
pub mod project;
pub mod rebuild;
pub mod reports;
pub mod service;
pub mod stream;
pub mod up_to;

pub use compare::{Difference, compare_with_log};
pub use live::{LiveFeeds, LiveService};
pub use service::{ProjectorHandle, ProjectorOptions, ProjectorService};
pub use stream::{DomainEventReader, DomainEventStream, LogSource};
