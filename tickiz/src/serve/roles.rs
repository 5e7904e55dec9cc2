//! Puts the roles of one process together, from the log outwards.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::Router;
use tickiz_command_api::{
    CommandOptions, CommandService, SystemCommands,
    gateways::{
        Gateway, Gateways,
        sandbox::{
            SandboxGateway, SandboxOptions,
            provider::{self, Provider},
        },
    },
    payments::Payments,
};
use tickiz_event_log::runtime::SystemClock;
use tickiz_projections::{LiveService, ProjectorOptions, ProjectorService, live::LiveOptions};
use tickiz_query_api::{AccessPolicy, QueryApi, QueryApiParts, SocketLimits};
use tickiz_tickets::{KeyRing, TicketSigner};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::tokens::Tokens;
use crate::{config::Config, demo, stores::Stores};

/// What runs beside the HTTP server.
#[derive(Default)]
pub struct Roles {
    /// The services.
    pub tasks: JoinSet<anyhow::Result<()>>,
    /// Told first: whoever talks to the outside.
    pub front: CancellationToken,
    /// Told last.
    pub stop: CancellationToken,
    /// Gateway calls that outlive the request that began them.
    pub calls: TaskTracker,
}

/// How this process is reached.
pub struct Reach<'a> {
    /// The bound address.
    pub address: SocketAddr,
    /// As browsers and gateways see it, without a slash at the end.
    pub public_url: &'a str,
}

/// The write side, with its routes.
pub struct WriteSide {
    /// The commands.
    pub commands: CommandService,
    /// `/webhooks`, and the sandbox gateway's own house.
    pub routes: Router,
}

fn sandbox_house(stores: &Stores, reach: &Reach<'_>) -> anyhow::Result<(Provider, Arc<dyn Gateway>)> {
    let secrets = stores.log.secrets();
    let api_key = hex::encode(secrets.derive("sandbox-api-key"));
    let webhook_secret = secrets.derive("sandbox-webhooks").to_vec();
    let clock = Arc::new(SystemClock);
    // On loopback whatever the public address is: it is this very process that answers.
    let port = reach.address.port();
    let own = if reach.address.ip().is_unspecified() { format!("http://127.0.0.1:{port}") } else { format!("http://{}", reach.address) };
    let provider = Provider::try_new(provider::Options {
        database: stores.sandbox.clone(),
        public_url: reach.public_url.to_owned(),
        notify_url: format!("{own}/webhooks/sandbox"),
        api_key: api_key.clone(),
        webhook_secret: webhook_secret.clone(),
        clock: clock.clone(),
        entropy: Arc::new(tickiz_command_api::ids::SystemEntropy),
    })
    .context("the sandbox gateway")?;
    let gateway = SandboxGateway::try_new(SandboxOptions { api_url: own, api_key, webhook_secret, clock });
    Ok((provider, Arc::new(gateway.context("the sandbox gateway's client")?)))
}

/// Starts the write side: commands, gateways, webhooks, workers.
///
/// # Errors
/// When no HTTP client can be made.
pub fn write_side(
    config: &Config,
    stores: &Stores,
    reach: &Reach<'_>,
    sandbox: bool,
    roles: &mut Roles,
) -> anyhow::Result<WriteSide> {
    let options = CommandOptions::default();
    let system = SystemCommands::new(&stores.log, &options);
    let mut gateways: Vec<Arc<dyn Gateway>> = Vec::new();
    let mut routes = Router::new();
    if sandbox {
        let (provider, gateway) = sandbox_house(stores, reach)?;
        routes = routes.merge(provider.routes());
        gateways.push(gateway);
        let stop = roles.stop.clone();
        roles.tasks.spawn(async move {
            provider.run(stop).await;
            Ok(())
        });
    }
    let payments = Payments::new(
        stores.log.clone(),
        Arc::new(system.clone()),
        Gateways::new(gateways),
        roles.calls.clone(),
    );
    let commands = CommandService::new(system, Some(Arc::new(payments.clone())), &options);
    let _ = config;
    Ok(WriteSide { commands, routes })
}

/// Starts the read side: projections, live feeds, the API.
///
/// # Errors
/// When the read models cannot be read.
pub async fn read_side(
    config: &Config,
    tokens: &Tokens,
    stores: &Stores,
    write_side: &WriteSide,
    head_at_start: i64,
    roles: &mut Roles,
) -> anyhow::Result<(QueryApi, Router)> {
    let log = Arc::new(stores.log.clone());
    let projector = ProjectorService::new(stores.reads.clone(), log.clone(), log.clone(), ProjectorOptions::default());
    let stop = roles.stop.clone();
    roles.tasks.spawn(async move { projector.run(stop).await.context("the projections") });
    let live = LiveService::open(stores.reads.clone(), log.clone(), log.clone(), LiveOptions::default())
        .await
        .context("the live feeds")?;
    let feeds = live.feeds();
    let stop = roles.stop.clone();
    roles.tasks.spawn(async move { live.run(stop).await.context("the live feeds") });

    let kid = CommandOptions::default().ticket_kid;
    let mut signer = KeyRing::default();
    let seed = stores.log.secrets().derive(&format!("ticket-key/{kid}"));
    signer.add(TicketSigner::from_seed(kid, &seed)).context("the ticket key")?;
    let mut access = AccessPolicy::new();
    if let Some(token) = &tokens.organizer {
        access = access.with_organizer(token, demo::organizer_id());
    }
    if let Some(token) = &tokens.auditor {
        access = access.with_auditor(token);
    }
    let api = QueryApi::new(QueryApiParts {
        commands: Arc::new(write_side.commands.clone()),
        reads: stores.reads.clone(),
        live: feeds,
        log,
        signer: Arc::new(signer),
        access,
        production: config.production,
        head_at_start,
        sockets: SocketLimits::default(),
        shutdown: roles.front.clone(),
    });
    let routes = api.router().merge(write_side.routes.clone());
    Ok((api, routes))
}
