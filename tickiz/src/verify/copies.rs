//! P6 and P11 in Redis: the copies of shows are the fold of the log at the position that they are said to contain, and holds are
//! of bookings that the log knows.

use std::sync::Arc;

use tickiz_domain::{
    booking::{BookingDomainEvent, Purchase},
    ids::{BookingId, EventId},
    stored::StoredEvent,
    stream::StreamId,
};
use tickiz_event_log::EventLog;
use tickiz_projections::{
    LogSource,
    compare::{Folded, describe_show},
};
use tickiz_read_models::{Projection, SeatStatus, cache::ShowCopy};
use tickiz_redis::{
    Redis,
    compare::{FoundCopies, FoundHold},
};

use super::{Promise, Report};
use crate::stores::Stores;

/// Compares what stands in Redis, where there is one.
///
/// # Errors
/// When the log fails. A Redis that does not answer is a note: whatever stands in it may be lost at any moment.
pub async fn compare(stores: &Stores, report: &mut Report) -> anyhow::Result<()> {
    let Some(redis) = &stores.near.redis else { return Ok(()) };
    let (copies, holds) = match found(redis, stores.reads.version(Projection::Events)).await {
        Ok(found) => found,
        Err(error) => {
            report.notes.push(format!("what stands in Redis was not compared: {error}"));
            return Ok(());
        }
    };
    compare_copies(&stores.log, copies, report).await?;
    compare_holds(&stores.log, &holds, report).await
}

async fn found(redis: &Redis, version: i32) -> Result<(FoundCopies, Vec<FoundHold>), tickiz_redis::RedisError> {
    Ok((tickiz_redis::compare::copies(redis, version).await?, tickiz_redis::compare::holds(redis).await?))
}

async fn compare_copies(log: &EventLog, found: FoundCopies, report: &mut Report) -> anyhow::Result<()> {
    let head = log.head().await?;
    if let Some(chain) = found.chain.filter(|chain| *chain > head) {
        let what = format!("the copies in Redis are said to contain position {chain}, the log ends at {head}");
        report.find(Promise::P6, chain, "copies in Redis", what);
    }
    let source: Arc<dyn LogSource> = Arc::new(log.clone());
    let mut folded = Folded::default();
    for copy in found.copies {
        let subject = format!("copy of Event/{} in Redis", copy.name);
        if copy.position > head {
            let what = format!("it is said to contain position {}, the log ends at {head}", copy.position);
            report.find(Promise::P6, copy.position, subject, what);
            continue;
        }
        if let Err(error) = folded.go_on(&source, copy.position).await {
            // A log with a gap is found elsewhere; then nothing can be compared with it.
            report.notes.push(format!("the copies in Redis were not compared: {error}"));
            return Ok(());
        }
        match copy.copy {
            Some(show) => compare_copy(&folded, &subject, &show, report),
            None => report.find(Promise::P6, copy.position, subject, "it cannot be read"),
        }
    }
    Ok(())
}

fn compare_copy(folded: &Folded, subject: &str, copy: &ShowCopy, report: &mut Report) {
    let id = copy.record.id;
    let Some(wanted) = folded.shows.get(&id) else {
        return report.find(Promise::P6, copy.position, subject, "the log knows no such show");
    };
    if *wanted != copy.record {
        let position = wanted.position.max(wanted.sales_position);
        report.find(Promise::P6, position, subject, describe_show(wanted, &copy.record));
    }
    let categories = wanted.show.plan.iter().flat_map(|plan| &plan.categories);
    let seats: usize = categories.map(|category| category.seats as usize).sum();
    if copy.statuses.len() != seats {
        let what = format!("it has {} seats, the plan {seats}", copy.statuses.len());
        return report.find(Promise::P6, copy.position, subject, what);
    }
    for (index, byte) in copy.statuses.bytes().enumerate() {
        let key = (id, u32::try_from(index).unwrap_or(u32::MAX));
        let (wanted, position) = match folded.seats.get(&key) {
            Some((seat, position)) => (seat.status, *position),
            None => (SeatStatus::Free, copy.position),
        };
        let is = SeatStatus::from_byte(byte);
        if is == Some(wanted) {
            continue;
        }
        // Who has the seat would see it offered.
        let promise = if is == Some(SeatStatus::Free) { Promise::P11 } else { Promise::P6 };
        let what = format!("seat {index} of the plan is {is:?}, the log says {wanted:?}");
        report.find(promise, position, subject, what);
    }
}

/// A hold that outlives its booking blocks nobody and runs out; one that was never appended is none.
async fn compare_holds(log: &EventLog, holds: &[FoundHold], report: &mut Report) -> anyhow::Result<()> {
    for hold in holds.iter().filter(|hold| hold.is_held) {
        let subject = format!("hold {} in Redis", hold.name);
        let Some(holder) = hold.holder else {
            report.find(Promise::P6, None, subject, "its value is none of ours");
            continue;
        };
        let Some(placed) = placed(log, holder).await? else {
            report.find(Promise::P6, None, subject, format!("the log knows no booking {holder}"));
            continue;
        };
        let is_its = hold.name.split_once(':').is_some_and(|(show, seat)| {
            show.parse::<EventId>().is_ok_and(|show| show == placed.event_id)
                && placed.lines.iter().any(|line| line.seat_id.as_ref().is_some_and(|id| id.as_str() == seat))
        });
        if !is_its {
            report.find(Promise::P6, None, subject, format!("booking {holder} never had this seat"));
        }
    }
    Ok(())
}

/// A booking as it was placed, whenever that was.
async fn placed(log: &EventLog, id: BookingId) -> anyhow::Result<Option<Purchase>> {
    let stream = StreamId::new(BookingDomainEvent::STREAM_TYPE, id.0);
    let first = log.read_stream(stream, 0, 1).await?;
    let mut booking = tickiz_domain::booking::Booking::default();
    if let Some(recorded) = first.first() {
        booking.fold(recorded.decode::<BookingDomainEvent>()?);
    }
    Ok(booking.0)
}
