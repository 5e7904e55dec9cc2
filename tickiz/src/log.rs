//! `tickiz log`: the event log as JSON lines, one domain event a line, in order.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use tickiz_domain::stream::StreamType;
use tickiz_event_log::{
    LogFilter,
    record::{Position, Recorded},
};
use uuid::Uuid;

use crate::{config::Config, stores};

/// Domain events read at a time.
const PAGE: usize = 1000;

/// How long `--follow` waits before it looks again, in milliseconds.
const FOLLOW_INTERVAL_MS: u64 = 100;

/// Which domain events, and how.
#[derive(Args)]
pub struct LogArguments {
    /// Goes on with what comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Begins after this position.
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    after: Position,
    /// Only streams of this type: Event, Booking or Person.
    #[arg(long, value_name = "TYPE")]
    stream_type: Option<StreamType>,
    /// Only the stream of this id.
    #[arg(long, value_name = "ID")]
    stream_id: Option<Uuid>,
    /// Only domain events of this type, such as BookingPlaced; may be given several times.
    #[arg(long = "type", value_name = "NAME")]
    types: Vec<String>,
    /// Only what was recorded at or after this instant, RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Only what was recorded before this instant, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    first: Option<u64>,
}

/// One domain event as a line shows it. Sealed fields stay sealed; metadata holds no person.
fn line(recorded: &Recorded) -> Value {
    let data: Value = serde_json::from_slice(&recorded.payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&recorded.payload).into_owned()));
    json!({
        "shard": recorded.shard,
        "position": recorded.position,
        "recordedAt": recorded.recorded_at,
        "organizerId": recorded.organizer_id,
        "streamType": recorded.stream.stream_type,
        "streamId": recorded.stream.id,
        "sequence": recorded.sequence,
        "type": recorded.event_type,
        "version": recorded.event_version,
        "data": data,
        "metadata": recorded.metadata,
        "leafHash": hex::encode(recorded.leaf_hash),
    })
}

/// Prints what was asked for. A reader that goes away (`| head`) ends it without an error.
///
/// # Errors
/// When the store cannot be opened or read.
pub async fn run(config: &Config, arguments: LogArguments) -> anyhow::Result<()> {
    let log = stores::open_log_to_read(config).await?;
    let mut filter = LogFilter {
        after: arguments.after,
        stream_type: arguments.stream_type,
        stream_id: arguments.stream_id,
        event_types: arguments.types,
        since: arguments.since,
        until: arguments.until,
    };
    let mut left = arguments.first.unwrap_or(u64::MAX);
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let page = log.query(&filter, PAGE).await?;
        let Some(last) = page.last() else {
            if !arguments.follow {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_millis(FOLLOW_INTERVAL_MS)) => continue,
                _ = tokio::signal::ctrl_c() => break,
            }
        };
        filter.after = last.position;
        for recorded in page.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            if writeln!(out, "{}", line(recorded)).is_err() {
                return Ok(());
            }
        }
        if out.flush().is_err() {
            return Ok(());
        }
    }
    Ok(())
}
