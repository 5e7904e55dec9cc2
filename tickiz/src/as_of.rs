//! `tickiz replay --as-of TIME`: read models as they stood at a moment, as CSV, for analysts.
//!
//! The log is folded up to the last domain event that was recorded by then, by the same functions that projections use, and nothing of
//! today's tables is looked at. Recorded times never sink, so that position is found by halving. What is written appears under its
//! name whole or not at all; interrupted, nothing is left but hidden files, and the same command begins anew.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::json;
use tickiz_event_log::{EventLog, record::Position};
use tickiz_projections::{LogSource, compare::Folded};
use tickiz_read_models::Projection;

/// Domain events between two lines of progress, at least.
const STEP: Position = 20_000;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A line of `events.csv`. Money is in minor units of its currency everywhere.
#[derive(Serialize)]
struct EventLine<'a> {
    event_id: String,
    title: &'a str,
    category: String,
    status: String,
    postponed: bool,
    venue: &'a str,
    city: &'a str,
    country: &'a str,
    time_zone: &'a str,
    starts_at: String,
    currency: &'static str,
    seat_version: i64,
}

/// A line of `ticket_types.csv`.
#[derive(Serialize)]
struct TypeLine<'a> {
    event_id: String,
    ticket_type_id: String,
    name: &'a str,
    price_minor: i64,
    currency: &'static str,
    available: i64,
}

/// A line of `seats.csv`; free seats have none.
#[derive(Serialize)]
struct SeatLine<'a> {
    event_id: String,
    seat_index: u32,
    seat_id: &'a str,
    status: String,
}

/// A line of `bookings.csv`. Whose it is stays sealed.
#[derive(Serialize)]
struct BookingLine<'a> {
    booking_id: String,
    event_id: String,
    code: &'a str,
    status: String,
    tickets: usize,
    total_minor: i64,
    currency: &'static str,
    received_minor: i64,
    hold_expires_at: String,
    position: Position,
}

/// The last position that was recorded at or before an instant; 0 where there is none.
async fn position_at(log: &EventLog, at: DateTime<Utc>) -> anyhow::Result<Position> {
    let (mut within, mut behind) = (0, log.head().await? + 1);
    while behind - within > 1 {
        let middle = within + (behind - within) / 2;
        let found = log.read(middle - 1, 1).await?;
        let recorded = found.first().with_context(|| format!("the log has no position {middle}"))?;
        if recorded.recorded_at <= at { within = middle } else { behind = middle }
    }
    Ok(within)
}

/// Writes the files of these projections into `out`.
///
/// # Errors
/// When the log cannot be read or a file not be written.
pub async fn run(log: &EventLog, wanted: &[Projection], at: DateTime<Utc>, out: &Path) -> anyhow::Result<()> {
    let position = position_at(log, at).await?;
    let source: Arc<dyn LogSource> = Arc::new(log.clone());
    let mut folded = Folded::default();
    let mut told = Instant::now();
    while folded.position < position {
        let next = (folded.position + STEP).min(position);
        folded.go_on(&source, next).await?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{next} of {position}");
        }
    }
    std::fs::create_dir_all(out).with_context(|| format!("{}", out.display()))?;
    let mut files = Vec::new();
    if wanted.contains(&Projection::Events) {
        files.push(write(out, "events.csv", events(&folded))?);
        files.push(write(out, "ticket_types.csv", ticket_types(&folded))?);
        files.push(write(out, "seats.csv", seats(&folded))?);
    }
    if wanted.contains(&Projection::Bookings) {
        files.push(write(out, "bookings.csv", bookings(&folded))?);
    }
    let manifest = json!({"asOf": at, "position": position, "files": files, "standingStill": folded.stuck.len()});
    put(out, "manifest.json", serde_json::to_string_pretty(&manifest)?.as_bytes())?;
    println!("{manifest}");
    Ok(())
}

fn events(folded: &Folded) -> impl Iterator<Item = EventLine<'_>> {
    folded.shows.values().map(|record| EventLine {
        event_id: record.id.to_string(),
        title: &record.show.title,
        category: word(&record.show.category),
        status: word(&record.show.status),
        postponed: record.show.postponed,
        venue: &record.show.venue.name,
        city: &record.show.venue.city,
        country: &record.show.venue.country,
        time_zone: &record.show.time_zone,
        starts_at: instant(record.show.starts_at.instant),
        currency: record.show.currency.code(),
        seat_version: record.sales.seat_version,
    })
}

fn ticket_types(folded: &Folded) -> impl Iterator<Item = TypeLine<'_>> {
    folded.shows.values().flat_map(|record| {
        let left = record.sales.availability(&record.show);
        record.show.ticket_types.iter().map(move |kind| TypeLine {
            event_id: record.id.to_string(),
            ticket_type_id: kind.id.to_string(),
            name: &kind.name,
            price_minor: kind.price.minor(),
            currency: kind.price.currency().code(),
            available: left.iter().find(|left| left.ticket_type_id == kind.id).map_or(0, |left| left.available),
        })
    })
}

fn seats(folded: &Folded) -> impl Iterator<Item = SeatLine<'_>> {
    folded.seats.values().map(|(seat, _)| SeatLine {
        event_id: seat.event_id.to_string(),
        seat_index: seat.index,
        seat_id: seat.seat_id.as_str(),
        status: format!("{:?}", seat.status).to_uppercase(),
    })
}

fn bookings(folded: &Folded) -> impl Iterator<Item = BookingLine<'_>> {
    folded.bookings.values().map(|view| BookingLine {
        booking_id: view.id.to_string(),
        event_id: view.purchase.event_id.to_string(),
        code: &view.purchase.code,
        status: word(&view.purchase.status),
        tickets: view.purchase.lines.len(),
        total_minor: view.purchase.total.minor(),
        currency: view.purchase.total.currency().code(),
        received_minor: view
            .purchase
            .payments
            .iter()
            .filter_map(|payment| payment.received)
            .map(|received| received.minor())
            .sum(),
        hold_expires_at: instant(view.purchase.hold_expires_at),
        position: view.position,
    })
}

/// An enum as the API writes it.
fn word(of: &impl Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Writes a file of lines; what the manifest says of it.
fn write<T: Serialize>(out: &Path, name: &str, lines: impl Iterator<Item = T>) -> anyhow::Result<serde_json::Value> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut rows = 0_u64;
    for line in lines {
        csv.serialize(line)?;
        rows += 1;
    }
    put(out, name, &csv.into_inner().map_err(|error| anyhow::anyhow!("{name}: {error}"))?)?;
    Ok(json!({"name": name, "rows": rows}))
}

/// Under its name whole or not at all.
fn put(out: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = out.join(format!(".{name}.tmp"));
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, out.join(name)));
    written.with_context(|| format!("{}", out.join(name).display()))
}
