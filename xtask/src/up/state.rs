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

/// Where the sandbox's mails are written.
pub fn data() -> PathBuf {
    folder().join("data")
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
    /// Where mails are written.
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
        self.processes.iter().find(|process| process.role == "supervisor").map_or(0, |process| process.pid)
    }

    /// Whether the supervisor runs: a process of that id that is one. An id may have gone to another program since.
    pub fn is_alive(&self) -> bool {
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

/// SIGTERM.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
}
