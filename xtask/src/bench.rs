//! `cargo xtask bench NAME`: the measurements behind every claim about speed, each over a private server.
//!
//! What is measured, and how, is the package `tickiz-bench`; this only gives it a server and says by which settings.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::install::Cache;
use crate::process::{self, Interrupts, OnInterrupt};
use crate::servers::{Fleet, Kind, SQL_SETTINGS};

/// The package that measures.
const PACKAGE: &str = "tickiz-bench";
/// Names a MySQL of the user's own, and tells the measurements where it is.
const MYSQL_VARIABLE: &str = "TICKIZ_BENCH_MYSQL_URL";
/// Tells the measurements where Redis is.
const REDIS_VARIABLE: &str = "TICKIZ_BENCH_REDIS_URL";

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// What to measure.
    #[arg(value_enum)]
    name: Bench,
    /// What follows goes to the measurement.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The measurements that there are.
#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Appending to the event log on MySQL, against raw INSERTs and other stores.
    Log,
    /// How soon the embedded default is ready on an existing store, and what it rests at.
    Start,
    /// Building read models anew, against writing the same rows.
    Rebuild,
    /// Pages of the list of shows, against plain axum and against their statements alone.
    Lists,
    /// Reads, holds, purchases and live seats through the API, against the sum of their parts.
    Api,
}

impl Bench {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Start => "start",
            Self::Rebuild => "rebuild",
            Self::Lists => "lists",
            Self::Api => "api",
        }
    }

    fn servers(self) -> &'static [Kind] {
        match self {
            Self::Log | Self::Rebuild | Self::Lists => &[Kind::Mysql],
            Self::Start => &[],
            Self::Api => &[Kind::Mysql, Kind::Redis],
        }
    }

    /// What is built before: the measurements, and the program where it is measured as a process.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Log | Self::Rebuild => &[PACKAGE],
            Self::Start | Self::Lists | Self::Api => &[PACKAGE, "tickiz"],
        }
    }
}

/// Builds first, so that the server is young and nothing compiles beside it; then starts it and measures.
pub fn run(args: &BenchArgs, interrupts: &Interrupts) -> Result<ExitCode> {
    let mut build = process::cargo();
    build.args(["build", "--profile", "production", "--locked"]);
    for package in args.name.packages() {
        build.args(["-p", package]);
    }
    if matches!(args.name, Bench::Api) {
        build.args(["--features", "tickiz/distributed"]);
    }
    let status = process::run(&mut build, interrupts, OnInterrupt::Stop)?;
    if !status.success() {
        return Ok(ExitCode::from(process::exit_code(status)));
    }

    let mut measure = process::command(process::top().join("target/production").join(PACKAGE));
    measure.arg(args.name.name()).args(&args.args).current_dir(process::top());
    let own_server = std::env::var_os(MYSQL_VARIABLE).is_some_and(|url| !url.is_empty());
    let _fleet = if args.name.servers().is_empty() {
        None
    } else if own_server {
        eprintln!("xtask: the MySQL of {MYSQL_VARIABLE}, with its own settings");
        None
    } else {
        let fleet = Fleet::start(args.name.servers(), &Cache::open(interrupts)?, interrupts)?;
        eprintln!("xtask: with {}", SQL_SETTINGS.join(" "));
        if let Some(url) = fleet.address_of(Kind::Mysql) {
            measure.env(MYSQL_VARIABLE, url);
        }
        if let Some(url) = fleet.address_of(Kind::Redis) {
            measure.env(REDIS_VARIABLE, url);
        }
        Some(fleet)
    };
    let status = process::run(&mut measure, interrupts, OnInterrupt::Stop)?;
    Ok(ExitCode::from(process::exit_code(status)))
}
