//! Compares the read models with the fold of the log (P6).
//!
//! The rows of each projection are read in one snapshot; the log is folded anew up to that snapshot's checkpoint. So this can run
//! while the system does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tickiz_domain::{
    booking::BookingDomainEvent,
    ids::{BookingId, EventId, SeatId},
};
use tickiz_event_log::record::{Position, Recorded};
use tickiz_read_models::{
    BookingView, Projection, ReadError, ReadStore, SeatStatus,
    events::tables::{SeatRecord, ShowRecord},
    reports::sale::{Sale, SaleRecord},
    scan::{Scan, Scanned, ScannedSale},
};
use uuid::Uuid;

use crate::{
    events::{self, Effect, Step},
    per_booking::{self, Kept},
    plans::{PlanError, PlanSource},
    stream::{LogSource, StreamError},
};

/// How much of the log is read at once.
const READ_BATCH: usize = 1_000;

/// Said of a row whose document is right.
const COLUMNS_DIFFER: &str = "its row would be filtered or sorted by something else than its document says";

/// A row that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which projection.
    pub projection: Projection,
    /// Which row: `Event/<id>`, `Event/<id>/seat/<seat>`, `Booking/<id>`.
    pub key: String,
    /// The position of the last domain event that made the row what it ought to be; 0 where the log knows nothing of it.
    pub position: Position,
    /// What is wrong.
    pub what: String,
}

/// Why the comparison was not made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The read models' store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log failed or has a gap.
    #[error(transparent)]
    Log(#[from] StreamError),
    /// A projection is said to contain what the log does not have.
    #[error("the checkpoint of {projection} is {checkpoint}, the log ends at {head}")]
    Ahead {
        /// Which projection.
        projection: Projection,
        /// Its checkpoint.
        checkpoint: Position,
        /// The last domain event that there is.
        head: Position,
    },
}

/// Every row that the log gives, up to a position.
#[derive(Default)]
pub struct Folded {
    /// The shows.
    pub shows: BTreeMap<EventId, ShowRecord>,
    /// The seats that are not free, each with the position that made it so.
    pub seats: BTreeMap<(EventId, u32), (SeatRecord, Position)>,
    /// The bookings.
    pub bookings: BTreeMap<BookingId, BookingView>,
    /// What they come to in the reports.
    pub sales: BTreeMap<BookingId, SaleRecord>,
    /// Up to where the log is folded.
    pub position: Position,
    /// What stands still, in each projection, with the position from which on.
    pub stuck: BTreeMap<(Projection, Uuid), Position>,
}

impl Folded {
    /// Folds the log up to a position.
    ///
    /// # Errors
    /// When the log fails or has a gap.
    pub async fn up_to(log: &Arc<dyn LogSource>, head: Position) -> Result<Self, StreamError> {
        let mut folded = Self::default();
        folded.go_on(log, head).await?;
        Ok(folded)
    }

    /// Goes on folding, up to another position.
    ///
    /// # Errors
    /// When the log fails or has a gap.
    pub async fn go_on(&mut self, log: &Arc<dyn LogSource>, head: Position) -> Result<(), StreamError> {
        let plans = PlanSource::new(log.clone());
        while self.position < head {
            let batch = log.read(self.position, READ_BATCH).await?;
            for recorded in batch.iter().take_while(|recorded| recorded.position <= head) {
                let wanted = self.position + 1;
                if recorded.position != wanted {
                    return Err(StreamError::GapInLog { wanted, found: Some(recorded.position) });
                }
                self.position = wanted;
                self.take(recorded, &plans).await?;
            }
            if batch.is_empty() {
                return Err(StreamError::GapInLog { wanted: self.position + 1, found: None });
            }
        }
        Ok(())
    }

    async fn take(&mut self, recorded: &Arc<Recorded>, plans: &PlanSource) -> Result<(), StreamError> {
        let position = recorded.position;
        if let Some(step) = Step::of(recorded) {
            let subject = step.subject();
            let stuck = |subject| self.stuck.contains_key(&(Projection::Events, subject));
            if !stuck(subject) && (step.follows(stuck).is_some() || !self.take_show(subject, step, plans).await?) {
                self.stuck.insert((Projection::Events, subject), position);
            }
        }
        if let Some((_, id, event)) = per_booking::step_of(recorded) {
            let event = event.ok();
            fold(&mut self.bookings, &mut self.stuck, id, event.clone(), recorded);
            fold(&mut self.sales, &mut self.stuck, id, event, recorded);
        }
        Ok(())
    }

