//! The arguments of `events`, from what came to what the read models are asked. Every fault is named by its path.

use chrono::{DateTime, Utc};
use tickiz_contract::{PathSegment, Refusal, Refusals};
use tickiz_domain::money::Money;
use tickiz_read_models::{
    self as read,
    events::search::{MAX_SEARCH_WORDS, search_words},
};

use super::inputs::{EventFilter, MoneyInput, NearInput};
use crate::limits::{MAX_EVENTS, MAX_FILTER_CHARS, MAX_RADIUS_KM};

/// Puts a question together, with all faults at once.
///
/// # Errors
/// `INVALID_INPUT`, one refusal for each fault.
pub fn query(
    filter: Option<EventFilter>,
    order: read::EventOrder,
    first: i32,
    after: Option<&str>,
    now: DateTime<Utc>,
) -> Result<read::EventQuery, Refusals> {
    let mut faults = Faults(Vec::new());
    let filter = filter.map(|filter| faults.filter(filter)).unwrap_or_default();
    if !(1..=MAX_EVENTS).contains(&first) {
        faults.note(&["first"], format!("a page has 1 to {MAX_EVENTS} entries, not {first}"));
    }
    if order == read::EventOrder::Relevance && filter.text.is_none() {
        faults.note(&["orderBy"], "RELEVANCE needs filter.text: a text that the shows are relevant to".to_owned());
    }
    let after = after.and_then(|text| {
        read::Cursor::parse(text, order).map_err(|error| faults.note(&["after"], error.to_string())).ok()
    });
    let first = u32::try_from(first).unwrap_or_default();
    if faults.0.is_empty() {
        Ok(read::EventQuery { filter, order, first, after, now })
    } else {
        Err(Refusals(faults.0))
    }
}

struct Faults(Vec<Refusal>);

impl Faults {
    fn note(&mut self, path: &[&str], message: String) {
        self.0.push(Refusal::invalid(path.iter().map(|name| PathSegment::from(*name)).collect(), message));
    }

    fn filter(&mut self, filter: EventFilter) -> read::EventFilter {
        read::EventFilter {
            text: filter.text.and_then(|text| self.text("text", text)),
            category: filter.category.map(Into::into),
            city: filter.city.and_then(|city| self.text("city", city)),
            near: filter.near.and_then(|near| self.near(&near)),
            starts_after: filter.starts_after.and_then(|time| self.instant("startsAfter", &time.0)),
            starts_before: filter.starts_before.and_then(|time| self.instant("startsBefore", &time.0)),
            price_max: filter.price_max.and_then(|price| self.money(&price)),
            available_only: filter.available_only.unwrap_or(false),
        }
    }

    /// A text to look for. A blank one looks for nothing.
    fn text(&mut self, field: &str, text: String) -> Option<String> {
        let chars = text.chars().count();
        if chars > MAX_FILTER_CHARS {
            self.note(&["filter", field], format!("{chars} characters; at most {MAX_FILTER_CHARS} are allowed"));
        } else if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            self.note(&["filter", field], "control characters cannot be looked for".to_owned());
        } else if field == "text" {
            let words = search_words(&text).len();
            if words > MAX_SEARCH_WORDS {
                let most = MAX_SEARCH_WORDS;
                self.note(&["filter", field], format!("{words} words; at most {most} are looked for"));
            }
        }
        Some(text).filter(|text| !text.trim().is_empty())
    }

    fn near(&mut self, near: &NearInput) -> Option<read::Near> {
        let before = self.0.len();
        let mut within = |field: &str, value: f64, least: f64, most: f64| {
            if !(least..=most).contains(&value) {
                self.note(&["filter", "near", field], format!("{value} is not within {least} to {most}"));
            }
        };
        within("latitude", near.latitude, -90.0, 90.0);
        within("longitude", near.longitude, -180.0, 180.0);
        within("radiusKm", near.radius_km, 0.0, MAX_RADIUS_KM);
        let near = read::Near { latitude: near.latitude, longitude: near.longitude, radius_km: near.radius_km };
        (self.0.len() == before).then_some(near)
    }

    fn instant(&mut self, field: &str, text: &str) -> Option<DateTime<Utc>> {
        let parsed = DateTime::parse_from_rfc3339(text);
        if parsed.is_err() {
            self.note(&["filter", field], "not an RFC 3339 instant: write it like 2027-05-01T12:30:00Z".to_owned());
        }
        parsed.ok().map(|instant| instant.to_utc())
    }

    fn money(&mut self, money: &MoneyInput) -> Option<Money> {
        Money::parse(&money.amount.0, &money.currency)
            .map_err(|error| self.note(&["filter", "priceMax", error.field()], error.to_string()))
            .ok()
    }
}
