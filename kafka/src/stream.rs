//! From the topic to readers.
//!
//! A reader knows a position, the topic knows offsets, and the two differ, since the marks of transactions have offsets too. It
//! finds its place by time: a record's time is when its domain event was recorded, and those never sink. Everything else about
//! order and gaps is [`tickiz_projections::stream::Ordered`]'s.
//!
//! While the topic is silent a reader looks into the log now and then. So a broker that is away, a topic that was deleted or a
//! relay that does not run makes it later, not deaf.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, StreamConsumer},
};
use tickiz_event_log::{
    leaf_hash,
    record::{Position, Recorded, SHARD, StoreError},
};
use tickiz_projections::stream::{DomainEventReader, DomainEventStream, LogSource};

use crate::{
    KafkaError, blocking,
    record::{NotOurs, position, recorded},
    topic::Topic,
};

/// How long a topic is silent before the log is looked at.
pub const SILENCE: Duration = Duration::from_millis(500);
/// How long a broker may take to say where a time is in the topic.
const PATIENCE: Duration = Duration::from_secs(3);

/// The topic as a stream of domain events.
#[derive(Clone)]
pub struct KafkaStream {
    topic: Topic,
    log: Arc<dyn LogSource>,
}

impl KafkaStream {
    /// The stream of that topic, and the log behind it.
    #[must_use]
    pub fn new(topic: Topic, log: Arc<dyn LogSource>) -> Self {
        Self { topic, log }
    }

    fn consumer<C: rdkafka::config::FromClientConfig>(&self) -> Result<C, KafkaError> {
        Ok(self
            .topic
            .client()
            // Places are kept with the read models, never with the broker; it only wants a name.
            .set("group.id", "tickiz-readers")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            // Where its place is gone from the topic, what lies before comes from the log.
            .set("auto.offset.reset", "latest")
            .set("fetch.wait.max.ms", "50")
            .create()?)
    }

    /// An offset at or before the record of the position after that one.
    async fn place(&self, after: Position) -> Result<Offset, StoreError> {
        let this = self.clone();
        let failed = |error: KafkaError| StoreError(error.to_string().into());
        // The end is asked for first: what is not in the log after this comes after it.
        let end = blocking(move || {
            let consumer: BaseConsumer = this.consumer()?;
            Ok(consumer.fetch_watermarks(&this.topic.name, SHARD, PATIENCE)?.1)
        })
        .await
        .map_err(failed)?;
        let Some(next) = self.log.read(after, 1).await?.first().cloned() else { return Ok(Offset::Offset(end)) };
        let this = self.clone();
        blocking(move || {
            let consumer: BaseConsumer = this.consumer()?;
            let mut times = TopicPartitionList::new();
            let at = Offset::Offset(next.recorded_at.timestamp_millis());
            times.add_partition_offset(&this.topic.name, SHARD, at)?;
            let places = consumer.offsets_for_times(times, PATIENCE)?;
            let found = places.find_partition(&this.topic.name, SHARD).map(|place| place.offset());
            Ok(match found {
                Some(Offset::Offset(offset)) if offset >= 0 => Offset::Offset(offset),
                _ => Offset::Offset(end),
            })
        })
        .await
        .map_err(failed)
    }
}

#[async_trait]
impl DomainEventStream for KafkaStream {
    async fn open(&self, after: Position) -> Result<Box<dyn DomainEventReader>, StoreError> {
        let place = self.place(after).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the topic is not there; domain events come from the log");
            Offset::End
        });
        let failed = |error: KafkaError| StoreError(error.to_string().into());
        let consumer: StreamConsumer = self.consumer().map_err(failed)?;
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic.name, SHARD, place)
            .and_then(|()| consumer.assign(&assignment))
            .map_err(|error| failed(error.into()))?;
        let fresh_at = Instant::now();
        Ok(Box::new(KafkaReader { consumer, log: self.log.clone(), cursor: after, fresh_at }))
    }
}

/// The same record, if it is as the log wrote it.
fn ours(event: Recorded) -> Result<Recorded, NotOurs> {
    if event.shard != SHARD {
        return Err(NotOurs(format!("it is of shard {}", event.shard)));
    }
    if leaf_hash(&event) != event.leaf_hash {
        return Err(NotOurs(format!("position {} is not what its hash says", event.position)));
    }
    Ok(event)
}

struct KafkaReader {
    consumer: StreamConsumer,
    log: Arc<dyn LogSource>,
    /// The last position handed out.
    cursor: Position,
    /// When something was handed out last, or the log looked at.
    fresh_at: Instant,
}

impl KafkaReader {
    /// A domain event that was not handed out before. What is not ours is passed over: a gap is filled from the log.
    fn fresh(&self, message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Arc<Recorded>> {
        // What was handed out before is not worth reading whole.
        if position(message).is_ok_and(|position| position <= self.cursor) {
            return None;
        }
        match recorded(message).and_then(ours) {
            Ok(event) => Some(Arc::new(event)),
            Err(error) => {
                tracing::warn!(%error, "a record of the topic is passed over");
                None
            }
        }
    }
}

#[async_trait]
impl DomainEventReader for KafkaReader {
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        loop {
            let mut batch = Vec::new();
            match tokio::time::timeout(SILENCE, self.consumer.recv()).await {
                Ok(Ok(message)) => {
                    batch.extend(self.fresh(&message));
                    // What is there already comes along; nothing is waited for, so that dropping this future loses nothing. Bounded by
                    // what is read, not by what is fresh: a topic may hold much that was handed out long ago.
                    for _ in 1..limit {
                        let Some(Ok(message)) = self.consumer.recv().now_or_never() else { break };
                        batch.extend(self.fresh(&message));
                    }
                    // A relay that begins anew keeps the topic busy with what everybody has.
                    if batch.is_empty() && self.fresh_at.elapsed() >= SILENCE {
                        batch = self.log.read(self.cursor, limit).await?;
                        self.fresh_at = Instant::now();
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the topic cannot be read; domain events come from the log");
                    tokio::time::sleep(SILENCE).await;
                    batch = self.log.read(self.cursor, limit).await?;
                }
                Err(_silent) => batch = self.log.read(self.cursor, limit).await?,
            }
            if let Some(last) = batch.iter().map(|event| event.position).max() {
                self.cursor = self.cursor.max(last);
                self.fresh_at = Instant::now();
                return Ok(batch);
            }
        }
    }
}
