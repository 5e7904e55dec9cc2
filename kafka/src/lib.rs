//! The topic `tickiz.events.v1`: the relay that fills it from the log, and the stream that projections and notifications read.
//!
//! # Why nothing is lost, doubled or out of order
//! * The log's positions are gap-free and in commit order, and one relay at a time reads them in that order and writes them into
//!   one partition a shard ([`relay`]). A relay that was taken for dead and is not is fenced by its `transactional.id`: its next
//!   commit fails, and what it had begun is aborted.
//! * A relay that begins finds out where to go on from the topic itself: the last committed record's position. There is no
//!   checkpoint beside it that could say something else.
//! * Readers drop what is at or below their checkpoint, and fill what is missing from the log, so that a topic that was lost, cut
//!   short or not reached costs time and never a domain event ([`stream`]).
//!
//! # Layout
//!
//! * [`topic`]: name, partitions, and how the topic is made. [`record`]: a domain event as a Kafka record, both ways.
//! * [`asyncapi`]: both for outsiders. [`stream`]: topic to readers. [`compare`]: whether the topic is the log.
//! * [`relay`]: log to topic. [`publisher`]: its transactions. [`resume`]: where it goes on. [`lease`]: which process is the relay.
//! * [`stats`]: what relay and readers have done.

pub mod asyncapi;
pub mod compare;
pub mod lease;
pub mod publisher;
pub mod record;
pub mod relay;
pub mod resume;
pub mod stats;
pub mod stream;
pub mod topic;

pub use compare::compare_topic;
pub use lease::Lease;
pub use publisher::Publisher;
pub use relay::{Relay, RelayError};
pub use resume::last_committed;
pub use stream::KafkaStream;
pub use topic::Topic;

/// Why Kafka cannot be used now.
#[derive(Debug, thiserror::Error)]
#[error("Kafka: {0}")]
pub struct KafkaError(pub String);

impl From<rdkafka::error::KafkaError> for KafkaError {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        Self(error.to_string())
    }
}

/// Runs what would block a thread of the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(KafkaError(error.to_string())))
}
