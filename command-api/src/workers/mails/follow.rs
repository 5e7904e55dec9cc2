//! Following the log under a checkpoint: what bookings' mails and announcements have in common.

use std::{sync::Arc, time::Duration};

use tickiz_event_log::{EventLog, Position, Recorded};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::workers::checkpoint::Checkpoint;

/// How often the lease is renewed while nothing happens, or while one domain event takes long.
const RENEW: Duration = Duration::from_secs(3);
/// How long the checkpoint may stay behind domain events that gave nothing to tell. Whoever follows after us passes them once more;
/// moving it for each few of them would be a flush of the store for nothing.
const SETTLE: Duration = Duration::from_secs(1);
/// How often a process that does not write looks whether it should.
const STAND_BY: Duration = Duration::from_secs(2);
/// The wait after a mail that could not be delivered.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How many domain events are read at a time.
const PAGE: usize = 500;

/// What became of a domain event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// There was nothing to send, or nothing that ever could be.
    Passed,
    /// Mails were sent.
    Sent,
    /// The log cannot be followed beyond it yet.
    NotNow,
}

/// Who writes what a domain event gives to tell.
#[async_trait::async_trait]
pub(super) trait Teller: Send + Sync {
    /// Tells it. What comes again was perhaps told before. Between two mails it asks `going_on`, and stops where that says no.
    async fn tell(&self, recorded: &Recorded, going_on: &mut GoingOn<'_>) -> Written;

    /// Whether a mail that comes again is recognised. Where it is not, the checkpoint moves after each domain event.
    fn remembers(&self) -> bool;
}

/// Whether to go on: nobody has said stop, and the lease is ours. Asking renews it.
pub(super) struct GoingOn<'a> {
    checkpoint: &'a Checkpoint,
    /// The last domain event that is done.
    position: Position,
    stop: &'a CancellationToken,
    renewed: Instant,
}

impl GoingOn<'_> {
    /// To be asked before each mail of many.
    pub(super) async fn ask(&mut self) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        if self.renewed.elapsed() < RENEW {
            return true;
        }
        self.renewed = Instant::now();
        matches!(self.checkpoint.move_to(self.position).await, Ok(true))
    }
}

/// Follows the log for a teller until it is told to stop.
pub(super) async fn run(log: EventLog, checkpoint: Checkpoint, teller: Arc<dyn Teller>, stop: CancellationToken) {
    let following = Following { log, checkpoint, teller };
    while !stop.is_cancelled() {
        let pause = match following.checkpoint.take().await {
            Ok(Some(position)) => following.follow(position, &stop).await,
            Ok(None) => STAND_BY,
            Err(error) => {
                tracing::error!(%error, "the mails' checkpoint cannot be read; trying on");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = following.checkpoint.give_back().await {
        tracing::warn!(%error, "another process writes mails when this one's lease has run out");
    }
}

struct Following {
    log: EventLog,
    checkpoint: Checkpoint,
    teller: Arc<dyn Teller>,
}

impl Following {
    /// Follows the log from a position for as long as the lease holds; how long to wait before it is asked for again.
    async fn follow(&self, mut position: Position, stop: &CancellationToken) -> Duration {
        let mut head = self.log.watch();
        let (mut moved_to, mut moved_at) = (position, Instant::now());
        loop {
            let page = match self.log.read(position, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, position, "the log cannot be read for mails; trying on");
                    return AFTER_FAILURE;
                }
            };
            let mut going_on = GoingOn { checkpoint: &self.checkpoint, position, stop, renewed: Instant::now() };
            let (mut failed, mut told) = (false, false);
            for recorded in &page {
                going_on.position = position;
                let going = going_on.ask().await;
                let written = if going { self.teller.tell(recorded, &mut going_on).await } else { Written::NotNow };
                if written == Written::NotNow {
                    failed = true;
                    break;
                }
                position = recorded.position;
                told |= written == Written::Sent;
                if written == Written::Sent
                    && !self.teller.remembers()
                    && !matches!(self.checkpoint.move_to(position).await, Ok(true))
                {
                    return STAND_BY;
                }
            }
            let is_last = stop.is_cancelled();
            if told || failed || is_last || moved_at.elapsed() >= SETTLE {
                match self.checkpoint.move_to(position).await {
                    Ok(true) if failed => return AFTER_FAILURE,
                    Ok(true) if is_last => return Duration::ZERO,
                    Ok(true) => (moved_to, moved_at) = (position, Instant::now()),
                    Ok(false) => return STAND_BY,
                    Err(error) => {
                        tracing::error!(%error, "the mails' checkpoint cannot be moved; trying on");
                        return AFTER_FAILURE;
                    }
                }
            }
            if page.len() == PAGE {
                continue;
            }
            let rest = if moved_to == position { RENEW } else { SETTLE };
            tokio::select! {
                () = stop.cancelled() => {}
                changed = head.wait_for(|head| *head > position) => {
                    if changed.is_err() {
                        return STAND_BY;
                    }
                }
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}
