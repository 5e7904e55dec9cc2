//! What goes to those who watch a show's seats.

use std::sync::{Arc, OnceLock};

use tickiz_domain::{
    ids::{EventId, SeatId},
    seating_plan::SeatingPlan,
};
use tickiz_read_models::{SeatStatus, TypeAvailability};

/// What changed between two versions of a show's seats, or all of it. One and the same `Arc` goes to every reader, so that it can
/// be encoded once for those who asked the same.
#[derive(Clone, Debug)]
pub struct SeatFrame {
    /// The show.
    pub event_id: EventId,
    /// The changes lead from this version; of no meaning in a snapshot.
    pub from_version: i64,
    /// To this one.
    pub version: i64,
    /// Content hash of the plan; empty for a show without one.
    pub plan_hash: String,
    /// Whether it holds everything, and what the reader knew is void.
    pub snapshot: bool,
    /// Only in a snapshot: one character per seat in plan order, F H B X; empty for a show without a plan.
    pub statuses: Option<String>,
    /// What is left of the types of which that changed; of all of them in a snapshot.
    pub availability: Vec<TypeAvailability>,
    plan: Option<Arc<SeatingPlan>>,
    changes: OnceLock<Vec<(SeatId, SeatStatus)>>,
}

impl SeatFrame {
    /// Everything at one version.
    pub(super) fn snapshot(
        event_id: EventId,
        version: i64,
        plan_hash: String,
        statuses: String,
        availability: Vec<TypeAvailability>,
        plan: Option<Arc<SeatingPlan>>,
    ) -> Self {
        let statuses = Some(statuses);
        let (from_version, changes) = (version, OnceLock::new());
        Self { event_id, from_version, version, plan_hash, snapshot: true, statuses, availability, plan, changes }
    }

    /// What changed between two versions.
    pub(super) fn changes_from(
        event_id: EventId,
        from_version: i64,
        version: i64,
        plan_hash: String,
        availability: Vec<TypeAvailability>,
        changes: Vec<(SeatId, SeatStatus)>,
    ) -> Self {
        let (statuses, plan, changes) = (None, None, OnceLock::from(changes));
        Self { event_id, from_version, version, plan_hash, snapshot: false, statuses, availability, plan, changes }
    }

    /// The same changes for one who has a version between the two.
    #[must_use]
    pub fn from(&self, from_version: i64) -> Self {
        Self { from_version, ..self.clone() }
    }

    /// The seats that changed, each with its status at [`SeatFrame::version`]; in a snapshot every seat that is not free. In plan
    /// order. A snapshot's are put together when first asked for: who reads a big house takes its `statuses`.
    #[must_use]
    pub fn changes(&self) -> &[(SeatId, SeatStatus)] {
        self.changes.get_or_init(|| {
            let (Some(plan), Some(statuses)) = (&self.plan, &self.statuses) else { return Vec::new() };
            let seats = plan.seat_ids().iter().zip(statuses.bytes());
            let taken = seats.filter_map(|(id, byte)| Some((id, SeatStatus::from_byte(byte)?)));
            taken
                .filter(|(_, status)| *status != SeatStatus::Free)
                .map(|(id, status)| (SeatId(id.clone()), status))
                .collect()
        })
    }
}
