//! Pages of the list of shows on MySQL, against what they cannot be faster than.
//!
//! * *A page that is kept*, the first one as everybody opens it: against plain axum that answers the same JSON from memory.
//! * *A page that nobody asked for before*, filtered by category, city and beginning: against its two statements alone (how many there
//!   are, and the page), prepared, over as many connections as the API reads with, all columns fetched. What they find is compared
//!   with what the API answers.
//!
//! Tickiz is a process of its own, and so is plain axum; both sides of a pair have a turn in every round, and begin in turns.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sqlx::{MySqlConnection, Row};
use uuid::Uuid;

use crate::{
    api::{CLIENTS, plain_rate, requests, tickiz},
    drive::{Timing, Worker, drive},
    server::{Database, Server},
    stats::Spread,
};

/// At least so much of what the other side reaches.
const TARGET: f64 = 0.5;
/// Connections that read: as many as a process of Tickiz has for it.
const CONNECTIONS: usize = 16;
/// Shows that are made at once.
const MAKERS: usize = 64;
/// Shows of a page.
const PAGE: i64 = 20;

const CITIES: [&str; 8] = ["Hà Nội", "Huế", "Đà Nẵng", "Hội An", "Đà Lạt", "Nha Trang", "Cần Thơ", "Vũng Tàu"];
const CATEGORIES: [&str; 4] = ["CONCERT", "SPORTS", "CONFERENCE", "THEATRE"];

/// Options of the measurement.
#[derive(Args)]
pub struct ListsArgs {
    /// The program.
    #[arg(long, default_value = "target/production/tickiz")]
    binary: PathBuf,
    /// How many shows there are.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000))]
    shows: u32,
    /// How often each side has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many seconds each side is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// The show of that number: every city has every category.
fn show(number: u32) -> Value {
    let at = number as usize;
    let starts =
        (Utc::now() + TimeDelta::hours(48 + i64::from(number % 8_000))).format("%Y-%m-%dT19:30:00").to_string();
    json!({"input": {
        "title": format!("An evening of songs, number {number}"),
        "description": "Songs of four decades, played by those who wrote them and sung by everybody who comes. ".repeat(4),
        "category": CATEGORIES[at / CITIES.len() % CATEGORIES.len()], "startsAt": starts, "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "The hall by the river", "city": CITIES[at % CITIES.len()], "country": "VN"},
        "ticketTypes": [
            {"name": "Regular", "price": {"amount": "450000", "currency": "VND"}, "capacity": 300},
            {"name": "Balcony", "price": {"amount": "650000", "currency": "VND"}, "capacity": 100},
        ],
    }})
}

/// Publishes the shows, and waits until they can be read.
async fn fill(url: &str, shows: u32) -> Result<()> {
    let http = reqwest::Client::new();
    let create = "mutation($input: CreateEventInput!) { createEvent(input: $input) { id } }";
    let publish = "mutation($id: ID!) { publishEvent(id: $id) { position } }";
    let last = stream::iter(0..shows)
        .map(async |number| {
            let created = tickiz::organize(&http, url, create, &show(number)).await?;
            let id = json!({"id": created["createEvent"]["id"]});
            let published = tickiz::organize(&http, url, publish, &id).await?;
            let position = published["publishEvent"]["position"].as_str().context("a position")?;
            anyhow::Ok(position.parse::<i64>()?)
        })
        .buffer_unordered(MAKERS)
        .try_fold(0, async |last, position| Ok(last.max(position)))
        .await?;
    let look = "query($at: Position) { events(minPosition: $at) { totalCount } }";
    let there = loop {
        let asked = tickiz::body(look, &json!({"at": last.to_string()}));
        let answer: Value = serde_json::from_str(&tickiz::post(&http, url, asked, false).await?)?;
        if let Some(count) = answer["data"]["events"]["totalCount"].as_u64() {
            break count;
        }
        ensure!(answer["errors"][0]["extensions"]["code"] == "OVERLOADED", "{answer}");
    };
    ensure!(there == u64::from(shows), "{there} shows are listed, {shows} were published");
    Ok(())
}

const LIST: &str = "query($filter: EventFilter) { events(filter: $filter, first: 20) { totalCount edges { node { \
    id title startsAt venue { name city } priceFrom { amount currency } } } pageInfo { hasNextPage endCursor } } }";

/// Asks for pages of which no two are the same: each begins at an instant of its own, before all shows.
#[derive(Clone)]
struct Questions(Arc<AtomicI64>);

impl Questions {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Utc::now().timestamp_micros())))
    }

    fn next(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.fetch_add(1, Ordering::Relaxed)).unwrap_or_default()
    }
}

