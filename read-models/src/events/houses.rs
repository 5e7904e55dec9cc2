//! Whole houses in memory: the statuses of a show's seats as they were last read.
//!
//! A big house is tens of thousands of rows, and on the worst day everybody asks for the same one. The row of what is left is read
//! in any case; it names the position of the last domain event that changed a seat, and as long as that stands, so do the seats.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tickiz_domain::ids::EventId;

use crate::Position;

/// The most seats of all houses that are kept, a byte each: the few that are on sale at the same time.
const MAX_SEATS: usize = 8 << 20;

/// Statuses by show, with the version of the tables and the position that they are of.
#[derive(Debug, Default)]
pub(crate) struct Houses(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    houses: HashMap<EventId, (i32, Position, Arc<str>)>,
    seats: usize,
}

impl Houses {
    /// The statuses at that position, if they were read before.
    pub(crate) fn get(&self, id: EventId, version: i32, position: Position) -> Option<Arc<str>> {
        let kept = self.0.lock();
        let (of_version, of_position, statuses) = kept.houses.get(&id)?;
        (*of_version == version && *of_position == position).then(|| statuses.clone())
    }

    /// Keeps what was read. When there is too much, everything goes: it is read again in milliseconds.
    pub(crate) fn keep(&self, id: EventId, version: i32, position: Position, statuses: Arc<str>) {
        let mut kept = self.0.lock();
        if kept.seats + statuses.len() > MAX_SEATS {
            *kept = Kept::default();
        }
        kept.seats += statuses.len();
        if let Some((_, _, before)) = kept.houses.insert(id, (version, position, statuses)) {
            kept.seats -= before.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_what_it_was_at_one_position_only() {
        let houses = Houses::default();
        let (one, other) = (EventId(uuid::Uuid::from_u128(1)), EventId(uuid::Uuid::from_u128(2)));
        houses.keep(one, 1, 7, "FFB".into());
        assert_eq!(houses.get(one, 1, 7).as_deref(), Some("FFB"));
        assert_eq!((houses.get(one, 1, 8), houses.get(one, 2, 7), houses.get(other, 1, 7)), (None, None, None));
        houses.keep(one, 1, 8, "FBB".into());
        assert_eq!(houses.get(one, 1, 8).as_deref(), Some("FBB"));
        houses.keep(other, 1, 9, "F".repeat(MAX_SEATS - 1).into());
        assert_eq!(houses.get(one, 1, 8), None, "memory is bounded");
        assert!(houses.get(other, 1, 9).is_some());
    }
}
