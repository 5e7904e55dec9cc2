//! The event log as a stream, within the process: nothing lost, nothing twice.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tickiz_event_log::{
    EventLog,
    record::{Position, Recorded, StoreError},
};
use tokio::sync::watch;

use crate::stream::{DomainEventReader, DomainEventStream, LogSource};

/// How long a reader waits that was told of a position and did not find it. It is there already where the telling and the reading
/// were of one store; this only keeps a fault from becoming a busy loop.
const NOT_THERE_YET: Duration = Duration::from_millis(20);

#[async_trait]
impl LogSource for EventLog {
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        Self::read(self, after, limit).await
    }

    async fn attachment(&self, hash: [u8; 32]) -> Result<Option<Arc<[u8]>>, StoreError> {
        Self::attachment(self, &hash).await
    }
}

#[async_trait]
impl DomainEventStream for EventLog {
    async fn open(&self, after: Position) -> Result<Box<dyn DomainEventReader>, StoreError> {
        Ok(Box::new(LogReader { log: self.clone(), head: self.watch(), cursor: after }))
    }
}

struct LogReader {
    log: EventLog,
    head: watch::Receiver<Position>,
    cursor: Position,
}

#[async_trait]
impl DomainEventReader for LogReader {
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        loop {
            let head = *self.head.borrow_and_update();
            if head > self.cursor {
                let batch = self.log.read(self.cursor, limit).await?;
                if let Some(last) = batch.last() {
                    self.cursor = last.position;
                    return Ok(batch);
                }
                tokio::time::sleep(NOT_THERE_YET).await;
            } else if self.head.changed().await.is_err() {
                return Err(StoreError("the log is closed".into()));
            }
        }
    }
}
