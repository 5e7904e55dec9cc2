//! The API over MySQL and Redis, against what its parts allow.
//!
//! Tickiz runs as one process of all roles; the client, MySQL and Redis share the machine with it. A part is measured as directly as
//! it can be had, in the same round and with the same client: HTTP by plain axum that answers the same JSON from memory, EVAL by
//! the reservation's own script, rows by batches of bookings that one connection writes. What a way through all of them allows is
//! 1/(n/http + 1/eval + m/rows), with n requests and m appends on that way.

pub mod plain;
mod purchase;
pub mod tickiz;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};
use uuid::Uuid;

use crate::{
    drive::{Timing, Worker, drive},
    log::raw,
    server::Server,
    stats::{Spread, percentile},
};

/// Names the Redis; `cargo xtask bench` sets it.
const REDIS_VARIABLE: &str = "TICKIZ_BENCH_REDIS_URL";
/// Connections of the client: enough that the writer's batches fill.
pub const CLIENTS: usize = 64;
/// The big house: 500 rows of 100 seats.
const HOUSE: (usize, usize) = (500, 100);
/// The seats that all want.
const WANTED: usize = 500;
/// How long a frame collects changes, in milliseconds.
const FRAME_MS: u32 = 50;

/// Options of the measurement.
#[derive(Args)]
pub struct ApiArgs {
    /// The program, built with `--features distributed`.
    #[arg(long, default_value = "target/production/tickiz")]
    binary: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// How many seconds each side is measured.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only this part: `reads`, `holds`, `purchases`, `visible` or `live`; all of them without it.
    #[arg(long)]
    only: Option<String>,
    /// How many subscribers watch the seats.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=11_000))]
    subscribers: u32,
}

/// One client that sends requests, one after the other, and says what counts as done.
struct Client<F> {
    http: reqwest::Client,
    url: String,
    next: F,
    refused: Arc<AtomicU64>,
}

impl<F: FnMut() -> Vec<u8> + Send + 'static> Worker for Client<F> {
    async fn work(&mut self) -> Result<u64> {
        let answer = tickiz::post(&self.http, &self.url, (self.next)(), false).await?;
        if answer.contains("\"errors\"") {
            ensure!(answer.contains("SEAT_TAKEN"), "{answer}");
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(1)
    }
}

/// Requests a second, and which share of them was refused.
pub async fn requests<F>(url: &str, timing: Timing, make: impl Fn(usize) -> F) -> Result<(f64, f64)>
where
    F: FnMut() -> Vec<u8> + Send + 'static,
{
    let refused = Arc::new(AtomicU64::new(0));
    let http = reqwest::Client::builder().pool_max_idle_per_host(CLIENTS).build()?;
    let workers = (0..CLIENTS)
        .map(|at| Client { http: http.clone(), url: url.to_owned(), next: make(at), refused: refused.clone() })
        .collect();
    let measured = drive(workers, timing).await?;
    let share = refused.load(Ordering::Relaxed) as f64 / measured.acknowledged.max(1) as f64;
    Ok((measured.rate, share))
}

/// The rate at which plain axum answers those requests with that answer.
pub async fn plain_rate<F>(plain: &str, answer: String, timing: Timing, make: impl Fn(usize) -> F) -> Result<f64>
where
    F: FnMut() -> Vec<u8> + Send + 'static,
{
    reqwest::Client::new().post(format!("{plain}/answer")).body(answer).send().await?.error_for_status()?;
    Ok(requests(plain, timing, make).await?.0)
}

/// Reserves one seat after the other by the reservation's script.
struct Reserver {
    connection: redis::aio::MultiplexedConnection,
    script: Arc<redis::Script>,
}

impl Worker for Reserver {
    async fn work(&mut self) -> Result<u64> {
        let seat = format!("bench:hold:{}", rand::random::<u64>());
        let mut call = self.script.prepare_invoke();
        call.key(seat).arg(Uuid::new_v4().to_string()).arg(5_000);
        let taken: Vec<(usize, String)> = call.invoke_async(&mut self.connection).await?;
        ensure!(taken.is_empty(), "a seat that nobody wants is free");
        Ok(1)
    }
}

