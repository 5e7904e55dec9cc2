//! Every cell of the Booking's state × command table. The states are reached by commands alone.

use chrono::Duration;
use tickiz_domain::{
    booking::{
        AdmitTicket, Booking, BookingCommand, BookingError, BookingPlaced, CancelBooking, Canceller, PaymentMethod,
        PlaceBooking, RecordSuccess, RefundPart, RefundWhat, RefundedBy, ReissueTickets, ReissuedBy, StartPayment,
        command::MAX_REISSUES,
    },
    ids::{PaymentId, RefundId},
    money::Money,
    stored::StoredEvent,
};

use crate::{
    examples::{ATTEMPT, EARLIER_ATTEMPT, booking_placed, issued},
    pictures::Move,
    support::{handle, id, now, vnd},
    table::{Outcome, cells},
};

const STATES: [&str; 12] = [
    "none",
    "held",
    "started",
    "paying",
    "confirmed",
    "free",
    "expired",
    "late",
    "cancelled",
    "returning",
    "refunded",
    "partly",
];

/// What the show of a booking says, and whether the booking is free.
#[derive(Clone, Copy, Default)]
struct Terms {
    free: bool,
    release_on_decline: bool,
}

fn place(terms: Terms) -> BookingCommand {
    let mut placed = BookingPlaced { release_on_decline: terms.release_on_decline, ..booking_placed() };
    if terms.free {
        placed.total = vnd(0);
        placed.lines.iter_mut().for_each(|line| line.price = vnd(0));
    }
    let free_tickets = terms.free.then(issued);
    BookingCommand::Place(Box::new(PlaceBooking { placed, free_tickets, now: now() }))
}

fn cancel(show_started: bool) -> BookingCommand {
    BookingCommand::Cancel(Box::new(CancelBooking { by: Canceller::Buyer, reason: None, show_started }))
}

fn start(payment_id: u128, method: PaymentMethod) -> StartPayment {
    StartPayment {
        payment_id: id(payment_id),
        method,
        return_url: None,
        pay_until: now() + Duration::minutes(10),
        show_open: true,
        now: now() + Duration::minutes(1),
    }
}

fn success(payment_id: u128) -> RecordSuccess {
    RecordSuccess {
        payment_id: id(payment_id),
        gateway_reference: "sbx_1".to_owned(),
        amount: vnd(1_650_000),
        tickets: issued(),
        reinstate: true,
        show_open: true,
    }
}

fn record(success: RecordSuccess) -> BookingCommand {
    BookingCommand::RecordSuccess(Box::new(success))
}

fn pending() -> BookingCommand {
    let gateway_reference = "sbx_1".to_owned();
    BookingCommand::RecordPending { payment_id: id(ATTEMPT), gateway_reference, redirect_url: None }
}

fn refunded(refund_id: RefundId) -> BookingCommand {
    BookingCommand::RecordRefundSuccess { refund_id, gateway_reference: "sbxr_1".to_owned() }
}

fn send(booking: &mut Booking, command: BookingCommand) {
    let said = format!("{command:?}");
    let recorded = handle(booking, command).unwrap_or_else(|error| panic!("{said}: {error}"));
    assert!(!recorded.is_empty(), "{said} had nothing to do");
}

/// The booking's only refund, or one that there is not.
fn refund_of(booking: &Booking) -> RefundId {
    booking.0.iter().flat_map(|purchase| &purchase.refunds).map(|refund| refund.id).next().unwrap_or(id(0xff))
}

