//! The distributed form: each role a process of its own, as often as the load wants, over one MySQL and one Kafka.
//!
//! | role | what it does | speaks HTTP |
//! |---|---|---|
//! | `command-api` | takes commands from query-api, webhooks, the sandbox gateway's pages | inside only |
//! | `query-api` | GraphQL for everybody; hands commands over, passes webhooks on | the public address |
//! | `relay` | log to Kafka; one at a time, others stand by | probes |
//! | `projector` | Kafka to read models; one at a time a projection, others stand by | probes |
//! | `worker` | timers, mails, the webhooks that nobody has worked on | probes |
//!
//! # Layout
//!
//! * [`internal`]: the border between query-api and command-api. [`probes`]: what a role without an API serves.

mod internal;
mod probes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use tickiz_event_log::runtime::SystemClock;
use tickiz_kafka::{KafkaStream, Relay, Topic};
use tickiz_projections::ProjectorHandle;
use tickiz_query_api::{HttpLimits, QueryApi};
use tickiz_read_models::Projection;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use self::probes::{Gauge, Probed};
use crate::{
    cli::Role,
    config::{Config, ConfigError},
    serve::{
        DRAIN_PATIENCE,
        roles::{self, Front, Reach, Roles, Share, WriteSide},
        signal,
        tokens::Tokens,
    },
    sockets,
    stores::{self, Stores},
    telemetry,
};

/// How long Kafka may take to make the topic when a role starts.
const TOPIC_PATIENCE: Duration = Duration::from_secs(20);

/// What a role is run with.
struct Setting {
    config: Config,
    stores: Stores,
    topic: Topic,
    /// As browsers see it, without a slash at the end.
    public_url: String,
    sandbox: bool,
}

/// What a role has started.
struct Started {
    routes: Router,
    roles: Roles,
    write_side: Option<WriteSide>,
    api: Option<QueryApi>,
}

/// Runs a role until Ctrl-C or SIGTERM, then drains. A second signal ends it at once.
///
/// # Errors
/// When a store cannot be opened or has another schema, the address not bound, or the role ends by itself.
pub async fn run(role: Role, config: Config) -> anyhow::Result<()> {
    let missing = |name, why| ConfigError::Missing { name, why };
    let topic = config.topic().ok_or(missing("TICKIZ_KAFKA_BROKERS", "a role of its own needs it"))?;
    if config.mysql_url.is_none() {
        return Err(missing("TICKIZ_MYSQL_URL", "a role of its own needs it").into());
    }
    if matches!(role, Role::QueryApi) && config.command_api_urls.is_empty() {
        return Err(missing("TICKIZ_COMMAND_API_URLS", "query-api hands commands over").into());
    }
    // The sandbox gateway's pages are behind query-api.
    let has_pages = matches!(role, Role::CommandApi | Role::Worker) && config.sandbox_payments == Some(true);
    if has_pages && config.public_url.is_none() {
        return Err(missing("TICKIZ_PUBLIC_URL", "with TICKIZ_SANDBOX_PAYMENTS the write side needs it").into());
    }
    let stores = stores::open_to_read(&config).await?;
    telemetry::observe(&stores);
    let listener = sockets::listen(config.listen)?;
    let address = listener.local_addr().context("the bound address")?;
    let setting = Setting {
        public_url: public_url(&config, address),
        sandbox: config.sandbox_payments.unwrap_or(false),
        topic,
        config,
        stores,
    };
    let started = match role {
        Role::CommandApi => setting.command_api().await?,
        Role::QueryApi => setting.query_api().await?,
        Role::Relay => setting.relay()?,
        Role::Projector => setting.projector().await?,
        Role::Worker => setting.worker().await?,
    };
    println!("listening on http://{address}");
    serve(setting, started, listener).await
}

fn public_url(config: &Config, address: SocketAddr) -> String {
    let url = config.public_url.as_ref().map_or_else(|| format!("http://{address}"), ToString::to_string);
    url.trim_end_matches('/').to_owned()
}

