//! `checkIn` and `mergeScans`: tickets at the gate.
//!
//! A code says by itself whether it is ours, for this show, and within its time. Whether somebody may still come in with it its booking
//! decides, which is found by the ticket's number: a claim of the append that confirmed it. So two gates that read one code in the
//! same moment meet at one sequence of one stream, and one of them lets somebody in. A scan has an id of the gate's own; the same
//! one again is the same answer.
//!
//! A gate without a network has decided already. Its scans are recorded as they come, and what speaks against one is recorded with it:
//! it cannot be prevented any more, only told.

use parking_lot::Mutex;
use tickiz_contract::{
    Answer, CallContext, Refusal, Refusals,
    answer::{Admission, CheckInAnswer, CheckInOutcome, SeenTicket},
    request,
};
use tickiz_domain::{
    booking::{AdmitTicket, Booking, BookingCommand, BookingError, Purchase, ScanConflict, TicketNumber},
    claim::Resource,
    event::{EventStatus, Show},
    ids::{BookingId, EventId},
};
use tickiz_event_log::{Loaded, LostClaim};
use tickiz_tickets::{CodeError, Gate, TicketPayload, gate};

use super::{ReceiptResult, ticket_issue::valid_until};
use crate::{
    access,
    executor::{Ask, Carried, Decision, Origin, Reading},
    refusals::{self, internal},
    service::CommandService,
    system::{SystemCommands, show_read},
    validation::gate::{Scan, check_merge, check_scan},
};

/// Carries a `checkIn` out.
pub(crate) async fn check_in(
    service: &CommandService,
    context: &CallContext,
    request: &request::CheckIn,
) -> Result<Answer, Refusals> {
    let (event_id, scan) = check_scan(request, service.system().now())?;
    let door = Door::open(service, context, event_id, false).await?;
    Ok(Answer::CheckIns(vec![door.scan(scan).await?]))
}

/// Carries a `mergeScans` out: one scan after the other, so that what was first stays first.
pub(crate) async fn merge_scans(
    service: &CommandService,
    context: &CallContext,
    request: &request::MergeScans,
) -> Result<Answer, Refusals> {
    let (event_id, scans) = check_merge(request, service.system().now())?;
    let door = Door::open(service, context, event_id, true).await?;
    let mut answers = Vec::with_capacity(scans.len());
    for scan in scans {
        answers.push(door.scan(scan).await?);
    }
    Ok(Answer::CheckIns(answers))
}

/// The gate of one show, for one request.
struct Door<'a> {
    service: &'a CommandService,
    show: Show,
    origin: Origin,
    offline: bool,
}

fn answer(scan: &Scan, outcome: CheckInOutcome) -> CheckInAnswer {
    CheckInAnswer { scan_id: scan.id.to_string(), outcome, ticket: None, admission: None }
}

/// What a code that is refused by itself comes to.
const fn refused(refusal: gate::Refusal) -> CheckInOutcome {
    match refusal {
        gate::Refusal::Code(CodeError::UnknownKey(_) | CodeError::Signature) => CheckInOutcome::Forged,
        gate::Refusal::Code(_) => CheckInOutcome::NotATicket,
        gate::Refusal::OtherEvent | gate::Refusal::OtherCategory => CheckInOutcome::WrongEvent,
        gate::Refusal::TooEarly => CheckInOutcome::TooEarly,
        gate::Refusal::Expired => CheckInOutcome::Expired,
        gate::Refusal::Revoked => CheckInOutcome::Revoked,
        gate::Refusal::Superseded => CheckInOutcome::Superseded,
        gate::Refusal::SuffixMissing
        | gate::Refusal::SuffixUnexpected
        | gate::Refusal::SuffixStale
        | gate::Refusal::SuffixWrong => CheckInOutcome::Forged,
    }
}

impl<'a> Door<'a> {
    async fn open(
        service: &'a CommandService,
        context: &CallContext,
        event_id: EventId,
        offline: bool,
    ) -> Result<Self, Refusals> {
        let organizer = access::door(context)?;
        let event = service.system().event(event_id, Reading::Fresh).await?;
        let show = access::own_show(organizer, event.aggregate.0.as_ref())?.clone();
        Ok(Self { service, show, origin: Origin::of(context), offline })
    }

    /// What the code says by itself. Its time is the show's as it was when the ticket was issued; where the show was moved since, its
    /// present end counts. A gate without a network has let somebody in, whatever its clock said.
    fn read(&self, scan: &Scan) -> Result<TicketPayload, gate::Refusal> {
        let checked = self.check(scan);
        let is_in_time = match checked {
            Err(gate::Refusal::TooEarly) => self.offline,
            Err(gate::Refusal::Expired) => self.offline || scan.at <= valid_until(&self.show),
            _ => false,
        };
        if !is_in_time {
            return checked;
        }
        // Signature and show were looked at before the time.
        Ok(self.service.ticket_verifier().verify(&scan.code)?.payload)
    }

    fn check(&self, scan: &Scan) -> Result<TicketPayload, gate::Refusal> {
        let gate = Gate {
            verifier: self.service.ticket_verifier(),
            event: self.show.event_number,
            categories: None,
            min_rev: &Default::default(),
            revoked: &Default::default(),
            event_rotation_key: None,
            rotation_tolerance_seconds: gate::ROTATION_TOLERANCE_SECONDS,
        };
        gate.check(&scan.code, u64::try_from(scan.at.timestamp()).unwrap_or(0))
    }

