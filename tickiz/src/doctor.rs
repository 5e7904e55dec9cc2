//! `tickiz doctor`: looks at what Tickiz stands on, and says what to do about what is not as it should be.

use std::{path::Path, process::ExitCode, time::Duration};

use chrono::Utc;
use serde::Serialize;
use tickiz_command_api::workers::mails::sink::Smtp;

use crate::{
    config::Config,
    serve, sockets,
    stores::{self, Stores},
};

/// How long one server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Less room than this on the data folder's disk is a reason to act: the log grows by about a kilobyte a booking, and a database that
/// cannot write stops.
const LITTLE_ROOM_BYTES: u64 = 1 << 30;
/// How far our clock may be from the store's before deadlines look odd to people. Nothing goes wrong by it: the store's counts.
const CLOCK_TOLERANCE: chrono::TimeDelta = chrono::TimeDelta::milliseconds(500);
/// How far read models may be behind before somebody should look, in positions.
const LAG: i64 = 1_000;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Wrong,
}

/// What one look came to.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    /// What to do; empty where all is well.
    cure: String,
}

#[derive(Default)]
struct Visit(Vec<Finding>);

impl Visit {
    fn note(&mut self, what: &'static str, state: State, found: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Finding { what, state, found: found.into(), cure: cure.into() });
    }

    fn ok(&mut self, what: &'static str, found: impl Into<String>) {
        self.note(what, State::Ok, found, "");
    }

    fn settings(&mut self, config: &Config) {
        if config.master_key.is_none() && config.mysql_url.is_some() {
            let cure =
                "set TICKIZ_MASTER_KEY to 64 hexadecimal digits and keep a copy apart from the database's backups";
            self.note("master key", State::Warning, "it lies in the database that it protects", cure);
        } else {
            self.ok("master key", if config.master_key.is_some() { "set" } else { "made and kept with the store" });
        }
        if config.public_url.is_none() && !config.listen.ip().is_loopback() {
            let cure = "set TICKIZ_PUBLIC_URL to the address that browsers and gateways reach";
            self.note("public address", State::Warning, "links would lead to the address of this machine", cure);
        }
        if config.organizer_token.is_none() {
            let cure = "set TICKIZ_ORGANIZER_TOKEN; `openssl rand -hex 24` makes one";
            self.note("organiser", State::Warning, "nobody can make shows, except in the demo", cure);
        }
        let files = sockets::raise_limit();
        if files < sockets::WANTED {
            let found =
                format!("{files} may be open; 12,000 connections and what is behind them need {}", sockets::WANTED);
            let cure = "raise the hard limit: LimitNOFILE= of the service, or nofile in /etc/security/limits.conf";
            self.note("open files", State::Warning, found, cure);
        } else {
            self.ok("open files", format!("{files} may be open"));
        }
        match serve::roles::templates(config) {
            Ok(_) => self.ok("templates", "all of them render"),
            Err(error) => {
                self.note("templates", State::Wrong, format!("{error:#}"), "mend the file that it names");
            }
        }
    }

