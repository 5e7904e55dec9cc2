//! What is left of a show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tickiz_domain::{
    event::{Show, TicketType},
    ids::QuotaId,
    money::Money,
};

use crate::view::TypeAvailability;

/// What of a show is taken, in counters; each is absolute. What is left of a type follows from them and the show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sales {
    /// The version of its seats.
    pub seat_version: i64,
    /// Places of all bookings that are held or confirmed.
    pub taken: i64,
    /// What is taken by quota and by seat category.
    pub counters: Counters,
}

/// What is taken, by what it is taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Places of bookings, by quota.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<QuotaId, i64>,
    /// Seats that are not free, blocked ones too, by category.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, i64>,
}

impl Sales {
    /// How many tickets of a type can be had now. A type on a quota: what is left of the quota. A type on seats: the free seats of
    /// its categories.
    #[must_use]
    pub fn available(&self, show: &Show, ticket_type: &TicketType) -> i64 {
        let taken: i64 = match ticket_type.quota_id {
            Some(quota) => self.counters.quotas.get(&quota).copied().unwrap_or(0),
            None => {
                let covered = ticket_type.seat_categories.iter().filter_map(|c| self.counters.categories.get(c));
                covered.sum()
            }
        };
        (show.capacity_of(ticket_type) - taken).max(0)
    }

    /// What is left of each type, in the organiser's order.
    #[must_use]
    pub fn availability(&self, show: &Show) -> Vec<TypeAvailability> {
        let of = |t: &TicketType| TypeAvailability { ticket_type_id: t.id, available: self.available(show, t) };
        show.ticket_types.iter().map(of).collect()
    }

    /// The lowest price of a type of which something is left.
    pub(crate) fn price_from(&self, show: &Show) -> Option<Money> {
        let had = show.ticket_types.iter().filter(|t| self.available(show, t) > 0);
        had.map(|t| t.price).min_by_key(Money::minor)
    }
}
