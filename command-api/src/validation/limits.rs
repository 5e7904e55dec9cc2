//! Every limit of the input, each with its name and its reason. [`TABLE`] is the same as rows, for the table in the docs.
//!
//! Limits that belong to a value itself stand with it: those of a seating plan in [`tickiz_domain::seating_plan`], the highest
//! amount in [`tickiz_domain::money`], the years in [`tickiz_domain::zoned`], the address in [`tickiz_domain::text`].

use tickiz_domain::{money, seating_plan, text, zoned};

/// A limit as the docs show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited, by the names of the GraphQL schema.
    pub what: &'static str,
    /// The least that is allowed.
    pub least: i64,
    /// The most that is allowed.
    pub most: i64,
    /// Of what.
    pub unit: &'static str,
    /// Why this and not another.
    pub reason: &'static str,
}

/// The most characters of an Event's title.
pub const MAX_TITLE_CHARS: usize = 200;
/// The most characters of an Event's description.
pub const MAX_DESCRIPTION_CHARS: usize = 20_000;
/// The most characters of a venue's name.
pub const MAX_VENUE_NAME_CHARS: usize = 200;
/// The most characters of a venue's address.
pub const MAX_ADDRESS_CHARS: usize = 500;
/// The most characters of a city.
pub const MAX_CITY_CHARS: usize = 100;
/// The most characters of a ticket type's name.
pub const MAX_TYPE_NAME_CHARS: usize = 100;
/// The most characters of a quota's name.
pub const MAX_QUOTA_NAME_CHARS: usize = 100;
/// The most characters of a reason (postponement, cancellation of a show or a booking).
pub const MAX_REASON_CHARS: usize = 1_000;
/// The most characters of a gate's name.
pub const MAX_GATE_CHARS: usize = 64;
/// The most characters that a scanner may have read; a ticket has 149 or 169.
pub const MAX_SCANNED_CHARS: usize = 512;
/// The most scans of one `mergeScans`.
pub const MAX_SCANS_PER_MERGE: usize = 200;
/// The most characters of a buyer's name.
pub const MAX_BUYER_NAME_CHARS: usize = 200;
/// The most characters of an idempotency key.
pub const MAX_KEY_CHARS: usize = 200;
/// The most bytes of a URL.
pub const MAX_URL_BYTES: usize = 2_048;
/// The most characters of a language tag.
pub const MAX_LOCALE_CHARS: usize = 35;
/// The most characters of an access token as it is given; ours have 43.
pub const MAX_ACCESS_TOKEN_CHARS: usize = 200;
/// The most ticket types of an Event.
pub const MAX_TICKET_TYPES: usize = 100;
/// The most tickets of one booking, seats and places together.
pub const MAX_TICKETS_PER_BOOKING: usize = 100;
/// The most seats of one `blockSeats`.
pub const MAX_SEATS_PER_BLOCK: usize = 2_000;
/// The most places of one ticket type or quota.
pub const MAX_CAPACITY: i64 = 10_000_000;
/// The highest limit of tickets per person.
pub const MAX_PER_PERSON: i64 = 1_000_000;
/// The longest hold, in seconds.
pub const MAX_HOLD_SECONDS: i64 = 86_400;
/// The highest price of one ticket in minor units: so low that the sum of a booking's lines cannot exceed the highest amount.
pub const MAX_PRICE_MINOR: i64 = money::MAX_MINOR / MAX_TICKETS_PER_BOOKING as i64;
/// The most faults that one answer reports.
pub const MAX_FAULTS: usize = 50;

const fn limit(what: &'static str, least: i64, most: i64, unit: &'static str, reason: &'static str) -> Limit {
    Limit { what, least, most, unit, reason }
}

