//! Times of an Event: local time with an IANA zone.
//!
//! What an organiser writes is what the venue's clock will show. The instant follows from it once, by [`resolve`], and both are
//! stored: a zone whose rules change later moves neither silently.

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// The first year that is accepted: instants before it cannot stand in a ticket code, which counts seconds from 1970.
pub const MIN_YEAR: i32 = 1970;
/// The last year that is accepted: the 32-bit seconds of a ticket code last to 2106, and a day after a show must still fit.
pub const MAX_YEAR: i32 = 2100;
/// The longest name of a zone in bytes; the longest of the IANA database has 32.
pub const MAX_ZONE_BYTES: usize = 64;

/// Why a local time or a zone was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The text has an offset or a `Z`.
    #[error("a local date and time has no offset: write 2027-05-01T19:30:00 and name the zone beside it")]
    HasOffset,
    /// The text is not of the form `YYYY-MM-DDTHH:MM:SS`.
    #[error("not a local date and time: write it like 2027-05-01T19:30:00")]
    Form,
    /// The text has the form, but the calendar or the clock has no such time.
    #[error("there is no such date or time: months have their days, hours are 00 to 23, minutes and seconds 00 to 59")]
    NoSuchTime,
    /// The year is outside [`MIN_YEAR`] to [`MAX_YEAR`].
    #[error("the year must be {MIN_YEAR} to {MAX_YEAR}")]
    Year,
    /// The name is not one of the IANA database.
    #[error("not a time zone: write its name in the IANA database, such as Asia/Ho_Chi_Minh or Europe/Berlin")]
    UnknownZone,
    /// The zone's clocks skip that time.
    #[error("{} does not exist in {zone}: its clocks are put forward over it", format_local(*local))]
    Skipped {
        /// The time that was asked for.
        local: NaiveDateTime,
        /// The zone.
        zone: Tz,
    },
}

