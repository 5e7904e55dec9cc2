//! `graphql-transport-ws` on `/graphql`: subscriptions, and queries and mutations for who has a socket anyway.
//!
//! One socket is one task. It reads messages and starts an operation for each `subscribe`; the operations put what they have to
//! say into one bounded queue, which the same task writes out. A client that reads slowly fills the queue, the operations wait,
//! and what they follow leaves frames out and goes on with a snapshot; one that reads nothing at all is cut by the connection
//! itself. When the task ends, its operations end; mutations go on to their end by themselves.
//!
//! Frames of seats do not go through the queue: they are offered to the connection itself, by one task for many connections (see
//! [`crate::live`]), and the socket's task is not woken for them.

mod operation;
mod protocol;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tickiz_contract::{ErrorCode, Refusal};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use uuid::Uuid;

pub use self::{operation::Fate, protocol::NextMessage};
use self::{
    operation::Operation,
    protocol::{ACK, ClientMessage, Closing, SUBPROTOCOL, envelope, pong, text_frame},
};
use crate::{
    answer::Reply,
    engine::Sender,
    http::Web,
    limits::{
        DEAD_AFTER, INIT_TIMEOUT, MAX_FRAME_BYTES, MAX_QUEUED_MESSAGES, MAX_REFUSED_OPERATIONS, MAX_SUBSCRIPTIONS,
        PING_AFTER,
    },
    metrics::Counted,
    server::{Connection, Offered},
};

/// What a socket reads at once; most messages are far smaller.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(400);

/// The limits of sockets. The default is what [`crate::limits`] says; tests take shorter times.
#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// [`INIT_TIMEOUT`].
    pub init_timeout: Duration,
    /// [`PING_AFTER`].
    pub ping_after: Duration,
    /// [`DEAD_AFTER`].
    pub dead_after: Duration,
    /// [`MAX_SUBSCRIPTIONS`].
    pub max_subscriptions: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            init_timeout: INIT_TIMEOUT,
            ping_after: PING_AFTER,
            dead_after: DEAD_AFTER,
            max_subscriptions: MAX_SUBSCRIPTIONS,
        }
    }
}

/// What is to be written.
pub enum Outgoing {
    /// A message, unless its operation is over.
    Text { text: String, of: Option<Arc<Fate>> },
    /// A question whether the peer is there.
    Ping,
}

/// Answers an upgrade: only `graphql-transport-ws` is spoken.
pub fn accept(web: &Web, sender: Sender, connection: Connection, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0);
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, format!("ask for the subprotocol {SUBPROTOCOL}\n")).into_response();
    }
    let web = web.clone();
    let token = web.sockets.token();
    upgrade.on_upgrade(move |socket| async move {
        Session::new(web, sender, connection).run(socket).await;
        drop(token);
    })
}

/// One socket.
struct Session {
    web: Web,
    sender: Sender,
    connection: Connection,
    initialised: bool,
    heard: Instant,
    /// Operations over the limit.
    refused: usize,
    /// The operations under way, by the client's names for them.
    active: HashMap<String, (Arc<Fate>, AbortHandle)>,
    names: HashMap<Id, String>,
    operations: JoinSet<()>,
}

impl Session {
    fn new(web: Web, sender: Sender, connection: Connection) -> Self {
        Self {
            web,
            sender,
            connection,
            initialised: false,
            heard: Instant::now(),
            refused: 0,
            active: HashMap::new(),
            names: HashMap::new(),
            operations: JoinSet::new(),
        }
    }

    async fn run(mut self, socket: WebSocket) {
        let app = Arc::clone(&self.web.engine.app);
        let _counted = Counted::new(&app.metrics.sockets);
        let connection = self.connection.clone();
        connection.wire.begin_messages();
        let (mut sink, mut stream) = socket.split();
        let (queue, outgoing) = mpsc::channel(MAX_QUEUED_MESSAGES);
        let closing = tokio::select! {
            closing = self.listen(&mut stream, queue) => closing,
            () = write(&mut sink, outgoing) => None,
            () = connection.wire.given_up() => None,
        };
        // Nothing may come behind a goodbye (RFC 6455 section 5.5.1).
        connection.wire.end_offers();
        drop(self);
        match closing {
            Some(closing) => farewell(sink, stream, closing.into()).await,
            // A peer that said goodbye is owed an answer (RFC 6455 section 5.5.1); the library has it ready, and closing sends it.
            None => drop(timeout(CLOSE_TIMEOUT, sink.close()).await),
        }
    }