async fn serve(setting: Setting, started: Started, listener: TcpListener) -> anyhow::Result<()> {
    let told_to_stop = tokio::spawn(signal());
    let Started { routes, mut roles, write_side, api } = started;
    let serving = CancellationToken::new();
    let metrics = api.as_ref().map(QueryApi::metrics).unwrap_or_default();
    let server =
        tokio::spawn(tickiz_query_api::serve(listener, routes, HttpLimits::default(), metrics, serving.clone()));
    let ended = tokio::select! {
        _ = told_to_stop => None,
        ended = next_ended(&mut roles) => Some(ended),
        () = setting.stores.log_service.died() => Some(Err(anyhow::anyhow!("the log's writer died of a broken invariant"))),
    };
    tracing::info!("stopping: what is under way may end");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
    serving.cancel();
    roles.front.cancel();
    if let Some(api) = &api
        && !api.drain(DRAIN_PATIENCE).await
    {
        tracing::warn!("some requests did not end in time");
    }
    server.await.context("the HTTP server")?.context("the HTTP server")?;
    if let Some(write_side) = write_side {
        write_side.workers.shutdown().await;
    }
    roles.stop.cancel();
    while let Some(role) = roles.tasks.join_next().await {
        role.context("a role")??;
    }
    setting.stores.log_service.shutdown().await;
    ended.unwrap_or(Ok(())).context("the role ended by itself")
}

/// The first of a role's tasks that ends although nobody told it to; none where it has no tasks.
async fn next_ended(roles: &mut Roles) -> anyhow::Result<()> {
    match roles.tasks.join_next().await {
        Some(ended) => ended.context("a task")?.and_then(|()| anyhow::bail!("a task ended by itself")),
        None => std::future::pending().await,
    }
}

impl Setting {
    fn stream(&self) -> Arc<KafkaStream> {
        let stream = KafkaStream::new(self.topic.clone(), Arc::new(self.stores.log.clone()));
        telemetry::observe_stream(&stream.stats());
        Arc::new(stream)
    }

    async fn write_side(&self, share: Share) -> anyhow::Result<WriteSide> {
        // The sandbox gateway is a house of its own: it is spoken to by the address that browsers use.
        let reach = Reach { sandbox_url: &self.public_url, public_url: &self.public_url };
        let keys = roles::ticket_keys(&self.stores)?;
        roles::write_side(&self.config, &self.stores, &reach, share, self.sandbox, &keys, Arc::new(SystemClock)).await
    }

    async fn command_api(&self) -> anyhow::Result<Started> {
        let write_side = self.write_side(Share::Door).await?;
        let commands = Arc::new(write_side.commands.clone());
        let routes = internal::routes(commands, &internal::token(&self.stores.log))
            .merge(write_side.routes.clone())
            .merge(probes::routes(Arc::new(LogProbe { log: self.stores.log.clone() })));
        Ok(Started { routes, roles: Roles::default(), write_side: Some(write_side), api: None })
    }

    async fn query_api(&self) -> anyhow::Result<Started> {
        let tokens = Tokens::of(&self.config, false);
        let write_side = internal::WriteSide::at(&self.config.command_api_urls, &internal::token(&self.stores.log))?;
        let mut roles = Roles::default();
        let keys = roles::ticket_keys(&self.stores)?;
        let commands = Arc::new(write_side.clone());
        self.stores.near.listen(&self.stores.reads, &roles.stop);
        let stream = self.stream();
        let front = Front { tokens: &tokens, keys: &keys, public_url: &self.public_url };
        let api = roles::query_api(&self.config, &self.stores, front, commands, stream, &mut roles).await?;
        let routes = api.router().merge(internal::passed_on(write_side));
        Ok(Started { routes, roles, write_side: None, api: Some(api) })
    }

    fn relay(&self) -> anyhow::Result<Started> {
        let url = self.config.mysql_url.as_deref().context("TICKIZ_MYSQL_URL is not set")?;
        let relay = Relay::new(self.stores.log.clone(), url, self.topic.clone());
        telemetry::observe_relay(&relay.stats());
        let probe = RelayProbe { log: self.stores.log.clone(), reached: relay.reached() };
        let mut roles = Roles::default();
        let stop = roles.stop.clone();
        roles.tasks.spawn(async move { relay.run(stop).await.context("the relay") });
        Ok(Started { routes: probes::routes(Arc::new(probe)), roles, write_side: None, api: None })
    }

