//! The offline check: nothing of our database, our servers or our word is needed, only the directory and the log's public key.
//!
//! * [`verify_directory`]: is the directory what its checkpoint signed?
//! * [`Comparison`], [`compare`]: is a log, or an export of it, what the directory says?

mod align;
mod compare;
mod directory;
mod report;

pub use compare::{CompareError, Comparison, WINDOW, compare};
pub use directory::verify_directory;
pub use report::{Finding, MAX_FINDINGS, Report, RootOf};
