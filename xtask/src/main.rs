//! Everything a developer runs, as `cargo xtask COMMAND`: what CI runs is the same.
//!
//! # Layout
//! * [`test`], [`bench`], [`schema`], [`serve`]: one module for each command.
//! * [`up`]: the distributed form on this machine.
//! * [`servers`]: private servers, one module for each kind.
//! * [`install`], [`apt_sources`]: what is put on a machine that lacks it, and from where.
//! * [`process`]: children that cannot outlive us, and signals.

mod apt_sources;
mod bench;
mod install;
mod process;
mod schema;
mod serve;
mod servers;
mod test;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use process::{Interrupted, Interrupts};

/// Tickiz's developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test over private servers, which are installed where they are missing and stopped at the end.
    Test(test::TestArgs),
    /// Measure, over a private server.
    Bench(bench::BenchArgs),
    /// Write the generated schemas and tables; the tests check them.
    Schema,
    /// Start the servers that the tests use, print the variables to export, and stay until Ctrl-C.
    Servers(serve::ServersArgs),
    /// Start the distributed form on this machine: servers, and every role twice behind one address; `.dev/up.json` says where.
    Up,
    /// Stop what `up` started.
    Down,
    #[command(hide = true)]
    Supervise,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = Interrupts::install().and_then(|interrupts| match &cli.command {
        Task::Test(args) => test::run(args, &interrupts),
        Task::Bench(args) => bench::run(args, &interrupts),
        Task::Schema => schema::run(&interrupts),
        Task::Servers(args) => serve::run(args, &interrupts).map(|()| ExitCode::SUCCESS),
        Task::Up => up::up(&interrupts),
        Task::Down => up::down(),
        Task::Supervise => up::supervise(&interrupts),
    });
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        match error.downcast_ref::<Interrupted>() {
            Some(Interrupted(signal)) => ExitCode::from(128_u8.saturating_add(*signal)),
            None => ExitCode::FAILURE,
        }
    })
}
