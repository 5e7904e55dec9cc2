//! Holds in a real Redis.

mod house;

use std::{sync::Arc, time::Instant};

use chrono::{TimeDelta, Utc};
use house::House;
use tickiz_command_api::holds::{HoldStore, Note, Reservation, conformance};
use tickiz_domain::ids::{BookingId, EventId, SeatId};
use tickiz_redis::{Redis, RedisHolds};
use uuid::Uuid;

#[tokio::test]
async fn conforms() {
    let Some(house) = House::open().await else { return };
    conformance::all(Arc::new(RedisHolds::new(house.redis.clone()))).await;
}

#[tokio::test]
async fn two_processes_share_them_and_two_installations_do_not() {
    let (Some(house), Some(other)) = (House::open().await, House::open().await) else { return };
    let (one, two) = (RedisHolds::new(house.redis.clone()), RedisHolds::new(house.redis.clone()));
    let (show, seat) = (EventId(Uuid::new_v4()), [SeatId("A".into())]);
    let owner = BookingId(Uuid::new_v4());
    assert!(one.reserve(show, owner, &seat).await.unwrap().is_empty());
    let conflicts = two.reserve(show, BookingId(Uuid::new_v4()), &seat).await.unwrap();
    assert_eq!(conflicts.first().map(|conflict| conflict.holder), Some(owner));
    let elsewhere = RedisHolds::new(other.redis.clone());
    assert!(elsewhere.reserve(show, BookingId(Uuid::new_v4()), &seat).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_redis_forgot_is_free_for_the_next_and_nothing_outlives_its_hold() {
    let Some(house) = House::open().await else { return };
    let holds = RedisHolds::new(house.redis.clone());
    let (show, seat) = (EventId(Uuid::new_v4()), [SeatId("A".into())]);
    assert!(holds.reserve(show, BookingId(Uuid::new_v4()), &seat).await.unwrap().is_empty());
    house.flush().await;
    assert!(holds.reserve(show, BookingId(Uuid::new_v4()), &seat).await.unwrap().is_empty());
    // A hold that ended long ago takes its key along.
    let booking = BookingId(Uuid::new_v4());
    let until = Utc::now() - TimeDelta::hours(1);
    holds.tell(Note::Keep { show, booking, seats: vec![SeatId("B".into())], until });
    holds.tell(Note::Keep { show, booking, seats: vec![SeatId("C".into())], until: Utc::now() + TimeDelta::hours(1) });
    while house.keys("hold:").await.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let keys = house.keys("hold:").await;
    assert!(keys.iter().all(|key| !key.ends_with(":B")), "{keys:?}");
}

#[tokio::test]
async fn without_a_server_nobody_is_refused_and_nobody_waits_twice() {
    // Nobody listens on the port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = Redis::at(&format!("redis://127.0.0.1:{port}/"), "test").unwrap();
    let holds: Arc<dyn HoldStore> = Arc::new(RedisHolds::new(redis.clone()));
    let (show, seats) = (EventId(Uuid::new_v4()), vec![SeatId("A".into())]);
    assert!(holds.reserve(show, BookingId(Uuid::new_v4()), &seats).await.is_err());
    let failures = redis.failures();
    let began = Instant::now();
    for _ in 0..100 {
        let reservation = Reservation::take(&holds, show, BookingId(Uuid::new_v4()), seats.clone()).await;
        assert!(reservation.is_ok(), "the log decides");
    }
    assert!(redis.failures() <= failures + 1 + u64::try_from(began.elapsed().as_millis() / 500).unwrap());
}

#[test]
fn an_address_that_is_none_is_refused_without_its_password() {
    for wrong in ["", "http://h/", "redis://", "redis://:secret@h:port/"] {
        let error = Redis::at(wrong, "test").expect_err(wrong).to_string();
        assert!(error.contains("TICKIZ_REDIS_URL") && !error.contains("secret"), "{error}");
    }
}
