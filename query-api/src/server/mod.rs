//! The accept loop: HTTP/1.1 with a limit on everything that a peer can make us wait for or keep.
//!
//! A connection ends when its peer is silent, when a request's head or body comes too slowly ([`timed_body`]), and when the peer
//! takes nothing of what is written to it ([`wire`]). Beyond the most connections one more is told so and closed. HTTP/2 is
//! for the proxy in front, where TLS ends: without TLS no browser speaks it.

mod timed_body;
mod wire;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, header},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use self::{timed_body::TimedBody, wire::Wired};
use crate::{
    limits::{
        BODY_GRACE, DRAIN_TIMEOUT, HEAD_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD_BYTES, MAX_HEADERS, MIN_BODY_RATE,
        WRITE_TIMEOUT,
    },
    metrics::{Counted, Metrics},
};
pub use timed_body::TooSlow;
pub use wire::{Offered, Wire};

/// What a connection may buffer; the smallest that hyper takes a whole head into.
const CONNECTION_BUFFER_BYTES: usize = 2 * MAX_HEAD_BYTES;
/// How long the loop rests when the system has no more file descriptors.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);
/// How long a peer that is turned away may take to hear it.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_millis(500);

/// What every answer says to browsers, unless its route says otherwise: nothing is guessed to be a script, no address leaks to
/// other sites, and no other site shows it in a frame. Set here and not by layers, each of which would cost every request a boxed
/// future.
const SAFETY_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// What a peer is told who comes when there are too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The limits of connections. The default is what [`crate::limits`] says; tests take shorter times.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// [`MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// [`HEAD_TIMEOUT`].
    pub head_timeout: Duration,
    /// [`BODY_GRACE`].
    pub body_grace: Duration,
    /// [`MIN_BODY_RATE`], in bytes a second.
    pub min_body_rate: usize,
    /// [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// [`DRAIN_TIMEOUT`].
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            head_timeout: HEAD_TIMEOUT,
            body_grace: BODY_GRACE,
            min_body_rate: MIN_BODY_RATE,
            write_timeout: WRITE_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}

/// Serves a router until `shutdown`, then lets requests under way end, within a bound.
///
/// WebSockets are not waited for here: they end by themselves when the role is told to stop.
///
/// # Errors
/// When the listener itself is broken.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(EXHAUSTED_REST).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let connection =
                    connection(stream, router.clone(), limits, Arc::clone(&metrics), place, shutdown.clone());
                connections.spawn(connection);
            }
            Err(_) => {
                metrics.connections_refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                connections.spawn(turn_away(stream));
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off at the end");
    }
    Ok(())
}

/// The peer was gone before it was accepted; the listener is well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn turn_away(mut stream: TcpStream) {
    let farewell = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await
    };
    // The peer may be gone already; there is nothing else to do for it.
    let _ = timeout(TURN_AWAY_TIMEOUT, farewell).await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: HttpLimits,
    metrics: Arc<Metrics>,
    place: OwnedSemaphorePermit,
    shutdown: CancellationToken,
) {
    let _counted = Counted::new(&metrics.connections);
    // Small frames go out at once; a failure here costs some milliseconds only.
    let _ = stream.set_nodelay(true);
    // An upgraded connection lives on in the WebSocket's task, and keeps its place there.
    let place = Arc::new(place);
    let stream = Wired::new(stream, limits.write_timeout);
    let wire = Arc::clone(stream.wire());
    let io = TokioIo::new(stream);
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        let mut request = request.map(|body| Body::new(TimedBody::new(body, limits.body_grace, limits.min_body_rate)));
        request.extensions_mut().insert(Connection { _place: Arc::clone(&place), wire: Arc::clone(&wire) });
        async move {
            let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            for (name, value) in SAFETY_HEADERS {
                response.headers_mut().entry(name).or_insert(value);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A client may say that it has no more to send and still wait for the answer.
        .half_close(true)
        .header_read_timeout(limits.head_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(CONNECTION_BUFFER_BYTES);
    let serving = builder.serve_connection(io, service).with_upgrades();
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The connection that a request came over; a WebSocket takes it along.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its place among the most that there may be.
    _place: Arc<OwnedSemaphorePermit>,
    /// Its way out.
    pub wire: Arc<Wire>,
}
