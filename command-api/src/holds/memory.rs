//! The store of holds of a process that has the log to itself.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use parking_lot::Mutex;
use tickiz_domain::ids::{BookingId, EventId, SeatId};
use tokio::time::Instant;

use super::{Conflict, HoldStore, HoldsUnavailable, Note, RESERVED_FOR, Standing};

/// How many seats are kept before those that ran out are looked for; afterwards whenever there are twice as many as were left.
const FIRST_SWEEP: usize = 10_000;

/// Whose a seat is, how, and until when.
#[derive(Clone, Copy)]
struct Held {
    holder: BookingId,
    standing: Standing,
    until: Instant,
}

struct Kept {
    seats: HashMap<(EventId, SeatId), Held>,
    sweep_at: usize,
}

/// Holds in memory.
pub struct MemoryHolds(Mutex<Kept>);

impl Default for MemoryHolds {
    fn default() -> Self {
        Self(Mutex::new(Kept { seats: HashMap::new(), sweep_at: FIRST_SWEEP }))
    }
}

impl Kept {
    fn sweep(&mut self, now: Instant) {
        if self.seats.len() >= self.sweep_at {
            self.seats.retain(|_, held| held.until > now);
            self.sweep_at = (self.seats.len() * 2).max(FIRST_SWEEP);
        }
    }
}

#[async_trait]
impl HoldStore for MemoryHolds {
    async fn reserve(
        &self,
        show: EventId,
        booking: BookingId,
        seats: &[SeatId],
    ) -> Result<Vec<Conflict>, HoldsUnavailable> {
        let now = Instant::now();
        let mut kept = self.0.lock();
        let others = seats.iter().enumerate().filter_map(|(index, seat)| {
            let held = kept.seats.get(&(show, seat.clone()))?;
            let conflict = Conflict { index, holder: held.holder, standing: held.standing };
            (held.until > now && held.holder != booking).then_some(conflict)
        });
        let others: Vec<Conflict> = others.collect();
        if others.is_empty() {
            kept.sweep(now);
            let reserved = Held { holder: booking, standing: Standing::Reserved, until: now + RESERVED_FOR };
            for seat in seats {
                match kept.seats.entry((show, seat.clone())) {
                    Entry::Occupied(own) if own.get().holder == booking && own.get().until > reserved.until => {}
                    Entry::Occupied(mut old) => drop(old.insert(reserved)),
                    Entry::Vacant(free) => drop(free.insert(reserved)),
                }
            }
        }
        Ok(others)
    }

    fn tell(&self, note: Note) {
        let now = Instant::now();
        let mut kept = self.0.lock();
        match note {
            Note::Keep { show, booking, seats, until } => {
                let left = (until - Utc::now()).to_std().unwrap_or(Duration::ZERO);
                let held = Held { holder: booking, standing: Standing::Held, until: now + left };
                for seat in seats {
                    kept.seats.insert((show, seat), held);
                }
            }
            Note::Release { show, booking, seats } => {
                for seat in seats {
                    let seat = (show, seat);
                    if kept.seats.get(&seat).is_some_and(|held| held.holder == booking) {
                        kept.seats.remove(&seat);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::conformance, *};

    #[tokio::test]
    async fn conforms() {
        conformance::all(Arc::new(MemoryHolds::default())).await;
    }

    #[tokio::test]
    async fn what_ran_out_does_not_stay_for_ever() {
        let holds = MemoryHolds::default();
        let (show, booking) = (EventId(uuid::Uuid::new_v4()), BookingId(uuid::Uuid::new_v4()));
        for from in (0..3 * FIRST_SWEEP).step_by(100) {
            let seats = (from..from + 100).map(|seat| SeatId(seat.to_string())).collect();
            // Run out at once.
            holds.tell(Note::Keep { show, booking, seats, until: Utc::now() });
            assert!(holds.reserve(show, booking, &[SeatId("one".into())]).await.unwrap().is_empty());
        }
        assert!(holds.0.lock().seats.len() <= FIRST_SWEEP + 200);
    }
}
