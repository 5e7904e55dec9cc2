//! Private servers for tests and benchmarks: started on free loopback ports with their data in a temporary folder, and
//! gone with it at the end.
//!
//! A server is one module with one type that implements [`Server`], and one line in [`Kind`]. [`Fleet`] does the rest:
//! it installs, initialises side by side, starts, waits until each answers, checks that it is what was asked for, and
//! stops.
//!
//! * Ports are taken from the kernel and held until the moment before the start. In that moment another program may
//!   take one, so a server that finds its port taken is started again on another.
//! * A server is stopped with SIGKILL: its data is thrown away in the same breath, so nothing gains by a shutdown.
//! * A run that was itself killed with SIGKILL cannot remove its folder. The next run does: every folder holds a file
//!   that its owner keeps locked, and a folder whose file is free has no owner.

mod kafka;
mod mariadb;
mod mysql;
mod redis;
mod sql;
mod tcp;

pub use sql::SETTINGS as SQL_SETTINGS;

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::install::{Cache, tail};
use crate::process::{Interrupts, OnInterrupt, OwnProcess, POLL_INTERVAL, describe};

/// What a server gets from its start to its first answer; the slowest takes 3 s on an idle machine with two cores.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How often a server may find its port taken before something else must be wrong.
const START_ATTEMPTS: usize = 4;
/// How long after its death a server is started again, so that one that cannot start does not do so without a pause.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// What names our folders among the temporary ones.
const HOME_PREFIX: &str = "tickiz-servers-";
/// Locked for as long as the owner of a folder lives.
const OWNER_FILE: &str = "owner.lock";

/// The servers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// MySQL 9, the store of the distributed form.
    Mysql,
    /// MariaDB 10.11, which the same SQL must run on.
    Mariadb,
    /// Apache Kafka 4.3, one node.
    Kafka,
    /// Redis 7.
    Redis,
}

impl Kind {
    /// Every server that the tests want.
    pub const ALL: &[Self] = &[Self::Mysql, Self::Mariadb, Self::Kafka, Self::Redis];

    /// The module that knows how to run it.
    pub fn server(self, cache: &Cache) -> Box<dyn Server> {
        match self {
            Self::Mysql => Box::new(mysql::Mysql::new(cache)),
            Self::Mariadb => Box::new(mariadb::Mariadb),
            Self::Kafka => Box::new(kafka::Kafka::new(cache)),
            Self::Redis => Box::new(redis::Redis),
        }
    }
}

/// How one kind of server is installed, started and recognised.
pub trait Server {
    /// The name in messages and of its folder.
    fn name(&self) -> &'static str;

    /// The variable by which tests find it, and by which a user names one of his own.
    fn variable(&self) -> &'static str;

    /// Brings its programs to this machine where they are missing.
    fn install(&self, cache: &Cache, interrupts: &Interrupts) -> Result<()>;

    /// How many ports it listens on.
    fn port_count(&self) -> usize {
        1
    }

    /// The program that prepares its data folder once, if it needs one.
    fn initialise(&self, place: &Place) -> Result<Option<Command>>;

    /// The server itself, in the foreground. Called again with other ports if one was taken, so a file of settings that
    /// names ports is written here.
    fn serve(&self, place: &Place) -> Result<Command>;

    /// What tests are told, for the private server in `place`.
    fn address(&self, place: &Place) -> String;

    /// Asks the private server in `place` for its version; an error as long as it does not answer.
    fn version(&self, place: &Place) -> Result<String>;

    /// Asks a server of the user's own, given as the value of [`Server::variable`], for its version.
    fn version_at(&self, address: &str) -> Result<String>;

    /// What is wrong with this version, if anything.
    fn check_version(&self, version: &str) -> Result<()>;
}

/// Where one private server lives.
pub struct Place {
    /// Its folder, empty at first.
    pub folder: PathBuf,
    /// As many ports on 127.0.0.1 as it wants.
    pub ports: Vec<u16>,
}