async fn eval_rate(redis_url: &str, timing: Timing) -> Result<f64> {
    let connection = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
    let script = Arc::new(redis::Script::new(include_str!("../../../redis/src/holds/reserve.lua")));
    let workers = (0..CLIENTS).map(|_| Reserver { connection: connection.clone(), script: script.clone() }).collect();
    Ok(drive(workers, timing).await?.rate)
}

const PLACE: &str =
    "mutation($input: PlaceBookingInput!) { placeBooking(input: $input) { id status accessToken position } }";

fn place_body(show: &str, seat: usize) -> Vec<u8> {
    let buyer = Uuid::new_v4().simple().to_string();
    let seat = format!("{}-{}", seat / HOUSE.1, seat % HOUSE.1);
    let input = json!({"eventId": show, "seats": [{"seatId": seat}], "idempotencyKey": buyer,
                       "buyer": {"name": "Buyer", "email": format!("{buyer}@example.com")}});
    tickiz::body(PLACE, &json!({"input": input}))
}

/// Which seat of the house is wanted next.
#[derive(Clone, Copy)]
enum Wish {
    Uniform,
    Zipf,
    Same,
}

impl Wish {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Uniform, "uniform"), (Self::Zipf, "Zipf"), (Self::Same, "all the same 500")];

    fn seat(self) -> usize {
        let house = HOUSE.0 * HOUSE.1;
        match self {
            Self::Uniform => rand::random_range(0..house),
            Self::Same => rand::random_range(0..WANTED),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a house")]
            // The inverse of Zipf's distribution with exponent 1, to the next seat.
            Self::Zipf => (((house as f64).powf(rand::random::<f64>())) as usize - 1).min(house - 1),
        }
    }
}

/// Frames that came to all watchers within a time, and how many changes they had.
#[derive(Default)]
struct Seen {
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// Opens so many sockets; each counts what comes after the first message that it waits for.
async fn watchers(
    url: &str,
    path: &str,
    subscribe: Option<String>,
    count: u32,
    seen: &Arc<Seen>,
) -> Result<Vec<tokio::task::JoinHandle<()>>> {
    let url = format!("{}{path}", url.replacen("http", "ws", 1));
    let mut tasks = Vec::new();
    for _ in 0..count {
        let mut request = url.as_str().into_client_request()?;
        if subscribe.is_some() {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        }
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.context("a socket")?;
        if let Some(subscribe) = &subscribe {
            socket.send(Message::text(r#"{"type":"connection_init"}"#)).await?;
            socket.send(Message::text(subscribe.clone())).await?;
            // The acknowledgement and the snapshot.
            for _ in 0..2 {
                socket.next().await.context("the socket ends")??;
            }
        }
        let seen = seen.clone();
        tasks.push(tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Text(text) = message {
                    seen.frames.fetch_add(1, Ordering::Relaxed);
                    seen.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
                }
            }
        }));
    }
    Ok(tasks)
}

