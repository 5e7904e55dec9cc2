//! The three backends.

pub mod memory;
pub mod mysql;
mod row;
mod sql;
pub mod sqlite;
