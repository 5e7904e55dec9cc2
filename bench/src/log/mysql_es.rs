//! mysql-es 0.5, in a process of its own: it pins an older sqlx than ours, and two of them in one build would change ours.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tickiz_domain::{booking::BookingDomainEvent, stored::StoredEvent};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    drive::{Measured, Timing},
    server::{Database, ensure_equal},
    show::{Show, Taking},
};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mysql-es/Cargo.toml");
/// Kept apart from our own, whose lock file and features differ.
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/mysql-es");
const PROGRAM: &str = "release/tickiz-bench-mysql-es";

/// What the program prints.
#[derive(Deserialize)]
struct Answer {
    acknowledged: u64,
    counted: u64,
}

/// Builds the program.
pub async fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path", MANIFEST, "--target-dir", TARGET])
        // What cargo set for our own build is not for another package's.
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .await
        .context("cannot run cargo")?;
    ensure!(status.success(), "mysql-es does not build: {status}");
    Ok(())
}

/// So many committers at once over a pool of so many connections.
pub async fn commits(database: &Database, committers: usize, connections: usize, timing: Timing) -> Result<Measured> {
    let payload = BookingDomainEvent::from(Show::new()?.placed(Taking::Seat)).payload();
    let mut child = Command::new(Path::new(TARGET).join(PROGRAM))
        .arg(database.url())
        .args([committers, connections].map(|number| number.to_string()))
        .args([timing.warm_up, timing.measured].map(|time| time.as_millis().to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the program of mysql-es")?;
    let mut stdin = child.stdin.take().context("the program has no standard input")?;
    stdin.write_all(&payload).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "mysql-es failed: {}", output.status);
    let answer: Answer = serde_json::from_slice(&output.stdout).context("mysql-es prints no answer")?;
    ensure_equal("events", database.number("SELECT COUNT(*) FROM events").await?, answer.acknowledged)?;
    let rate = answer.counted as f64 / timing.measured.as_secs_f64();
    Ok(Measured { acknowledged: answer.acknowledged, rate, latencies_us: Vec::new() })
}
