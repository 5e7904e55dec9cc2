//! One poller of due timers, of some kinds: leases them, runs each, and ends it or sets it again.
//!
//! A timer that was run is ended together with others, many in one statement: with thousands of holds that end in the same second,
//! the domain events that free the seats do not wait for a sync of the disk for each that is free already. Until then its
//! lease keeps it; if we die, it is run once more and finds nothing to do.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tickiz_domain::timer::TimerKind;
use tickiz_event_log::{EventLog, LeasedTimer};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::payments::Next;

/// How many timers are ended together while more are due: one statement of the log's store.
const ENDED_TOGETHER: usize = 128;
/// How long a poller rests after the log's store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What a timer leads to.
#[async_trait::async_trait]
pub trait Step: Send + Sync + 'static {
    /// Runs it. May be run twice, and at once by two processes. Logs its own failures.
    async fn run(&self, timer: &LeasedTimer) -> Next;
}

/// How a poller works.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// Its name in the program's log.
    pub name: &'static str,
    /// Which timers.
    pub kinds: &'static [TimerKind],
    /// The most of them at work at once.
    pub at_once: usize,
    /// How long each is leased: longer than it takes, or two processes run it.
    pub lease: Duration,
    /// How often it looks when nothing is due.
    pub poll: Duration,
}

struct Run {
    lane: Lane,
    log: EventLog,
    at_work: JoinSet<Next>,
    timers: HashMap<Id, LeasedTimer>,
    done: Vec<LeasedTimer>,
    again: Vec<(LeasedTimer, Duration)>,
}

/// Works until it is told to stop; then waits for what is at work and ends what was run.
pub async fn run(lane: Lane, log: EventLog, step: Arc<dyn Step>, stop: CancellationToken) {
    let mut run =
        Run { lane, log, at_work: JoinSet::new(), timers: HashMap::new(), done: Vec::new(), again: Vec::new() };
    while !stop.is_cancelled() {
        let taken = run.take_due(&step).await;
        run.reap();
        if taken == 0 || run.done.len() >= ENDED_TOGETHER {
            run.settle().await;
        }
        if run.at_work.len() >= lane.at_once {
            run.wait_for_one().await;
        } else if taken == 0 {
            run.rest(&stop).await;
        }
    }
    while !run.at_work.is_empty() {
        run.wait_for_one().await;
    }
    run.settle().await;
}

impl Run {
    async fn take_due(&mut self, step: &Arc<dyn Step>) -> usize {
        let free = self.lane.at_once.saturating_sub(self.at_work.len());
        if free == 0 {
            return 0;
        }
        let timers = match self.log.lease_timers(self.lane.kinds, self.lane.lease, free).await {
            Ok(timers) => timers,
            Err(error) => {
                tracing::error!(lane = self.lane.name, %error, "due timers cannot be read; trying on");
                tokio::time::sleep(AFTER_FAILURE).await;
                return 0;
            }
        };
        let taken = timers.len();
        for timer in timers {
            let (step, leased) = (Arc::clone(step), timer.clone());
            let task = self.at_work.spawn(async move { step.run(&leased).await });
            self.timers.insert(task.id(), timer);
        }
        taken
    }

    fn note(&mut self, ended: Result<(Id, Next), JoinError>) {
        match ended {
            Ok((id, next)) => {
                let Some(timer) = self.timers.remove(&id) else { return };
                match next {
                    Next::Done => self.done.push(timer),
                    Next::Again(wait) => self.again.push((timer, wait)),
                }
            }
            Err(error) => {
                // Its lease runs out, and it is run again.
                let timer = self.timers.remove(&error.id());
                tracing::error!(lane = self.lane.name, ?timer, %error, "a timer's step ended badly");
            }
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.at_work.try_join_next_with_id() {
            self.note(ended);
        }
    }

    async fn wait_for_one(&mut self) {
        if let Some(ended) = self.at_work.join_next_with_id().await {
            self.note(ended);
        }
    }

    /// Until something may be due, or one that is at work has ended.
    async fn rest(&mut self, stop: &CancellationToken) {
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            () = tokio::time::sleep(self.lane.poll) => None,
            ended = self.at_work.join_next_with_id(), if !self.at_work.is_empty() => ended,
        };
        if let Some(ended) = ended {
            self.note(ended);
        }
    }

    /// Where that fails a lease runs out, and the timer is run again and finds nothing to do.
    async fn settle(&mut self) {
        if !self.done.is_empty()
            && let Err(error) = self.log.finish_timers(&std::mem::take(&mut self.done)).await
        {
            tracing::warn!(lane = self.lane.name, %error, "timers that are done could not be ended");
        }
        for (timer, wait) in std::mem::take(&mut self.again) {
            let at = self.log.now() + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
            if let Err(error) = self.log.reschedule_timer(&timer, at).await {
                tracing::warn!(lane = self.lane.name, %error, "a timer could not be set again");
            }
        }
    }
}
