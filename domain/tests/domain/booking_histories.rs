//! Random histories of a Booking: whatever buyer, timer, gateway and organiser do in whatever order, these hold.

use std::collections::BTreeMap;

use chrono::Duration;
use proptest::{collection::vec, prelude::*, sample::select};
use tickiz_domain::{
    booking::{
        AdmitTicket, Booking, BookingCommand, BookingDomainEvent, BookingError, BookingPlaced, BookingStatus,
        CancelBooking, Canceller, IssuedTicket, MAX_REISSUES, PaymentMethod, PaymentStatus, PlaceBooking, Purchase,
        RecordSuccess, RefundPart, RefundStatus, RefundWhat, RefundedBy, ReissueTickets, ReissuedBy, StartPayment,
        TicketNumber,
    },
    claim::{ClaimChange, Holder, Resource},
    ids::{PaymentId, RefundId, TicketId},
    money::Money,
    stored::StoredEvent,
};
use uuid::Uuid;

use crate::{
    examples::{booking_placed, issued},
    support::{handle, id, now, vnd},
};

/// The booking's stream.
const BOOKING: Uuid = Uuid::from_u128(0xb0);

/// What somebody does; attempts and refunds by their place, so that most are there.
#[derive(Clone, Debug)]
enum Step {
    Expire {
        minutes: i64,
    },
    Cancel {
        show_started: bool,
    },
    CancelWithShow,
    Start {
        method: PaymentMethod,
        minutes: i64,
        show_open: bool,
    },
    Pending {
        attempt: usize,
    },
    Success {
        attempt: usize,
        right_sum: bool,
        reinstate: bool,
        show_open: bool,
    },
    Decline {
        attempt: usize,
    },
    Abandon {
        attempt: usize,
    },
    RunOut {
        attempt: usize,
    },
    RefundSuccess {
        refund: usize,
    },
    RefundFailure {
        refund: usize,
    },
    /// Some of three tickets, of which the booking has two.
    TakeBack {
        tickets: Vec<usize>,
    },
    /// A sum of so many hundred thousands.
    GiveBack {
        sum: u32,
    },
    /// Some ticket, or all; by whom, and why, changes nothing.
    Reissue {
        ticket: Option<usize>,
        show_open: bool,
    },
    /// A scan of that id of a ticket, by the code that it had so many revisions ago.
    Scan {
        ticket: usize,
        ago: u8,
        scan: u128,
        offline: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let attempt = || 0_usize..4;
    let methods = vec![PaymentMethod::Sandbox, PaymentMethod::Stripe, PaymentMethod::Vnpay];
    prop_oneof![
        2 => (0_i64..30).prop_map(|minutes| Step::Expire { minutes }),
        2 => any::<bool>().prop_map(|show_started| Step::Cancel { show_started }),
        1 => Just(Step::CancelWithShow),
        6 => (select(methods), 0_i64..12, prop::bool::weighted(0.9))
            .prop_map(|(method, minutes, show_open)| Step::Start { method, minutes, show_open }),
        3 => attempt().prop_map(|attempt| Step::Pending { attempt }),
        6 => (attempt(), prop::bool::weighted(0.9), any::<bool>(), prop::bool::weighted(0.8)).prop_map(
            |(attempt, right_sum, reinstate, show_open)| Step::Success { attempt, right_sum, reinstate, show_open }
        ),
        1 => attempt().prop_map(|attempt| Step::Decline { attempt }),
        1 => attempt().prop_map(|attempt| Step::Abandon { attempt }),
        1 => attempt().prop_map(|attempt| Step::RunOut { attempt }),
        4 => (0_usize..3).prop_map(|refund| Step::RefundSuccess { refund }),
        1 => (0_usize..3).prop_map(|refund| Step::RefundFailure { refund }),
        3 => vec(select(vec![0, 0, 0, 1, 1, 2]), 1..3).prop_map(|tickets| Step::TakeBack { tickets }),
        2 => (1_u32..9).prop_map(|sum| Step::GiveBack { sum }),
        5 => (prop::option::of(0_usize..3), prop::bool::weighted(0.9))
            .prop_map(|(ticket, show_open)| Step::Reissue { ticket, show_open }),
        3 => (0_usize..3, select(vec![0, 0, 0, 1, 2]), 0_u128..6, any::<bool>())
            .prop_map(|(ticket, ago, scan, offline)| Step::Scan { ticket, ago, scan, offline }),
    ]
}

fn command(step: &Step, purchase: &Purchase) -> BookingCommand {
    let attempt =
        |place: usize| purchase.payments.get(place).map_or_else(|| id::<PaymentId>(0xff), |payment| payment.id);
    let refund = |place: usize| purchase.refunds.get(place).map_or_else(|| id::<RefundId>(0xff), |refund| refund.id);
    let gateway_reference = "sbx_1".to_owned();
    match *step {
        Step::Expire { minutes } => BookingCommand::Expire { now: now() + Duration::minutes(minutes) },
        Step::Cancel { show_started } => {
            BookingCommand::Cancel(Box::new(CancelBooking { by: Canceller::Buyer, reason: None, show_started }))
        }
        Step::CancelWithShow => BookingCommand::CancelWithShow,
        Step::Start { method, minutes, show_open } => BookingCommand::StartPayment(Box::new(StartPayment {
            payment_id: id(0x100 + purchase.payments.len() as u128),
            method,
            return_url: None,
            pay_until: purchase.hold_expires_at,
            show_open,
            now: now() + Duration::minutes(minutes),
        })),
        Step::TakeBack { ref tickets } => {
            let ids = tickets.iter().map(|place| ticket_at(purchase, *place).0).collect();
            give_back(RefundWhat::Tickets(ids))
        }
        Step::GiveBack { sum } => give_back(RefundWhat::Amount(vnd(sum * 100_000))),
        Step::Pending { attempt: of } => {
            let redirect_url = Some("https://pay.example".to_owned());
            BookingCommand::RecordPending { payment_id: attempt(of), gateway_reference, redirect_url }
        }
        Step::Success { attempt: of, right_sum, reinstate, show_open } => {
            let amount = if right_sum { purchase.total } else { vnd(1) };
            let (payment_id, tickets) = (attempt(of), issued());
            let success = RecordSuccess { payment_id, gateway_reference, amount, tickets, reinstate, show_open };
            BookingCommand::RecordSuccess(Box::new(success))
        }
        Step::Decline { attempt: of } => {
            BookingCommand::RecordDecline { payment_id: attempt(of), reason: "no".to_owned() }
        }
        Step::Abandon { attempt: of } => BookingCommand::RecordAbandonment { payment_id: attempt(of) },
        Step::RunOut { attempt: of } => BookingCommand::RecordPaymentExpiry { payment_id: attempt(of) },
        Step::RefundSuccess { refund: of } => {
            BookingCommand::RecordRefundSuccess { refund_id: refund(of), gateway_reference }
        }
        Step::RefundFailure { refund: of } => {
            BookingCommand::RecordRefundFailure { refund_id: refund(of), reason: "no".to_owned() }
        }
        Step::Reissue { ticket, show_open } => BookingCommand::Reissue(Box::new(ReissueTickets {
            ticket_ids: ticket.map(|place| vec![ticket_at(purchase, place).0]),
            by: ReissuedBy::Buyer,
            reason: None,
            kid: 2,
            expires: 1_900_000_000,
            show_open,
        })),
        Step::Scan { ticket, ago, scan, offline } => {
            let (_, number, revision) = ticket_at(purchase, ticket);
            BookingCommand::Admit(Box::new(AdmitTicket {
                number,
                revision: revision.saturating_sub(ago),
                scan_id: id(0x200 + scan),
                gate: format!("gate {}", scan % 2),
                scanned_at: now(),
                offline,
            }))
        }
    }
}

fn give_back(what: RefundWhat) -> BookingCommand {
    BookingCommand::Refund(Box::new(RefundPart { what, by: RefundedBy::Organizer, reason: None }))
}

/// A ticket's id, number and revision; of one that is not there, some that nobody has.
fn ticket_at(purchase: &Purchase, place: usize) -> (TicketId, TicketNumber, u8) {
    let of = |ticket: &IssuedTicket| (ticket.ticket_id, ticket.number, ticket.revision);
    purchase.tickets.get(place).map_or((id(0xff), TicketNumber(u64::MAX), 0), of)
}

/// What a domain event may do to tickets: a number stays, a revision rises by one where a ticket is issued anew and never else, and no
/// code lets somebody in who has an older one than the newest, or whose ticket somebody came in with.
fn check_tickets(before: &Purchase, command: &BookingCommand, event: &BookingDomainEvent, after: &Purchase) {
    use BookingDomainEvent as E;
    for (old, new) in before.tickets.iter().zip(&after.tickets) {
        let E::TicketsReissued(anew) = event else {
            assert_eq!(old, new, "{} changes no ticket", event.type_name());
            continue;
        };
        assert_eq!((old.ticket_id, old.number), (new.ticket_id, new.number), "a ticket keeps its number");
        let rises = anew.tickets.iter().any(|ticket| ticket.ticket_id == old.ticket_id);
        assert_eq!(new.revision, old.revision + u8::from(rises), "each is one newer, and no other");
        assert!(!rises || before.admission(old.ticket_id).is_none(), "who is in keeps his code");
        assert!(new.revision <= MAX_REISSUES, "and not without end");
    }
    if let E::TicketAdmitted(admitted) = event {
        let BookingCommand::Admit(scan) = command else { panic!("nobody comes in but by a scan") };
        let ticket = before.tickets.iter().find(|ticket| ticket.ticket_id == admitted.ticket_id).expect("a ticket");
        assert_eq!(ticket.revision, scan.revision, "an older code lets nobody in");
        assert_eq!(before.admission(admitted.ticket_id), None, "one person a ticket");
        assert_eq!(before.status, BookingStatus::Confirmed);
        assert!(!before.is_revoked(admitted.ticket_id), "what was given back lets nobody in");
    }
    if let E::TicketsRevoked(revoked) = event {
        assert_eq!(before.status, BookingStatus::Confirmed);
        for ticket in &revoked.tickets {
            assert!(!before.is_revoked(ticket.ticket_id), "a ticket goes back once");
            assert_eq!(before.admission(ticket.ticket_id), None, "and not after somebody came in with it");
        }
        assert!(after.valid_tickets().count() > 0, "the last ticket ends the booking");
        assert_eq!(before.valid_tickets().count(), after.valid_tickets().count() + revoked.tickets.len());
    } else {
        assert_eq!(before.revoked, after.revoked, "{} gives no ticket back", event.type_name());
    }
}

/// What the booking has by its claims alone, its code aside, which it keeps for ever.
#[derive(Debug, Default, PartialEq)]
struct Claimed {
    seats: BTreeMap<Resource, Holder>,
    used: BTreeMap<Resource, i64>,
}

impl Claimed {
    fn apply(&mut self, change: ClaimChange) {
        match change {
            ClaimChange::Take { resource: Resource::BookingCode(_), .. } => {}
            ClaimChange::Take { resource, holder } => {
                assert_eq!(self.seats.insert(resource, holder), None, "nobody takes what he has already");
            }
            ClaimChange::Release { resource, holder } => {
                assert_eq!(self.seats.remove(&resource), Some(holder), "nobody gives back what he has not");
            }
            ClaimChange::Use { resource, amount, .. } => {
                assert!(amount >= 1);
                *self.used.entry(resource).or_default() += amount;
            }
            ClaimChange::Return { resource, amount } => {
                let used = self.used.get_mut(&resource).expect("what is given back was used");
                *used -= amount;
                assert!(*used >= 0, "nobody gives back more than he used");
                if *used == 0 {
                    self.used.remove(&resource);
                }
            }
            ClaimChange::SetLimit { .. } => panic!("a booking sets no limit"),
        }
    }

