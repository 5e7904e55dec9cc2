//! The newest domain events in memory, and the head as this process has seen it.
//!
//! Every consumer reads the log by its own cursor; near the head it is served from here, so that ten consumers cost one read. One
//! poller per process looks at the store's head for what other processes appended.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    record::{Position, Recorded},
    runtime::StoreClock,
    store::LogStore,
};

/// How many of the newest domain events are kept.
const MAX_RECENT_EVENTS: usize = 8192;
/// How many payload bytes of them are kept.
const MAX_RECENT_BYTES: usize = 8 << 20;
/// How often the store is asked for its head, in milliseconds.
pub const POLL_INTERVAL_MS: u64 = 20;

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

/// The newest domain events, contiguous.
#[derive(Default)]
pub(crate) struct Recent(RwLock<Ring>);

impl Recent {
    /// Takes what this process appended, if it continues what is here. After a gap (another process appended in between) it is
    /// left to the readers, who read both from the store: beginning anew would throw away what the others still have to read.
    pub fn push_own(&self, events: &[Arc<Recorded>]) {
        let continues = events.first().is_some_and(|first| {
            let last = self.0.read().events.back().map(|last| last.position);
            last.is_none_or(|last| first.position <= last + 1)
        });
        if continues {
            self.push(events);
        }
    }

    /// Takes what continues what it has. After a gap (another process appended in between) it begins anew: a ring with a hole
    /// would hide events.
    pub fn push(&self, events: &[Arc<Recorded>]) {
        let mut ring = self.0.write();
        for event in events {
            let wanted = ring.events.back().map(|last| last.position + 1);
            if wanted.is_some_and(|wanted| event.position < wanted) {
                continue;
            }
            if wanted.is_some_and(|wanted| event.position > wanted) {
                *ring = Ring::default();
            }
            ring.bytes += event.payload.len();
            ring.events.push_back(event.clone());
        }
        while ring.events.len() > MAX_RECENT_EVENTS || ring.bytes > MAX_RECENT_BYTES {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= oldest.payload.len();
        }
    }

    /// What follows that position, where it is here without a gap.
    pub fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let ring = self.0.read();
        let first = ring.events.front()?.position;
        let skip = usize::try_from(after.checked_add(1)?.checked_sub(first)?).ok()?;
        if skip >= ring.events.len() {
            return None;
        }
        Some(ring.events.iter().skip(skip).take(limit).cloned().collect())
    }
}

/// Looks for what other processes appended, until it is told to stop.
pub(crate) async fn poll_head(
    store: Arc<dyn LogStore>,
    head: Arc<watch::Sender<Position>>,
    clock: StoreClock,
    stop: CancellationToken,
) {
    let mut failing = false;
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(POLL_INTERVAL_MS))).await.is_some() {
        match store.head().await {
            Ok(seen) => {
                failing = false;
                clock.learn(seen.now);
                let position = seen.position;
                head.send_if_modified(|head| std::mem::replace(head, (*head).max(position)) < position);
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the log's head cannot be read; trying on");
            }
            Err(_) => {}
        }
    }
}
