//! A show as a line in the buyer's calendar: RFC 5545, with the methods of RFC 5546.
//!
//! **Which method.** `PUBLISH` by default: the ticket is a note, and nobody is asked to accept or decline what he has paid
//! for. An invitation (`REQUEST`) is for shows the organizer runs that way. A cancellation is `CANCEL`, always with the
//! same `UID`, a higher `SEQUENCE` and `STATUS:CANCELLED`: calendars ignore one with an old sequence, and tell people that
//! they were removed where the status is missing. It has no alarm.
//!
//! **Times are UTC.** A `TZID` without its whole `VTIMEZONE` is invalid, and a phone shows UTC times on its own clock anyway.
//!
//! **No codes.** Calendars are shared with families, offices and assistants; a ticket's code belongs to whoever holds it.
//!
//! **Why not the crate `icalendar`**, which the tests use to read this back: 0.17 writes a parameter's value with a double
//! quote or a line break as it came, so that a name could begin a property of its own; leaves a lone CR in a text; and
//! takes the clock's now and a random `UID` where one is forgotten, so that the same input gives two files. What is needed
//! is less than its repair.

use chrono::{DateTime, Utc};

use crate::{Booking, Position, text};

/// The longest line, in octets, without its line break (RFC 5545 section 3.1).
const MAX_LINE_OCTETS: usize = 75;
/// How long before the start the alarm rings: time to leave work and cross a city.
const ALARM_BEFORE: &str = "-PT3H";
/// The most characters of one text. A calendar shows a line or two; some of them cut or refuse what is much longer.
const MAX_TEXT_CHARS: usize = 2_000;

/// Why there is no calendar file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The show was postponed: there is no date to write. A cancellation of the old date can still be written.
    #[error("a postponed show has no date for a calendar")]
    NoDate,
    /// An address has no `@`, or has characters that no address has.
    #[error("not an e-mail address")]
    Address,
    /// The UID is empty or has something but printable ASCII.
    #[error("not a UID")]
    Uid,
}

/// Somebody with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name to show.
    pub name: String,
    /// The e-mail address.
    pub address: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Publish,
    Request,
    Cancel,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// One show in one buyer's calendar.
#[derive(Clone, Debug, PartialEq)]
pub struct CalendarEntry {
    method: Method,
    uid: String,
    sequence: u32,
    stamp: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    postponed: bool,
    summary: String,
    description: String,
    location: String,
    position: Option<Position>,
    organizer: Person,
    attendee: Option<Person>,
    link: Option<String>,
}

impl CalendarEntry {
    /// A note in the calendar. `uid` must be the same for the life of the booking (`<booking's id>@<domain>`), and `organizer`
    /// must be who sends the mail, or Gmail and Outlook show no buttons.
    #[must_use]
    pub fn publish(booking: &Booking, uid: &str, organizer: Person) -> Self {
        let (show, locale) = (&booking.show, booking.locale);
        let (reference, seats) = locale.pick(("Booking code", "Seats"), ("Mã đặt vé", "Ghế"));
        let mut description = format!("{reference}: {}", text::one_line(&booking.reference));
        let taken = booking.tickets.iter().filter_map(|ticket| ticket.seat.as_ref());
        let taken: Vec<String> = taken.map(|seat| seat.one_line(locale)).filter(|seat| !seat.is_empty()).collect();
        if !taken.is_empty() {
            description.push_str(&format!("\n{seats}: {}", text::one_line(&taken.join(", "))));
        }
        let link = text::web_link(&booking.link);
        description.extend(link.iter().map(|link| format!("\n{link}")));
        Self {
            method: Method::Publish,
            uid: uid.to_owned(),
            sequence: 0,
            stamp: booking.issued_at,
            starts_at: show.starts_at,
            // RFC 5545 section 3.8.2.2: later than the start, or not there.
            ends_at: show.ends_at.filter(|end| *end > show.starts_at),
            postponed: show.postponed,
            summary: text::one_line(&show.title),
            description,
            location: text::one_line(&show.venue.one_line()),
            position: show.venue.position,
            organizer,
            attendee: None,
            link,
        }
    }

    /// The same as an invitation to `attendee`, who must be the recipient of the mail.
    #[must_use]
    pub fn invite(mut self, attendee: Person) -> Self {
        (self.method, self.attendee) = (Method::Request, Some(attendee));
        self
    }

    /// The same after `sequence` changes of time or place. It must grow with each, or calendars keep what they have.
    #[must_use]
    pub fn revised(mut self, sequence: u32, stamp: DateTime<Utc>) -> Self {
        (self.sequence, self.stamp) = (sequence, stamp);
        self
    }

