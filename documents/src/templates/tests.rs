//! Every template with every language, and what an operator can do wrong.

use std::fs;

use super::*;
use crate::mail::inline_images;

fn built_in() -> Templates {
    Templates::built_in().unwrap()
}

fn each() -> impl Iterator<Item = (MailKind, Locale)> {
    MailKind::ALL.into_iter().flat_map(|kind| Locale::ALL.map(|locale| (kind, locale)))
}

/// Texts that try to get out of whatever they stand in.
const HOSTILE: &str = "<script>alert(1)</script> \"'&{{ 7 * 7 }}{% raw %}\r\nBcc: all@example.com";

fn hostile_booking(locale: Locale) -> Booking {
    let mut booking = sample::booking(locale);
    let some = || Some(HOSTILE.to_owned());
    (booking.reference, booking.buyer, booking.total, booking.link) = (HOSTILE.into(), some(), some(), HOSTILE.into());
    let show = &mut booking.show;
    (show.title, show.organizer, show.link) = (HOSTILE.into(), HOSTILE.into(), "javascript:alert(1)".into());
    (show.venue.name, show.venue.address) = (HOSTILE.into(), some());
    for ticket in &mut booking.tickets {
        let seat = crate::Seat { section: some(), row: some(), seat: some() };
        (ticket.kind, ticket.seat, ticket.price, ticket.holder) = (HOSTILE.into(), Some(seat), some(), some());
        ticket.code = HOSTILE.into();
    }
    booking
}

#[test]
fn every_mail_has_a_subject_a_text_and_an_html_in_each_language() {
    let templates = built_in();
    for (kind, locale) in each() {
        let mail = templates.preview(kind, locale).unwrap();
        for text in [&mail.subject, &mail.text, &mail.html] {
            assert!(text.contains("Đêm nhạc Trịnh Công Sơn"), "{kind:?} {locale:?}: {text}");
            assert!(!text.contains("none") || text == &mail.html, "{kind:?} {locale:?}: {text}");
            assert!(!text.contains("{{") && !text.contains("{%"));
        }
        assert!(!mail.text.contains("\n\n\n") && mail.text.ends_with('\n'), "{kind:?} {locale:?}: {}", mail.text);
        let hello = locale.pick("Hello Nguyễn Thị Lan,", "Xin chào Nguyễn Thị Lan,");
        assert!(mail.text.starts_with(hello) && mail.html.contains(hello));
        assert!(mail.html.contains(&format!("<html lang=\"{}\">", locale.tag())));
        assert!(mail.text.contains("TKZ-7Q4M2") && mail.html.contains("TKZ-7Q4M2"));
    }
}

#[test]
fn a_mail_tells_what_only_its_kind_knows() {
    let templates = built_in();
    for (kind, locale, parts) in [
        (MailKind::Reissued, Locale::En, vec!["Their old codes no longer work", "TKZ1:"]),
        (MailKind::Reissued, Locale::Vi, vec!["Mã cũ của những vé này không còn dùng được", "TKZ1:"]),
        (MailKind::Expired, Locale::En, vec!["Thursday, 1 January 2026, 07:00 (GMT+7)"]),
        (MailKind::Refunded, Locale::Vi, vec!["400.000 ₫"]),
        (MailKind::CancelledShow, Locale::Vi, vec!["Ca sĩ bị ốm.", "400.000 ₫"]),
        (
            MailKind::ChangedShow,
            Locale::En,
            vec!["Friday, 27 February 2026", "Saturday, 28 February 2026", "Nhà hát Tuổi Trẻ"],
        ),
        (MailKind::Reminder, Locale::Vi, vec!["Thứ Bảy, 28 tháng 2, 2026 lúc 19:00 (GMT+7)", "Hàng C · Ghế 12"]),
    ] {
        let mail = templates.preview(kind, locale).unwrap();
        for part in parts {
            assert!(mail.text.contains(part), "{part} is missing in {}", mail.text);
            assert!(mail.html.contains(part), "{part} is missing in {}", mail.html);
        }
    }
}

#[test]
fn tickets_that_were_issued_anew_are_not_told_as_a_booking_that_was_confirmed() {
    let templates = built_in();
    for locale in Locale::ALL {
        let confirmed = templates.preview(MailKind::Confirmed, locale).unwrap();
        let reissued = templates.preview(MailKind::Reissued, locale).unwrap();
        assert_ne!(confirmed.subject, reissued.subject);
        let said = locale.pick("Your booking is confirmed.", "Đơn đặt vé của bạn đã được xác nhận.");
        for (before, now) in [(&confirmed.text, &reissued.text), (&confirmed.html, &reissued.html)] {
            assert!(before.contains(said) && !now.contains(said), "{now}");
        }
    }
}