impl Place {
    /// The folder of its data; created by whoever wants it to exist.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its standard output and standard error.
    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

/// Running servers; all of them stop, and their data goes, when this is dropped.
pub struct Fleet {
    // Fields are dropped in this order: first the servers, then the folder that they write to.
    running: Vec<Running>,
    home: Home,
}

struct Running {
    kind: Kind,
    server: Box<dyn Server>,
    place: Place,
    process: OwnProcess,
    /// Since when it has been dead.
    died: Option<Instant>,
}

/// A server of a fleet as a process.
pub struct ServerProcess {
    /// Its name.
    pub name: &'static str,
    /// The variable by which it is found.
    pub variable: &'static str,
    /// Its process id.
    pub pid: u32,
    /// Its standard output and standard error.
    pub log: PathBuf,
}

impl Fleet {
    /// Installs what is missing, starts these servers and waits until each answers with a version that will do.
    pub fn start(kinds: &[Kind], cache: &Cache, interrupts: &Interrupts) -> Result<Self> {
        let servers: Vec<_> = kinds.iter().map(|kind| (*kind, kind.server(cache))).collect();
        let lock = cache.lock()?;
        for (_, server) in &servers {
            server.install(cache, interrupts).with_context(|| format!("cannot install {}", server.name()))?;
        }
        let mut fleet = Self { running: Vec::new(), home: Home::create(&std::env::temp_dir())? };
        drop(lock);

        let mut starting = Vec::new();
        for (kind, server) in servers {
            let folder = fleet.home.path().join(server.name());
            std::fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            let ports = Reservation::take(server.port_count())?;
            let place = Place { folder, ports: ports.numbers()? };
            let initialising = server.initialise(&place)?.map(|command| spawn(command, &place)).transpose()?;
            starting.push((kind, server, place, ports, initialising));
        }
        for (kind, server, place, ports, initialising) in starting {
            if let Some(mut process) = initialising {
                let status = process.wait(interrupts, OnInterrupt::Stop)?;
                if !status.success() {
                    bail!("{} cannot initialise its data ({status}):\n{}", server.name(), tail(&place.log()));
                }
            }
            let command = server.serve(&place)?;
            drop(ports);
            let process = spawn(command, &place)?;
            fleet.running.push(Running { kind, server, place, process, died: None });
        }
        for running in &mut fleet.running {
            let version = running.wait_until_ready(interrupts)?;
            running.server.check_version(&version)?;
            eprintln!("xtask: {} {version}, {}", running.server.name(), running.address());
        }
        Ok(fleet)
    }

    /// Names and values of the variables that tests look for.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.running.iter().map(|running| (running.server.variable(), running.address())).collect()
    }

    /// The address of the server of this kind, if it is one of these.
    pub fn address_of(&self, kind: Kind) -> Option<String> {
        self.running.iter().find(|running| running.kind == kind).map(Running::address)
    }

    /// The servers as processes.
    pub fn processes(&self) -> Vec<ServerProcess> {
        let of = |running: &Running| ServerProcess {
            name: running.server.name(),
            variable: running.server.variable(),
            pid: running.process.id(),
            log: running.place.log(),
        };
        self.running.iter().map(of).collect()
    }

    /// Starts again, where it was and with its data, what has ended by itself, a second after its end: as an orchestrator would.
    /// Whether one was started.
    pub fn restart_the_dead(&mut self) -> Result<bool> {
        let mut started = false;
        for running in &mut self.running {
            let Some(status) = running.process.poll()? else { continue };
            let died = *running.died.get_or_insert_with(|| {
                eprintln!("xtask: {} ended ({status}); it is started again", running.server.name());
                Instant::now()
            });
            if died.elapsed() >= RESTART_AFTER {
                running.process = spawn(running.server.serve(&running.place)?, &running.place)?;
                running.died = None;
                started = true;
            }
        }
        Ok(started)
    }

