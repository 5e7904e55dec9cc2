//! The domain events of a Booking, as they are stored. A field is only ever added, with a `serde` default; anything else is
//! a new version with an upcaster.
//!
//! A booking's status changes by `BookingPlaced`, `BookingConfirmed`, `BookingExpired`, `BookingCancelled`,
//! `BookingReinstated` and `BookingRefunded` and by nothing else. Each of these that takes or gives back places carries them
//! itself, so that claims and the read side need no other domain event to understand it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{claims_of, timers_of};
use crate::{
    domain_events,
    ids::{EventId, OrganizerId, PaymentId, PersonMark, QuotaId, RefundId, ScanId, SeatId, TicketId, TicketTypeId},
    money::Money,
    sealed::Sealed,
    stream::StreamType,
};

domain_events! {
    /// What can have happened to a Booking.
    pub enum BookingDomainEvent for StreamType::Booking;
    /// A buyer holds places.
    BookingPlaced = 1,
    /// It is paid, or free; tickets are issued.
    BookingConfirmed = 1,
    /// Its hold ran out.
    BookingExpired = 1,
    /// The buyer, the organiser or a decline ended it.
    BookingCancelled = 1,
    /// It was paid after its hold ran out, and its places were still there.
    BookingReinstated = 1,
    /// All its money went back.
    BookingRefunded = 1,
    /// A payment attempt was recorded; nothing has left the house yet.
    PaymentCreated = 2 [without_clear_return_url],
    /// The gateway knows the attempt and the buyer can pay.
    PaymentPending = 1,
    /// The gateway has the money.
    PaymentSucceeded = 1,
    /// The gateway declined.
    PaymentFailed = 1,
    /// The buyer gave up, or another attempt took its place.
    PaymentCancelled = 1,
    /// The gateway's own deadline passed.
    PaymentExpired = 1,
    /// Money came that does not fit; a person has to look.
    PaymentHeldForReview = 1,
    /// Money has to go back.
    RefundRequested = 1,
    /// Money went back.
    RefundSucceeded = 1,
    /// The gateway refused to give it back; a person has to look.
    RefundFailed = 1,
    /// Somebody was let in with a ticket.
    TicketAdmitted = 1,
    /// A gate without a network had let somebody in who should not have been.
    TicketScanConflicted = 1,
    /// Tickets got new codes; those so far let nobody in any more.
    TicketsReissued = 1,
    /// Some tickets were given back; they let nobody in any more, and the booking goes on with the others.
    TicketsRevoked = 1,
}

/// One ticket's line in a booking, priced when it was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The ticket that will be issued.
    pub ticket_id: TicketId,
    /// What was bought.
    pub ticket_type_id: TicketTypeId,
    /// Which seat; `None` for general admission, and then written as `null`, since readers outside look the field up.
    #[serde(default)]
    pub seat_id: Option<SeatId>,
    /// Section, row and number as a person reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_label: Option<String>,
    /// The quota that it draws on; `None` for a seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_id: Option<QuotaId>,
    /// What it costs.
    pub price: Money,
}

/// What a booking takes of its show: the seats, the places of each quota, and one person's count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Places {
    /// The show.
    pub event_id: EventId,
    /// The seats, as in the plan.
    #[serde(default)]
    pub seat_ids: Vec<SeatId>,
    /// The places of each quota.
    #[serde(default)]
    pub quotas: BTreeMap<QuotaId, i64>,
    /// Whose they are, for the limit per person.
    pub person: PersonMark,
    /// All of them together: seats and places.
    pub count: i64,
    /// The show's limit per person when they were taken; `None` where it sets none. Not of interest when given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_person: Option<i64>,
}

impl Places {
    /// What these lines take of a show.
    #[must_use]
    pub fn of<'a>(
        event_id: EventId,
        lines: impl IntoIterator<Item = &'a Line>,
        person: PersonMark,
        max_per_person: Option<i64>,
    ) -> Self {
        let (mut seat_ids, mut quotas, mut count) = (Vec::new(), BTreeMap::new(), 0);
        for line in lines {
            seat_ids.extend(line.seat_id.clone());
            if let Some(quota) = line.quota_id {
                *quotas.entry(quota).or_insert(0) += 1;
            }
            count += 1;
        }
        Self { event_id, seat_ids, quotas, person, count, max_per_person }
    }
}