    fn folder(&mut self, path: &Path) {
        let what = "data folder";
        let tried = std::fs::create_dir_all(path).and_then(|()| {
            let file = path.join(format!(".doctor-{}", std::process::id()));
            std::fs::write(&file, b"")?;
            std::fs::remove_file(&file)
        });
        if let Err(error) = tried {
            let cure = "let the program's user write there, or set TICKIZ_DATA_DIR";
            self.note(what, State::Wrong, format!("{}: {error}", path.display()), cure);
            return;
        }
        match rustix::fs::statvfs(path) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                let found = format!("{} can be written to, {} MiB are free", path.display(), free >> 20);
                if free < LITTLE_ROOM_BYTES {
                    self.note(what, State::Warning, found, "make room, before what is stored cannot grow any more");
                } else {
                    self.ok(what, found);
                }
            }
            Err(error) => self.note(what, State::Warning, format!("its disk cannot be looked at: {error}"), ""),
        }
    }

    async fn stores(&mut self, stores: &Stores) {
        match stores.log.head().await {
            Ok(head) => {
                self.ok("event log", format!("position {head}"));
                self.read_models(stores, head).await;
            }
            Err(error) => self.note("event log", State::Wrong, error.to_string(), "look at the store's own log"),
        }
        let apart = (stores.log.now() - Utc::now()).abs();
        let found = format!("{} ms from the store's", apart.num_milliseconds());
        if apart > CLOCK_TOLERANCE {
            let cure = "let both machines take their time from the same servers (NTP)";
            self.note("clock", State::Warning, found, cure);
        } else {
            self.ok("clock", found);
        }
    }

    async fn read_models(&mut self, stores: &Stores, head: i64) {
        let looked =
            async { Ok::<_, anyhow::Error>((stores.reads.checkpoint().await?, stores.reads.set_aside().await?)) };
        match looked.await {
            Ok((position, aside)) => {
                let found = format!("position {position} of {head}");
                if head - position > LAG {
                    let cure = "is a projector running? `tickiz serve` and the role `projector` do it";
                    self.note("read models", State::Warning, found, cure);
                } else {
                    self.ok("read models", found);
                }
                if !aside.is_empty() {
                    let found = format!("{} shows or bookings stand still", aside.len());
                    self.note(
                        "projections",
                        State::Warning,
                        found,
                        "`tickiz replay --poisoned` lists them, with what to do",
                    );
                }
            }
            Err(error) => {
                self.note("read models", State::Wrong, error.to_string(), "look at the store's own log");
            }
        }
    }

    async fn mail(&mut self, config: &Config) {
        let Some(url) = &config.smtp_url else {
            self.ok("mail", format!("files in {}", config.data_dir.join("mails").display()));
            return;
        };
        let reached = match Smtp::at(url) {
            Ok(smtp) => tokio::time::timeout(PATIENCE, smtp.is_reached()).await.unwrap_or(false),
            Err(_) => false,
        };
        if reached {
            self.ok("mail", "the mail server answers");
        } else {
            let cure =
                "is TICKIZ_SMTP_URL right, and does the server take connections from here? Mails wait until it does";
            self.note("mail", State::Warning, "the mail server does not answer", cure);
        }
    }

    #[cfg(feature = "distributed")]
    async fn servers(&mut self, config: &Config, stores: &Stores) {
        if let Some(redis) = &stores.near.redis {
            let reached = tokio::time::timeout(PATIENCE, redis.listen()).await;
            if matches!(reached, Ok(Ok(_))) {
                self.ok("Redis", "it answers");
            } else {
                let cure = "bring it back; without it everything is right and slower";
                self.note("Redis", State::Warning, "it does not answer", cure);
            }
        }
        let Some(topic) = config.topic() else { return };
        let head = stores.log.head().await.unwrap_or_default();
        match tokio::time::timeout(PATIENCE, tickiz_kafka::last_committed(&topic)).await {
            Ok(Ok(position)) if head - position > LAG => {
                let found = format!("the topic {} is at position {position} of {head}", topic.name);
                self.note("Kafka", State::Warning, found, "is a relay running?");
            }
            Ok(Ok(position)) => {
                self.ok("Kafka", format!("the topic {} is at position {position} of {head}", topic.name))
            }
            Ok(Err(_)) | Err(_) => {
                let cure = "bring the brokers back, or start the relay, which makes the topic; meanwhile everybody reads the log";
                self.note("Kafka", State::Warning, format!("the topic {} cannot be read", topic.name), cure);
            }
        }
    }
}

/// Runs the command; exit code 1 where something is wrong, 0 with warnings.
///
/// # Errors
/// When the findings cannot be written.
pub async fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let mut visit = Visit::default();
    visit.settings(config);
    visit.folder(&config.data_dir);
    visit.mail(config).await;
    match stores::open_to_read(config).await {
        Ok(stores) => {
            visit.ok("stores", "open, and of this version's schema");
            visit.stores(&stores).await;
            #[cfg(feature = "distributed")]
            visit.servers(config, &stores).await;
            stores.log_service.shutdown().await;
        }
        Err(error) => {
            let cure = "is the server up and TICKIZ_MYSQL_URL or TICKIZ_DATA_DIR right? `tickiz migrate` makes what is missing";
            visit.note("stores", State::Wrong, format!("{error:#}"), cure);
        }
    }
    let Visit(findings) = visit;
    if json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for Finding { what, state, found, cure } in &findings {
            let mark = match state {
                State::Ok => "ok     ",
                State::Warning => "WARNING",
                State::Wrong => "WRONG  ",
            };
            println!("{mark}  {what}: {found}");
            if !cure.is_empty() {
                println!("         → {cure}");
            }
        }
    }
    let is_wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