    /// An error as soon as one of the servers has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        for running in &mut self.running {
            if let Some(status) = running.process.poll()? {
                bail!("{} ended ({status}):\n{}", running.server.name(), tail(&running.place.log()));
            }
        }
        Ok(())
    }
}

impl Running {
    fn address(&self) -> String {
        self.server.address(&self.place)
    }

    /// Waits for the first answer, starting anew on other ports if one was taken, and returns the version.
    fn wait_until_ready(&mut self, interrupts: &Interrupts) -> Result<String> {
        let mut attempt = 1;
        let mut started = Instant::now();
        loop {
            interrupts.check()?;
            let answer = self.server.version(&self.place);
            // Looked at after the answer: with the port lost to another server, it is that one which has answered.
            if let Some(status) = self.process.poll()? {
                let log = tail(&self.place.log());
                if attempt == START_ATTEMPTS || !port_was_taken(&log) {
                    bail!("{} does not start ({status}):\n{log}", self.server.name());
                }
                attempt += 1;
                started = Instant::now();
                self.restart_elsewhere()?;
            } else {
                match answer {
                    Ok(version) => return Ok(version),
                    Err(error) if started.elapsed() > READY_LIMIT => {
                        let log = tail(&self.place.log());
                        return Err(error)
                            .with_context(|| format!("{} does not get ready:\n{log}", self.server.name()));
                    }
                    Err(_) => std::thread::sleep(POLL_INTERVAL),
                }
            }
        }
    }

    fn restart_elsewhere(&mut self) -> Result<()> {
        let ports = Reservation::take(self.server.port_count())?;
        self.place.ports = ports.numbers()?;
        let command = self.server.serve(&self.place)?;
        drop(ports);
        self.process = spawn(command, &self.place)?;
        Ok(())
    }
}

/// Every server that we start says so in these words, which are the C library's (or Java's) for EADDRINUSE.
fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// Starts a program with its output added to the log of `place`.
fn spawn(mut command: Command, place: &Place) -> Result<OwnProcess> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(place.log())
        .with_context(|| format!("cannot write {}", place.log().display()))?;
    command.stdout(log.try_clone().context("cannot share the log file")?).stderr(log);
    OwnProcess::spawn(&mut command).with_context(|| format!("cannot start: {}", describe(&command)))
}

/// Free ports on 127.0.0.1, kept from everybody else until dropped.
struct Reservation(Vec<TcpListener>);

impl Reservation {
    fn take(count: usize) -> Result<Self> {
        let listeners: std::io::Result<_> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
        Ok(Self(listeners.context("cannot take a free port on 127.0.0.1")?))
    }

    fn numbers(&self) -> Result<Vec<u16>> {
        let numbers: std::io::Result<_> = self.0.iter().map(|listener| Ok(listener.local_addr()?.port())).collect();
        numbers.context("cannot read a port's number")
    }
}

/// The temporary folder of one run, with its owner's lock.
struct Home {
    folder: TempDir,
    path: PathBuf,
    #[expect(dead_code, reason = "the open file is the lock")]
    owner: File,
}

impl Home {
    /// Makes one in `parent`, and removes those there whose owners are dead. The caller holds the cache's lock: it keeps
    /// another run from finding this folder between its creation and its lock.
    fn create(parent: &Path) -> Result<Self> {
        remove_ownerless(parent);
        let folder = tempfile::Builder::new()
            .prefix(HOME_PREFIX)
            .tempdir_in(parent)
            .with_context(|| format!("cannot create a folder in {}", parent.display()))?;
        let path = folder.path().canonicalize().context("cannot resolve the temporary folder")?;
        let owner = File::create(path.join(OWNER_FILE)).context("cannot create the owner's file")?;
        owner.lock().context("cannot lock the owner's file")?;
        Ok(Self { folder, path, owner })
    }

    /// Without symbolic links, as servers report it.
    fn path(&self) -> &Path {
        debug_assert!(self.folder.path().ends_with(self.path.file_name().unwrap_or_default()), "the same folder");
        &self.path
    }
}

