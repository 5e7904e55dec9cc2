//! A log, a topic, a relay and a reader over a real MySQL and a real broker.
//!
//! They come from `TICKIZ_TEST_KAFKA_BROKERS` and `TICKIZ_TEST_MYSQL_URL` (which ends with `/`). Without them the tests say so and
//! pass; with `TICKIZ_TEST_REQUIRE_SERVERS=1` they fail instead. Each test has a topic and a database of its own.

#![allow(dead_code, reason = "each of the tests uses some of it")]

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError as ClientError,
    message::{Headers, Message},
};
use sqlx::{Connection, MySqlConnection};
use tickiz_domain::{
    person::{PersonDomainEvent, PersonErased},
    stored::StoredEvent,
    stream::StreamId,
};
use tickiz_event_log::{
    Append, EventLog, LogOptions, LogService, Metadata, NewEvent, StreamAppend, leaf_hash,
    record::{Position, Recorded},
};
use tickiz_kafka::{KafkaStream, Relay, Topic, compare_topic, record};
use tickiz_projections::stream::{DomainEventStream, Ordered};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take; then it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A log and a topic of their own.
pub struct House {
    pub log: EventLog,
    /// Kept, or the log's tasks end.
    _service: LogService,
    pub url: String,
    pub topic: Topic,
}

/// The address of a server, where there is one.
fn server(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        let required = std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "{variable} is not set, and TICKIZ_TEST_REQUIRE_SERVERS=1");
        eprintln!("skipped: {variable} is not set");
    }
    value
}

impl House {
    pub async fn new() -> Option<Self> {
        let (mysql, brokers) = (server("TICKIZ_TEST_MYSQL_URL")?, server("TICKIZ_TEST_KAFKA_BROKERS")?);
        let name = format!("tickiz_test_{}", Uuid::new_v4().simple());
        let mut connection = MySqlConnection::connect(&mysql).await.expect("the server answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.expect("a database");
        let url = format!("{mysql}{name}");
        let options = LogOptions { master_key: Some([7; 32]), migrate: true, ..LogOptions::default() };
        let (log, service) = EventLog::open_mysql(&url, options).await.expect("a log");
        Some(Self { log, _service: service, url, topic: Topic { brokers, name } })
    }

    /// Appends so many domain events, a stream each.
    pub async fn append(&self, count: usize) {
        let appends = (0..count).map(|_| async {
            let person = Uuid::new_v4();
            let append = Append {
                metadata: Metadata {
                    command_id: Uuid::new_v4(),
                    traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
                    ..Metadata::default()
                },
                streams: vec![StreamAppend {
                    stream: StreamId::new(PersonDomainEvent::STREAM_TYPE, person),
                    expected: 0,
                    events: vec![NewEvent::of(&PersonDomainEvent::from(PersonErased {}), person)],
                }],
                ..Append::default()
            };
            self.log.append(append).await.expect("it is appended");
        });
        futures::future::join_all(appends).await;
    }

    /// A relay that runs, what stops it, and how far it has come.
    pub fn relay(&self) -> (JoinHandle<()>, CancellationToken, watch::Receiver<Position>) {
        let relay = Relay::new(self.log.clone(), &self.url, self.topic.clone());
        let (reached, stop) = (relay.reached(), CancellationToken::new());
        let stopped = stop.clone();
        (tokio::spawn(async move { relay.run(stopped).await.expect("it relays") }), stop, reached)
    }

    /// Everything that is committed in the topic, read by a plain consumer.
    pub async fn committed(&self) -> Vec<Recorded> {
        let topic = self.topic.clone();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = topic
                .client()
                .set("group.id", "test")
                .set("enable.partition.eof", "true")
                .set("isolation.level", "read_committed")
                .create()
                .expect("a consumer");
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic.name, 0, Offset::Beginning).expect("a partition");
            consumer.assign(&list).expect("it is assigned");
            let mut all = Vec::new();
            loop {
                match consumer.poll(PATIENCE).expect("the topic's end is reached") {
                    Ok(message) => {
                        let event = record::recorded(&message).expect("a record of ours");
                        assert_eq!(message.timestamp().to_millis(), Some(event.recorded_at.timestamp_millis()));
                        let names: Vec<&str> = message.headers().expect("headers").iter().map(|h| h.key).collect();
                        for (name, _, always) in record::HEADERS {
                            assert!(!always || names.contains(&name), "{name} is missing");
                        }
                        assert!(names.contains(&"traceparent"), "the trace goes with it");
                        assert!(names.iter().all(|name| record::HEADERS.iter().any(|(known, ..)| known == name)));
                        all.push(event);
                    }
                    Err(ClientError::PartitionEOF(_)) => return all,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
        .expect("no panic")
    }

    /// The topic is the log: every position once, in order, byte for byte.
    pub async fn check_topic(&self) {
        let committed = self.committed().await;
        let log = self.log.read(0, usize::MAX >> 1).await.expect("it reads");
        assert_eq!(committed.len(), log.len());
        for (there, here) in committed.iter().zip(&log) {
            assert_eq!(there, &**here);
            assert_eq!(there.leaf_hash, leaf_hash(there), "an outsider can check it");
        }
        assert_eq!(compare_topic(&self.topic, &self.log).await.expect("it compares"), []);
    }

    /// Whom the broker obeys.
    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.topic.client().create().expect("an admin")
    }

    pub async fn delete_topic(&self) {
        self.admin().delete_topics(&[&self.topic.name], &AdminOptions::new()).await.expect("it is deleted");
    }
}

/// Waits until a relay has come so far.
pub async fn reach(reached: &mut watch::Receiver<Position>, position: Position) {
    let there = tokio::time::timeout(PATIENCE, reached.wait_for(|reached| *reached >= position)).await;
    there.expect("it is reached in time").expect("the relay runs");
}

/// Reads to a position through what projections read through.
pub async fn read_to(house: &House, after: Position, last: Position) -> Vec<Position> {
    let log = Arc::new(house.log.clone());
    let stream = KafkaStream::new(house.topic.clone(), log.clone());
    let mut events = Ordered::open(&stream as &dyn DomainEventStream, log, after).await.expect("it opens");
    let mut positions = Vec::new();
    while positions.last().copied().unwrap_or(after) < last {
        let batch = tokio::time::timeout(PATIENCE, events.next_batch(100)).await.expect("in time").expect("it reads");
        positions.extend(batch.iter().map(|event| event.position));
    }
    positions
}
