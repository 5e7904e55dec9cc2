//! The input of every document: plain values, which whoever calls fills from wherever he has them.
//!
//! Texts are taken as they are. Each document makes them harmless in its own way, so nothing here is validated but what no
//! document could do without.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::locale::Locale;

/// The most tickets that one booking's documents have. Ten times what a shop sells at once, and still a PDF of two
/// megabytes and a mail that servers take.
pub const MAX_TICKETS: usize = 200;

/// What somebody bought, as far as documents tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// The language in which the buyer reads.
    pub locale: Locale,
    /// What the tickets are for.
    pub show: Show,
    /// The booking's code, which the buyer says at a counter.
    pub reference: String,
    /// The buyer's name, if known.
    pub buyer: Option<String>,
    /// What was paid or is to be paid, with its currency, ready to be read.
    pub total: Option<String>,
    /// The booking's own page.
    pub link: String,
    /// When what the documents tell happened. The PDF's creation date and the calendar's `DTSTAMP`; never a clock's now, since
    /// documents made again must be the same.
    pub issued_at: DateTime<Utc>,
    /// The tickets, in the order in which they are counted: the first is number 1. At most [`MAX_TICKETS`].
    pub tickets: Vec<Ticket>,
}

/// A show.
#[derive(Clone, Debug, PartialEq)]
pub struct Show {
    /// Its title.
    pub title: String,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it is expected to end.
    pub ends_at: Option<DateTime<Utc>>,
    /// When the doors open.
    pub doors_at: Option<DateTime<Utc>>,
    /// It was put off and has no date yet: no document names [`Self::starts_at`] as the date.
    pub postponed: bool,
    /// The zone whose clock hangs at the venue. Every date is told in it.
    pub time_zone: Tz,
    /// Where it is.
    pub venue: Venue,
    /// Who holds it.
    pub organizer: String,
    /// The show's page.
    pub link: String,
}

/// A place where shows are.
#[derive(Clone, Debug, PartialEq)]
pub struct Venue {
    /// Its name.
    pub name: String,
    /// Street, district, city, as one line.
    pub address: Option<String>,
    /// Where that is on a map.
    pub position: Option<Position>,
}

impl Venue {
    /// Name and address in one line.
    #[must_use]
    pub fn one_line(&self) -> String {
        let address = self.address.as_deref().filter(|address| !address.trim().is_empty());
        address.map_or_else(|| self.name.clone(), |address| format!("{}, {address}", self.name))
    }
}

/// A point on the Earth, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    latitude: f64,
    longitude: f64,
}

impl Position {
    /// Degrees north and degrees east; none if they are not numbers or not on the Earth.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        // A comparison with a NaN is false, so this refuses it too.
        let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        on_earth.then_some(Self { latitude, longitude })
    }

    /// Degrees north, -90 to 90.
    #[must_use]
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east, -180 to 180.
    #[must_use]
    pub const fn longitude(self) -> f64 {
        self.longitude
    }
}

/// One ticket: one person, once through the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// Its type's name.
    pub kind: String,
    /// Its seat, if it has one.
    pub seat: Option<Seat>,
    /// Its price with its currency, ready to be read.
    pub price: Option<String>,
    /// Whose it is, if known.
    pub holder: Option<String>,
    /// The text of its QR code (`TKZ1:…`).
    pub code: String,
}

/// A seat, as its signs say it. What a house does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// The section, block or stand.
    pub section: Option<String>,
    /// The row.
    pub row: Option<String>,
    /// The seat within the row, or a label that says all.
    pub seat: Option<String>,
}

impl Seat {
    /// All of it in one line, in the language's words; empty if nothing is known.
    #[must_use]
    pub fn one_line(&self, locale: Locale) -> String {
        let (row, seat) = locale.pick(("Row", "Seat"), ("Hàng", "Ghế"));
        let some =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let parts = [
            some(&self.section),
            some(&self.row).map(|value| format!("{row} {value}")),
            some(&self.seat).map(|value| format!("{seat} {value}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_on_the_earth() {
        assert!(Position::new(21.024_5, 105.857_5).is_some());
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::new(latitude, longitude), None);
        }
    }

    #[test]
    fn a_seat_is_told_without_what_it_does_not_have() {
        let seat = |section: &str, row: &str, seat: &str| {
            let some = |text: &str| Some(text.to_owned());
            Seat { section: some(section), row: some(row), seat: some(seat) }
        };
        assert_eq!(seat("Khán đài A", "C", "12").one_line(Locale::Vi), "Khán đài A · Hàng C · Ghế 12");
        assert_eq!(seat("", " ", "12").one_line(Locale::En), "Seat 12");
        assert_eq!(Seat::default().one_line(Locale::En), "");
    }
}
