//! Puts the roles of one process together, from the log outwards.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

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
    webhooks::{WebhookReceiver, inbox::Inbox, worker::WebhookWorker},
    workers::{
        WorkerOptions, Workers,
        cancellation::BookingList,
        checkpoint::Checkpoint,
        mails::{
            self, Announcer, MailWorker, Post, Rounds,
            message::Mailbox,
            sink::{DeadLetters, Folder, Smtp},
            writing::Writer,
        },
    },
};
use tickiz_contract::Commands;
use tickiz_documents::Templates;
use tickiz_event_log::runtime::{Clock, SystemClock};
use tickiz_projections::{
    DomainEventStream, LiveService, ProjectorHandle, ProjectorOptions, ProjectorService, live::LiveOptions,
};
use tickiz_query_api::{AccessPolicy, QueryApi, QueryApiParts, ReportLimits, SocketLimits};
use tickiz_tickets::{BundleSigner, KeyRing, TicketSigner};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{booking_list::ReadModelList, tokens::Tokens};
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
}

/// Who mails come from, by name; the address is configured.
const MAILS_FROM: &str = "Tickiz";

/// What the API shows of itself.
#[derive(Clone, Copy)]
pub struct Front<'a> {
    /// Who may do what.
    pub tokens: &'a Tokens,
    /// What ticket codes are signed with.
    pub keys: &'a Arc<KeyRing>,
    /// How it is reached from outside.
    pub public_url: &'a str,
}

/// How this process is reached.
pub struct Reach<'a> {
    /// Where the sandbox gateway is spoken to.
    pub sandbox_url: &'a str,
    /// As browsers and gateways see it, without a slash at the end.
    pub public_url: &'a str,
}

/// What of the write side's work a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "distributed"), allow(dead_code, reason = "one process does everything then"))]
pub enum Share {
    /// All of it: the embedded form.
    Everything,
    /// All of it but mails: what is made for the demo, and nobody is to be told of.
    Untold,
    /// Commands and webhooks as they come.
    Door,
    /// Timers, mails, the sandbox gateway's errands, and the webhooks that nobody has worked on.
    Background,
}

/// The write side, with its routes.
pub struct WriteSide {
    /// The commands.
    pub commands: CommandService,
    /// `/webhooks`, and the sandbox gateway's own house.
    pub routes: Router,
    /// Timers, webhooks, mails.
    pub workers: Workers,
}

/// The keys that ticket codes are signed with: derived, so that every process of one installation has the same.
///
/// # Errors
/// When two keys have one number.
pub fn ticket_keys(stores: &Stores) -> anyhow::Result<Arc<KeyRing>> {
    let kid = CommandOptions::default().ticket_kid;
    let seed = stores.log.secrets().derive(&format!("ticket-key/{kid}"));
    let mut keys = KeyRing::default();
    keys.add(TicketSigner::from_seed(kid, &seed)).context("the ticket key")?;
    Ok(Arc::new(keys))
}

/// Where the sandbox gateway is spoken to in the embedded form: on loopback whatever the public address is, since it is this very
/// process that answers.
pub fn own_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