/// Every limit of the input.
pub const TABLE: &[Limit] = &[
    limit("title", 1, MAX_TITLE_CHARS as i64, "characters", "the longest that a list or a mail's subject can show"),
    limit(
        "description",
        0,
        MAX_DESCRIPTION_CHARS as i64,
        "characters",
        "ten printed pages; it is in every list of Events",
    ),
    limit("venue.name", 1, MAX_VENUE_NAME_CHARS as i64, "characters", "one line on a ticket"),
    limit("venue.address", 1, MAX_ADDRESS_CHARS as i64, "characters", "a postal address of some lines"),
    limit(
        "venue.city",
        1,
        MAX_CITY_CHARS as i64,
        "characters",
        "the longest name of a place has 85, Bangkok's full one aside",
    ),
    limit(
        "ticketTypes",
        1,
        MAX_TICKET_TYPES as i64,
        "types",
        "nobody chooses among more; each is in every list of Events",
    ),
    limit("ticketTypes.name", 1, MAX_TYPE_NAME_CHARS as i64, "characters", "one line on a ticket"),
    limit("ticketTypes.quota", 1, MAX_QUOTA_NAME_CHARS as i64, "characters", "a name that only organisers see"),
    limit("ticketTypes.capacity", 1, MAX_CAPACITY, "places", "above the largest crowd that was ever counted"),
    limit(
        "ticketTypes.seatCategories",
        0,
        seating_plan::MAX_CATEGORIES as i64,
        "categories",
        "as many as a seating plan may have",
    ),
    limit(
        "ticketTypes.price",
        0,
        MAX_PRICE_MINOR,
        "minor units",
        "the highest amount divided by the tickets of a booking, so that no sum overflows",
    ),
    limit(
        "ticketTypes.maxPerBooking",
        1,
        MAX_TICKETS_PER_BOOKING as i64,
        "tickets",
        "as many as a booking may have at all",
    ),
    limit("maxPerPerson", 1, MAX_PER_PERSON, "tickets", "more than anybody means; leave it out for no limit"),
    limit("holdSeconds", 1, MAX_HOLD_SECONDS, "seconds", "a day; who wants it longer wants a block"),
    limit(
        "seats and tickets of a booking",
        1,
        MAX_TICKETS_PER_BOOKING as i64,
        "tickets",
        "a coach full; one domain event each way",
    ),
    limit(
        "blockSeats.seatIds",
        1,
        MAX_SEATS_PER_BLOCK as i64,
        "seats",
        "ten domain events of one append; call again for more",
    ),
    limit(
        "seatId",
        1,
        seating_plan::MAX_SEAT_ID_BYTES as i64,
        "bytes",
        "what the key of a claim leaves for it in every store",
    ),
    limit("seatingPlan.zones", 0, seating_plan::MAX_ZONES as i64, "zones", "a stadium has some 200 blocks"),
    limit("seatingPlan rows", 0, seating_plan::MAX_ROWS as i64, "rows", "the largest plan with five seats a row"),
    limit("seatingPlan seats", 0, seating_plan::MAX_SEATS as i64, "seats", "the largest stadium sold as one plan"),
    limit(
        "seatingPlan labels",
        0,
        seating_plan::MAX_LABEL_CHARS as i64,
        "characters",
        "the longest that pretix stores has 190",
    ),
    limit(
        "startsAt and other local times",
        zoned::MIN_YEAR as i64,
        zoned::MAX_YEAR as i64,
        "year",
        "what a ticket code can say",
    ),
    limit("buyer.name", 1, MAX_BUYER_NAME_CHARS as i64, "characters", "one line on a ticket"),
    limit("buyer.email", 3, text::MAX_EMAIL_BYTES as i64, "bytes", "RFC 5321 section 4.5.3.1.3"),
    limit("locale", 2, MAX_LOCALE_CHARS as i64, "characters", "what RFC 5646 section 4.4.1 asks everybody to take"),
    limit("gate", 1, MAX_GATE_CHARS as i64, "characters", "a word on a sign"),
    limit("code", 0, MAX_SCANNED_CHARS as i64, "characters", "what scanners read by mistake is longer than a ticket"),
    limit(
        "scans",
        1,
        MAX_SCANS_PER_MERGE as i64,
        "scans",
        "each is a decision of its own; a gate sends the next ones after them",
    ),
    limit("reason", 1, MAX_REASON_CHARS as i64, "characters", "a paragraph in a mail"),
    limit("returnUrl", 8, MAX_URL_BYTES as i64, "bytes", "what every browser, proxy and gateway takes"),
    limit(
        "idempotencyKey",
        1,
        MAX_KEY_CHARS as i64,
        "characters",
        "two UUIDs and words beside; it is part of a unique key",
    ),
    limit("accessToken", 1, MAX_ACCESS_TOKEN_CHARS as i64, "characters", "ours have 43; longer ones are nobody's"),
    limit("faults in one answer", 1, MAX_FAULTS as i64, "faults", "nobody reads more, and a machine's faults repeat"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_full_booking_at_the_highest_price_is_an_amount() {
        assert!(MAX_PRICE_MINOR.checked_mul(MAX_TICKETS_PER_BOOKING as i64).is_some_and(|sum| sum <= money::MAX_MINOR));
    }

    #[test]
    fn every_row_allows_something_and_says_why() {
        for row in TABLE {
            assert!(row.least <= row.most && !row.reason.is_empty() && !row.what.is_empty(), "{row:?}");
        }
    }
}
