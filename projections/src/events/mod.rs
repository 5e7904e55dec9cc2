//! The projection `events`: shows, what is left of them, and their seats.
//!
//! `apply` is the fold; here it meets the store. The tables and their queries are in `tickiz_read_models::events`.

mod apply;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use tickiz_domain::{
    booking::BookingDomainEvent,
    event::EventDomainEvent,
    ids::{EventId, SeatId},
    stored::DecodeError,
    stream::StreamType,
};
use tickiz_event_log::record::Recorded;
use tickiz_read_models::{
    Projection, SetAside, WriteTx,
    events::tables::{SeatRecord, ShowRecord},
};
use uuid::Uuid;

pub use apply::{ApplyError, Change, Effect, PlacesChange, apply};

use crate::{
    mirror::ShowChange,
    plans::PlanSource,
    project::{Poison, ProjectError, Projector, Stop, note},
};

/// The most shows that are kept between batches, some kilobytes each. A batch that touches more keeps them until its end.
const MAX_CACHED_SHOWS: usize = 2_000;

/// Builds the projection `events`.
pub struct EventsProjector {
    plans: Arc<PlanSource>,
    shows: HashMap<EventId, ShowRecord>,
    /// The shows that stand still; `None`: not loaded yet.
    stuck: Option<HashSet<Uuid>>,
    /// What the last batch has changed, where somebody wants to know.
    changes: Option<Vec<ShowChange>>,
}

/// What a domain event means for a show; nothing where it concerns none.
pub(crate) struct Step<'a> {
    pub recorded: &'a Arc<Recorded>,
    /// The show; of a domain event that cannot be read, as far as the log says it.
    pub show: Option<EventId>,
    pub change: Result<Change, DecodeError>,
}

impl<'a> Step<'a> {
    /// What stands still if this cannot be taken: the show, or the booking of which the show is not known.
    pub(crate) fn subject(&self) -> Uuid {
        self.show.map_or(self.recorded.stream.id, |show| show.0)
    }

    /// The booking that this step is of and that has stood still from before: what it did to its show, nobody knows, so the show
    /// stands still with it as soon as it is known.
    pub(crate) fn follows(&self, stuck: impl Fn(Uuid) -> bool) -> Option<Poison> {
        let booking = self.recorded.stream.id;
        (booking != self.subject() && stuck(booking)).then_some(Poison::Follows(booking))
    }

    pub(crate) fn of(recorded: &'a Arc<Recorded>) -> Option<Self> {
        let change = match recorded.stream.stream_type {
            StreamType::Event => {
                let change = recorded.decode::<EventDomainEvent>().map(|event| Change::Show(Box::new(event)));
                return Some(Self { recorded, show: Some(EventId(recorded.stream.id)), change });
            }
            StreamType::Booking if PlacesChange::concerns(&recorded.event_type) => {
                recorded.decode::<BookingDomainEvent>()
            }
            StreamType::Booking | StreamType::Person => return None,
        };
        match change {
            Ok(event) => {
                let places = PlacesChange::of(event)?;
                Some(Self { recorded, show: Some(places.event_id), change: Ok(Change::Places(places)) })
            }
            Err(error) => Some(Self { recorded, show: recorded.metadata.show_id, change: Err(error) }),
        }
    }
}

/// What a batch has changed, in the order in which rows are locked.
#[derive(Default)]
struct Touched {
    shows: BTreeSet<EventId>,
    sales: BTreeSet<EventId>,
    seats: BTreeMap<(EventId, u32), SeatRecord>,
    plans: BTreeMap<String, Arc<[u8]>>,
    aside: Vec<SetAside>,
}

impl EventsProjector {
    /// Builds with the plans of a log.
    #[must_use]
    pub fn new(plans: Arc<PlanSource>) -> Self {
        Self { plans, shows: HashMap::new(), stuck: None, changes: None }
    }

