//! What of a show is taken, as far as this process knows: for choosing the best seats and for turning the many losers away
//! cheaply, never for giving anything out.
//!
//! What decides is the claim, in the append. But who is told to take the best seats should be told seats that he is likely to
//! get, a hundred who ask at once should not all be told the same ones, and of a hundred who want one seat ninety-nine should
//! not cost an append each. So this keeps, for a bounded number of shows,
//!
//! * the seats that were claimed when the claims were last read, and since then by this process. A seat that came free is
//!   noticed at the next reading, at most [`MAX_AGE`] later;
//! * the seats that are **picked**: handed to a command of this process whose append is still under way. Two commands of one
//!   process are never handed the same seat. A pick ends with its [`Picked`], whatever becomes of the command;
//! * the quotas that somebody found exhausted.
//!
//! Nobody is refused by what is remembered: before anybody hears that something is taken or sold out, the claims are read, and
//! by a reading that began after he asked. Many who ask at once share a reading.
//!
//! Between processes two picks can collide; the loser's claim is lost, the claims are read anew, and it picks again.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tickiz_domain::{
    allocation::best_available,
    claim::Resource,
    ids::{EventId, QuotaId, SeatId},
    seating_plan::SeatingPlan,
};
use tickiz_event_log::{EventLog, StoreError};

/// How many shows are remembered. More are on sale at once, but few of them are asked for best seats within the same second.
const MAX_SHOWS: u64 = 256;
/// How old a reading of the claims may be. Seats that come free in between are found again before anybody hears "sold out".
const MAX_AGE: TimeDelta = TimeDelta::seconds(1);
/// How often a choice waits for picks of others that may come free, before it gives up.
const MAX_WAITS: u32 = 50;
/// How long it waits each time: about what an append takes.
const WAIT: Duration = Duration::from_millis(20);

/// What is known of one show: of its seats, by their indexes in the plan, and of its quotas.
#[derive(Default)]
struct House {
    taken: HashSet<usize>,
    picked: HashSet<usize>,
    exhausted: HashSet<QuotaId>,
    /// When the claims were asked for that `taken` comes from, by the store's clock.
    read_at: Option<DateTime<Utc>>,
    /// How many readings were begun. What was begun before somebody asks may not have seen what he asks about.
    begun: u64,
    /// The number of the reading that `taken` comes from.
    read: u64,
}

/// A show's house, and who reads its claims at the moment: of many who need a reading, one reads.
#[derive(Default)]
struct Entry {
    house: Mutex<House>,
    reading: tokio::sync::Mutex<()>,
}

/// What is known of the shows that were lately asked for.
pub struct Occupancy {
    log: EventLog,
    houses: moka::sync::Cache<EventId, Arc<Entry>>,
}

/// Seats that are handed out until this is dropped.
pub struct Picked {
    entry: Arc<Entry>,
    seats: Vec<usize>,
}

impl Picked {
    /// Their indexes in the plan.
    #[must_use]
    pub fn seats(&self) -> &[usize] {
        &self.seats
    }

    /// They are claimed now.
    pub fn keep(self) {
        let mut house = self.entry.house.lock();
        house.taken.extend(self.seats.iter().copied());
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        let mut house = self.entry.house.lock();
        for seat in &self.seats {
            house.picked.remove(seat);
        }
    }
}

/// Why no seats could be picked.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// Fewer are free than were asked for.
    #[error("only {left} seats are left")]
    SoldOut {
        /// How many are.
        left: usize,
    },
    /// Enough are free or being taken by others, and it does not become clear which.
    #[error("too many are choosing at once")]
    Busy,
    /// The claims could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What seats are wanted.
pub struct Wanted<'a> {
    /// The show.
    pub show: EventId,
    /// Its plan.
    pub plan: &'a SeatingPlan,
    /// The categories that the type covers.
    pub categories: &'a [String],
    /// Seats that the same booking has already.
    pub except: &'a [usize],
    /// How many, together where possible.
    pub quantity: usize,
    /// 0 for the very best, else among which of the equally good ones ([`best_available`]).
    pub spread: u64,
}

/// What one look at a house gives.
enum Look {
    Picked(Vec<usize>),
    /// So many are left, others' picks aside.
    Few(usize),
    /// Not enough are left unless others give back what they picked.
    Wait,
}

impl Occupancy {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(log: EventLog) -> Self {
        Self { log, houses: moka::sync::Cache::new(MAX_SHOWS) }
    }

    fn entry(&self, show: EventId) -> Arc<Entry> {
        self.houses.get_with(show, Arc::default)
    }

    /// Picks seats, and hands them to nobody else of this process until the [`Picked`] is dropped.
    ///
    /// # Errors
    /// [`PickError::SoldOut`] only by claims that were read for this very pick.
    pub async fn pick(&self, wanted: &Wanted<'_>) -> Result<Picked, PickError> {
        let entry = self.entry(wanted.show);
        let oldest = self.log.now() - MAX_AGE;
        let mut is_read = entry.house.lock().read_at.is_none_or(|at| at < oldest);
        if is_read {
            self.refresh(&entry, wanted.show, wanted.plan).await?;
        }
        for _ in 0..MAX_WAITS {
            match look(&entry.house, wanted) {
                Look::Picked(seats) => return Ok(Picked { entry, seats }),
                Look::Few(left) if is_read => return Err(PickError::SoldOut { left }),
                Look::Few(_) => {
                    self.refresh(&entry, wanted.show, wanted.plan).await?;
                    is_read = true;
                }
                Look::Wait => {
                    tokio::time::sleep(WAIT).await;
                    is_read = false;
                }
            }
        }
        Err(PickError::Busy)
    }

