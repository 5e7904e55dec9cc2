//! Where a relay goes on: after the last committed record of the topic.
//!
//! Its answer decides which position is written next. Too low, and domain events come twice; too high, and some never come. So it
//! is given only where the topic was seen to its very end:
//!
//! * A reader of committed records sees no further than the first open transaction, whoever's it is. As long as there is one, what
//!   lies behind it is unknown, and so is the answer.
//! * A place that the broker has removed meanwhile is an error, never a jump to the end.
//! * Nothing found in a topic that has lost nothing (its first offset is 0) means that nothing was ever committed: 0.
//! * Nothing found in a topic whose beginning was removed means that the retention, or somebody, took all of it. Which positions
//!   those were nobody can say. Going on at the log's end would leave out what was never written; so the answer is 0, and the topic
//!   is filled again. That is right for every reader, since positions at or below a checkpoint are dropped, and costs time.
//!   [`Topic::ensure`] sees to it that records stay for ever, unless an operator has said otherwise.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError as ClientError,
};
use tickiz_event_log::record::{Position, SHARD};

use crate::{
    KafkaError, blocking,
    record::position,
    topic::{ToTheEnd, Topic},
};

/// How long a broker may take to answer, and open transactions to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether open transactions have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How many offsets before the end the last committed record is looked for first; markers of transactions have offsets too.
const FIRST_LOOK_BACK: i64 = 64;
/// How many times further each look goes than the one before.
const LOOK_BACK_FACTOR: i64 = 16;

/// The position of the topic's last committed record; 0 where it has to be filled from the beginning.
///
/// # Errors
/// When no broker answers, the end cannot be seen for an open transaction, or the topic is cut short meanwhile. May be tried again.
pub async fn last_committed(topic: &Topic) -> Result<Position, KafkaError> {
    let topic = topic.clone();
    blocking(move || {
        let consumer: BaseConsumer<ToTheEnd> = topic.to_the_end().create_with_context(ToTheEnd)?;
        let (low, high) = settled(&topic, &consumer)?;
        let mut look_back = FIRST_LOOK_BACK;
        loop {
            let from = low.max(high.saturating_sub(look_back));
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&topic.name, SHARD, Offset::Offset(from))?;
            consumer.assign(&assignment)?;
            if let Some(last) = last_of(&consumer)? {
                return Ok(last);
            }
            if from == low {
                break;
            }
            look_back = look_back.saturating_mul(LOOK_BACK_FACTOR);
        }
        if low > 0 {
            tracing::warn!(
                topic = topic.name,
                "every record was removed from the topic; it is filled again from the log's beginning"
            );
        }
        Ok(0)
    })
    .await
}

/// The topic's first offset and the one after its last, once no transaction is open.
fn settled(topic: &Topic, committed: &BaseConsumer<ToTheEnd>) -> Result<(i64, i64), KafkaError> {
    let everything: BaseConsumer<ToTheEnd> =
        topic.to_the_end().set("isolation.level", "read_uncommitted").create_with_context(ToTheEnd)?;
    let began = Instant::now();
    loop {
        // In this order: what is written in between makes the second end the later one.
        let (low, stable) = committed.fetch_watermarks(&topic.name, SHARD, PATIENCE)?;
        let (_, end) = everything.fetch_watermarks(&topic.name, SHARD, PATIENCE)?;
        if stable >= end {
            return Ok((low, stable));
        }
        if began.elapsed() >= PATIENCE {
            return Err(KafkaError(format!(
                "a transaction is open in the topic {} at offset {stable}; what is behind it cannot be seen",
                topic.name
            )));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
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
