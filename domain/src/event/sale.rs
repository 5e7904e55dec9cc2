//! Whether a show sells at a moment, and whether it stands by what it sold.

use chrono::{DateTime, Utc};

use super::state::{EventStatus, Show};

/// Why a show does not sell now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOnSale {
    /// It is a draft, which nobody but its organiser sees.
    #[error("the event is not published")]
    Draft,
    /// It will not take place.
    #[error("the event is cancelled")]
    Cancelled,
    /// It took place.
    #[error("the event is over")]
    Completed,
    /// Its new date is open.
    #[error("the event is postponed; it is on sale again when it has a new date")]
    Postponed,
    /// Its sale has not begun.
    #[error("tickets are on sale from {from}")]
    NotYet {
        /// When it begins.
        from: DateTime<Utc>,
    },
    /// Its sale has ended.
    #[error("the sale ended at {at}")]
    Ended {
        /// When it ended.
        at: DateTime<Utc>,
    },
}

impl Show {
    /// Whether tickets can be had at `now`: from the sale's beginning on, up to its end.
    ///
    /// # Errors
    /// Why not.
    pub fn check_on_sale(&self, now: DateTime<Utc>) -> Result<(), NotOnSale> {
        match self.status {
            EventStatus::Draft => return Err(NotOnSale::Draft),
            EventStatus::Cancelled => return Err(NotOnSale::Cancelled),
            EventStatus::Completed => return Err(NotOnSale::Completed),
            EventStatus::Published if self.postponed => return Err(NotOnSale::Postponed),
            EventStatus::Published => {}
        }
        if let Some(from) = self.sales_start.map(|start| start.instant).filter(|from| now < *from) {
            return Err(NotOnSale::NotYet { from });
        }
        let at = self.sales_end_instant();
        if now < at { Ok(()) } else { Err(NotOnSale::Ended { at }) }
    }

    /// Whether it has begun at `now`. One whose date is open has not.
    #[must_use]
    pub fn has_started(&self, now: DateTime<Utc>) -> bool {
        !self.postponed && self.starts_at.instant <= now
    }

    /// Whether it has ended at `now`. One whose date is open has not.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        !self.postponed && self.over_at() <= now
    }

    /// Whether a payment that comes at `now` still becomes a ticket: it was published and is neither cancelled nor over. A
    /// postponed show stands by what it sold.
    #[must_use]
    pub fn honours_bookings(&self, now: DateTime<Utc>) -> bool {
        self.status == EventStatus::Published && !self.is_over(now)
    }
}
