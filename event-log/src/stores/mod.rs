//! The three backends.

pub mod memory;
pub mod mysql;
mod row;
mod sql;
mod sql_append;
pub mod sqlite;
