//! `cargo xtask test`: everything that must pass, over real servers, in one command.
//!
//! The steps run one after the other, and a failed one does not keep the next from running: who waits for the tests
//! wants to hear of every fault at once. Only without servers nothing else makes sense.
//!
//! A new suite is one more line in [`run`].

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::install::Cache;
use crate::process::{self, Interrupts, OnInterrupt};
use crate::servers::{Fleet, Kind};

/// What the workspace's C code is compiled by, beside the compiler that Rust needs anyway: librdkafka has a makefile.
const BUILD_PROGRAMS: &[&str] = &["make", "pkg-config"];
/// The libraries that it is compiled against, as `pkg-config` calls them.
const BUILD_LIBRARIES: &[&str] = &["libssl", "libcrypto", "zlib"];
/// What Debian calls both.
const BUILD_PACKAGES: &[&str] = &["make", "pkg-config", "libssl-dev", "zlib1g-dev"];

/// Every crate, with what is apart only so that a first build is small.
const EVERYTHING: [&str; 3] =
    ["--workspace", "--features", "tickiz/distributed,tickiz/parquet,tickiz-documents/wallet"];

/// Options of `cargo xtask test`.
#[derive(Args)]
pub struct TestArgs {
    /// Also run clippy with every warning as an error. It compiles the workspace a second time.
    #[arg(long)]
    lint: bool,
    /// What follows `--` goes to `cargo test`; `-p CRATE` there narrows the run to that crate.
    #[arg(last = true, value_name = "CARGO TEST ARGUMENTS")]
    cargo_test: Vec<OsString>,
}

/// Runs every step and returns the code of the first that failed.
pub fn run(args: &TestArgs, interrupts: &Interrupts) -> Result<ExitCode> {
    let started = Instant::now();
    let cache = Cache::open(interrupts)?;
    {
        let _lock = cache.lock()?;
        cache.need(BUILD_PROGRAMS, BUILD_LIBRARIES, BUILD_PACKAGES).context("cannot compile the workspace")?;
    }
    let (mut fleet, environment) = servers(&cache, interrupts)?;
    let mut steps = Steps { interrupts, done: vec![Step { name: "servers", took: started.elapsed(), code: 0 }] };

    if rustfmt_is_there(interrupts)? {
        steps.run("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    } else {
        eprintln!("xtask: no rustfmt, formatting is not checked (rustup component add rustfmt)");
    }
    if args.lint {
        let options = ["--all-targets", "--locked", "--", "-D", "warnings"];
        steps.run("clippy", process::cargo().arg("clippy").args(EVERYTHING).args(options))?;
    }
    // Tests that skip themselves without a server must not do so here.
    let tests = cargo_test(&args.cargo_test);
    steps.run("cargo test", process::cargo().args(tests).envs(environment).env("TICKIZ_TEST_REQUIRE_SERVERS", "1"))?;

    // A server that fell over explains failed tests better than their own output does.
    let servers_lived = fleet.check_alive();
    drop(fleet);
    steps.report(started.elapsed());
    servers_lived.context("a server did not survive the tests")?;
    Ok(ExitCode::from(steps.first_failure()))
}

/// Starts a private server for each variable that the user has not set, and asks the others for their version.
fn servers(cache: &Cache, interrupts: &Interrupts) -> Result<(Fleet, Vec<(&'static str, String)>)> {
    let mut private = Vec::new();
    for kind in Kind::ALL {
        let server = kind.server(cache);
        match std::env::var(server.variable()) {
            Ok(address) if !address.is_empty() => {
                let version = server.version_at(&address).with_context(|| server.variable())?;
                server.check_version(&version)?;
                eprintln!("xtask: {} {version}, by {}", server.name(), server.variable());
            }
            _ => private.push(*kind),
        }
    }
    let fleet = Fleet::start(&private, cache, interrupts)?;
    let environment = fleet.environment();
    Ok((fleet, environment))
}

/// Toolchains of rustup's minimal profile come without it.
fn rustfmt_is_there(interrupts: &Interrupts) -> Result<bool> {
    let mut version = process::cargo();
    version.args(["fmt", "--version"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    Ok(process::run(&mut version, interrupts, OnInterrupt::Stop)?.success())
}

/// The arguments of `cargo test`: every crate unless the user has named some, and all failures instead of the first.
fn cargo_test(extra: &[OsString]) -> Vec<OsString> {
    let names_a_package = extra
        .iter()
        .map(|argument| argument.to_string_lossy())
        // What follows a second `--` is for the test programs.
        .take_while(|argument| argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let mut arguments: Vec<OsString> = ["test", "--locked", "--no-fail-fast"].map(OsString::from).into();
    if !names_a_package {
        arguments.extend(EVERYTHING.map(OsString::from));
    }
    arguments.extend_from_slice(extra);
    arguments
}

struct Step {
    name: &'static str,
    took: Duration,
    code: u8,
}

struct Steps<'a> {
    interrupts: &'a Interrupts,
    done: Vec<Step>,
}

impl Steps<'_> {
    /// Runs one step; its failure is noted, only an interrupt or a missing program is an error.
    fn run(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        eprintln!("xtask: {}", process::describe(command));
        let started = Instant::now();
        let status = process::run(command, self.interrupts, OnInterrupt::Stop)?;
        self.done.push(Step { name, took: started.elapsed(), code: process::exit_code(status) });
        Ok(())
    }

    fn report(&self, total: Duration) {
        for step in &self.done {
            let outcome = if step.code == 0 { "ok".to_owned() } else { format!("FAILED ({})", step.code) };
            eprintln!("xtask: {:<12}{:>8.1} s  {outcome}", step.name, step.took.as_secs_f64());
        }
        eprintln!("xtask: {:<12}{:>8.1} s", "total", total.as_secs_f64());
    }

    fn first_failure(&self) -> u8 {
        self.done.iter().map(|step| step.code).find(|code| *code != 0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(extra: &[&str]) -> String {
        let extra: Vec<OsString> = extra.iter().map(OsString::from).collect();
        cargo_test(&extra).iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_named_package_narrows_the_run_and_nothing_else_does() {
        let everything = "test --locked --no-fail-fast --workspace --features tickiz/distributed,tickiz/parquet,tickiz-documents/wallet";
        assert_eq!(arguments(&[]), everything);
        assert_eq!(arguments(&["-p", "xtask"]), "test --locked --no-fail-fast -p xtask");
        assert_eq!(arguments(&["--package=xtask"]), "test --locked --no-fail-fast --package=xtask");
        assert_eq!(arguments(&["some_test"]), format!("{everything} some_test"));
        assert_eq!(arguments(&["--", "-p"]), format!("{everything} -- -p"));
    }

    #[test]
    fn the_first_failure_is_the_one_that_is_returned() {
        let interrupts = Interrupts::for_tests(std::sync::Arc::default());
        let mut steps = Steps { interrupts: &interrupts, done: Vec::new() };
        for (name, code) in [("a", "0"), ("b", "3"), ("c", "101"), ("d", "0")] {
            steps.run(name, process::command("sh").args(["-c", &format!("exit {code}")])).unwrap();
        }
        assert_eq!(steps.done.len(), 4, "a failure stops nothing");
        assert_eq!(steps.first_failure(), 3);
    }
}
