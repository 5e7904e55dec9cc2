//! Identifiers. Each kind has its own type, so that a booking's id cannot be handed where an Event's is wanted.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            /// Reads the hyphenated lower- or upper-case form of RFC 9562.
            ///
            /// # Errors
            /// When the text is not a UUID.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

uuid_ids! {
    /// What is sold: a show, a match.
    EventId,
    /// One purchase. UUIDv5 of the caller's scope and idempotency key, so a retry meets its own booking.
    BookingId,
    /// The tenant.
    OrganizerId,
    /// What has a price.
    TicketTypeId,
    /// A number of places without seats, which one or more ticket types draw on.
    QuotaId,
    /// The right to enter.
    TicketId,
    /// A scan of a ticket at a gate, named by the gate.
    ScanId,
    /// One attempt to pay a booking.
    PaymentId,
    /// One attempt to give money back.
    RefundId,
    /// Names a person's data key; says nothing about who the person is.
    PersonId,
}

/// A seat by its id in the plan (`seat_guid`). Compares byte for byte in every store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SeatId(pub String);

impl SeatId {
    /// The id as it stands in the plan.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A buyer as a show recognises him for its limit per person: the hexadecimal HMAC-SHA-256 of the normalised address under
/// a pepper of that show. Two shows cannot be joined by it, and nobody without the pepper can guess an address from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PersonMark(pub String);
