//! `cargo xtask servers`: the servers of the tests for a developer's own shells, until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::install::Cache;
use crate::process::{Interrupts, POLL_INTERVAL};
use crate::servers::{Fleet, Kind};

/// Options of `cargo xtask servers`.
#[derive(Args)]
pub struct ServersArgs {
    /// Which servers; all of them where none is named.
    #[arg(value_enum)]
    kinds: Vec<Kind>,
    /// Also write the lines to this file once every server is ready; it is removed at the end.
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
}

/// Starts private servers, prints how to find them, and stays until a signal comes. What dies is started again.
pub fn run(args: &ServersArgs, interrupts: &Interrupts) -> Result<()> {
    let kinds = if args.kinds.is_empty() { Kind::ALL } else { &args.kinds };
    let mut fleet = Fleet::start(kinds, &Cache::open(interrupts)?, interrupts)?;
    let lines = lines(&fleet);
    let _env_file = args.env_file.as_deref().map(|path| EnvFile::write(path, &lines)).transpose()?;
    print!("{lines}");
    eprintln!("xtask: ready, Ctrl-C stops them");
    while interrupts.check().is_ok() {
        if fleet.restart_the_dead()?
            && let Some(path) = &args.env_file
        {
            EnvFile::put(path, &self::lines(&fleet))?;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    // A signal is how this command is meant to end.
    eprintln!("xtask: stopping");
    Ok(())
}

/// Where each is, and which process it is.
fn lines(fleet: &Fleet) -> String {
    let places = fleet.environment().into_iter().map(|(name, value)| format!("export {name}={value}\n"));
    let pids = fleet.processes().into_iter().map(|server| format!("export {}_PID={}\n", server.variable, server.pid));
    places.chain(pids).collect()
}

/// A file that exists only while what it names is running.
struct EnvFile<'a>(&'a Path);

impl<'a> EnvFile<'a> {
    /// Appears whole or not at all: others wait for it and read it at once.
    fn write(path: &'a Path, lines: &str) -> Result<Self> {
        Self::put(path, lines)?;
        Ok(Self(path))
    }

    fn put(path: &Path, lines: &str) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let context = || format!("cannot write {}", path.display());
        let part = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
        std::fs::write(part.path(), lines).with_context(context)?;
        part.persist(path).with_context(context)?;
        Ok(())
    }
}

impl Drop for EnvFile<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}
