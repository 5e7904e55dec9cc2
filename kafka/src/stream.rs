//! From the topic to readers.
//!
//! A reader knows a position, the topic knows offsets, and the two differ, since the marks of transactions have offsets too. It
//! finds its place by time: a record's time is when its domain event was recorded, and those never sink. Everything else about
//! order and gaps is [`tickiz_projections::stream::Ordered`]'s.
//!
//! While the topic has nothing new a reader looks into the log now and then, whether the topic is silent or busy with what was
//! handed out before. So a broker that is away, a topic that was deleted or is filled again, or a relay that does not run makes it
//! later, not deaf.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, StreamConsumer},
    message::BorrowedMessage,
};
use tickiz_event_log::record::{Position, Recorded, SHARD, StoreError};
use tickiz_projections::stream::{DomainEventReader, DomainEventStream, LogSource};

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    KafkaError, blocking,
    record::{position, verified},
    stats::{self, StreamStats},
    topic::Topic,
};

/// How long a topic has nothing new before the log is looked at.
pub const SILENCE: Duration = Duration::from_millis(500);
/// Records read from the topic without giving way to other tasks, or to a look into the log. Passing over a record that was handed
/// out before takes about a microsecond.
const MAX_AT_ONCE: usize = 1_000;
/// How long a broker may take to say where a time is in the topic.
const PATIENCE: Duration = Duration::from_secs(3);

/// The topic as a stream of domain events.
#[derive(Clone)]
pub struct KafkaStream {
    topic: Topic,
    log: Arc<dyn LogSource>,
    stats: Arc<StreamStats>,
}

impl KafkaStream {
    /// The stream of that topic, and the log behind it.
    #[must_use]
    pub fn new(topic: Topic, log: Arc<dyn LogSource>) -> Self {
        Self { topic, log, stats: Arc::default() }
    }

    /// What its readers have done, all together.
    #[must_use]
    pub fn stats(&self) -> Arc<StreamStats> {
        self.stats.clone()
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
        let (log, stats) = (self.log.clone(), self.stats.clone());
        Ok(Box::new(KafkaReader { consumer, log, stats, cursor: after, seen_new: Instant::now() }))
    }
}

struct KafkaReader {
    consumer: StreamConsumer,
    log: Arc<dyn LogSource>,
    stats: Arc<StreamStats>,
    /// The last position handed out.
    cursor: Position,
    /// When the topic had something new, or the log was found to have nothing more.
    seen_new: Instant,
}

impl KafkaReader {
    /// What is new of this record and those that are there already, at most `limit`. Nothing is waited for, so that dropping the
    /// future that calls this loses nothing.
    fn take(&self, first: &BorrowedMessage<'_>, limit: usize) -> Vec<Arc<Recorded>> {
        let mut batch: Vec<Arc<Recorded>> = self.new_in(first).into_iter().collect();
        for _ in 1..MAX_AT_ONCE {
            if batch.len() >= limit {
                break;
            }
            let Some(Ok(message)) = self.consumer.recv().now_or_never() else { break };
            batch.extend(self.new_in(&message));
        }
        batch
    }

    /// A domain event that was not handed out before. What is not ours is passed over: a gap is filled from the log.
    fn new_in(&self, message: &BorrowedMessage<'_>) -> Option<Arc<Recorded>> {
        // Its position alone comes first: of a topic that is filled again, most is old.
        let read = position(message).and_then(|position| {
            if position <= self.cursor { Ok(None) } else { verified(message).map(Arc::new).map(Some) }
        });
        match read {
            Ok(Some(event)) => return Some(event),
            Ok(None) => stats::add(&self.stats.stale, 1),
            Err(error) => {
                let refused = self.stats.refused.fetch_add(1, Relaxed) + 1;
                // Ever more seldom: whoever writes into the topic writes more than one.
                if refused.is_power_of_two() {
                    tracing::warn!(%error, refused, "a record of the topic is passed over");
                }
            }
        }
        None
    }

    fn hand_out(&mut self, batch: Vec<Arc<Recorded>>) -> Vec<Arc<Recorded>> {
        self.cursor = batch.iter().map(|event| event.position).fold(self.cursor, Position::max);
        batch
    }
}

#[async_trait]
impl DomainEventReader for KafkaReader {
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        loop {
            let due = self.seen_new + SILENCE;
            let batch = match timeout_at(due, self.consumer.recv()).await {
                Ok(Ok(message)) => self.take(&message, limit),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the topic cannot be read; domain events come from the log");
                    sleep_until(due).await;
                    Vec::new()
                }
                Err(_silent) => Vec::new(),
            };
            if !batch.is_empty() {
                stats::add(&self.stats.from_topic, batch.len());
                self.seen_new = Instant::now();
                return Ok(self.hand_out(batch));
            }
            if Instant::now() < due {
                tokio::task::yield_now().await;
                continue;
            }
            let batch = self.log.read(self.cursor, limit).await?;
            stats::add(&self.stats.looks, 1);
            // A full batch means that there is more, and nobody waits for the topic to have it.
            if batch.len() < limit {
                self.seen_new = Instant::now();
            }
            if !batch.is_empty() {
                stats::add(&self.stats.from_log, batch.len());
                return Ok(self.hand_out(batch));
            }
        }
    }
}