/// What a ticket's code says, without its signature: who reads the log cannot enter with it. The fields are those of TKZ1's
/// payload; the show's number and the key's number are beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedTicket {
    /// The ticket.
    pub ticket_id: TicketId,
    /// What was bought.
    pub ticket_type_id: TicketTypeId,
    /// Which seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_id: Option<SeatId>,
    /// The signing key's number.
    pub kid: u8,
    /// The show's number.
    pub event_number: u32,
    /// Random; as text, since JSON numbers end at 2^53.
    pub number: TicketNumber,
    /// The gate rule's number.
    pub admission_class: u16,
    /// Raised at every re-issue.
    pub revision: u8,
    /// TKZ1's flags.
    pub flags: u8,
    /// Not valid before, unix seconds.
    pub not_before: u32,
    /// Not valid after, unix seconds.
    pub expires: u32,
}

/// A ticket's random number in its code. Stored as decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TicketNumber(pub u64);

impl Serialize for TicketNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TicketNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TicketNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TicketNumber".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{1,20}$" })
    }
}

/// How money is or was to be paid. The names are those of the GraphQL enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PaymentMethod {
    Sandbox,
    Stripe,
    Paypal,
    Vnpay,
    Momo,
    Bitcoin,
}

/// A buyer holds places until [`BookingPlaced::hold_expires_at`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingPlaced {
    /// The show.
    pub event_id: EventId,
    /// The tenant that sells it.
    pub organizer_id: OrganizerId,
    /// The human code, such as `K7QF-2MXD`.
    pub code: String,
    /// The priced lines, one a ticket.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
    /// The buyer, sealed with his own key.
    pub buyer: Sealed,
    /// Whose places these are, for the limit per person.
    pub person: PersonMark,
    /// The limit per person that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_person: Option<i32>,
    /// BCP 47: the language of mails and tickets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// SHA-256 of the access token, hexadecimal; the token itself is nowhere.
    pub access_token_hash: String,
    /// When the hold runs out.
    pub hold_expires_at: DateTime<Utc>,
    /// Whether a declined payment ends the booking at once, as the show said when it was placed.
    #[serde(default)]
    pub release_on_decline: bool,
}

/// It is paid, or free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingConfirmed {
    /// The show.
    pub event_id: EventId,
    /// The tickets, in the order of the lines.
    pub tickets: Vec<IssuedTicket>,
    /// The attempt that paid it; `None` where the total was 0 and payment was waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
}

/// Its hold ran out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingExpired {
    /// What is open again.
    pub released: Places,
}

/// Who ended a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelledBy {
    /// The buyer.
    Buyer,
    /// The organiser.
    Organizer,
    /// A declined payment, where the show releases on decline.
    Decline,
    /// The show's cancellation.
    EventCancelled,
}

/// Somebody ended it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingCancelled {
    /// Who.
    pub by: CancelledBy,
    /// Why, in his words; sealed with the buyer's key, since people write names and numbers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// What is open again.
    pub released: Places,
}

/// It was paid after its hold ran out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingReinstated {
    /// What was taken again: all of it, as placed.
    pub taken: Places,
    /// The tickets, in the order of the lines.
    pub tickets: Vec<IssuedTicket>,
    /// The attempt that paid it.
    pub payment_id: PaymentId,
}

/// All its money went back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingRefunded {
    /// What went back, all refunds together.
    pub amount: Money,
}

/// A payment attempt was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The attempt; also the gateway's idempotency key.
    pub payment_id: PaymentId,
    /// By which gateway.
    pub method: PaymentMethod,
    /// How much.
    pub amount: Money,
    /// Where the buyer's browser goes afterwards, sealed with his key: shops put order numbers and names into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<Sealed>,
    /// Until when the gateway is to accept the payment.
    pub pay_until: DateTime<Utc>,
}

/// Version 1 had the address in the clear. It is wanted once, when the gateway is told of the attempt, and by nobody afterwards.
fn without_clear_return_url(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.remove("returnUrl");
    }
    document
}

/// The gateway knows the attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPending {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// Where the buyer pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
}

/// The gateway has the money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentSucceeded {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// What the gateway says it has.
    pub amount: Money,
}

