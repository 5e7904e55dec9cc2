//! The page, as values and as bytes. What a reader makes of it was looked at by hand; what can be read without one is read here.

use chrono::Duration;

use super::{
    layout::{Item, MARGIN_PT},
    *,
};
use crate::{Locale, Seat, sample};

/// Bookings whose every text is `text`.
fn full_of(text: &str, locale: Locale) -> Booking {
    let mut booking = sample::booking(locale);
    let some = || Some(text.to_owned());
    (booking.reference, booking.link) = (text.into(), format!("https://tickiz.example/{text}"));
    let show = &mut booking.show;
    (show.title, show.organizer, show.venue.name, show.venue.address) = (text.into(), text.into(), text.into(), some());
    // The longest dates: each of them told whole.
    (show.ends_at, show.doors_at) =
        (Some(show.starts_at + Duration::days(208)), Some(show.starts_at - Duration::days(200)));
    for ticket in &mut booking.tickets {
        let seat = Seat { section: some(), row: some(), seat: some() };
        (ticket.kind, ticket.seat, ticket.price, ticket.holder) = (text.into(), Some(seat), some(), some());
    }
    booking
}

fn texts(items: &[Item]) -> Vec<&str> {
    fn text(item: &Item) -> Option<&str> {
        if let Item::Text { text, .. } = item { Some(text) } else { None }
    }
    items.iter().filter_map(text).collect()
}

const TITLES: [&str; 9] = [
    "Đêm nhạc Trịnh Công Sơn",
    "W",
    "Một đêm nhạc rất dài ",
    "Nguye\u{302}\u{303}n e\u{301}\u{323}\u{302}\u{300}\u{308} \u{301}",
    "🎵👩‍👩‍👧‍👦🏳️‍🌈😀",
    "ערב (שירים) 2026 של Tickiz",
    "حفلة موسيقية",
    "東京公演コンサート",
    "Ωδείο Концерт ก็ \u{fffe}\u{feff}\u{ad}\u{200d}",
];

#[test]
fn nothing_stands_outside_the_margins_or_on_the_footer_whatever_it_says() {
    for (title, locale) in TITLES.iter().flat_map(|title| Locale::ALL.map(|locale| (title, locale))) {
        let long: String = title.chars().cycle().take(200).collect();
        for text in [*title, &long] {
            let booking = full_of(text, locale);
            for number in 1..=2 {
                let items = layout::page(&booking, number).unwrap();
                let footer = items
                    .iter()
                    .find_map(|item| if let Item::Rule { y } = item { (*y > 700.0).then_some(*y) } else { None });
                let footer = footer.unwrap();
                let mut below = false;
                for item in &items {
                    let (left, top, right, bottom) = match item {
                        Item::Text { x, baseline, size, weight, text, .. } => {
                            let drawn: f32 = font::runs(text, *weight).iter().map(|run| run.width).sum();
                            assert!(
                                drawn <= font::width_em(text, *weight) + 0.001,
                                "drawn wider than it was measured: {text}"
                            );
                            (*x, baseline - size * 0.93, x + drawn * size, baseline + size * 0.24)
                        }
                        Item::Rule { y } => (MARGIN_PT, *y, PAGE_WIDTH_PT - MARGIN_PT, *y),
                        Item::Qr { x, y, side, .. } => (*x, *y, x + side, y + side),
                        Item::Link { x, y, width, height, .. } => (*x, *y, x + width, y + height),
                    };
                    below |= matches!(item, Item::Rule { y } if *y == footer);
                    let inside = left >= MARGIN_PT - 0.01 && right <= PAGE_WIDTH_PT - MARGIN_PT + 0.01;
                    let lowest = if below { PAGE_HEIGHT_PT - MARGIN_PT } else { footer };
                    assert!(inside && top >= MARGIN_PT - 0.01 && bottom <= lowest + 0.01, "{item:?} of {text}");
                }
            }
        }
        // Every character of it went through the writer.
        assert!(tickets_pdf(&full_of(&long, locale)).unwrap().starts_with(b"%PDF-"));
    }
}