fn sandbox_house(
    stores: &Stores,
    reach: &Reach<'_>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Provider, Arc<dyn Gateway>)> {
    let secrets = stores.log.secrets();
    let api_key = hex::encode(secrets.derive("sandbox-api-key"));
    let webhook_secret = secrets.derive("sandbox-webhooks").to_vec();
    let own = reach.sandbox_url.trim_end_matches('/').to_owned();
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
/// When no HTTP client can be made, or the folder of mails cannot.
pub async fn write_side(
    config: &Config,
    stores: &Stores,
    reach: &Reach<'_>,
    share: Share,
    sandbox: bool,
    keys: &Arc<KeyRing>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<WriteSide> {
    let mut options = CommandOptions { ticket_verifier: Arc::new(keys.verifier()), ..CommandOptions::default() };
    if let Some(holds) = &stores.near.holds {
        options.holds = holds.clone();
    }
    let system = SystemCommands::new(&stores.log, &options);
    let house = sandbox.then(|| sandbox_house(stores, reach, clock.clone())).transpose()?;
    let (provider, gateway) = house.unzip();
    let real = super::gateways::of(config, reach.public_url, &clock)?;
    let gateways = Gateways::new(real.into_iter().chain(gateway));
    let calls = TaskTracker::new();
    let bookings = Arc::new(system.clone());
    let payments = Payments::new(stores.log.clone(), bookings.clone(), gateways.clone(), calls.clone());
    let inbox = Inbox::new(stores.inbox.clone(), clock);
    let (webhook_worker, waiting) = WebhookWorker::new(inbox.clone(), payments.clone());
    let receiver = WebhookReceiver::new(gateways, inbox, webhook_worker.clone());
    let mut routes = receiver.routes();
    if let Some(provider) = &provider {
        routes = routes.merge(provider.routes());
    }
    let in_background = share != Share::Door;
    let list = in_background.then(|| Arc::new(ReadModelList(stores.reads.clone())) as Arc<dyn BookingList>);
    let mails = match &list {
        Some(list) if share != Share::Untold => {
            Some(post_office(config, stores, reach, &system, keys, list.clone()).await?)
        }
        _ => None,
    };
    let workers = Workers::start(WorkerOptions {
        log: stores.log.clone(),
        bookings,
        payments: payments.clone(),
        list,
        webhooks: (webhook_worker, waiting),
        mails,
        sandbox: provider.filter(|_| in_background),
        tasks: calls,
    });
    let commands = CommandService::new(system, Some(Arc::new(payments)), &options);
    Ok(WriteSide { commands, routes, workers })
}

/// Where mails stay that the mail server refuses for good.
pub fn dead_letters(config: &Config) -> PathBuf {
    config.data_dir.join("mails").join("undeliverable")
}

/// Who writes mails: to one buyer of his booking, and to everybody of a show.
async fn post_office(
    config: &Config,
    stores: &Stores,
    reach: &Reach<'_>,
    system: &SystemCommands,
    keys: &Arc<KeyRing>,
    list: Arc<dyn BookingList>,
) -> anyhow::Result<(MailWorker, Announcer)> {
    // The embedded form is always the same writer, so that after a crash it goes on without waiting for its own lease.
    let holder = if config.mysql_url.is_some() { Uuid::new_v4() } else { Uuid::nil() };
    let checkpoint = |name| Checkpoint::new(stores.inbox.clone(), Arc::new(SystemClock), name, holder, mails::LEASE);
    let folder = config.data_dir.join("mails");
    let post = Arc::new(Post {
        bookings: Arc::new(system.clone()),
        sink: match &config.smtp_url {
            Some(url) => Arc::new(Smtp::at(url)?),
            None => Arc::new(Folder::open(&folder).await.context("the folder of mails")?),
        },
        undeliverable: DeadLetters::open(&dead_letters(config)).await.context("the folder of mails")?,
        keys: keys.clone(),
        writer: Writer {
            templates: templates(config)?,
            from: Mailbox { name: MAILS_FROM.to_owned(), address: config.mail_from.clone() },
        },
        tokens: system.keys().clone(),
        public_url: reach.public_url.trim_end_matches('/').to_owned(),
    });
    let mails = MailWorker { log: stores.log.clone(), checkpoint: checkpoint(mails::CONSUMER), post: post.clone() };
    let announcer = Announcer {
        log: stores.log.clone(),
        checkpoint: checkpoint(mails::ANNOUNCEMENTS),
        post,
        list,
        rounds: Rounds::new(stores.inbox.clone()),
    };
    Ok((mails, announcer))
}

/// The texts of mails and pages: built in, with those replaced that the operator has.
///
/// # Errors
/// When a file of his is no template, with its name and line.
pub fn templates(config: &Config) -> anyhow::Result<Arc<Templates>> {
    let templates = match &config.templates_dir {
        Some(folder) => Templates::with_overrides(folder).with_context(|| format!("{}", folder.display()))?,
        None => Templates::built_in()?,
    };
    Ok(Arc::new(templates))
}

/// Starts the projections, from that stream.
pub fn project(stores: &Stores, stream: Arc<dyn DomainEventStream>, roles: &mut Roles) -> ProjectorHandle {
    let log = Arc::new(stores.log.clone());
    let options = ProjectorOptions { mirror: stores.near.mirror.clone(), ..ProjectorOptions::default() };
    let projector = ProjectorService::new(stores.reads.clone(), stream, log, options);
    let handle = projector.handle();
    let stop = roles.stop.clone();
    roles.tasks.spawn(async move { projector.run(stop).await.context("the projections") });
    handle
}

/// Starts the API and its live feeds, from that stream; commands go to `commands`.
///
/// # Errors
/// When the read models cannot be read.
pub async fn query_api(
    config: &Config,
    stores: &Stores,
    front: Front<'_>,
    commands: Arc<dyn Commands>,
    stream: Arc<dyn DomainEventStream>,
    roles: &mut Roles,
) -> anyhow::Result<QueryApi> {
    let Front { tokens, keys, public_url } = front;
    let log = Arc::new(stores.log.clone());
    let live = LiveService::open(stores.reads.clone(), stream, log.clone(), LiveOptions::default())
        .await
        .context("the live feeds")?;
    let feeds = live.feeds();
    let stop = roles.stop.clone();
    roles.tasks.spawn(async move { live.run(stop).await.context("the live feeds") });

    let mut access = AccessPolicy::new();
    if let Some(token) = &tokens.organizer {
        access = access.with_organizer(token, demo::organizer_id());
    }
    if let Some(token) = &tokens.gate {
        access = access.with_gate(token, demo::organizer_id());
    }
    if let Some(token) = &tokens.auditor {
        access = access.with_auditor(token);
    }
    Ok(QueryApi::new(QueryApiParts {
        commands,
        reads: stores.reads.clone(),
        cache: stores.near.cache.clone(),
        live: feeds,
        log,
        signer: keys.clone(),
        templates: templates(config)?,
        wallets: super::wallets::of(config)?,
        bundles: BundleSigner::from_seed(&stores.log.secrets().derive("gate-bundle-key")),
        public_url: public_url.trim_end_matches('/').to_owned(),
        mail_from: config.mail_from.clone(),
        access,
        production: config.production,
        head_at_start: stores.log.head().await?,
        sockets: SocketLimits::default(),
        reports: ReportLimits::default(),
        shutdown: roles.front.clone(),
    }))
}
