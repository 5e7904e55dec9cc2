//! `.dev/up.json`: where everything is, for scripts.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::process::top;

/// The folder that git does not see.
fn folder() -> PathBuf {
    top().join(".dev")
}

/// Where every process writes its log.
pub fn logs() -> PathBuf {
    folder().join("logs")
}

/// What roles keep beside the servers.
pub fn data() -> PathBuf {
    folder().join("data")
}

/// Where the sink writes mails.
pub fn mails() -> PathBuf {
    data().join("mails")
}

fn file() -> PathBuf {
    folder().join("up.json")
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// `query-api` and the like, or `supervisor`.
    pub role: String,
    /// Its id.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since the machine was: tells it from another that got its id later.
    #[serde(default)]
    pub started: u64,
    /// Its log.
    pub log: PathBuf,
}

/// Everything that a script wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The one address.
    pub url: String,
    /// The organiser's bearer token.
    pub organizer_token: String,
    /// The auditor's bearer token.
    pub auditor_token: String,
    /// The log's database.
    pub mysql_url: String,
    /// Redis.
    pub redis_url: String,
    /// Kafka.
    pub kafka_brokers: String,
    /// The mail server of the sink, as host:port.
    pub smtp: String,
    /// Where the sink writes mails.
    pub mail_dir: PathBuf,
    /// The supervisor first, then the roles.
    pub processes: Vec<Process>,
}

impl State {
    /// What the file says; `None` where there is none.
    pub fn read() -> Result<Option<Self>> {
        match std::fs::read(file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{}", file().display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file().display())),
        }
    }

    /// Appears whole or not at all: others read it at any moment.
    pub fn write(&self) -> Result<()> {
        let part = tempfile::NamedTempFile::new_in(folder()).context("cannot write into .dev")?;
        std::fs::write(part.path(), serde_json::to_vec_pretty(self)?)?;
        part.persist(file()).with_context(|| format!("cannot write {}", file().display()))?;
        Ok(())
    }

    /// Removes the file.
    pub fn remove() {
        // Where it is not there, it is as is wanted.
        let _ = std::fs::remove_file(file());
    }

    /// The supervisor's process id; 0 where the file names none.
    pub fn supervisor(&self) -> u32 {
        self.supervising().map_or(0, |process| process.pid)
    }

    fn supervising(&self) -> Option<&Process> {
        self.processes.iter().find(|process| process.role == "supervisor")
    }

    /// Whether the supervisor runs: a process of that id that is one, and was started when it was. An id may have gone to another
    /// program since, to another supervisor even.
    pub fn is_alive(&self) -> bool {
        if self.supervising().is_none_or(|process| started(process.pid) != process.started) {
            return false;
        }
        let arguments = std::fs::read(format!("/proc/{}/cmdline", self.supervisor())).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == b"supervise")
    }

    /// What a person wants to know.
    pub fn print(&self) {
        println!("Tickiz is up at {}", self.url);
        println!("organizer token {}\nauditor token   {}", self.organizer_token, self.auditor_token);
        println!("{} processes; {} has the rest", self.processes.len(), file().display());
    }
}

/// When a process was started (field 22 of proc(5)'s stat); 0 where there is none.
pub fn started(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the program's name in brackets, which may have spaces in it.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// One `up` at a time: held until this is dropped.
pub fn lock() -> Result<std::fs::File> {
    let path = folder().join("lock");
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("xtask: another one is starting; waiting for it");
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

/// SIGTERM.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
}
