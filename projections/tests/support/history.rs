//! Histories as the log could hold them: what the claims would refuse does not happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use tickiz_domain::{
    booking::{
        Booking, BookingCancelled, BookingConfirmed, BookingDomainEvent, BookingExpired, BookingPlaced,
        BookingRefunded, BookingReinstated, BookingStatus, CancelledBy, IssuedTicket, Line, PaymentCreated,
        PaymentMethod, PaymentSucceeded, Places, Purchase, RefundFailed, RefundRequested, RefundStatus,
        RefundSucceeded, RefundedBy, RevokedTicket, TicketNumber, TicketsRevoked,
    },
    event::{
        CategorySeats, Event, EventCancelled, EventCategory, EventChanged, EventCompleted, EventCreated,
        EventDomainEvent, EventPostponed, EventPublished, EventStatus, PlanSummary, Quota, SeatsBlocked,
        SeatsUnblocked, Show, TicketType, Venue, VenueTime,
    },
    ids::{
        BookingId, EventId, OrganizerId, PaymentId, PersonId, PersonMark, QuotaId, RefundId, SeatId, TicketId,
        TicketTypeId,
    },
    money::{Currency, Money},
    sealed::Sealed,
    seating_plan::SeatingPlan,
};
use tickiz_event_log::record::Position;
use uuid::Uuid;

use super::log::FakeLog;

/// What is asked for; what cannot be at that moment is left out.
#[derive(Clone, Debug)]
pub enum Op {
    Create { seated: bool, places: bool },
    Publish(usize),
    Retitle(usize),
    Reprice(usize, i64),
    Resize(usize, i64),
    Postpone(usize, bool),
    CancelShow(usize),
    Complete(usize),
    Block(usize, Vec<usize>),
    Unblock(usize, Vec<usize>),
    Place(usize, Vec<usize>, i64),
    Pay(usize),
    Confirm(usize),
    Expire(usize),
    CancelBooking(usize),
    Reinstate(usize),
    Refund(usize),
    TakeBack(usize, usize),
}

/// A history in the making, with the aggregates as the domain folds them.
pub struct History {
    pub log: Arc<FakeLog>,
    pub shows: Vec<(EventId, Event)>,
    pub bookings: Vec<(BookingId, Booking)>,
    pub plan: Arc<SeatingPlan>,
    plan_hash: String,
    ids: u128,
}

/// Two rows of five, the first three seats of each are VIP.
pub fn small_plan() -> SeatingPlan {
    hall(2, 5, 3)
}

/// Rows of seats, the first `vip` of each row VIP and the others Regular.
pub fn hall(rows: usize, seats: usize, vip: usize) -> SeatingPlan {
    let row = |row: usize| {
        let seats: Vec<_> = (0..seats)
            .map(|seat| {
                let category = if seat < vip { "VIP" } else { "Regular" };
                json!({"seat_guid": format!("ghế {row}-{seat}"), "seat_number": seat.to_string(), "category": category,
                    "position": {"x": seat * 20, "y": 0}})
            })
            .collect();
        json!({"row_number": row.to_string(), "position": {"x": 0, "y": row * 20}, "seats": seats})
    };
    let plan = json!({
        "name": "hall", "size": {"width": 1000, "height": 1000},
        "categories": [{"name": "VIP", "color": "#f00"}, {"name": "Regular", "color": "#00f"}],
        "zones": [{"name": "Z", "position": {"x": 0, "y": 0}, "rows": (0..rows).map(row).collect::<Vec<_>>()}],
    });
    SeatingPlan::import(&plan).unwrap()
}

