//! The measurements behind every claim about speed. `cargo xtask bench NAME` gives each the server it needs.
//!
//! # Layout
//!
//! * [`log`]: appending to the event log on MySQL, against raw INSERTs, mysql-es and a counter in a row.
//! * [`rebuild`]: building read models anew on MySQL, against writing the same rows.
//! * [`lists`]: pages of the list of shows, against plain axum and against their statements alone.
//! * [`start`]: how soon the embedded default is ready on an existing store, and what it rests at.
//! * [`api`]: reads, holds, purchases and live seats through the API, against the sum of their parts.
//! * [`server`]: the MySQL that is measured on: settings, databases of our own.
//! * [`drive`]: many workers for a fixed time; [`stats`]: medians and spreads; [`show`]: the bookings that are appended.

mod api;
mod drive;
mod lists;
mod log;
mod rebuild;
mod server;
mod show;
mod start;
mod stats;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};

// The program's own allocator, so that the log is measured as it runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Tickiz.
#[derive(Parser)]
#[command(name = "tickiz-bench")]
struct Cli {
    #[command(subcommand)]
    name: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Appending to the event log on MySQL, against raw INSERTs and other stores.
    Log(log::LogArgs),
    /// The embedded default's start and rest.
    Start(start::StartArgs),
    /// The API over MySQL and Redis, against the sum of its parts.
    Api(api::ApiArgs),
    /// Building read models anew, against writing the same rows.
    Rebuild(rebuild::RebuildArgs),
    /// Pages of the list of shows, against plain axum and against their statements alone.
    Lists(lists::ListsArgs),
    /// What the API is measured against: answers and broadcasts without any of ours. Started by `api` and `lists` themselves.
    #[command(hide = true)]
    Plain,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow!("another TLS provider was installed first"))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        match &cli.name {
            Bench::Log(args) => log::run(args).await,
            Bench::Start(args) => start::run(args).await,
            Bench::Api(args) => api::run(args).await,
            Bench::Rebuild(args) => rebuild::run(args).await,
            Bench::Lists(args) => lists::run(args).await,
            Bench::Plain => api::plain::serve().await,
        }
    })
}
