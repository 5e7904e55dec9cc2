//! Child processes that cannot outlive us, and signals that reach us.
//!
//! Why nothing is left behind, whichever way a run ends:
//! * Every child leads a process group of its own, so Ctrl-C in a terminal reaches only us and we decide in which order
//!   things stop; and a group can be killed whole, with the grandchildren (test binaries, `dpkg`) in it.
//! * [`OwnProcess`] kills its group when it is dropped: after an error, after a panic, after an interrupt.
//! * Signals only set a flag that every wait looks at, so an interrupt is an ordinary error that unwinds through the same
//!   drops. Nothing may call `std::process::exit`: that would skip them.
//! * If we are killed with SIGKILL, the kernel kills the children (`setpriv --pdeathsig`). It watches the *thread* that
//!   started them, therefore children are started on the main thread only.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a waiting loop looks at its children and at the signals.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// What a child gets between SIGTERM and SIGKILL. Nothing that we start needs longer, and a developer is waiting.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The run was ended by a signal; carries its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted(pub u8);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Remembers SIGINT, SIGTERM and SIGHUP until somebody asks.
#[derive(Clone)]
pub struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// Takes over the three signals for the rest of the process's life.
    pub fn install() -> Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).context("a signal has a negative number")?;
            signal_hook::flag::register_usize(signal, Arc::clone(&seen), number)
                .with_context(|| format!("cannot listen for signal {signal}"))?;
        }
        Ok(Self(seen))
    }

    /// One that is set by hand instead of by a signal.
    #[cfg(test)]
    pub fn for_tests(seen: Arc<AtomicUsize>) -> Self {
        Self(seen)
    }

    /// An error of type [`Interrupted`] once a signal has come.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            number => Err(Interrupted(u8::try_from(number).unwrap_or(u8::MAX))),
        }
    }
}

/// What [`run`] does to the child when a signal comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// Stops it: SIGTERM to its group, SIGKILL after a grace period.
    Stop,
    /// Waits for its end first: a package manager cut in the middle leaves a broken system behind.
    Finish,
}

/// Finds a program by name on `PATH` and where administrators' programs live, which is not on everybody's `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// True for the administrator.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command for `program` that the kernel kills when we die, where the system has `setpriv` (util-linux) to ask it so.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let mut command = match SETPRIV.get_or_init(|| find_program("setpriv")) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0).stdin(Stdio::null());
    // `cargo run` points it at the build folder; what we start is not ours to feed with those libraries.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// The cargo that runs us, so that its version is the same, at the top of the repository.
pub fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(top());
    command
}

/// The top of the repository, from wherever in it we were started.
pub fn top() -> PathBuf {
    // Cargo sets the variable for what it runs; the constant is for a program started by hand.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A child that leads its own process group; the whole group dies with this value.
pub struct OwnProcess {
    child: Child,
    ended: Option<ExitStatus>,
    grace: Duration,
}

impl OwnProcess {
    /// Starts a command made by [`command`].
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {}", describe(command)))?;
        Ok(Self { child, ended: None, grace: STOP_GRACE })
    }

    /// The same, with another time between SIGTERM and SIGKILL.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Its exit status, or nothing while it runs.
    pub fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits for its end, or for a signal to us; then what `on_interrupt` says.
    pub fn wait(&mut self, interrupts: &Interrupts, on_interrupt: OnInterrupt) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.poll()? {
                interrupts.check()?;
                return Ok(status);
            }
            if on_interrupt == OnInterrupt::Stop
                && let Err(interrupted) = interrupts.check()
            {
                self.stop();
                return Err(interrupted.into());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Its process id. Where `setpriv` started it, it has become the program itself.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM to the group, and SIGKILL to what is left of it after a grace period.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < self.grace && matches!(self.poll(), Ok(None)) {
            std::thread::sleep(POLL_INTERVAL);
        }
        self.signal(Signal::KILL);
    }

    /// The error is left aside: the only one that a group of our own can give is that nobody is left in it.
    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        // Also when the leader has ended: a test may have left something of its own running in the group.
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            let _ = self.child.wait();
        }
    }
}

/// Runs a command made by [`command`] to its end.
pub fn run(command: &mut Command, interrupts: &Interrupts, on_interrupt: OnInterrupt) -> Result<ExitStatus> {
    interrupts.check()?;
    OwnProcess::spawn(command)?.wait(interrupts, on_interrupt)
}

/// The command as one would type it: without the `setpriv` in front, and without the program's folder.
pub fn describe(command: &Command) -> String {
    let mut words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    if Path::new(words[0]).ends_with("setpriv") && words.len() > 4 {
        words.drain(..4);
    }
    if let Some(name) = Path::new(words[0]).file_name() {
        words[0] = name;
    }
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The exit code that a shell would show for this status.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Interrupts {
        Interrupts(Arc::new(AtomicUsize::new(0)))
    }

    fn group_is_alive(leader: u32) -> bool {
        let group = Pid::from_raw(leader as i32).unwrap();
        rustix::process::test_kill_process_group(group).is_ok()
    }

    #[test]
    fn a_dropped_process_takes_its_grandchildren_with_it() {
        let mut leader = OwnProcess::spawn(command("sh").args(["-c", "sleep 600 & exit 0"])).unwrap();
        leader.wait(&quiet(), OnInterrupt::Stop).unwrap();
        let group = leader.child.id();
        assert!(group_is_alive(group), "the grandchild outlives the shell");
        drop(leader);
        while group_is_alive(group) {
            // Killed already; whoever adopted it has to collect it.
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    #[test]
    fn an_interrupt_stops_the_child_and_is_told_apart_from_its_exit() {
        let interrupts = quiet();
        interrupts.0.store(15, Ordering::SeqCst);
        let mut child = OwnProcess::spawn(command("sleep").arg("600")).unwrap();
        let error = child.wait(&interrupts, OnInterrupt::Stop).unwrap_err();
        assert_eq!(error.downcast_ref::<Interrupted>(), Some(&Interrupted(15)));
        assert!(child.poll().unwrap().is_some());
    }

    #[test]
    fn an_interrupt_lets_a_package_manager_finish() {
        let interrupts = quiet();
        interrupts.0.store(2, Ordering::SeqCst);
        let mut child = OwnProcess::spawn(command("sh").args(["-c", "sleep 0.1; exit 7"])).unwrap();
        let error = child.wait(&interrupts, OnInterrupt::Finish).unwrap_err();
        assert_eq!(error.downcast_ref::<Interrupted>(), Some(&Interrupted(2)));
        assert_eq!(child.poll().unwrap().map(exit_code), Some(7), "it ended by itself");
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        assert_eq!(describe(command("/opt/rust/bin/cargo").args(["fmt", "--check"])), "cargo fmt --check");
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        let status = |script: &str| run(command("sh").args(["-c", script]), &quiet(), OnInterrupt::Stop).unwrap();
        assert_eq!(exit_code(status("exit 101")), 101);
        assert_eq!(exit_code(status("kill -KILL $$")), 137);
    }
}