    /// What a booking in this state is to have.
    fn of(purchase: &Purchase) -> Self {
        let mut claimed = Self::default();
        let holder = Holder::Booking(BOOKING.into());
        if matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed) {
            let places = purchase.places();
            claimed.seats =
                places.seat_ids.iter().map(|seat| (Resource::Seat(places.event_id, seat.clone()), holder)).collect();
            claimed.used =
                places.quotas.iter().map(|(quota, n)| (Resource::Quota(places.event_id, *quota), *n)).collect();
            claimed.used.insert(Resource::Person(places.event_id, places.person), places.count);
        }
        // Its tickets' numbers it keeps for ever.
        let numbers = purchase.tickets.iter().map(|ticket| Resource::Ticket(ticket.event_number, ticket.number.0));
        claimed.seats.extend(numbers.map(|number| (number, holder)));
        claimed
    }
}

/// P12 and the promise that a booking's status changes by six domain events and by nothing else.
fn check_transition(before: BookingStatus, event: &BookingDomainEvent, after: BookingStatus) {
    use BookingDomainEvent as E;
    use BookingStatus as S;
    let expected = match (event, before) {
        (E::BookingConfirmed(_), S::Held) | (E::BookingReinstated(_), S::Expired) => S::Confirmed,
        (E::BookingExpired(_), S::Held) => S::Expired,
        (E::BookingCancelled(_), S::Held | S::Confirmed) => S::Cancelled,
        (E::BookingRefunded(_), S::Cancelled) => S::Refunded,
        (
            E::BookingPlaced(_)
            | E::BookingConfirmed(_)
            | E::BookingReinstated(_)
            | E::BookingExpired(_)
            | E::BookingCancelled(_)
            | E::BookingRefunded(_),
            _,
        ) => panic!("{} of a booking that is {before:?}", event.type_name()),
        _ => before,
    };
    assert_eq!(after, expected, "{} of a booking that is {before:?}", event.type_name());
}