#[test]
fn the_details_do_not_reach_the_code_beside_them() {
    let items = layout::page(&full_of(&"W".repeat(200), Locale::En), 1).unwrap();
    let (left, top) =
        items.iter().find_map(|item| if let Item::Qr { x, y, .. } = item { Some((*x, *y)) } else { None }).unwrap();
    for item in &items {
        let Item::Text { x, baseline, size, weight, text, .. } = item else { continue };
        let beside = *baseline > top && *baseline < 740.0 && *x < left;
        assert!(!beside || x + font::width_em(text, *weight) * size <= left, "{text}");
    }
}

#[test]
fn a_title_of_200_characters_is_there_to_the_last_one() {
    for c in ["W", "m", "ộ", "Ж"] {
        let mut booking = sample::booking(Locale::Vi);
        booking.show.title = c.repeat(199) + "!";
        let items = layout::page(&booking, 1).unwrap();
        assert!(texts(&items).concat().contains(&booking.show.title), "{c}");
    }
}

#[test]
fn a_page_says_what_the_gate_and_the_buyer_need() {
    let page = |locale, number| texts(&layout::page(&sample::booking(locale), number).unwrap()).join(" ");
    let first = page(Locale::Vi, 1);
    for text in [
        "Đêm nhạc Trịnh Công Sơn",
        "Thứ Bảy, 28 tháng 2, 2026 lúc 19:00 (GMT+7)",
        "22:00",
        "18:00",
        "Nhà hát Lớn",
        "1 Tràng Tiền, Hoàn Kiếm, Hà Nội",
        "Vé thường",
        "Khán đài A · Hàng C · Ghế 12",
        "200.000 ₫",
        "Nguyễn Thị Lan",
        "TKZ-7Q4M2",
        "1/2",
        "TKZ1:AAAA",
    ] {
        assert!(first.contains(text), "{text} is missing in {first}");
    }
    let second = page(Locale::En, 2);
    for text in ["Saturday, 28 February 2026, 19:00 (GMT+7)", "Stand A · Row C · Seat 13", "2 of 2", "TKZ1:BBBB"] {
        assert!(second.contains(text), "{text} is missing in {second}");
    }
}

/// A file that a test can read: streams as they are.
fn plain(booking: &Booking) -> String {
    let settings =
        SerializeSettings { compress_content_streams: false, ascii_compatible: false, ..SerializeSettings::default() };
    String::from_utf8_lossy(&write(booking, settings).unwrap()).into_owned()
}

#[test]
fn the_code_is_drawn_as_it_reads_with_its_quiet_zone() {
    let mut booking = sample::booking(Locale::Vi);
    booking.tickets.truncate(1);
    booking.tickets[0].code = "TKZ1:".chars().chain("A2B3C4D5E6F7GHIJ".chars().cycle()).take(149).collect();
    // The rectangles as they stand in the file, in modules: `x y m x y l x y l x y l h`.
    let file = plain(&booking);
    let words: Vec<&str> = file.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<f32>().unwrap_or(f32::NAN);
    const SCALE: usize = 5;
    let width = 100 * SCALE;
    let mut pixels = vec![255_u8; width * width];
    let mut rectangles = 0;
    for at in (2..words.len() - 9).filter(|at| ["m", "l", "l", "l"] == [0, 3, 6, 9].map(|after| words[at + after])) {
        let (left, top, right, bottom) = (number(at - 2), number(at - 1), number(at + 4), number(at + 5));
        if bottom - top != 1.0 || left.fract() != 0.0 {
            continue;
        }
        rectangles += 1;
        for y in top as usize * SCALE..bottom as usize * SCALE {
            pixels[y * width + left as usize * SCALE..y * width + right as usize * SCALE].fill(0);
        }
    }
    assert!(rectangles > 200, "{rectangles} rectangles");
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, width, |x, y| pixels[y * width + x]);
    let grids = image.detect_grids();
    let (meta, text) = grids[0].decode().unwrap();
    // Level Q is 3 in the format bits (ISO/IEC 18004 table 12).
    assert_eq!((text, meta.ecc_level), (booking.tickets[0].code.clone(), 3));
    let items = layout::page(&booking, 1).unwrap();
    let qr = items
        .iter()
        .find_map(|item| if let Item::Qr { modules, dark, .. } = item { Some((*modules, dark)) } else { None });
    let (modules, dark) = qr.unwrap();
    let inside = 4..modules - 4;
    let quiet = |at: &usize| !inside.contains(&(at % modules)) || !inside.contains(&(at / modules));
    assert!((0..dark.len()).filter(quiet).all(|at| !dark[at]));
}