#[test]
fn every_picture_of_a_mail_is_one_that_comes_with_it() {
    let templates = built_in();
    for (kind, locale) in each() {
        let mail = templates.preview(kind, locale).unwrap();
        let ids = inline_images(kind, &sample::booking(locale)).unwrap().into_iter().map(|image| image.content_id);
        let ids: Vec<String> = ids.collect();
        assert_eq!(mail.html.matches("<img ").count(), ids.len());
        assert_eq!(mail.html.matches("src=").count(), ids.len(), "nothing from elsewhere");
        for id in ids {
            assert!(mail.html.contains(&format!("src=\"cid:{id}\"")), "{id} is missing in {}", mail.html);
        }
        assert_eq!(mail.html.contains("TKZ1:") || mail.text.contains("TKZ1:"), kind.has_codes(), "{kind:?}");
    }
}

#[test]
fn a_postponed_show_is_told_without_its_old_date() {
    let mut booking = sample::booking(Locale::Vi);
    booking.show.postponed = true;
    let mail = built_in().mail(&Notice::PostponedShow { reason: None }, &booking).unwrap();
    for text in [&mail.text, &mail.html, &built_in().ticket_page(&booking, WalletLinks::default()).unwrap().html] {
        assert!(!text.contains("28 tháng 2") && text.contains("ngày mới sẽ được thông báo sau"), "{text}");
    }
}

#[test]
fn no_text_from_outside_becomes_markup_or_a_header() {
    let templates = built_in();
    for (kind, locale) in each() {
        let booking = hostile_booking(locale);
        let mail = templates.mail(&sample::notice(kind, locale), &booking).unwrap();
        assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
        let page = templates.ticket_page(&booking, WalletLinks::default()).unwrap().html;
        for html in [&mail.html, &page] {
            assert!(!html.contains("<script") && !html.contains("javascript:") && !html.contains("49"), "{html}");
            assert!(html.contains("&lt;script&gt;"));
        }
        assert!(mail.text.lines().all(|line| !line.starts_with("Bcc:")));
    }
}

#[test]
fn a_page_needs_nothing_but_itself_and_its_style_is_the_one_that_was_promised() {
    let templates = built_in();
    for locale in Locale::ALL {
        let booking = sample::booking(locale);
        let page = templates.ticket_page(&booking, WalletLinks::default()).unwrap();
        assert_eq!(page.html.matches("<svg ").count(), booking.tickets.len());
        for outside in ["<script", "<link", "<img", "src=", "@import", "url(", "style=\"", "onload"] {
            assert!(!page.html.contains(outside), "{outside} in {}", page.html);
        }
        let style = page.html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert_eq!(context::style_source(style).unwrap(), page.style_source);
        for text in ["Nhà hát Lớn", "TKZ-7Q4M2", "Hàng C", "Nguyễn Thị Lan"]
            .iter()
            .filter(|text| locale == Locale::Vi || **text != "Hàng C")
        {
            assert!(page.html.contains(text), "{text}");
        }
    }
}

#[test]
fn a_booking_with_nothing_but_what_it_must_have_is_told_too() {
    let templates = built_in();
    for (kind, locale) in each() {
        let booking = sample::bare_booking(locale);
        let mail = templates.mail(&sample::bare_notice(kind, locale), &booking).unwrap();
        assert!(mail.text.starts_with(locale.pick("Hello,", "Xin chào,")));
        assert!(!mail.text.contains("none") && !mail.html.contains(">none"));
        templates.ticket_page(&booking, WalletLinks::default()).unwrap();
    }
}

#[test]
fn the_largest_booking_is_rendered_within_the_limit_of_steps() {
    let mut booking = hostile_booking(Locale::Vi);
    booking.tickets = vec![booking.tickets[0].clone(); MAX_TICKETS];
    let templates = built_in();
    templates.mail(&Notice::Confirmed, &booking).unwrap();
    templates.ticket_page(&booking, WalletLinks::default()).unwrap();
    booking.tickets.push(booking.tickets[0].clone());
    let refused = templates.mail(&Notice::Confirmed, &booking).unwrap_err();
    assert!(matches!(refused, TemplateError::TooManyTickets { tickets } if tickets == MAX_TICKETS + 1));
}

