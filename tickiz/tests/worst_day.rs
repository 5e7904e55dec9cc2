//! The worst day: three hundred buyers want the same forty seats in opposite orders, and the process is killed in the
//! middle. Judged from outside: by the log, not by what the program says of itself.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::{PATIENCE, Start, Tickiz, buyer, code, data, seated};

const BUYERS: usize = 300;
const SEATS: usize = 40;

/// Replays seats from the log alone: who holds each at the end. Panics where two hold one at the same position.
fn holders(log: &[Value]) -> BTreeMap<String, String> {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for (index, entry) in log.iter().enumerate() {
        assert_eq!(entry["position"], (index + 1).to_string(), "positions have no gap");
        let booking = entry["streamId"].as_str().expect("an entry has a stream").to_owned();
        let seats = |list: &Value, key: &str| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(|line| line[key].as_str().or(line.as_str()))
                .map(str::to_owned)
                .collect()
        };
        match entry["type"].as_str().expect("an entry has a type") {
            "BookingPlaced" => {
                for seat in seats(&entry["data"]["lines"], "seatId") {
                    let before = holders.insert(seat.clone(), booking.clone());
                    assert_eq!(before, None, "seat {seat} was sold twice");
                }
            }
            "BookingExpired" | "BookingCancelled" => {
                for seat in seats(&entry["data"]["released"]["seatIds"], "seatId") {
                    assert_eq!(holders.remove(&seat).as_ref(), Some(&booking));
                }
            }
            _ => {}
        }
    }
    holders
}

async fn storm(tickiz: &[&Tickiz], show: &Value) -> (BTreeSet<String>, usize) {
    let requests = (0..BUYERS).map(|number| async move {
        let wanted = |offset: usize| {
            let seat = (number * 7 + offset) % SEATS;
            json!({"seatId": format!("{}-{}", seat / 10 + 1, seat % 10 + 1)})
        };
        // Opposite orders: a store that locks in the order asked would deadlock here.
        let pair = if number % 2 == 0 { [wanted(0), wanted(1)] } else { [wanted(1), wanted(0)] };
        let input = json!({"eventId": show["id"], "seats": pair, "buyer": buyer(&format!("buyer{number}")), "idempotencyKey": "k"});
        let mut answer = tickiz[number % tickiz.len()].place(input.clone()).await;
        while answer.get("errors").is_some() && code(&answer) == "OVERLOADED" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            answer = tickiz[number % tickiz.len()].place(input.clone()).await;
        }
        answer
    });
    let mut won = BTreeSet::new();
    let mut lost = 0;
    for answer in futures::future::join_all(requests).await {
        if answer.get("errors").is_some() {
            assert_eq!(code(&answer), "SEAT_TAKEN", "{answer:#}");
            lost += 1;
        } else {
            won.insert(data(answer)["placeBooking"]["id"].as_str().expect("a booking has an id").to_owned());
        }
    }
    (won, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_seats_and_three_hundred_buyers_end_with_one_owner_a_seat() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(seated("On sale", 4, 10)).await;
    let (won, lost) = storm(&[&tickiz], &show).await;
    assert_eq!(won.len() + lost, BUYERS);
    let holders = holders(&tickiz.log().await);
    let owners: BTreeSet<String> = holders.values().cloned().collect();
    assert_eq!(owners, won, "who was told that he has seats has them, and nobody else");
    assert!(holders.len() <= SEATS && holders.len() >= SEATS / 2);
    assert!(tickiz.stop().await.success());
    let (exit, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(exit, 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = || Start { data_dir: Some(folder.path()), ..Start::default() };
    let mut tickiz = Tickiz::start(start()).await;
    let show = tickiz.publish(seated("On sale", 20, 20)).await;
    let mut acknowledged: Vec<Value> = Vec::new();
    for round in 0..4_usize {
        let url = format!("{}/graphql", tickiz.url);
        let http = tickiz.http.clone();
        let show_id = show["id"].clone();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..60_usize {
            let (http, url, show_id, sender) = (http.clone(), url.clone(), show_id.clone(), sender.clone());
            tokio::spawn(async move {
                let seat = round * 60 + number;
                let input = json!({"eventId": show_id, "seats": [{"seatId": format!("{}-{}", seat / 20 + 1, seat % 20 + 1)}],
                                   "buyer": buyer(&format!("buyer{seat}")), "idempotencyKey": "k"});
                let body = json!({"query": support::PLACE, "variables": {"input": input}});
                let Ok(answer) = http.post(url).json(&body).send().await else { return };
                let Ok(answer) = answer.json::<Value>().await else { return };
                if answer.get("errors").is_none() {
                    // The receiver is gone once the test has killed the program; then nobody counts this one.
                    let _ = sender.send(answer["data"]["placeBooking"].clone());
                }
            });
        }
        drop(sender);
        // Killed once a third of them has been answered, with the others on their way.
        for _ in 0..20 {
            match tokio::time::timeout(PATIENCE, receiver.recv()).await {
                Ok(Some(booking)) => acknowledged.push(booking),
                _ => break,
            }
        }
        tickiz.kill().await;
        while let Ok(booking) = receiver.try_recv() {
            acknowledged.push(booking);
        }
        tickiz = Tickiz::start(start()).await;
    }
    assert!(acknowledged.len() >= 80);
    for booking in &acknowledged {
        let now = tickiz.booking(booking).await;
        assert_eq!(now["status"], "HELD", "{booking:#}");
    }
    let holders = holders(&tickiz.log().await);
    assert!(holders.len() >= acknowledged.len());
    assert!(tickiz.stop().await.success());
    let (exit, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(exit, 0, "{report:#}");
}

/// Two processes on one store, three hundred buyers, and one of the two dies: on MySQL and on MariaDB.
async fn two_processes_on(variable: &str) {
    let Some(database) = support::Database::create(variable).await else { return };
    let folders = [tempfile::tempdir().expect("a temporary folder"), tempfile::tempdir().expect("a temporary folder")];
    let start = |folder: usize| Start {
        data_dir: Some(folders[folder].path()),
        mysql_url: Some(&database.url),
        ..Start::default()
    };
    // At once, on an empty database: one of them makes the tables, and the other waits for it.
    let (first, second) = tokio::join!(Tickiz::start(start(0)), Tickiz::start(start(1)));
    let show = first.publish(seated("On sale", 4, 10)).await;
    let (won, lost) = storm(&[&first, &second], &show).await;
    assert_eq!(won.len() + lost, BUYERS);
    first.kill().await;
    // What the dead one began, the living one ends: paid there, confirmed here.
    let placed = second
        .place(
            json!({"eventId": show["id"], "seats": [{"seatId": "1-1"}], "buyer": buyer("late"), "idempotencyKey": "k"}),
        )
        .await;
    assert!(matches!(placed.get("errors").map(|_| code(&placed)), None | Some("SEAT_TAKEN")), "{placed:#}");
    let log = second.log().await;
    let owners: BTreeSet<String> = holders(&log).values().cloned().collect();
    assert!(won.is_subset(&owners), "who was told that he has seats has them");
    assert!(second.stop().await.success());
    let (exit, report) = Tickiz::verify(folders[1].path(), Some(&database.url)).await;
    assert_eq!(exit, 0, "{report:#}");
    database.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_mysql_sell_no_seat_twice() {
    two_processes_on("TICKIZ_TEST_MYSQL_URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_mariadb_sell_no_seat_twice() {
    two_processes_on("TICKIZ_TEST_MARIADB_URL").await;
}
