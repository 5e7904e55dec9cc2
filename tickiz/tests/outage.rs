//! MySQL, Redis and Kafka are killed, and stand still for longer than a hold, in the middle of the selling; and the log's topic loses
//! its records, and is deleted.
//!
//! The servers are this test's own, started by `xtask servers`, which starts again what dies.

#![cfg(feature = "distributed")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use serde_json::{Value, json};
use support::{
    PATIENCE, Tickiz, buyer,
    house::{House, Servers},
    seated,
};
use tokio::process::{Child, Command};

/// How long the hold of a show lasts whose buyers are slow, in seconds.
const SHORT_HOLD_SECONDS: u64 = 5;
/// How long a server stands still.
const STANDSTILL: Duration = Duration::from_secs(8);
/// What the servers get to be installed and to start.
const START_LIMIT: Duration = Duration::from_secs(240);
/// Seats of one show that are wanted in one round, each by two.
const SEATS_A_ROUND: usize = 6;

/// The test's own servers.
struct Own {
    _process: Child,
    _folder: tempfile::TempDir,
    env_file: PathBuf,
}

impl Own {
    async fn start() -> Option<Self> {
        let xtask = Path::new(env!("CARGO_BIN_EXE_tickiz")).with_file_name("xtask");
        if std::env::var_os("TICKIZ_TEST_KAFKA_BROKERS").is_none() || !xtask.exists() {
            assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "there is no {}", xtask.display());
            println!("skipped: `cargo xtask test` runs it");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let env_file = folder.path().join("servers.env");
        let process = Command::new(xtask)
            .args(["servers", "mysql", "kafka", "redis", "--env-file"])
            .arg(&env_file)
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("xtask runs");
        let begun = Instant::now();
        while !env_file.exists() {
            assert!(begun.elapsed() < START_LIMIT, "the servers do not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(Self { _process: process, _folder: folder, env_file })
    }

    fn value(&self, name: &str) -> String {
        let lines = std::fs::read_to_string(&self.env_file).expect("the file is there while they run");
        let prefix = format!("export {name}=");
        lines.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    async fn signal(&self, server: &str, signal: &str) {
        let begun = Instant::now();
        loop {
            let pid = self.value(&format!("{server}_PID"));
            let sent = Command::new("kill").args([signal, &pid]).stderr(std::process::Stdio::null()).status();
            if sent.await.expect("kill runs").success() {
                return;
            }
            // Killed in the round before, and not yet started again.
            assert!(begun.elapsed() < PATIENCE, "{signal} to {server}, process {pid}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A front, spoken to with patience: what is not answered is asked again under the same key.
#[derive(Clone)]
struct Patient {
    url: String,
    http: reqwest::Client,
}

impl From<&Tickiz> for Patient {
    fn from(tickiz: &Tickiz) -> Self {
        Self { url: tickiz.url.clone(), http: tickiz.http.clone() }
    }
}

impl Patient {
    /// `data`, or the code of an error that asking again does not change.
    async fn ask(&self, query: &str, variables: Value) -> Result<Value, String> {
        let begun = Instant::now();
        loop {
            let body = json!({"query": query, "variables": variables});
            let sent = self.http.post(format!("{}/graphql", self.url)).timeout(Duration::from_secs(15)).json(&body);
            let answer: Option<Value> = match sent.send().await {
                Ok(answer) => answer.json().await.ok(),
                Err(_) => None,
            };
            if let Some(answer) = &answer {
                match answer["errors"][0]["extensions"]["code"].as_str() {
                    None => return Ok(answer["data"].clone()),
                    Some("INTERNAL" | "OVERLOADED" | "UNAVAILABLE") => {}
                    Some(code) => return Err(code.to_owned()),
                }
            }
            assert!(begun.elapsed() < PATIENCE * 2, "it is not answered: {answer:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn place(&self, show: &Value, seat: &str, who: &str) -> Option<Value> {
        let input = json!({"eventId": show["id"], "seats": [{"seatId": seat}], "buyer": buyer(who),
                           "idempotencyKey": format!("{who}-{seat}")});
        match self.ask(support::PLACE, json!({"input": input})).await {
            Ok(data) => Some(data["placeBooking"].clone()),
            Err(code) => {
                assert_eq!(code, "SEAT_TAKEN");
                None
            }
        }
    }

    /// False where the hold was over.
    async fn pay(&self, booking: &Value) -> bool {
        let query = "mutation($input: PayBookingInput!) { payBooking(input: $input) { redirectUrl } }";
        let input = json!({"bookingId": booking["id"], "method": "SANDBOX", "accessToken": booking["accessToken"],
                           "idempotencyKey": "pay"});
        let begun = Instant::now();
        let page = loop {
            match self.ask(query, json!({"input": input})).await {
                Ok(data) => {
                    if let Some(page) = data["payBooking"]["redirectUrl"].as_str() {
                        break page.to_owned();
                    }
                }
                Err(code) => {
                    assert!(matches!(code.as_str(), "HOLD_EXPIRED" | "CONFLICT"), "{code}");
                    return false;
                }
            }
            if self.status(booking).await != "HELD" {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "no page to pay on");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        loop {
            let press = self.http.post(&page).timeout(Duration::from_secs(15)).form(&[("outcome", "pay")]);
            if press.send().await.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            assert!(begun.elapsed() < PATIENCE * 2, "the page does not answer");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn status(&self, booking: &Value) -> String {
        // By either front: the one that did not sell it has to be told how new the answer must be.
        let query = "query($id: ID!, $token: String, $position: Position) {
            booking(id: $id, accessToken: $token, minPosition: $position) { status } }";
        let variables = json!({"id": booking["id"], "token": booking["accessToken"], "position": booking["position"]});
        let data = self.ask(query, variables).await.expect("a buyer sees his booking");
        data["booking"]["status"].as_str().unwrap_or("not there yet").to_owned()
    }

    async fn settled(&self, booking: &Value, wanted: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let status = self.status(booking).await;
            if wanted.contains(&status.as_str()) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{} is {status}, not one of {wanted:?}", booking["id"]);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What happens in the middle of a round.
#[derive(Clone, Copy)]
enum Trouble {
    /// SIGKILL to that server.
    Killed(&'static str),
    /// SIGSTOP, for longer than a hold.
    StandsStill(&'static str),
    /// Every record that is in the topic is removed: whoever reads it finds its offset moved.
    RecordsLost,
    /// The topic is deleted.
    TopicLost,
}

impl Trouble {
    async fn happen(self, own: &Own, house: &House) {
        let broker = || -> AdminClient<DefaultClientContext> {
            let mut client = ClientConfig::new();
            client.set("bootstrap.servers", &house.brokers).create().expect("the broker's address is right")
        };
        match self {
            Self::Killed(server) => own.signal(server, "-KILL").await,
            Self::StandsStill(server) => {
                own.signal(server, "-STOP").await;
                tokio::time::sleep(STANDSTILL).await;
                own.signal(server, "-CONT").await;
            }
            Self::RecordsLost => {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&house.topic, 0, Offset::End).expect("an offset");
                let removed = broker().delete_records(&list, &AdminOptions::new()).await.expect("the broker answers");
                assert_eq!(removed.count(), 1, "the topic's one partition was there");
            }
            Self::TopicLost => {
                let deleted = broker().delete_topics(&[&house.topic], &AdminOptions::new()).await;
                assert_eq!(deleted.expect("the broker answers"), [Ok(house.topic.clone())]);
            }
        }
    }
}

fn seat(round: usize, number: usize) -> String {
    format!("{}-{}", round + 1, number + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_may_die_and_stand_still_and_nothing_is_lost_stuck_or_sold_twice() {
    let Some(own) = Own::start().await else { return };
    let servers = Servers {
        mysql: own.value("TICKIZ_TEST_MYSQL_URL"),
        brokers: own.value("TICKIZ_TEST_KAFKA_BROKERS"),
        redis: own.value("TICKIZ_TEST_REDIS_URL"),
    };
    let house = House::open_on(servers, Vec::new()).await;
    // Before the broker itself is killed: it may be away for a while then, and hears nothing of its topics.
    let servers = ["TICKIZ_TEST_REDIS_URL", "TICKIZ_TEST_KAFKA_BROKERS", "TICKIZ_TEST_MYSQL_URL"];
    let rounds: Vec<Trouble> = [Trouble::RecordsLost, Trouble::TopicLost]
        .into_iter()
        .chain(servers.into_iter().flat_map(|server| [Trouble::Killed(server), Trouble::StandsStill(server)]))
        .collect();
    let long = house.front(0).publish(seated("Patient", rounds.len() as u32, SEATS_A_ROUND as u32)).await;
    let mut hasty = seated("Hasty", rounds.len() as u32, SEATS_A_ROUND as u32);
    hasty["holdSeconds"] = json!(SHORT_HOLD_SECONDS);
    let short = house.front(0).publish(hasty).await;
    let fronts = [Patient::from(house.front(0)), Patient::from(house.front(1))];
    let (mut held, mut hurried) = (BTreeMap::new(), Vec::new());
    for (round, trouble) in rounds.iter().enumerate() {
        let buyers = tokio::spawn({
            let (fronts, long, short) = (fronts.clone(), long.clone(), short.clone());
            async move {
                let (fronts, long, short) = (&fronts, &long, &short);
                let two_for_each = (0..SEATS_A_ROUND * 2).map(|at| async move {
                    let (front, seat, who) = (&fronts[at % 2], seat(round, at / 2), format!("b{round}x{at}"));
                    tokio::time::sleep(Duration::from_millis(at as u64 * 60)).await;
                    let patient = front.place(long, &seat, &who).await;
                    let hasty = front.place(short, &seat, &who).await;
                    // Every other pays before he leaves.
                    if at / 2 % 2 == 0
                        && let Some(booking) = &hasty
                    {
                        front.pay(booking).await;
                    }
                    (seat, patient, hasty)
                });
                futures::future::join_all(two_for_each).await
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        trouble.happen(&own, &house).await;
        for (seat, patient, hasty) in buyers.await.expect("no panic") {
            if let Some(booking) = patient {
                assert!(held.insert(seat.clone(), booking).is_none(), "seat {seat} was given to two");
            }
            hurried.extend(hasty);
        }
    }
    assert_eq!(held.len(), rounds.len() * SEATS_A_ROUND, "every seat that was wanted has its buyer");
    // Who has time can still pay.
    for booking in held.values().step_by(3) {
        assert!(fronts[0].pay(booking).await, "his hold is not over");
    }
    for (at, booking) in held.values().enumerate() {
        let wanted = if at % 3 == 0 { "CONFIRMED" } else { "HELD" };
        fronts[1].settled(booking, &[wanted]).await;
    }
    // Who had none has his ticket, or his seat is open again.
    let mut confirmed = 0;
    for booking in &hurried {
        let status = fronts[0].settled(booking, &["CONFIRMED", "EXPIRED", "CANCELLED", "REFUNDED"]).await;
        confirmed += usize::from(status == "CONFIRMED");
    }
    assert!(confirmed > 0, "somebody was quick enough");
    let query = "query($id: ID!) { seatMap(eventId: $id) { statuses } }";
    let begun = Instant::now();
    loop {
        let map = fronts[0].ask(query, json!({"id": short["id"]})).await.expect("it is answered");
        let statuses = map["seatMap"]["statuses"].as_str().expect("statuses").to_owned();
        if statuses.matches('B').count() == confirmed && !statuses.contains('H') {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{confirmed} are confirmed, and the seats are {statuses}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    house.close().await;
}