/// Everything that was measured, by what it is called, round by round.
#[derive(Default)]
struct Rounds(std::collections::BTreeMap<&'static str, Vec<f64>>);

impl Rounds {
    fn note(&mut self, what: &'static str, value: f64) {
        eprintln!("  {what}: {value:.2}");
        self.0.entry(what).or_default().push(value);
    }

    fn print(&self, targets: &[(&'static str, &'static str)]) {
        println!("| | median (min to max) | wanted |\n|---|---|---|");
        for (what, values) in &self.0 {
            let Some(Spread { median, min, max }) = Spread::of(values.iter().copied()) else { continue };
            let wanted = targets.iter().find(|(of, _)| of == what).map_or("", |(_, wanted)| wanted);
            println!("| {what} | {median:.2} ({min:.2} to {max:.2}) | {wanted} |");
        }
    }
}

/// What is wanted of which figure.
const TARGETS: &[(&str, &str)] = &[
    ("ratio: read, smallest (__typename)", "at least 0.6"),
    ("ratio: read, one show", "at least 0.6"),
    ("ratio: holds, uniform", "at least 0.4"),
    ("ratio: holds, Zipf", "at least 0.4"),
    ("ratio: holds, all the same 500", "at least 0.4"),
    ("ratio: purchase", "at least 0.3"),
    ("ratio: live, frames delivered", "at least 0.6"),
    ("visible after commit, p99 ms", "at most 100 (50 beyond the frame)"),
];

/// Measures, and prints the report on standard output.
pub async fn run(args: &ApiArgs) -> Result<()> {
    let binary = args.binary.canonicalize().with_context(|| format!("no program at {}", args.binary.display()))?;
    let redis_url = std::env::var(REDIS_VARIABLE).with_context(|| format!("{REDIS_VARIABLE} names no Redis"))?;
    let server = Server::from_environment()?;
    let settings = server.settings().await?;
    let timing = Timing { warm_up: Duration::from_secs(1), measured: Duration::from_secs(args.seconds) };
    let mut rounds = Rounds::default();
    for round in 1..=args.rounds {
        eprintln!("round {round}");
        let plain = tickiz::plain().await?;
        let (database, rows) = (server.create().await?, server.create().await?);
        let data = tempfile::tempdir()?;
        let running = tickiz::tickiz(&binary, database.url(), Some(&redis_url), data.path()).await?;
        let setting = Setting { url: &running.url, plain: &plain.url, timing };
        let wanted = |part: &str| args.only.as_deref().is_none_or(|only| only == part);
        if wanted("reads") {
            reads(&setting, &mut rounds).await?;
        }
        let eval = eval_rate(&redis_url, timing).await?;
        let batched = raw::batches(&rows, timing).await?.rate;
        rounds.note("part: EVAL a second", eval);
        rounds.note("part: bookings a second as batched rows", batched);
        let http = http_part(&setting, &mut rounds).await?;
        // Half of what was held, or of what batched rows would allow where holds are not measured.
        let mut appends = batched / 4.0;
        if wanted("holds") {
            appends = holds(&setting, http, eval, batched, &mut rounds).await?;
        }
        if wanted("purchases") {
            purchase::purchases(&setting, http, eval, batched, &mut rounds).await?;
        }
        if wanted("visible") {
            visible(&setting, appends, &mut rounds).await?;
        }
        if wanted("live") {
            live(&setting, args.subscribers, &mut rounds).await?;
        }
        drop(running);
        server.drop(&database).await?;
        server.drop(&rows).await?;
    }
    println!("{} rounds of {} s, {CLIENTS} connections; medians.", args.rounds, args.seconds);
    println!("{}\n", settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", "));
    rounds.print(TARGETS);
    Ok(())
}

struct Setting<'a> {
    url: &'a str,
    plain: &'a str,
    timing: Timing,
}

async fn reads(setting: &Setting<'_>, rounds: &mut Rounds) -> Result<()> {
    let http = reqwest::Client::new();
    let (show, _) = tickiz::publish(&http, setting.url, 0, 0).await?;
    let show = json!({"id": show});
    let smallest = tickiz::body("{ __typename }", &json!({}));
    let one = tickiz::body("query($id: ID!) { event(id: $id) { id } }", &show);
    let names = [
        ("read, smallest (__typename) a second", "ratio: read, smallest (__typename)", smallest),
        ("read, one show a second", "ratio: read, one show", one),
    ];
    for (name, ratio, body) in names {
        let answer = tickiz::post(&http, setting.url, body.clone(), false).await?;
        ensure!(!answer.contains("errors"), "{answer}");
        let make = |_| {
            let body = body.clone();
            move || body.clone()
        };
        let plain = plain_rate(setting.plain, answer, setting.timing, make).await?;
        let (ours, _) = requests(setting.url, setting.timing, make).await?;
        rounds.note(name, ours);
        rounds.note(ratio, ours / plain);
    }
    Ok(())
}

