//! GraphQL: queries and subscriptions over read models; fronts the mutations.
//!
//! # Layout
//!
//! In the order in which a request meets them:
//!
//! * [`server`]: the accept loop, and what a connection may make us wait for or keep.
//! * `http`: the routes; `ws`: `graphql-transport-ws`.
//! * `guard`: a request is read, measured, checked and coerced before a resolver runs.
//! * [`access`]: who is asking, and what he may do.
//! * `engine`: admit, execute, encode, the same for every transport; `answer`: what is told, and what only the log learns.
//! * `schema`: the types and resolvers; `freshness`: a caller sees what he did himself.
//! * `live`: seat frames, encoded once for all who asked the same.
//! * [`limits`]: every limit by name, with its reason; `metrics`.

pub mod access;
mod answer;
mod app;
pub mod audit;
mod engine;
mod freshness;
mod guard;
mod http;
pub mod limits;
mod live;
pub mod metrics;
mod schema;
pub mod server;
mod ws;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use tickiz_contract::Commands;
use tickiz_documents::{
    Templates,
    wallet::{PassSigner, SaveLinks},
};
use tickiz_projections::live::LiveFeeds;
use tickiz_read_models::{ReadFront, ReadStore, cache::ReadCache};
use tickiz_tickets::{BundleSigner, KeyRing};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    access::AccessPolicy,
    schema::{report::ReportLimits, sdl},
    server::{HttpLimits, serve},
    ws::SocketLimits,
};
use self::{app::App, audit::AuditLog, engine::Engine, freshness::Freshness, http::Web, metrics::Metrics};

/// What makes tickets for the wallets of phones, where an operator has keys of theirs.
#[derive(Default)]
pub struct Wallets {
    /// Signs passes of Apple Wallet.
    pub apple: Option<ApplePasses>,
    /// Signs links of Google Wallet.
    pub google: Option<SaveLinks>,
}

/// Passes of Apple Wallet.
pub struct ApplePasses {
    /// Signs them.
    pub signer: PassSigner,
    /// What is drawn on them, by Apple's names.
    pub pictures: BTreeMap<String, Vec<u8>>,
}

/// What the role is put together from.
pub struct QueryApiParts {
    /// The write side.
    pub commands: Arc<dyn Commands>,
    /// The read models.
    pub reads: ReadStore,
    /// Copies of them that processes share.
    pub cache: Option<Arc<dyn ReadCache>>,
    /// What changes, to those who watch.
    pub live: LiveFeeds,
    /// The log, for auditors.
    pub log: Arc<dyn AuditLog>,
    /// The keys that ticket codes are signed with.
    pub signer: Arc<KeyRing>,
    /// The texts of the tickets' pages.
    pub templates: Arc<Templates>,
    /// What makes tickets for the wallets of phones.
    pub wallets: Wallets,
    /// Signs what gates take with them.
    pub bundles: BundleSigner,
    /// How this API is reached from outside, without the slash at its end.
    pub public_url: String,
    /// Who mails and calendar files come from.
    pub mail_from: String,
    /// Who may do what.
    pub access: AccessPolicy,
    /// Whether introspection is off.
    pub production: bool,
    /// The last position of the log when the program started: ready is who has read so far.
    pub head_at_start: i64,
    /// The limits of WebSockets.
    pub sockets: SocketLimits,
    /// The limits of reports.
    pub reports: ReportLimits,
    /// The end of the program.
    pub shutdown: CancellationToken,
}

/// The role.
pub struct QueryApi {
    web: Web,
}

impl QueryApi {
    /// Puts the role together.
    #[must_use]
    pub fn new(parts: QueryApiParts) -> Self {
        let app = Arc::new(App {
            commands: parts.commands,
            front: ReadFront::new(parts.reads.clone(), parts.cache),
            reads: parts.reads,
            live: parts.live,
            log: parts.log,
            signer: parts.signer,
            templates: parts.templates,
            wallets: parts.wallets,
            bundles: parts.bundles,
            public_url: parts.public_url,
            mail_from: parts.mail_from,
            access: parts.access,
            reports: parts.reports,
            freshness: Freshness::new(),
            metrics: Arc::new(Metrics::default()),
            mutations: TaskTracker::new(),
        });
        let engine = Engine::new(app, !parts.production);
        Self { web: Web::new(engine, parts.head_at_start, parts.sockets, parts.shutdown) }
    }

    /// The routes. Others may be merged into them.
    pub fn router(&self) -> Router {
        http::router(self.web.clone())
    }

    /// What [`serve`] counts into.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.web.engine.app.metrics)
    }

    /// Waits, after the program was told to stop, until WebSockets are closed and mutations have ended; false where that takes
    /// longer than `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        let mutations = &self.web.engine.app.mutations;
        self.web.sockets.close();
        mutations.close();
        let ended = async {
            self.web.sockets.wait().await;
            mutations.wait().await;
        };
        timeout(patience, ended).await.is_ok()
    }
}
