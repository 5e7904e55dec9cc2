//! The input objects, and what the write side calls them. One to one: nothing is judged or defaulted here but what the schema
//! itself gives as default.

use async_graphql::{ID, InputObject};
use tickiz_contract::request as ask;

use super::{
    enums::{EventCategory, PaymentMethod},
    scalars::{DateTime, Decimal, Json, LocalDateTime},
};

#[derive(InputObject)]
pub struct MoneyInput {
    pub amount: Decimal,
    pub currency: String,
}

#[derive(InputObject)]
pub struct VenueInput {
    pub name: String,
    pub address: Option<String>,
    pub city: String,
    pub country: String,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
}

#[derive(InputObject)]
pub struct TicketTypeInput {
    pub name: String,
    pub price: MoneyInput,
    /// General admission: how many there are. Left out where seatCategories or quota says it.
    pub capacity: Option<i32>,
    /// Types that name the same quota share it; capacity then stands on one of them, or the same on all.
    pub quota: Option<String>,
    #[graphql(default_with = "Some(Vec::new())")]
    pub seat_categories: Option<Vec<String>>,
    #[graphql(default_with = "Some(10)")]
    pub max_per_booking: Option<i32>,
}

#[derive(InputObject)]
pub struct CreateEventInput {
    pub title: String,
    #[graphql(default_with = "Some(String::new())")]
    pub description: Option<String>,
    pub category: EventCategory,
    pub starts_at: LocalDateTime,
    pub ends_at: Option<LocalDateTime>,
    pub time_zone: String,
    pub venue: VenueInput,
    pub ticket_types: Vec<TicketTypeInput>,
    /// A seating plan in pretix's open JSON format (zones, rows, seats, categories, areas).
    pub seating_plan: Option<Json>,
    /// How long a hold lasts, in seconds: 1 to 86400. Its end is in the log within 5 s.
    #[graphql(default_with = "Some(600)")]
    pub hold_seconds: Option<i32>,
    /// True: a declined payment releases the seats at once instead of leaving them to another try within the hold.
    #[graphql(default_with = "Some(false)")]
    pub release_on_decline: Option<bool>,
    pub sales_start: Option<LocalDateTime>,
    /// Left out: when the show starts.
    pub sales_end: Option<LocalDateTime>,
    pub max_per_person: Option<i32>,
    /// Left out: the caller's own, or the only one.
    pub organizer_id: Option<ID>,
    pub idempotency_key: Option<ID>,
}

/// What is left out stays as it is.
#[derive(InputObject)]
pub struct UpdateEventInput {
    pub id: ID,
    pub title: Option<String>,
    pub description: Option<String>,
    pub starts_at: Option<LocalDateTime>,
    pub ends_at: Option<LocalDateTime>,
    pub venue: Option<VenueInput>,
    pub ticket_types: Option<Vec<UpdateTicketTypeInput>>,
    pub sales_start: Option<LocalDateTime>,
    pub sales_end: Option<LocalDateTime>,
    pub max_per_person: Option<i32>,
    pub idempotency_key: Option<ID>,
}

/// A price counts for bookings placed from now on. Going below what is taken is INVALID_INPUT.
#[derive(InputObject)]
pub struct UpdateTicketTypeInput {
    pub ticket_type_id: ID,
    pub name: Option<String>,
    pub price: Option<MoneyInput>,
    pub capacity: Option<i32>,
    pub max_per_booking: Option<i32>,
}

#[derive(InputObject)]
pub struct EventFilter {
    pub text: Option<String>,
    pub category: Option<EventCategory>,
    pub city: Option<String>,
    pub near: Option<NearInput>,
    pub starts_after: Option<DateTime>,
    pub starts_before: Option<DateTime>,
    pub price_max: Option<MoneyInput>,
    #[graphql(default_with = "Some(false)")]
    pub available_only: Option<bool>,
}

#[derive(InputObject)]
pub struct NearInput {
    pub latitude: f64,
    pub longitude: f64,
    pub radius_km: f64,
}

#[derive(InputObject)]
pub struct BuyerInput {
    pub name: String,
    pub email: String,
}

/// A seat by its id in the plan (seat_guid); the type may be left out where only one covers the seat.
#[derive(InputObject)]
pub struct SeatSelection {
    pub seat_id: ID,
    pub ticket_type_id: Option<ID>,
}

#[derive(InputObject)]
pub struct TicketSelection {
    pub ticket_type_id: ID,
    pub quantity: i32,
}