fn filtered(after: DateTime<Utc>) -> Vec<u8> {
    let starts_after = after.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let filter = json!({"category": CATEGORIES[1], "city": CITIES[2], "startsAfter": starts_after});
    tickiz::body(LIST, &json!({"filter": filter}))
}

// The statements of such a page, as the read models send them.
const COUNT: &str = "SELECT COUNT(*) FROM rm_events_v1 e WHERE e.status = 'PUBLISHED' AND e.over_at > ? AND e.category = ? \
    AND e.city_key = ? AND e.starts_at > ?";
const ROWS: &str = "SELECT p.event_id, p.k1, p.k2, e.event_id, e.document, a.seat_version, a.taken, a.counters, \
    (SELECT c.position FROM projection_checkpoints c WHERE c.name = 'events' AND c.version = ? AND c.shard = ?) \
    FROM (SELECT e.event_id AS event_id, e.starts_at AS k1, 0 AS k2 FROM rm_events_v1 e WHERE e.status = 'PUBLISHED' \
    AND e.over_at > ? AND e.category = ? AND e.city_key = ? AND e.starts_at > ? ORDER BY k1, event_id LIMIT ?) p \
    JOIN rm_events_v1 e ON e.event_id = p.event_id JOIN rm_availability_v1 a ON a.event_id = p.event_id \
    ORDER BY k1, p.event_id";

/// Runs the two statements of one page after the other.
struct Statements {
    connection: MySqlConnection,
    questions: Questions,
}

impl Statements {
    /// How many shows there are, and which are on the page.
    async fn page(&mut self, after: DateTime<Utc>) -> Result<(i64, Vec<Uuid>)> {
        let (now, after, city) = (Utc::now().naive_utc(), after.naive_utc(), CITIES[2].to_lowercase());
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(now)
            .bind(CATEGORIES[1])
            .bind(&city)
            .bind(after)
            .fetch_one(&mut self.connection)
            .await?;
        let rows = sqlx::query(ROWS)
            .bind(1_i64)
            .bind(0_i64)
            .bind(now)
            .bind(CATEGORIES[1])
            .bind(&city)
            .bind(after)
            .bind(PAGE + 1)
            .fetch_all(&mut self.connection)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, _, document): (Uuid, NaiveDateTime, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
            ensure!(document.starts_with('{'), "a document is JSON");
            found.push(id);
        }
        Ok((count, found))
    }
}

impl Worker for Statements {
    async fn work(&mut self) -> Result<u64> {
        let (count, found) = self.page(self.questions.next()).await?;
        ensure!(
            count >= found.len() as i64 && found.len() as i64 == PAGE + 1,
            "{count} shows, {} of them",
            found.len()
        );
        Ok(1)
    }
}

/// The API and the statements answer one question alike.
async fn ensure_alike(url: &str, database: &Database, questions: &Questions) -> Result<()> {
    let after = questions.next();
    let mut raw = Statements { connection: database.connect().await?, questions: questions.clone() };
    let (count, found) = raw.page(after).await?;
    let answer: Value =
        serde_json::from_str(&tickiz::post(&reqwest::Client::new(), url, filtered(after), false).await?)?;
    let events = &answer["data"]["events"];
    ensure!(events["totalCount"] == count && count > PAGE, "{count} by the statement, {answer}");
    let listed = events["edges"].as_array().context("a page")?.iter().map(|edge| edge["node"]["id"].as_str());
    let found: Vec<String> = found.iter().take(20).map(Uuid::to_string).collect();
    ensure!(listed.eq(found.iter().map(|id| Some(id.as_str()))), "{found:?} by the statement, {answer}");
    Ok(())
}