    /// A picked seat turned out to be somebody else's: the next pick reads the claims anew.
    pub fn distrust(&self, show: EventId) {
        self.entry(show).house.lock().read_at = None;
    }

    /// Of these chosen seats, by index and id, those that are taken. Only where some of them are remembered as taken are the
    /// claims read at all; what is not remembered the append finds out.
    ///
    /// # Errors
    /// When the claims cannot be read.
    pub async fn taken_among(
        &self,
        show: EventId,
        plan: &SeatingPlan,
        chosen: &[(usize, SeatId)],
    ) -> Result<Vec<SeatId>, StoreError> {
        let Some(entry) = self.houses.get(&show) else { return Ok(Vec::new()) };
        let taken = || -> Vec<SeatId> {
            let house = entry.house.lock();
            chosen.iter().filter(|(index, _)| house.taken.contains(index)).map(|(_, seat)| seat.clone()).collect()
        };
        if taken().is_empty() {
            return Ok(Vec::new());
        }
        self.refresh(&entry, show, plan).await?;
        Ok(taken())
    }

    /// Of these seats, which are said to be held, those that are. Said by somebody who asked just now, so claims that were read
    /// a moment ago are enough to refuse by; that a seat is free after all is only said by claims that are read for it.
    ///
    /// # Errors
    /// When the claims cannot be read.
    pub async fn confirm_taken(
        &self,
        show: EventId,
        plan: &SeatingPlan,
        held: &[usize],
    ) -> Result<Vec<usize>, StoreError> {
        let entry = self.entry(show);
        let oldest = self.log.now() - MAX_AGE;
        let is_recent = entry.house.lock().read_at.is_some_and(|at| at >= oldest);
        let taken = || -> Vec<usize> {
            let house = entry.house.lock();
            held.iter().copied().filter(|seat| house.taken.contains(seat)).collect()
        };
        if is_recent && taken().len() == held.len() {
            return Ok(held.to_vec());
        }
        self.refresh(&entry, show, plan).await?;
        Ok(taken())
    }

    /// Seats that an append has taken, or found taken.
    pub fn note_taken(&self, show: EventId, seats: impl IntoIterator<Item = usize>) {
        self.entry(show).house.lock().taken.extend(seats);
    }

    /// What is left of the first of these quotas that has not so many places; `None` where all have. Only quotas that are
    /// remembered as exhausted are looked at.
    ///
    /// # Errors
    /// When the claims cannot be read.
    pub async fn too_few_left(
        &self,
        show: EventId,
        wanted: &BTreeMap<QuotaId, i64>,
    ) -> Result<Option<i64>, StoreError> {
        let Some(entry) = self.houses.get(&show) else { return Ok(None) };
        for (quota, amount) in wanted {
            if !entry.house.lock().exhausted.contains(quota) {
                continue;
            }
            let row = self.log.claim(&Resource::Quota(show, *quota)).await?;
            match row.map(|row| row.limit - row.used) {
                Some(left) if left < *amount => return Ok(Some(left)),
                _ => entry.house.lock().exhausted.remove(quota),
            };
        }
        Ok(None)
    }

    /// Quotas that an append found exhausted.
    pub fn note_exhausted(&self, show: EventId, quotas: impl IntoIterator<Item = QuotaId>) {
        self.entry(show).house.lock().exhausted.extend(quotas);
    }

    /// Reads the claims, or waits for somebody else's reading that begins from now on.
    async fn refresh(&self, entry: &Entry, show: EventId, plan: &SeatingPlan) -> Result<(), StoreError> {
        let begun_before = entry.house.lock().begun;
        let _reading = entry.reading.lock().await;
        let number = {
            let mut house = entry.house.lock();
            if house.read > begun_before {
                return Ok(());
            }
            house.begun += 1;
            house.begun
        };
        let asked_at = self.log.now();
        let prefix = format!("seat/{show}/");
        let claims = self.log.claims_with_prefix(&prefix).await?;
        let seats = claims.iter().filter_map(|claim| plan.seat_index(claim.resource.strip_prefix(&prefix)?));
        let taken = seats.collect();
        let mut house = entry.house.lock();
        house.taken = taken;
        house.read_at = Some(asked_at);
        house.read = number;
        Ok(())
    }
}

fn look(house: &Mutex<House>, wanted: &Wanted<'_>) -> Look {
    let covers: Vec<bool> =
        wanted.plan.categories().iter().map(|category| wanted.categories.contains(category)).collect();
    let is_eligible = |seat: usize| covers[wanted.plan.seat(seat).category] && !wanted.except.contains(&seat);
    let mut house = house.lock();
    let chosen = best_available(
        wanted.plan,
        is_eligible,
        |seat| !house.taken.contains(&seat) && !house.picked.contains(&seat) && !wanted.except.contains(&seat),
        wanted.quantity,
        wanted.spread,
    );
    if let Some(seats) = chosen {
        house.picked.extend(seats.iter().copied());
        return Look::Picked(seats);
    }
    let open = (0..wanted.plan.len()).filter(|seat| is_eligible(*seat) && !house.taken.contains(seat)).count();
    if open < wanted.quantity { Look::Few(open) } else { Look::Wait }
}
