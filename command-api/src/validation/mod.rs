//! The one validation layer: a raw request becomes values, or every fault with its path.
//!
//! Nobody else judges input. What can be judged by the request alone is judged at the door, before anything is loaded; what
//! needs the show (its zone, currency, types, plan) in a second step, by the same [`Faults`] and the same paths. Paths are
//! those of core.graphql: `["input","ticketTypes",0,"price","amount"]`, or the argument's own name where there is no `input`.
//!
//! # Layout
//!
//! * [`limits`]: every limit with its reason, and as rows for the docs.
//! * [`faults`]: collecting faults with their paths.
//! * [`fields`]: single values: texts, ids, keys, money, times, URLs.
//! * [`country`], [`locale`]: ISO 3166-1 and BCP 47.
//! * [`create_event`], [`update_event`], [`booking`], [`reissue`], [`refund`]: one request each, first and second step.

pub mod booking;
pub mod country;
pub mod create_event;
pub mod faults;
pub mod fields;
pub mod gate;
pub mod limits;
pub mod locale;
pub mod refund;
pub mod reissue;
pub mod update_event;

pub use faults::{Faults, Step};
