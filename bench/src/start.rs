//! How soon the embedded default is ready on an existing store, and how much memory it rests at.
//!
//! The first start makes the store with its demo data and is not counted. Then it is started again on it, as often as asked, each
//! time as a new process: from its start to the first 200 of `/readyz`, and its resident memory after a while of rest.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

use crate::stats::Spread;

/// Ready within this, on an existing store.
const TARGET_READY_MS: f64 = 1000.0;
/// Resting below this.
const TARGET_RESTING_MB: f64 = 100.0;
/// What the first start gets, which makes the demo data.
const FIRST_START_LIMIT: Duration = Duration::from_secs(120);
/// What any other gets before something must be wrong.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready; the figure is as fine as this.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long it rests before its memory is read.
const REST: Duration = Duration::from_secs(5);
/// How long it may take to drain and end.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What it prints before its address.
const ADDRESS_MARK: &str = "listening on ";

/// Options of the measurement.
#[derive(Args)]
pub struct StartArgs {
    /// The program.
    #[arg(long, default_value = "target/production/tickiz")]
    binary: PathBuf,
    /// How often it is started on the existing store.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// A running Tickiz; killed when it is dropped.
struct Running {
    child: Child,
    url: String,
    ready_after: Duration,
}

impl Running {
    async fn start(binary: &Path, data: &Path, limit: Duration) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--demo"])
            .env("TICKIZ_DATA_DIR", data)
            .env("TICKIZ_LISTEN", "127.0.0.1:0")
            .current_dir(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("the program has no standard output")?;
        let stderr = child.stderr.take().context("the program has no standard error")?;
        let (found, mut address) = mpsc::channel(1);
        tokio::spawn(find_address(stdout, found.clone()));
        tokio::spawn(find_address(stderr, found));
        let url = tokio::time::timeout(limit, address.recv()).await.ok().flatten().context("no address is printed")?;
        let client = reqwest::Client::builder().timeout(START_LIMIT).build()?;
        let ready = format!("{url}/readyz");
        while began.elapsed() < limit {
            if client.get(&ready).send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK) {
                return Ok(Self { child, url, ready_after: began.elapsed() });
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        bail!("{url} is not ready after {limit:?}")
    }

    /// Resident memory, in megabytes of 10^6 bytes.
    fn resident_mb(&self) -> Result<f64> {
        let pid = self.child.id().context("the program has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }

    /// Ends it as Ctrl-C does, so that the next finds a store that was closed.
    async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("the program has ended")?;
        let asked = Command::new("kill").args(["-INT", &pid.to_string()]).status().await?;
        ensure!(asked.success(), "the program cannot be told to stop");
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.context("it does not stop")??;
        ensure!(status.success(), "the program at {} ended with {status}", self.url);
        Ok(())
    }
}

/// Sends the address in what it prints. Reads on to the end, since a pipe that is full or closed would stop it.
async fn find_address(output: impl AsyncRead + Unpin, found: mpsc::Sender<String>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let url = line.split_once(ADDRESS_MARK).and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(url) = url {
            // Only the first is waited for.
            let _ = found.try_send(url.to_owned());
        }
    }
}

/// Measures, and prints the report on standard output.
pub async fn run(args: &StartArgs) -> Result<()> {
    let binary = args.binary.canonicalize().with_context(|| format!("no program at {}", args.binary.display()))?;
    let data = tempfile::tempdir()?;
    Running::start(&binary, data.path(), FIRST_START_LIMIT).await?.stop().await?;
    let (mut ready_ms, mut resting_mb) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        let running = Running::start(&binary, data.path(), START_LIMIT).await?;
        ready_ms.push(running.ready_after.as_secs_f64() * 1000.0);
        tokio::time::sleep(REST).await;
        resting_mb.push(running.resident_mb()?);
        running.stop().await?;
        eprintln!(
            "round {round}: ready after {:.0} ms, resting at {:.1} MB",
            ready_ms[ready_ms.len() - 1],
            resting_mb[resting_mb.len() - 1]
        );
    }
    println!("| embedded default, existing store | median (min to max) | wanted | |\n|---|---|---|---|");
    for (what, values, wanted, unit) in [
        ("start to ready", ready_ms, TARGET_READY_MS, "ms"),
        ("resident memory at rest", resting_mb, TARGET_RESTING_MB, "MB"),
    ] {
        let spread = Spread::of(values).context("nothing was measured")?;
        let verdict = if spread.median <= wanted { "reached" } else { "**missed**" };
        println!(
            "| {what} | {:.1} {unit} ({:.1} to {:.1}) | ≤ {wanted:.0} {unit} | {verdict} |",
            spread.median, spread.min, spread.max
        );
    }
    Ok(())
}
