//! Starts servers and roles, waits until each answers, and starts again what dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::balancer;
use super::mail_sink;
use super::state::{self, Process, State};
use crate::install::{Cache, tail};
use crate::process::{self, Interrupts, OnInterrupt, OwnProcess, POLL_INTERVAL};
use crate::servers::{Fleet, Kind};

/// What a role gets to drain between SIGTERM and SIGKILL: more than it allows its own requests, sockets and workers together.
const ROLE_GRACE: Duration = Duration::from_secs(30);
/// Every role twice. Those that take work in stop first and start last.
const ROLES: [&str; 5] = ["relay", "projector", "worker", "command-api", "query-api"];
/// How often each.
const COPIES: usize = 2;
/// The servers below.
const SERVERS: [Kind; 3] = [Kind::Mysql, Kind::Kafka, Kind::Redis];
/// What the log's database is called.
const DATABASE: &str = "tickiz";
/// Where it is reached, if nobody else is there.
const USUAL_PORT: u16 = 8080;
/// What a role gets from its start to its first readiness.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long after its death a role is started again, so that one that cannot start does not do so without a pause.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How long one look at a role may take.
const PROBE: Duration = Duration::from_secs(2);

struct Role {
    name: &'static str,
    number: usize,
    address: SocketAddr,
    process: OwnProcess,
    /// Since when it has been dead.
    died: Option<Instant>,
}

