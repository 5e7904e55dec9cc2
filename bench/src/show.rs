//! The bookings that are appended: as `placeBooking` makes them, of a real size, each for itself.
//!
//! What a booking costs the command's decision (prices, sealing, picking seats) is not part of the log and is not measured; what
//! its append costs (stored shape, claims, timer, receipt, the named read of its show) is.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use tickiz_domain::{
    booking::{BookingCode, BookingDomainEvent, BookingPlaced, Line},
    event::{
        CategorySeats, EventCategory, EventCreated, EventDomainEvent, EventPublished, PlanSummary, Quota, TicketType,
        Venue, VenueTime,
    },
    ids::{EventId, OrganizerId, PersonId, PersonMark, QuotaId, SeatId, TicketId, TicketTypeId},
    money::{Currency, Money},
    sealed::Sealed,
    seating_plan::SeatingPlan,
    stream::{StreamId, StreamType},
};
use tickiz_event_log::{Append, Attachment, EventLog, Metadata, NewEvent, NewReceipt, Sequence, StreamAppend};
use uuid::Uuid;

/// Places in the show's one quota: more than any run sells.
const QUOTA_CAPACITY: i64 = 1 << 40;
/// Seats in a row and rows in a section: the ids then look like those of a stadium.
const SEATS_PER_ROW: u64 = 40;
const ROWS_PER_SECTION: u64 = 30;
/// How long a hold lasts: long enough that no timer is due within a run.
const HOLD: TimeDelta = TimeDelta::minutes(10);
/// Name and address of a buyer as JSON, sealed: nonce and tag (40 bytes) and some 60 bytes of text.
const SEALED_BYTES: usize = 100;
/// The show's domain events, which every booking names as read.
const SHOW_SEQUENCE: Sequence = 2;

/// What a booking takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// A seat that nobody else wants.
    Seat,
    /// One place of the one quota that everybody draws on.
    Place,
}

