//! Seats, live: how soon a change is seen, and how many frames reach how many subscribers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

use super::{HOUSE, Rounds, Setting, place_body, tickiz};
use crate::stats::percentile;

/// How long a frame collects changes, in milliseconds.
const FRAME_MS: u32 = 50;

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

/// From a booking's answer to its frame at a subscriber, at half the rate of holds.
pub async fn visible(setting: &Setting<'_>, appends: f64, rounds: &mut Rounds) -> Result<()> {
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
pub async fn live(setting: &Setting<'_>, subscribers: u32, rounds: &mut Rounds) -> Result<()> {
    let http = reqwest::Client::new();
    let (show, _) = tickiz::publish(&http, setting.url, HOUSE.0, HOUSE.1).await?;
    let query = "subscription($id: ID!) { seatAvailability(eventId: $id) { fromVersion version snapshot changes { seatId status } } }";
    let subscribe = json!({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": {"id": show}}});
    let seen = Arc::new(Seen::default());
    let watching = watchers(setting.url, "/graphql", Some(subscribe.to_string()), subscribers, &seen).await?;
    let seconds = u32::try_from(setting.timing.measured.as_secs())?;
    let worked = Worked::until_now(setting.processes.0)?;
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
    let ours_worked = worked.since(setting.processes.0, &seen)?;
    let bytes = seen.bytes.load(Ordering::Relaxed) / seen.frames.load(Ordering::Relaxed).max(1);
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let seen = Arc::new(Seen::default());
    let watching = watchers(setting.plain, "/live", None, subscribers, &seen).await?;
    let frame = "x".repeat(usize::try_from(bytes)?);
    let worked = Worked::until_now(setting.processes.1)?;
    let began = Instant::now();
    let url = format!("{}/broadcast/{}/{seconds}", setting.plain, 1000 / FRAME_MS);
    http.post(url).body(frame).send().await?.error_for_status()?;
    let raw = settle(&seen, began).await;
    let raw_worked = worked.since(setting.processes.1, &seen)?;
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    rounds.note("live, subscribers", f64::from(subscribers));
    rounds.note("live, frames delivered a second", ours);
    rounds.note("live, raw broadcast a second", raw);
    rounds.note("ratio: live, frames delivered", ours / raw);
    rounds.note("live, bytes a frame", bytes as f64);
    rounds.note("live, CPU of the program a frame, us", ours_worked.0);
    rounds.note("live, CPU of its client a frame, us", ours_worked.1);
    rounds.note("live, CPU of the raw broadcast a frame, us", raw_worked.0);
    rounds.note("live, CPU of its client a raw frame, us", raw_worked.1);
    Ok(())
}

/// How long a server and this client of it have worked.
struct Worked(Duration, Duration);

impl Worked {
    fn until_now(server: &tickiz::Process) -> Result<Self> {
        Ok(Self(server.cpu()?, tickiz::own_cpu()?))
    }

    /// Since then, in microseconds for each frame that was seen: the server, and the client.
    fn since(&self, server: &tickiz::Process, seen: &Seen) -> Result<(f64, f64)> {
        let now = Self::until_now(server)?;
        let frames = seen.frames.load(Ordering::Relaxed).max(1) as f64;
        let each = |now: Duration, then: Duration| (now - then).as_secs_f64() * 1_000_000.0 / frames;
        Ok((each(now.0, self.0), each(now.1, self.1)))
    }
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