    /// False: the show stands still from here.
    async fn take_show(&mut self, subject: Uuid, step: Step<'_>, plans: &PlanSource) -> Result<bool, StreamError> {
        let (id, position) = (EventId(subject), step.recorded.position);
        let Ok(change) = step.change else { return Ok(false) };
        let mut record = self.shows.remove(&id);
        let hash = record.as_ref().and_then(|record| record.show.plan.as_ref()).map(|plan| plan.hash.clone());
        let plan = match hash.filter(|_| change.needs_plan()) {
            Some(hash) => match plans.plan(&hash).await {
                Ok(plan) => Some(plan),
                Err(PlanError::Store(error)) => return Err(error.into()),
                Err(PlanError::Unusable { .. }) => None,
            },
            None => None,
        };
        let effect = events::apply(id, &mut record, change, position, plan.as_deref());
        self.shows.extend(record.map(|record| (id, record)));
        let Ok(Effect { seats, .. }) = effect else { return Ok(false) };
        for (index, status) in seats {
            let key = (id, index);
            if status == SeatStatus::Free {
                self.seats.remove(&key);
            } else {
                let plan = plan.as_ref().expect("seats are located by their plan");
                let seat_id = SeatId(plan.seat(index as usize).id.to_owned());
                self.seats.insert(key, (SeatRecord { event_id: id, index, seat_id, status }, position));
            }
        }
        Ok(true)
    }
}

/// Folds a booking's domain event into what a projection keeps of it, unless that stands still.
fn fold<K: Kept>(
    kept: &mut BTreeMap<BookingId, K>,
    stuck: &mut BTreeMap<(Projection, Uuid), Position>,
    id: BookingId,
    event: Option<BookingDomainEvent>,
    recorded: &Recorded,
) {
    if stuck.contains_key(&(K::PROJECTION, id.0)) {
        return;
    }
    let mut one = kept.remove(&id);
    let applied = event.is_some_and(|event| K::apply(&mut one, event, recorded).is_ok());
    kept.extend(one.map(|one| (id, one)));
    if !applied {
        stuck.insert((K::PROJECTION, id.0), recorded.position);
    }
}

/// Compares every row of the read models with the fold of the log up to each projection's checkpoint.
///
/// # Errors
/// When the store or the log fails, or the log has a gap.
pub async fn compare_with_log(log: &Arc<dyn LogSource>, store: &ReadStore) -> Result<Vec<Difference>, CompareError> {
    let mut differences = Vec::new();
    for projection in Projection::ALL {
        let mut scan = store.scan(projection).await?;
        let checkpoint = scan.checkpoint().await?;
        let folded = match Folded::up_to(log, checkpoint).await {
            Err(StreamError::GapInLog { wanted, found: None }) => {
                return Err(CompareError::Ahead { projection, checkpoint, head: wanted - 1 });
            }
            folded => folded?,
        };
        let mut found = Found { projection, differences: &mut differences, aside: BTreeSet::new() };
        // What stands still in the rows cannot be compared with what does not stand still in the fold: it is said once.
        let mut folded = folded;
        for subject in found.compare_set_aside(&mut scan, &folded).await? {
            let show = EventId(subject);
            folded.shows.remove(&show);
            folded.seats.retain(|(of, _), _| *of != show);
            folded.bookings.remove(&BookingId(subject));
            folded.sales.remove(&BookingId(subject));
            found.aside.insert(subject);
        }
        match projection {
            Projection::Events => {
                found.compare_shows(&mut scan, folded.shows).await?;
                found.compare_seats(&mut scan, folded.seats).await?;
            }
            Projection::Bookings => found.compare_bookings(&mut scan, folded.bookings).await?,
            Projection::Reports => found.compare_sales(&mut scan, folded.sales).await?,
        }
    }
    Ok(differences)
}

struct Found<'a> {
    projection: Projection,
    differences: &'a mut Vec<Difference>,
    /// What stands still in the rows and would not any more.
    aside: BTreeSet<Uuid>,
}

