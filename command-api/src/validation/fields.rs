//! Single values. Each check takes the field's name, reports what is wrong there, and returns `None` then.

use std::{fmt::Display, ops::RangeInclusive};

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use tickiz_contract::request::{AccessToken, MoneyInput, VenueInput};
use tickiz_domain::{
    event::{Venue, VenueTime},
    ids::SeatId,
    money::Money,
    seating_plan::MAX_SEAT_ID_BYTES,
    text::{validate_line, validate_text},
    zoned,
};
use url::Url;
use uuid::Uuid;

use super::{
    country::is_country,
    faults::{Faults, Step},
    limits::{
        MAX_ACCESS_TOKEN_CHARS, MAX_ADDRESS_CHARS, MAX_CITY_CHARS, MAX_KEY_CHARS, MAX_LOCALE_CHARS, MAX_PRICE_MINOR,
        MAX_REASON_CHARS, MAX_URL_BYTES, MAX_VENUE_NAME_CHARS,
    },
    locale,
};

/// The characters of a UUID in its hyphenated form (RFC 9562 section 4), the only one we take: one id has one text.
const UUID_CHARS: usize = 36;

/// A text of one line, not blank.
pub fn line(faults: &mut Faults, step: impl Into<Step>, text: &str, max: usize) -> Option<String> {
    faults.take(step, validate_line(text, max))
}

/// A text of any number of lines, perhaps empty.
pub fn text(faults: &mut Faults, step: impl Into<Step>, text: &str, max: usize) -> Option<String> {
    faults.take(step, validate_text(text, max))
}

/// A reason that people will read: any number of lines, not blank.
pub fn reason(faults: &mut Faults, step: impl Into<Step> + Copy, given: &str) -> Option<String> {
    let reason = text(faults, step, given, MAX_REASON_CHARS)?;
    if reason.is_empty() {
        faults.report(step, "it must not be empty or blank");
        return None;
    }
    Some(reason)
}

