//! `cargo xtask up` and `cargo xtask down`: the distributed form on this machine, as in production but for its size.
//!
//! `up` starts a supervisor and returns when everything answers; `.dev/up.json` says where. The supervisor starts private servers
//! and every role twice, starts again what dies, and balances one address over the two query-apis. `down` asks it to stop, and it
//! alone stops what it started. Both may be repeated. The servers' data goes with them.
//!
//! # Layout
//!
//! * [`supervisor`]: servers, roles, and who starts again what dies. [`balancer`]: one address for the query-apis.
//! * [`state`]: what `.dev/up.json` says.

mod balancer;
mod mail_sink;
mod state;
mod supervisor;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::state::State;
use crate::install::tail;
use crate::process::{self, Interrupts, OnInterrupt, POLL_INTERVAL};

/// What `up` gives the supervisor once everything is built: servers that have to be installed first take minutes.
const UP_LIMIT: Duration = Duration::from_secs(900);
/// What `down` gives the supervisor: every role drains for 10 s at most, one after the other kind.
const DOWN_LIMIT: Duration = Duration::from_secs(360);

/// Starts everything, unless it runs.
pub fn up(interrupts: &Interrupts) -> Result<ExitCode> {
    std::fs::create_dir_all(state::logs()).with_context(|| format!("cannot create {}", state::logs().display()))?;
    let _lock = state::lock()?;
    if let Some(running) = State::read()?.filter(State::is_alive) {
        running.print();
        return Ok(ExitCode::SUCCESS);
    }
    State::remove();
    let mut build = process::cargo();
    build.args(["build", "--release", "--locked", "-p", "tickiz", "--features", "distributed"]);
    let status = process::run(&mut build, interrupts, OnInterrupt::Stop)?;
    if !status.success() {
        return Ok(ExitCode::from(process::exit_code(status)));
    }
    let log = state::logs().join("supervisor.log");
    let output = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    // Not one of our own processes: it lives on when this command has ended.
    let mut supervisor = Command::new(std::env::current_exe().context("cannot find ourselves")?)
        .arg("supervise")
        .current_dir(process::top())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start the supervisor")?;
    eprintln!("xtask: starting; the supervisor's log is {}", log.display());
    let began = Instant::now();
    loop {
        if let Some(state) = State::read()? {
            state.print();
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = supervisor.try_wait()? {
            bail!("the supervisor ended ({status}):\n{}", tail(&log));
        }
        if began.elapsed() > UP_LIMIT || interrupts.check().is_err() {
            state::terminate(supervisor.id());
            let _ = supervisor.wait();
            interrupts.check()?;
            bail!("it is not up after {UP_LIMIT:?}:\n{}", tail(&log));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Stops everything that `.dev/up.json` names.
pub fn down() -> Result<ExitCode> {
    let Some(state) = State::read()? else {
        eprintln!("xtask: nothing is up");
        return Ok(ExitCode::SUCCESS);
    };
    if state.is_alive() {
        state::terminate(state.supervisor());
        let began = Instant::now();
        while state.is_alive() {
            if began.elapsed() > DOWN_LIMIT {
                bail!("the supervisor (process {}) does not stop", state.supervisor());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
    State::remove();
    eprintln!("xtask: down");
    Ok(ExitCode::SUCCESS)
}

/// What `up` runs in the background; not for calling by hand.
pub fn supervise(interrupts: &Interrupts) -> Result<ExitCode> {
    let ended = supervisor::run(interrupts);
    State::remove();
    ended.map(|()| ExitCode::SUCCESS)
}
