//! What is on in the house, appended to its log as the write side would.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use tickiz_domain::{
    booking::{
        Booking, BookingConfirmed, BookingDomainEvent, BookingPlaced, IssuedTicket, Line, PaymentCreated,
        PaymentMethod, PaymentPending, PaymentSucceeded, Purchase, TicketNumber,
    },
    event::{
        CategorySeats, Event, EventCategory, EventCreated, EventDomainEvent, EventPublished, PlanSummary, Quota,
        SeatsBlocked, SeatsUnblocked, Show, TicketType, Venue, VenueTime,
    },
    ids::{BookingId, EventId, PaymentId, PersonId, PersonMark, QuotaId, SeatId, TicketId, TicketTypeId},
    money::{Currency, Money},
    sealed::Sealed,
    seating_plan::SeatingPlan,
    stored::StoredEvent,
    stream::StreamId,
};
use tickiz_event_log::{Append, Attachment, EventLog, Metadata, NewEvent, StreamAppend};
use uuid::Uuid;

use super::{ACCESS_TOKEN, ORGANIZER};

/// Everything that is on.
pub struct Stage {
    log: EventLog,
    head: AtomicI64,
    pub plan: SeatingPlan,
    /// Published, two rows of five seats, A-5 blocked, A-1 and A-2 sold.
    pub seated: (EventId, Show),
    /// Published, general admission, nothing sold.
    pub floor: (EventId, Show),
    /// A draft of the organiser's.
    pub draft: (EventId, Show),
    /// Not in the log at all: what a command just made.
    pub unseen: (EventId, Show),
    /// Two seats, paid.
    pub confirmed: (BookingId, Purchase),
    /// One seat, A-3, with an attempt open.
    pub held: (BookingId, Purchase),
}

fn venue_time(instant: DateTime<Utc>) -> VenueTime {
    VenueTime { local: instant.naive_utc(), instant }
}

fn plan() -> SeatingPlan {
    let row = |label: &str, y: i64| {
        let seats: Vec<_> = (1..=5)
            .map(|n| json!({"seat_number": n.to_string(), "seat_guid": format!("{label}-{n}"), "uuid": format!("{label}{n}"), "position": {"x": n * 20, "y": 0}, "category": "Regular"}))
            .collect();
        json!({"row_number": label, "row_number_position": "both", "position": {"x": 0, "y": y}, "seats": seats, "uuid": label})
    };
    SeatingPlan::import(&json!({
        "name": "Hall", "size": {"width": 200, "height": 100}, "categories": [{"name": "Regular", "color": "#777777"}],
        "zones": [{"name": "Stalls", "zone_id": "stalls", "uuid": "z", "position": {"x": 0, "y": 0}, "areas": [], "rows": [row("A", 0), row("B", 20)]}],
    }))
    .unwrap()
}

pub fn created(number: u32, plan: Option<&SeatingPlan>) -> EventCreated {
    let price = Money::parse("450000", "VND").unwrap();
    let quota = QuotaId(Uuid::from_u128(u128::from(number) << 8 | 1));
    let seats = plan.map(|plan| u32::try_from(plan.len()).unwrap());
    EventCreated {
        organizer_id: ORGANIZER,
        event_number: number,
        slug: format!("show-{number}"),
        title: format!("Đêm nhạc {number}"),
        description: "A night of songs".into(),
        category: EventCategory::Concert,
        time_zone: "Asia/Ho_Chi_Minh".into(),
        starts_at: venue_time(Utc::now() + Duration::days(i64::from(number))),
        ends_at: None,
        venue: Venue {
            name: "Hall".into(),
            address: None,
            city: "Hà Nội".into(),
            country: "VN".into(),
            latitude: Some(21.0),
            longitude: Some(105.8),
        },
        currency: Currency::VND,
        ticket_types: vec![TicketType {
            id: TicketTypeId(Uuid::from_u128(u128::from(number) << 8 | 2)),
            name: "Regular".into(),
            price,
            seat_categories: if plan.is_some() { vec!["Regular".into()] } else { Vec::new() },
            quota_id: plan.is_none().then_some(quota),
            max_per_booking: 10,
            admission_class: 1,
        }],
        quotas: if plan.is_some() { Vec::new() } else { vec![Quota { id: quota, name: None, capacity: 100 }] },
        plan: plan.map(|plan| PlanSummary {
            hash: plan.content_hash().to_string(),
            categories: vec![CategorySeats { category: "Regular".into(), seats: seats.unwrap() }],
        }),
        hold_seconds: 600,
        release_on_decline: false,
        sales_start: None,
        sales_end: None,
        max_per_person: None,
    }
}

impl Stage {
    pub async fn set(log: EventLog) -> Self {
        let plan = plan();
        let mut stage = Self {
            head: AtomicI64::new(0),
            seated: Self::folded(11, Some(&plan)),
            floor: Self::folded(12, None),
            draft: Self::folded(13, None),
            unseen: Self::folded(14, None),
            confirmed: (BookingId(Uuid::from_u128(21)), placed(&[], &Self::folded(11, Some(&plan))).into()),
            held: (BookingId(Uuid::from_u128(22)), placed(&[], &Self::folded(11, Some(&plan))).into()),
            plan,
            log,
        };
        stage
            .append(
                stage.seated.0.0,
                0,
                &[
                    EventDomainEvent::from(created(11, Some(&stage.plan))),
                    EventPublished {}.into(),
                    SeatsBlocked { seat_ids: vec![SeatId("A-5".into())] }.into(),
                ],
            )
            .await;
        stage.append(stage.floor.0.0, 0, &[EventDomainEvent::from(created(12, None)), EventPublished {}.into()]).await;
        stage.append(stage.draft.0.0, 0, &[EventDomainEvent::from(created(13, None))]).await;
        let mut show = Event(Some(stage.seated.1.clone()));
        show.fold(EventPublished {}.into());
        stage.seated.1 = show.0.unwrap();
        stage.confirmed.1 = stage.book(stage.confirmed.0, &["A-1", "A-2"], true).await;
        stage.held.1 = stage.book(stage.held.0, &["A-3"], false).await;
        stage
    }