fn with(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
    let directory = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source).unwrap();
    }
    Templates::with_overrides(directory.path())
}

#[test]
fn a_file_replaces_its_template_and_no_other() {
    let templates =
        with(&[("vi/confirmed.subject", "Vé đây: {{ show.title }}\n"), ("README.md", "x"), ("vi/.swp", "x")]).unwrap();
    assert_eq!(templates.preview(MailKind::Confirmed, Locale::Vi).unwrap().subject, "Vé đây: Đêm nhạc Trịnh Công Sơn");
    let rest = built_in();
    for (kind, locale) in each().filter(|it| *it != (MailKind::Confirmed, Locale::Vi)) {
        assert_eq!(templates.preview(kind, locale).unwrap(), rest.preview(kind, locale).unwrap());
    }
}

#[test]
fn a_replaced_style_is_promised_by_its_own_hash_whatever_ends_its_lines() {
    let templates = with(&[("shared/ticket_page.css", "body {\r\n  color: red;\r\n}\r\n")]).unwrap();
    let page = templates.ticket_page(&sample::booking(Locale::Vi), WalletLinks::default()).unwrap();
    assert!(page.html.contains("<style>body {\n  color: red;\n}\n</style>"), "{}", page.html);
    assert_eq!(page.style_source, context::style_source("body {\n  color: red;\n}\n").unwrap());
}

#[test]
fn a_mistake_is_refused_at_once_with_its_file_and_its_line() {
    for (name, source, line, says) in [
        ("vi/reminder.txt", "a\nb {{ show.titel }}\n", 2, "undefined"),
        ("vi/reminder.txt", "a\n\n{% if buyer %}\n", 3, "end of input"),
        ("en/confirmed.html", "a\n{{ buyer | shout }}", 2, "shout"),
        ("vi/details.html", "a\n\n{{ nothing }}", 3, "undefined"),
        ("vi/reminder.txt", "a\nXin chào {{ buyer }}", 2, "may be none"),
        ("en/cancelled_show.txt", "{{ reason }}", 1, "may be none"),
        ("en/refunded.txt", "{% include \"/etc/passwd\" %}", 1, "/etc/passwd"),
        (
            "en/ticket_page.html",
            "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
            1,
            "fuel",
        ),
    ] {
        let error = with(&[(name, source)]).unwrap_err();
        let TemplateError::Broken { template, line: at, problem } = &error else { panic!("{error}") };
        assert_eq!((template.as_str(), *at), (name, line), "{error}");
        assert!(problem.contains(says), "{problem}");
        assert!(error.to_string().starts_with(&format!("{name}, line {line}: ")), "{error}");
    }
}

#[test]
fn what_is_no_template_of_ours_is_refused() {
    assert!(matches!(with(&[("vi/confirmed.htm", "x")]), Err(TemplateError::Unknown { .. })));
    assert!(matches!(with(&[("fr/confirmed.txt", "x")]), Err(TemplateError::Unknown { .. })));
    assert!(matches!(with(&[("vi/confirmed.subject", "a\nBcc: b")]), Err(TemplateError::Subject { .. })));
    assert!(matches!(with(&[("vi/confirmed.subject", "a\u{2028}b")]), Err(TemplateError::Subject { .. })));
    assert!(matches!(with(&[("vi/confirmed.subject", " \n")]), Err(TemplateError::Subject { .. })));
    assert!(matches!(with(&[("shared/ticket_page.css", "</style><script>")]), Err(TemplateError::Style { .. })));
    let large = "x".repeat(usize::try_from(MAX_TEMPLATE_BYTES).unwrap() + 1);
    assert!(matches!(with(&[("vi/confirmed.txt", &large)]), Err(TemplateError::TooLarge { .. })));
    assert!(matches!(Templates::with_overrides(Path::new("no/such/folder")), Err(TemplateError::Read { .. })));
}

#[test]
fn a_subject_too_long_for_a_header_is_cut() {
    let mut booking = sample::booking(Locale::Vi);
    booking.show.title = "Đ".repeat(2_000);
    let subject = built_in().mail(&Notice::Confirmed, &booking).unwrap().subject;
    assert!(subject.chars().count() == MAX_SUBJECT_CHARS && subject.ends_with('…'));
}
