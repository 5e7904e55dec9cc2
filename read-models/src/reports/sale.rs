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

/// The tickets of one type in a booking: those that it has or had, or those of them that were given back while it went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleLine {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// How many.
    pub tickets: i64,
    /// What all of them cost, in minor units.
    pub price_minor: i64,
    /// Whether they were given back while the booking went on with others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// What went back for them, in minor units: of those alone that were given back while the booking went on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded_minor: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

impl SaleLine {
    /// Tickets that a booking has or had.
    #[must_use]
    pub const fn new(ticket_type_id: TicketTypeId, tickets: i64, price_minor: i64) -> Self {
        Self { ticket_type_id, tickets, price_minor, returned: false, refunded_minor: 0 }
    }

    /// Where they stand, by where their booking does.
    #[must_use]
    pub const fn status(&self, of_booking: SaleStatus) -> SaleStatus {
        if self.returned { SaleStatus::Cancelled } else { of_booking }
    }
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
    /// One line for each ticket type, in the order of the types' ids; after them one for each of which tickets were given back, in the
    /// order in which that began.
    pub lines: Vec<SaleLine>,
    /// Money that came for it, in minor units; money that a person has to look at first is not in it.
    pub received_minor: i64,
    /// Money that went back, in minor units.
    pub refunded_minor: i64,
    /// Refunds that were asked for and of which it is not recorded that the money went back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<RefundId, i64>,
    /// Of those, the ones that are for tickets that were given back: what each ticket cost, by its type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given_back: BTreeMap<RefundId, Vec<(TicketTypeId, i64)>>,
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
    /// A ticket of that type and price was given back, and the booking goes on.
    pub fn take_back(&mut self, ticket_type_id: TicketTypeId, price_minor: i64) {
        let has = |line: &&mut SaleLine| line.ticket_type_id == ticket_type_id && !line.returned;
        if let Some(line) = self.lines.iter_mut().find(has) {
            line.tickets -= 1;
            line.price_minor -= price_minor;
        }
        let line = self.returned(ticket_type_id);
        line.tickets += 1;
        line.price_minor += price_minor;
    }

    /// The tickets of that type that were given back while the booking went on.
    pub fn returned(&mut self, ticket_type_id: TicketTypeId) -> &mut SaleLine {
        let known = self.lines.iter().position(|line| line.returned && line.ticket_type_id == ticket_type_id);
        let at = known.unwrap_or_else(|| {
            self.lines.push(SaleLine { returned: true, ..SaleLine::new(ticket_type_id, 0, 0) });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    /// What of the money that came belongs to each line.
    #[must_use]
    pub fn received(&self) -> Vec<i64> {
        self.divided(self.received_minor, |_| true)
    }

    /// What of the money that went back belongs to each line: to tickets that were given back, what they cost; the rest to the others.
    #[must_use]
    pub fn refunded(&self) -> Vec<i64> {
        let exact: i64 = self.lines.iter().map(|line| line.refunded_minor).sum();
        let rest = self.divided(self.refunded_minor - exact, |line| !line.returned);
        rest.into_iter().zip(&self.lines).map(|(part, line)| part + line.refunded_minor).collect()
    }

    /// What of an amount belongs to each line: as its price is to all prices. A gateway takes and gives back sums and names no
    /// ticket, so this is a rule of ours. The parts are rounded down, each after what the lines before it have got, so that they
    /// sum to the amount; where nothing has a price, the last line gets it. Lines of which `of` does not speak get nothing.
    fn divided(&self, minor: i64, of: impl Fn(&SaleLine) -> bool) -> Vec<i64> {
        let whole: i128 = self.lines.iter().filter(|line| of(line)).map(|line| i128::from(line.price_minor)).sum();
        let (mut so_far, mut given) = (0_i128, 0_i64);
        let last = self.lines.iter().rposition(&of).unwrap_or_default();
        let part = |(at, line): (usize, &SaleLine)| {
            if !of(line) {
                return 0;
            }
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

    fn kind(at: usize) -> TicketTypeId {
        TicketTypeId(Uuid::from_u128(at as u128 + 1))
    }

    fn sale(prices: &[i64]) -> Sale {
        let line = |(at, price): (usize, &i64)| SaleLine::new(kind(at), 1, *price);
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
            given_back: BTreeMap::new(),
        }
    }

    #[test]
    fn an_amount_is_divided_as_the_prices_are() {
        assert_eq!(sale(&[300, 100]).divided(400, |_| true), [300, 100]);
        assert_eq!(sale(&[300, 100]).divided(200, |_| true), [150, 50]);
        assert_eq!(sale(&[1, 1, 1]).divided(2, |_| true), [0, 1, 1]);
        assert_eq!(sale(&[0, 0]).divided(5, |_| true), [0, 5]);
        assert_eq!(sale(&[7]).divided(14, |_| true), [14]);
    }

    #[test]
    fn what_a_ticket_cost_goes_back_for_it_and_the_rest_for_the_others() {
        let mut sale = sale(&[300, 100, 200]);
        sale.received_minor = 600;
        sale.take_back(kind(1), 100);
        sale.returned(kind(1)).refunded_minor += 100;
        sale.refunded_minor = 100;
        assert_eq!((sale.received(), sale.refunded()), (vec![300, 0, 200, 100], vec![0, 0, 0, 100]));
        sale.refunded_minor = 350;
        assert_eq!(sale.refunded(), [150, 0, 100, 100]);
        let tickets: Vec<_> =
            sale.lines.iter().map(|line| (line.tickets, line.status(SaleStatus::Confirmed))).collect();
        let confirmed = SaleStatus::Confirmed;
        assert_eq!(tickets, [(1, confirmed), (0, confirmed), (1, confirmed), (1, SaleStatus::Cancelled)]);
    }

    proptest! {
        #[test]
        fn the_parts_sum_to_the_amount_and_are_never_negative(
            prices in prop::collection::vec(0_i64..2_000_000_000, 1..8), minor in 0_i64..1_000_000_000_000_000,
        ) {
            let parts = sale(&prices).divided(minor, |_| true);
            prop_assert_eq!(parts.len(), prices.len());
            prop_assert_eq!(parts.iter().sum::<i64>(), minor);
            prop_assert!(parts.iter().all(|part| *part >= 0));
        }
    }
}
