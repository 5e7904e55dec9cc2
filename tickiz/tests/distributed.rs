//! Every role a process of its own, twice, over one MySQL and one Kafka; any of them dies.

#![cfg(feature = "distributed")]

mod support;

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};
use support::{
    PATIENCE, Tickiz, buyer, code,
    house::{House, PROCESSES},
    seated,
};

/// Where a front is, for whoever outlives a look at the house.
#[derive(Clone)]
struct Front {
    url: String,
    http: reqwest::Client,
}

impl From<&Tickiz> for Front {
    fn from(tickiz: &Tickiz) -> Self {
        Self { url: tickiz.url.clone(), http: tickiz.http.clone() }
    }
}

/// A placed booking of one seat, however often it has to be asked for; `None` where another has the seat.
async fn place(front: &Front, show: &Value, seat: &str, who: &str) -> Option<Value> {
    let input = json!({"eventId": show["id"], "seats": [{"seatId": seat}], "buyer": buyer(who), "idempotencyKey": format!("{who}-{seat}")});
    let begun = std::time::Instant::now();
    loop {
        let body = json!({"query": support::PLACE, "variables": {"input": input}});
        let sent = front.http.post(format!("{}/graphql", front.url)).json(&body).send().await;
        let answer: Option<Value> = match sent {
            Ok(answer) => answer.json().await.ok(),
            Err(_) => None,
        };
        match answer {
            Some(answer) if answer.get("errors").is_none() => return Some(answer["data"]["placeBooking"].clone()),
            Some(answer) if code(&answer) == "SEAT_TAKEN" => return None,
            // Lost or turned away: asked again under the same key.
            _ => assert!(begun.elapsed() < PATIENCE, "it is not answered: {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_goes_through_every_process() {
    let Some(house) = House::open(Vec::new()).await else { return };
    let show = house.front(0).publish(seated("Apart", 2, 10)).await;
    let booking = place(&house.front(1).into(), &show, "1-1", "lan").await.expect("the seat is free");
    assert!(place(&house.front(0).into(), &show, "1-1", "minh").await.is_none(), "it is taken, whoever is asked");
    house.front(0).wait_for_status(&booking, "HELD").await;
    house.front(1).pay(&booking, "p", "pay").await;
    let paid = house.front(0).wait_for_status(&booking, "CONFIRMED").await;
    assert_eq!(paid["tickets"][0]["seatId"], "1-1");
    assert!(paid["tickets"][0]["code"].as_str().is_some_and(|code| code.starts_with("TKZ1")));
    let mails = house.folder.path().join("mails");
    let begun = std::time::Instant::now();
    while !has_files(&mails) {
        assert!(begun.elapsed() < PATIENCE, "no mail is written");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A decline, seen through the other front.
    let other = place(&house.front(0).into(), &show, "1-2", "minh").await.expect("the seat is free");
    house.front(0).pay(&other, "p", "decline").await;
    house.front(1).wait_for_status(&other, "HELD").await;
    // Nobody from outside gets to the border between the processes.
    let inside = format!("{}/internal/commands", house.url_of("command-api", 0));
    let refused = house.front(0).http.post(inside).body("{}").send().await.expect("it answers");
    assert_eq!(refused.status(), 404);
    for path in ["/internal/commands", "/sandbox/../internal/commands", "/webhooks/%2e%2e/internal/commands"] {
        assert_eq!(raw_post(&house.url_of("query-api", 0), path).await, "HTTP/1.1 404", "{path}");
    }
    assert_eq!(raw_post(&house.url_of("query-api", 0), "/webhooks/sandbox").await, "HTTP/1.1 401", "it is passed on");
    let metrics = house.front(0).http.get(format!("{}/metrics", house.url_of("projector", 0))).send().await;
    let metrics = metrics.expect("it answers").text().await.expect("text");
    assert!(metrics.contains("tickiz_projection_position{projection=\"bookings\"}"), "{metrics}");
    house.close().await;
}

/// The beginning of the answer to a POST of a path that no client would send as it is.
async fn raw_post(url: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.expect("it accepts");
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("it answers");
    String::from_utf8_lossy(&status).into_owned()
}

fn has_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_process_may_be_killed_under_load_and_nothing_is_lost_or_sold_twice() {
    let Some(mut house) = House::open(Vec::new()).await else { return };
    let show = house.front(0).publish(seated("Killed", 10, 20)).await;
    let mut held: BTreeMap<String, Value> = BTreeMap::new();
    for (round, (role, number)) in PROCESSES.into_iter().filter(|(role, _)| *role != "query-api").enumerate() {
        // Two for each seat.
        let wanted: Vec<(String, String)> = (0..40_usize)
            .map(|buyer| {
                let seat = round * 20 + buyer / 2;
                (format!("{}-{}", seat / 20 + 1, seat % 20 + 1), format!("buyer{round}x{buyer}"))
            })
            .collect();
        let (front, show) = (Front::from(house.front(round % 2)), show.clone());
        let buyers = tokio::spawn(async move {
            let placed = wanted.iter().map(|(seat, who)| place(&front, &show, seat, who));
            let placed = futures::future::join_all(placed).await;
            wanted.into_iter().zip(placed).filter_map(|((seat, _), booking)| Some((seat, booking?))).collect::<Vec<_>>()
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        house.kill(role, number).await;
        if round % 2 == 0 {
            house.flush_redis().await;
        }
        for (seat, booking) in buyers.await.expect("no panic") {
            assert!(held.insert(seat.clone(), booking).is_none(), "seat {seat} was given to two");
        }
        house.start(role, number).await;
    }
    assert_eq!(held.len(), 160, "every seat that was wanted has its buyer");
    // One in eight pays, and a worker and the relay die meanwhile.
    let payers: Vec<Value> = held.values().step_by(8).cloned().collect();
    let mut payments = Vec::new();
    for booking in &payers {
        payments.push(house.front(0).open_payment(booking, "p").await);
    }
    house.kill("relay", 0).await;
    house.kill("worker", 0).await;
    for payment in &payments {
        house.front(0).press(payment, "pay").await;
    }
    for booking in &payers {
        house.front(1).wait_for_status(booking, "CONFIRMED").await;
    }
    for booking in held.values() {
        let now = house.front(0).booking(booking).await;
        assert!(matches!(now["status"].as_str(), Some("HELD" | "CONFIRMED")), "{now:#}");
    }
    house.close().await;
}