/// A show on sale.
pub struct Show {
    event_id: EventId,
    organizer_id: OrganizerId,
    quota_id: QuotaId,
    seated: TicketTypeId,
    standing: TicketTypeId,
    price: Money,
    /// Where the seats are; without one the log alone is measured, which looks at no plan.
    plan: Option<SeatingPlan>,
    bookings: AtomicU64,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

impl Show {
    /// A show that stands nowhere yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            event_id: EventId(Uuid::new_v4()),
            organizer_id: OrganizerId(Uuid::new_v4()),
            quota_id: QuotaId(Uuid::new_v4()),
            seated: TicketTypeId(Uuid::new_v4()),
            standing: TicketTypeId(Uuid::new_v4()),
            price: Money::parse("1200000", "VND")?,
            plan: None,
            bookings: AtomicU64::new(0),
        })
    }

    /// The same in a hall of at least so many seats, whose plan stands in the log.
    pub fn in_hall(seats: u64) -> Result<Self> {
        let row = |section: u64, row: u64| {
            let seat = |seat: u64| {
                json!({"seat_guid": format!("{section}-{row}-{seat}"), "seat_number": seat.to_string(), "category": "Stalls",
                       "position": {"x": seat * 20, "y": 0}})
            };
            let seats: Vec<_> = (1..=SEATS_PER_ROW).map(seat).collect();
            json!({"row_number": row.to_string(), "position": {"x": 0, "y": row * 20}, "seats": seats})
        };
        let section = |section: u64| {
            let rows: Vec<_> = (1..=ROWS_PER_SECTION).map(|number| row(section, number)).collect();
            json!({"name": section.to_string(), "position": {"x": 0, "y": section * 1_000}, "rows": rows})
        };
        let sections = seats.div_ceil(SEATS_PER_ROW * ROWS_PER_SECTION);
        let plan = json!({
            "name": "The house", "size": {"width": 1_000, "height": 1_000 * (sections + 1)},
            "categories": [{"name": "Stalls", "color": "#00f"}],
            "zones": (1..=sections).map(section).collect::<Vec<_>>(),
        });
        let plan = SeatingPlan::import(&plan).map_err(|error| anyhow!("the hall's plan: {error:?}"))?;
        Ok(Self { plan: Some(plan), ..Self::new()? })
    }

    /// The show's stream.
    pub const fn stream(&self) -> StreamId {
        StreamId::new(StreamType::Event, self.event_id.0)
    }

    /// The tenant.
    pub const fn organizer_id(&self) -> OrganizerId {
        self.organizer_id
    }

    /// Creates and publishes the show.
    pub async fn put_on_sale(&self, log: &EventLog) -> Result<()> {
        let stream = self.stream();
        let events = [EventDomainEvent::from(self.created()?), EventDomainEvent::from(EventPublished {})];
        let append = Append {
            metadata: self.metadata(),
            organizer_id: Some(self.organizer_id),
            streams: vec![StreamAppend {
                stream,
                expected: 0,
                events: events.iter().map(|event| NewEvent::of(event, stream.id)).collect(),
            }],
            attachments: self.packed_plan().into_iter().collect(),
            ..Append::default()
        };
        log.append(append).await?;
        Ok(())
    }

    /// How many domain events [`Self::put_on_sale`] appends, and how many claims and timers they write.
    pub const ON_SALE_ROWS: OnSaleRows = OnSaleRows { events: 2, claims: 3, timers: 1 };

    fn packed_plan(&self) -> Option<Attachment> {
        let bytes = self.plan.as_ref()?.to_packed_json();
        Some(Attachment { hash: Sha256::digest(&bytes).into(), bytes: bytes.into() })
    }

    fn created(&self) -> Result<EventCreated> {
        let starts = NaiveDateTime::parse_from_str("2099-05-01T19:30:00", "%Y-%m-%dT%H:%M:%S")?;
        let ticket_type = |id, name: &str, quota_id: Option<QuotaId>| TicketType {
            id,
            name: name.to_owned(),
            price: self.price,
            seat_categories: if quota_id.is_some() { Vec::new() } else { vec!["Stalls".to_owned()] },
            quota_id,
            max_per_booking: 10,
            admission_class: u16::from(quota_id.is_some()),
        };
        Ok(EventCreated {
            organizer_id: self.organizer_id,
            event_number: 1,
            slug: "an-evening".to_owned(),
            title: "An evening".to_owned(),
            description: "Of music.".to_owned(),
            category: EventCategory::Concert,
            time_zone: "Asia/Ho_Chi_Minh".to_owned(),
            starts_at: VenueTime { local: starts, instant: (starts - TimeDelta::hours(7)).and_utc() },
            ends_at: None,
            venue: Venue {
                name: "The house".to_owned(),
                address: None,
                city: "Hanoi".to_owned(),
                country: "VN".to_owned(),
                latitude: None,
                longitude: None,
            },
            currency: Currency::parse("VND")?,
            ticket_types: vec![
                ticket_type(self.seated, "Stalls", None),
                ticket_type(self.standing, "Floor", Some(self.quota_id)),
            ],
            quotas: vec![Quota { id: self.quota_id, name: None, capacity: QUOTA_CAPACITY }],
            plan: Some(PlanSummary {
                hash: hex::encode(self.packed_plan().map_or_else(random::<32>, |plan| plan.hash)),
                categories: vec![CategorySeats { category: "Stalls".to_owned(), seats: 1_000_000 }],
            }),
            hold_seconds: 600,
            release_on_decline: false,
            sales_start: None,
            sales_end: None,
            max_per_person: Some(6),
        })
    }

    /// The next booking, by a new buyer, of one ticket.
    pub fn placed(&self, taking: Taking) -> BookingPlaced {
        let number = self.bookings.fetch_add(1, Ordering::Relaxed);
        let (row, seat) = (number / SEATS_PER_ROW, number % SEATS_PER_ROW + 1);
        let (section, row) = (row / ROWS_PER_SECTION + 1, row % ROWS_PER_SECTION + 1);
        let is_seat = taking == Taking::Seat;
        let line = Line {
            ticket_id: TicketId(Uuid::new_v4()),
            ticket_type_id: if is_seat { self.seated } else { self.standing },
            seat_id: is_seat.then(|| SeatId(format!("{section}-{row}-{seat}"))),
            seat_label: is_seat.then(|| format!("Section {section}, row {row}, seat {seat}")),
            quota_id: (!is_seat).then_some(self.quota_id),
            price: self.price,
        };
        BookingPlaced {
            event_id: self.event_id,
            organizer_id: self.organizer_id,
            code: BookingCode::from_random(u64::from_le_bytes(random())).to_string(),
            lines: vec![line],
            total: self.price,
            buyer: Sealed { person_id: PersonId(Uuid::new_v4()), sealed: STANDARD.encode(random::<SEALED_BYTES>()) },
            person: PersonMark(hex::encode(random::<32>())),
            max_per_person: Some(6),
            locale: Some("vi-VN".to_owned()),
            access_token_hash: hex::encode(random::<32>()),
            hold_expires_at: to_micros(Utc::now() + HOLD),
            release_on_decline: false,
        }
    }

    /// Where every append comes from.
    pub fn metadata(&self) -> Metadata {
        let trace: [u8; 24] = random();
        Metadata {
            command_id: Uuid::new_v4(),
            causation_id: None,
            correlation_id: Some(Uuid::new_v4()),
            actor: Some("buyer".to_owned()),
            traceparent: Some(format!("00-{}-{}-01", hex::encode(&trace[..16]), hex::encode(&trace[16..]))),
            show_id: Some(self.event_id),
        }
    }

    /// The receipt of that booking's command.
    pub fn receipt(&self, placed: &BookingPlaced, booking: Uuid) -> NewReceipt {
        NewReceipt {
            scope: format!("buyer/{}/{}", self.event_id, placed.person.0),
            operation: "placeBooking",
            key: Uuid::new_v4().to_string(),
            request_hash: random(),
            result: format!(r#"{{"booking":"{booking}"}}"#).into_bytes(),
        }
    }

    /// The whole append of the next booking.
    pub fn append(&self, taking: Taking) -> Append {
        let booking = Uuid::new_v4();
        let placed = self.placed(taking);
        let receipt = self.receipt(&placed, booking);
        let event = BookingDomainEvent::from(placed);
        Append {
            metadata: self.metadata(),
            organizer_id: Some(self.organizer_id),
            streams: vec![StreamAppend {
                stream: StreamId::new(StreamType::Booking, booking),
                expected: 0,
                events: vec![NewEvent::of(&event, booking)],
            }],
            reads: vec![(self.stream(), SHOW_SEQUENCE)],
            receipt: Some(receipt),
            ..Append::default()
        }
    }
}

/// Rows that a show on sale has in the log.
pub struct OnSaleRows {
    /// Domain events.
    pub events: u64,
    /// Claims.
    pub claims: u64,
    /// Timers.
    pub timers: u64,
}

/// Stores keep microseconds.
fn to_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}
