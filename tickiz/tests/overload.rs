//! More buyers than fit, over the distributed form: who does not fit is told so at once and when to come back, memory stays flat,
//! who comes after the rush is served as if there had been none, and a process that is told to stop in the middle of it loses nothing
//! that it acknowledged.

#![cfg(feature = "distributed")]

mod support;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Connection;
use support::{PATIENCE, Tickiz, buyer, data, general_admission, house::House};

/// More than the 2,048 operations that one process has under way.
const BUYERS: usize = 2_200;
/// What a process may grow by from one rush to the next like it: what a store of many small allocations varies by.
const SLACK_BYTES: usize = 48 << 20;

/// Resident memory of a process, in bytes, by `/proc/PID/statm`.
fn resident(process: &Tickiz) -> usize {
    let pid = process.child.id().expect("it runs");
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs");
    let pages: usize = pages.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("statm has a second field");
    pages * 4096
}

/// A rush on a show: everybody wants one ticket, and comes back as long as he is turned away.
struct Rush<'a> {
    /// Asked in turn, from the first.
    fronts: Vec<&'a str>,
    http: &'a reqwest::Client,
    show: &'a Value,
    name: &'a str,
    turned_away: &'a AtomicUsize,
}

impl Rush<'_> {
    async fn run(&self) -> BTreeSet<String> {
        let bought = futures::future::join_all((0..BUYERS).map(|number| self.buy(number))).await;
        bought.into_iter().collect()
    }

    async fn buy(&self, number: usize) -> String {
        let who = format!("{}{number}", self.name);
        let wish = json!({"ticketTypeId": self.show["ticketTypes"][0]["id"], "quantity": 1});
        let input = json!({"eventId": self.show["id"], "tickets": [wish], "buyer": buyer(&who), "idempotencyKey": "k"});
        let body = json!({"query": support::PLACE, "variables": {"input": input}});
        let begun = Instant::now();
        for attempt in 0.. {
            let front = self.fronts[attempt % self.fronts.len()];
            let sent = self.http.post(format!("{front}/graphql")).timeout(PATIENCE).json(&body).send().await;
            let answer: Option<Value> = match sent {
                Ok(answer) => answer.json().await.ok(),
                Err(_) => None,
            };
            if answer.is_none() {
                // Its process is told to stop, or has ended.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if let Some(answer) = answer {
                let Some(error) = answer.pointer("/errors/0/extensions") else {
                    return answer["data"]["placeBooking"]["id"].as_str().expect("a booking has an id").to_owned();
                };
                assert_eq!(error["code"], "OVERLOADED", "{answer}");
                let hint = error["retryAfterMs"].as_u64().filter(|hint| *hint > 0);
                self.turned_away.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(hint.unwrap_or_else(|| panic!("no hint: {answer}")))).await;
            }
            assert!(begun.elapsed() < PATIENCE * 3, "{who} is not served");
        }
        unreachable!("it ends by being served")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_fit_is_told_so_and_nothing_grows_or_is_lost() {
    let Some(mut house) = House::open(Vec::new()).await else { return };
    let show = house.front(0).publish(general_admission("Rush", "100000", "VND", 1_000_000)).await;
    let (urls, http) = ([house.url_of("query-api", 0), house.url_of("query-api", 1)], reqwest::Client::new());
    let turned_away = AtomicUsize::new(0);
    let rush = |name, fronts| Rush { fronts, http: &http, show: &show, name, turned_away: &turned_away };

    // The log stands still until everybody is there: so many are under way as may be, and the others hear of it.
    let mut blocker = sqlx::MySqlConnection::connect(&house.database.url).await.expect("a connection");
    let mut lock = blocker.begin().await.expect("a transaction");
    sqlx::query("SELECT position FROM log_head FOR UPDATE").fetch_all(&mut *lock).await.expect("the head is locked");
    let first = rush("first", vec![urls[0].as_str()]);
    let release = async {
        let begun = Instant::now();
        while turned_away.load(Ordering::Relaxed) < BUYERS / 10 {
            assert!(begun.elapsed() < PATIENCE, "nobody is turned away");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lock.rollback().await.expect("the head is free");
    };
    let (mut bought, ()) = tokio::join!(first.run(), release);
    assert_eq!(bought.len(), BUYERS, "in the end everybody is served, once");
    let before = [resident(house.front(0)), resident(house.process("command-api", 0))];

    // Who comes after the rush is served at the first try.
    let late = Instant::now();
    let wish = json!({"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": 1});
    let input = json!({"eventId": show["id"], "tickets": [wish], "buyer": buyer("late"), "idempotencyKey": "k"});
    let booking = data(house.front(0).place(input).await)["placeBooking"].clone();
    println!(
        "turned away {} times; after the rush served in {:?}",
        turned_away.load(Ordering::Relaxed),
        late.elapsed()
    );
    bought.insert(booking["id"].as_str().expect("a booking has an id").to_owned());

    // Another rush like it, in which a front and a write side are told to stop.
    let second = rush("second", vec![urls[0].as_str(), urls[1].as_str()]);
    let stopped = [house.take("query-api", 1), house.take("command-api", 1)];
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for process in stopped {
            assert!(process.stop().await.success(), "it drains and ends well");
        }
    };
    let (more, ()) = tokio::join!(second.run(), stop);
    assert_eq!(more.len(), BUYERS);
    bought.extend(more);
    let after = [resident(house.front(0)), resident(house.process("command-api", 0))];
    println!("resident after the first rush {before:?}, after the second {after:?} bytes");
    for (before, after) in before.into_iter().zip(after) {
        assert!(after < before + before / 4 + SLACK_BYTES, "memory grows from rush to rush: {before} to {after} bytes");
    }

    let log = house.front(0).log().await;
    let placed = log.iter().filter(|entry| entry["type"] == "BookingPlaced");
    let placed: BTreeSet<String> = placed.filter_map(|entry| entry["streamId"].as_str().map(str::to_owned)).collect();
    assert_eq!(placed, bought, "what was acknowledged is there, and nothing that nobody asked for twice");
    house.close().await;
}
