//! From the log into the topic, in order.
//!
//! One batch is one Kafka transaction. What a relay had begun and not committed when it died is aborted by its successor's
//! `init_transactions`, and no reader of committed records ever sees it. Its successor then looks at the end of the topic for the
//! last committed record, and goes on with the position after it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tickiz_event_log::{
    EventLog,
    record::{Position, Recorded, SHARD, StoreError},
};
use tickiz_telemetry::trace;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    KafkaError, blocking,
    lease::{KEEP_ALIVE, Lease},
    record::{headers, key, position},
    topic::{MAX_RECORD_BYTES, ToTheEnd, Topic},
};

/// Domain events in one transaction: a commit costs some milliseconds whatever is in it, and nobody waits for more than this.
pub const BATCH: usize = 500;
/// How long a broker may take before a batch is given up and begun anew.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_MS: &str = "10000";
/// How long to wait after a failure, and between two looks whether the lease is free.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two tries to hand a record to a producer whose buffer is full.
const BUFFER_FULL: Duration = Duration::from_millis(5);
/// Payload bytes in one transaction: what a slow broker takes well within its patience.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// How long it is waited where the log was said to have more and has not.
const NOT_THERE_YET: Duration = Duration::from_millis(20);
/// How many offsets before the end the last committed record is looked for first; markers of transactions have offsets too.
const FIRST_LOOK_BACK: i64 = 64;

/// Why the relay cannot go on now.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The brokers.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The log, or the lease in its server.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The topic is of another log, or the log was set back: filling it would give one position to two domain events.
    #[error("the topic's last record has position {topic}, and the log ends at {log}: is it the topic of another log?")]
    Ahead {
        /// What the topic has.
        topic: Position,
        /// What the log has.
        log: Position,
    },
}

impl From<ClientError> for RelayError {
    fn from(error: ClientError) -> Self {
        Self::Kafka(error.into())
    }
}

/// Writes batches into the topic, each as one transaction. A second one of the same topic fences this one.
pub struct Publisher {
    producer: Arc<ThreadedProducer<DefaultProducerContext>>,
    topic: Topic,
}

impl Publisher {
    /// Fences whoever wrote before, and aborts what he had begun.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn open(topic: &Topic) -> Result<Self, KafkaError> {
        let topic = topic.clone();
        blocking(move || {
            let producer: ThreadedProducer<DefaultProducerContext> = topic
                .client()
                .set("transactional.id", format!("tickiz-relay-{}-{SHARD}", topic.name))
                .set("transaction.timeout.ms", PATIENCE_MS)
                .set("message.timeout.ms", PATIENCE_MS)
                .set("message.max.bytes", MAX_RECORD_BYTES)
                .set("compression.type", "zstd")
                // A transaction's commit waits for its records, so there is nothing to linger for.
                .set("linger.ms", "1")
                .create()?;
            producer.init_transactions(PATIENCE)?;
            Ok(Self { producer: Arc::new(producer), topic })
        })
        .await
    }

    /// Writes a batch, all of it or nothing.
    ///
    /// # Errors
    /// When it could not be committed, or another has taken over. The publisher is of no use then.
    pub async fn publish(&self, batch: Vec<Arc<Recorded>>) -> Result<(), KafkaError> {
        let (producer, topic, began) = (self.producer.clone(), self.topic.name.clone(), SystemTime::now());
        blocking(move || {
            let sent = send(&producer, &topic, &batch);
            if sent.is_err() {
                // Where this fails too, the successor's `init_transactions` aborts it.
                let _ = producer.abort_transaction(PATIENCE);
            } else {
                let traces = batch.iter().filter_map(|recorded| recorded.metadata.traceparent.as_deref());
                trace::note_each("publish", traces, began, Vec::new);
            }
            sent
        })
        .await
    }
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    batch: &[Arc<Recorded>],
) -> Result<(), KafkaError> {
    producer.begin_transaction()?;
    for recorded in batch {
        let key = key(recorded);
        let mut record = BaseRecord::to(topic)
            .partition(recorded.shard)
            .key(&key)
            .payload(&*recorded.payload)
            .timestamp(recorded.recorded_at.timestamp_millis())
            .headers(headers(recorded));
        let began = Instant::now();
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if began.elapsed() < PATIENCE =>
                {
                    record = back;
                    std::thread::sleep(BUFFER_FULL);
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    Ok(producer.commit_transaction(PATIENCE)?)
}

/// The position of the topic's last committed record; 0 where it has none.
///
/// # Errors
/// When no broker answers.
pub async fn last_committed(topic: &Topic) -> Result<Position, KafkaError> {
    let topic = topic.clone();
    blocking(move || {
        let consumer: BaseConsumer<ToTheEnd> = topic.to_the_end().create_with_context(ToTheEnd)?;
        let (low, high) = consumer.fetch_watermarks(&topic.name, SHARD, PATIENCE)?;
        let mut look_back = FIRST_LOOK_BACK;
        loop {
            let from = low.max(high - look_back);
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&topic.name, SHARD, Offset::Offset(from))?;
            consumer.assign(&assignment)?;
            if let Some(last) = last_of(&consumer)? {
                return Ok(last);
            }
            if from == low {
                if high > 0 && low == high {
                    tracing::warn!(
                        topic = topic.name,
                        "the topic has forgotten everything; it is filled from the beginning"
                    );
                }
                return Ok(0);
            }
            look_back = look_back.saturating_mul(16);
        }
    })
    .await
}

/// Reads to the end; the last position that was there.
fn last_of(consumer: &BaseConsumer<ToTheEnd>) -> Result<Option<Position>, KafkaError> {
    let mut last = None;
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => match position(&message) {
                Ok(position) => last = Some(position),
                Err(error) => tracing::warn!(%error, "somebody else writes into the topic"),
            },
            Some(Err(ClientError::PartitionEOF(_))) => return Ok(last),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(KafkaError("the end of the topic is not reached".to_owned())),
        }
    }
}

