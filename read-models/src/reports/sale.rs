//! What a booking comes to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tickiz_domain::{
    ids::{BookingId, EventId, OrganizerId, RefundId, TicketTypeId},
    money::Currency,
};

use crate::Position;

/// Where a booking stands, as reports tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SaleStatus {
    /// Its places are kept until its deadline.
    Held,
    /// It has tickets.
    Confirmed,
    /// Its hold ran out.
    Expired,
    /// Given up by the buyer or the organiser, before or after it was paid.
    Cancelled,
}

impl SaleStatus {
    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Confirmed => "CONFIRMED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// The tickets of one type in a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleLine {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// How many.
    pub tickets: i64,
    /// What all of them cost, in minor units.
    pub price_minor: i64,
}

/// A booking as far as reports want to know. Nobody stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sale {
    /// The show.
    pub event_id: EventId,
    /// Whose show it is.
    pub organizer_id: OrganizerId,
    /// The show's currency.
    pub currency: Currency,
    /// When it was recorded that it was placed.
    pub placed_at: DateTime<Utc>,
    /// Where it stands.
    pub status: SaleStatus,
    /// When it was recorded for the first time that its tickets were issued.
    pub sold_at: Option<DateTime<Utc>>,
    /// One line for each ticket type, in the order of the types' ids.
    pub lines: Vec<SaleLine>,
    /// Money that came for it, in minor units; money that a person has to look at first is not in it.
    pub received_minor: i64,
    /// Money that went back, in minor units.
    pub refunded_minor: i64,
    /// Refunds that were asked for and of which it is not recorded that the money went back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<RefundId, i64>,
}

/// A booking's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleRecord {
    /// The booking.
    pub id: BookingId,
    /// What it comes to.
    pub sale: Sale,
    /// The position of the last domain event that changed it.
    pub position: Position,
}

impl Sale {
    /// What of an amount belongs to each line: as its price is to all prices. A gateway takes and gives back sums and names no
    /// ticket, so this is a rule of ours. The parts are rounded down, each after what the lines before it have got, so that they
    /// sum to the amount; where nothing has a price, the last line gets it.
    #[must_use]
    pub fn divided(&self, minor: i64) -> Vec<i64> {
        let whole: i128 = self.lines.iter().map(|line| i128::from(line.price_minor)).sum();
        let (mut so_far, mut given) = (0_i128, 0_i64);
        let last = self.lines.len().saturating_sub(1);
        let part = |(at, line): (usize, &SaleLine)| {
            so_far += i128::from(line.price_minor);
            let up_to = match i64::try_from(i128::from(minor) * so_far / whole.max(1)) {
                Ok(up_to) if at < last => up_to,
                _ => minor,
            };
            let part = up_to - given;
            given = up_to;
            part
        };
        self.lines.iter().enumerate().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn sale(prices: &[i64]) -> Sale {
        let line = |(at, price): (usize, &i64)| SaleLine {
            ticket_type_id: TicketTypeId(Uuid::from_u128(at as u128 + 1)),
            tickets: 1,
            price_minor: *price,
        };
        Sale {
            event_id: EventId(Uuid::from_u128(1)),
            organizer_id: OrganizerId(Uuid::from_u128(2)),
            currency: Currency::VND,
            placed_at: DateTime::UNIX_EPOCH,
            status: SaleStatus::Held,
            sold_at: None,
            lines: prices.iter().enumerate().map(line).collect(),
            received_minor: 0,
            refunded_minor: 0,
            refunds: BTreeMap::new(),
        }
    }

    #[test]
    fn an_amount_is_divided_as_the_prices_are() {
        assert_eq!(sale(&[300, 100]).divided(400), [300, 100]);
        assert_eq!(sale(&[300, 100]).divided(200), [150, 50]);
        assert_eq!(sale(&[1, 1, 1]).divided(2), [0, 1, 1]);
        assert_eq!(sale(&[0, 0]).divided(5), [0, 5]);
        assert_eq!(sale(&[7]).divided(14), [14]);
    }

    proptest! {
        #[test]
        fn the_parts_sum_to_the_amount_and_are_never_negative(
            prices in prop::collection::vec(0_i64..2_000_000_000, 1..8), minor in 0_i64..1_000_000_000_000_000,
        ) {
            let parts = sale(&prices).divided(minor);
            prop_assert_eq!(parts.len(), prices.len());
            prop_assert_eq!(parts.iter().sum::<i64>(), minor);
            prop_assert!(parts.iter().all(|part| *part >= 0));
        }
    }
}
