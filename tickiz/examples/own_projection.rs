//! A projection of one's own: seats sold per hour and city, in a SQLite file of its own.
//!
//!     cargo run --example own_projection -- tickiz-data/log.db sold.db
//!
//! Its checkpoint moves in the transaction that writes its rows. So it may be killed anywhere, and called again it goes on: nothing
//! is counted twice, nothing is left out. What it keeps may be thrown away at any time; from position 0 it is built anew.

use std::path::Path;

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tickiz_domain::{booking::BookingDomainEvent, event::EventDomainEvent, stream::StreamType};
use tickiz_event_log::{EventLog, LogOptions, record::Recorded};

/// Domain events of one transaction.
const PAGE: usize = 1_000;

const SCHEMA: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS cities (event_id BLOB PRIMARY KEY, city TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS bookings (booking_id BLOB PRIMARY KEY, event_id BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sold (hour TEXT, city TEXT, seats INTEGER NOT NULL, PRIMARY KEY (hour, city))",
    "CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO checkpoint VALUES (1, 0)",
];
const CITY: &str = "INSERT INTO cities VALUES (?, ?) ON CONFLICT (event_id) DO UPDATE SET city = excluded.city";
const BOOKING: &str = "INSERT INTO bookings VALUES (?, ?)";
const SOLD: &str = "INSERT INTO sold SELECT ?, c.city, ? FROM bookings b JOIN cities c ON c.event_id = b.event_id \
                    WHERE b.booking_id = ? ON CONFLICT (hour, city) DO UPDATE SET seats = seats + excluded.seats";

/// What one domain event changes. What is not matched here changes nothing.
async fn apply(tx: &mut SqliteConnection, recorded: &Recorded) -> anyhow::Result<()> {
    let id = recorded.stream.id;
    let mut sold = 0;
    match recorded.stream.stream_type {
        StreamType::Event => {
            let venue = match recorded.decode()? {
                EventDomainEvent::EventCreated(created) => Some(created.venue),
                EventDomainEvent::EventChanged(changed) => changed.venue,
                _ => None,
            };
            if let Some(venue) = venue {
                sqlx::query(CITY).bind(id).bind(venue.city).execute(&mut *tx).await?;
            }
        }
        StreamType::Booking => match recorded.decode()? {
            BookingDomainEvent::BookingPlaced(placed) => {
                sqlx::query(BOOKING).bind(id).bind(placed.event_id.0).execute(&mut *tx).await?;
            }
            BookingDomainEvent::BookingConfirmed(confirmed) => sold = confirmed.tickets.len(),
            BookingDomainEvent::BookingReinstated(reinstated) => sold = reinstated.tickets.len(),
            _ => {}
        },
        StreamType::Person => {}
    }
    if sold > 0 {
        let hour = recorded.recorded_at.format("%Y-%m-%dT%H:00Z").to_string();
        sqlx::query(SOLD).bind(hour).bind(i64::try_from(sold)?).bind(id).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Brings the file `own` up to the end of the log; the position that it is complete to.
pub async fn run(log: &Path, own: &Path) -> anyhow::Result<i64> {
    let (log, service) = EventLog::open_sqlite(log, LogOptions { migrate: false, ..LogOptions::default() }).await?;
    let own = SqliteConnectOptions::new().filename(own).create_if_missing(true);
    let mut own = SqliteConnection::connect_with(&own).await?;
    for statement in SCHEMA {
        sqlx::query(statement).execute(&mut own).await?;
    }
    let mut position: i64 = sqlx::query_scalar("SELECT position FROM checkpoint").fetch_one(&mut own).await?;
    loop {
        let page = log.read(position, PAGE).await?;
        let Some(last) = page.last() else { break };
        let mut tx = own.begin_with("BEGIN IMMEDIATE").await?;
        for recorded in &page {
            apply(&mut tx, recorded).await?;
        }
        let moved =
            sqlx::query("UPDATE checkpoint SET position = ? WHERE position = ?").bind(last.position).bind(position);
        anyhow::ensure!(moved.execute(&mut *tx).await?.rows_affected() == 1, "another process has written this file");
        tx.commit().await?;
        position = last.position;
    }
    service.shutdown().await;
    Ok(position)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [log, own] = arguments.as_slice() else { anyhow::bail!("usage: own_projection LOG.db OWN.db") };
    println!("complete to position {}", run(log.as_ref(), own.as_ref()).await?);
    Ok(())
}
