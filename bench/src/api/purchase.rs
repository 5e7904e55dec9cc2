//! A whole purchase, as a buyer makes it: places, asks for a page, presses its button, and follows his booking by a subscription
//! until it is confirmed.

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
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{CLIENTS, HOUSE, Rounds, Setting, place_body, tickiz};
use crate::drive::{Worker, drive};

/// Requests on the way of a purchase: placeBooking, payBooking, the gateway's attempt, the page's button, its webhook, the look
/// at the gateway's object, the buyer's subscription.
const REQUESTS: f64 = 7.0;
/// Appends on that way: placed, payment created, payment known to the gateway, paid and confirmed.
const APPENDS: f64 = 4.0;
/// The steps as the report has them.
const STEPS: [&str; 4] = [
    "purchase: placing, ms",
    "purchase: asking for a page, ms",
    "purchase: pressing its button, ms",
    "purchase: until it is confirmed, ms",
];
/// How long a booking may take to be confirmed.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a subscription waits that came before the booking was in the read models.
const NOT_THERE_YET: Duration = Duration::from_millis(5);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long the steps of all purchases took together, in microseconds.
#[derive(Default)]
struct Steps([AtomicU64; STEPS.len()]);

struct Purchaser {
    http: reqwest::Client,
    url: String,
    show: String,
    seats: Arc<AtomicU64>,
    steps: Arc<Steps>,
    socket: Option<Socket>,
    subscriptions: u64,
}

impl Purchaser {
    async fn ask(&self, body: Vec<u8>) -> Result<Value> {
        let answer: Value = serde_json::from_str(&tickiz::post(&self.http, &self.url, body, false).await?)?;
        ensure!(answer.get("errors").is_none(), "{answer}");
        Ok(answer["data"].clone())
    }

    async fn confirmed(&mut self, booking: &Value) -> Result<()> {
        let query =
            "subscription($id: ID!, $token: String) { bookingChanged(id: $id, accessToken: $token) { status } }";
        let payload = json!({"query": query, "variables": {"id": booking["id"], "token": booking["accessToken"]}});
        loop {
            self.subscriptions += 1;
            let id = self.subscriptions.to_string();
            let socket = match &mut self.socket {
                Some(socket) => socket,
                none => none.insert(connect(&self.url).await?),
            };
            socket.send(Message::text(json!({"type": "subscribe", "id": id, "payload": payload}).to_string())).await?;
            while let Some(message) = socket.next().await {
                let Message::Text(text) = message? else { continue };
                let message: Value = serde_json::from_str(&text)?;
                if message["id"] != *id {
                    continue;
                }
                if message["type"] != "next" || message["payload"].get("errors").is_some() {
                    break;
                }
                if message["payload"]["data"]["bookingChanged"]["status"] == "CONFIRMED" {
                    socket.send(Message::text(json!({"type": "complete", "id": id}).to_string())).await?;
                    return Ok(());
                }
            }
            tokio::time::sleep(NOT_THERE_YET).await;
        }
    }
}

async fn connect(url: &str) -> Result<Socket> {
    let mut request = format!("{}/graphql", url.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.context("a socket")?;
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).await?;
    socket.next().await.context("it is acknowledged")??;
    Ok(socket)
}

impl Worker for Purchaser {
    async fn work(&mut self) -> Result<u64> {
        let seat = usize::try_from(self.seats.fetch_add(1, Ordering::Relaxed))?;
        let steps = self.steps.clone();
        let mut began = Instant::now();
        let mut took = |step: usize| {
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            steps.0[step].fetch_add(micros, Ordering::Relaxed);
            began = Instant::now();
        };
        let booking = self.ask(place_body(&self.show, seat)).await?["placeBooking"].clone();
        took(0);
        let pay = "mutation($input: PayBookingInput!) { payBooking(input: $input) { redirectUrl } }";
        let input = json!({"bookingId": booking["id"], "accessToken": booking["accessToken"], "method": "SANDBOX",
                           "idempotencyKey": "pay"});
        let payment = self.ask(tickiz::body(pay, &json!({"input": input}))).await?;
        let page = payment["payBooking"]["redirectUrl"].as_str().context("a page")?.to_owned();
        took(1);
        self.http.post(page).form(&[("outcome", "pay")]).send().await?;
        took(2);
        tokio::time::timeout(PATIENCE, self.confirmed(&booking)).await.context("it is not confirmed")??;
        took(3);
        Ok(1)
    }
}

/// Purchases a second, and against what their parts allow.
pub async fn purchases(setting: &Setting<'_>, plain: f64, eval: f64, batched: f64, rounds: &mut Rounds) -> Result<()> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let (show, _) = tickiz::publish(&http, setting.url, HOUSE.0, HOUSE.1).await?;
    let (seats, steps) = (Arc::new(AtomicU64::new(0)), Arc::new(Steps::default()));
    let buyer = || Purchaser {
        http: http.clone(),
        url: setting.url.to_owned(),
        show: show.clone(),
        seats: seats.clone(),
        steps: steps.clone(),
        socket: None,
        subscriptions: 0,
    };
    let measured = drive((0..CLIENTS).map(|_| buyer()).collect(), setting.timing).await?;
    let done = seats.load(Ordering::Relaxed).max(1) as f64;
    for (name, total) in STEPS.into_iter().zip(&steps.0) {
        rounds.note(name, total.load(Ordering::Relaxed) as f64 / done / 1_000.0);
    }
    let allowed = 1.0 / (REQUESTS / plain + 1.0 / eval + APPENDS / batched);
    rounds.note("purchases a second", measured.rate);
    rounds.note("ratio: purchase", measured.rate / allowed);
    Ok(())
}