/// P4, and what holds between a booking and its attempts.
fn check_money(purchase: &Purchase) {
    let open = purchase.payments.iter().filter(|payment| payment.status.is_open()).count();
    assert!(open <= 1, "a buyer can pay by one attempt at a time");
    assert!(open == 0 || matches!(purchase.status, BookingStatus::Held | BookingStatus::Expired), "nothing to pay");
    let minor = |status: RefundStatus, of: PaymentId| -> i64 {
        let refunds = purchase.refunds.iter().filter(|refund| refund.payment_id == of && refund.status == status);
        refunds.map(|refund| refund.amount.minor()).sum()
    };
    let mut kept = 0;
    for payment in &purchase.payments {
        let received = payment.received.as_ref().map_or(0, Money::minor);
        let back = minor(RefundStatus::Succeeded, payment.id);
        assert!(back + minor(RefundStatus::Requested, payment.id) <= received, "no more goes back than came");
        if payment.status != PaymentStatus::Review {
            assert!(received == 0 || received == payment.amount.minor());
            kept += purchase.refundable_minor(payment);
        }
    }
    let sells = purchase.status == BookingStatus::Confirmed;
    let due = purchase.due_minor();
    let failed = purchase.refunds.iter().filter(|refund| refund.status == RefundStatus::Failed);
    let failed: i64 = failed.map(|refund| refund.amount.minor()).sum();
    assert!((due..=due + failed).contains(&kept), "{kept} kept, {due} due, in {:?}", purchase.status);
    assert!(due >= 0, "no ticket is given back for more than was paid");
    assert!(!sells || purchase.tickets.len() == purchase.lines.len(), "each line has its ticket");
}

