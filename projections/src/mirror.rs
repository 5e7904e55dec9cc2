//! What a projection tells others than its store: that it has come further, and what of shows has changed.
//!
//! A mirror keeps copies of shows for readers, and wakes who waits. It is told after the commit, in order, and cannot fail or be
//! waited for: whatever it misses it notices by the positions, which follow each other without a gap, and then its copies are
//! worth nothing until they are made anew.

use std::fmt::Debug;

use tickiz_read_models::{Position, Projection, SeatStatus, events::tables::ShowRecord};

/// What one batch has changed of a show.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowChange {
    /// The show after the batch.
    pub record: ShowRecord,
    /// Whether the show itself changed, or only what is left of it.
    pub is_show: bool,
    /// Seats by their place in plan order, rising, and what they are after the batch.
    pub seats: Vec<(u32, SeatStatus)>,
}

/// A batch that is in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    /// By which projection.
    pub projection: Projection,
    /// Into the tables of which version.
    pub version: i32,
    /// The checkpoint before.
    pub from: Position,
    /// The checkpoint now.
    pub to: Position,
    /// What has changed of shows; every show that was touched.
    pub shows: Vec<ShowChange>,
}

/// Somebody who is told.
pub trait Mirror: Debug + Send + Sync {
    /// A batch is in the store. Returns at once.
    fn projected(&self, batch: Projected);
}
