//! The topic: its name, its partitions, and how it is made.
//!
//! Its settings say that records stay for ever. Where the topic is there already, what it has from the brokers' defaults is set
//! right; what an operator has set on the topic himself is his word, and stays, with a warning where it costs time: whatever a
//! topic loses, readers take from the log.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
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
/// What the topic is set to.
const SETTINGS: [(&str, &str); 6] = [
    // Records stay: who comes late reads the log from its beginning, and a relay finds its place in the topic itself.
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    // The time of a record is when its domain event was recorded: readers find their place by it.
    ("message.timestamp.type", "CreateTime"),
    (MAX_BYTES_SETTING, MAX_RECORD_BYTES),
    ("compression.type", "producer"),
];
/// The one of them that may be more.
const MAX_BYTES_SETTING: &str = "max.message.bytes";
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
            // A place that is gone is an error: a jump to the end would look as if there were nothing.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed");
        config
    }

    /// Makes the topic where it is missing, and sets right what it has from the brokers' defaults.
    ///
    /// # Errors
    /// When no broker answers or it may not be made. That its settings may not be looked at or changed is only warned about.
    pub async fn ensure(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let mut topic = NewTopic::new(&self.name, PARTITIONS, TopicReplication::Fixed(BROKERS_DEFAULT));
        for (name, value) in SETTINGS {
            topic = topic.set(name, value);
        }
        let mut is_old = false;
        for made in admin.create_topics([&topic], &patient()).await? {
            match made {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => is_old = true,
                Err((name, code)) => return Err(KafkaError(format!("the topic {name} cannot be made: {code}"))),
            }
        }
        if is_old && let Err(error) = self.set_right(&admin).await {
            tracing::warn!(topic = self.name, %error, "the topic's settings cannot be checked");
        }
        Ok(())
    }

    async fn set_right(&self, admin: &AdminClient<DefaultClientContext>) -> Result<(), KafkaError> {
        let described = admin.describe_configs([&ResourceSpecifier::Topic(&self.name)], &patient()).await?;
        let Some(Ok(topic)) = described.into_iter().next() else {
            return Err(KafkaError("the brokers do not say what it is set to".to_owned()));
        };
        // All that is set on a topic is set at once, so what is there already has to be said again.
        let own = |entry: &&ConfigEntry| entry.source == ConfigSource::DynamicTopic;
        let mut settings = AlterConfig::new(ResourceSpecifier::Topic(&self.name));
        for entry in topic.entries.iter().filter(own) {
            settings = settings.set(&entry.name, entry.value.as_deref().unwrap_or_default());
        }
        let mut changed = Vec::new();
        for (name, wanted) in SETTINGS {
            let entry = topic.get(name);
            let is = entry.and_then(|entry| entry.value.as_deref()).unwrap_or_default();
            if fits(name, is, wanted) {
                continue;
            }
            if entry.as_ref().is_some_and(own) {
                tracing::warn!(topic = self.name, "the topic has {name}={is}, where {wanted} was wanted; it stays so");
            } else {
                settings = settings.set(name, wanted);
                changed.push(name);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        for altered in admin.alter_configs([&settings], &patient()).await? {
            altered.map_err(|(_, code)| KafkaError(format!("{} cannot be set: {code}", changed.join(", "))))?;
        }
        tracing::info!(topic = self.name, "the topic had the brokers' defaults; set: {}", changed.join(", "));
        Ok(())
    }
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE))
}

fn fits(name: &str, is: &str, wanted: &str) -> bool {
    let at_least = || Some(is.parse::<u64>().ok()? >= wanted.parse().ok()?);
    is == wanted || (name == MAX_BYTES_SETTING && at_least() == Some(true))
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
