//! The heart: append, read, claims, receipts, timers, sealing.
pub mod record;
