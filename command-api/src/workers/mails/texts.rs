//! What the mail says, in English and Vietnamese.

use chrono::Datelike;
use tickiz_domain::{
    booking::{IssuedTicket, Purchase},
    event::Show,
};

/// A language of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, also for everybody whose language we do not speak.
    English,
    /// Vietnamese.
    Vietnamese,
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const WEEKDAYS_VI: [&str; 7] = ["thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật"];

impl Language {
    /// The language of a BCP 47 tag.
    #[must_use]
    pub fn of(locale: Option<&str>) -> Self {
        let primary = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
        if primary.eq_ignore_ascii_case("vi") { Self::Vietnamese } else { Self::English }
    }

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Vietnamese => "vi",
        }
    }

    fn pick(self, english: &'static str, vietnamese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Vietnamese => vietnamese,
        }
    }

    /// When a show begins, as it stands on its own clock.
    fn time(self, show: &Show) -> String {
        if show.postponed {
            return self.pick("new date to be announced", "sẽ thông báo ngày mới").to_owned();
        }
        let local = show.starts_at.local;
        let weekday = usize::try_from(local.weekday().num_days_from_monday()).unwrap_or_default();
        match self {
            Self::English => {
                format!("{}, {} ({})", WEEKDAYS[weekday], local.format("%-d %B %Y, %H:%M"), show.time_zone)
            }
            Self::Vietnamese => {
                format!(
                    "{} {}, {} ({})",
                    local.format("%H:%M"),
                    WEEKDAYS_VI[weekday],
                    local.format("%d/%m/%Y"),
                    show.time_zone
                )
            }
        }
    }
}

fn place(show: &Show) -> String {
    let venue = &show.venue;
    [Some(venue.name.as_str()), venue.address.as_deref(), Some(venue.city.as_str())]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Subject and text of the mail with the tickets. `codes` are the signed texts, in the order of the tickets.
#[must_use]
pub fn confirmation(
    language: Language,
    name: &str,
    purchase: &Purchase,
    show: &Show,
    tickets: &[IssuedTicket],
    codes: &[String],
) -> (String, String) {
    let subject = format!("{} {}", language.pick("Your tickets:", "Vé của bạn:"), show.title);
    let mut text = format!("{} {name},\n\n", language.pick("Hello", "Xin chào"));
    text.push_str(language.pick("your booking is confirmed.\n\n", "đơn đặt vé của bạn đã được xác nhận.\n\n"));
    let mut line = |english, vietnamese, value: &str| {
        text.push_str(&format!("{}: {value}\n", language.pick(english, vietnamese)));
    };
    line("Event", "Sự kiện", &show.title);
    line("Time", "Thời gian", &language.time(show));
    line("Place", "Địa điểm", &place(show));
    line("Booking code", "Mã đặt vé", &purchase.code);
    line("Total", "Tổng cộng", &purchase.total.to_string());
    for (number, (ticket, code)) in (1..).zip(tickets.iter().zip(codes)) {
        let kind = show.ticket_type(ticket.ticket_type_id).map_or("", |kind| kind.name.as_str());
        let seat = purchase
            .lines
            .iter()
            .find(|line| line.ticket_id == ticket.ticket_id)
            .and_then(|line| line.seat_label.as_deref())
            .map(|label| format!(" – {label}"))
            .unwrap_or_default();
        text.push_str(&format!("\n{} {number}: {kind}{seat}\n{code}\n", language.pick("Ticket", "Vé")));
    }
    text.push_str(language.pick(
        "\nEach code lets one person in. Show it at the gate and give it to nobody else.\n",
        "\nMỗi mã cho một người vào cửa. Hãy đưa mã tại cổng và đừng chia sẻ cho người khác.\n",
    ));
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_we_do_not_understand_gets_english() {
        assert_eq!(Language::of(Some("vi-VN")), Language::Vietnamese);
        assert_eq!(Language::of(Some("vi")), Language::Vietnamese);
        for other in [None, Some(""), Some("en-GB"), Some("fr"), Some("vic")] {
            assert_eq!(Language::of(other), Language::English);
        }
    }
}