impl Found<'_> {
    fn note(&mut self, key: String, position: Position, what: impl Into<String>) {
        self.differences.push(Difference { projection: self.projection, key, position, what: what.into() });
    }

    /// What stands still in the rows and would not any more.
    async fn compare_set_aside(&mut self, scan: &mut Scan, folded: &Folded) -> Result<Vec<Uuid>, ReadError> {
        let stored: BTreeSet<Uuid> = scan.set_aside().await?.into_iter().map(|aside| aside.subject).collect();
        let here = self.projection;
        let expected = folded.stuck.iter().filter(|((projection, _), _)| *projection == here);
        let mut seen = BTreeSet::new();
        for ((_, subject), position) in expected {
            seen.insert(*subject);
            if !stored.contains(subject) {
                self.note(subject.to_string(), *position, "a domain event cannot be read, and is not set aside");
            }
        }
        let mended: Vec<Uuid> = stored.difference(&seen).copied().collect();
        for subject in &mended {
            self.note(
                subject.to_string(),
                0,
                "it stands still by a domain event that can be read now: rebuild the projection",
            );
        }
        Ok(mended)
    }

    async fn compare_shows(
        &mut self,
        scan: &mut Scan,
        mut expected: BTreeMap<EventId, ShowRecord>,
    ) -> Result<(), ReadError> {
        let mut after = None;
        loop {
            let rows = scan.shows(after).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.record.id);
            for Scanned { record: row, columns_agree } in rows {
                if self.aside.contains(&row.id.0) {
                    continue;
                }
                let key = format!("Event/{}", row.id);
                match expected.remove(&row.id) {
                    None => self.note(key, 0, "the log knows no such show"),
                    Some(wanted) if wanted == row && columns_agree => {}
                    Some(wanted) if wanted == row => {
                        self.note(key, wanted.position.max(wanted.sales_position), COLUMNS_DIFFER);
                    }
                    Some(wanted) => {
                        let what = describe_show(&wanted, &row);
                        self.note(key, wanted.position.max(wanted.sales_position), what);
                    }
                }
            }
        }
        for (id, wanted) in expected {
            self.note(format!("Event/{id}"), wanted.position.max(wanted.sales_position), "its row is missing");
        }
        Ok(())
    }

    async fn compare_seats(
        &mut self,
        scan: &mut Scan,
        mut expected: BTreeMap<(EventId, u32), (SeatRecord, Position)>,
    ) -> Result<(), ReadError> {
        let key_of = |seat: &SeatRecord| format!("Event/{}/seat/{}", seat.event_id, seat.seat_id);
        let checkpoint = scan.checkpoint().await?;
        let mut after = None;
        loop {
            let rows = scan.seats(after).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.event_id, last.index));
            for row in rows {
                if self.aside.contains(&row.event_id.0) {
                    continue;
                }
                match expected.remove(&(row.event_id, row.index)) {
                    None => {
                        self.note(key_of(&row), checkpoint, format!("it is {:?}, the log says it is free", row.status))
                    }
                    Some((wanted, _)) if wanted == row => {}
                    Some((wanted, position)) => {
                        let what = format!("it is {:?}, the log says {:?}", row.status, wanted.status);
                        self.note(key_of(&wanted), position, what);
                    }
                }
            }
        }
        for (wanted, position) in expected.values() {
            self.note(key_of(wanted), *position, format!("it is free, the log says {:?}", wanted.status));
        }
        Ok(())
    }

    async fn compare_bookings(
        &mut self,
        scan: &mut Scan,
        mut expected: BTreeMap<BookingId, BookingView>,
    ) -> Result<(), ReadError> {
        let mut after = None;
        loop {
            let rows = scan.bookings(after).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.record.id);
            for Scanned { record, columns_agree } in rows {
                let id = record.id;
                self.compare_kept(id, expected.remove(&id), Some(&record), columns_agree, |wanted, row| {
                    let (is, ought) = (row.purchase.status, wanted.purchase.status);
                    (is != ought).then(|| format!("it is {is:?}, the log says {ought:?}"))
                });
            }
        }
        self.are_missing(expected);
        Ok(())
    }

    async fn compare_sales(
        &mut self,
        scan: &mut Scan,
        mut expected: BTreeMap<BookingId, SaleRecord>,
    ) -> Result<(), ReadError> {
        let mut after = None;
        loop {
            let rows = scan.sales(after).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for ScannedSale { id, record, columns_agree } in rows {
                self.compare_kept(id, expected.remove(&id), record.as_ref(), columns_agree, |wanted, row| {
                    let amounts = |sale: &Sale| (sale.status, sale.received_minor, sale.refunded_minor);
                    let (is, ought) = (amounts(&row.sale), amounts(&wanted.sale));
                    (is != ought).then(|| format!("it comes to {is:?}, the log says {ought:?}"))
                });
            }
        }
        self.are_missing(expected);
        Ok(())
    }

    /// Notes in what one record differs from the fold; `differs` says it in words where it can.
    fn compare_kept<K: Kept>(
        &mut self,
        id: BookingId,
        wanted: Option<K>,
        row: Option<&K>,
        columns_agree: bool,
        differs: impl FnOnce(&K, &K) -> Option<String>,
    ) {
        if self.aside.contains(&id.0) {
            return;
        }
        let Some(wanted) = wanted else { return self.note(key_of(id), 0, "the log knows no such booking") };
        let what = match row {
            None => "its first row is missing".to_owned(),
            Some(row) if *row == wanted && columns_agree => return,
            Some(row) if *row == wanted => COLUMNS_DIFFER.to_owned(),
            Some(row) => differs(&wanted, row)
                .unwrap_or_else(|| format!("its row differs from the fold; it contains position {}", row.position())),
        };
        self.note(key_of(id), wanted.position(), what);
    }

    fn are_missing<K: Kept>(&mut self, expected: BTreeMap<BookingId, K>) {
        for (id, wanted) in expected {
            self.note(key_of(id), wanted.position(), "its row is missing");
        }
    }
}

/// The key of a booking's row.
fn key_of(id: BookingId) -> String {
    format!("Booking/{id}")
}

/// In what a show differs from the fold.
#[must_use]
pub fn describe_show(wanted: &ShowRecord, row: &ShowRecord) -> String {
    if wanted.show != row.show {
        return "the show differs from the fold".to_owned();
    }
    if wanted.sales != row.sales {
        return format!("what is taken is {:?}, the log says {:?}", row.sales, wanted.sales);
    }
    format!(
        "it is said to contain positions {} and {}, the log says {} and {}",
        row.position, row.sales_position, wanted.position, wanted.sales_position
    )
}
