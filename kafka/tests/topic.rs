//! The relay and the stream over a real broker and a real MySQL: what they do on an ordinary day, and when a relay dies.

mod support;

use std::{sync::Arc, time::Duration};

use support::{House, PATIENCE, reach, read_to};
use tickiz_event_log::record::{Position, Recorded};
use tickiz_kafka::{Lease, Publisher, Relay, compare_topic, last_committed};
use tokio_util::sync::CancellationToken;

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
