//! The calendar, read back by another's parser.

use icalendar::{Calendar, CalendarComponent, Component, EventLike};

use super::*;
use crate::{Locale, sample};

fn organizer() -> Person {
    Person { name: "Tickiz".to_owned(), address: "tickets@tickiz.example".to_owned() }
}

fn entry() -> CalendarEntry {
    CalendarEntry::publish(&sample::booking(Locale::Vi), "ord-0001@tickiz.example", organizer())
}

/// The file with its folds undone.
fn unfolded(ics: &str) -> String {
    ics.replace("\r\n ", "")
}

fn event(ics: &str) -> icalendar::Event {
    let calendar: Calendar = ics.parse().unwrap();
    let [CalendarComponent::Event(event)] = &calendar.components[..] else { panic!("one event") };
    event.clone()
}

fn assert_well_formed(ics: &str) {
    assert!(ics.ends_with("END:VCALENDAR\r\n"));
    assert!(!ics.replace("\r\n", "").contains(['\r', '\n']), "every line ends with CRLF");
    for line in ics.split("\r\n") {
        assert!(line.len() <= MAX_LINE_OCTETS, "{line}");
    }
}

#[test]
fn the_file_says_what_the_contract_says() {
    let ics = entry().to_ics().unwrap();
    assert_well_formed(&ics);
    let lines = unfolded(&ics);
    for line in [
        "METHOD:PUBLISH",
        "UID:ord-0001@tickiz.example",
        "SEQUENCE:0",
        "DTSTAMP:20260101T000000Z",
        "DTSTART:20260228T120000Z",
        "DTEND:20260228T150000Z",
        "LOCATION:Nhà hát Lớn\\, 1 Tràng Tiền\\, Hoàn Kiếm\\, Hà Nội",
        "GEO:21.024500;105.857500",
        "ORGANIZER;CN=Tickiz:mailto:tickets@tickiz.example",
        "STATUS:CONFIRMED",
        "TRIGGER:-PT3H",
    ] {
        assert!(lines.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {lines}");
    }
    assert!(!lines.contains("ATTENDEE") && !lines.contains("TKZ1:"));
    let event = event(&ics);
    assert_eq!(event.get_summary(), Some("Đêm nhạc Trịnh Công Sơn"));
    assert_eq!(event.get_location(), Some("Nhà hát Lớn, 1 Tràng Tiền, Hoàn Kiếm, Hà Nội"));
    assert!(event.get_description().unwrap().contains("\nGhế: Khán đài A · Hàng C · Ghế 12"));
}

#[test]
fn a_cancellation_is_the_same_entry_one_sequence_later_without_an_alarm() {
    let buyer = Person { name: "Lan".to_owned(), address: "lan@example.com".to_owned() };
    for entry in [entry(), entry().invite(buyer)] {
        let entry = entry.revised(4, "2026-02-01T00:00:00Z".parse().unwrap());
        let cancelled = entry.clone().cancelled("2026-02-02T00:00:00Z".parse().unwrap());
        let (before, after) = (unfolded(&entry.to_ics().unwrap()), unfolded(&cancelled.to_ics().unwrap()));
        assert!(before.contains("\r\nSEQUENCE:4\r\n") && before.contains("BEGIN:VALARM"));
        for line in ["METHOD:CANCEL", "SEQUENCE:5", "STATUS:CANCELLED", "DTSTAMP:20260202T000000Z"] {
            assert!(after.contains(&format!("\r\n{line}\r\n")), "{line}");
        }
        assert!(!after.contains("VALARM"));
        let kept = |file: &str, name: &str| file.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        for name in ["UID", "ORGANIZER", "ATTENDEE", "DTSTART"] {
            assert_eq!(kept(&before, name), kept(&after, name));
        }
        assert_eq!(cancelled.media_type(), "text/calendar; method=CANCEL; charset=utf-8");
    }
}

#[test]
fn an_invitation_names_its_recipient() {
    let buyer = Person { name: "Nguyễn: \"Lan\"".to_owned(), address: "lan@example.com".to_owned() };
    let ics = entry().invite(buyer).to_ics().unwrap();
    assert_well_formed(&ics);
    let attendee =
        "ATTENDEE;CN=\"Nguyễn: 'Lan'\";ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:lan@example.com";
    assert!(unfolded(&ics).contains("\r\nMETHOD:REQUEST\r\n") && unfolded(&ics).contains(attendee), "{ics}");
    assert!(event(&ics).property_value("ORGANIZER").is_some());
}

#[test]
fn no_text_begins_a_property_of_its_own_and_every_text_comes_back() {
    let hostile = "Đêm;nhạc, \\n \"x\"\r\nATTACH:https://evil.example\nX:1\u{2028}Y\u{85}Z 🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵";
    let mut booking = sample::booking(Locale::En);
    (booking.show.title, booking.show.venue.name) = (hostile.repeat(5), hostile.to_owned());
    (booking.reference, booking.link) = (hostile.to_owned(), format!("https://tickiz.example/{hostile}"));
    let person = Person { name: hostile.to_owned(), ..organizer() };
    let ics = CalendarEntry::publish(&booking, "u@d", person).to_ics().unwrap();
    assert_well_formed(&ics);
    let names: Vec<&str> = ics.split("\r\n").filter_map(|line| line.split([':', ';']).next()).collect();
    assert!(!names.contains(&"ATTACH") && !names.contains(&"X") && !names.contains(&"Y"), "{names:?}");
    assert_eq!(event(&ics).get_summary(), Some(text::one_line(&hostile.repeat(5)).as_str()));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let mut booking = sample::booking(Locale::En);
    booking.show.postponed = true;
    let entry = CalendarEntry::publish(&booking, "u@d", organizer());
    assert_eq!(entry.to_ics(), Err(CalendarError::NoDate));
    assert!(entry.cancelled(booking.issued_at).to_ics().is_ok());
    booking.show.postponed = false;
    for address in ["", "lan", "@d", "a@", "a b@c", "a@b\r\nX:1", "a\"@b"] {
        let person = Person { address: address.to_owned(), ..organizer() };
        assert_eq!(
            CalendarEntry::publish(&booking, "u@d", person).to_ics(),
            Err(CalendarError::Address),
            "{address:?}"
        );
    }
    for uid in ["", "a b", "é@d", "a\r\nX:1"] {
        assert_eq!(CalendarEntry::publish(&booking, uid, organizer()).to_ics(), Err(CalendarError::Uid));
    }
}

#[test]
fn an_end_before_the_start_is_left_out() {
    let mut booking = sample::booking(Locale::En);
    booking.show.ends_at = Some(booking.show.starts_at);
    assert!(!CalendarEntry::publish(&booking, "u@d", organizer()).to_ics().unwrap().contains("DTEND"));
}

proptest::proptest! {
    #[test]
    fn folding_never_cuts_a_character_and_never_passes_75_octets(title in "\\PC{0,300}") {
        let mut booking = sample::booking(Locale::En);
        booking.show.title = title;
        let ics = CalendarEntry::publish(&booking, "u@d", organizer()).to_ics().unwrap();
        assert_well_formed(&ics);
    }
}