#[derive(InputObject)]
pub struct PlaceBookingInput {
    pub event_id: ID,
    #[graphql(default_with = "Some(Vec::new())")]
    pub seats: Option<Vec<SeatSelection>>,
    /// General admission, or the best seats together where the type covers seats.
    #[graphql(default_with = "Some(Vec::new())")]
    pub tickets: Option<Vec<TicketSelection>>,
    pub buyer: BuyerInput,
    /// BCP 47, such as vi-VN: the language of mails and tickets.
    pub locale: Option<String>,
    pub idempotency_key: ID,
}

#[derive(InputObject)]
pub struct PayBookingInput {
    pub booking_id: ID,
    pub method: PaymentMethod,
    pub return_url: Option<String>,
    pub access_token: Option<String>,
    pub idempotency_key: ID,
}

#[derive(InputObject)]
pub struct CancelBookingInput {
    pub booking_id: ID,
    pub reason: Option<String>,
    pub access_token: Option<String>,
    pub idempotency_key: ID,
}

/// New codes in the place of those so far.
#[derive(InputObject)]
pub struct ReissueTicketsInput {
    /// The booking.
    pub booking_id: ID,
    /// Which of its tickets; left out: all with which nobody came in yet.
    pub ticket_ids: Option<Vec<ID>>,
    /// Why; sealed as the buyer's name is.
    pub reason: Option<String>,
    /// The booking's; not needed by the organiser whose show it is.
    pub access_token: Option<String>,
    /// Sent again, it is answered as before, and no further code is made.
    pub idempotency_key: ID,
}

/// What goes back of a booking: either some of its tickets or a sum.
#[derive(InputObject)]
pub struct RefundBookingInput {
    /// The booking.
    pub booking_id: ID,
    /// These tickets, for exactly what they cost; they let nobody in any more, and their places are open again. Where they are all that
    /// the booking has left, it ends, and everything that is left of its money goes back.
    pub ticket_ids: Option<Vec<ID>>,
    /// A sum in the currency of the booking, at most what is left of what was paid; the tickets stay as they are.
    pub amount: Option<MoneyInput>,
    /// Why; sealed as the buyer's name is.
    pub reason: Option<String>,
    /// Sent again, it is answered as before, and nothing more goes back.
    pub idempotency_key: ID,
}

impl From<RefundBookingInput> for ask::RefundBooking {
    fn from(input: RefundBookingInput) -> Self {
        Self {
            booking_id: input.booking_id.0,
            ticket_ids: input.ticket_ids.map(|ids| ids.into_iter().map(|id| id.0).collect()),
            amount: input.amount.map(Into::into),
            reason: input.reason,
            idempotency_key: input.idempotency_key.0,
        }
    }
}

/// A scan at a gate that is connected.
#[derive(InputObject)]
pub struct CheckInInput {
    /// The gate's show.
    pub event_id: ID,
    /// What the scanner read.
    pub code: String,
    /// The gate, as the house calls it; whoever comes a second time is told of it.
    pub gate: String,
    /// A UUID of the gate's own for this scan: sent again, it is answered as before.
    pub scan_id: ID,
}

/// The scans of a gate that was not connected, in the order they were made.
#[derive(InputObject)]
pub struct MergeScansInput {
    /// The gate's show.
    pub event_id: ID,
    /// The gate, as the house calls it.
    pub gate: String,
    /// At most 200 at a time.
    pub scans: Vec<OfflineScanInput>,
}

#[derive(InputObject)]
pub struct OfflineScanInput {
    /// A UUID of the gate's own for this scan: sent again, it is answered as before.
    pub scan_id: ID,
    /// What the scanner read.
    pub code: String,
    /// When, by the gate's clock.
    pub scanned_at: DateTime,
}

impl From<ReissueTicketsInput> for ask::ReissueTickets {
    fn from(input: ReissueTicketsInput) -> Self {
        Self {
            booking_id: input.booking_id.0,
            ticket_ids: input.ticket_ids.map(|ids| ids.into_iter().map(|id| id.0).collect()),
            reason: input.reason,
            access_token: input.access_token.map(ask::AccessToken),
            idempotency_key: input.idempotency_key.0,
        }
    }
}

impl From<CheckInInput> for ask::CheckIn {
    fn from(input: CheckInInput) -> Self {
        Self { event_id: input.event_id.0, code: input.code, gate: input.gate, scan_id: input.scan_id.0 }
    }
}

impl From<MergeScansInput> for ask::MergeScans {
    fn from(input: MergeScansInput) -> Self {
        let scan = |scan: OfflineScanInput| ask::OfflineScan {
            scan_id: scan.scan_id.0,
            code: scan.code,
            scanned_at: scan.scanned_at.0,
        };
        Self { event_id: input.event_id.0, gate: input.gate, scans: input.scans.into_iter().map(scan).collect() }
    }
}