    /// The cancellation of this entry, one sequence later.
    #[must_use]
    pub fn cancelled(mut self, stamp: DateTime<Utc>) -> Self {
        (self.method, self.sequence, self.stamp) = (Method::Cancel, self.sequence.saturating_add(1), stamp);
        self
    }

    /// The MIME type of [`Self::to_ics`]; its method must be the body's (RFC 6047 section 2.4).
    #[must_use]
    pub fn media_type(&self) -> String {
        format!("text/calendar; method={}; charset=utf-8", self.method.name())
    }

    /// The file, lines ending with CRLF.
    ///
    /// # Errors
    /// [`CalendarError`].
    pub fn to_ics(&self) -> Result<String, CalendarError> {
        let cancelled = self.method == Method::Cancel;
        if self.postponed && !cancelled {
            return Err(CalendarError::NoDate);
        }
        if self.uid.is_empty() || !self.uid.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CalendarError::Uid);
        }
        let mut file = File(String::new());
        for line in ["BEGIN:VCALENDAR", "PRODID:-//Tickiz//EN", "VERSION:2.0", "CALSCALE:GREGORIAN"] {
            file.line(line);
        }
        file.line(&format!("METHOD:{}", self.method.name()));
        file.line("BEGIN:VEVENT");
        file.text("UID", &self.uid);
        file.line(&format!("SEQUENCE:{}", self.sequence));
        file.line(&format!("DTSTAMP:{}", utc(self.stamp)));
        file.line(&format!("DTSTART:{}", utc(self.starts_at)));
        if let Some(end) = self.ends_at {
            file.line(&format!("DTEND:{}", utc(end)));
        }
        file.text("SUMMARY", &self.summary);
        file.text("DESCRIPTION", &self.description);
        file.text("LOCATION", &self.location);
        if let Some(position) = self.position {
            file.line(&format!("GEO:{:.6};{:.6}", position.latitude(), position.longitude()));
        }
        let organizer = &self.organizer;
        file.line(&format!("ORGANIZER;CN={}:{}", parameter(&organizer.name), mailto(&organizer.address)?));
        if let Some(attendee) = &self.attendee {
            let (name, address) = (parameter(&attendee.name), mailto(&attendee.address)?);
            let roles = "ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE";
            file.line(&format!("ATTENDEE;CN={name};{roles}:{address}"));
        }
        file.line(if cancelled { "STATUS:CANCELLED" } else { "STATUS:CONFIRMED" });
        file.line("TRANSP:OPAQUE");
        if let Some(link) = &self.link {
            file.line(&format!("URL:{link}"));
        }
        if !cancelled {
            file.line("BEGIN:VALARM");
            file.line("ACTION:DISPLAY");
            file.line(&format!("TRIGGER:{ALARM_BEFORE}"));
            file.text("DESCRIPTION", &self.summary);
            file.line("END:VALARM");
        }
        file.line("END:VEVENT");
        file.line("END:VCALENDAR");
        Ok(file.0)
    }
}

struct File(String);

impl File {
    /// A content line, folded (RFC 5545 section 3.1), never inside a character.
    fn line(&mut self, line: &str) {
        let mut octets = 0;
        for c in line.chars() {
            if octets + c.len_utf8() > MAX_LINE_OCTETS {
                self.0.push_str("\r\n ");
                // The space that continues a line is one of its octets.
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// A property of type TEXT (RFC 5545 section 3.3.11).
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for c in value.chars().take(MAX_TEXT_CHARS) {
            match c {
                '\\' | ';' | ',' => line.extend(['\\', c]),
                '\n' => line.push_str("\\n"),
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.line(&line);
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A parameter's value. A double quote cannot be in one at all (section 3.1), and RFC 6868's way round that is not read
/// everywhere, so it becomes a single one.
fn parameter(value: &str) -> String {
    let value: String =
        text::one_line(value).chars().take(MAX_TEXT_CHARS).map(|c| if c == '"' { '\'' } else { c }).collect();
    if value.contains([':', ';', ',']) { format!("\"{value}\"") } else { value }
}

fn mailto(address: &str) -> Result<String, CalendarError> {
    let (local, domain) = address.rsplit_once('@').ok_or(CalendarError::Address)?;
    let unfit = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | ',' | ';' | ':' | '\\');
    if local.is_empty() || domain.is_empty() || address.contains(unfit) {
        return Err(CalendarError::Address);
    }
    Ok(format!("mailto:{address}"))
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
