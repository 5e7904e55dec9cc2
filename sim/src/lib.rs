//! Payment gateways as they are on the wire: paths, status codes, signatures, idempotency, states and repeats are the real
//! ones; money, cards and risk are not. It verifies its client as strictly as the gateways do, and keeps all it knows in
//! memory, within bounds.

mod call;
mod clock;
mod control;
mod crypto;
mod faults;
mod outbox;
mod plan;
mod server;
mod settings;
mod shelf;
mod stripe;
mod vnpay;

pub use server::{Running, start};
pub use settings::{Gateway, Settings};