/// The gateway declined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The gateway's reason, as far as a buyer may know it.
    pub reason: String,
}

/// The attempt was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCancelled {
    /// The attempt.
    pub payment_id: PaymentId,
    /// Whether the gateway still has to be told.
    #[serde(default)]
    pub tell_gateway: bool,
}

/// The gateway's own deadline passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentExpired {
    /// The attempt.
    pub payment_id: PaymentId,
}

/// Money came that does not fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentHeldForReview {
    /// The attempt.
    pub payment_id: PaymentId,
    /// The gateway's own id of it.
    pub gateway_reference: String,
    /// What the gateway says it has.
    pub received: Money,
    /// What does not fit.
    pub reason: String,
}

/// Who had a part of a booking's money go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundedBy {
    /// The organiser.
    Organizer,
}

/// Money has to go back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundRequested {
    /// The refund; also the gateway's idempotency key.
    pub refund_id: RefundId,
    /// The attempt whose money it is.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// Who wanted it, where it is a part of what paid for a booking that goes on; `None` where all of an attempt's money goes back
    /// because its booking ended, or because it bought nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RefundedBy>,
    /// The tickets whose prices these are; none for a sum that leaves the tickets as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticket_ids: Vec<TicketId>,
    /// Why, in his words who wanted it; sealed with the buyer's key, since people write names and numbers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Sealed>,
}

impl RefundRequested {
    /// All that is left of an attempt's money, or that bought nothing: no part of a booking that goes on.
    #[must_use]
    pub const fn whole(refund_id: RefundId, payment_id: PaymentId, amount: Money, reason: String) -> Self {
        Self { refund_id, payment_id, amount, reason, by: None, ticket_ids: Vec::new(), note: None }
    }
}

/// Money went back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundSucceeded {
    /// The refund.
    pub refund_id: RefundId,
    /// The gateway's own id of it.
    pub gateway_reference: String,
}

/// The gateway refused to give it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundFailed {
    /// The refund.
    pub refund_id: RefundId,
    /// The gateway's reason.
    pub reason: String,
}

/// Somebody was let in with a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketAdmitted {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The scan, by the gate's own id of it.
    pub scan_id: ScanId,
    /// The gate, as the house calls it.
    pub gate: String,
    /// When, by the gate's clock.
    pub scanned_at: DateTime<Utc>,
}

/// What was wrong with a scan of a gate without a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScanConflict {
    /// Somebody else had been let in with the same ticket.
    AlreadyUsed,
    /// The ticket was refunded or cancelled.
    Revoked,
    /// The ticket had been issued anew.
    Superseded,
}

/// A gate without a network had let somebody in who should not have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketScanConflicted {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The scan, by the gate's own id of it.
    pub scan_id: ScanId,
    /// The gate, as the house calls it.
    pub gate: String,
    /// When, by the gate's clock.
    pub scanned_at: DateTime<Utc>,
    /// What was wrong.
    pub conflict: ScanConflict,
}

/// Who had tickets issued anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReissuedBy {
    /// The buyer.
    Buyer,
    /// The organiser.
    Organizer,
}

/// Tickets got new codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketsReissued {
    /// The show.
    pub event_id: EventId,
    /// The tickets as they are now, in the order of the lines. Of each, every lower revision is invalid.
    pub tickets: Vec<IssuedTicket>,
    /// Who wanted it.
    pub by: ReissuedBy,
    /// Why, in his words; sealed with the buyer's key, since people write names and numbers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
}

/// A ticket that was given back, as it was sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedTicket {
    /// The ticket.
    pub ticket_id: TicketId,
    /// What was bought.
    pub ticket_type_id: TicketTypeId,
    /// What was paid for it, as its line recorded it.
    pub price: Money,
}

/// Some tickets were given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketsRevoked {
    /// The show.
    pub event_id: EventId,
    /// The tickets, in the order of the lines.
    pub tickets: Vec<RevokedTicket>,
    /// What is open again.
    pub released: Places,
    /// Who wanted it.
    pub by: RefundedBy,
    /// Why, in his words; sealed with the buyer's key, since people write names and numbers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// The refund that is asked for with it; `None` where the tickets cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<RefundId>,
}
