//! What goes wrong around the topic costs time, never a domain event: over a real broker and a real MySQL.

mod support;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication},
    producer::{BaseProducer, BaseRecord, Producer},
};
use sqlx::{Connection, MySqlConnection};
use support::{House, PATIENCE, reach, read_to};
use tickiz_event_log::{
    EventLog, LogOptions, leaf_hash,
    record::{Position, Recorded},
};
use tickiz_kafka::{KafkaStream, Lease, Publisher, Relay, Topic, last_committed};
use tickiz_projections::stream::{DomainEventStream, Ordered, StreamError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

impl House {
    async fn all(&self) -> Vec<Arc<Recorded>> {
        self.log.read(0, 10_000).await.expect("it reads")
    }

    /// A publisher of the topic, which is there.
    async fn publisher(&self) -> Publisher {
        self.topic.ensure().await.expect("the topic");
        Publisher::open(&self.topic).await.expect("a broker")
    }

    /// Removes every record before an offset, as a retention does; the topic's end where there is none.
    async fn forget(&self, before: Option<i64>) {
        let mut list = TopicPartitionList::new();
        let offset = before.map_or(Offset::End, Offset::Offset);
        list.add_partition_offset(&self.topic.name, 0, offset).expect("a partition");
        self.admin().delete_records(&list, &AdminOptions::new()).await.expect("they are removed");
    }

    /// What the topic is set to, and whether that was said of the topic itself.
    async fn settings(&self) -> BTreeMap<String, (String, bool)> {
        let topic = ResourceSpecifier::Topic(&self.topic.name);
        let described = self.admin().describe_configs([&topic], &AdminOptions::new()).await;
        let topic = described.expect("it answers").remove(0).expect("it is there");
        let own = |source| source == ConfigSource::DynamicTopic;
        topic.entries.into_iter().map(|e| (e.name, (e.value.unwrap_or_default(), own(e.source)))).collect()
    }
}

/// A server that accepts connections and never says anything.
async fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_busy_with_old_records_keeps_nothing_new_from_a_reader() {
    let Some(house) = House::new().await else { return };
    house.append(300).await;
    let old = house.all().await;
    let publisher = house.publisher().await;
    publisher.publish(old.clone()).await.expect("it is written");
    let busy = tokio::spawn(async move {
        loop {
            publisher.publish(old.clone()).await.expect("it is written");
        }
    });
    house.append(200).await;
    // Nobody relays those: they are in the log alone.
    assert_eq!(read_to(&house, 290, 500).await, (291..=500).collect::<Vec<_>>());
    assert!(!busy.is_finished(), "the topic was busy all the time");
    busy.abort();
    let _ = busy.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_says_something_else_than_its_hash_or_is_of_another_shard_is_passed_over() {
    let Some(house) = House::new().await else { return };
    house.append(20).await;
    let all = house.all().await;
    let written = all.iter().map(|event| match event.position {
        5 => Arc::new(Recorded { payload: b"{\"changed\":true}".as_slice().into(), ..(**event).clone() }),
        9 => {
            let mut other = Recorded { sequence: 7, shard: 1, ..(**event).clone() };
            other.leaf_hash = leaf_hash(&other);
            // Of another shard by what it says, and yet in this partition.
            Arc::new(other)
        }
        _ => event.clone(),
    });
    let written: Vec<_> = written.collect();
    house.topic.ensure().await.expect("the topic");
    let producer: BaseProducer = house.topic.client().create().expect("a producer");
    for event in &written {
        let (key, headers) = (tickiz_kafka::record::key(event), tickiz_kafka::record::headers(event));
        let at = event.recorded_at.timestamp_millis();
        let record = BaseRecord::to(&house.topic.name).partition(0).key(&key).payload(&*event.payload).timestamp(at);
        producer.send(record.headers(headers)).map_err(|(error, _)| error).expect("there is room");
    }
    producer.flush(PATIENCE).expect("they are written");
    let log = Arc::new(house.log.clone());
    let stream = KafkaStream::new(house.topic.clone(), log.clone());
    let mut events = Ordered::open(&stream, log, 0).await.expect("it opens");
    let mut read = Vec::new();
    while read.len() < 20 {
        read.extend(tokio::time::timeout(PATIENCE, events.next_batch(100)).await.expect("in time").expect("it reads"));
    }
    assert_eq!(read, all, "the log's own");
    assert_eq!(stream.stats().figures().refused, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_ahead_of_the_log_is_tried_again_and_does_not_stop_a_reader_for_ever() {
    let Some(house) = House::new().await else { return };
    house.append(30).await;
    let mut all = house.all().await;
    let mut made_up = Recorded { position: 40, ..(*all[29]).clone() };
    made_up.leaf_hash = leaf_hash(&made_up);
    all.push(Arc::new(made_up));
    house.publisher().await.publish(all).await.expect("it is written");
    let log = Arc::new(house.log.clone());
    let stream = KafkaStream::new(house.topic.clone(), log.clone());
    let mut events = Ordered::open(&stream as &dyn DomainEventStream, log.clone(), 0).await.expect("it opens");
    let mut reached = 0;
    let error = loop {
        match tokio::time::timeout(PATIENCE, events.next_batch(100)).await.expect("in time") {
            Ok(batch) => reached = batch.last().expect("at least one").position,
            Err(error) => break error,
        }
    };
    assert_eq!(reached, 30, "what the log has is read");
    assert!(matches!(error, StreamError::Store(_)), "it may be tried again: {error}");
    house.append(5).await;
    // What is read anew, as projections do it, comes from the log, and then there is the same record again.
    let mut position = 30;
    while position < 35 {
        let mut events = Ordered::open(&stream, log.clone(), position).await.expect("it opens");
        while let Ok(batch) = tokio::time::timeout(PATIENCE, events.next_batch(2)).await.expect("in time") {
            for event in batch {
                assert_eq!(event.position, position + 1);
                position += 1;
            }
            if position == 35 {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_keeps_its_records_for_ever() {
    let Some(house) = House::new().await else { return };
    house.topic.ensure().await.expect("the topic");
    let wanted = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let settings = house.settings().await;
    for (name, value) in wanted {
        assert_eq!(settings[name], (value.to_owned(), true), "{name}");
    }
    house.topic.ensure().await.expect("it is there");
    assert_eq!(house.settings().await, settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_topic_gets_what_is_missing_and_keeps_what_an_operator_has_said() {
    let Some(house) = House::new().await else { return };
    let by_hand = NewTopic::new(&house.topic.name, 1, TopicReplication::Fixed(1));
    let by_hand =
        by_hand.set("retention.ms", "86400000").set("segment.ms", "3600000").set("max.message.bytes", "9000000");
    house
        .admin()
        .create_topics([&by_hand], &AdminOptions::new())
        .await
        .expect("it answers")
        .remove(0)
        .expect("a topic");
    house.topic.ensure().await.expect("it is there");
    let settings = house.settings().await;
    for name in ["retention.ms", "segment.ms", "max.message.bytes"] {
        assert!(settings[name].1, "{name} is the operator's");
    }
    assert_eq!(settings["retention.ms"].0, "86400000");
    assert_eq!(settings["segment.ms"].0, "3600000");
    assert_eq!(settings["max.message.bytes"].0, "9000000", "more is enough");

    house.delete_topic().await;
    let plain = NewTopic::new(&house.topic.name, 1, TopicReplication::Fixed(1)).set("segment.ms", "3600000");
    let began = Instant::now();
    while house.admin().create_topics([&plain], &AdminOptions::new()).await.expect("it answers").remove(0).is_err() {
        assert!(began.elapsed() < PATIENCE, "the name is not free again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    house.topic.ensure().await.expect("it is there");
    let settings = house.settings().await;
    assert_eq!(settings["retention.ms"], ("-1".to_owned(), true), "it was the brokers' default");
    assert_eq!(settings["max.message.bytes"], ("2097152".to_owned(), true));
    assert_eq!(settings["segment.ms"], ("3600000".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_lost_its_beginning_is_gone_on_with_and_one_that_lost_everything_is_filled_again() {
    let Some(house) = House::new().await else { return };
    house.append(100).await;
    let publisher = house.publisher().await;
    for batch in house.all().await.chunks(10) {
        publisher.publish(batch.to_vec()).await.expect("it is written");
    }
    house.forget(Some(60)).await;
    assert_eq!(last_committed(&house.topic).await.expect("it reads"), 100);
    assert_eq!(read_to(&house, 0, 100).await, (1..=100).collect::<Vec<_>>());

    house.forget(None).await;
    assert_eq!(last_committed(&house.topic).await.expect("it reads"), 0, "nobody knows what was there");
    assert_eq!(read_to(&house, 40, 100).await, (41..=100).collect::<Vec<_>>());
    let (relay, stop, mut reached) = house.relay();
    reach(&mut reached, 100).await;
    house.append(10).await;
    assert_eq!(read_to(&house, 100, 110).await, (101..=110).collect::<Vec<_>>());
    reach(&mut reached, 110).await;
    stop.cancel();
    relay.await.expect("it ends");
    house.check_topic().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_in_which_nothing_was_ever_committed_is_empty() {
    let Some(house) = House::new().await else { return };
    house.append(5).await;
    house.topic.ensure().await.expect("the topic");
    assert_eq!(last_committed(&house.topic).await.expect("it reads"), 0);
    let (other, _) = open_transaction(&house);
    other.abort_transaction(PATIENCE).expect("it is aborted");
    assert_eq!(last_committed(&house.topic).await.expect("it reads"), 0);
}

/// Somebody else's transaction, with a record in it.
fn open_transaction(house: &House) -> (BaseProducer, String) {
    let id = format!("other-{}", house.topic.name);
    let other: BaseProducer = house.topic.client().set("transactional.id", &id).create().expect("a producer");
    other.init_transactions(PATIENCE).expect("a broker");
    other.begin_transaction().expect("it begins");
    let record = BaseRecord::<str, str>::to(&house.topic.name).partition(0).payload("not ours");
    other.send(record).map_err(|(error, _)| error).expect("there is room");
    other.flush(PATIENCE).expect("it is written");
    (other, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_an_open_transaction_is_not_taken_for_missing() {
    let Some(house) = House::new().await else { return };
    house.append(20).await;
    let all = house.all().await;
    let publisher = house.publisher().await;
    publisher.publish(all[..10].to_vec()).await.expect("it is written");
    let (other, _) = open_transaction(&house);
    publisher.publish(all[10..].to_vec()).await.expect("it is written");
    let topic = house.topic.clone();
    let last = tokio::spawn(async move { last_committed(&topic).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    other.abort_transaction(PATIENCE).expect("it is aborted");
    assert_eq!(last.await.expect("no panic").expect("it reads"), 20, "not the 10 that readers saw");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_keeps_its_lease_while_brokers_are_silent_and_stops_when_told() {
    let Some(house) = House::new().await else { return };
    let (_listener, brokers) = mute().await;
    let relay = Relay::new(house.log.clone(), &house.url, Topic { brokers, name: house.topic.name.clone() });
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay.run(stop.clone()));
    // Longer than the server lets a silent holder keep the lock.
    for _ in 0..14 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(Lease::acquire(&house.url, "tickiz-relay-0").await.expect("it answers").is_none(), "it is held");
    }
    stop.cancel();
    let bound = Duration::from_secs(8);
    tokio::time::timeout(bound, running)
        .await
        .expect("brokers are not waited for")
        .expect("no panic")
        .expect("it ends");
    assert!(Lease::acquire(&house.url, "tickiz-relay-0").await.expect("it answers").is_some(), "it is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_gives_no_lease_and_holds_up_nobody() {
    let (_listener, address) = mute().await;
    let url = format!("mysql://root@{address}/log");
    let asked = tokio::time::timeout(PATIENCE, Lease::acquire(&url, "test")).await.expect("it is given up");
    let error = asked.err().expect("nobody answered").to_string();
    assert!(error.contains("no answer within 3s"), "{error}");

    let Some(house) = House::new().await else { return };
    let relay = Relay::new(house.log.clone(), &url, house.topic.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay.run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("no panic").expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_have_yet_what_its_head_says_is_not_asked_all_the_time() {
    let Some(house) = House::new().await else { return };
    house.append(20).await;
    // As a store looks whose rows come after its head: a reader that is directed to a replica.
    let mut connection = MySqlConnection::connect(&house.url).await.expect("the server answers");
    sqlx::query("UPDATE log_head SET position = 30").execute(&mut connection).await.expect("it is set");
    let options = LogOptions { master_key: Some([7; 32]), ..LogOptions::default() };
    let (log, _service) = EventLog::open_mysql(&house.url, options).await.expect("a log");
    let relay = Relay::new(log, &house.url, house.topic.clone());
    let (mut reached, stats, stop) = (relay.reached(), relay.stats(), CancellationToken::new());
    let running = tokio::spawn(relay.run(stop.clone()));
    reach(&mut reached, 20).await;
    let (began, before) = (Instant::now(), stats.figures().empty_reads);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let asked = stats.figures().empty_reads - before;
    assert!(u128::from(asked) <= began.elapsed().as_millis() / 20 + 1, "{asked} times");
    assert!(asked > 0, "it waits for more");
    let figures = stats.figures();
    assert_eq!((figures.leads, figures.position, figures.lag, figures.records), (true, 20, 10, 20));
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("no panic").expect("it ends");
    assert!(!stats.figures().leads);
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_and_readers_count_what_they_do() {
    let Some(house) = House::new().await else { return };
    house.append(700).await;
    let relay = Relay::new(house.log.clone(), &house.url, house.topic.clone());
    let (mut reached, stats, stop) = (relay.reached(), relay.stats(), CancellationToken::new());
    assert_eq!(stats.figures().lag, 0, "who stands by is not behind");
    let running = tokio::spawn(relay.run(stop.clone()));
    reach(&mut reached, 700).await;
    let bytes: usize = house.all().await.iter().map(|event| event.payload.len()).sum();
    let figures = stats.figures();
    assert_eq!((figures.records, figures.position, figures.failures), (700, 700, 0));
    assert_eq!(figures.bytes, u64::try_from(bytes).expect("it fits"));
    assert!(figures.batches >= 2, "{figures:?}");
    stop.cancel();
    running.await.expect("no panic").expect("it ends");

    let log = Arc::new(house.log.clone());
    let stream = KafkaStream::new(house.topic.clone(), log.clone());
    let mut events = Ordered::open(&stream, log, 100).await.expect("it opens");
    let mut last: Position = 100;
    while last < 700 {
        last = events.next_batch(50).await.expect("it reads").last().expect("at least one").position;
    }
    let figures = stream.stats().figures();
    assert!(figures.from_topic + figures.from_log >= 600, "{figures:?}");
    assert_eq!(figures.refused, 0);
}
