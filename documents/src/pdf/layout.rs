//! Where everything of a page stands, as plain values. Points from the upper left corner; nothing here is drawn yet.

use qrcode::{Color, EcLevel, QrCode};

use super::{
    PAGE_HEIGHT_PT, PAGE_WIDTH_PT, PdfError,
    font::{Weight, wrap},
};
use crate::{
    Booking, Ticket,
    text::{one_line, some_line, web_link},
};

/// The white edge that every printer leaves, and then some.
pub(super) const MARGIN_PT: f32 = 48.0;
/// The QR code with its quiet zone: 7.8 cm, so that a module is 1.4 mm wide and a phone reads it at arm's length.
const QR_SIDE_PT: f32 = 220.0;
/// The quiet zone on each side, in modules (ISO/IEC 18004 section 9.1).
const QUIET_MODULES: usize = 4;
/// Between the details and the QR code.
const GAP_PT: f32 = 24.0;
const LINE_WIDTH_PT: f32 = PAGE_WIDTH_PT - 2.0 * MARGIN_PT;
const DETAILS_WIDTH_PT: f32 = LINE_WIDTH_PT - QR_SIDE_PT - GAP_PT;
/// Sizes and lines of a title: the first that takes it all, else the last, cut. Two hundred characters fit whatever they are.
const TITLE_SIZES: [(f32, usize); 4] = [(22.0, 3), (18.0, 4), (14.0, 6), (11.0, 8)];
const LABEL_PT: f32 = 9.0;
const VALUE_PT: f32 = 12.0;
const CODE_PT: f32 = 7.0;
/// From one baseline to the next, in sizes.
const LEADING: f32 = 1.25;
/// From a line's top to its baseline, in sizes: the fonts' ascent (1901 of 2048 units).
const ASCENT: f32 = 0.93;
const FOOTER_TOP_PT: f32 = PAGE_HEIGHT_PT - MARGIN_PT - 50.0;

/// A colour of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    Grey,
}

/// Something on a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// A line of text from `x` on, standing on `baseline`.
    Text { x: f32, baseline: f32, size: f32, weight: Weight, ink: Ink, text: String },
    /// A thin line from the left margin to the right one.
    Rule { y: f32 },
    /// A QR code; `dark` has `modules` × `modules` values, row by row, with the quiet zone.
    Qr { x: f32, y: f32, side: f32, modules: usize, dark: Vec<bool> },
    /// A place that leads to a page.
    Link { x: f32, y: f32, width: f32, height: f32, target: String },
}

struct Page {
    items: Vec<Item>,
    /// The top of what comes next.
    y: f32,
}

struct Style {
    size: f32,
    weight: Weight,
    ink: Ink,
}

impl Page {
    fn lines(&mut self, x: f32, lines: Vec<String>, style: &Style) {
        for text in lines {
            let &Style { size, weight, ink } = style;
            self.items.push(Item::Text { x, baseline: self.y + ASCENT * size, size, weight, ink, text });
            self.y += LEADING * size;
        }
    }

    fn text(&mut self, x: f32, width: f32, text: &str, max_lines: usize, style: &Style) {
        self.lines(x, wrap(text, style.weight, style.size, width, max_lines), style);
    }

    /// A label with its value below, in the column of details.
    fn field(&mut self, label: &str, values: &[(&str, Weight, usize)]) {
        self.text(MARGIN_PT, DETAILS_WIDTH_PT, label, 1, &SMALL);
        for (value, weight, max_lines) in values {
            let style = Style { size: VALUE_PT, weight: *weight, ink: Ink::Black };
            self.text(MARGIN_PT, DETAILS_WIDTH_PT, value, *max_lines, &style);
        }
        self.y += 7.0;
    }
}

const SMALL: Style = Style { size: LABEL_PT, weight: Weight::Regular, ink: Ink::Grey };
const CODE: Style = Style { size: CODE_PT, weight: Weight::Regular, ink: Ink::Grey };

/// The page of ticket `number`, counted from 1, which the booking has.
///
/// # Errors
/// [`PdfError::Code`].
pub(super) fn page(booking: &Booking, number: usize) -> Result<Vec<Item>, PdfError> {
    let ticket = &booking.tickets[number - 1];
    let mut page = Page { items: Vec::new(), y: MARGIN_PT };
    page.text(MARGIN_PT, LINE_WIDTH_PT, &one_line(&booking.show.organizer), 1, &SMALL);
    page.y += 4.0;
    title(&mut page, &one_line(&booking.show.title));
    page.y += 10.0;
    page.items.push(Item::Rule { y: page.y });
    page.y += 18.0;
    let top = page.y;
    details(&mut page, booking, ticket, number);
    page.y = top;
    code(&mut page, ticket, number)?;
    footer(&mut page, booking);
    Ok(page.items)
}

