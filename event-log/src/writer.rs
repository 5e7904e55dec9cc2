//! The one writer of this process.
//!
//! It drains a bounded queue at its own pace: everything that waits, up to a count and a size, becomes one transaction. It locks
//! the head row, reads what the batch needs, decides in memory, writes, commits once, and answers each waiter with his own
//! receipt or his own refusal. The lock is cheap because a transaction carries many commands.
//!
//! # COMMIT's answer lost
//! When the connection dies with the answer on its way, nobody knows whether the batch is in the log. Positions are gap-free and
//! a batch is all or nothing, so one look under the head lock tells: if the domain event at our first position has our
//! command's id, all of it is there, else none. A batch of receipts alone is looked up by its receipts. Nobody is answered
//! before, and nothing is retried blindly.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    decide::{Decision, decide, needs},
    feed::Recent,
    record::{Append, AppendError, Appended, Position, StoreError},
    runtime::StoreClock,
    store::{CommitError, LogStore, Needs},
};

/// Appends that may wait. Over it a caller is refused at once: at some thousands a second a longer queue would only make
/// everybody late.
pub const MAX_QUEUED_APPENDS: usize = 4096;
/// Appends in one transaction: enough that the lock and the flush are shared by many, few enough that nobody waits long for the
/// others.
pub const MAX_BATCH_APPENDS: usize = 256;
/// Payload bytes in one transaction, far below what a server takes in one statement.
pub const MAX_BATCH_BYTES: usize = 4 << 20;
/// How often a batch is tried again when the store failed before COMMIT (a deadlock, a killed connection).
pub const MAX_BATCH_ATTEMPTS: u32 = 4;
/// How long between two tries, times the number of the try, in milliseconds.
const RETRY_PAUSE_MS: u64 = 50;
/// How often the outcome of a lost COMMIT is asked for, once a second, before the waiters are told that it is unknown.
const MAX_OUTCOME_LOOKUPS: u32 = 30;
/// How often the idle session is pinged, in milliseconds; below the 3 s after which the server ends a silent one.
const PING_INTERVAL_MS: u64 = 1000;
/// The hint for a refused caller, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 200;

pub(crate) struct Waiting {
    pub append: Append,
    pub answer: oneshot::Sender<Result<Appended, AppendError>>,
}

pub(crate) struct Writer {
    pub store: Arc<dyn LogStore>,
    pub queue: mpsc::Receiver<Waiting>,
    pub recent: Arc<Recent>,
    pub head: Arc<watch::Sender<Position>>,
    pub clock: StoreClock,
    pub stop: CancellationToken,
}

fn size_of(append: &Append) -> usize {
    let events: usize = append.streams.iter().flat_map(|stream| &stream.events).map(|event| event.payload.len()).sum();
    events + append.attachments.iter().map(|attachment| attachment.bytes.len()).sum::<usize>()
}

