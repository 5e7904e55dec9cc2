//! The write side.
pub mod access;
pub mod ids;
pub mod keys;
pub mod validation;
