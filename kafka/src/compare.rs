//! Compares the topic with the log: for `tickiz verify`.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::KafkaError as ClientError,
};
use tickiz_event_log::{
    EventLog,
    record::{Position, Recorded, SHARD, StoreError},
};

use crate::{
    RelayError,
    record::recorded,
    topic::{ToTheEnd, Topic},
};

/// Domain events read from the log at a time.
const PAGE: usize = 1_000;
/// How long the broker may be silent before the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// More differences say no more.
pub const MAX_DIFFERENCES: usize = 100;

/// What the topic has and the log has not, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDifference {
    /// Where.
    pub position: Position,
    /// What.
    pub what: String,
}

/// The log, read alongside.
struct Alongside<'a> {
    log: &'a EventLog,
    page: Vec<Arc<Recorded>>,
}

impl Alongside<'_> {
    async fn at(&mut self, position: Position) -> Result<Option<&Arc<Recorded>>, StoreError> {
        let inside = |page: &[Arc<Recorded>]| page.iter().position(|event| event.position == position);
        if inside(&self.page).is_none() {
            self.page = self.log.read(position - 1, PAGE).await?;
        }
        Ok(inside(&self.page).map(|index| &self.page[index]))
    }
}

/// Reads the topic from its beginning to its end; at most [`MAX_DIFFERENCES`]. What is not in it yet is no difference: the relay may
/// be behind. What is no longer in it, at its beginning, is none either: topics forget.
///
/// # Errors
/// When Kafka or the log cannot be read.
pub async fn compare_topic(topic: &Topic, log: &EventLog) -> Result<Vec<TopicDifference>, RelayError> {
    let consumer: StreamConsumer<ToTheEnd> = topic.to_the_end().create_with_context(ToTheEnd)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic.name, SHARD, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let mut differences: Vec<TopicDifference> = Vec::new();
    let mut alongside = Alongside { log, page: Vec::new() };
    let mut before: Option<Position> = None;
    while differences.len() < MAX_DIFFERENCES {
        let mut found = |position, what: String| differences.push(TopicDifference { position, what });
        let message = match tokio::time::timeout(PATIENCE, consumer.recv()).await {
            Ok(Ok(message)) => message,
            Ok(Err(ClientError::PartitionEOF(_))) => break,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(crate::KafkaError("the end of the topic is not reached".to_owned()).into()),
        };
        let event = match recorded(&message) {
            Ok(event) => event,
            Err(error) => {
                found(before.unwrap_or(0), error.to_string());
                continue;
            }
        };
        let position = event.position;
        match before {
            Some(before) if position <= before => {
                found(position, format!("it comes after position {before} in the topic"));
            }
            Some(before) if position > before + 1 => {
                found(position, format!("it follows position {before} in the topic: there is a gap"));
            }
            _ => {}
        }
        before = Some(before.unwrap_or(0).max(position));
        match alongside.at(position).await? {
            None => found(position, "the topic has it, the log has not".to_owned()),
            Some(of_log) if **of_log != event => found(position, "topic and log say different things".to_owned()),
            Some(_) => {}
        }
    }
    Ok(differences)
}
