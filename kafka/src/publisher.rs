//! Writes batches into the topic, each as one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rdkafka::{
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tickiz_event_log::record::{Recorded, SHARD};
use tickiz_telemetry::trace;

use crate::{
    KafkaError, blocking,
    record::{headers, key},
    topic::{MAX_RECORD_BYTES, Topic},
};

/// How long a broker may take for each step of a batch before the batch is given up and begun anew. A transaction that nobody
/// ends is aborted by the broker after the same time, so that it holds up no reader for longer.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_MS: &str = "10000";
/// Between two tries to hand a record to a producer whose buffer is full.
const BUFFER_FULL: Duration = Duration::from_millis(5);

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

    /// Writes a batch, all of it or nothing. It is written to its end by a thread of its own even where this future is dropped.
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
    let began = Instant::now();
    for recorded in batch {
        let key = key(recorded);
        let mut record = BaseRecord::to(topic)
            .partition(recorded.shard)
            .key(&key)
            .payload(&*recorded.payload)
            .timestamp(recorded.recorded_at.timestamp_millis())
            .headers(headers(recorded));
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
