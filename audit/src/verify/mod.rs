//! The offline check: nothing of our database, our servers or our word is needed, only the directory and the log's public key.
//!
//! * [`verify_directory`]: is the directory what its checkpoint signed?
//! * [`Comparison`], [`compare`]: is a log, or an export of it, what the directory says? Given a directory's own entries, it also
//!   tells an entry that went from one bundle to another from two changed ones.
//!
//! Whether the log goes on from a checkpoint that somebody kept is a matter of a proof: [`crate::proof::ConsistencyProof`].

mod align;
mod compare;
mod directory;
mod finding;
mod report;
mod signed;

pub use compare::{CompareError, Comparison, WINDOW, compare};
pub use directory::verify_directory;
pub use finding::{Finding, RootOf};
pub use report::{MAX_FINDINGS, Report};

pub(crate) use signed::signed_checkpoint;
