//! Tickets to print: an A4 page each, the booking's tickets in one file.
//!
//! Text is drawn with fonts that are part of the program (DejaVu Sans, regular and bold, embedded as subsets): Latin with
//! all of Vietnamese, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic, and some of much else. What they do not have,
//! Chinese or Thai or most emoji, is drawn as a box; a font for those would be larger than the rest of the program, and the
//! page still has its code, its reference and its date. Who copies text out of the file gets the characters that were
//! meant, boxes or not.
//!
//! Text is composed (NFC) and put in visual order (UAX #9), then drawn glyph by glyph with the font's advances. There is no
//! shaping: Arabic letters stand unjoined, and nothing is kerned. That is the price of leaving out the two unmaintained
//! crates which krilla's own text needs.
//!
//! The same booking gives the same bytes: the creation date is the booking's `issued_at`, and krilla makes the file's id of its
//! content.
//!
//! Split in three: `font` knows what a line looks like and how wide it is, `layout` where everything stands, as plain
//! values that a test can look at, and `draw` says it to krilla.

mod draw;
mod font;
mod layout;

use krilla::{
    Document, SerializeSettings,
    metadata::{DateTime, Metadata},
    page::PageSettings,
};

use crate::{Booking, booking::MAX_TICKETS, text::one_line};

/// The width of a page in points, a 72nd of an inch: A4 (ISO 216).
pub const PAGE_WIDTH_PT: f32 = 595.276;
/// The height of a page in points.
pub const PAGE_HEIGHT_PT: f32 = 841.89;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// A booking without tickets has no page.
    #[error("no tickets")]
    NoTickets,
    /// More tickets than a document has.
    #[error("{tickets} tickets; a document has at most {MAX_TICKETS}")]
    TooManyTickets {
        /// How many.
        tickets: usize,
    },
    /// The text of a code is too long for a QR code at level Q.
    #[error("the code of ticket {number} is too long for a QR code")]
    Code {
        /// Which ticket, counted from 1.
        number: usize,
    },
    /// krilla refused what was drawn. That is a fault of this crate.
    #[error("the PDF could not be written: {0}")]
    Write(String),
}

/// All tickets of a booking, a page each, in the booking's language.
///
/// # Errors
/// [`PdfError`].
pub fn tickets_pdf(booking: &Booking) -> Result<Vec<u8>, PdfError> {
    write(booking, SerializeSettings::default())
}

fn write(booking: &Booking, settings: SerializeSettings) -> Result<Vec<u8>, PdfError> {
    let tickets = booking.tickets.len();
    if tickets == 0 {
        return Err(PdfError::NoTickets);
    }
    if tickets > MAX_TICKETS {
        return Err(PdfError::TooManyTickets { tickets });
    }
    let mut document = Document::new_with(settings);
    document.set_metadata(metadata(booking));
    for number in 1..=tickets {
        let items = layout::page(booking, number)?;
        let size = PageSettings::from_wh(PAGE_WIDTH_PT, PAGE_HEIGHT_PT).expect("A4 is wider and higher than nothing");
        let mut page = document.start_page_with(size);
        draw::page(&mut page, &items);
        page.finish();
    }
    document.finish().map_err(|error| PdfError::Write(error.to_string()))
}

fn metadata(booking: &Booking) -> Metadata {
    let label = booking.locale.pick("Tickets", "Vé");
    let metadata = Metadata::new()
        .title(format!("{label}: {}", one_line(&booking.show.title)))
        .language(booking.locale.tag().to_owned())
        .authors(vec![one_line(&booking.show.organizer)])
        .creator("Tickiz".to_owned());
    match date(booking) {
        Some(date) => metadata.creation_date(date),
        None => metadata,
    }
}

/// When the booking was issued, as PDF writes it; none before the year 0, where PDF has no dates.
fn date(booking: &Booking) -> Option<DateTime> {
    use chrono::{Datelike, Timelike};
    let at = booking.issued_at;
    let small = |value: u32| u8::try_from(value).ok();
    let date = DateTime::new(u16::try_from(at.year()).ok()?).month(small(at.month())?).day(small(at.day())?);
    let date = date.hour(small(at.hour())?).minute(small(at.minute())?).second(small(at.second())?);
    Some(date.utc_offset_hour(0).utc_offset_minute(0))
}

#[cfg(test)]
mod tests;