    /// Reads until the socket is to be closed; `None` where the peer is gone.
    async fn listen(&mut self, stream: &mut SplitStream<WebSocket>, queue: mpsc::Sender<Outgoing>) -> Option<Closing> {
        let limits = self.web.socket_limits;
        let init_deadline = Instant::now() + limits.init_timeout;
        let mut heartbeat = interval(limits.ping_after);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.web.shutdown.clone();
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => {
                        self.heard = Instant::now();
                        match self.hear(message, &queue).await {
                            Ok(true) => {}
                            Ok(false) => return None,
                            Err(closing) => return Some(closing),
                        }
                    }
                    // What it is about is the peer's matter, but for one that it should know of.
                    Some(Err(error)) if error.to_string().contains("too long") => return Some(Closing::TooBig),
                    Some(Err(_)) | None => return None,
                },
                Some(ended) = self.operations.join_next_with_id(), if !self.operations.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(name) = self.names.remove(&id)
                        && self.active.get(&name).is_some_and(|(_, handle)| handle.id() == id)
                    {
                        self.active.remove(&name);
                    }
                }
                () = sleep_until(init_deadline), if !self.initialised => return Some(Closing::InitTimeout),
                _ = heartbeat.tick() => {
                    let silent = self.heard.elapsed();
                    if silent >= limits.dead_after {
                        return Some(Closing::Dead);
                    }
                    if silent >= limits.ping_after {
                        // A full queue is being written, and its end is another limit's matter.
                        let _ = queue.try_send(Outgoing::Ping);
                    }
                }
                () = shutdown.cancelled() => return Some(Closing::GoingAway),
            }
        }
    }

    /// One message; false where the peer said goodbye.
    async fn hear(&mut self, message: Message, queue: &mpsc::Sender<Outgoing>) -> Result<bool, Closing> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Closing::BadMessage("messages are text".to_owned())),
            // The library answers pings by itself.
            Message::Ping(_) | Message::Pong(_) => return Ok(true),
            Message::Close(_) => return Ok(false),
        };
        let say = |text: String| async move { queue.send(Outgoing::Text { text, of: None }).await.is_ok() };
        match ClientMessage::parse(&text)? {
            ClientMessage::Init { .. } if self.initialised => Err(Closing::SecondInit),
            ClientMessage::Init { authorization } => {
                self.initialised = true;
                if authorization.is_some() {
                    self.sender.caller = self.web.engine.app.access.identify(authorization.as_deref());
                }
                // Straight to the connection, as frames go, so that it is before all of them; the queue is for who has filled his
                // connection before he said anything.
                match self.connection.wire.offer(&text_frame(ACK), || true) {
                    Offered::Taken | Offered::Begun => Ok(true),
                    Offered::Busy => Ok(say(ACK.to_owned()).await),
                    Offered::Over => Ok(false),
                }
            }
            ClientMessage::Ping(payload) => Ok(say(pong(payload)).await),
            ClientMessage::Pong => Ok(true),
            ClientMessage::Subscribe { .. } if !self.initialised => Err(Closing::Unauthorized),
            ClientMessage::Subscribe { id, .. } if self.active.get(&id).is_some_and(|(fate, _)| !fate.ended()) => {
                Err(Closing::DuplicateId(id))
            }
            ClientMessage::Subscribe { id, .. } if self.is_full() => {
                self.refused += 1;
                if self.refused > MAX_REFUSED_OPERATIONS {
                    Err(Closing::TooManyOperations)
                } else {
                    Ok(say(self.too_many(&id)).await)
                }
            }
            ClientMessage::Subscribe { id, payload } => {
                self.start(id, payload, queue.clone());
                Ok(true)
            }
            ClientMessage::Complete { id } => {
                if let Some((fate, handle)) = self.active.remove(&id) {
                    fate.give_up();
                    handle.abort();
                }
                Ok(true)
            }
        }
    }

    /// Whether there is room for no operation more. Those whose end is only not noticed yet take none.
    fn is_full(&mut self) -> bool {
        let most = self.web.socket_limits.max_subscriptions;
        if self.active.len() >= most {
            self.active.retain(|_, (fate, _)| !fate.ended());
        }
        self.active.len() >= most
    }

    fn too_many(&self, id: &str) -> String {
        let most = self.web.socket_limits.max_subscriptions;
        let refusal =
            Refusal::new(ErrorCode::LimitExceeded, format!("a WebSocket carries at most {most} operations at once"));
        let reply = Reply::turned_away(refusal, self.sender.trace);
        let errors =
            serde_json::to_string(&reply.errors).expect("errors have no fallible Serialize, so JSON cannot fail");
        envelope("error", id, Some(&errors))
    }

    fn start(&mut self, id: String, payload: serde_json::Value, queue: mpsc::Sender<Outgoing>) {
        let fate = Arc::new(Fate::default());
        let operation = Operation {
            web: self.web.clone(),
            // Each operation is a request of its own in the program's log.
            sender: Sender { trace: Uuid::now_v7(), ..self.sender.clone() },
            id: id.as_str().into(),
            fate: Arc::clone(&fate),
            queue,
            wire: Arc::clone(&self.connection.wire),
        };
        let handle = self.operations.spawn(operation.run(payload));
        self.names.insert(handle.id(), id.clone());
        self.active.insert(id, (fate, handle));
    }
}

/// Writes what is queued, until the peer is gone.
async fn write(sink: &mut SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(message) = outgoing.recv().await {
        let message = match message {
            Outgoing::Text { of: Some(fate), .. } if !fate.wanted() => continue,
            Outgoing::Text { text, .. } => Message::Text(text.into()),
            Outgoing::Ping => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

/// Says why, and waits a moment for the peer to say the same, so that it reads the reason before the connection is gone.
async fn farewell(mut sink: SplitSink<WebSocket, Message>, mut stream: SplitStream<WebSocket>, frame: CloseFrame) {
    let handshake = async {
        if sink.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    // A peer that does not answer is closed all the same.
    let _ = timeout(CLOSE_TIMEOUT, handshake).await;
}
