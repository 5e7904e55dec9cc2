//! What is asked, as it came. Names are those of core.graphql. Nothing here is validated: that is command-api's one
//! validation layer, which names every fault by the same paths.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tickiz_domain::{booking::PaymentMethod, event::EventCategory};

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "operation", content = "input")]
pub enum Request {
    /// Mutation `createEvent`.
    CreateEvent(Box<CreateEvent>),
    /// Mutation `publishEvent`.
    PublishEvent {
        /// The Event.
        id: String,
    },
    /// Mutation `updateEvent`.
    UpdateEvent(Box<UpdateEvent>),
    /// Mutation `postponeEvent`.
    PostponeEvent(PostponeEvent),
    /// Mutation `cancelEvent`.
    CancelEvent {
        /// The Event.
        id: String,
        /// Why, for the public.
        reason: String,
    },
    /// Mutation `blockSeats`.
    BlockSeats(BlockSeats),
    /// Mutation `placeBooking`.
    PlaceBooking(PlaceBooking),
    /// Mutation `payBooking`.
    PayBooking(PayBooking),
    /// Mutation `cancelBooking`.
    CancelBooking(CancelBooking),
    /// Mutation `reissueTickets`.
    ReissueTickets(ReissueTickets),
    /// Mutation `refundBooking`.
    RefundBooking(RefundBooking),
    /// Mutation `checkIn`.
    CheckIn(CheckIn),
    /// Mutation `mergeScans`.
    MergeScans(MergeScans),
}

impl Request {
    /// The mutation's name: the receipt's operation, and a field in the program's log.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::CreateEvent(_) => "createEvent",
            Self::PublishEvent { .. } => "publishEvent",
            Self::UpdateEvent(_) => "updateEvent",
            Self::PostponeEvent(_) => "postponeEvent",
            Self::CancelEvent { .. } => "cancelEvent",
            Self::BlockSeats(_) => "blockSeats",
            Self::PlaceBooking(_) => "placeBooking",
            Self::PayBooking(_) => "payBooking",
            Self::CancelBooking(_) => "cancelBooking",
            Self::ReissueTickets(_) => "reissueTickets",
            Self::RefundBooking(_) => "refundBooking",
            Self::CheckIn(_) => "checkIn",
            Self::MergeScans(_) => "mergeScans",
        }
    }

    /// Whether it may be sent again when its answer was lost: it has a key by which its repetition is answered and not carried out again,
    /// or comes to the same however often it is carried out (scans have ids of their own).
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        match self {
            Self::PlaceBooking(_) | Self::PayBooking(_) | Self::CancelBooking(_) | Self::ReissueTickets(_) => true,
            Self::RefundBooking(_) | Self::CheckIn(_) | Self::MergeScans(_) => true,
            Self::CreateEvent(create) => create.idempotency_key.is_some(),
            Self::UpdateEvent(update) => update.idempotency_key.is_some(),
            Self::PublishEvent { .. } | Self::PostponeEvent(_) | Self::CancelEvent { .. } | Self::BlockSeats(_) => {
                false
            }
        }
    }
}

/// An amount as a decimal number in a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct MoneyInput {
    pub amount: String,
    pub currency: String,
}

/// core.graphql `VenueInput`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct VenueInput {
    pub name: String,
    pub address: Option<String>,
    pub city: String,
    pub country: String,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
}

/// core.graphql `TicketTypeInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct TicketTypeInput {
    pub name: String,
    pub price: MoneyInput,
    pub capacity: Option<i64>,
    pub quota: Option<String>,
    pub seat_categories: Vec<String>,
    pub max_per_booking: i64,
}

/// core.graphql `CreateEventInput`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct CreateEvent {
    pub title: String,
    pub description: String,
    pub category: EventCategory,
    pub starts_at: String,
    pub ends_at: Option<String>,
    pub time_zone: String,
    pub venue: VenueInput,
    pub ticket_types: Vec<TicketTypeInput>,
    pub seating_plan: Option<Value>,
    pub hold_seconds: i64,
    pub release_on_decline: bool,
    pub sales_start: Option<String>,
    pub sales_end: Option<String>,
    pub max_per_person: Option<i64>,
    pub organizer_id: Option<String>,
    pub idempotency_key: Option<String>,
}

/// core.graphql `UpdateTicketTypeInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct UpdateTicketTypeInput {
    pub ticket_type_id: String,
    pub name: Option<String>,
    pub price: Option<MoneyInput>,
    pub capacity: Option<i64>,
    pub max_per_booking: Option<i64>,
}

/// core.graphql `UpdateEventInput`. What is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct UpdateEvent {
    pub id: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    pub venue: Option<VenueInput>,
    pub ticket_types: Option<Vec<UpdateTicketTypeInput>>,
    pub sales_start: Option<String>,
    pub sales_end: Option<String>,
    pub max_per_person: Option<i64>,
    pub idempotency_key: Option<String>,
}

/// The arguments of core.graphql `postponeEvent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct PostponeEvent {
    pub id: String,
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    pub reason: String,
}

/// The arguments of core.graphql `blockSeats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct BlockSeats {
    pub event_id: String,
    pub seat_ids: Vec<String>,
    pub blocked: bool,
}

/// core.graphql `BuyerInput`. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct BuyerInput {
    pub name: String,
    pub email: String,
}

impl std::fmt::Debug for BuyerInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BuyerInput(…)")
    }
}

/// core.graphql `SeatSelection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct SeatSelection {
    pub seat_id: String,
    pub ticket_type_id: Option<String>,
}

/// core.graphql `TicketSelection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct TicketSelection {
    pub ticket_type_id: String,
    pub quantity: i64,
}

/// core.graphql `PlaceBookingInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct PlaceBooking {
    pub event_id: String,
    pub seats: Vec<SeatSelection>,
    pub tickets: Vec<TicketSelection>,
    pub buyer: BuyerInput,
    pub locale: Option<String>,
    pub idempotency_key: String,
}

/// A booking's access token as the caller gave it. Prints nothing of itself; crosses the internal border only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessToken(pub String);

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// core.graphql `PayBookingInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct PayBooking {
    pub booking_id: String,
    pub method: PaymentMethod,
    pub return_url: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}

/// New codes in the place of those so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the schema says it")]
pub struct ReissueTickets {
    pub booking_id: String,
    pub ticket_ids: Option<Vec<String>>,
    pub reason: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}

/// Some tickets of a booking that goes on go back, or a sum: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the schema says it")]
pub struct RefundBooking {
    pub booking_id: String,
    pub ticket_ids: Option<Vec<String>>,
    pub amount: Option<MoneyInput>,
    pub reason: Option<String>,
    pub idempotency_key: String,
}

/// A scan at a gate that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the schema says it")]
pub struct CheckIn {
    pub event_id: String,
    pub code: String,
    pub gate: String,
    pub scan_id: String,
}

/// The scans of a gate that was not connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the schema says it")]
pub struct MergeScans {
    pub event_id: String,
    pub gate: String,
    pub scans: Vec<OfflineScan>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the schema says it")]
pub struct OfflineScan {
    pub scan_id: String,
    pub code: String,
    /// RFC 3339.
    pub scanned_at: String,
}

/// core.graphql `CancelBookingInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct CancelBooking {
    pub booking_id: String,
    pub reason: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}
