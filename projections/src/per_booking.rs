//! What projections have in common that keep one record for each booking: load what a batch touches, fold, write.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use tickiz_domain::{booking::BookingDomainEvent, ids::BookingId, stored::DecodeError, stream::StreamType};
use tickiz_event_log::record::Recorded;
use tickiz_read_models::{Projection, ReadError, SetAside, WriteTx};
use uuid::Uuid;

use crate::{
    events::ApplyError,
    project::{Poison, ProjectError, Projector, note},
};

/// The most bookings that are kept between batches, one or two kilobytes each: those of the last minutes, which are the ones that
/// still change.
const MAX_CACHED_BOOKINGS: usize = 4_000;

/// What a projection keeps of a booking.
pub trait Kept: Clone + PartialEq + Send + Sync + 'static {
    /// Which projection.
    const PROJECTION: Projection;

    /// Whose it is.
    fn id(&self) -> BookingId;

    /// The position of the last domain event that is in it.
    fn position(&self) -> tickiz_read_models::Position;

    /// Folds one domain event into it. On an error nothing is left of it.
    ///
    /// # Errors
    /// [`ApplyError::NoBooking`] where it does not begin with `BookingPlaced`.
    fn apply(kept: &mut Option<Self>, event: BookingDomainEvent, recorded: &Recorded) -> Result<(), ApplyError>;

    /// Loads those; the ones that are not there are left out.
    fn load(tx: &mut WriteTx, ids: &[BookingId]) -> impl Future<Output = Result<Vec<Self>, ReadError>> + Send;

    /// Writes those.
    fn write(tx: &mut WriteTx, kept: &[&Self]) -> impl Future<Output = Result<(), ReadError>> + Send;
}

/// A booking's domain event, decoded.
pub(crate) type Step<'a> = (&'a Arc<Recorded>, BookingId, Result<BookingDomainEvent, DecodeError>);

pub(crate) fn step_of(recorded: &Arc<Recorded>) -> Option<Step<'_>> {
    let of_booking = recorded.stream.stream_type == StreamType::Booking;
    of_booking.then(|| (recorded, BookingId(recorded.stream.id), recorded.decode()))
}

/// Builds a projection of one record for each booking.
pub struct PerBooking<K> {
    bookings: HashMap<BookingId, K>,
    /// The bookings that stand still; `None`: not loaded yet.
    stuck: Option<HashSet<Uuid>>,
}

impl<K> Default for PerBooking<K> {
    fn default() -> Self {
        Self { bookings: HashMap::new(), stuck: None }
    }
}

impl<K: Kept> PerBooking<K> {
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
            self.bookings.extend(K::load(tx, &wanted).await?.into_iter().map(|kept| (kept.id(), kept)));
        }
        Ok(())
    }

    fn step(
        &mut self,
        id: BookingId,
        event: Result<BookingDomainEvent, DecodeError>,
        recorded: &Recorded,
    ) -> Result<(), Poison> {
        let event = event?;
        let mut kept = self.bookings.remove(&id);
        let applied = K::apply(&mut kept, event, recorded);
        self.bookings.extend(kept.map(|kept| (id, kept)));
        Ok(applied?)
    }
}

#[async_trait]
impl<K: Kept> Projector for PerBooking<K> {
    fn projection(&self) -> Projection {
        K::PROJECTION
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
            match self.step(id, event, recorded) {
                Ok(()) => {
                    touched.insert(id);
                }
                Err(poison) => {
                    aside.push(note(K::PROJECTION, id.0, recorded, &poison));
                    self.stuck.get_or_insert_default().insert(id.0);
                }
            }
        }
        let touched: Vec<&K> = touched.iter().map(|id| &self.bookings[id]).collect();
        K::write(tx, &touched).await?;
        tx.write_set_aside(aside.iter()).await?;
        Ok(())
    }

    fn forget(&mut self) {
        self.bookings.clear();
        self.stuck = None;
    }
}
