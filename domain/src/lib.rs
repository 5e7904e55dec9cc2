//! What is decided, and nothing else: the aggregates [`event`] and [`booking`], the values they are made of, and what each
//! domain event means for the resources that are unique or bounded ([`claim`]) and for later ([`timer`]).
//!
//! # Layout
//!
//! * [`event`], [`booking`], [`person`]: the aggregates, each with the same files: `mod`, `command`, `event`, `state`, `error`.
//! * [`stored`]: the stored shape of a domain event: type name, integer version, JSON payload, upcasters, schema.
//! * [`claim`], [`timer`]: pure functions of a domain event, so that no way of appending can forget them.
//! * [`money`], [`zoned`], [`text`], [`ids`]: values.
//! * [`seating_plan`], [`allocation`]: the room, and which seats go together best.
//!
//! There is no I/O here, no clock and no randomness: time, ids and prices come in with the command.

pub mod allocation;
pub mod booking;
pub mod claim;
pub mod event;
pub mod ids;
pub mod money;
pub mod person;
pub mod sealed;
pub mod seating_plan;
pub mod stored;
pub mod stream;
pub mod text;
pub mod timer;
pub mod zoned;
