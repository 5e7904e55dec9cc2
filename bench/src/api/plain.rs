//! What the API is measured against, in a process of its own as the API is: HTTP that answers with JSON from memory, and a
//! WebSocket on which one encoded frame goes to everybody.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::broadcast};

/// How many frames wait for a slow reader: what the API keeps, too.
const QUEUE: usize = 64;

#[derive(Clone)]
struct Plain {
    /// What is answered.
    json: Arc<Mutex<Bytes>>,
    frames: broadcast::Sender<Utf8Bytes>,
}

/// Serves until it is killed. Prints its address as the program does.
pub async fn serve() -> Result<()> {
    let plain = Plain { json: Arc::default(), frames: broadcast::Sender::new(QUEUE) };
    let routes = Router::new()
        .route("/answer", post(set_answer))
        .route("/graphql", post(answer))
        .route("/live", get(live))
        .route("/broadcast/{a_second}/{seconds}", post(broadcast))
        .with_state(plain);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn set_answer(State(plain): State<Plain>, body: Bytes) {
    *plain.json.lock() = body;
}

async fn answer(State(plain): State<Plain>, _request: Bytes) -> Response {
    let json = plain.json.lock().clone();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn live(State(plain): State<Plain>, upgrade: WebSocketUpgrade) -> Response {
    let frames = plain.frames.subscribe();
    upgrade.on_upgrade(move |socket| follow(socket, frames))
}

async fn follow(mut socket: WebSocket, mut frames: broadcast::Receiver<Utf8Bytes>) {
    loop {
        match frames.recv().await {
            Ok(frame) => {
                if socket.send(Message::Text(frame)).await.is_err() {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Sends the body to everybody, so often a second.
async fn broadcast(State(plain): State<Plain>, Path((a_second, seconds)): Path<(u32, u32)>, frame: String) {
    let frame = Utf8Bytes::from(frame);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / a_second);
    for _ in 0..a_second * seconds {
        tick.tick().await;
        let _ = plain.frames.send(frame.clone());
    }
}
