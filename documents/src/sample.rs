//! A booking that nobody made: what previews show, and what tests begin with.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Asia::Ho_Chi_Minh;

use crate::{Booking, Locale, MailKind, Notice, Position, Seat, Show, Ticket, Venue, mail::Before};

/// 2026-02-28 19:00 in Hà Nội, a Saturday.
const STARTS_AT: i64 = 1_772_280_000;
/// 2026-01-01 00:00 UTC.
const ISSUED_AT: i64 = 1_767_225_600;

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("the seconds are constants of this file, all of them in 2026")
}

/// Two tickets for a concert. Their codes have the form of TKZ1 and no signature: no gate lets them in.
#[must_use]
pub fn booking(locale: Locale) -> Booking {
    let ticket = |seat: &str, holder: &str, letter: char| Ticket {
        kind: locale.pick("Standard", "Vé thường").to_owned(),
        seat: Some(Seat {
            section: Some(locale.pick("Stand A", "Khán đài A").to_owned()),
            row: Some("C".to_owned()),
            seat: Some(seat.to_owned()),
        }),
        price: Some(locale.pick("VND 200,000", "200.000 ₫").to_owned()),
        holder: Some(holder.to_owned()),
        code: format!("TKZ1:{}", letter.to_string().repeat(144)),
    };
    Booking {
        locale,
        show: Show {
            title: "Đêm nhạc Trịnh Công Sơn".to_owned(),
            starts_at: instant(STARTS_AT),
            ends_at: Some(instant(STARTS_AT) + Duration::hours(3)),
            doors_at: Some(instant(STARTS_AT) - Duration::hours(1)),
            postponed: false,
            time_zone: Ho_Chi_Minh,
            venue: Venue {
                name: "Nhà hát Lớn".to_owned(),
                address: Some("1 Tràng Tiền, Hoàn Kiếm, Hà Nội".to_owned()),
                position: Position::new(21.024_5, 105.857_5),
            },
            organizer: "Tickiz".to_owned(),
            link: "https://tickiz.example/e/1001".to_owned(),
        },
        reference: "TKZ-7Q4M2".to_owned(),
        buyer: Some("Nguyễn Thị Lan".to_owned()),
        total: Some(locale.pick("VND 400,000", "400.000 ₫").to_owned()),
        link: "https://tickiz.example/b/TKZ-7Q4M2".to_owned(),
        issued_at: instant(ISSUED_AT),
        tickets: vec![ticket("12", "Nguyễn Thị Lan", 'A'), ticket("13", "Trần Văn Đức", 'B')],
    }
}

/// A booking that has only what every booking has: what a template must do without.
#[must_use]
pub fn bare_booking(locale: Locale) -> Booking {
    let mut booking = booking(locale);
    (booking.buyer, booking.total, booking.link) = (None, None, String::new());
    let show = &mut booking.show;
    (show.ends_at, show.doors_at, show.venue.address, show.venue.position) = (None, None, None, None);
    booking.tickets.truncate(1);
    for ticket in &mut booking.tickets {
        (ticket.seat, ticket.price, ticket.holder) = (None, None, None);
    }
    booking
}

/// The same for [`notice`].
#[must_use]
pub fn bare_notice(kind: MailKind, locale: Locale) -> Notice {
    match notice(kind, locale) {
        Notice::CancelledShow { .. } => Notice::CancelledShow { reason: None, refund: None },
        Notice::PostponedShow { .. } => Notice::PostponedShow { reason: None },
        other => other,
    }
}

/// What a mail of this kind could tell.
#[must_use]
pub fn notice(kind: MailKind, locale: Locale) -> Notice {
    let amount = || locale.pick("VND 400,000", "400.000 ₫").to_owned();
    match kind {
        MailKind::Confirmed => Notice::Confirmed,
        MailKind::Reissued => Notice::Reissued,
        MailKind::Expired => Notice::Expired { held_until: instant(ISSUED_AT) },
        MailKind::Refunded => Notice::Refunded { amount: amount() },
        MailKind::CancelledShow => Notice::CancelledShow {
            reason: Some(locale.pick("The singer is ill.", "Ca sĩ bị ốm.").to_owned()),
            refund: Some(amount()),
        },
        MailKind::ChangedShow => Notice::ChangedShow {
            before: Before {
                starts_at: instant(STARTS_AT) - Duration::days(1),
                venue: Venue { name: "Nhà hát Tuổi Trẻ".to_owned(), address: None, position: None },
            },
        },
        MailKind::PostponedShow => {
            Notice::PostponedShow { reason: Some(locale.pick("The singer is ill.", "Ca sĩ bị ốm.").to_owned()) }
        }
        MailKind::Reminder => Notice::Reminder,
    }
}