fn title(page: &mut Page, title: &str) {
    for (at, (size, max_lines)) in TITLE_SIZES.into_iter().enumerate() {
        let style = Style { size, weight: Weight::Bold, ink: Ink::Black };
        let lines = wrap(title, style.weight, size, LINE_WIDTH_PT, max_lines + 1);
        if lines.len() <= max_lines || at + 1 == TITLE_SIZES.len() {
            return page.text(MARGIN_PT, LINE_WIDTH_PT, title, max_lines, &style);
        }
    }
}

fn details(page: &mut Page, booking: &Booking, ticket: &Ticket, number: usize) {
    use Weight::{Bold, Regular};
    let (locale, show) = (booking.locale, &booking.show);
    let label = |english, vietnamese| locale.pick(english, vietnamese);
    if show.postponed {
        let announced = label("new date to be announced", "ngày mới sẽ được thông báo sau");
        page.field(label("Time", "Thời gian"), &[(announced, Bold, 2)]);
    } else {
        let when = locale.date_time(show.starts_at, show.time_zone);
        page.field(label("Time", "Thời gian"), &[(&when, Bold, 3)]);
        for (name, at) in
            [(label("Doors open", "Mở cửa"), show.doors_at), (label("Expected end", "Dự kiến kết thúc"), show.ends_at)]
        {
            if let Some(at) = at {
                page.field(name, &[(&locale.time_beside(at, show.starts_at, show.time_zone), Regular, 2)]);
            }
        }
    }
    let (venue, address) = (one_line(&show.venue.name), some_line(show.venue.address.as_deref()).unwrap_or_default());
    page.field(label("Place", "Địa điểm"), &[(&venue, Bold, 2), (&address, Regular, 3)]);
    page.field(label("Ticket type", "Loại vé"), &[(&one_line(&ticket.kind), Regular, 2)]);
    let seat = ticket.seat.as_ref().map(|seat| seat.one_line(locale));
    let fields = [
        (label("Seat", "Chỗ ngồi"), some_line(seat.as_deref()), Bold, 2),
        (label("Price", "Giá vé"), some_line(ticket.price.as_deref()), Regular, 1),
        (label("Ticket holder", "Người giữ vé"), some_line(ticket.holder.as_deref()), Regular, 2),
        (label("Booking code", "Mã đặt vé"), some_line(Some(&booking.reference)), Bold, 1),
    ];
    for (name, value, weight, max_lines) in fields {
        if let Some(value) = value {
            page.field(name, &[(&value, weight, max_lines)]);
        }
    }
    let of = booking.tickets.len();
    let count = locale.pick(format!("{number} of {of}"), format!("{number}/{of}"));
    page.field(label("Ticket", "Vé"), &[(&count, Regular, 1)]);
}

/// The QR code at the right, and its text below for who has to type it. Level Q, since paper gets folded and wet.
fn code(page: &mut Page, ticket: &Ticket, number: usize) -> Result<(), PdfError> {
    let symbol =
        QrCode::with_error_correction_level(&ticket.code, EcLevel::Q).map_err(|_| PdfError::Code { number })?;
    let (inner, modules) = (symbol.width(), symbol.width() + 2 * QUIET_MODULES);
    let mut dark = vec![false; modules * modules];
    for y in 0..inner {
        for x in 0..inner {
            dark[(y + QUIET_MODULES) * modules + x + QUIET_MODULES] = symbol[(x, y)] == Color::Dark;
        }
    }
    let x = PAGE_WIDTH_PT - MARGIN_PT - QR_SIDE_PT;
    page.items.push(Item::Qr { x, y: page.y, side: QR_SIDE_PT, modules, dark });
    page.y += QR_SIDE_PT + 6.0;
    // Indented to the symbol's own edge. A code of TKZ1 has 149 characters and takes five lines.
    let quiet = QR_SIDE_PT * QUIET_MODULES as f32 / modules as f32;
    page.text(x + quiet, QR_SIDE_PT - 2.0 * quiet, &one_line(&ticket.code), 8, &CODE);
    Ok(())
}

fn footer(page: &mut Page, booking: &Booking) {
    page.items.push(Item::Rule { y: FOOTER_TOP_PT });
    page.y = FOOTER_TOP_PT + 10.0;
    let note = booking.locale.pick(
        "Each code lets one person in, once. Show it at the gate and give it to nobody else.",
        "Mỗi mã cho một người vào cửa một lần. Hãy đưa mã tại cổng và đừng chia sẻ cho người khác.",
    );
    page.text(MARGIN_PT, LINE_WIDTH_PT, note, 2, &SMALL);
    if let Some(link) = web_link(&booking.link) {
        let y = page.y;
        page.text(MARGIN_PT, LINE_WIDTH_PT, &link, 1, &SMALL);
        page.items.push(Item::Link { x: MARGIN_PT, y, width: LINE_WIDTH_PT, height: page.y - y, target: link });
    }
}
