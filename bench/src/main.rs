//! `tickiz-bench log`: what the event log reaches through its production path, beside what the same server reaches with plain
//! statements and with mysql-es, all interleaved in one run. Ratios count; the machine is shared, so absolute figures do not.
//!
//! # Layout
//! * [`sides`]: one function a side, each for a fixed time, each checking afterwards that the rows are there.
//! * [`report`]: medians, spreads, targets.

mod purchase;
mod report;
mod sides;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one side runs in one round.
const SLICE: Duration = Duration::from_millis(2500);
/// Rounds without `--rounds`.
const DEFAULT_ROUNDS: usize = 5;

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tickiz-bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tickiz-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    anyhow::ensure!(arguments.next().as_deref() == Some("log"), "usage: tickiz-bench log [--rounds N]");
    let rounds = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--rounds"), Some(rounds)) => rounds.parse().context("--rounds takes a number")?,
        _ => DEFAULT_ROUNDS,
    };
    let server = std::env::var("TICKIZ_BENCH_MYSQL_URL").context("TICKIZ_BENCH_MYSQL_URL names no server")?;
    let bench = sides::Bench::open(&server).await?;
    bench.print_settings().await?;
    let mut report = report::Report::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        bench.round(&mut report, SLICE).await?;
    }
    bench.close().await?;
    print!("{report}");
    Ok(())
}
