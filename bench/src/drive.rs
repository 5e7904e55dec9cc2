//! Many workers for a fixed time.
//!
//! Every side of a measurement is driven by this same loop: each worker does one piece of work after the other, a closed loop. What
//! is acknowledged in the warm-up is real and is validated, but not counted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// How much longer than asked for a side may take before something must be wrong: connecting, the last work, a server that
/// flushes what it was given.
const GRACE: Duration = Duration::from_secs(60);

/// How long a side works.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Not counted: connections fill their statement caches, the server its pages.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

/// Does one piece of work after the other.
pub trait Worker: Send + 'static {
    /// One piece; how many rows or appends it was.
    fn work(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Everything that was acknowledged, the warm-up's too.
    pub acknowledged: u64,
    /// A second, within the measured time.
    pub rate: f64,
    /// How long each piece within the measured time took, in microseconds, sorted.
    pub latencies_us: Vec<u32>,
}

/// Runs the workers side by side until the time is over and every one has ended its last piece.
pub async fn drive<W: Worker>(workers: Vec<W>, timing: Timing) -> Result<Measured> {
    let counting_from = Instant::now() + timing.warm_up;
    let until = counting_from + timing.measured;
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(run(worker, counting_from, until));
    }
    let all = async {
        let mut sum = Measured::default();
        let mut counted = 0;
        while let Some(ended) = tasks.join_next().await {
            let (acknowledged, within, latencies) = ended.context("a worker ended badly")??;
            sum.acknowledged += acknowledged;
            counted += within;
            sum.latencies_us.extend(latencies);
        }
        sum.rate = counted as f64 / timing.measured.as_secs_f64();
        sum.latencies_us.sort_unstable();
        Ok(sum)
    };
    let limit = timing.warm_up + timing.measured + GRACE;
    tokio::time::timeout(limit, all).await.context("the workers do not come to an end")?
}

async fn run<W: Worker>(mut worker: W, counting_from: Instant, until: Instant) -> Result<(u64, u64, Vec<u32>)> {
    let (mut acknowledged, mut counted, mut latencies) = (0, 0, Vec::new());
    let mut began = Instant::now();
    while began < until {
        let done = worker.work().await?;
        let ended = Instant::now();
        acknowledged += done;
        if ended >= counting_from && ended < until {
            counted += done;
            latencies.push(u32::try_from((ended - began).as_micros()).unwrap_or(u32::MAX));
        }
        began = ended;
    }
    Ok((acknowledged, counted, latencies))
}