/// As much of a batch as one transaction carries, at least one.
fn cut(mut batch: Vec<Arc<Recorded>>) -> Vec<Arc<Recorded>> {
    let mut bytes = 0;
    let fits = batch.iter().take_while(|recorded| {
        bytes += recorded.payload.len();
        bytes <= MAX_BATCH_BYTES
    });
    let fits = fits.count().max(1);
    batch.truncate(fits);
    batch
}

/// The relay of one log.
pub struct Relay {
    log: EventLog,
    mysql_url: String,
    topic: Topic,
    reached: watch::Sender<Position>,
}

impl Relay {
    /// A relay that has not begun yet. The lease is in the database of `mysql_url`, the log's.
    #[must_use]
    pub fn new(log: EventLog, mysql_url: &str, topic: Topic) -> Self {
        Self { log, mysql_url: mysql_url.to_owned(), topic, reached: watch::Sender::new(0) }
    }

    /// The last position that this process has seen committed in the topic.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Position> {
        self.reached.subscribe()
    }

    /// Relays whenever no other process does, until it is told to stop; the batch under way is finished. Servers that fail are
    /// tried again for as long as it takes.
    ///
    /// # Errors
    /// [`RelayError::Ahead`]: nothing of that is mended by trying again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RelayError> {
        let mut standing_by = false;
        while !stop.is_cancelled() {
            let name = format!("tickiz-relay-{SHARD}");
            let acquired = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                acquired = Lease::acquire(&self.mysql_url, &name) => acquired,
            };
            match acquired {
                Ok(Some(mut lease)) => {
                    standing_by = false;
                    let ended = self.lead(&mut lease, &stop).await;
                    lease.release().await;
                    match ended {
                        Ok(()) => return Ok(()),
                        Err(error @ RelayError::Ahead { .. }) => return Err(error),
                        Err(error) => tracing::warn!(%error, "the relay begins anew"),
                    }
                }
                Ok(None) => {
                    if !std::mem::replace(&mut standing_by, true) {
                        tracing::info!("another process is the relay; this one stands by");
                    }
                }
                Err(error) => tracing::warn!(%error, "the relay's lease cannot be asked for"),
            }
            let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
        }
        Ok(())
    }

    async fn lead(&self, lease: &mut Lease, stop: &CancellationToken) -> Result<(), RelayError> {
        self.topic.ensure().await?;
        let publisher = Publisher::open(&self.topic).await?;
        lease.keep().await?;
        let mut last = last_committed(&self.topic).await?;
        let log = self.log.head().await?;
        if last > log {
            return Err(RelayError::Ahead { topic: last, log });
        }
        tracing::info!(position = last, "this process is the relay");
        self.reached.send_replace(last);
        let mut head = self.log.watch();
        let mut kept = Instant::now();
        loop {
            if kept.elapsed() >= KEEP_ALIVE {
                lease.keep().await?;
                kept = Instant::now();
            }
            if *head.borrow_and_update() <= last {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(KEEP_ALIVE) => {}
                    changed = head.changed() => changed.map_err(|_| StoreError("the log is closed".into()))?,
                }
                continue;
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            let batch = cut(self.log.read(last, BATCH).await?);
            let Some(end) = batch.last().map(|last| last.position) else {
                // Told of a position that cannot be read yet.
                let _ = tokio::time::timeout(NOT_THERE_YET, stop.cancelled()).await;
                continue;
            };
            let publishing = publisher.publish(batch);
            tokio::pin!(publishing);
            loop {
                tokio::select! {
                    biased;
                    published = &mut publishing => break published?,
                    () = tokio::time::sleep(KEEP_ALIVE) => {
                        lease.keep().await?;
                        kept = Instant::now();
                    }
                }
            }
            last = end;
            self.reached.send_replace(last);
        }
    }
}
