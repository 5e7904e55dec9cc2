//! Seeded corruptions of Redis, of Kafka, of the read models and of the work still to be done: each makes `tickiz verify` exit
//! non-zero and name the promise. And beside a system that works, it finds nothing.

#![cfg(feature = "distributed")]

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, MySqlConnection};
use support::{PATIENCE, Tickiz, buyer, data, house::House, seated};
use tickiz_event_log::{EventLog, LogOptions, record::Recorded};
use tickiz_kafka::{Publisher, Topic};

/// Whether the report names that promise.
fn names(report: &Value, promise: &str) -> bool {
    report["findings"].as_array().is_some_and(|findings| findings.iter().any(|finding| finding["promise"] == promise))
}

/// A seat of the show, held; its booking.
async fn hold(front: &Tickiz, show: &Value, seat: &str) -> Value {
    let input =
        json!({"eventId": show["id"], "seats": [{"seatId": seat}], "buyer": buyer("lan"), "idempotencyKey": seat});
    data(front.place(input).await)["placeBooking"].clone()
}

async fn seat_map(front: &Tickiz, show: &Value, position: &Value) -> Value {
    let query =
        "query($id: ID!, $position: Position) { seatMap(eventId: $id, minPosition: $position) { version statuses } }";
    front.ask(query, json!({"id": show["id"], "position": position})).await["seatMap"].clone()
}

/// A bulk string of Redis.
fn bulk(answer: &str) -> &str {
    answer.split_once("\r\n").map_or("", |(_, rest)| rest.trim_end_matches("\r\n"))
}