/// What HTTP alone allows: a body of placeBooking, and an answer of its size.
async fn http_part(setting: &Setting<'_>, rounds: &mut Rounds) -> Result<f64> {
    let answer = json!({"data": {"placeBooking": {"id": Uuid::new_v4(), "status": "HELD", "accessToken": "x".repeat(43),
                                                   "position": "123456"}}});
    let plain = plain_rate(setting.plain, answer.to_string(), setting.timing, |_| {
        || place_body("00000000-0000-4000-8000-000000000000", Wish::Uniform.seat())
    })
    .await?;
    rounds.note("part: HTTP a second", plain);
    Ok(plain)
}

/// The rate of holds when nobody collides.
async fn holds(setting: &Setting<'_>, plain: f64, eval: f64, batched: f64, rounds: &mut Rounds) -> Result<f64> {
    let http = reqwest::Client::new();
    let mut uniform = 0.0;
    for (wish, name) in Wish::ALL {
        let (show, _) = tickiz::publish(&http, setting.url, HOUSE.0, HOUSE.1).await?;
        let make = |_| {
            let show = show.clone();
            move || place_body(&show, wish.seat())
        };
        let (rate, refused) = requests(setting.url, setting.timing, make).await?;
        // Who is refused has no rows.
        let allowed = 1.0 / (1.0 / plain + 1.0 / eval + (1.0 - refused) / batched);
        let (what, share, ratio) = match wish {
            Wish::Uniform => {
                ("holds, uniform, answered a second", "holds, uniform, share refused", "ratio: holds, uniform")
            }
            Wish::Zipf => ("holds, Zipf, answered a second", "holds, Zipf, share refused", "ratio: holds, Zipf"),
            Wish::Same => (
                "holds, all the same 500, answered a second",
                "holds, all the same 500, share refused",
                "ratio: holds, all the same 500",
            ),
        };
        if matches!(wish, Wish::Uniform) {
            uniform = rate * (1.0 - refused);
        }
        ensure!(rate > 0.0, "{name}: nothing was answered");
        rounds.note(what, rate);
        rounds.note(share, refused);
        rounds.note(ratio, rate / allowed);
    }
    Ok(uniform)
}

/// From a booking's answer to its frame at a subscriber, at half the rate of holds.
async fn visible(setting: &Setting<'_>, appends: f64, rounds: &mut Rounds) -> Result<()> {
    let http = reqwest::Client::new();
    let (show, _) = tickiz::publish(&http, setting.url, HOUSE.0, HOUSE.1).await?;
    let mut request = format!("{}/graphql", setting.url.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    let query = "subscription($id: ID!) { seatAvailability(eventId: $id) { snapshot changes { seatId } } }";
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).await?;
    let subscribe = json!({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": {"id": show}}});
    socket.send(Message::text(subscribe.to_string())).await?;
    let committed: Arc<parking_lot::Mutex<std::collections::HashMap<String, Instant>>> = Arc::default();
    let came: Arc<parking_lot::Mutex<std::collections::HashMap<String, Instant>>> = Arc::default();
    let keep = came.clone();
    let follows = tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            let now = Instant::now();
            let Ok(text) = message.into_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
            let changes = message["payload"]["data"]["seatAvailability"]["changes"].as_array().cloned();
            for change in changes.unwrap_or_default() {
                if let Some(seat) = change["seatId"].as_str() {
                    keep.lock().entry(seat.to_owned()).or_insert(now);
                }
            }
        }
    });
    let mut tick = tokio::time::interval(Duration::from_secs_f64(2.0 / appends.max(1.0)));
    let count = (appends / 2.0 * setting.timing.measured.as_secs_f64()).min((HOUSE.0 * HOUSE.1) as f64);
    let mut placed = tokio::task::JoinSet::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bookings")]
    for seat in 0..count as usize {
        tick.tick().await;
        let (http, url, body, committed) =
            (http.clone(), setting.url.to_owned(), place_body(&show, seat), committed.clone());
        placed.spawn(async move {
            let answer = tickiz::post(&http, &url, body, false).await?;
            ensure!(!answer.contains("errors"), "{answer}");
            let name = format!("{}-{}", seat / HOUSE.1, seat % HOUSE.1);
            committed.lock().insert(name, Instant::now());
            Ok(())
        });
    }
    while let Some(ended) = placed.join_next().await {
        ended.context("a buyer")??;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    follows.abort();
    let (committed, came) = (committed.lock(), came.lock());
    let mut after: Vec<u32> = Vec::new();
    for (seat, at) in committed.iter() {
        let came = came.get(seat).with_context(|| format!("seat {seat} was never shown"))?;
        after.push(u32::try_from(came.saturating_duration_since(*at).as_micros()).unwrap_or(u32::MAX));
    }
    after.sort_unstable();
    rounds.note("visible after commit, p50 ms", f64::from(percentile(&after, 0.5)) / 1000.0);
    rounds.note("visible after commit, p99 ms", f64::from(percentile(&after, 0.99)) / 1000.0);
    Ok(())
}