/// What is measured in every round.
struct Setting {
    url: String,
    plain: String,
    database: Database,
    questions: Questions,
    timing: Timing,
}

#[derive(Clone, Copy)]
enum Side {
    Kept,
    Plain,
    Filtered,
    Statements,
}

impl Side {
    async fn turn(self, setting: &Setting) -> Result<f64> {
        let first = tickiz::body(LIST, &json!({}));
        let same = |_| {
            let first = first.clone();
            move || first.clone()
        };
        match self {
            Self::Kept => Ok(requests(&setting.url, setting.timing, same).await?.0),
            Self::Plain => {
                let answer = tickiz::post(&reqwest::Client::new(), &setting.url, first.clone(), false).await?;
                ensure!(!answer.contains("errors"), "{answer}");
                plain_rate(&setting.plain, answer, setting.timing, same).await
            }
            Self::Filtered => {
                let make = |_| {
                    let questions = setting.questions.clone();
                    move || filtered(questions.next())
                };
                Ok(requests(&setting.url, setting.timing, make).await?.0)
            }
            Self::Statements => {
                let mut workers = Vec::with_capacity(CONNECTIONS);
                for _ in 0..CONNECTIONS {
                    let connection = setting.database.connect().await?;
                    workers.push(Statements { connection, questions: setting.questions.clone() });
                }
                Ok(drive(workers, setting.timing).await?.rate)
            }
        }
    }
}

const PAIRS: [(&str, Side, Side); 2] = [
    ("a page that is kept, against plain axum", Side::Kept, Side::Plain),
    ("a filtered page that nobody asked for before, against its statements", Side::Filtered, Side::Statements),
];

/// Measures, and prints the report on standard output.
pub async fn run(args: &ListsArgs) -> Result<()> {
    let binary = args.binary.canonicalize().with_context(|| format!("no program at {}", args.binary.display()))?;
    let server = Server::from_environment()?;
    let settings = server.settings().await?;
    let database = server.create().await?;
    let (data, plain) = (tempfile::tempdir()?, tickiz::plain().await?);
    let running = tickiz::tickiz(&binary, database.url(), None, data.path()).await?;
    eprintln!("{} shows are made", args.shows);
    fill(&running.url, args.shows).await?;
    let timing = Timing { warm_up: Duration::from_secs(1), measured: Duration::from_secs(args.seconds) };
    let (url, plain_url) = (running.url.clone(), plain.url.clone());
    let setting = Setting { url, plain: plain_url, database, questions: Questions::new(), timing };
    ensure_alike(&setting.url, &setting.database, &setting.questions).await?;

    let said: Vec<String> = settings.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
    println!(
        "{} rounds of {} s, {} shows; {CLIENTS} connections of HTTP, {CONNECTIONS} of MySQL; server: {}.\n",
        args.rounds,
        args.seconds,
        args.shows,
        said.join(", ")
    );
    println!(
        "| pages a second: median (min to max) | ours | the other | ratio | wanted | |\n|---|---|---|---|---|---|"
    );
    for (name, ours, other) in PAIRS {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..args.rounds {
            let turns = if round.is_multiple_of(2) { [0, 1] } else { [1, 0] };
            for turn in turns {
                let rate = [ours, other][turn].turn(&setting).await?;
                eprintln!("round {}: {name}: {} {rate:.0}/s", round + 1, ["ours", "the other"][turn]);
                rates[turn].push(rate);
            }
        }
        let [ours, other] = rates.map(Spread::of);
        let (ours, other) = (ours.context("there was a round")?, other.context("there was a round")?);
        let ratio = ours.median / other.median;
        let reached = if ratio >= TARGET { "reached" } else { "**missed**" };
        let shown = |spread: &Spread| format!("{:.0} ({:.0} to {:.0})", spread.median, spread.min, spread.max);
        println!("| {name} | {} | {} | {ratio:.2} | ≥ {TARGET} | {reached} |", shown(&ours), shown(&other));
    }
    drop(running);
    server.drop(&setting.database).await
}
