//! The routes of this role.

mod body;
mod docs;
mod explorer;
mod gate;
mod graphql;
mod kept;
mod landing;
mod negotiate;
mod resources;
mod tickets;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderName, Method, header},
    routing::{any, get},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
};

use self::{body::BodyBudget, kept::KeptAnswers};
use crate::{
    engine::Engine,
    limits::{LIST_ANSWER_KEPT_FOR, LIST_ANSWER_SHOWN_FOR},
    live::FrameGroups,
    ws::SocketLimits,
};

/// How long a browser may remember what it may send from another origin.
const PREFLIGHT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What the routes share.
#[derive(Clone)]
pub struct Web {
    pub engine: Engine,
    bodies: BodyBudget,
    lists: KeptAnswers,
    /// WebSockets open, and what writes to them.
    pub sockets: TaskTracker,
    /// Subscribers who asked the same.
    pub groups: FrameGroups,
    pub socket_limits: SocketLimits,
    /// The end of the program: WebSockets are closed.
    pub shutdown: CancellationToken,
    /// Whether GraphiQL is served: not in production.
    explorer: bool,
    head_at_start: i64,
    ready: Arc<AtomicBool>,
}

impl Web {
    /// What the routes of that engine share.
    pub fn new(engine: Engine, head_at_start: i64, socket_limits: SocketLimits, shutdown: CancellationToken) -> Self {
        let sockets = TaskTracker::new();
        Self {
            explorer: engine.introspection(),
            groups: FrameGroups::new(engine.clone(), sockets.clone()),
            engine,
            bodies: BodyBudget::new(),
            lists: KeptAnswers::new(LIST_ANSWER_KEPT_FOR, LIST_ANSWER_SHOWN_FOR),
            sockets,
            socket_limits,
            shutdown,
            head_at_start,
            ready: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// The routes.
///
/// Other origins may call: there are no cookies, so a page elsewhere has no more than what its visitor gives it. Credentials of
/// the browser are never asked for.
pub fn router(web: Web) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::ACCEPT,
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT_FOR);
    Router::new()
        .route("/seat-plans/{hash}", get(resources::seat_plan))
        .layer(CompressionLayer::new())
        .route("/graphql", any(graphql::graphql))
        .route("/.well-known/jwks.json", get(resources::jwks))
        .layer(cors)
        .route("/tickets/{id}", get(tickets::page))
        .route("/tickets/{id}/tickets.pdf", get(tickets::pdf))
        .route("/tickets/{id}/event.ics", get(tickets::calendar))
        .route("/tickets/{id}/{number}/pass.pkpass", get(tickets::pass))
        .route("/tickets/{id}/{number}/google-wallet", get(tickets::google_wallet))
        .route("/gate/v1/events/{id}/bundle", get(gate::bundle))
        .route("/gate/v1/events/{id}/revocations", get(gate::revocations))
        .merge(explorer::routes(web.explorer))
        .route("/", get(landing::landing))
        .route("/docs", get(docs::first))
        .route("/docs/{*path}", get(docs::document))
        .route("/healthz", get(resources::healthz))
        .route("/readyz", get(resources::readyz))
        .route("/metrics", get(resources::metrics))
        .with_state(web)
}