fn text(time: Option<LocalDateTime>) -> Option<String> {
    time.map(|time| time.0)
}

impl From<MoneyInput> for ask::MoneyInput {
    fn from(money: MoneyInput) -> Self {
        Self { amount: money.amount.0, currency: money.currency }
    }
}

impl From<VenueInput> for ask::VenueInput {
    fn from(venue: VenueInput) -> Self {
        let VenueInput { name, address, city, country, latitude, longitude } = venue;
        Self { name, address, city, country, latitude, longitude }
    }
}

impl From<TicketTypeInput> for ask::TicketTypeInput {
    fn from(ty: TicketTypeInput) -> Self {
        Self {
            name: ty.name,
            price: ty.price.into(),
            capacity: ty.capacity.map(i64::from),
            quota: ty.quota,
            seat_categories: ty.seat_categories.unwrap_or_default(),
            max_per_booking: ty.max_per_booking.map_or(10, i64::from),
        }
    }
}

impl CreateEventInput {
    /// The command; `stored` gives a JSON value by its number.
    pub fn into_request(self, stored: impl FnOnce(usize) -> Option<serde_json::Value>) -> ask::CreateEvent {
        ask::CreateEvent {
            title: self.title,
            description: self.description.unwrap_or_default(),
            category: self.category.into(),
            starts_at: self.starts_at.0,
            ends_at: text(self.ends_at),
            time_zone: self.time_zone,
            venue: self.venue.into(),
            ticket_types: self.ticket_types.into_iter().map(Into::into).collect(),
            seating_plan: match self.seating_plan {
                Some(Json::Stored(number)) => stored(number),
                Some(Json::Value(_)) | None => None,
            },
            hold_seconds: self.hold_seconds.map_or(600, i64::from),
            release_on_decline: self.release_on_decline.unwrap_or(false),
            sales_start: text(self.sales_start),
            sales_end: text(self.sales_end),
            max_per_person: self.max_per_person.map(i64::from),
            organizer_id: self.organizer_id.map(|id| id.0),
            idempotency_key: self.idempotency_key.map(|key| key.0),
        }
    }
}

impl From<UpdateTicketTypeInput> for ask::UpdateTicketTypeInput {
    fn from(ty: UpdateTicketTypeInput) -> Self {
        Self {
            ticket_type_id: ty.ticket_type_id.0,
            name: ty.name,
            price: ty.price.map(Into::into),
            capacity: ty.capacity.map(i64::from),
            max_per_booking: ty.max_per_booking.map(i64::from),
        }
    }
}

impl From<UpdateEventInput> for ask::UpdateEvent {
    fn from(event: UpdateEventInput) -> Self {
        Self {
            id: event.id.0,
            title: event.title,
            description: event.description,
            starts_at: text(event.starts_at),
            ends_at: text(event.ends_at),
            venue: event.venue.map(Into::into),
            ticket_types: event.ticket_types.map(|types| types.into_iter().map(Into::into).collect()),
            sales_start: text(event.sales_start),
            sales_end: text(event.sales_end),
            max_per_person: event.max_per_person.map(i64::from),
            idempotency_key: event.idempotency_key.map(|key| key.0),
        }
    }
}

impl From<PlaceBookingInput> for ask::PlaceBooking {
    fn from(input: PlaceBookingInput) -> Self {
        let seat = |s: SeatSelection| ask::SeatSelection {
            seat_id: s.seat_id.0,
            ticket_type_id: s.ticket_type_id.map(|id| id.0),
        };
        let ticket = |t: TicketSelection| ask::TicketSelection {
            ticket_type_id: t.ticket_type_id.0,
            quantity: t.quantity.into(),
        };
        Self {
            event_id: input.event_id.0,
            seats: input.seats.unwrap_or_default().into_iter().map(seat).collect(),
            tickets: input.tickets.unwrap_or_default().into_iter().map(ticket).collect(),
            buyer: ask::BuyerInput { name: input.buyer.name, email: input.buyer.email },
            locale: input.locale,
            idempotency_key: input.idempotency_key.0,
        }
    }
}

impl From<PayBookingInput> for ask::PayBooking {
    fn from(input: PayBookingInput) -> Self {
        Self {
            booking_id: input.booking_id.0,
            method: input.method.into(),
            return_url: input.return_url,
            access_token: input.access_token.map(ask::AccessToken),
            idempotency_key: input.idempotency_key.0,
        }
    }
}

impl From<CancelBookingInput> for ask::CancelBooking {
    fn from(input: CancelBookingInput) -> Self {
        Self {
            booking_id: input.booking_id.0,
            reason: input.reason,
            access_token: input.access_token.map(ask::AccessToken),
            idempotency_key: input.idempotency_key.0,
        }
    }
}
