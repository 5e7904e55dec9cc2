//! The list of shows: what is published and has not ended.

use chrono::{DateTime, Utc};
use tickiz_domain::{event::EventCategory, money::Money};

use crate::{cursor::Cursor, view::EventView};

/// The most shows of one page, as the contract says.
pub const MAX_PAGE: u32 = 100;

/// In which order shows are listed. Ties are broken by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EventOrder {
    /// The earliest first.
    #[default]
    StartsAt,
    /// The most places held or sold first.
    Popularity,
    /// The lowest price that can be had first, currency by currency in the order of their codes; what is sold out comes last.
    Price,
    /// The latest published first.
    Newest,
    /// The best match of the text first: words that begin a word of the title, then within the title, then elsewhere; among
    /// equals the earliest.
    Relevance,
}

impl EventOrder {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::StartsAt, Self::Popularity, Self::Price, Self::Newest, Self::Relevance];
}

/// A circle on the globe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Degrees north, WGS 84.
    pub latitude: f64,
    /// Degrees east, WGS 84.
    pub longitude: f64,
    /// Along the ground, in kilometres.
    pub radius_km: f64,
}

/// Which shows are listed. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// Every word of it must stand in title, description, venue or city, without regard to case and marks.
    pub text: Option<String>,
    /// The category.
    pub category: Option<EventCategory>,
    /// The city, whole and without regard to case.
    pub city: Option<String>,
    /// The venue lies in there. A show whose venue has no coordinates does not.
    pub near: Option<Near>,
    /// It starts after this instant.
    pub starts_after: Option<DateTime<Utc>>,
    /// It starts before this instant.
    pub starts_before: Option<DateTime<Utc>>,
    /// Some type costs at most this, in this currency.
    pub price_max: Option<Money>,
    /// Something is left of some type.
    pub available_only: bool,
}

/// A question for a page of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    /// Which shows.
    pub filter: EventFilter,
    /// In which order; [`EventOrder::Relevance`] needs [`EventFilter::text`].
    pub order: EventOrder,
    /// How many, 1 to [`MAX_PAGE`].
    pub first: u32,
    /// After which place of the list; of the same order.
    pub after: Option<Cursor>,
    /// What time it is: what is over by then is not listed.
    pub now: DateTime<Utc>,
}

/// A page of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// The shows, each with its place in the list.
    pub rows: Vec<(Cursor, EventView)>,
    /// Whether more follow.
    pub has_next_page: bool,
    /// How many the filter lets through in all.
    pub total_count: i64,
}