struct Supervisor {
    environment: Vec<(&'static str, String)>,
    roles: Vec<Role>,
    state: State,
}

/// Runs until it is told to stop.
pub fn run(interrupts: &Interrupts) -> Result<()> {
    let mut fleet = Fleet::start(&SERVERS, &Cache::open(interrupts)?, interrupts)?;
    let address = |kind| fleet.address_of(kind).context("a server that was started has an address");
    let mysql_url = format!("{}/{DATABASE}", address(Kind::Mysql)?.trim_end_matches('/'));
    let (kafka_brokers, redis_url) = (address(Kind::Kafka)?, address(Kind::Redis)?);
    let front = TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no port is free")?;
    let url = format!("http://{}", front.local_addr()?);
    let state = State {
        url,
        organizer_token: random_token()?,
        auditor_token: random_token()?,
        mysql_url,
        redis_url,
        kafka_brokers,
        smtp: mail_sink::start(&state::mails())?,
        mail_dir: state::mails(),
        processes: Vec::new(),
    };
    let places = places()?;
    let addresses_of =
        |name: &str| places.iter().filter(|place| place.0 == name).map(|place| place.2).collect::<Vec<_>>();
    let commands: Vec<String> = addresses_of("command-api").iter().map(|address| format!("http://{address}")).collect();
    let environment = vec![
        ("TICKIZ_PUBLIC_URL", state.url.clone()),
        ("TICKIZ_DATA_DIR", state::data().display().to_string()),
        ("TICKIZ_MYSQL_URL", state.mysql_url.clone()),
        ("TICKIZ_KAFKA_BROKERS", state.kafka_brokers.clone()),
        ("TICKIZ_REDIS_URL", state.redis_url.clone()),
        ("TICKIZ_ORGANIZER_TOKEN", state.organizer_token.clone()),
        ("TICKIZ_AUDITOR_TOKEN", state.auditor_token.clone()),
        ("TICKIZ_SANDBOX_PAYMENTS", "true".to_owned()),
        ("TICKIZ_COMMAND_API_URLS", commands.join(",")),
        ("TICKIZ_SMTP_URL", format!("smtp://{}", state.smtp)),
        ("TICKIZ_LOG_FORMAT", "json".to_owned()),
    ];
    balancer::run(front, addresses_of("query-api"));
    let mut supervisor = Supervisor { environment, roles: Vec::new(), state };
    supervisor.migrate(interrupts)?;
    for (name, number, address) in places {
        let process = supervisor.spawn(name, number, address)?;
        supervisor.roles.push(Role { name, number, address, process, died: None });
    }
    supervisor.wait_until_ready(interrupts)?;
    supervisor.write_state(&fleet)?;
    while interrupts.check().is_ok() {
        let changed = fleet.restart_the_dead()?;
        if supervisor.restart_the_dead()? || changed {
            supervisor.write_state(&fleet)?;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    eprintln!("xtask: stopping");
    // Who takes work in first, and each waits until it has drained.
    while let Some(mut role) = supervisor.roles.pop() {
        role.process.stop();
    }
    Ok(())
}

/// A role, which of its copies, and where it listens.
fn places() -> Result<Vec<(&'static str, usize, SocketAddr)>> {
    let mut held = Vec::new();
    for name in ROLES {
        for number in 1..=COPIES {
            held.push((name, number, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?));
        }
    }
    held.iter().map(|(name, number, listener)| Ok((*name, *number, listener.local_addr()?))).collect()
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn log_of(name: &str, number: usize) -> PathBuf {
    state::logs().join(format!("{name}-{number}.log"))
}

impl Supervisor {
    fn command(&self, role: &str) -> std::process::Command {
        let mut command = process::command(process::top().join("target/release/tickiz"));
        command.arg(role).current_dir(process::top());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKIZ_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn migrate(&self, interrupts: &Interrupts) -> Result<()> {
        let status = process::run(&mut self.command("migrate"), interrupts, OnInterrupt::Stop)?;
        anyhow::ensure!(status.success(), "the schema cannot be made: {status}");
        Ok(())
    }

    fn spawn(&self, name: &'static str, number: usize, address: SocketAddr) -> Result<OwnProcess> {
        let log = log_of(name, number);
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.command(name);
        command.env("TICKIZ_LISTEN", address.to_string()).stdout(output.try_clone()?).stderr(output);
        Ok(OwnProcess::spawn(&mut command)?.with_grace(ROLE_GRACE))
    }

    fn wait_until_ready(&mut self, interrupts: &Interrupts) -> Result<()> {
        let began = Instant::now();
        for role in &mut self.roles {
            while !is_ready(role.address) {
                interrupts.check()?;
                let ended = role.process.poll()?;
                if ended.is_some() || began.elapsed() > READY_LIMIT {
                    let log = tail(&log_of(role.name, role.number));
                    bail!("{} {} does not get ready ({ended:?}):\n{log}", role.name, role.number);
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        Ok(())
    }

    /// As an orchestrator would; whether one was started.
    fn restart_the_dead(&mut self) -> Result<bool> {
        let mut changed = false;
        for index in 0..self.roles.len() {
            let role = &mut self.roles[index];
            let Some(status) = role.process.poll()? else { continue };
            let died = *role.died.get_or_insert_with(|| {
                eprintln!("xtask: {} {} ended ({status}); it is started again", role.name, role.number);
                Instant::now()
            });
            if died.elapsed() >= RESTART_AFTER {
                let (name, number, address) = (role.name, role.number, role.address);
                let process = self.spawn(name, number, address)?;
                self.roles[index] = Role { name, number, address, process, died: None };
                changed = true;
            }
        }
        Ok(changed)
    }

    fn write_state(&mut self, fleet: &Fleet) -> Result<()> {
        let supervisor = Process {
            role: "supervisor".to_owned(),
            pid: std::process::id(),
            started: state::started(std::process::id()),
            log: state::logs().join("supervisor.log"),
        };
        let roles = self.roles.iter().map(|role| Process {
            role: role.name.to_owned(),
            pid: role.process.id(),
            started: state::started(role.process.id()),
            log: log_of(role.name, role.number),
        });
        let servers = fleet.processes().into_iter().map(|server| Process {
            role: server.name.to_lowercase(),
            pid: server.pid,
            started: state::started(server.pid),
            log: server.log,
        });
        self.state.processes = std::iter::once(supervisor).chain(roles).chain(servers).collect();
        self.state.write()
    }
}

/// Whether `GET /readyz` is answered by 200.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PROBE)?;
        stream.set_read_timeout(Some(PROBE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
