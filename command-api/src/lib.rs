//! The write side: what may be asked, who may ask it, what it comes to, and who takes the money.
//!
//! # Layout
//!
//! * [`service`]: the door, [`CommandService`], behind the port [`tickiz_contract::Commands`].
//! * [`validation`]: the one layer that turns a raw request into values, or names every fault with its path.
//! * [`access`]: the one policy of who may do what. [`scope`]: whose idempotency keys are compared.
//! * [`commands`]: one file a command. [`system`]: the commands of timers, webhooks and process managers.
//! * [`executor`]: load, decide, append, and again where the ground moved; opens with why a command has one effect.
//! * [`refusals`]: what domain and log refuse, in the contract's words.
//! * [`holds`]: short claims of seats that turn losers away cheaply.
//! * [`occupancy`]: which seats are likely free, for choosing the best. [`plans`]: seating plans by content hash.
//! * [`ids`]: new ids, numbers and codes; the one source of chance. [`keys`]: access tokens and person marks.

pub mod access;
pub mod commands;
pub mod executor;
pub mod gateways;
pub mod holds;
pub mod ids;
pub mod keys;
mod metrics;
pub mod occupancy;
pub mod payments;
pub mod plans;
pub mod refusals;
pub mod scope;
pub mod service;
pub mod stores;
pub mod system;
pub mod validation;
pub mod webhooks;
pub mod workers;

pub use commands::pay_booking::PaymentDesk;
pub use service::{CommandOptions, CommandService};
pub use system::{PaymentOutcome, RefundOutcome, SystemCommands};