/// Reads `2027-05-01T19:30:00`: exactly these 19 characters, or 16 without the seconds as an HTML form sends them.
///
/// # Errors
/// [`ZoneError::HasOffset`] where an offset or `Z` follows, else [`ZoneError::Form`], [`ZoneError::NoSuchTime`] or
/// [`ZoneError::Year`].
pub fn parse_local(text: &str) -> Result<NaiveDateTime, ZoneError> {
    let bytes = text.as_bytes();
    if has_offset(text) {
        return Err(ZoneError::HasOffset);
    }
    let separators: &[(usize, u8)] = match bytes.len() {
        19 => &[(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')],
        16 => &[(4, b'-'), (7, b'-'), (10, b'T'), (13, b':')],
        _ => return Err(ZoneError::Form),
    };
    if separators.iter().any(|(at, separator)| bytes[*at] != *separator) {
        return Err(ZoneError::Form);
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_u32, |number, digit| {
            if digit.is_ascii_digit() { Ok(number * 10 + u32::from(digit - b'0')) } else { Err(ZoneError::Form) }
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    let second = if bytes.len() == 19 { number(17, 19)? } else { 0 };
    let year = i32::try_from(year).map_err(|_| ZoneError::Year)?;
    let local = NaiveDate::from_ymd_opt(year, month, day).and_then(|date| date.and_hms_opt(hour, minute, second));
    let local = local.ok_or(ZoneError::NoSuchTime)?;
    if (MIN_YEAR..=MAX_YEAR).contains(&local.year()) { Ok(local) } else { Err(ZoneError::Year) }
}

/// Writes `2027-05-01T19:30:00`.
#[must_use]
pub fn format_local(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Reads a zone's name as the IANA database writes it, links such as `Asia/Saigon` included. Case counts.
///
/// # Errors
/// [`ZoneError::UnknownZone`].
pub fn parse_zone(name: &str) -> Result<Tz, ZoneError> {
    if name.len() > MAX_ZONE_BYTES {
        return Err(ZoneError::UnknownZone);
    }
    name.parse().map_err(|_| ZoneError::UnknownZone)
}

/// The instant at which the zone's clocks show `local`. Where they show it twice, the earlier.
///
/// # Errors
/// [`ZoneError::Skipped`] where they never show it.
pub fn resolve(local: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>, ZoneError> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) => Ok(instant.to_utc()),
        LocalResult::Ambiguous(one, other) => Ok(one.to_utc().min(other.to_utc())),
        LocalResult::None => Err(ZoneError::Skipped { local, zone }),
    }
}

/// What the zone's clocks show at an instant.
#[must_use]
pub fn local_at(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// Whether a time of day is followed by an offset, so that the message can say what is wrong.
fn has_offset(text: &str) -> bool {
    text.get(16..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-', '−']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn at(local: &str, zone: &str) -> Result<DateTime<Utc>, ZoneError> {
        resolve(parse_local(local).unwrap(), parse_zone(zone).unwrap())
    }

    #[test]
    fn a_local_time_is_the_venues_clock() {
        assert_eq!(at("2027-05-01T19:30:00", "Asia/Ho_Chi_Minh"), Ok(utc("2027-05-01T12:30:00Z")));
        assert_eq!(at("2027-05-01T19:30", "America/New_York"), Ok(utc("2027-05-01T23:30:00Z")));
        assert_eq!(at("2027-12-01T19:30:00", "Asia/Kathmandu"), Ok(utc("2027-12-01T13:45:00Z")));
        assert_eq!(at("2027-12-01T19:30:00", "Etc/UTC"), Ok(utc("2027-12-01T19:30:00Z")));
    }

    #[test]
    fn a_time_that_the_zone_skips_is_an_error() {
        for (local, zone) in [
            ("2027-03-28T02:30:00", "Europe/Berlin"),
            ("2027-03-28T02:00:00", "Europe/Berlin"),
            ("2027-03-14T02:59:59", "America/New_York"),
            ("2011-12-30T12:00:00", "Pacific/Apia"),
        ] {
            assert!(matches!(at(local, zone), Err(ZoneError::Skipped { .. })), "{local} {zone}");
        }
        assert_eq!(at("2027-03-28T03:00:00", "Europe/Berlin"), Ok(utc("2027-03-28T01:00:00Z")));
    }

    #[test]
    fn a_time_that_the_zone_has_twice_is_the_earlier() {
        assert_eq!(at("2027-10-31T02:30:00", "Europe/Berlin"), Ok(utc("2027-10-31T00:30:00Z")));
        assert_eq!(at("2027-11-07T01:30:00", "America/New_York"), Ok(utc("2027-11-07T05:30:00Z")));
        // Half an hour only.
        assert_eq!(at("2027-04-04T01:45:00", "Australia/Lord_Howe"), Ok(utc("2027-04-03T14:45:00Z")));
    }

    #[test]
    fn an_offset_is_refused_by_name_and_nonsense_by_form() {
        for text in
            ["2027-05-01T19:30:00Z", "2027-05-01T19:30:00+07:00", "2027-05-01T19:30Z", "2027-05-01T19:30:00.000-05:00"]
        {
            assert_eq!(parse_local(text), Err(ZoneError::HasOffset), "{text}");
        }
        for text in [
            "",
            "2027-05-01",
            "2027-05-01 19:30:00",
            "2027-05-01t19:30:00",
            "2027-5-1T19:30:00",
            "2027-05-01T19:30:00.5",
            "02027-05-01T19:30:0",
            "2027/05/01T19:30:00",
            "+027-05-01T19:30:00",
            "２027-05-01T19:30:0",
            "tomorrow at half past",
            " 2027-05-01T19:30:0",
        ] {
            assert_eq!(parse_local(text), Err(ZoneError::Form), "{text}");
        }
        for text in [
            "2027-02-29T19:30:00",
            "2027-13-01T19:30:00",
            "2027-05-01T24:00:00",
            "2027-05-01T23:59:60",
            "2027-00-01T00:00:00",
        ] {
            assert_eq!(parse_local(text), Err(ZoneError::NoSuchTime), "{text}");
        }
        for text in ["1969-12-31T23:59:59", "2101-01-01T00:00:00", "9999-12-31T23:59:59", "0000-01-01T00:00:00"] {
            assert_eq!(parse_local(text), Err(ZoneError::Year), "{text}");
        }
    }

    #[test]
    fn only_names_of_the_iana_database_are_zones() {
        for name in ["", "asia/ho_chi_minh", "Berlin", "+07:00", "UTC+7", "Mars/Olympus", "Asia/Ho_Chi_Minh ", "../etc"]
        {
            assert_eq!(parse_zone(name), Err(ZoneError::UnknownZone), "{name}");
        }
        assert!(parse_zone("Asia/Saigon").is_ok());
        assert!(parse_zone(&"A".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn a_local_time_survives_writing_and_reading(seconds in 0_i64..4_102_444_800) {
            let local = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
            prop_assert_eq!(parse_local(&format_local(local)), Ok(local));
        }

        #[test]
        fn an_instant_survives_the_venues_clock_or_is_the_later_of_two(
            seconds in 0_i64..4_102_444_800,
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        ) {
            let instant = DateTime::from_timestamp(seconds, 0).unwrap();
            let back = resolve(local_at(instant, zone), zone).unwrap();
            prop_assert!(back <= instant);
            prop_assert_eq!(local_at(back, zone), local_at(instant, zone));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".{0,40}") {
            let _ = parse_local(&text);
            let _ = parse_zone(&text);
        }
    }
}