    async fn projector(&self) -> anyhow::Result<Started> {
        let made = tokio::time::timeout(TOPIC_PATIENCE, self.topic.ensure()).await;
        if !matches!(made, Ok(Ok(()))) {
            tracing::warn!("the topic cannot be made; domain events come from the log until it is there");
        }
        let mut roles = Roles::default();
        let handle = roles::project(&self.stores, self.stream(), &mut roles);
        let wanted = self.stores.log.head().await?;
        let probe = ProjectorProbe { log: self.stores.log.clone(), reads: self.stores.reads.clone(), handle, wanted };
        Ok(Started { routes: probes::routes(Arc::new(probe)), roles, write_side: None, api: None })
    }

    async fn worker(&self) -> anyhow::Result<Started> {
        let write_side = self.write_side(Share::Background).await?;
        let probe = LogProbe { log: self.stores.log.clone() };
        let routes = probes::routes(Arc::new(probe));
        Ok(Started { routes, roles: Roles::default(), write_side: Some(write_side), api: None })
    }
}

fn gauge(name: impl Into<String>, help: &'static str, value: i64) -> Gauge {
    Gauge { name: name.into(), help, value }
}

/// The last position of the log; `None` where it does not answer.
async fn head(log: &tickiz_event_log::EventLog) -> Option<Gauge> {
    let head = log.head().await.ok()?;
    Some(gauge("tickiz_log_position", "The last position of the log.", head))
}

struct LogProbe {
    log: tickiz_event_log::EventLog,
}

#[async_trait::async_trait]
impl Probed for LogProbe {
    async fn not_ready(&self) -> Option<String> {
        self.log.head().await.err().map(|_| "the log does not answer".to_owned())
    }

    async fn gauges(&self) -> Vec<Gauge> {
        head(&self.log).await.into_iter().collect()
    }
}

struct RelayProbe {
    log: tickiz_event_log::EventLog,
    reached: watch::Receiver<i64>,
}

#[async_trait::async_trait]
impl Probed for RelayProbe {
    /// A standby is ready too.
    async fn not_ready(&self) -> Option<String> {
        self.log.head().await.err().map(|_| "the log does not answer".to_owned())
    }

    async fn gauges(&self) -> Vec<Gauge> {
        let help = "The last position that this process has committed to Kafka; 0 while it stands by.";
        let reached = gauge("tickiz_relay_position", help, *self.reached.borrow());
        head(&self.log).await.into_iter().chain([reached]).collect()
    }
}

struct ProjectorProbe {
    log: tickiz_event_log::EventLog,
    reads: tickiz_read_models::ReadStore,
    handle: ProjectorHandle,
    /// The head of the log at the start: ready is who has read so far.
    wanted: i64,
}

#[async_trait::async_trait]
impl Probed for ProjectorProbe {
    async fn not_ready(&self) -> Option<String> {
        match self.reads.checkpoint().await {
            Ok(position) if position >= self.wanted => None,
            Ok(position) => Some(format!("the read models are at {position} of {}", self.wanted)),
            Err(_) => Some("the read models do not answer".to_owned()),
        }
    }

    async fn gauges(&self) -> Vec<Gauge> {
        let help = "The last position that a projection has reached.";
        let reached = Projection::ALL.map(|projection| {
            let name = format!("tickiz_projection_position{{projection=\"{}\"}}", projection.name());
            gauge(name, help, self.handle.progress(projection).position)
        });
        let aside = self.reads.set_aside().await.ok().map(|aside| {
            Projection::ALL.map(|projection| {
                let name = format!("tickiz_projection_standing_still{{projection=\"{}\"}}", projection.name());
                let count = aside.iter().filter(|one| one.projection == projection).count();
                let help = "Shows and bookings that stand still by a domain event that could not be read.";
                gauge(name, help, i64::try_from(count).unwrap_or(i64::MAX))
            })
        });
        head(&self.log).await.into_iter().chain(reached).chain(aside.into_iter().flatten()).collect()
    }
}
