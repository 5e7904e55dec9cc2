//! `tickiz serve`: every role in one process.
//!
//! They start from the log outwards and stop in the other order: first nobody new is let in and what is under way ends, then the
//! workers, then the read side, and the log's writer last, so that whatever was acknowledged is durable.

mod booking_list;
mod gateways;
mod guide;
pub mod roles;
pub mod tokens;
mod wallets;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use tickiz_contract::Commands;
use tickiz_event_log::runtime::SystemClock;
use tickiz_query_api::HttpLimits;
use tokio_util::sync::CancellationToken;

use self::{
    roles::{Front, Reach, Roles, Share},
    tokens::Tokens,
};
use crate::{
    config::Config,
    demo, sockets,
    stores::{self, Stores},
    telemetry,
};

/// How long requests and subscriptions under way may take to end.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// Runs until Ctrl-C or SIGTERM, then drains. A second signal ends it at once.
///
/// # Errors
/// When a store cannot be opened, the address not bound, or a role ends by itself.
pub async fn run(config: Config, with_demo: bool) -> anyhow::Result<()> {
    // Listened for from the beginning: one that comes while the demo is loaded is heard afterwards, and drains like any other.
    let told_to_stop = tokio::spawn(signal());
    let sandbox = config.sandbox_payments.unwrap_or(with_demo && !config.production);
    let tokens = Tokens::of(&config, with_demo);
    if with_demo && sandbox {
        demo::history::load_where_empty(&config, config.demo_bookings).await?;
    }
    let stores = stores::open(&config).await?;
    telemetry::observe(&stores);
    let listener = sockets::listen(config.listen)?;
    let address = listener.local_addr().context("the bound address")?;
    let public_url = config.public_url.as_ref().map_or_else(|| format!("http://{address}"), ToString::to_string);
    let public_url = public_url.trim_end_matches('/').to_owned();

    let mut roles = Roles::default();
    let keys = roles::ticket_keys(&stores)?;
    let reach = Reach { sandbox_url: &roles::own_url(address), public_url: &public_url };
    let write_side =
        roles::write_side(&config, &stores, &reach, Share::Everything, sandbox, &keys, Arc::new(SystemClock)).await?;
    let log = Arc::new(stores.log.clone());
    roles::project(&stores, log.clone(), &mut roles);
    stores.near.listen(&stores.reads, &roles.stop);
    let commands = Arc::new(write_side.commands.clone());
    let front = Front { tokens: &tokens, keys: &keys, public_url: &public_url };
    let api = roles::query_api(&config, &stores, front, commands, log, &mut roles).await?;
    let routes = api.router().merge(write_side.routes.clone());
    let serving = CancellationToken::new();
    let metrics = api.metrics();
    let server =
        tokio::spawn(tickiz_query_api::serve(listener, routes, HttpLimits::default(), metrics, serving.clone()));
    println!("listening on http://{address}");
    if with_demo {
        let from = demo::history::anchor(&config.data_dir);
        show_demo(&stores, &write_side.commands, &format!("http://{address}"), &tokens, from).await;
    }

    let ended = tokio::select! {
        _ = told_to_stop => None,
        ended = roles.tasks.join_next() => ended,
        () = stores.log_service.died() => Some(Ok(Err(anyhow::anyhow!("the log's writer died of a broken invariant")))),
    };
    tracing::info!("stopping: what is under way may end");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
    // The sandbox gateway is spoken to over our own HTTP server, so that one runs until nobody calls it any more.
    write_side.workers.shutdown().await;
    serving.cancel();
    roles.front.cancel();
    if !api.drain(DRAIN_PATIENCE).await {
        tracing::warn!("some requests did not end in time");
    }
    server.await.context("the HTTP server")?.context("the HTTP server")?;
    roles.stop.cancel();
    while let Some(role) = roles.tasks.join_next().await {
        role.context("a role")??;
    }
    stores.log_service.shutdown().await;
    match ended {
        Some(role) => role.context("a role")?.context("a role ended by itself"),
        None => Ok(()),
    }
}

/// Ctrl-C or SIGTERM.
pub async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be waited for; Ctrl-C still can");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// Loads the demo where it is not there yet, and prints what a newcomer may do.
async fn show_demo(stores: &Stores, commands: &dyn Commands, url: &str, tokens: &Tokens, from: Option<DateTime<Utc>>) {
    // Placed around the day of the first start: a later one repeats the very same commands, and finds their receipts.
    let first = stores.log.read(0, 1).await.ok().and_then(|events| events.first().map(|event| event.recorded_at));
    match demo::load(commands, demo::organizer_id(), from.or(first).unwrap_or_else(|| stores.log.now())).await {
        Ok(shows) => {
            let (organizer, auditor) = (tokens.organizer.as_deref(), tokens.auditor.as_deref());
            println!("{}", guide::text(url, organizer.unwrap_or("–"), auditor.unwrap_or("–"), &shows));
        }
        Err(refusals) => tracing::warn!(%refusals, "the demo data of another version stays as it is"),
    }
}
