//! The projection `bookings`. The table and its queries are in `tickiz_read_models::bookings`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use tickiz_domain::{
    booking::{Booking, BookingDomainEvent},
    ids::BookingId,
    stored::DecodeError,
    stream::StreamType,
};
use tickiz_event_log::record::{Position, Recorded};
use tickiz_read_models::{BookingView, Projection, SetAside, WriteTx};
use uuid::Uuid;

use crate::{
    events::ApplyError,
    project::{Poison, ProjectError, Projector, note},
};

/// The most bookings that are kept between batches, one or two kilobytes each: those of the last minutes, which are the ones that
/// still change.
const MAX_CACHED_BOOKINGS: usize = 4_000;

/// Builds the projection `bookings`.
#[derive(Default)]
pub struct BookingsProjector {
    bookings: HashMap<BookingId, BookingView>,
    /// The bookings that stand still; `None`: not loaded yet.
    stuck: Option<HashSet<Uuid>>,
}

/// Folds one domain event into a booking. On an error nothing has changed.
///
/// # Errors
/// [`ApplyError::NoBooking`] where it does not begin with `BookingPlaced`.
pub fn apply(
    id: BookingId,
    view: &mut Option<BookingView>,
    event: BookingDomainEvent,
    position: Position,
) -> Result<(), ApplyError> {
    let mut booking = Booking(view.take().map(|view| view.purchase));
    booking.fold(event);
    *view = booking.0.map(|purchase| BookingView { id, purchase, position });
    if view.is_some() { Ok(()) } else { Err(ApplyError::NoBooking) }
}

/// A booking's domain event, decoded.
pub(crate) type Step<'a> = (&'a Arc<Recorded>, BookingId, Result<BookingDomainEvent, DecodeError>);

pub(crate) fn step_of(recorded: &Arc<Recorded>) -> Option<Step<'_>> {
    let of_booking = recorded.stream.stream_type == StreamType::Booking;
    of_booking.then(|| (recorded, BookingId(recorded.stream.id), recorded.decode()))
}

impl BookingsProjector {
    async fn load(&mut self, tx: &mut WriteTx, steps: &[Step<'_>]) -> Result<(), ProjectError> {
        if self.stuck.is_none() {
            self.stuck = Some(tx.load_set_aside().await?.into_iter().map(|aside| aside.subject).collect());
        }
        if self.bookings.len() > MAX_CACHED_BOOKINGS {
            self.bookings.clear();
        }
        let mut begun = HashSet::new();
        let mut wanted = BTreeSet::new();
        for (_, id, event) in steps {
            if matches!(event, Ok(BookingDomainEvent::BookingPlaced(_))) {
                begun.insert(*id);
            } else if !begun.contains(id) && !self.bookings.contains_key(id) {
                wanted.insert(*id);
            }
        }
        if !wanted.is_empty() {
            let wanted: Vec<BookingId> = wanted.into_iter().collect();
            self.bookings.extend(tx.load_bookings(&wanted).await?.into_iter().map(|view| (view.id, view)));
        }
        Ok(())
    }

    fn step(
        &mut self,
        id: BookingId,
        event: Result<BookingDomainEvent, DecodeError>,
        position: Position,
    ) -> Result<(), Poison> {
        let event = event?;
        let mut view = self.bookings.remove(&id);
        let applied = apply(id, &mut view, event, position);
        self.bookings.extend(view.map(|view| (id, view)));
        Ok(applied?)
    }
}

#[async_trait]
impl Projector for BookingsProjector {
    fn projection(&self) -> Projection {
        Projection::Bookings
    }

    async fn apply(&mut self, tx: &mut WriteTx, batch: &[Arc<Recorded>]) -> Result<(), ProjectError> {
        let steps: Vec<Step<'_>> = batch.iter().filter_map(step_of).collect();
        if steps.is_empty() {
            return Ok(());
        }
        self.load(tx, &steps).await?;
        let mut touched = BTreeSet::new();
        let mut aside: Vec<SetAside> = Vec::new();
        for (recorded, id, event) in steps {
            if self.stuck.as_ref().is_some_and(|stuck| stuck.contains(&id.0)) {
                continue;
            }
            match self.step(id, event, recorded.position) {
                Ok(()) => {
                    touched.insert(id);
                }
                Err(poison) => {
                    aside.push(note(Projection::Bookings, id.0, recorded, &poison));
                    self.stuck.get_or_insert_default().insert(id.0);
                }
            }
        }
        tx.write_bookings(touched.iter().map(|id| &self.bookings[id])).await?;
        tx.write_set_aside(aside.iter()).await?;
        Ok(())
    }

    fn forget(&mut self) {
        self.bookings.clear();
        self.stuck = None;
    }
}
