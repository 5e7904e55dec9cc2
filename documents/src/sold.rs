//! From what the domain knows of a purchase to what documents tell of it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tickiz_domain::{
    booking::{IssuedTicket, Purchase},
    event,
};

use crate::{Booking, Locale, Position, Seat, Show, Ticket, Venue};

/// A purchase with what stands beside it.
#[derive(Clone, Copy)]
pub struct Sold<'a> {
    /// The booking.
    pub purchase: &'a Purchase,
    /// The show.
    pub show: &'a event::Show,
    /// The tickets with the texts of their codes, in order.
    pub tickets: &'a [(&'a IssuedTicket, String)],
    /// The buyer's name, where it may be told.
    pub buyer: Option<&'a str>,
    /// Who sells.
    pub organizer: &'a str,
    /// The booking's own page.
    pub link: &'a str,
    /// When what the documents tell happened.
    pub issued_at: DateTime<Utc>,
}

impl Booking {
    /// The booking as documents want it.
    #[must_use]
    pub fn of(sold: Sold<'_>) -> Self {
        let Sold { purchase, show, tickets, buyer, organizer, link, issued_at } = sold;
        let ticket = |(issued, code): &(&IssuedTicket, String)| {
            let line = purchase.lines.iter().find(|line| line.ticket_id == issued.ticket_id);
            let label = line.and_then(|line| line.seat_label.clone());
            Ticket {
                kind: show.ticket_type(issued.ticket_type_id).map_or_else(String::new, |kind| kind.name.clone()),
                // Section, row and number stand in one label, as the house writes it.
                seat: label.map(|label| Seat { section: Some(label), row: None, seat: None }),
                price: line.map(|line| line.price.to_string()),
                holder: None,
                code: code.clone(),
            }
        };
        Self {
            locale: Locale::of(purchase.locale.as_deref()),
            show: show_of(show, organizer, link),
            reference: purchase.code.clone(),
            buyer: buyer.map(str::to_owned),
            total: Some(purchase.total.to_string()),
            link: link.to_owned(),
            issued_at,
            tickets: tickets.iter().map(ticket).collect(),
        }
    }
}

impl Venue {
    /// The venue as documents want it.
    #[must_use]
    pub fn of(venue: &event::Venue) -> Self {
        let address = [venue.address.as_deref().unwrap_or_default(), &venue.city];
        let address: Vec<&str> = address.into_iter().filter(|part| !part.trim().is_empty()).collect();
        Self {
            name: venue.name.clone(),
            address: (!address.is_empty()).then(|| address.join(", ")),
            position: venue.latitude.zip(venue.longitude).and_then(|(north, east)| Position::new(north, east)),
        }
    }
}

fn show_of(show: &event::Show, organizer: &str, link: &str) -> Show {
    Show {
        title: show.title.clone(),
        starts_at: show.starts_at.instant,
        ends_at: show.ends_at.map(|end| end.instant),
        doors_at: None,
        postponed: show.postponed,
        // Checked when the show was made; one whose zone is gone since is told in UTC, and says so.
        time_zone: show.time_zone.parse::<Tz>().unwrap_or(Tz::UTC),
        venue: Venue::of(&show.venue),
        organizer: organizer.to_owned(),
        link: link.to_owned(),
    }
}
