//! That a caller sees what he did himself, at once, although the read models follow the log a moment later (promise P11).
//!
//! Each answer of the write side that passes through here is noted with its position; whoever then reads the same show or
//! booking waits until the read models have come that far, within a bound. A caller who comes by another process brings the
//! position himself, as `minPosition`. Who waits too long gets what is there, old as it is; but nobody is told that what he
//! himself made is not there: where it may only not have been read yet, the answer is to ask again.

use std::sync::atomic::{AtomicI64, Ordering};

use moka::future::Cache;
use tickiz_contract::{ErrorCode, Refusal};
use tickiz_read_models::{Projection, ReadError, ReadStore};
use uuid::Uuid;

use crate::{
    app::{Answered, Failure, position},
    limits::{MAX_NOTED, MIN_POSITION_WAIT, NOTED_FOR, RETRY_AFTER_MS},
};

/// What this process's callers did a moment ago.
#[derive(Debug)]
pub struct Freshness {
    /// The position that a show or booking reached.
    noted: Cache<Uuid, i64>,
    /// The position that any show reached; lists wait for it.
    shows: AtomicI64,
    /// Up to where the read models are known to be complete; saves asking them.
    seen: AtomicI64,
}

impl Freshness {
    pub fn new() -> Self {
        let noted = Cache::builder().max_capacity(MAX_NOTED).time_to_live(NOTED_FOR).build();
        Self { noted, shows: AtomicI64::new(0), seen: AtomicI64::new(0) }
    }

    /// A command changed a show.
    pub async fn show_changed(&self, show: Uuid, position: i64) {
        self.shows.fetch_max(position, Ordering::AcqRel);
        self.noted.insert(show, position).await;
    }

    /// The position of the last change of a show that went through this process.
    pub fn shows_changed(&self) -> i64 {
        self.shows.load(Ordering::Acquire)
    }

    /// A command changed a booking. Its show is not waited for: on the worst day somebody books every millisecond, and whoever
    /// looks at the show would wait for all of them.
    pub async fn booking_changed(&self, booking: Uuid, position: i64) {
        self.noted.insert(booking, position).await;
    }

    /// Waits for what was done to one show or booking; the position that the read models did not reach in time, if so. What is
    /// not found then may be there nevertheless.
    pub async fn of(&self, reads: &ReadStore, subject: Uuid) -> Result<Option<i64>, ReadError> {
        match self.noted.get(&subject).await {
            Some(position) => Ok((!self.reach(reads, position).await?).then_some(position)),
            None => Ok(None),
        }
    }

    /// Waits for what was done to any show; up to where that was waited for.
    pub async fn of_shows(&self, reads: &ReadStore) -> Result<i64, ReadError> {
        let done = self.shows.load(Ordering::Acquire);
        let reached = self.reach(reads, done).await?;
        Ok(if reached { done } else { 0 })
    }

    /// Waits for what the caller asked for by `minPosition`; that position, 0 where he asked for none.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it is no position, `OVERLOADED` where the read models are not there in time.
    pub async fn at_least(&self, reads: &ReadStore, asked: Option<&str>) -> Answered<i64> {
        let Some(asked) = asked else { return Ok(0) };
        let wanted = position(asked, "minPosition")?;
        if self.reach(reads, wanted).await? {
            return Ok(wanted);
        }
        Err(late(wanted))
    }

    /// Waits until the reports, which nobody else waits for, and the shows that they name have come as far as the caller asks for by
    /// `minPosition`; up to where both are complete.
    ///
    /// # Errors
    /// As [`Freshness::at_least`].
    pub async fn of_reports(&self, reads: &ReadStore, asked: Option<&str>) -> Answered<i64> {
        let wanted = asked.map_or(Ok(0), |asked| position(asked, "minPosition"))?;
        if !reads.wait_for_all(&[Projection::Events, Projection::Reports], wanted, MIN_POSITION_WAIT).await? {
            return Err(late(wanted));
        }
        let (sums, shows) = (reached(reads, Projection::Reports).await?, reached(reads, Projection::Events).await?);
        Ok(sums.min(shows))
    }

    /// Waits until the shows are as far as the reports are now.
    ///
    /// # Errors
    /// `OVERLOADED` where they are not in time.
    pub async fn shows_as_far_as_reports(&self, reads: &ReadStore) -> Answered<()> {
        let sums = reached(reads, Projection::Reports).await?;
        let is_there = reads.wait_for_all(&[Projection::Events], sums, MIN_POSITION_WAIT).await?;
        is_there.then_some(()).ok_or_else(|| late(sums))
    }

    /// Waits until the read models have reached a position; false where that takes too long.
    pub async fn reach(&self, reads: &ReadStore, position: i64) -> Result<bool, ReadError> {
        if position <= self.seen.load(Ordering::Acquire) {
            return Ok(true);
        }
        let reached = reads.wait_for(position, MIN_POSITION_WAIT).await?;
        if reached {
            self.seen.fetch_max(position, Ordering::AcqRel);
        }
        Ok(reached)
    }
}

/// Up to where the version of a projection that answers is complete.
async fn reached(reads: &ReadStore, projection: Projection) -> Result<i64, ReadError> {
    reads.checkpoint_of(projection, reads.version(projection)).await
}

/// The refusal where what is asked for is not there in time.
pub fn late(wanted: i64) -> Failure {
    let message =
        format!("the read models have not reached position {wanted} within {} s", MIN_POSITION_WAIT.as_secs());
    let mut refusal = Refusal::new(ErrorCode::Overloaded, message);
    refusal.retry_after_ms = Some(RETRY_AFTER_MS);
    refusal.into()
}
