//! The relay and the stream over a real broker and a real MySQL.
//!
//! They come from `TICKIZ_TEST_KAFKA_BROKERS` and `TICKIZ_TEST_MYSQL_URL` (which ends with `/`). Without them the tests say so and
//! pass; with `TICKIZ_TEST_REQUIRE_SERVERS=1` they fail instead. Each test has a topic and a database of its own.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
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
use tickiz_kafka::{
    KafkaStream, Lease, Relay, Topic, compare_topic, record,
    relay::{Publisher, last_committed},
};
use tickiz_projections::stream::{DomainEventStream, Ordered};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

struct House {
    log: EventLog,
    /// Kept, or the log's tasks end.
    _service: LogService,
    url: String,
    topic: Topic,
}

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
    async fn new() -> Option<Self> {
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
    async fn append(&self, count: usize) {
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

    fn relay(&self) -> (JoinHandle<()>, CancellationToken, tokio::sync::watch::Receiver<Position>) {
        let relay = Relay::new(self.log.clone(), &self.url, self.topic.clone());
        let (reached, stop) = (relay.reached(), CancellationToken::new());
        let stopped = stop.clone();
        (tokio::spawn(async move { relay.run(stopped).await.expect("it relays") }), stop, reached)
    }

    /// Everything that is committed in the topic, read by a plain consumer.
    async fn committed(&self) -> Vec<Recorded> {
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
    async fn check_topic(&self) {
        let committed = self.committed().await;
        let log = self.log.read(0, usize::MAX >> 1).await.expect("it reads");
        assert_eq!(committed.len(), log.len());
        for (there, here) in committed.iter().zip(&log) {
            assert_eq!(there, &**here);
            assert_eq!(there.leaf_hash, leaf_hash(there), "an outsider can check it");
        }
        assert_eq!(compare_topic(&self.topic, &self.log).await.expect("it compares"), []);
    }

    async fn delete_topic(&self) {
        let admin: AdminClient<DefaultClientContext> = self.topic.client().create().expect("an admin");
        admin.delete_topics(&[&self.topic.name], &AdminOptions::new()).await.expect("it is deleted");
    }
}

async fn reach(reached: &mut tokio::sync::watch::Receiver<Position>, position: Position) {
    let there = tokio::time::timeout(PATIENCE, reached.wait_for(|reached| *reached >= position)).await;
    there.expect("it is reached in time").expect("the relay runs");
}

/// Reads to a position through what projections read through.
async fn read_to(house: &House, after: Position, last: Position) -> Vec<Position> {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_is_the_log_in_its_order_and_byte_for_byte() {
    let Some(house) = House::new().await else { return };
    house.append(700).await;
    let (relay, stop, mut reached) = house.relay();
    reach(&mut reached, 700).await;
    house.append(30).await;
    reach(&mut reached, 730).await;
    stop.cancel();
    relay.await.expect("it ends");
    house.check_topic().await;
    assert_eq!(last_committed(&house.topic).await.expect("it reads"), 730);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_anywhere_is_followed_without_a_gap_or_a_double() {
    let Some(house) = House::new().await else { return };
    house.append(2_000).await;
    for wait_ms in [150, 400, 700, 900] {
        let (relay, _stop, _) = house.relay();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        // Dropped in the middle of whatever it does; its lease goes with its connection.
        relay.abort();
        let _ = relay.await;
    }
    let (relay, stop, mut reached) = house.relay();
    reach(&mut reached, 2_000).await;
    stop.cancel();
    relay.await.expect("it ends");
    house.check_topic().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over() {
    let Some(house) = House::new().await else { return };
    house.append(10).await;
    let (first, stop_first, mut reached_first) = house.relay();
    reach(&mut reached_first, 10).await;
    let (second, stop_second, mut reached_second) = house.relay();
    house.append(10).await;
    reach(&mut reached_first, 20).await;
    assert_eq!(*reached_second.borrow_and_update(), 0, "it stands by");
    stop_first.cancel();
    first.await.expect("it ends");
    house.append(10).await;
    reach(&mut reached_second, 30).await;
    stop_second.cancel();
    second.await.expect("it ends");
    house.check_topic().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_taken_for_dead_is_fenced() {
    let Some(house) = House::new().await else { return };
    house.append(20).await;
    house.topic.ensure().await.expect("the topic");
    let all = house.log.read(0, 20).await.expect("it reads");
    let old = Publisher::open(&house.topic).await.expect("a broker");
    old.publish(all[..10].to_vec()).await.expect("it is alone");
    let new = Publisher::open(&house.topic).await.expect("a broker");
    old.publish(all[10..].to_vec()).await.expect_err("another has taken over");
    new.publish(all[10..].to_vec()).await.expect("it is the one now");
    house.check_topic().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_another_log_is_not_filled() {
    let (Some(one), Some(other)) = (House::new().await, House::new().await) else { return };
    one.append(20).await;
    let (relay, stop, mut reached) = one.relay();
    reach(&mut reached, 20).await;
    stop.cancel();
    relay.await.expect("it ends");
    other.append(3).await;
    let wrong = Relay::new(other.log.clone(), &other.url, one.topic.clone());
    let ended = tokio::time::timeout(PATIENCE, wrong.run(CancellationToken::new())).await.expect("it ends by itself");
    assert!(ended.expect_err("it is refused").to_string().contains("another log"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_belong_into_the_topic_is_found() {
    let Some(house) = House::new().await else { return };
    house.append(30).await;
    house.topic.ensure().await.expect("the topic");
    let all = house.log.read(0, 30).await.expect("it reads");
    let publisher = Publisher::open(&house.topic).await.expect("a broker");
    // 5 is missing, 9 comes twice, 12 says something else, 31 is nowhere in the log.
    let mut wrong: Vec<Arc<Recorded>> = all.iter().filter(|event| event.position != 5).cloned().collect();
    wrong.insert(10, all[8].clone());
    let changed = wrong.iter_mut().find(|event| event.position == 12).expect("it is there");
    *changed = Arc::new(Recorded { payload: b"{\"changed\":true}".as_slice().into(), ..(**changed).clone() });
    wrong.push(Arc::new(Recorded { position: 31, ..(*all[29]).clone() }));
    publisher.publish(wrong).await.expect("it is written");
    let found = compare_topic(&house.topic, &house.log).await.expect("it compares");
    let positions: Vec<Position> = found.iter().map(|difference| difference.position).collect();
    assert_eq!(positions, [6, 9, 12, 31], "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_and_goes_with_him() {
    let Some(house) = House::new().await else { return };
    let first = Lease::acquire(&house.url, "test").await.expect("it answers").expect("it is free");
    assert!(Lease::acquire(&house.url, "test").await.expect("it answers").is_none());
    drop(first);
    let mut second = None;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        second = Lease::acquire(&house.url, "test").await.expect("it answers");
        if second.is_some() {
            break;
        }
    }
    second.expect("it is free again").keep().await.expect("it is held");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_get_everything_from_any_position_on() {
    let Some(house) = House::new().await else { return };
    house.append(600).await;
    let (relay, stop, mut reached) = house.relay();
    reach(&mut reached, 600).await;
    for after in [0, 1, 299, 599] {
        assert_eq!(read_to(&house, after, 600).await, ((after + 1)..=600).collect::<Vec<_>>());
    }
    // One that waits at the end gets what comes.
    let (read, ()) = tokio::join!(read_to(&house, 600, 640), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.append(40).await;
    });
    assert_eq!(read, (601..=640).collect::<Vec<_>>());
    stop.cancel();
    relay.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_lost_costs_time_and_nothing_else() {
    let Some(house) = House::new().await else { return };
    house.append(100).await;
    // It is not there yet, and nobody relays.
    assert_eq!(read_to(&house, 0, 100).await, (1..=100).collect::<Vec<_>>());
    let (relay, stop, mut reached) = house.relay();
    reach(&mut reached, 100).await;
    house.delete_topic().await;
    house.append(50).await;
    assert_eq!(read_to(&house, 20, 150).await, (21..=150).collect::<Vec<_>>());
    // The relay finds that the topic is gone, and fills it from the beginning.
    reach(&mut reached, 150).await;
    let whole = async {
        loop {
            if last_committed(&house.topic).await.is_ok_and(|last| last == 150) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, whole).await.expect("it is filled again");
    stop.cancel();
    relay.await.expect("it ends");
    house.check_topic().await;
    assert_eq!(read_to(&house, 0, 150).await, (1..=150).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_busy_with_what_everybody_has_keeps_nobody_from_the_log() {
    let Some(house) = House::new().await else { return };
    house.append(50).await;
    house.topic.ensure().await.expect("the topic");
    let all = house.log.read(0, 50).await.expect("it reads");
    let publisher = Publisher::open(&house.topic).await.expect("a broker");
    publisher.publish(all.clone()).await.expect("it is written");
    let stop = CancellationToken::new();
    // The same again and again, as a relay does that fills the topic anew.
    let busy = tokio::spawn({
        let stop = stop.clone();
        async move {
            while !stop.is_cancelled() {
                publisher.publish(all.clone()).await.expect("it is written");
            }
        }
    });
    let (read, ()) = tokio::join!(read_to(&house, 50, 60), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Nobody relays these.
        house.append(10).await;
    });
    assert_eq!(read, (51..=60).collect::<Vec<_>>());
    stop.cancel();
    busy.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_as_the_log_wrote_it_is_read_from_the_log() {
    let Some(house) = House::new().await else { return };
    house.append(20).await;
    house.topic.ensure().await.expect("the topic");
    let all = house.log.read(0, 20).await.expect("it reads");
    let mut wrong = all.clone();
    wrong[4] = Arc::new(Recorded { payload: b"{}".as_slice().into(), ..(*all[4]).clone() });
    wrong[7] = Arc::new(Recorded { sequence: 99, ..(*all[7]).clone() });
    let publisher = Publisher::open(&house.topic).await.expect("a broker");
    publisher.publish(wrong).await.expect("it is written");
    let stream = KafkaStream::new(house.topic.clone(), Arc::new(house.log.clone()));
    let mut events = Ordered::open(&stream, Arc::new(house.log.clone()), 0).await.expect("it opens");
    let mut read = Vec::new();
    while read.len() < 20 {
        read.extend(events.next_batch(500).await.expect("it reads"));
    }
    assert_eq!(read, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_forgets_nothing() {
    let Some(house) = House::new().await else { return };
    house.topic.ensure().await.expect("the topic");
    house.topic.ensure().await.expect("again");
    let admin: AdminClient<DefaultClientContext> = house.topic.client().create().expect("a client");
    let topic = ResourceSpecifier::Topic(&house.topic.name);
    let found = admin.describe_configs([&topic], &AdminOptions::new()).await.expect("a broker");
    let settings = found.into_iter().next().expect("one topic").expect("it is there");
    let settings = settings.entry_map();
    for (name, wanted) in [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")] {
        assert_eq!(settings[name].value.as_deref(), Some(wanted), "{name}");
    }
}
