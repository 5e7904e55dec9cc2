//! The log itself, by the way every command takes: `EventLog::append`, with claims, timer, named read and receipt.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tickiz_event_log::{EventLog, LogOptions};

use crate::{
    drive::{Measured, Timing, Worker, drive},
    server::{Database, ensure_equal},
    show::{Show, Taking},
};

/// Appends one booking after the other.
struct Appender {
    log: EventLog,
    show: Arc<Show>,
    taking: Taking,
}

impl Worker for Appender {
    async fn work(&mut self) -> Result<u64> {
        let appended = self.log.append(self.show.append(self.taking)).await?;
        ensure!(appended.events.len() == 1, "a booking is one domain event");
        Ok(1)
    }
}

/// So many appenders side by side, on a log of their own.
pub async fn appends(database: &Database, appenders: usize, taking: Taking, timing: Timing) -> Result<Measured> {
    let options = LogOptions { master_key: Some([7; 32]), ..LogOptions::default() };
    let (log, service) = EventLog::open_mysql(database.url(), options).await?;
    let show = Arc::new(Show::new()?);
    show.put_on_sale(&log).await?;
    let workers = (0..appenders).map(|_| Appender { log: log.clone(), show: show.clone(), taking }).collect();
    let measured = drive(workers, timing).await;
    service.shutdown().await;
    let measured = measured?;
    validate(database, taking, measured.acknowledged).await?;
    Ok(measured)
}

/// What is in the tables is what was acknowledged, and the log has no gap.
async fn validate(database: &Database, taking: Taking, acknowledged: u64) -> Result<()> {
    let count = async |query| database.number(query).await;
    let events = count("SELECT COUNT(*) FROM events").await?;
    ensure_equal("events", events, acknowledged + Show::ON_SALE_ROWS.events)?;
    ensure_equal("the last position", count("SELECT MAX(position) FROM events").await?, events)?;
    ensure_equal("the head", count("SELECT position FROM log_head WHERE shard = 0").await?, events)?;
    ensure_equal("receipts", count("SELECT COUNT(*) FROM receipts").await?, acknowledged)?;
    ensure_equal("timers", count("SELECT COUNT(*) FROM timers").await?, acknowledged + Show::ON_SALE_ROWS.timers)?;
    // A seat's booking claims seat, person and code; a place's takes from the show's own row and claims person and code.
    let (claims_each, places) = match taking {
        Taking::Seat => (3, 0),
        Taking::Place => (2, acknowledged),
    };
    let claims = acknowledged * claims_each + Show::ON_SALE_ROWS.claims;
    ensure_equal("claims", count("SELECT COUNT(*) FROM claims").await?, claims)?;
    let used = "SELECT used FROM claims WHERE resource >= 'quota/' AND resource < 'quota0'";
    ensure_equal("places used of the quota", count(used).await?, places)
}
