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
//! before, and nothing is retried blindly. The same holds when COMMIT is answered by an error: some errors of a COMMIT
//! (a failed flush, a full binary log) leave open what is on the disk.
//!
//! # One bad append
//! What every store can hold is checked at the door ([`crate::decide::check_shape`]). Should a store refuse a batch all the
//! same, and do so on every try, its appends are tried alone, so that one of them cannot fail the others.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    decide::{Decision, decide, needs},
    feed::Recent,
    metrics::METRICS,
    record::{Append, AppendError, Appended, Position, StoreError},
    runtime::StoreClock,
    store::{CommitError, LogStore, Needs},
};

/// Appends that may wait. Over it a caller is refused at once: at some thousands a second a longer queue would only make
/// everybody late.
pub const MAX_QUEUED_APPENDS: usize = 4096;
/// Bytes of payloads and attachments that may wait, or are being written: 64 MiB, a full queue of ordinary bookings twenty times over.
/// The count alone would let some hundred seating plans fill the memory.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Appends in one transaction: enough that the lock and the flush are shared by many, few enough that nobody waits long for the
/// others.
pub const MAX_BATCH_APPENDS: usize = 256;
/// Payload bytes in one transaction, far below what a server takes in one statement.
pub const MAX_BATCH_BYTES: usize = 4 << 20;
/// Claims changed in one transaction: 256 bookings have far fewer, a few big blocks would hold the lock for long.
pub const MAX_BATCH_CLAIMS: usize = 8192;
/// How often a batch is tried again when the store failed before COMMIT (a deadlock, a killed connection).
pub const MAX_BATCH_ATTEMPTS: u32 = 4;
/// How long between two tries, times the number of the try, in milliseconds.
const RETRY_PAUSE_MS: u64 = 50;
/// How often the outcome of a lost COMMIT is asked for, once a second, before the waiters are told that it is unknown.
const MAX_OUTCOME_LOOKUPS: u32 = 30;
/// How long one step of a transaction may take before its connection is given up, in seconds. Above MySQL's
/// `innodb_lock_wait_timeout` (50 s) and SQLite's busy timeout, so that it only ends what no answer will come to: a network that
/// swallows packets.
const STEP_DEADLINE_S: u64 = 60;
/// How often the idle session is pinged, in milliseconds; below the 3 s after which the server ends a silent one.
const PING_INTERVAL_MS: u64 = 1000;
/// The hint for a refused caller, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 200;

pub(crate) struct Waiting {
    pub append: Append,
    pub answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its share of [`MAX_QUEUED_BYTES`], given back with it.
    pub room: OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    pub store: Arc<dyn LogStore>,
    pub queue: mpsc::Receiver<Waiting>,
    pub recent: Arc<Recent>,
    pub head: Arc<watch::Sender<Position>>,
    pub clock: StoreClock,
    pub stop: CancellationToken,
}

/// What of a batch is bounded beside the number of its appends.
#[derive(Default)]
struct Size {
    bytes: usize,
    claims: usize,
}

impl Size {
    fn add(&mut self, append: &Append) {
        self.bytes += append.bytes();
        let events = append.streams.iter().flat_map(|stream| &stream.events);
        self.claims += events.map(|event| event.claims.len()).sum::<usize>();
    }

    const fn has_room(&self) -> bool {
        self.bytes < MAX_BATCH_BYTES && self.claims < MAX_BATCH_CLAIMS
    }
}

/// A step of a transaction, given up when no answer comes. Giving up drops the connection with whatever it was doing.
async fn step<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let deadline = Duration::from_secs(STEP_DEADLINE_S);
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(StoreError("the store does not answer".into())))
}