    /// Remembers what each batch has changed, for [`Projector::take_changes`].
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { changes: Some(Vec::new()), ..self }
    }

    async fn load(&mut self, tx: &mut WriteTx, steps: &[Step<'_>]) -> Result<(), ProjectError> {
        if self.stuck.is_none() {
            self.stuck = Some(tx.load_set_aside().await?.into_iter().map(|aside| aside.subject).collect());
        }
        if self.shows.len() > MAX_CACHED_SHOWS {
            self.shows.clear();
        }
        let wanted: BTreeSet<EventId> =
            steps.iter().filter_map(|step| step.show).filter(|id| !self.shows.contains_key(id)).collect();
        if !wanted.is_empty() {
            let wanted: Vec<EventId> = wanted.into_iter().collect();
            self.shows.extend(tx.load_shows(&wanted).await?.into_iter().map(|record| (record.id, record)));
        }
        Ok(())
    }

    async fn step(&mut self, id: EventId, step: Step<'_>, touched: &mut Touched) -> Result<(), Stop> {
        let change = step.change?;
        if let Change::Show(event) = &change
            && let EventDomainEvent::EventCreated(created) = &**event
            && let Some(plan) = &created.plan
        {
            // Whoever can see the show can fetch its plan.
            touched.plans.insert(plan.hash.clone(), self.plans.packed(&plan.hash).await?);
        }
        let mut record = self.shows.remove(&id);
        let plan = match record.as_ref().and_then(|record| record.show.plan.as_ref()).filter(|_| change.needs_plan()) {
            Some(summary) => match self.plans.plan(&summary.hash).await {
                Ok(plan) => Some(plan),
                Err(error) => {
                    self.shows.extend(record.map(|record| (id, record)));
                    return Err(error.into());
                }
            },
            None => None,
        };
        let effect = apply(id, &mut record, change, step.recorded.position, plan.as_deref());
        self.shows.extend(record.map(|record| (id, record)));
        let Effect { show, sales, seats } = effect?;
        touched.shows.extend(show.then_some(id));
        touched.sales.extend(sales.then_some(id));
        for (index, status) in seats {
            let plan = plan.as_ref().expect("seats are located by their plan");
            let seat_id = SeatId(plan.seat(index as usize).id.to_owned());
            touched.seats.insert((id, index), SeatRecord { event_id: id, index, seat_id, status });
        }
        Ok(())
    }

    fn changes_of(&self, touched: &Touched) -> Vec<ShowChange> {
        let change = |id: &EventId| {
            let seats = touched.seats.range((*id, 0)..=(*id, u32::MAX)).map(|((_, index), seat)| (*index, seat.status));
            ShowChange { record: self.shows[id].clone(), is_show: touched.shows.contains(id), seats: seats.collect() }
        };
        touched.shows.union(&touched.sales).map(change).collect()
    }

    async fn write(&self, tx: &mut WriteTx, touched: &Touched) -> Result<(), ProjectError> {
        let record = |id: &EventId| &self.shows[id];
        for (hash, packed) in &touched.plans {
            tx.write_plan(hash, packed).await?;
        }
        tx.write_shows(touched.shows.iter().map(record)).await?;
        tx.write_sales(touched.sales.iter().map(record)).await?;
        tx.write_seats(touched.seats.values()).await?;
        tx.write_set_aside(touched.aside.iter()).await?;
        Ok(())
    }
}

#[async_trait]
impl Projector for EventsProjector {
    fn projection(&self) -> Projection {
        Projection::Events
    }

    async fn apply(&mut self, tx: &mut WriteTx, batch: &[Arc<Recorded>]) -> Result<(), ProjectError> {
        let steps: Vec<Step<'_>> = batch.iter().filter_map(Step::of).collect();
        if steps.is_empty() {
            return Ok(());
        }
        self.load(tx, &steps).await?;
        let mut touched = Touched::default();
        for step in steps {
            let (recorded, subject) = (step.recorded, step.subject());
            let stuck = |subject| self.stuck.as_ref().is_some_and(|stuck| stuck.contains(&subject));
            if stuck(subject) {
                continue;
            }
            let taken = match step.follows(stuck) {
                Some(poison) => Err(Stop::Poison(poison)),
                None => self.step(EventId(subject), step, &mut touched).await,
            };
            match taken {
                Ok(()) => {}
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Poison(poison)) => {
                    touched.aside.push(note(Projection::Events, subject, recorded, &poison));
                    self.stuck.get_or_insert_default().insert(subject);
                }
            }
        }
        self.write(tx, &touched).await?;
        self.changes = self.changes.take().map(|_| self.changes_of(&touched));
        Ok(())
    }

    fn take_changes(&mut self) -> Vec<ShowChange> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.shows.clear();
        self.stuck = None;
        self.changes = self.changes.take().map(|_| Vec::new());
    }
}