    pub fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    fn folded(number: u32, plan: Option<&SeatingPlan>) -> (EventId, Show) {
        let mut event = Event::default();
        event.fold(created(number, plan).into());
        (EventId(Uuid::from_u128(u128::from(number))), event.0.unwrap())
    }

    /// Appends to a stream that stands at `expected`.
    pub async fn append<E: StoredEvent>(&self, id: Uuid, expected: i64, events: &[E]) {
        let events = events.iter().map(|event| NewEvent::of(event, id)).collect();
        let bytes = self.plan.to_packed_json();
        let attachment = Attachment { hash: Sha256::digest(&bytes).into(), bytes: bytes.into() };
        let append = Append {
            metadata: Metadata { command_id: Uuid::new_v4(), actor: Some("test".into()), ..Metadata::default() },
            organizer_id: Some(ORGANIZER),
            streams: vec![StreamAppend { stream: StreamId::new(E::STREAM_TYPE, id), expected, events }],
            attachments: vec![attachment],
            ..Append::default()
        };
        let appended = self.log.append(append).await.unwrap();
        self.head.fetch_max(appended.position, Ordering::AcqRel);
    }

    /// Blocks seats of the seated show; `sequence` is where its stream stands.
    pub async fn block(&self, sequence: i64, seats: &[&str]) {
        let seat_ids = seats.iter().map(|seat| SeatId((*seat).into())).collect();
        self.append(self.seated.0.0, sequence, &[EventDomainEvent::from(SeatsBlocked { seat_ids })]).await;
    }

    /// Gives blocked seats of the seated show free again; `sequence` is where its stream stands.
    pub async fn unblock(&self, sequence: i64, seats: &[&str]) {
        let seat_ids = seats.iter().map(|seat| SeatId((*seat).into())).collect();
        self.append(self.seated.0.0, sequence, &[EventDomainEvent::from(SeatsUnblocked { seat_ids })]).await;
    }

    /// A booking of seats with an attempt to pay; paid or not.
    pub async fn book(&self, id: BookingId, seats: &[&str], paid: bool) -> Purchase {
        let placed = placed(seats, &self.seated);
        let payment_id = PaymentId(Uuid::from_u128(id.0.as_u128() << 8 | 3));
        let mut events: Vec<BookingDomainEvent> = vec![
            placed.clone().into(),
            PaymentCreated {
                payment_id,
                method: PaymentMethod::Sandbox,
                amount: placed.total,
                return_url: None,
                pay_until: placed.hold_expires_at,
            }
            .into(),
            PaymentPending {
                payment_id,
                gateway_reference: "g".into(),
                redirect_url: Some("http://pay.example/1".into()),
            }
            .into(),
        ];
        if paid {
            let issue = |line: &Line| IssuedTicket {
                ticket_id: line.ticket_id,
                ticket_type_id: line.ticket_type_id,
                seat_id: line.seat_id.clone(),
                kid: 1,
                event_number: 11,
                number: TicketNumber(line.ticket_id.0.as_u64_pair().1),
                admission_class: 1,
                revision: 0,
                flags: 0,
                not_before: 0,
                expires: u32::MAX,
            };
            let tickets = placed.lines.iter().map(issue).collect();
            events.push(PaymentSucceeded { payment_id, gateway_reference: "g".into(), amount: placed.total }.into());
            events.push(BookingConfirmed { event_id: self.seated.0, tickets, payment_id: Some(payment_id) }.into());
        }
        self.append(id.0, 0, &events).await;
        let mut booking = Booking::default();
        for event in events {
            booking.fold(event);
        }
        booking.0.unwrap()
    }
}

pub fn placed(seats: &[&str], (event_id, show): &(EventId, Show)) -> BookingPlaced {
    let price = Money::parse("450000", "VND").unwrap();
    let line = |seat: &&str| Line {
        ticket_id: TicketId(Uuid::new_v4()),
        ticket_type_id: show.ticket_types[0].id,
        seat_id: Some(SeatId((*seat).into())),
        seat_label: Some((*seat).into()),
        quota_id: None,
        price,
    };
    let lines: Vec<Line> = seats.iter().map(line).collect();
    let total = Money::sum(Currency::VND, lines.iter().map(|line| line.price)).unwrap();
    let code = format!("AAAA-{}", Uuid::new_v4().simple().to_string()[..4].to_uppercase());
    BookingPlaced {
        event_id: *event_id,
        organizer_id: ORGANIZER,
        code,
        lines,
        total,
        buyer: Sealed { person_id: PersonId(Uuid::from_u128(31)), sealed: "c2VhbGVk".into() },
        person: PersonMark(Uuid::new_v4().simple().to_string()),
        max_per_person: None,
        locale: None,
        access_token_hash: hex::encode(Sha256::digest(ACCESS_TOKEN)),
        hold_expires_at: Utc::now() + Duration::minutes(10),
        release_on_decline: false,
    }
}
