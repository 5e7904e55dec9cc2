//! What a ticket's code will say. One function makes it for every way to a confirmed booking: free, paid, paid late.
//!
//! The domain event carries the payload and the key's number, never the signature: who reads the log cannot enter.

use chrono::{DateTime, Duration, Utc};
use tickiz_domain::{
    booking::{IssuedTicket, Line},
    event::Show,
};

use crate::ids::Ids;

/// How long a ticket is good after its show is over, in hours: late trains, shows that run on, and gates with wrong clocks.
const GRACE_HOURS: i64 = 24;

/// Until when a ticket of the show is valid, as the show stands.
#[must_use]
pub fn valid_until(show: &Show) -> DateTime<Utc> {
    show.over_at() + Duration::hours(GRACE_HOURS)
}

/// The same as a code says it: unix seconds. A show whose date is open has tickets without an end: nobody knows yet when it is over.
#[must_use]
pub fn expires(show: &Show) -> u32 {
    if show.postponed { u32::MAX } else { unix_seconds(valid_until(show)) }
}

/// The tickets of these lines, in their order, valid from `now` on.
#[must_use]
pub fn issue_tickets(ids: &Ids, kid: u8, show: &Show, lines: &[Line], now: DateTime<Utc>) -> Vec<IssuedTicket> {
    let not_before = unix_seconds(now);
    let expires = expires(show);
    let issue = |line: &Line| IssuedTicket {
        ticket_id: line.ticket_id,
        ticket_type_id: line.ticket_type_id,
        seat_id: line.seat_id.clone(),
        kid,
        event_number: show.event_number,
        number: ids.ticket_number(),
        admission_class: show.ticket_type(line.ticket_type_id).map_or(0, |of| of.admission_class),
        revision: 0,
        flags: 0,
        not_before,
        // A show that is long over still makes a ticket that is valid once, in its first second.
        expires: expires.max(not_before),
    };
    lines.iter().map(issue).collect()
}

/// Seconds since 1970 as a ticket code counts them: from 0 to 2106.
fn unix_seconds(at: DateTime<Utc>) -> u32 {
    u32::try_from(at.timestamp().max(0)).unwrap_or(u32::MAX)
}