    async fn scan(&self, scan: Scan) -> Result<CheckInAnswer, Refusals> {
        let payload = match self.read(&scan) {
            Ok(payload) => payload,
            Err(refusal) => return Ok(answer(&scan, refused(refusal))),
        };
        let system = self.service.system();
        if self.show.status == EventStatus::Cancelled && !self.offline {
            return Ok(answer(&scan, CheckInOutcome::Revoked));
        }
        let Some(booking_id) = holder(system, &payload).await? else {
            return Ok(answer(&scan, CheckInOutcome::Forged));
        };
        let _permit = self.service.admit().await?;
        let command = AdmitTicket {
            number: TicketNumber(payload.ticket),
            revision: payload.rev,
            scan_id: scan.id,
            gate: scan.gate.clone(),
            scanned_at: scan.at,
            offline: self.offline,
        };
        let mut decision = Admit { system, booking_id, command, said: Mutex::new(None) };
        let carried = system.executor().run(booking_id.0, &self.origin, None, &mut decision).await;
        let said = decision.said.into_inner();
        let (loaded, outcome) = match (carried, said) {
            (Ok(Carried::Done(loaded)), _) => {
                let recorded = loaded.aggregate.0.as_ref().and_then(|purchase| outcome_of(purchase, &scan));
                (loaded, recorded.unwrap_or(CheckInOutcome::Forged))
            }
            (Ok(Carried::Repeated(_)), _) => {
                return Err(internal(&"a scan without a key was answered by a receipt").into());
            }
            (Err(_), Some(outcome)) => (system.booking(booking_id, Reading::Fresh).await?, outcome),
            (Err(refusals), None) => return Err(refusals),
        };
        Ok(self.told(&scan, outcome, booking_id, &loaded, payload.ticket))
    }

    fn told(
        &self,
        scan: &Scan,
        outcome: CheckInOutcome,
        booking_id: BookingId,
        loaded: &Loaded<Booking>,
        number: u64,
    ) -> CheckInAnswer {
        let mut answer = answer(scan, outcome);
        let Some(purchase) = &loaded.aggregate.0 else { return answer };
        let Some(ticket) = purchase.tickets.iter().find(|ticket| ticket.number.0 == number) else { return answer };
        let line = purchase.lines.iter().find(|line| line.ticket_id == ticket.ticket_id);
        let ticket_type = self.show.ticket_type(ticket.ticket_type_id).map(|of| of.name.clone()).unwrap_or_default();
        answer.ticket = Some(SeenTicket {
            booking_id,
            ticket_id: ticket.ticket_id,
            ticket_type_id: ticket.ticket_type_id,
            ticket_type,
            seat_label: line.and_then(|line| line.seat_label.clone()),
            position: loaded.position,
        });
        answer.admission = purchase
            .admission(ticket.ticket_id)
            .map(|first| Admission { at: first.scanned_at, gate: first.gate.clone() });
        answer
    }
}

/// What a scan that is recorded came to.
fn outcome_of(purchase: &Purchase, scan: &Scan) -> Option<CheckInOutcome> {
    let recorded = purchase.scans.iter().find(|known| known.id == scan.id)?;
    Some(match recorded.conflict {
        None => CheckInOutcome::Admitted,
        Some(ScanConflict::AlreadyUsed) => CheckInOutcome::AlreadyUsed,
        Some(ScanConflict::Revoked) => CheckInOutcome::Revoked,
        Some(ScanConflict::Superseded) => CheckInOutcome::Superseded,
    })
}

/// The booking whose ticket it is; none where no ticket of that number was ever issued, however well it is signed.
async fn holder(system: &SystemCommands, payload: &TicketPayload) -> Result<Option<BookingId>, Refusal> {
    let resource = Resource::Ticket(payload.event, payload.ticket);
    let claim = system.log().claim(&resource).await.map_err(|error| internal(&error))?;
    let holder = claim.and_then(|claim| claim.holder);
    Ok(holder.and_then(|holder| holder.strip_prefix("booking/")?.parse().ok().map(BookingId)))
}

/// The decision of a scan. What the booking says against it is kept, since it is an answer and no refusal.
struct Admit<'a> {
    system: &'a SystemCommands,
    booking_id: BookingId,
    command: AdmitTicket,
    said: Mutex<Option<CheckInOutcome>>,
}

impl Decision<Booking> for Admit<'_> {
    async fn decide(&mut self, target: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(refusals::booking(&BookingError::NotFound).into()) };
        let event = self.system.event(purchase.event_id, reading).await?;
        let is_cancelled = event.aggregate.0.as_ref().is_none_or(|show| show.status == EventStatus::Cancelled);
        if is_cancelled && !self.command.offline {
            return Err(self.refused(&BookingError::TicketRevoked));
        }
        Ok(Ask {
            command: BookingCommand::Admit(Box::new(self.command.clone())),
            // Nobody comes in on a show that is cancelled in this moment, or moved.
            reads: vec![show_read(purchase.event_id, &event)],
            organizer_id: Some(purchase.organizer_id),
            show_id: Some(purchase.event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        *self.said.lock() = match error {
            BookingError::AlreadyAdmitted { .. } => Some(CheckInOutcome::AlreadyUsed),
            BookingError::TicketRevoked => Some(CheckInOutcome::Revoked),
            BookingError::TicketSuperseded => Some(CheckInOutcome::Superseded),
            BookingError::UnknownTicket => Some(CheckInOutcome::Forged),
            // Somebody is in already; the other scans that were handed in with this one are not to be lost for it.
            BookingError::TooManyScans if self.command.offline => Some(CheckInOutcome::NotRecorded),
            BookingError::ScanReused if self.command.offline => Some(CheckInOutcome::ScanIdReused),
            _ => None,
        };
        refusals::booking(error).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("a scan claims nothing and lost {lost:?}")).into())
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.booking_id).to_json()
    }
}