fn place(free: bool, release_on_decline: bool) -> BookingCommand {
    let mut placed = BookingPlaced { release_on_decline, ..booking_placed() };
    if free {
        placed.total = vnd(0);
        placed.lines.iter_mut().for_each(|line| line.price = vnd(0));
    }
    BookingCommand::Place(Box::new(PlaceBooking { placed, free_tickets: free.then(issued), now: now() }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_history_of_a_booking_keeps_its_invariants(
        free in prop::bool::weighted(0.1), release_on_decline: bool, steps in vec(step(), 1..40),
    ) {
        let mut booking = Booking::default();
        let mut history = handle(&mut booking, place(free, release_on_decline)).unwrap();
        let mut walked = Booking::default();
        let mut claimed = Claimed::default();
        for event in history.clone() {
            event.claims(BOOKING).into_iter().for_each(|change| claimed.apply(change));
            walked.fold(event);
        }
        for step in &steps {
            let command = command(step, booking.0.as_ref().unwrap());
            let recorded = match handle(&mut booking, command.clone()) {
                Ok(recorded) => recorded,
                Err(BookingError::Malformed(what)) => panic!("{step:?}: {what}"),
                Err(_) => continue,
            };
            for event in recorded {
                let before = walked.0.clone().unwrap();
                event.claims(BOOKING).into_iter().for_each(|change| claimed.apply(change));
                let decoded = BookingDomainEvent::decode(event.type_name(), event.version(), &event.payload()).unwrap();
                prop_assert_eq!(&decoded, &event, "what is stored is what was said");
                walked.fold(decoded);
                let after = walked.0.as_ref().unwrap();
                check_transition(before.status, &event, after.status);
                check_tickets(&before, &command, &event, after);
                history.push(event);
            }
            let purchase = booking.0.as_ref().unwrap();
            prop_assert_eq!(&claimed, &Claimed::of(purchase), "what is claimed is what the booking has");
            check_money(purchase);
        }
        let mut folded = Booking::default();
        history.into_iter().for_each(|event| folded.fold(event));
        prop_assert_eq!(&folded, &booking, "the history folds to the aggregate");
        let snapshot = serde_json::to_vec(&booking).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Booking>(&snapshot).unwrap(), booking, "a snapshot is the aggregate");
    }
}