#[test]
fn the_file_has_a_page_for_each_ticket_and_says_its_title_language_and_date() {
    let mut booking = sample::booking(Locale::Vi);
    booking.tickets = vec![booking.tickets[0].clone(); 5];
    let file = plain(&booking);
    assert_eq!(file.matches("/Type /Page\n").count() + file.matches("/Type/Page/").count(), 5, "{}", &file[..500]);
    assert!(file.contains("/Lang (vi)") || file.contains("/Lang(vi)"));
    assert!(file.contains("Vé: Đêm nhạc Trịnh Công Sơn"), "the XMP metadata has the title");
    assert!(file.contains("D:20260101000000"));
}

#[test]
fn the_same_booking_is_the_same_bytes() {
    let booking = sample::booking(Locale::Vi);
    let first = tickets_pdf(&booking).unwrap();
    assert_eq!(first, tickets_pdf(&booking).unwrap());
    let mut later = booking;
    later.issued_at += Duration::seconds(1);
    assert_ne!(first, tickets_pdf(&later).unwrap());
    assert!(first.len() < 60_000, "the fonts are subsets: {} bytes", first.len());
}

#[test]
fn every_vietnamese_letter_has_its_glyph_in_both_weights() {
    let letters = "aăâeêioôơuưyđ";
    let marks = ["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"];
    for weight in [font::Weight::Regular, font::Weight::Bold] {
        for text in letters.chars().flat_map(|c| marks.map(|mark| one_line(&format!("{c}{mark}")))) {
            for text in [text.to_uppercase(), text] {
                let runs = font::runs(&text, weight);
                assert!(runs.len() == 1 && runs[0].glyphs.iter().all(|glyph| glyph.glyph_id.to_u32() != 0), "{text}");
            }
        }
    }
}

#[test]
fn what_is_read_from_the_right_stands_from_the_right() {
    let runs = font::runs("אב", font::Weight::Regular);
    let alone = |text| font::runs(text, font::Weight::Regular)[0].glyphs[0].glyph_id;
    assert_eq!(runs[0].glyphs.iter().map(|glyph| glyph.glyph_id).collect::<Vec<_>>(), [alone("ב"), alone("א")]);
}

#[test]
fn what_no_font_has_is_a_square_that_still_says_what_was_meant() {
    for weight in [font::Weight::Regular, font::Weight::Bold] {
        let square = font::runs("\u{25a1}", weight)[0].glyphs[0].glyph_id;
        let runs = font::runs("東京", weight);
        assert!(square.to_u32() != 0 && runs[0].glyphs.iter().all(|glyph| glyph.glyph_id == square));
        assert_eq!(runs[0].text, "東京");
    }
}

#[test]
fn what_no_page_can_hold_is_an_error() {
    let mut booking = sample::booking(Locale::Vi);
    booking.tickets[1].code = "A".repeat(5_000);
    assert!(matches!(tickets_pdf(&booking), Err(PdfError::Code { number: 2 })));
    booking.tickets = vec![sample::booking(Locale::Vi).tickets[0].clone(); MAX_TICKETS + 1];
    assert!(matches!(tickets_pdf(&booking), Err(PdfError::TooManyTickets { .. })));
    booking.tickets.clear();
    assert!(matches!(tickets_pdf(&booking), Err(PdfError::NoTickets)));
}
