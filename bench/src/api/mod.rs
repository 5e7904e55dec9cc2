//! The API over MySQL and Redis, against what its parts allow.
//!
//! Tickiz runs as one process of all roles; the client, MySQL and Redis share the machine with it. A part is measured as directly as
//! it can be had, in the same round and with the same client: HTTP by plain axum that answers the same JSON from memory, EVAL by
//! the reservation's own script, rows by batches of bookings that one connection writes. What a way through all of them allows is
//! 1/(n/http + 1/eval + m/rows), with n requests and m appends on that way.

mod live;
pub mod plain;
mod purchase;
pub mod tickiz;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::{
    drive::{Timing, Worker, drive},
    log::raw,
    server::Server,
    stats::Spread,
};

/// Names the Redis; `cargo xtask bench` sets it.
const REDIS_VARIABLE: &str = "TICKIZ_BENCH_REDIS_URL";
/// Connections of the client: enough that the writer's batches fill.
pub const CLIENTS: usize = 64;
/// The big house: 500 rows of 100 seats.
const HOUSE: (usize, usize) = (500, 100);
/// The seats that all want.
const WANTED: usize = 500;

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
        let setting = Setting { url: &running.url, plain: &plain.url, processes: (&running, &plain), timing };
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
            live::visible(&setting, appends, &mut rounds).await?;
        }
        if wanted("live") {
            live::live(&setting, args.subscribers, &mut rounds).await?;
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
    /// Tickiz, and what it is measured against.
    processes: (&'a tickiz::Process, &'a tickiz::Process),
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