/// Changes a second while so many watch.
const CHANGES_A_SECOND: u32 = 200;

/// Frames delivered a second to so many subscribers of one show, against a broadcast of one encoded frame at the same pace.
async fn live(setting: &Setting<'_>, subscribers: u32, rounds: &mut Rounds) -> Result<()> {
    let http = reqwest::Client::new();
    let (show, _) = tickiz::publish(&http, setting.url, HOUSE.0, HOUSE.1).await?;
    let query = "subscription($id: ID!) { seatAvailability(eventId: $id) { fromVersion version snapshot changes { seatId status } } }";
    let subscribe = json!({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": {"id": show}}});
    let seen = Arc::new(Seen::default());
    let watching = watchers(setting.url, "/graphql", Some(subscribe.to_string()), subscribers, &seen).await?;
    let seconds = u32::try_from(setting.timing.measured.as_secs())?;
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / CHANGES_A_SECOND);
    let mut placed = tokio::task::JoinSet::new();
    for seat in 0..CHANGES_A_SECOND * seconds {
        tick.tick().await;
        let (http, url, body) = (http.clone(), setting.url.to_owned(), place_body(&show, seat as usize));
        placed.spawn(async move { tickiz::post(&http, &url, body, false).await });
    }
    placed.join_all().await;
    let ours = settle(&seen, began).await;
    let bytes = seen.bytes.load(Ordering::Relaxed) / seen.frames.load(Ordering::Relaxed).max(1);
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let seen = Arc::new(Seen::default());
    let watching = watchers(setting.plain, "/live", None, subscribers, &seen).await?;
    let frame = "x".repeat(usize::try_from(bytes)?);
    let began = Instant::now();
    let url = format!("{}/broadcast/{}/{seconds}", setting.plain, 1000 / FRAME_MS);
    http.post(url).body(frame).send().await?.error_for_status()?;
    let raw = settle(&seen, began).await;
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    rounds.note("live, subscribers", f64::from(subscribers));
    rounds.note("live, frames delivered a second", ours);
    rounds.note("live, raw broadcast a second", raw);
    rounds.note("ratio: live, frames delivered", ours / raw);
    Ok(())
}

/// Frames a second until no more come.
async fn settle(seen: &Seen, began: Instant) -> f64 {
    let mut last = (seen.frames.load(Ordering::Relaxed), Instant::now());
    while last.1.elapsed() < Duration::from_millis(500) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let frames = seen.frames.load(Ordering::Relaxed);
        if frames != last.0 {
            last = (frames, Instant::now());
        }
    }
    last.0 as f64 / (last.1 - began).as_secs_f64()
}
