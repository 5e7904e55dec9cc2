//! The tables of each projection, and their rows. Money is in minor units of its currency everywhere.

use serde::Serialize;
use tickiz_read_models::{
    BookingView,
    events::tables::{SeatRecord, ShowRecord},
    scan::Scan,
};

use super::table::{
    Cell,
    Kind::{Bool, Instant, Int, Text},
    Shape, Writer,
};

/// Shows.
pub const EVENTS: Shape = Shape {
    name: "events",
    columns: &[
        ("event_id", Text),
        ("title", Text),
        ("category", Text),
        ("status", Text),
        ("postponed", Bool),
        ("venue", Text),
        ("city", Text),
        ("country", Text),
        ("time_zone", Text),
        ("starts_at", Instant),
        ("currency", Text),
        ("seat_version", Int),
    ],
};

/// Ticket types of shows.
pub const TICKET_TYPES: Shape = Shape {
    name: "ticket_types",
    columns: &[
        ("event_id", Text),
        ("ticket_type_id", Text),
        ("name", Text),
        ("price_minor", Int),
        ("currency", Text),
        ("available", Int),
    ],
};

/// Seats; free ones have no row.
pub const SEATS: Shape =
    Shape { name: "seats", columns: &[("event_id", Text), ("seat_index", Int), ("seat_id", Text), ("status", Text)] };

/// Bookings. Whose one is stays sealed.
pub const BOOKINGS: Shape = Shape {
    name: "bookings",
    columns: &[
        ("booking_id", Text),
        ("event_id", Text),
        ("code", Text),
        ("status", Text),
        ("tickets", Int),
        ("total_minor", Int),
        ("currency", Text),
        ("received_minor", Int),
        ("hold_expires_at", Instant),
        ("position", Int),
    ],
};

/// Writes shows and their ticket types.
///
/// # Errors
/// When a row cannot be read or written.
pub async fn shows(scan: &mut Scan, events: &mut Writer, types: &mut Writer) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = scan.shows(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.record.id);
        for scanned in &page {
            events.row(&event(&scanned.record))?;
            ticket_types(&scanned.record, types)?;
        }
    }
}

/// Writes the seats that are not free.
///
/// # Errors
/// When a row cannot be read or written.
pub async fn seats(scan: &mut Scan, seats: &mut Writer) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = scan.seats(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.event_id, last.index));
        for record in &page {
            seats.row(&seat(record))?;
        }
    }
}

/// What was sold: a line for each booking and ticket type, and one for what was given back of them while the booking went on.
pub const SALES: Shape = Shape {
    name: "sales",
    columns: &[
        ("booking_id", Text),
        ("event_id", Text),
        ("ticket_type_id", Text),
        ("status", Text),
        ("sold", Bool),
        ("placed_at", Instant),
        ("tickets", Int),
        ("currency", Text),
        ("price_minor", Int),
        ("received_minor", Int),
        ("refunded_minor", Int),
        ("position", Int),
    ],
};

/// Writes the bookings.
///
/// # Errors
/// When a row cannot be read or written.
pub async fn bookings(scan: &mut Scan, bookings: &mut Writer) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = scan.bookings(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.record.id);
        for scanned in &page {
            bookings.row(&booking(&scanned.record))?;
        }
    }
}

/// Writes what was sold, a line for each booking and ticket type.
///
/// # Errors
/// When a row cannot be read or written.
pub async fn sales(scan: &mut Scan, sales: &mut Writer) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = scan.sales(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for record in page.iter().filter_map(|scanned| scanned.record.as_ref()) {
            let sale = &record.sale;
            for (line, (received, refunded)) in sale.lines.iter().zip(sale.received().into_iter().zip(sale.refunded()))
            {
                sales.row(&[
                    text(record.id),
                    text(sale.event_id),
                    text(line.ticket_type_id),
                    text(line.status(sale.status).name()),
                    Cell::Bool(sale.sold_at.is_some()),
                    Cell::Instant(sale.placed_at),
                    Cell::Int(line.tickets),
                    text(sale.currency.code()),
                    Cell::Int(line.price_minor),
                    Cell::Int(received),
                    Cell::Int(refunded),
                    Cell::Int(record.position),
                ])?;
            }
        }
    }
}

fn event(record: &ShowRecord) -> [Cell; 12] {
    let show = &record.show;
    [
        text(record.id),
        text(&show.title),
        word(&show.category),
        word(&show.status),
        Cell::Bool(show.postponed),
        text(&show.venue.name),
        text(&show.venue.city),
        text(&show.venue.country),
        text(&show.time_zone),
        Cell::Instant(show.starts_at.instant),
        text(show.currency.code()),
        Cell::Int(record.sales.seat_version),
    ]
}

fn ticket_types(record: &ShowRecord, types: &mut Writer) -> anyhow::Result<()> {
    let left = record.sales.availability(&record.show);
    for kind in &record.show.ticket_types {
        let available = left.iter().find(|left| left.ticket_type_id == kind.id).map_or(0, |left| left.available);
        types.row(&[
            text(record.id),
            text(kind.id),
            text(&kind.name),
            Cell::Int(kind.price.minor()),
            text(kind.price.currency().code()),
            Cell::Int(available),
        ])?;
    }
    Ok(())
}

fn seat(record: &SeatRecord) -> [Cell; 4] {
    [
        text(record.event_id),
        Cell::Int(record.index.into()),
        text(record.seat_id.as_str()),
        Cell::Text(format!("{:?}", record.status).to_uppercase()),
    ]
}

fn booking(view: &BookingView) -> [Cell; 10] {
    let purchase = &view.purchase;
    let received = purchase.payments.iter().filter_map(|payment| payment.received).map(|received| received.minor());
    [
        text(view.id),
        text(purchase.event_id),
        text(&purchase.code),
        word(&purchase.status),
        Cell::Int(i64::try_from(purchase.lines.len()).expect("a booking's lines are bounded")),
        Cell::Int(purchase.total.minor()),
        text(purchase.total.currency().code()),
        Cell::Int(received.sum()),
        Cell::Instant(purchase.hold_expires_at),
        Cell::Int(view.position),
    ]
}

fn text(of: impl ToString) -> Cell {
    Cell::Text(of.to_string())
}

/// An enum as the API writes it.
fn word(of: &impl Serialize) -> Cell {
    let word = serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned));
    Cell::Text(word.unwrap_or_default())
}
