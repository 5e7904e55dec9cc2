//! Where domain events come from.
//!
//! A [`DomainEventStream`] may be in-process or Kafka, so it promises little: what it gives is in order, comes at least once, and
//! may lack something (a topic that was lost, a short retention, a moved offset). [`Ordered`] makes of it what projections need,
//! every position once and none missing: what is at or before the cursor is dropped, and a gap is filled from the log. So trouble
//! in between costs time, never a domain event. Only a gap in the log itself stops a reader, because nothing can fill it.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use tickiz_event_log::record::{Position, Recorded, StoreError};

/// The log, for what a stream does not have.
#[async_trait]
pub trait LogSource: Send + Sync + 'static {
    /// Domain events after a position, in order, at most `limit`; empty at the end.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError>;

    /// The bytes that domain events name by this SHA-256.
    async fn attachment(&self, hash: [u8; 32]) -> Result<Option<Arc<[u8]>>, StoreError>;
}

/// A stream of the log's domain events that can be read from any position on.
#[async_trait]
pub trait DomainEventStream: Send + Sync + 'static {
    /// A reader that begins after a position, or somewhere before it.
    async fn open(&self, after: Position) -> Result<Box<dyn DomainEventReader>, StoreError>;
}

/// One reader of a stream.
#[async_trait]
pub trait DomainEventReader: Send {
    /// The next domain events, at least one, at most `limit`; waits until there is one. Dropping the future loses nothing.
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError>;
}

/// Why a reader cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The stream or the log failed. May be tried again.
    #[error("domain events cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The log lacks a position that it must have. Nothing can be projected past it.
    #[error("the log has a gap: position {wanted} is missing, {found:?} comes instead")]
    GapInLog {
        /// What was to come.
        wanted: Position,
        /// What the log has there; `None` where it ends although the stream goes on.
        found: Option<Position>,
    },
}

/// Reads a stream so that every position comes once and none is missing.
pub struct Ordered {
    reader: Box<dyn DomainEventReader>,
    log: Arc<dyn LogSource>,
    cursor: Position,
    /// What the stream gave and was not handed out yet.
    ahead: VecDeque<Arc<Recorded>>,
}

impl Ordered {
    /// Reads what comes after a position.
    ///
    /// # Errors
    /// When the stream cannot be opened.
    pub async fn open(
        stream: &dyn DomainEventStream,
        log: Arc<dyn LogSource>,
        after: Position,
    ) -> Result<Self, StreamError> {
        Ok(Self { reader: stream.open(after).await?, log, cursor: after, ahead: VecDeque::new() })
    }

    /// The next domain events, at least one, at most `limit`, contiguous with those before; waits until there is one. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// When the stream or the log fails, or the log has a gap.
    pub async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StreamError> {
        let batch = loop {
            while self.ahead.front().is_some_and(|first| first.position <= self.cursor) {
                self.ahead.pop_front();
            }
            match self.ahead.front().map(|first| first.position - self.cursor) {
                None => {
                    let more = self.reader.next_batch(limit).await?;
                    self.ahead.extend(more);
                }
                Some(1) => break self.take_run(limit),
                Some(distance) => {
                    let missing = usize::try_from(distance - 1).unwrap_or(usize::MAX);
                    let filled = self.log.read(self.cursor, limit.min(missing)).await?;
                    tracing::debug!(
                        position = self.cursor,
                        batch_len = filled.len(),
                        "a gap in the stream is filled from the log"
                    );
                    if filled.is_empty() {
                        if let Some(next) = self.log.read(self.cursor, limit.max(2)).await?.first() {
                            return Err(StreamError::GapInLog { wanted: self.cursor + 1, found: Some(next.position) });
                        }
                        // A copy of the log that lags, or a record that is none of ours. The log itself has no gap, so whoever begins
                        // anew goes on as soon as it has more.
                        let what = format!("the stream is ahead of the log, which ends at {}", self.cursor);
                        return Err(StoreError(what.into()).into());
                    }
                    break filled;
                }
            }
        };
        for (wanted, recorded) in (self.cursor + 1..).zip(&batch) {
            if recorded.position != wanted {
                return Err(StreamError::GapInLog { wanted, found: Some(recorded.position) });
            }
        }
        self.cursor = batch.last().map_or(self.cursor, |last| last.position);
        Ok(batch)
    }

    /// What is there without a gap, at most `limit`.
    fn take_run(&mut self, limit: usize) -> Vec<Arc<Recorded>> {
        let run = self.ahead.iter().zip(self.cursor + 1..).take(limit);
        let length = run.take_while(|(recorded, wanted)| recorded.position == *wanted).count();
        self.ahead.drain(..length).collect()
    }
}