/// The only key of that pattern.
async fn key(house: &House, pattern: &str) -> String {
    let answer = house.redis(&["KEYS", pattern]).await;
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.first(), Some(&"*1"), "one key is {pattern}: {answer}");
    lines[2].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_corruption_beside_the_log_is_found_by_its_promise() {
    let Some(mut house) = House::open(Vec::new()).await else { return };
    let show = house.front(0).publish(seated("Concert", 2, 6)).await;
    let paid = hold(house.front(0), &show, "1-1").await;
    house.front(0).pay(&paid, "pay", "pay").await;
    house.front(0).wait_for_status(&paid, "CONFIRMED").await;
    let held = hold(house.front(1), &show, "1-2").await;
    // Somebody looks at the map until there is a copy of it in Redis, which follows.
    let id = show["id"].as_str().expect("an id");
    let begun = std::time::Instant::now();
    while !house.redis(&["KEYS", &format!("*:show:{id}")]).await.starts_with("*1") {
        seat_map(house.front(0), &show, &held["position"]).await;
        assert!(begun.elapsed() < PATIENCE, "no copy is made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(seat_map(house.front(0), &show, &held["position"]).await["statuses"], "BHFFFFFFFFFF");
    let last = hold(house.front(1), &show, "2-6").await;
    assert_eq!(seat_map(house.front(1), &show, &last["position"]).await["statuses"], "BHFFFFFFFFFH");
    // While everything runs.
    let topic = house.topic.clone();
    let (exit, report) = house.verify(&topic).await;
    assert_eq!(exit, 0, "{report:#}");
    house.stop().await;
    let (exit, report) = house.verify(&topic).await;
    assert_eq!(exit, 0, "{report:#}");

    redis_corruptions(&house, id, last["id"].as_str().expect("an id")).await;
    table_corruptions(&house, held["id"].as_str().expect("an id")).await;
    topic_corruptions(&house).await;
    house.close().await;
}

async fn redis_corruptions(house: &House, show: &str, booking: &str) {
    let copy = key(house, &format!("*:show:{show}")).await;
    let chain = copy.split_once(":show:").expect("a copy's key").0.to_owned();
    let damage: [(&str, &str, &str, &str, &str); 6] = [
        ("a held seat that a copy shows as free", &copy, "statuses", "BFFFFFFFFFFH", "P11"),
        ("a free seat that a copy shows as sold", &copy, "statuses", "BHBFFFFFFFFH", "P6"),
        ("a seat too many in a copy", &copy, "statuses", "BHFFFFFFFFFHF", "P6"),
        ("a copy of another version", &copy, "seat_version", "77", "P6"),
        ("a copy that cannot be read", &copy, "show", "{", "P6"),
        ("copies ahead of the log", &chain, "position", "999999", "P6"),
    ];
    for (name, key, field, value, promise) in damage {
        let before = house.redis(&["HGET", key, field]).await;
        house.redis(&["HSET", key, field, value]).await;
        let (exit, report) = house.verify(&house.topic).await;
        assert!(exit == 1 && names(&report, promise), "{name} is to be found as {promise}: {report:#}");
        house.redis(&["HSET", key, field, bulk(&before)]).await;
    }
    let hold = key(house, &format!("*:hold:{show}:2-6")).await;
    let before = house.redis(&["GET", &hold]).await;
    assert_eq!(bulk(&before), format!("h{booking}"));
    for (name, value) in [
        ("a hold of a booking that was never placed", "h00000000-0000-4000-8000-000000000001"),
        ("a hold that nobody of ours wrote", "noise"),
    ] {
        house.redis(&["SET", &hold, value, "KEEPTTL"]).await;
        let (exit, report) = house.verify(&house.topic).await;
        assert!(exit == 1 && names(&report, "P6"), "{name}: {report:#}");
    }
    house.redis(&["SET", &hold, bulk(&before), "KEEPTTL"]).await;
    let (exit, report) = house.verify(&house.topic).await;
    assert_eq!(exit, 0, "all is as it was: {report:#}");
}

async fn table_corruptions(house: &House, booking: &str) {
    let damage = [
        (
            "what is left of a show off by one",
            "UPDATE rm_availability_v1 SET taken = taken + 1".to_owned(),
            "UPDATE rm_availability_v1 SET taken = taken - 1".to_owned(),
            "P6",
        ),
        (
            "a checkpoint ahead of the log",
            "UPDATE projection_checkpoints SET position = position + 1000 WHERE name = 'events'".to_owned(),
            "UPDATE projection_checkpoints SET position = position - 1000 WHERE name = 'events'".to_owned(),
            "P6",
        ),
        (
            "a show listed under another city",
            "UPDATE rm_events_v1 SET city_key = CONCAT(city_key, 'x')".to_owned(),
            "UPDATE rm_events_v1 SET city_key = LEFT(city_key, CHAR_LENGTH(city_key) - 1)".to_owned(),
            "P6",
        ),
        (
            "a hold that nothing will end",
            format!("UPDATE timers SET kind = 'event-ends' WHERE kind = 'hold-ends' AND stream_id = '{booking}'"),
            format!("UPDATE timers SET kind = 'hold-ends' WHERE stream_id = '{booking}'"),
            "P10",
        ),
        (
            "a timer of nothing",
            "INSERT INTO timers (timer_id, kind, stream_type, stream_id, subject, due_at, attempts) \
             VALUES (UNHEX(REPEAT('0a', 16)), 'hold-ends', 'Booking', '00000000-0000-4000-8000-000000000001', \
             UNHEX(REPEAT('0a', 16)), '2030-01-01', 0)"
                .to_owned(),
            "DELETE FROM timers WHERE timer_id = UNHEX(REPEAT('0a', 16))".to_owned(),
            "P10",
        ),
    ];
    let mut connection = MySqlConnection::connect(&house.database.url).await.expect("the database is there");
    for (name, corrupt, mend, promise) in damage {
        let changed = connection.execute(sqlx::AssertSqlSafe(corrupt)).await.expect("it is legal").rows_affected();
        assert!(changed > 0, "{name} changes something");
        let (exit, report) = house.verify(&house.topic).await;
        assert!(exit == 1 && names(&report, promise), "{name} is to be found as {promise}: {report:#}");
        connection.execute(sqlx::AssertSqlSafe(mend)).await.expect("it is legal");
    }
    connection.close().await.expect("it closes");
}

async fn topic_corruptions(house: &House) {
    let options = LogOptions { migrate: false, ..LogOptions::default() };
    let (log, service) = EventLog::open_mysql(&house.database.url, options).await.expect("the log is there");
    let whole = log.read(0, 1000).await.expect("the log can be read");
    let mut altered = whole.clone();
    let mut record = Recorded::clone(&altered[3]);
    record.payload = Arc::from(b"{}".as_slice());
    altered[3] = Arc::new(record);
    let mut missing = whole.clone();
    missing.remove(3);
    let mut swapped = whole.clone();
    swapped.swap(3, 4);
    for (name, records) in [("altered", altered), ("missing", missing), ("swapped", swapped)] {
        let topic = Topic { brokers: house.brokers.clone(), name: format!("{}-{name}", house.topic) };
        topic.ensure().await.expect("a broker");
        Publisher::open(&topic).await.expect("a broker").publish(records).await.expect("a broker");
        let (exit, report) = house.verify(&topic.name).await;
        assert!(exit == 1 && names(&report, "P8"), "{name} is to be found as P8: {report:#}");
    }
    service.shutdown().await;
}
