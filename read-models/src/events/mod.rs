//! Shows, what is left of them, and their seats.

pub mod list;
pub(crate) mod price;
pub mod search;