fn in_state(state: &str, terms: Terms) -> Booking {
    let mut booking = Booking::default();
    let steps: &[&str] = match state {
        "none" => &[],
        "held" | "free" => &["place"],
        "started" => &["place", "start"],
        "paying" => &["place", "start", "pending"],
        "confirmed" => &["place", "start", "pending", "pay"],
        "expired" => &["place", "start", "pending", "expire"],
        "late" => &["place", "start", "pending", "expire", "pay late"],
        "cancelled" => &["place", "start", "pending", "cancel"],
        "returning" => &["place", "start", "pending", "pay", "cancel"],
        "refunded" => &["place", "start", "pending", "pay", "cancel", "refund"],
        "partly" => &["place", "start", "pending", "pay", "give back"],
        _ => panic!("unknown state {state}"),
    };
    for step in steps {
        match *step {
            "place" => send(&mut booking, place(Terms { free: state == "free", ..terms })),
            "start" => {
                for (attempt, method) in [(EARLIER_ATTEMPT, PaymentMethod::Stripe), (ATTEMPT, PaymentMethod::Sandbox)] {
                    send(&mut booking, BookingCommand::StartPayment(Box::new(start(attempt, method))));
                }
            }
            "pending" => send(&mut booking, pending()),
            "pay" => send(&mut booking, record(success(ATTEMPT))),
            "pay late" => send(&mut booking, record(RecordSuccess { reinstate: false, ..success(ATTEMPT) })),
            "expire" => send(&mut booking, BookingCommand::Expire { now: booking_placed().hold_expires_at }),
            "cancel" => send(&mut booking, cancel(false)),
            "give back" => send(&mut booking, give_back(tickets([0]))),
            "refund" => {
                let refund = refund_of(&booking);
                send(&mut booking, refunded(refund));
            }
            _ => panic!("unknown step {step}"),
        }
    }
    booking
}

