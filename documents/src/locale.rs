//! The two languages, and dates in the words of each.
//!
//! Dates are told in the show's own zone, with the difference to UTC that the zone has on that day: who reads it elsewhere, or
//! across the day on which clocks change, still knows the instant. The patterns are those of the Unicode CLDR (`full` date with a
//! short time), kept here as a few lines since two languages do not pay for a library of six hundred.

use chrono::{DateTime, Datelike, Offset, Timelike, Utc};
use chrono_tz::Tz;

/// A language of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Locale {
    /// Vietnamese.
    Vi,
    /// English, also for everybody whose language is not spoken here.
    En,
}

const WEEKDAYS_EN: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const WEEKDAYS_VI: [&str; 7] = ["Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật"];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Locale {
    /// Every language there is.
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    /// The language of a BCP 47 tag: Vietnamese for `vi` with or without a region, English for everything else.
    #[must_use]
    pub fn of(tag: Option<&str>) -> Self {
        let primary = tag.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default();
        if primary.eq_ignore_ascii_case("vi") { Self::Vi } else { Self::En }
    }

    /// Its BCP 47 tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// The first in English, the second in Vietnamese.
    pub(crate) fn pick<T>(self, english: T, vietnamese: T) -> T {
        match self {
            Self::En => english,
            Self::Vi => vietnamese,
        }
    }

    /// Day and time: `Sunday, 1 March 2026, 19:00 (GMT+7)`, `Chủ Nhật, 1 tháng 3, 2026 lúc 19:00 (GMT+7)`.
    #[must_use]
    pub fn date_time(self, at: DateTime<Utc>, zone: Tz) -> String {
        let (date, time, offset) = (self.date(at, zone), time(at, zone), offset(at, zone));
        match self {
            Self::En => format!("{date}, {time} ({offset})"),
            Self::Vi => format!("{date} lúc {time} ({offset})"),
        }
    }

    /// The day: `Sunday, 1 March 2026`, `Chủ Nhật, 1 tháng 3, 2026`.
    #[must_use]
    pub fn date(self, at: DateTime<Utc>, zone: Tz) -> String {
        let local = at.with_timezone(&zone);
        // `num_days_from_monday` is below 7 and `month0` below 12, by chrono's documentation.
        let weekday = local.weekday().num_days_from_monday() as usize;
        let (day, year) = (local.day(), local.year());
        match self {
            Self::En => format!("{}, {day} {} {year}", WEEKDAYS_EN[weekday], MONTHS_EN[local.month0() as usize]),
            Self::Vi => format!("{}, {day} tháng {}, {year}", WEEKDAYS_VI[weekday], local.month()),
        }
    }

    /// When something ends or opens that has to do with `start`: the time alone on the same day, the whole date on another.
    #[must_use]
    pub fn time_beside(self, at: DateTime<Utc>, start: DateTime<Utc>, zone: Tz) -> String {
        let same_day = at.with_timezone(&zone).date_naive() == start.with_timezone(&zone).date_naive();
        if same_day && offset(at, zone) == offset(start, zone) { time(at, zone) } else { self.date_time(at, zone) }
    }
}

fn time(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    format!("{:02}:{:02}", local.hour(), local.minute())
}

/// The difference to UTC as CLDR's `O` writes it: `GMT`, `GMT+7`, `GMT-3:30`.
fn offset(at: DateTime<Utc>, zone: Tz) -> String {
    let seconds = at.with_timezone(&zone).offset().fix().local_minus_utc();
    let minutes = seconds.unsigned_abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    match (minutes / 60, minutes % 60) {
        (0, 0) => "GMT".to_owned(),
        (hours, 0) => format!("GMT{sign}{hours}"),
        (hours, minutes) => format!("GMT{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America::St_Johns, Asia::Ho_Chi_Minh, Asia::Kathmandu, Europe::London};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_we_do_not_understand_gets_english() {
        assert_eq!((Locale::of(Some("vi-VN")), Locale::of(Some("VI"))), (Locale::Vi, Locale::Vi));
        for other in [None, Some(""), Some("en-GB"), Some("fr"), Some("vic")] {
            assert_eq!(Locale::of(other), Locale::En);
        }
    }

    #[test]
    fn a_date_is_told_on_the_clock_of_the_venue() {
        let start = at("2026-02-28T12:00:00Z");
        assert_eq!(Locale::Vi.date_time(start, Ho_Chi_Minh), "Thứ Bảy, 28 tháng 2, 2026 lúc 19:00 (GMT+7)");
        assert_eq!(Locale::En.date_time(start, Ho_Chi_Minh), "Saturday, 28 February 2026, 19:00 (GMT+7)");
        // Past midnight there, and another day of the week.
        assert_eq!(
            Locale::Vi.date_time(at("2026-02-28T17:30:00Z"), Ho_Chi_Minh),
            "Chủ Nhật, 1 tháng 3, 2026 lúc 00:30 (GMT+7)"
        );
        assert_eq!(Locale::En.date_time(start, Kathmandu), "Saturday, 28 February 2026, 17:45 (GMT+5:45)");
        assert_eq!(Locale::En.date_time(start, St_Johns), "Saturday, 28 February 2026, 08:30 (GMT-3:30)");
    }

    #[test]
    fn the_difference_is_that_of_the_day() {
        assert!(Locale::En.date_time(at("2026-01-01T12:00:00Z"), London).ends_with("12:00 (GMT)"));
        assert!(Locale::En.date_time(at("2026-07-01T12:00:00Z"), London).ends_with("13:00 (GMT+1)"));
    }

    #[test]
    fn an_end_on_another_day_is_told_with_its_day() {
        let start = at("2026-02-28T12:00:00Z");
        assert_eq!(Locale::En.time_beside(at("2026-02-28T15:00:00Z"), start, Ho_Chi_Minh), "22:00");
        assert_eq!(
            Locale::En.time_beside(at("2026-02-28T18:00:00Z"), start, Ho_Chi_Minh),
            "Sunday, 1 March 2026, 01:00 (GMT+7)"
        );
        // The night on which London's clocks go forward: 03:30 alone would be an hour nobody can count to.
        assert!(
            Locale::En.time_beside(at("2026-03-29T02:30:00Z"), at("2026-03-29T00:30:00Z"), London).contains("GMT+1")
        );
    }
}