pub fn venue_time(at: DateTime<Utc>) -> VenueTime {
    VenueTime { local: at.naive_utc(), instant: at }
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

impl History {
    pub fn new() -> Self {
        Self::in_hall(small_plan())
    }

    pub fn in_hall(plan: SeatingPlan) -> Self {
        let log = FakeLog::new();
        let plan_hash = log.attach(plan.to_packed_json());
        Self { log, shows: Vec::new(), bookings: Vec::new(), plan: Arc::new(plan), plan_hash, ids: 0 }
    }

    /// Ids that are no row of neighbours, and the same in every run.
    pub fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    /// What a show is created as, to be changed before it is appended.
    pub fn draft(&mut self, seated: bool, places: bool) -> EventCreated {
        let currency = Currency::VND;
        let price = |minor| Money::try_new(minor, currency).unwrap();
        let shared = Quota { id: QuotaId(self.id()), name: Some("floor".into()), capacity: 6 };
        let mut ticket_types = Vec::new();
        let mut kind = |history: &mut Self, name: &str, minor, categories: &[&str], quota: Option<QuotaId>| {
            ticket_types.push(TicketType {
                id: TicketTypeId(history.id()),
                name: name.into(),
                price: price(minor),
                seat_categories: categories.iter().map(|c| (*c).to_owned()).collect(),
                quota_id: quota,
                max_per_booking: 10,
                admission_class: u16::try_from(minor / 100_000).unwrap(),
            });
        };
        if seated {
            kind(self, "VIP", 900_000, &["VIP"], None);
            kind(self, "Any seat", 500_000, &["VIP", "Regular"], None);
        }
        if places {
            kind(self, "Adult", 300_000, &[], Some(shared.id));
            kind(self, "Child", 100_000, &[], Some(shared.id));
        }
        let mut sizes = self.plan.categories().iter().zip(self.plan.category_sizes());
        let categories = sizes.by_ref().map(|(c, seats)| CategorySeats { category: c.clone(), seats }).collect();
        let number = u32::try_from(self.ids).unwrap();
        EventCreated {
            organizer_id: OrganizerId(Uuid::from_u128(1)),
            event_number: number,
            slug: format!("show-{number}"),
            title: format!("Show {number}"),
            description: String::new(),
            category: EventCategory::Concert,
            time_zone: "UTC".into(),
            starts_at: venue_time(now() + Duration::days(30)),
            ends_at: None,
            venue: Venue {
                name: "House".into(),
                address: None,
                city: "Hà Nội".into(),
                country: "VN".into(),
                latitude: None,
                longitude: None,
            },
            currency,
            ticket_types,
            quotas: if places { vec![shared] } else { Vec::new() },
            plan: seated.then(|| PlanSummary { hash: self.plan_hash.clone(), categories }),
            hold_seconds: 600,
            release_on_decline: false,
            sales_start: None,
            sales_end: None,
            max_per_person: None,
        }
    }

    /// Appends a show; its number among the shows.
    pub fn create(&mut self, created: EventCreated) -> usize {
        let id = EventId(self.id());
        self.shows.push((id, Event::default()));
        self.append_to_show(self.shows.len() - 1, created);
        self.shows.len() - 1
    }

    pub fn show(&self, show: usize) -> &Show {
        self.shows[show].1.0.as_ref().unwrap()
    }

    pub fn purchase(&self, booking: usize) -> &Purchase {
        self.bookings[booking].1.0.as_ref().unwrap()
    }

    pub fn append_to_show(&mut self, show: usize, event: impl Into<EventDomainEvent>) -> Position {
        let (id, folded) = &mut self.shows[show];
        let event = event.into();
        let position = self.log.append(id.0, Some(*id), &event);
        folded.fold(event);
        position
    }

    pub fn append_to_booking(&mut self, booking: usize, events: Vec<BookingDomainEvent>) -> Position {
        let (id, folded) = &mut self.bookings[booking];
        // Odd ones do not say which show they are about: nobody may rely on it.
        let show = folded.0.as_ref().map(|purchase| purchase.event_id).filter(|_| booking.is_multiple_of(2));
        let position = self.log.append_together(id.0, show, &events);
        for event in events {
            folded.fold(event);
        }
        position
    }

    /// The seats that nobody has.
    pub fn free_seats(&self, show: usize) -> BTreeSet<SeatId> {
        if self.show(show).plan.is_none() {
            return BTreeSet::new();
        }
        let taken = self.live(show).flat_map(|p| p.lines.iter().filter_map(|line| line.seat_id.clone()));
        let taken: BTreeSet<SeatId> = taken.chain(self.show(show).blocked.iter().cloned()).collect();
        let all: BTreeSet<SeatId> = self.plan.seat_ids().iter().map(|id| SeatId(id.clone())).collect();
        all.difference(&taken).cloned().collect()
    }

    /// What is left of each quota.
    pub fn left(&self, show: usize) -> BTreeMap<QuotaId, i64> {
        let mut left: BTreeMap<QuotaId, i64> = self.show(show).quotas.iter().map(|q| (q.id, q.capacity)).collect();
        for quota in self.live(show).flat_map(|p| &p.lines).filter_map(|line| line.quota_id) {
            *left.get_mut(&quota).unwrap() -= 1;
        }
        left
    }

    fn live(&self, show: usize) -> impl Iterator<Item = &Purchase> {
        let id = self.shows[show].0;
        let all = self.bookings.iter().filter_map(|(_, booking)| booking.0.as_ref());
        all.filter(move |p| p.event_id == id && matches!(p.status, BookingStatus::Held | BookingStatus::Confirmed))
    }

    /// Places a booking if it can be had; its number among the bookings.
    pub fn place(&mut self, show: usize, seats: &[usize], places: i64) -> Option<usize> {
        let free = self.free_seats(show);
        let wanted: BTreeSet<SeatId> =
            seats.iter().filter_map(|seat| self.plan.seat_ids().get(*seat)).map(|id| SeatId(id.clone())).collect();
        let seats: Vec<SeatId> = wanted.intersection(&free).cloned().collect();
        let quota = self.left(show).into_iter().next().filter(|(_, left)| *left >= places && places > 0);
        let types = self.show(show).ticket_types.clone();
        let currency = self.show(show).currency;
        let mut lines = Vec::new();
        for seat in seats {
            let category = self.plan.category_of(self.plan.seat_index(seat.as_str()).unwrap()).to_owned();
            let t = types.iter().find(|t| t.seat_categories.contains(&category)).unwrap();
            lines.push(Line {
                ticket_id: TicketId(self.id()),
                ticket_type_id: t.id,
                seat_id: Some(seat),
                seat_label: None,
                quota_id: None,
                price: t.price,
            });
        }
        if let Some((quota, _)) = quota {
            let on_it: Vec<TicketType> = types.iter().filter(|t| t.quota_id == Some(quota)).cloned().collect();
            for n in 0..places {
                let t = &on_it[usize::try_from(n).unwrap() % on_it.len()];
                lines.push(Line {
                    ticket_id: TicketId(self.id()),
                    ticket_type_id: t.id,
                    seat_id: None,
                    seat_label: None,
                    quota_id: Some(quota),
                    price: t.price,
                });
            }
        }
        if lines.is_empty() || self.show(show).status != EventStatus::Published {
            return None;
        }
        let total = Money::sum(currency, lines.iter().map(|line| line.price)).unwrap();
        let id = BookingId(self.id());
        self.bookings.push((id, Booking::default()));
        let placed = BookingPlaced {
            event_id: self.shows[show].0,
            organizer_id: OrganizerId(Uuid::from_u128(1)),
            code: format!("AAAA-{:04}", self.ids % 10_000),
            lines,
            total,
            buyer: Sealed { person_id: PersonId(id.0), sealed: "c2VhbGVk".into() },
            person: PersonMark(format!("{:064x}", self.ids)),
            max_per_person: None,
            locale: None,
            access_token_hash: "00".repeat(32),
            hold_expires_at: now(),
            release_on_decline: false,
        };
        self.append_to_booking(self.bookings.len() - 1, vec![placed.into()]);
        Some(self.bookings.len() - 1)
    }

    fn tickets(&self, booking: usize) -> Vec<IssuedTicket> {
        let issue = |line: &Line| IssuedTicket {
            ticket_id: line.ticket_id,
            ticket_type_id: line.ticket_type_id,
            seat_id: line.seat_id.clone(),
            kid: 1,
            event_number: 1,
            number: TicketNumber(line.ticket_id.0.as_u64_pair().1),
            admission_class: 0,
            revision: 0,
            flags: 0,
            not_before: 0,
            expires: u32::MAX,
        };
        self.purchase(booking).lines.iter().map(issue).collect()
    }

    /// Whether the places of an ended booking are all there again.
    fn can_retake(&self, booking: usize) -> bool {
        let Places { event_id, seat_ids, quotas, .. } = self.purchase(booking).places();
        let show = self.shows.iter().position(|(id, _)| *id == event_id).unwrap();
        let (free, left) = (self.free_seats(show), self.left(show));
        seat_ids.iter().all(|seat| free.contains(seat)) && quotas.iter().all(|(quota, n)| left[quota] >= *n)
    }

    /// Pays and confirms in one append, as the command does.
    pub fn confirm(&mut self, booking: usize) -> Position {
        let (event_id, tickets) = (self.purchase(booking).event_id, self.tickets(booking));
        let mut events = Vec::new();
        let payment_id = self.purchase(booking).open_payment().map(|payment| payment.id);
        if let Some(payment_id) = payment_id {
            let amount = self.purchase(booking).total;
            events.push(PaymentSucceeded { payment_id, gateway_reference: "g".into(), amount }.into());
        }
        events.push(BookingConfirmed { event_id, tickets, payment_id }.into());
        self.append_to_booking(booking, events)
    }

    pub fn expire(&mut self, booking: usize) -> Position {
        let released = self.purchase(booking).places();
        self.append_to_booking(booking, vec![BookingExpired { released }.into()])
    }

    /// Does what is asked, if that can be.
    pub fn run(&mut self, op: &Op) {
        let shows = self.shows.len();
        let bookings = self.bookings.len();
        match op {
            Op::Create { seated, places } => {
                let draft = self.draft(*seated, *places || !*seated);
                self.create(draft);
            }
            Op::Pay(n)
            | Op::Confirm(n)
            | Op::Expire(n)
            | Op::CancelBooking(n)
            | Op::Reinstate(n)
            | Op::Refund(n)
            | Op::TakeBack(n, _)
                if bookings > 0 =>
            {
                self.run_booking(op, n % bookings);
            }
            Op::Publish(n)
            | Op::Retitle(n)
            | Op::Reprice(n, _)
            | Op::Resize(n, _)
            | Op::Postpone(n, _)
            | Op::CancelShow(n)
            | Op::Complete(n)
            | Op::Block(n, _)
            | Op::Unblock(n, _)
            | Op::Place(n, _, _)
                if shows > 0 =>
            {
                self.run_show(op, n % shows);
            }
            _ => {}
        }
    }

    fn run_show(&mut self, op: &Op, n: usize) {
        let status = self.show(n).status;
        let open = matches!(status, EventStatus::Draft | EventStatus::Published);
        match op {
            Op::Publish(_) if status == EventStatus::Draft => {
                self.append_to_show(n, EventPublished {});
            }
            Op::Retitle(_) if open => {
                self.append_to_show(n, EventChanged { title: Some("Đêm nhạc".into()), ..EventChanged::default() });
            }
            Op::Reprice(_, minor) if open => {
                let mut first = self.show(n).ticket_types[0].clone();
                first.price = Money::try_new(*minor, first.price.currency()).unwrap();
                self.append_to_show(n, EventChanged { ticket_types: vec![first], ..EventChanged::default() });
            }
            Op::Resize(_, capacity) if open => {
                let Some(quota) = self.show(n).quotas.first().cloned() else { return };
                let used = quota.capacity - self.left(n)[&quota.id];
                let quotas = vec![Quota { capacity: used.max(*capacity), ..quota }];
                self.append_to_show(n, EventChanged { quotas, ..EventChanged::default() });
            }
            Op::Postpone(_, dated) if status == EventStatus::Published => {
                let starts_at = dated.then(|| venue_time(now() + Duration::days(60)));
                self.append_to_show(n, EventPostponed { starts_at, ends_at: None, reason: "rain".into() });
            }
            Op::CancelShow(_) if open => {
                self.append_to_show(n, EventCancelled { reason: "rain".into() });
            }
            Op::Complete(_) if status == EventStatus::Published => {
                self.append_to_show(n, EventCompleted {});
            }
            Op::Block(_, seats) if open => {
                let free = self.free_seats(n);
                let wanted: BTreeSet<SeatId> =
                    seats.iter().filter_map(|s| self.plan.seat_ids().get(*s)).map(|s| SeatId(s.clone())).collect();
                let seat_ids: Vec<SeatId> = wanted.intersection(&free).cloned().collect();
                if !seat_ids.is_empty() {
                    self.append_to_show(n, SeatsBlocked { seat_ids });
                }
            }
            Op::Unblock(_, seats) if open => {
                let blocked: Vec<SeatId> = self.show(n).blocked.iter().cloned().collect();
                let picked: BTreeSet<usize> = seats.iter().copied().filter(|s| *s < blocked.len()).collect();
                let seat_ids: Vec<SeatId> = picked.into_iter().map(|s| blocked[s].clone()).collect();
                if !seat_ids.is_empty() {
                    self.append_to_show(n, SeatsUnblocked { seat_ids });
                }
            }
            Op::Place(_, seats, places) => {
                self.place(n, seats, *places);
            }
            _ => {}
        }
    }

    /// Settles a refund that was asked for, every third time by a refusal; else asks for half of what there is; else ends it.
    fn refund(&mut self, n: usize) {
        let purchase = self.purchase(n);
        let (status, amount) = (purchase.status, purchase.total);
        let open =
            purchase.refunds.iter().find(|refund| refund.status == RefundStatus::Requested).map(|refund| refund.id);
        let refusals = purchase.refunds.len().is_multiple_of(3);
        let left = purchase.payments.iter().map(|payment| (payment.id, purchase.refundable_minor(payment)));
        let left = left.into_iter().find(|(_, minor)| *minor > 0);
        let event = match (open, left) {
            (Some(refund_id), _) if refusals => RefundFailed { refund_id, reason: "no".into() }.into(),
            (Some(refund_id), _) => RefundSucceeded { refund_id, gateway_reference: "r".into() }.into(),
            (None, Some((payment_id, minor))) => {
                let amount = Money::try_new((minor + 1) / 2, amount.currency()).unwrap();
                RefundRequested::whole(RefundId(self.id()), payment_id, amount, "rain".into()).into()
            }
            (None, None) if status == BookingStatus::Cancelled => BookingRefunded { amount }.into(),
            (None, None) => return,
        };
        self.append_to_booking(n, vec![event]);
    }

    /// Takes a ticket back of a booking that has others, with what it cost where so much of its money is left.
    fn take_back(&mut self, n: usize, ticket: usize) {
        let purchase = self.purchase(n);
        let lines: Vec<Line> =
            purchase.lines.iter().filter(|line| !purchase.is_revoked(line.ticket_id)).cloned().collect();
        if lines.len() < 2 {
            return;
        }
        let Line { ticket_id, ticket_type_id, price, .. } = lines[ticket % lines.len()];
        let left = purchase.payments.iter().map(|payment| (payment.id, purchase.refundable_minor(payment)));
        let payment = left.into_iter().find(|(_, left)| !price.is_zero() && *left >= price.minor());
        let line = &lines[ticket % lines.len()];
        let released = Places::of(purchase.event_id, [line], purchase.person.clone(), None);
        let event_id = purchase.event_id;
        let (by, refund_id) = (RefundedBy::Organizer, payment.map(|_| RefundId(self.id())));
        let tickets = vec![RevokedTicket { ticket_id, ticket_type_id, price }];
        let mut events = vec![TicketsRevoked { event_id, tickets, released, by, reason: None, refund_id }.into()];
        if let (Some((payment_id, _)), Some(refund_id)) = (payment, refund_id) {
            let whole = RefundRequested::whole(refund_id, payment_id, price, "rain".into());
            events.push(RefundRequested { by: Some(by), ticket_ids: vec![ticket_id], ..whole }.into());
        }
        self.append_to_booking(n, events);
    }

    fn run_booking(&mut self, op: &Op, n: usize) {
        let purchase = self.purchase(n);
        let (status, total, event_id) = (purchase.status, purchase.total, purchase.event_id);
        let released = purchase.places();
        match op {
            Op::Pay(_) if status == BookingStatus::Held && purchase.open_payment().is_none() => {
                let created = PaymentCreated {
                    payment_id: PaymentId(self.id()),
                    method: PaymentMethod::Sandbox,
                    amount: total,
                    return_url: None,
                    pay_until: now(),
                };
                self.append_to_booking(n, vec![created.into()]);
            }
            Op::Confirm(_) if status == BookingStatus::Held => {
                self.confirm(n);
            }
            // Money that comes too late and buys nothing.
            Op::Confirm(_) => {
                let Some(payment_id) = purchase.open_payment().map(|payment| payment.id) else { return };
                let late = PaymentSucceeded { payment_id, gateway_reference: "g".into(), amount: total };
                self.append_to_booking(n, vec![late.into()]);
            }
            Op::Expire(_) if status == BookingStatus::Held => {
                self.expire(n);
            }
            Op::CancelBooking(_) if matches!(status, BookingStatus::Held | BookingStatus::Confirmed) => {
                let cancelled = BookingCancelled { by: CancelledBy::Buyer, reason: None, released };
                self.append_to_booking(n, vec![cancelled.into()]);
            }
            Op::Reinstate(_) if status == BookingStatus::Expired && self.can_retake(n) => {
                let (tickets, payment_id) = (self.tickets(n), PaymentId(event_id.0));
                let reinstated = BookingReinstated { taken: released, tickets, payment_id };
                self.append_to_booking(n, vec![reinstated.into()]);
            }
            Op::Refund(_) if status != BookingStatus::Held => self.refund(n),
            Op::TakeBack(_, ticket) if status == BookingStatus::Confirmed => self.take_back(n, *ticket),
            _ => {}
        }
    }
}