impl Writer {
    /// Runs until it is told to stop, then drains what was queued before.
    pub async fn run(mut self) {
        let ping = Duration::from_millis(PING_INTERVAL_MS);
        let mut stopping = false;
        loop {
            let first = tokio::select! {
                biased;
                // First, or a queue that is never empty would keep the writer from hearing of it.
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.queue.close();
                    continue;
                }
                waiting = self.queue.recv() => waiting,
                () = tokio::time::sleep(ping) => {
                    if let Err(error) = step(self.store.ping()).await {
                        tracing::debug!(%error, "the writer's session is gone; the next append opens another");
                    }
                    continue;
                }
            };
            let Some(first) = first else { return };
            self.gather().await;
            let batch = self.drain(first);
            let (appends, began) = (batch.len(), std::time::Instant::now());
            self.append(batch).await;
            METRICS.batch(appends, began.elapsed());
        }
    }

    /// Lets those who were just answered queue their next append: without it the first of them would get a transaction of his own,
    /// and all others would wait for it. It waits for nobody; who has nothing more to run is not waited for.
    async fn gather(&self) {
        let mut waiting = 0;
        while waiting < self.queue.len() && self.queue.len() < MAX_BATCH_APPENDS {
            waiting = self.queue.len();
            tokio::task::yield_now().await;
        }
    }

    fn drain(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut size = Size::default();
        size.add(&first.append);
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH_APPENDS && size.has_room() {
            let Ok(next) = self.queue.try_recv() else { break };
            size.add(&next.append);
            batch.push(next);
        }
        batch
    }

    async fn append(&self, batch: Vec<Waiting>) {
        let Err((batch, failed)) = self.settle(batch).await else { return };
        if failed.kind != FailureKind::Refused || batch.len() == 1 {
            return refuse(batch, &failed);
        }
        tracing::warn!(error = %failed.source, batch_len = batch.len(), "a batch is refused; its appends are tried alone");
        let mut alone = batch.into_iter();
        while let Some(waiting) = alone.next() {
            let Err((one, failed)) = self.settle(vec![waiting]).await else { continue };
            refuse(one, &failed);
            if failed.kind != FailureKind::Refused {
                // The store is gone. The others were not touched since the batch was rolled back.
                let untouched = Failed { kind: FailureKind::Unreachable, ..failed };
                return refuse(alone.collect(), &untouched);
            }
        }
    }

    /// Writes a batch and answers its waiters, or gives them back with the reason.
    async fn settle(&self, batch: Vec<Waiting>) -> Result<(), (Vec<Waiting>, Failed)> {
        let appends: Vec<&Append> = batch.iter().map(|waiting| &waiting.append).collect();
        let mut attempt = 1;
        let decision = loop {
            match self.transact(&appends).await {
                Ok(decision) => break decision,
                Err(failed) if attempt < MAX_BATCH_ATTEMPTS && failed.kind != FailureKind::Unknown => {
                    tracing::debug!(error = %failed.source, attempt, "the batch is tried again");
                    tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS * u64::from(attempt))).await;
                    attempt += 1;
                }
                Err(failed) => return Err((batch, failed)),
            }
        };
        if let Some(last) = decision.writes.events.last() {
            self.recent.push_own(&decision.writes.events);
            let position = last.position;
            self.head.send_if_modified(|head| std::mem::replace(head, (*head).max(position)) < position);
        }
        for (Waiting { append: _, answer, room }, outcome) in batch.into_iter().zip(decision.outcomes) {
            drop(room);
            // A waiter that went away has its receipt in the store.
            let _ = answer.send(outcome);
        }
        Ok(())
    }

    async fn transact(&self, appends: &[&Append]) -> Result<Decision, Failed> {
        let mut transaction = step(self.store.begin()).await.map_err(Failed::unreachable)?;
        let head = transaction.head();
        self.clock.learn(head.now);
        let loaded = step(transaction.load(&needs(appends))).await.map_err(Failed::refused)?;
        let decision = decide(appends, head, &loaded);
        if decision.writes.is_empty() {
            transaction.rollback().await;
            return Ok(decision);
        }
        assert_contiguous(&decision, head.position);
        step(transaction.write(&decision.writes)).await.map_err(Failed::refused)?;
        let committing = tokio::time::timeout(Duration::from_secs(STEP_DEADLINE_S), transaction.commit());
        match committing
            .await
            .unwrap_or_else(|_| Err(CommitError::Unknown(StoreError("COMMIT is not answered".into()))))
        {
            Ok(()) => Ok(decision),
            Err(CommitError::RolledBack(source)) => Err(Failed::refused(source)),
            Err(CommitError::Unknown(source)) => {
                if self.is_committed(&decision, source).await? {
                    Ok(decision)
                } else {
                    Err(Failed::refused(StoreError("the transaction was lost before COMMIT took effect".into())))
                }
            }
        }
    }

    /// Whether a batch whose COMMIT was not answered is in the log.
    async fn is_committed(&self, decision: &Decision, mut source: StoreError) -> Result<bool, Failed> {
        tracing::warn!(error = %source, "COMMIT was not answered; looking up its outcome under the head lock");
        for _ in 0..MAX_OUTCOME_LOOKUPS {
            match step(self.look_up(decision)).await {
                Ok(committed) => return Ok(committed),
                Err(again) => source = again,
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Failed { source, kind: FailureKind::Unknown })
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
                // Equal, not merely there: another process may have answered the same key since.
                decision.writes.receipts.iter().all(|(key, receipt)| loaded.receipts.get(key) == Some(receipt))
            }
        };
        transaction.rollback().await;
        Ok(committed)
    }
}

/// Tells everybody in the batch that it failed.
fn refuse(batch: Vec<Waiting>, failed: &Failed) {
    tracing::error!(error = %failed.source, batch_len = batch.len(), "the log's store failed");
    for waiting in batch {
        let error = match failed.kind {
            FailureKind::Unknown => AppendError::OutcomeUnknown(failed.source.clone()),
            FailureKind::Unreachable | FailureKind::Refused => AppendError::Store(failed.source.clone()),
        };
        let _ = waiting.answer.send(Err(error));
    }
}

/// What is about to be written continues the log without a gap. A break here is a fault of this program, and going on would
/// spread it.
fn assert_contiguous(decision: &Decision, head: Position) {
    for (expected, event) in (head + 1..).zip(&decision.writes.events) {
        assert_eq!(event.position, expected, "positions are handed out without a gap");
    }
}

/// What is known of a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    /// The head's lock was not had: the store is away, or somebody else holds it.
    Unreachable,
    /// The store failed inside the transaction, and it was rolled back.
    Refused,
    /// Nobody knows whether it is in the log.
    Unknown,
}

struct Failed {
    source: StoreError,
    kind: FailureKind,
}

impl Failed {
    const fn unreachable(source: StoreError) -> Self {
        Self { source, kind: FailureKind::Unreachable }
    }

    const fn refused(source: StoreError) -> Self {
        Self { source, kind: FailureKind::Refused }
    }
}
