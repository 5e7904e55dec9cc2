//! What a gate is told, and what is told of gates.

use async_graphql::{ID, Object, SimpleObject};
use tickiz_contract::{
    Caller, Refusal,
    answer::{self, CheckInAnswer, SeenTicket},
};
use tickiz_domain::{
    booking::{Purchase, Scan, ScanConflict},
    ids::{BookingId, EventId},
};

use super::{
    enums::CheckInOutcome,
    scalars::{DateTime, Position, int},
};
use crate::{
    access::{Action, allow, stands_at},
    app::{Answered, App},
    limits::MAX_GATE_CONFLICTS,
};

/// Bookings that are read at a time.
const PAGE: u32 = 1_000;

/// What became of a scan. A refusal is an answer here, and no error.
pub struct CheckIn(pub CheckInAnswer);

#[Object]
impl CheckIn {
    /// The scan, by the gate's own id of it.
    async fn scan_id(&self) -> ID {
        ID(self.0.scan_id.clone())
    }

    /// What it comes to.
    async fn outcome(&self) -> CheckInOutcome {
        self.0.outcome.into()
    }

    /// The ticket, where it is one of ours. Whose it is is not said.
    async fn ticket(&self) -> Option<CheckedTicket> {
        self.0.ticket.clone().map(CheckedTicket)
    }

    /// When and where somebody was let in with it: by this scan, or by another before.
    async fn admission(&self) -> Option<Admission> {
        self.0.admission.clone().map(Admission)
    }
}

/// A ticket at a gate.
pub struct CheckedTicket(SeenTicket);

#[Object]
impl CheckedTicket {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.ticket_id.to_string().into()
    }

    /// The type's name.
    async fn ticket_type(&self) -> &str {
        &self.0.ticket_type
    }

    /// Section, row and number as a person reads them.
    async fn seat_label(&self) -> Option<&str> {
        self.0.seat_label.as_deref()
    }
}

/// When and where somebody was let in.
pub struct Admission(answer::Admission);

#[Object]
impl Admission {
    /// When, by the gate's clock.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// The gate.
    async fn gate(&self) -> &str {
        &self.0.gate
    }
}

/// How it went at the gates of a show.
#[derive(SimpleObject)]
pub struct GateReport {
    /// Tickets with which somebody was let in.
    admitted: i32,
    /// How often somebody was let in who should not have been, by gates without a network.
    conflict_count: i32,
    /// The first of these, by booking, at most 1,000.
    conflicts: Vec<GateConflict>,
    /// Up to here the report is complete.
    position: Position,
}

/// Somebody was let in with a ticket that should not have let him in.
#[derive(SimpleObject)]
pub struct GateConflict {
    /// The scan, by the gate's own id of it.
    scan_id: ID,
    /// The booking, which says whose ticket it is.
    booking_id: ID,
    /// The ticket.
    ticket_id: ID,
    /// ALREADY_USED, REVOKED or SUPERSEDED.
    outcome: CheckInOutcome,
    /// When and where.
    admission: Admission,
    /// When and where somebody was let in with it rightly.
    first: Option<Admission>,
}

fn admission_of(scan: &Scan) -> Admission {
    Admission(answer::Admission { at: scan.scanned_at, gate: scan.gate.clone() })
}

impl GateConflict {
    fn of(booking: BookingId, purchase: &Purchase, scan: &Scan) -> Option<Self> {
        let outcome = match scan.conflict? {
            ScanConflict::AlreadyUsed => CheckInOutcome::AlreadyUsed,
            ScanConflict::Revoked => CheckInOutcome::Revoked,
            ScanConflict::Superseded => CheckInOutcome::Superseded,
        };
        Some(Self {
            scan_id: scan.id.to_string().into(),
            booking_id: booking.to_string().into(),
            ticket_id: scan.ticket_id.to_string().into(),
            outcome,
            admission: admission_of(scan),
            first: purchase.admission(scan.ticket_id).map(admission_of),
        })
    }
}

/// How it went at the gates of a show, for its organiser and his gates.
///
/// # Errors
/// `UNAUTHENTICATED`, `FORBIDDEN`, `NOT_FOUND`.
pub async fn gate_report(app: &App, caller: &Caller, id: &str) -> Answered<GateReport> {
    allow(caller, Action::Admit)?;
    // Read before anything else is: what is before it surely is in the report.
    let position = app.reads.checkpoint().await?;
    let missing = || Refusal::not_found("event");
    let event: EventId = id.parse().map_err(|_| missing())?;
    let show = app.reads.event(event).await?.filter(|view| stands_at(caller, view.show.organizer_id));
    if show.is_none() {
        return Err(missing().into());
    }
    let mut report = GateReport { admitted: 0, conflict_count: 0, conflicts: Vec::new(), position: position.into() };
    let (mut admitted, mut conflicts) = (0_i64, 0_i64);
    let mut after = None;
    loop {
        let page = app.reads.scanned_of_event(event, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for view in &page {
            for scan in &view.purchase.scans {
                let Some(conflict) = GateConflict::of(view.id, &view.purchase, scan) else {
                    admitted += 1;
                    continue;
                };
                conflicts += 1;
                if report.conflicts.len() < MAX_GATE_CONFLICTS {
                    report.conflicts.push(conflict);
                }
            }
        }
    }
    (report.admitted, report.conflict_count) = (int(admitted), int(conflicts));
    Ok(report)
}
