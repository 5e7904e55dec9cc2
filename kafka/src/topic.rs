//! The topic: its name, its partitions, and how it is made.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::ConsumerContext,
    error::KafkaError as ClientError,
    types::RDKafkaErrorCode,
};
use tickiz_event_log::record::SHARD;

use crate::KafkaError;

/// The name that outsiders rely on.
pub const TOPIC: &str = "tickiz.events.v1";
/// A partition a shard.
pub const PARTITIONS: i32 = SHARD + 1;
/// The replication factor that the brokers' `default.replication.factor` says.
const BROKERS_DEFAULT: i32 = -1;
/// A domain event has at most a megabyte; this is twice that, for headers and batching.
pub const MAX_RECORD_BYTES: &str = "2097152";
/// How long a broker may take for an administrator's request.
const PATIENCE: Duration = Duration::from_secs(20);

/// The topic on its brokers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Topic {
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// `tickiz.events.v1`, but for several installations on the same brokers.
    pub name: String,
}

impl Topic {
    /// Settings that every client has.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tickiz")
            // A broker that is away is tried again at once, then ever more seldom.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000");
        config
    }

    /// Settings of a consumer that reads what is committed, to the end and no further.
    pub(crate) fn to_the_end(&self) -> ClientConfig {
        let mut config = self.client();
        config
            // Nothing is kept under this name; the broker wants one.
            .set("group.id", "tickiz-to-the-end")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed");
        config
    }

    /// Makes the topic where it is missing.
    ///
    /// # Errors
    /// When no broker answers or it may not be made.
    pub async fn ensure(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topic = NewTopic::new(&self.name, PARTITIONS, TopicReplication::Fixed(BROKERS_DEFAULT))
            // The time of a record is when its domain event was recorded: readers find their place by it.
            .set("message.timestamp.type", "CreateTime")
            // Whoever comes later wants the whole history: nothing is ever too old, too much, or a duplicate of its key.
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
            .set("cleanup.policy", "delete")
            .set("max.message.bytes", MAX_RECORD_BYTES)
            .set("compression.type", "producer");
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        for made in admin.create_topics([&topic], &options).await? {
            match made {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => self.look_at_retention(&admin, &options).await,
                Err((name, code)) => return Err(KafkaError(format!("the topic {name} cannot be made: {code}"))),
            }
        }
        Ok(())
    }
}

/// Settings of a topic that would lose history, with what they have to be.
const KEEPS_EVERYTHING: [(&str, &str); 3] =
    [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")];

impl Topic {
    /// Says so where somebody else made the topic, and it forgets. It is right all the same: what it forgot comes from the log.
    async fn look_at_retention(&self, admin: &AdminClient<DefaultClientContext>, options: &AdminOptions) {
        let topic = ResourceSpecifier::Topic(&self.name);
        let Ok(found) = admin.describe_configs([&topic], options).await else { return };
        for config in found.into_iter().flatten() {
            let settings = config.entry_map();
            for (name, wanted) in KEEPS_EVERYTHING {
                let value = settings.get(name).and_then(|entry| entry.value.as_deref());
                if value.is_some_and(|value| value != wanted) {
                    tracing::warn!(
                        topic = self.name,
                        setting = name,
                        value,
                        wanted,
                        "the topic does not keep everything"
                    );
                }
            }
        }
    }
}

/// A consumer that looks for the end does not call it an error when it gets there.
pub(crate) struct ToTheEnd;

impl ClientContext for ToTheEnd {
    fn error(&self, error: ClientError, reason: &str) {
        if !matches!(error, ClientError::Global(RDKafkaErrorCode::PartitionEOF)) {
            tracing::warn!(%error, reason, "Kafka");
        }
    }
}

impl ConsumerContext for ToTheEnd {}
