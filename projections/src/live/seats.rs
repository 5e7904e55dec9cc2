//! The seats of a show, watched.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tickiz_domain::{
    event::EventStatus,
    ids::{EventId, SeatId, TicketTypeId},
    seating_plan::SeatingPlan,
};
use tickiz_read_models::{
    Position, Projection, ReadError, ReadStore, SeatStatus, TypeAvailability, events::tables::ShowRecord,
};

use super::{room::Watched, seat_frame::SeatFrame};
use crate::events::{Change, apply};

/// At most one frame of a show in this time: fast enough that nobody sees the delay, and a rush of bookings is few frames.
pub const FRAME: Duration = Duration::from_millis(50);

/// A show's seats in a room.
pub(super) struct WatchedSeats {
    record: Option<ShowRecord>,
    plan: Option<Arc<SeatingPlan>>,
    statuses: Vec<u8>,
    position: Position,
    /// What is left, as it is now.
    availability: Vec<TypeAvailability>,
    /// The last frame led to this version.
    sent_version: i64,
    /// Seats and types that changed since the last frame, also those that changed back: who got his snapshot in between has seen
    /// them as they were then.
    touched: BTreeSet<u32>,
    touched_types: BTreeSet<TicketTypeId>,
    /// The snapshot of the present version, for all who come before the next change.
    snapshot: Option<Arc<SeatFrame>>,
    /// A domain event came that cannot be applied: the projection stands still for this show, and so does this.
    stuck: bool,
}

impl WatchedSeats {
    fn version(&self) -> i64 {
        self.record.as_ref().map_or(0, |record| record.sales.seat_version)
    }

    fn id(&self) -> EventId {
        self.record.as_ref().map(|record| record.id).expect("a room is made of a show, and none ends one")
    }

    fn plan_hash(&self) -> String {
        let plan = self.record.as_ref().and_then(|record| record.show.plan.as_ref());
        plan.map_or_else(String::new, |plan| plan.hash.clone())
    }
}

impl Watched for WatchedSeats {
    type Id = EventId;
    /// `None`: a domain event of the show that cannot be read.
    type Change = Option<Change>;
    type Frame = SeatFrame;
    const PROJECTION: Projection = Projection::Events;
    /// Three seconds of frames. Who is further behind is better served by one snapshot.
    const QUEUE: usize = 64;
    const PACE: Duration = FRAME;

    async fn load(store: &ReadStore, id: EventId) -> Result<Option<Self>, ReadError> {
        let Some((position, record, statuses)) = store.event_with_seats(id).await? else { return Ok(None) };
        if record.show.status == EventStatus::Draft {
            return Ok(None);
        }
        let plan = match &record.show.plan {
            Some(summary) => store.plan(&summary.hash).await?,
            None => None,
        };
        Ok(Some(Self {
            plan,
            statuses: statuses.as_bytes().to_vec(),
            position,
            sent_version: record.sales.seat_version,
            availability: record.sales.availability(&record.show),
            record: Some(record),
            touched: BTreeSet::new(),
            touched_types: BTreeSet::new(),
            snapshot: None,
            stuck: store.is_set_aside(Projection::Events, id.0).await?,
        }))
    }

    fn position(&self) -> Position {
        self.position
    }

    fn apply(&mut self, position: Position, change: Option<Change>) {
        self.position = position;
        let id = self.id();
        let applied =
            change.filter(|_| !self.stuck).map(|c| apply(id, &mut self.record, c, position, self.plan.as_deref()));
        let Some(Ok(effect)) = applied else {
            // The projector says so once, with the reason.
            self.stuck = true;
            return;
        };
        for (index, status) in effect.seats {
            if let Some(byte) = self.statuses.get_mut(index as usize) {
                *byte = status.as_byte();
                self.touched.insert(index);
            }
        }
        let left = self.record.as_ref().map_or_else(Vec::new, |record| record.sales.availability(&record.show));
        let changed = left.iter().filter(|left| !self.availability.contains(left));
        self.touched_types.extend(changed.map(|left| left.ticket_type_id));
        self.availability = left;
        self.snapshot = None;
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn snapshot(&mut self) -> Arc<SeatFrame> {
        if let Some(snapshot) = &self.snapshot {
            return snapshot.clone();
        }
        let statuses = String::from_utf8(self.statuses.clone()).expect("the bytes of statuses are ASCII");
        let version = self.version();
        let frame = SeatFrame::snapshot(
            self.id(),
            version,
            self.plan_hash(),
            statuses,
            self.availability.clone(),
            self.plan.clone(),
        );
        self.snapshot.insert(Arc::new(frame)).clone()
    }

    fn take_frame(&mut self) -> Option<Arc<SeatFrame>> {
        let version = self.version();
        let (touched, types) = (std::mem::take(&mut self.touched), std::mem::take(&mut self.touched_types));
        if version == self.sent_version {
            return None;
        }
        let changed = self.availability.iter().filter(|left| types.contains(&left.ticket_type_id)).copied().collect();
        let seat = |index: u32| {
            let plan = self.plan.as_ref().expect("only a show with a plan has seats that change");
            let id = plan.seat(index as usize).id.to_owned();
            let status = SeatStatus::from_byte(self.statuses[index as usize]);
            (SeatId(id), status.expect("the bytes of statuses are statuses"))
        };
        let changes = touched.into_iter().map(seat).collect();
        let frame = SeatFrame::changes_from(self.id(), self.sent_version, version, self.plan_hash(), changed, changes);
        self.sent_version = version;
        Some(Arc::new(frame))
    }

    fn version(frame: &SeatFrame) -> i64 {
        frame.version
    }

    fn based_on(frame: Arc<SeatFrame>, version: i64) -> Arc<SeatFrame> {
        // Statuses are absolute, so it only has to say which version it follows.
        if frame.snapshot || frame.from_version == version { frame } else { Arc::new(frame.from(version)) }
    }
}
