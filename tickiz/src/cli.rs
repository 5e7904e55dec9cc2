//! The commands, and the program's exit codes: 0 done, 1 failed or a promise broken, 2 wrong usage, 78 wrong configuration.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tickiz_documents::{Locale, MailKind};
use tickiz_telemetry::{Telemetry, TelemetryError};

use crate::{
    config::{Config, ConfigError, EXIT_CONFIG, NOT_USED},
    log::LogArguments,
    serve, verify,
};

/// Sells tickets: finds events, holds seats, takes payment, issues tickets. Without a command: `serve --demo`.
#[derive(Parser)]
#[command(name = "tickiz", version)]
struct Arguments {
    /// Settings file; `tickiz.toml` in the working directory is read without it. The environment goes before it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every role in one process, until Ctrl-C.
    Serve {
        /// Loads demo data, makes tokens where none are set, and switches the sandbox gateway on.
        #[arg(long)]
        demo: bool,
    },
    #[command(flatten)]
    Role(Role),
    /// Brings the store's schema to this version.
    Migrate,
    /// Builds read models anew from the log, beside those that answer, and lets the new ones answer.
    Replay(crate::replay::ReplayArguments),
    /// Checks the promises against everything that is stored; exit code 1 where one is broken.
    Verify {
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Prints the event log as JSON lines.
    Log(LogArguments),
    /// Writes every mail with sample data into a folder, as it would be with the configured templates.
    PreviewMails {
        /// The folder; made where it is missing.
        #[arg(long, value_name = "FOLDER", default_value = "mail-previews")]
        out: PathBuf,
    },
    /// Shows mails that the mail server refused for good, and sends them once more.
    DeadLetters(crate::dead_letters::DeadLettersArguments),
    /// Shows money that waits for a person, and records that a refund was made by hand.
    Review(crate::review::ReviewArguments),
    /// A door: gets what it needs, checks codes without a network, hands in who was let in.
    Gate(crate::gate::GateArguments),
    /// Publishes the log as a Merkle tree that anybody can check (C2SP tlog-tiles, signed checkpoints), proves, and checks.
    Audit(Box<crate::audit::AuditArguments>),
    /// Looks at settings, folder, disk, stores, clocks and servers, and says what to do; exit code 1 where something is wrong.
    Doctor {
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows every setting, where it comes from and what it means; secrets masked.
    Config {
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Deletes a person's data key, so that what is sealed with it in the log is unreadable for ever.
    ErasePerson {
        /// The person's mail address.
        #[arg(long)]
        email: String,
    },
}

/// A role that is a process of its own.
#[derive(Subcommand, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes commands, webhooks and the sandbox gateway's pages; runs as often as wanted.
    CommandApi,
    /// Serves GraphQL; runs as often as wanted.
    QueryApi,
    /// Writes the log's domain events into Kafka; a second one stands by.
    Relay,
    /// Builds the read models; a second one stands by.
    Projector,
    /// Fires timers, sends mails, works on webhooks that were left; runs as often as wanted.
    Worker,
}

impl Command {
    /// As telemetry calls the process.
    const fn name(&self) -> &'static str {
        match self {
            Self::Serve { .. } => "serve",
            Self::Role(Role::CommandApi) => "command-api",
            Self::Role(Role::QueryApi) => "query-api",
            Self::Role(Role::Relay) => "relay",
            Self::Role(Role::Projector) => "projector",
            Self::Role(Role::Worker) => "worker",
            Self::Migrate => "migrate",
            Self::Verify { .. } => "verify",
            Self::Replay(_) => "replay",
            Self::Log(_) => "log",
            Self::PreviewMails { .. } => "preview-mails",
            Self::DeadLetters(_) => "dead-letters",
            Self::Review(_) => "review",
            Self::Gate(_) => "gate",
            Self::Audit(_) => "audit",
            Self::Doctor { .. } => "doctor",
            Self::Config { .. } => "config",
            Self::ErasePerson { .. } => "erase-person",
        }
    }
}

/// Parses the command line and runs the command.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("tickiz: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let command = arguments.command.unwrap_or(Command::Serve { demo: true });
    let _telemetry = match start_telemetry(&config, command.name()) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("tickiz: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tickiz: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(dispatch(command, config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.unwrap_or_else(|error| {
        eprintln!("tickiz: {error:#}");
        if error.is::<ConfigError>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
    })
}

