//! The one listener: which simulator a request is for, faults, and the passing of time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::call::{Call, Reply};
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::outbox::Outbox;
use crate::plan::Scenarios;
use crate::settings::{Gateway, Settings};
use crate::{control, stripe, vnpay};

/// No gateway's request is larger.
const BODY_BYTES: usize = 1 << 20;
/// How often real time is looked at for what became due.
const TICK: Duration = Duration::from_millis(20);
/// Steps of one move of the clock; more would be a repeat without end.
const STEPS: usize = 100_000;

/// All the simulators.
pub(crate) struct Sim {
    pub(crate) settings: Settings,
    /// `http://address:port`.
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    pub(crate) faults: Faults,
    pub(crate) scenarios: Scenarios,
    pub(crate) stripe: stripe::Stripe,
    pub(crate) vnpay: vnpay::Vnpay,
}

impl Sim {
    /// Does what is due by now, and sends it.
    pub(crate) async fn run_due(&self) {
        let now = self.clock.now_ms();
        stripe::run_due(self, now);
        vnpay::run_due(self, now);
        self.outbox.run_due(now).await;
    }

    /// Moves the clock to a time, stopping wherever something is due, as repeats follow from one another.
    pub(crate) async fn move_clock(&self, target: i64, freeze: Option<bool>) {
        for _ in 0..STEPS {
            let dues = [stripe::next_due(self), vnpay::next_due(self), self.outbox.next_due()];
            let Some(due) = dues.into_iter().flatten().min().filter(|due| *due <= target) else { break };
            self.clock.set(due.max(self.clock.now_ms()), freeze);
            self.run_due().await;
        }
        self.clock.set(target, freeze);
        self.run_due().await;
    }

    pub(crate) fn reset(&self) {
        self.clock.reset();
        self.outbox.clear();
        self.faults.clear();
        self.scenarios.clear();
        self.stripe.clear();
        self.vnpay.clear();
    }
}

/// Simulators that listen.
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    /// Where they listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One line of JSON: each gateway's base URL, and the control API's.
    #[must_use]
    pub fn describe(&self) -> String {
        let base = format!("http://{}", self.address);
        let gateways: serde_json::Map<String, serde_json::Value> = Gateway::ALL
            .iter()
            .map(|gateway| (gateway.name().to_owned(), json!(format!("{base}/{}", gateway.name()))))
            .collect();
        json!({ "listen": self.address, "control": format!("{base}/__sim"), "gateways": gateways }).to_string()
    }

    /// Stops them.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.served.await;
    }
}

/// Starts all simulators on one address.
///
/// # Errors
///
/// The address cannot be listened to, or no HTTP client can be made.
pub async fn start(listen: SocketAddr, settings: Settings) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let sim = Arc::new(Sim {
        settings,
        base: format!("http://{address}"),
        clock: Clock::new(),
        outbox: Outbox::new()?,
        faults: Faults::default(),
        scenarios: Scenarios::default(),
        stripe: stripe::Stripe::default(),
        vnpay: vnpay::Vnpay::default(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&sim));
    let served = tokio::spawn(async move {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        // Not gracefully: a fault that never answers would hold the end up.
        tokio::select! {
            _ = axum::serve(listener, service).into_future() => {}
            () = tick(&sim) => {}
            _ = stopped => {}
        }
    });
    Ok(Running { address, stop, served })
}

async fn tick(sim: &Sim) {
    loop {
        sim.run_due().await;
        tokio::time::sleep(TICK).await;
    }
}

async fn answer(State(sim): State<Arc<Sim>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        return Reply::empty(StatusCode::PAYLOAD_TOO_LARGE.as_u16()).response();
    };
    let mut path = parts.uri.path().trim_matches('/').split('/').map(str::to_owned);
    let first = path.next().unwrap_or_default();
    let mut call = Call {
        method: parts.method,
        path: path.collect(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        hold_ms: 0,
        failing: None,
    };
    if first == "__sim" {
        return match peer.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => control::answer(&sim, &call).await.response(),
            IpAddr::V6(ip) if ip.is_loopback() => control::answer(&sim, &call).await.response(),
            _ => Reply::empty(403).response(),
        };
    }
    let Some(gateway) = Gateway::named(&first) else { return Reply::empty(404).response() };
    let fault = sim.faults.meet(gateway, call.method.as_str(), &format!("/{}", call.path.join("/")));
    if let Some(fault) = fault.as_ref().filter(|fault| !fault.after_commit && fault.hold_ms == 0) {
        return fail(fault).await;
    }
    if let Some(fault) = &fault {
        call.hold_ms = fault.hold_ms;
        call.failing = fault.status;
    }
    let reply = match gateway {
        Gateway::Stripe => stripe::answer(&sim, &call).await,
        Gateway::Vnpay => vnpay::answer(&sim, &call),
    };
    // An answer that fails so already is the gateway's own, and kept by it.
    match fault.filter(|fault| fault.after_commit && fault.status != Some(reply.status)) {
        Some(fault) => fail(&fault).await,
        None => reply.response(),
    }
}

async fn fail(fault: &Fault) -> Response {
    if fault.timeout {
        // Until the client has had enough, and hangs up.
        std::future::pending::<()>().await;
    }
    if fault.reset {
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("scripted reset"))]);
        return Response::builder().header("content-length", "1").body(Body::from_stream(broken)).unwrap_or_default();
    }
    let status = fault.status.unwrap_or(500);
    let reply = Reply::json(status, &json!({ "error": { "type": "api_error", "message": "scripted fault" } }));
    match status {
        429 | 503 => reply.with("retry-after", "1"),
        _ => reply,
    }
    .response()
}
