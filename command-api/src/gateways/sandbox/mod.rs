//! The sandbox: a gateway for trying things out, with a page where the buyer says himself how it ends.
//!
//! Two sides that know each other only by HTTP: [`provider`] is the gateway's own house with its own books, and [`client`] is how
//! Tickiz speaks to it, as to any other gateway. Neither uses a type of the other.

pub mod client;
pub mod provider;

pub use client::{SandboxGateway, SandboxOptions};