/// An id of ours.
pub fn id<T: From<Uuid>>(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<T> {
    let id = if given.len() == UUID_CHARS { Uuid::try_parse(given).ok() } else { None };
    if id.is_none() {
        faults.report(step, "not an id: ids are UUIDs such as 0190a8f2-3c1d-7e55-9b0a-6f1d2c3b4a59");
    }
    id.map(T::from)
}

/// A seat's id. Taken byte for byte, whatever it looks like.
pub fn seat_id(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<SeatId> {
    if given.is_empty() || given.len() > MAX_SEAT_ID_BYTES {
        faults.report(step, format!("a seat's id has 1 to {MAX_SEAT_ID_BYTES} bytes"));
        return None;
    }
    Some(SeatId(given.to_owned()))
}

/// An idempotency key. Compared byte for byte.
pub fn key(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<String> {
    // Bytes first, so that a huge text costs nothing: a character has at most 4.
    if given.is_empty() || given.len() > 4 * MAX_KEY_CHARS || given.chars().count() > MAX_KEY_CHARS {
        faults.report(step, format!("an idempotency key has 1 to {MAX_KEY_CHARS} characters"));
        return None;
    }
    if given.chars().any(char::is_control) {
        faults.report(step, "an idempotency key has no control characters");
        return None;
    }
    Some(given.to_owned())
}

/// An access token as the caller gave it. Whether it is the right one is not asked here.
pub fn access_token(faults: &mut Faults, step: impl Into<Step>, given: AccessToken) -> Option<AccessToken> {
    if given.0.is_empty() || given.0.len() > MAX_ACCESS_TOKEN_CHARS || !given.0.is_ascii() {
        faults.report(step, format!("an access token has 1 to {MAX_ACCESS_TOKEN_CHARS} ASCII characters"));
        return None;
    }
    Some(given)
}

/// A whole number within bounds.
pub fn within<T: TryFrom<i64>>(
    faults: &mut Faults,
    step: impl Into<Step>,
    given: i64,
    allowed: RangeInclusive<i64>,
) -> Option<T> {
    let value = if allowed.contains(&given) { T::try_from(given).ok() } else { None };
    if value.is_none() {
        faults.report(step, format!("{given} is not allowed: it must be {} to {}", allowed.start(), allowed.end()));
    }
    value
}

/// A price. The fault is at the price's `amount` or `currency`.
pub fn price(faults: &mut Faults, step: impl Into<Step>, given: &MoneyInput) -> Option<Money> {
    faults.within(step, |faults| match Money::parse(&given.amount, &given.currency) {
        Ok(price) if price.minor() > MAX_PRICE_MINOR => {
            let highest = Money::try_new(MAX_PRICE_MINOR, price.currency()).expect("the highest price is an amount");
            faults.report("amount", format!("the price is too high; the highest is {highest}"));
            None
        }
        Ok(price) => Some(price),
        Err(error) => {
            faults.report(error.field(), error.to_string());
            None
        }
    })
}

/// A local date and time, its zone aside.
pub fn local(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<NaiveDateTime> {
    faults.take(step, zoned::parse_local(given))
}

/// A local date and time of a zone.
pub fn venue_time(faults: &mut Faults, step: impl Into<Step>, local: NaiveDateTime, zone: Tz) -> Option<VenueTime> {
    let instant = faults.take(step, zoned::resolve(local, zone))?;
    Some(VenueTime { local, instant })
}

/// A language tag, written canonically.
pub fn locale(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<String> {
    let tag = locale::canonical(given);
    if tag.is_none() {
        let allowed =
            format!("not a language: write a BCP 47 tag such as vi-VN, of at most {MAX_LOCALE_CHARS} characters");
        faults.report(step, allowed);
    }
    tag
}

/// An absolute `http` or `https` URL that a browser can be sent to.
pub fn url(faults: &mut Faults, step: impl Into<Step>, given: &str) -> Option<String> {
    match check_url(given) {
        Ok(url) => Some(url),
        Err(message) => {
            faults.report(step, message);
            None
        }
    }
}

fn check_url(given: &str) -> Result<String, String> {
    if given.len() > MAX_URL_BYTES {
        return Err(format!("the URL has {} bytes; the most is {MAX_URL_BYTES}", given.len()));
    }
    // The parser drops tabs and line ends and trims; what it would change, nobody meant.
    if given.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a URL has no spaces, line ends or control characters".to_owned());
    }
    let wanted = || "not an absolute http or https URL such as https://example.com/thanks".to_owned();
    let starts = |scheme: &str| given.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !starts("https://") && !starts("http://") {
        return Err(wanted());
    }
    let url = Url::parse(given).map_err(|_| wanted())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not have a user name or password in it".to_owned());
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(format!("the URL has {} bytes once encoded; the most is {MAX_URL_BYTES}", url.as_str().len()));
    }
    Ok(url.into())
}

/// Where an Event takes place.
pub fn venue(faults: &mut Faults, step: impl Into<Step>, given: &VenueInput) -> Option<Venue> {
    faults.within(step, |faults| {
        let name = line(faults, "name", &given.name, MAX_VENUE_NAME_CHARS);
        let address = optional(given.address.as_deref(), |address| line(faults, "address", address, MAX_ADDRESS_CHARS));
        let city = line(faults, "city", &given.city, MAX_CITY_CHARS);
        if !is_country(&given.country) {
            faults.report("country", "not a country: write its ISO 3166-1 alpha-2 code in upper case, such as VN");
        }
        let latitude = degrees(faults, "latitude", given.latitude, 90.0);
        let longitude = degrees(faults, "longitude", given.longitude, 180.0);
        match (given.latitude, given.longitude) {
            (Some(_), None) => faults.report("longitude", "latitude and longitude come together or not at all"),
            (None, Some(_)) => faults.report("latitude", "latitude and longitude come together or not at all"),
            _ => {}
        }
        Some(Venue {
            name: name?,
            address: address?,
            city: city?,
            country: given.country.clone(),
            latitude: latitude?,
            longitude: longitude?,
        })
    })
}

/// Degrees within plus and minus `bound`. The outer `None` is a fault.
fn degrees(faults: &mut Faults, step: &'static str, given: Option<f64>, bound: f64) -> Option<Option<f64>> {
    match given {
        // A NaN is not within anything.
        Some(degrees) if !(-bound..=bound).contains(&degrees) => {
            faults.report(step, format!("it must be between -{bound} and {bound} degrees"));
            None
        }
        // Adding 0 turns a negative zero into zero.
        Some(degrees) => Some(Some(degrees + 0.0)),
        None => Some(None),
    }
}

/// Checks what may be left out. The outer `None` is a fault, the inner one that nothing was given.
pub fn optional<T, U>(given: Option<T>, check: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match given {
        Some(given) => check(given).map(Some),
        None => Some(None),
    }
}

/// Reports where an end does not come after its beginning.
pub fn after(
    faults: &mut Faults,
    step: impl Into<Step>,
    end: Option<VenueTime>,
    start: Option<VenueTime>,
    message: impl Display,
) {
    if let (Some(end), Some(start)) = (end, start)
        && end.instant <= start.instant
    {
        faults.report(step, message.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_url_is_absolute_http_without_credentials() {
        for good in
            ["https://example.com", "http://localhost:3000/a?b=c#d", "HTTPS://EXAMPLE.com/x", "https://münchen.de/ü"]
        {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "example.com",
            "/thanks",
            "//example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "https:///",
            "https://",
            "https:example.com",
            "https://user:secret@example.com",
            "https://exa mple.com",
            "https://example.com/\r\nX: y",
            " https://example.com",
            "https://example.com\u{0}",
            "data:text/html,x",
            "https://[::1",
            "https://a:99999",
        ] {
            assert!(check_url(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_url(&format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES))).is_err());
        // Long only once encoded.
        assert!(check_url(&format!("https://example.com/{}", "ü".repeat(MAX_URL_BYTES / 3))).is_err());
    }

    #[test]
    fn one_id_has_one_text() {
        let read = |text| id::<tickiz_domain::ids::EventId>(&mut Faults::default(), "id", text);
        assert!(read("0190a8f2-3c1d-7e55-9b0a-6f1d2c3b4a59").is_some());
        for wrong in
            ["", "1", "0190a8f23c1d7e559b0a6f1d2c3b4a59", "{0190a8f2-3c1d-7e55-9b0a-6f1d2c3b4a59}", "%s", "null"]
        {
            assert!(read(wrong).is_none(), "{wrong:?}");
        }
    }
}