async fn dispatch(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    if matches!(command, Command::Serve { .. } | Command::Role(_))
        && crate::sockets::raise_limit() < crate::sockets::WANTED
    {
        tracing::warn!(wanted = crate::sockets::WANTED, "few files may be open: `tickiz doctor` says what to do");
    }
    match command {
        Command::Serve { demo } => serve::run(config, demo).await.map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "distributed"))]
        Command::Role(_) => {
            anyhow::bail!("this program was built without the roles; build it with `--features distributed`")
        }
        #[cfg(feature = "distributed")]
        Command::Role(role) => crate::distributed::run(role, config).await.map(|()| ExitCode::SUCCESS),
        Command::Migrate => crate::stores::migrate(&config).await.map(|()| ExitCode::SUCCESS),
        Command::Verify { json } => verify::run(&config, json).await,
        Command::Replay(arguments) => crate::replay::run(&config, &arguments).await,
        Command::Log(arguments) => crate::log::run(&config, arguments).await.map(|()| ExitCode::SUCCESS),
        Command::PreviewMails { out } => preview_mails(&config, &out).map(|()| ExitCode::SUCCESS),
        Command::DeadLetters(arguments) => crate::dead_letters::run(&config, &arguments).await,
        Command::Review(arguments) => crate::review::run(&config, &arguments).await,
        Command::Gate(arguments) => crate::gate::run(&config, arguments).await,
        Command::Audit(arguments) => crate::audit::run(&config, *arguments).await,
        Command::Doctor { json } => crate::doctor::run(&config, json).await,
        Command::Config { json } => show_config(&config, json).map(|()| ExitCode::SUCCESS),
        Command::ErasePerson { email } => {
            crate::stores::erase_person(&config, &email).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

fn preview_mails(config: &Config, out: &Path) -> anyhow::Result<()> {
    let templates = serve::roles::templates(config)?;
    std::fs::create_dir_all(out)?;
    for locale in Locale::ALL {
        for kind in MailKind::ALL {
            let mail = templates.preview(kind, locale)?;
            let name = format!("{}-{}", kind.name(), locale.tag());
            std::fs::write(out.join(format!("{name}.html")), mail.html)?;
            std::fs::write(out.join(format!("{name}.txt")), format!("{}\n\n{}", mail.subject, mail.text))?;
            println!("{name}: {}", mail.subject);
        }
    }
    Ok(())
}

/// Starts telemetry under the role's name, and says what of the environment is not used.
fn start_telemetry(config: &Config, role: &str) -> Result<Telemetry, TelemetryError> {
    let telemetry = crate::telemetry::start(config, role)?;
    for variable in NOT_USED.iter().filter(|variable| std::env::var_os(variable).is_some()) {
        tracing::warn!("{variable} is set, and this program does not use it");
    }
    Ok(telemetry)
}

fn show_config(config: &Config, json: bool) -> anyhow::Result<()> {
    let rows = config.shown.iter().zip(crate::config::SETTINGS);
    if json {
        let rows: Vec<_> = rows
            .map(|((name, value, source), setting)| {
                serde_json::json!({
                    "name": name, "value": value, "source": source, "meaning": setting.meaning, "allowed": setting.allowed,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    for ((name, value, source), setting) in rows {
        println!("{name} = {value}  ({source})\n    {}; {}", setting.meaning, setting.allowed);
    }
    Ok(())
}