/// Failures are left aside: another user's folder is his to remove.
fn remove_ownerless(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(HOME_PREFIX);
        let path = entry.path();
        if ours
            && let Ok(owner) = File::open(path.join(OWNER_FILE))
            && owner.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_distinct_and_nobody_else_gets_them() {
        let ports = Reservation::take(8).unwrap();
        let mut numbers = ports.numbers().unwrap();
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, numbers[0])).is_err());
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn a_folder_goes_with_its_owner_and_only_then() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Home::create(parent.path()).unwrap();
        let dead = parent.path().join(format!("{HOME_PREFIX}dead"));
        std::fs::create_dir(&dead).unwrap();
        File::create(dead.join(OWNER_FILE)).unwrap();
        let foreign = parent.path().join("tickiz-else");
        std::fs::create_dir(&foreign).unwrap();

        let second = Home::create(parent.path()).unwrap();
        assert!(alive.path().exists() && second.path().exists() && foreign.exists());
        assert!(!dead.exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }

    /// Finds its port taken as often as told, and is ready after that.
    struct Unlucky {
        unlucky_starts: std::cell::Cell<usize>,
    }

    impl Server for Unlucky {
        fn name(&self) -> &'static str {
            "unlucky"
        }
        fn variable(&self) -> &'static str {
            "TICKIZ_TEST_UNLUCKY"
        }
        fn install(&self, _: &Cache, _: &Interrupts) -> Result<()> {
            Ok(())
        }
        fn initialise(&self, _: &Place) -> Result<Option<Command>> {
            Ok(None)
        }
        fn serve(&self, place: &Place) -> Result<Command> {
            let mut command = crate::process::command("sh");
            let script = match self.unlucky_starts.get() {
                0 => format!("echo 1.0 > {}; exec sleep 600", place.data().display()),
                left => {
                    self.unlucky_starts.set(left - 1);
                    "echo 'bind: Address already in use'; exit 1".to_owned()
                }
            };
            command.args(["-c", &script]);
            Ok(command)
        }
        fn address(&self, place: &Place) -> String {
            place.ports[0].to_string()
        }
        fn version(&self, place: &Place) -> Result<String> {
            std::fs::read_to_string(place.data()).context("not yet")
        }
        fn version_at(&self, _: &str) -> Result<String> {
            bail!("there is none")
        }
        fn check_version(&self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    fn start_unlucky(unlucky_starts: usize) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let server = Box::new(Unlucky { unlucky_starts: unlucky_starts.into() });
        let place = Place { folder: folder.path().to_owned(), ports: vec![1] };
        let process = spawn(server.serve(&place)?, &place)?;
        let mut running = Running { kind: Kind::Mysql, server, place, process, died: None };
        running.wait_until_ready(&Interrupts::for_tests(std::sync::Arc::default()))?;
        assert_eq!(running.place.ports == [1], unlucky_starts == 0, "another port after a loss, only then");
        Ok(())
    }

    #[test]
    fn a_server_whose_port_was_taken_starts_on_another_but_not_for_ever() {
        start_unlucky(0).unwrap();
        start_unlucky(START_ATTEMPTS - 1).unwrap();
        let error = start_unlucky(START_ATTEMPTS).unwrap_err().to_string();
        assert!(error.contains("Address already in use"), "{error}");
    }

    #[test]
    fn every_server_has_a_name_and_a_variable_of_its_own() {
        let interrupts = Interrupts::for_tests(std::sync::Arc::default());
        let cache_folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(cache_folder.path(), &interrupts);
        let servers: Vec<_> = Kind::ALL.iter().map(|kind| kind.server(&cache)).collect();
        for (index, one) in servers.iter().enumerate() {
            assert!(one.variable().starts_with("TICKIZ_TEST_"));
            for other in &servers[index + 1..] {
                assert!(one.name() != other.name() && one.variable() != other.variable());
            }
        }
    }
}