impl Writer {
    /// Runs until it is told to stop, then drains what was queued before.
    pub async fn run(mut self) {
        let ping = Duration::from_millis(PING_INTERVAL_MS);
        let mut stopping = false;
        loop {
            let first = tokio::select! {
                biased;
                waiting = self.queue.recv() => waiting,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.queue.close();
                    continue;
                }
                () = tokio::time::sleep(ping) => {
                    if let Err(error) = self.store.ping().await {
                        tracing::debug!(%error, "the writer's session is gone; the next append opens another");
                    }
                    continue;
                }
            };
            let Some(first) = first else { return };
            let batch = self.drain(first);
            self.append(batch).await;
        }
    }

    fn drain(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut bytes = size_of(&first.append);
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH_APPENDS && bytes < MAX_BATCH_BYTES {
            let Ok(next) = self.queue.try_recv() else { break };
            bytes += size_of(&next.append);
            batch.push(next);
        }
        batch
    }

    async fn append(&self, batch: Vec<Waiting>) {
        let appends: Vec<&Append> = batch.iter().map(|waiting| &waiting.append).collect();
        let mut attempt = 1;
        let decided = loop {
            match self.transact(&appends).await {
                Ok(decision) => break Ok(decision),
                Err(error) if attempt < MAX_BATCH_ATTEMPTS && !error.fatal => {
                    tracing::debug!(error = %error.source, attempt, "the batch is tried again");
                    tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS * u64::from(attempt))).await;
                    attempt += 1;
                }
                Err(error) => break Err(error.source),
            }
        };
        match decided {
            Ok(decision) => {
                if let Some(last) = decision.writes.events.last() {
                    self.recent.push(&decision.writes.events);
                    let position = last.position;
                    self.head.send_if_modified(|head| std::mem::replace(head, (*head).max(position)) < position);
                }
                for (waiting, outcome) in batch.into_iter().zip(decision.outcomes) {
                    // A waiter that went away has its receipt in the store.
                    let _ = waiting.answer.send(outcome);
                }
            }
            Err(error) => {
                tracing::error!(%error, batch_len = batch.len(), "the log's store failed");
                for waiting in batch {
                    let _ = waiting.answer.send(Err(AppendError::Store(error.clone())));
                }
            }
        }
    }

    async fn transact(&self, appends: &[&Append]) -> Result<Decision, Failed> {
        let mut transaction = self.store.begin().await.map_err(Failed::again)?;
        let head = transaction.head();
        self.clock.learn(head.now);
        let loaded = transaction.load(&needs(appends)).await.map_err(Failed::again)?;
        let decision = decide(appends, head, &loaded);
        if decision.writes.is_empty() {
            transaction.rollback().await;
            return Ok(decision);
        }
        assert_contiguous(&decision, head.position);
        transaction.write(&decision.writes).await.map_err(Failed::again)?;
        match transaction.commit().await {
            Ok(()) => Ok(decision),
            Err(CommitError::RolledBack(source)) => Err(Failed::again(source)),
            Err(CommitError::Unknown(source)) => {
                if self.is_committed(&decision, source).await? {
                    Ok(decision)
                } else {
                    Err(Failed::again(StoreError("the transaction was lost before COMMIT reached the store".into())))
                }
            }
        }
    }

    /// Whether a batch whose COMMIT was not answered is in the log.
    async fn is_committed(&self, decision: &Decision, mut error: StoreError) -> Result<bool, Failed> {
        tracing::warn!(%error, "COMMIT was not answered; looking up its outcome under the head lock");
        for _ in 0..MAX_OUTCOME_LOOKUPS {
            match self.look_up(decision).await {
                Ok(committed) => return Ok(committed),
                Err(again) => error = again,
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Failed { source: error, fatal: true })
    }

    async fn look_up(&self, decision: &Decision) -> Result<bool, StoreError> {
        // Waits until the dead session's transaction is committed or rolled back: it holds this lock as long.
        let mut transaction = self.store.begin().await?;
        let committed = match decision.writes.events.first() {
            Some(first) => self.store.read(first.position - 1, 1).await?.first().is_some_and(|stored| {
                stored.metadata.command_id == first.metadata.command_id && stored.leaf_hash == first.leaf_hash
            }),
            None => {
                let receipts = decision.writes.receipts.iter().map(|(key, _)| key.clone()).collect();
                let loaded = transaction.load(&Needs { receipts, ..Needs::default() }).await?;
                loaded.receipts.len() == decision.writes.receipts.len()
            }
        };
        transaction.rollback().await;
        Ok(committed)
    }
}

/// What is about to be written continues the log without a gap. A break here is a fault of this program, and going on would
/// spread it.
fn assert_contiguous(decision: &Decision, head: Position) {
    for (expected, event) in (head + 1..).zip(&decision.writes.events) {
        assert_eq!(event.position, expected, "positions are handed out without a gap");
    }
}

struct Failed {
    source: StoreError,
    fatal: bool,
}

impl Failed {
    const fn again(source: StoreError) -> Self {
        Self { source, fatal: false }
    }
}