/// The command of a column, given the refund that it may be about.
type Column = (&'static str, fn(RefundId) -> BookingCommand);

fn wrong_sum() -> Money {
    vnd(1_649_999)
}

fn start_with(change: impl Fn(&mut StartPayment)) -> BookingCommand {
    let mut start = start(0xa3, PaymentMethod::Sandbox);
    change(&mut start);
    BookingCommand::StartPayment(Box::new(start))
}

fn payment() -> PaymentId {
    id(ATTEMPT)
}

const COLUMNS: [Column; 48] = [
    ("Place", |_| place(Terms::default())),
    ("Place, free", |_| place(Terms { free: true, ..Terms::default() })),
    ("Expire, due", |_| BookingCommand::Expire { now: booking_placed().hold_expires_at }),
    ("Expire, early", |_| BookingCommand::Expire { now: booking_placed().hold_expires_at - Duration::microseconds(1) }),
    ("Cancel", |_| cancel(false)),
    ("Cancel, show started", |_| cancel(true)),
    ("CancelWithShow", |_| BookingCommand::CancelWithShow),
    ("StartPayment", |_| start_with(|_| {})),
    ("StartPayment, other method", |_| start_with(|start| start.method = PaymentMethod::Stripe)),
    ("StartPayment, again", |_| start_with(|start| start.payment_id = payment())),
    ("StartPayment, too late", |_| start_with(|start| start.now = booking_placed().hold_expires_at)),
    ("StartPayment, show closed", |_| start_with(|start| start.show_open = false)),
    ("RecordPending", |_| pending()),
    ("RecordDecline", |_| decline()),
    ("RecordDecline, releases", |_| decline()),
    ("RecordAbandonment", |_| BookingCommand::RecordAbandonment { payment_id: payment() }),
    ("RecordAbandonment, releases", |_| BookingCommand::RecordAbandonment { payment_id: payment() }),
    ("RecordPaymentExpiry", |_| BookingCommand::RecordPaymentExpiry { payment_id: payment() }),
    ("RecordPaymentExpiry, releases", |_| BookingCommand::RecordPaymentExpiry { payment_id: payment() }),
    ("RecordSuccess", |_| record(success(ATTEMPT))),
    ("RecordSuccess, wrong sum", |_| record(RecordSuccess { amount: wrong_sum(), ..success(ATTEMPT) })),
    ("RecordSuccess, places lost", |_| record(RecordSuccess { reinstate: false, ..success(ATTEMPT) })),
    ("RecordSuccess, show closed", |_| record(RecordSuccess { show_open: false, ..success(ATTEMPT) })),
    ("RecordSuccess, earlier", |_| record(success(EARLIER_ATTEMPT))),
    ("RecordSuccess, earlier, wrong sum", |_| {
        record(RecordSuccess { amount: wrong_sum(), ..success(EARLIER_ATTEMPT) })
    }),
    ("RecordSuccess, earlier, places lost", |_| record(RecordSuccess { reinstate: false, ..success(EARLIER_ATTEMPT) })),
    ("RecordRefundSuccess", refunded),
    ("RecordRefundFailure", |refund_id| BookingCommand::RecordRefundFailure {
        refund_id,
        reason: "the account is closed".to_owned(),
    }),
    ("Admit", |_| admit(2, |_| {})),
    ("Admit, used", |_| admit(2, |_| {})),
    ("Admit, again", |_| admit(1, |_| {})),
    ("Admit, same id", |_| admit(1, |scan| scan.number = issued()[1].number)),
    ("Admit, old revision", |_| admit(2, |scan| scan.revision -= 1)),
    ("Admit, offline", |_| admit(2, |scan| scan.offline = true)),
    ("Admit, offline, used", |_| admit(2, |scan| scan.offline = true)),
    ("Reissue", |_| reissue(|_| {})),
    ("Reissue, used", |_| reissue(|_| {})),
    ("Reissue, unknown", |_| reissue(|asked| asked.ticket_ids = Some(vec![id(0x7f)]))),
    ("Reissue, too often", |_| reissue(|_| {})),
    ("Reissue, show closed", |_| reissue(|asked| asked.show_open = false)),
    ("Refund, first", |_| give_back(tickets([0]))),
    ("Refund, second", |_| give_back(tickets([1]))),
    ("Refund, all", |_| give_back(tickets([0, 1]))),
    ("Refund, used", |_| give_back(tickets([0]))),
    ("Refund, unknown", |_| give_back(RefundWhat::Tickets(vec![id(0x7f)]))),
    ("Refund, sum", |_| give_back(RefundWhat::Amount(vnd(450_000)))),
    ("Refund, too much", |_| give_back(RefundWhat::Amount(vnd(1_650_001)))),
    ("Refund, other currency", |_| give_back(RefundWhat::Amount(Money::parse("1.00", "USD").unwrap()))),
];

fn tickets<const N: usize>(places: [usize; N]) -> RefundWhat {
    RefundWhat::Tickets(places.map(|place| issued()[place].ticket_id).to_vec())
}

fn give_back(what: RefundWhat) -> BookingCommand {
    BookingCommand::Refund(Box::new(RefundPart { what, by: RefundedBy::Organizer, reason: None }))
}

fn admit(scan: u128, change: impl Fn(&mut AdmitTicket)) -> BookingCommand {
    let ticket = &issued()[0];
    let mut admit = AdmitTicket {
        number: ticket.number,
        revision: ticket.revision,
        scan_id: id(scan),
        gate: "North".to_owned(),
        scanned_at: now(),
        offline: false,
    };
    change(&mut admit);
    BookingCommand::Admit(Box::new(admit))
}

fn reissue(change: impl Fn(&mut ReissueTickets)) -> BookingCommand {
    let mut asked = ReissueTickets {
        ticket_ids: Some(vec![issued()[0].ticket_id]),
        by: ReissuedBy::Buyer,
        reason: None,
        kid: 2,
        expires: issued()[0].expires,
        show_open: true,
    };
    change(&mut asked);
    BookingCommand::Reissue(Box::new(asked))
}

fn decline() -> BookingCommand {
    BookingCommand::RecordDecline { payment_id: payment(), reason: "declined by the issuer".to_owned() }
}

/// What a Booking is in, as its picture calls it.
fn stage(booking: &Booking) -> String {
    booking.0.as_ref().map_or_else(|| "none".to_owned(), |purchase| format!("{:?}", purchase.status))
}

/// From where to where, by which domain event: every cell of the table that moves a Booking.
pub fn moves() -> Vec<Move> {
    let mut moves = Vec::new();
    for (state, (name, column)) in STATES.iter().flat_map(|state| COLUMNS.iter().map(move |column| (state, column))) {
        let terms = Terms { release_on_decline: name.ends_with(", releases"), ..Terms::default() };
        let mut booking = in_state(state, terms);
        let refund_id = refund_of(&booking);
        let recorded = handle(&mut booking, column(refund_id)).unwrap_or_default();
        let mut booking = in_state(state, terms);
        for recorded in recorded {
            let (from, name) = (stage(&booking), recorded.type_name());
            booking.fold(recorded);
            moves.push(Move { from, to: stage(&booking), name });
        }
    }
    moves
}

#[test]
fn every_cell_of_the_bookings_table_is_what_it_says() {
    let names = COLUMNS.map(|(name, _)| name);
    for cell in cells(include_str!("../../src/booking/command.rs"), &STATES, &names) {
        let release_on_decline = cell.command.ends_with(", releases");
        let mut booking = in_state(&cell.state, Terms { release_on_decline, ..Terms::default() });
        if cell.command.ends_with(", used") || ["Admit, again", "Admit, same id"].contains(&cell.command.as_str()) {
            // Only where it can be.
            let _ = handle(&mut booking, admit(1, |_| {}));
        }
        if cell.command == "Reissue, too often" {
            while handle(&mut booking, reissue(|_| {})).is_ok() {}
        }
        let (_, column) = COLUMNS.iter().find(|(name, _)| *name == cell.command).unwrap();
        let refund_id = refund_of(&booking);
        let result = handle(&mut booking, column(refund_id));
        assert_eq!(Outcome::of(&result), cell.outcome, "{} in state {}", cell.command, cell.state);
    }
}

#[test]
fn a_ticket_that_is_issued_anew_lets_in_by_its_new_code_alone_and_once() {
    let mut booking = in_state("confirmed", Terms::default());
    let before = booking.0.clone().unwrap().tickets;
    assert_eq!(handle(&mut booking, admit(1, |_| {})).unwrap().len(), 1);
    // Of the whole booking: who is in stays in, with the code that he came with.
    handle(&mut booking, reissue(|asked| asked.ticket_ids = None)).unwrap();
    let after = booking.0.clone().unwrap().tickets;
    assert_eq!(after[0], before[0], "somebody is in with it");
    assert_eq!((after[1].number, after[1].ticket_id), (before[1].number, before[1].ticket_id));
    assert_eq!((after[1].revision, after[1].kid), (before[1].revision + 1, 2));
    let scan = |id, revision| {
        admit(id, |scan| {
            scan.number = before[1].number;
            scan.revision = revision;
        })
    };
    assert_eq!(handle(&mut booking, scan(2, before[1].revision)), Err(BookingError::TicketSuperseded));
    assert_eq!(handle(&mut booking, scan(3, after[1].revision)).unwrap().len(), 1);
    let used = |result| matches!(result, Err(BookingError::AlreadyAdmitted { .. }));
    assert!(used(handle(&mut booking, scan(4, after[1].revision))));
    assert!(used(handle(&mut booking, reissue(|asked| asked.ticket_ids = None))), "nothing is left to issue anew");
    assert_eq!(booking.0.unwrap().tickets, after);
}

#[test]
fn a_ticket_is_issued_anew_a_bounded_number_of_times() {
    let mut booking = in_state("free", Terms::default());
    for _ in issued()[0].revision..MAX_REISSUES {
        handle(&mut booking, reissue(|_| {})).unwrap();
    }
    assert_eq!(handle(&mut booking, reissue(|_| {})), Err(BookingError::TooManyReissues));
    assert_eq!(booking.0.unwrap().tickets[0].revision, MAX_REISSUES);
}
