//! The simulators' own time, which may be set and moved. It is behind expiries, tolerances and repeats.

use std::time::Instant;

use chrono::{DateTime, FixedOffset, Utc};
use parking_lot::Mutex;

struct State {
    base: i64,
    since: Instant,
    frozen: bool,
}

/// A clock in milliseconds since 1970.
pub(crate) struct Clock(Mutex<State>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { base: Utc::now().timestamp_millis(), since: Instant::now(), frozen: false }))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        let state = self.0.lock();
        let passed = if state.frozen { 0 } else { i64::try_from(state.since.elapsed().as_millis()).unwrap_or(0) };
        state.base + passed
    }

    pub(crate) fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Puts it to a time; `freeze` says whether it stands there, or, left out, stays as it was.
    pub(crate) fn set(&self, to: i64, freeze: Option<bool>) {
        let mut state = self.0.lock();
        state.base = to;
        state.since = Instant::now();
        state.frozen = freeze.unwrap_or(state.frozen);
    }

    pub(crate) fn reset(&self) {
        self.set(Utc::now().timestamp_millis(), Some(false));
    }
}

/// `yyyyMMddHHmmss` at +07:00, VNPay's only notation of time.
pub(crate) fn vietnam(ms: i64) -> String {
    let zone = FixedOffset::east_opt(7 * 3600).expect("seven hours are a zone");
    DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&zone).format("%Y%m%d%H%M%S").to_string()
}

/// Milliseconds of such a time, or nothing when it is none.
pub(crate) fn from_vietnam(text: &str) -> Option<i64> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let local = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok()?;
    Some(local.and_utc().timestamp_millis() - 7 * 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::{from_vietnam, vietnam};

    #[test]
    fn vietnams_day_begins_seven_hours_before_utcs() {
        let last = from_vietnam("20251231235959").expect("a time");
        assert_eq!(last, 1_767_200_399_000);
        assert_eq!(vietnam(last + 1000), "20260101000000");
        assert_eq!(from_vietnam("2025123123595"), None);
        assert_eq!(from_vietnam("20251331235959"), None);
    }
}
