//! `tickiz replay`: builds read models anew from the log, beside those that answer, and lists what they had to set aside.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;
use tickiz_projections::{
    LogSource,
    rebuild::{Goal, Progress, rebuild},
};
use tickiz_read_models::Projection;
use tokio_util::sync::CancellationToken;

use crate::{
    as_of::AsOf,
    config::Config,
    serve,
    stores::{self, Stores},
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// What to do about what stands still.
const MENDING: &str = "\
    Run a version of Tickiz that can read these domain events, then `tickiz replay --projection NAME` with it; nothing is lost, it \
    is all in the log.";
/// The word for all projections.
const ALL: &str = "all";

/// Options of `tickiz replay`.
#[derive(Args)]
pub struct ReplayArguments {
    /// Which projection to build anew: events, bookings, reports, or all. Others go on answering meanwhile; interrupted, the same command
    /// goes on where it was.
    #[arg(long, value_name = "NAME", value_parser = projections, required_unless_present_any = ["poisoned", "as_of"])]
    projection: Option<Projections>,
    /// Brings the version that answered before up to date, and lets it answer again.
    #[arg(long, requires = "projection", conflicts_with_all = ["drop_old", "poisoned"])]
    back: bool,
    /// Drops the versions that were left, without building anything.
    #[arg(long, requires = "projection", conflicts_with = "poisoned")]
    drop_old: bool,
    /// Lists the domain events that projections could not read, and the shows and bookings that stand still by them.
    #[arg(long, conflicts_with = "projection")]
    poisoned: bool,
    /// Writes the projection (all without `--projection`) as it stood at this instant, RFC 3339, as CSV; builds nothing.
    /// Interrupted, the same command goes on where it was.
    #[arg(long, value_name = "TIME", requires = "out", conflicts_with_all = ["back", "drop_old", "poisoned"])]
    as_of: Option<DateTime<Utc>>,
    /// Where the files of `--as-of` go.
    #[arg(long, value_name = "FOLDER", requires = "as_of")]
    out: Option<PathBuf>,
    /// Writes `--as-of` as Parquet too, beside the CSV; the program has to be built with the feature `parquet`.
    #[arg(long, requires = "as_of")]
    parquet: bool,
    /// One JSON document a line, for a program.
    #[arg(long)]
    json: bool,
}

/// The projections of a name.
#[derive(Clone, Copy, Debug)]
struct Projections(&'static [Projection]);

fn projections(name: &str) -> Result<Projections, String> {
    const EACH: [[Projection; 1]; 3] = [[Projection::Events], [Projection::Bookings], [Projection::Reports]];
    if name == ALL {
        return Ok(Projections(&Projection::ALL));
    }
    let found = EACH.iter().find(|one| one[0].name() == name);
    let names = || Projection::ALL.map(Projection::name).join(", ");
    found
        .map(|one| Projections(one))
        .ok_or_else(|| format!("there is no such projection; known are {}, {ALL}", names()))
}

/// Runs the command.
///
/// # Errors
/// When something cannot be opened, read or written. What was built is kept.
pub async fn run(config: &Config, arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let stores = stores::open_to_read(config).await?;
    if let (Some(at), Some(out)) = (arguments.as_of, &arguments.out) {
        let wanted = arguments.projection.map_or(Projection::ALL.as_slice(), |Projections(wanted)| wanted);
        crate::as_of::run(&stores.log, AsOf { wanted, at, out, parquet: arguments.parquet }).await?;
        stores.log_service.shutdown().await;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(Projections(wanted)) = arguments.projection else { return poisoned(&stores, arguments.json).await };
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        serve::signal().await;
        told.cancel();
    });
    for projection in wanted {
        if arguments.drop_old {
            drop_old(&stores, *projection, arguments.json).await?;
        } else {
            let goal = if arguments.back { Goal::Back } else { Goal::Next };
            build(&stores, *projection, goal, &stop, arguments.json).await?;
        }
    }
    stores.log_service.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn build(
    stores: &Stores,
    projection: Projection,
    goal: Goal,
    stop: &CancellationToken,
    json: bool,
) -> anyhow::Result<()> {
    let head = stores.log.head().await?;
    let began = Instant::now();
    let mut told = None::<Instant>;
    let tell = |progress: Progress| {
        if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        told = Some(Instant::now());
        say(projection, progress, head, began.elapsed(), json);
    };
    let log: Arc<dyn LogSource> = Arc::new(stores.log.clone());
    let rebuilt = rebuild(&stores.reads, &log, projection, goal, stop, tell).await;
    let rebuilt = rebuilt.with_context(|| format!("the projection {projection}"))?;
    let seconds = began.elapsed().as_secs_f64();
    if json {
        let line = json!({"projection": projection.name(), "before": rebuilt.before, "version": rebuilt.version,
                          "position": rebuilt.position, "seconds": seconds});
        println!("{line}");
    } else {
        println!(
            "{projection}: version {} answers, complete to position {}; it was version {} ({seconds:.1} s)",
            rebuilt.version, rebuilt.position, rebuilt.before
        );
    }
    Ok(())
}

/// Where a build is, how fast, and for how long still.
fn say(projection: Projection, progress: Progress, head: i64, elapsed: Duration, json: bool) {
    let Progress { version, from, position } = progress;
    let rate = (position - from) as f64 / elapsed.as_secs_f64().max(0.001);
    let left = (rate > 0.0).then(|| (head - position).max(0) as f64 / rate);
    if json {
        let line = json!({"projection": projection.name(), "building": version, "position": position, "head": head,
                          "eventsPerSecond": rate, "secondsLeft": left});
        println!("{line}");
        return;
    }
    let share = if head > 0 { 100.0 * position as f64 / head as f64 } else { 100.0 };
    let left = left.map_or_else(String::new, |left| format!(", {left:.0} s left"));
    eprintln!("{projection} version {version}: {position} of {head} ({share:.0} %), {rate:.0} a second{left}");
}

async fn drop_old(stores: &Stores, projection: Projection, json: bool) -> anyhow::Result<()> {
    let versions = stores.reads.versions_of(projection).await?;
    for version in &versions.left {
        stores.reads.drop_version(projection, *version).await?;
    }
    if json {
        println!("{}", json!({"projection": projection.name(), "active": versions.active, "dropped": versions.left}));
    } else {
        println!("{projection}: version {} answers, {} others dropped", versions.active, versions.left.len());
    }
    Ok(())
}

async fn poisoned(stores: &Stores, json: bool) -> anyhow::Result<ExitCode> {
    let aside = stores.reads.set_aside().await?;
    for one in &aside {
        let recorded = stores.log.read(one.position - 1, 1).await?;
        let stream = recorded.first().map_or_else(String::new, |recorded| recorded.stream.to_string());
        if json {
            let line = json!({
                "projection": one.projection.name(), "subject": one.subject, "position": one.position, "stream": stream,
                "eventType": one.event_type, "eventVersion": one.event_version, "error": one.error,
                "recordedAt": one.recorded_at,
            });
            println!("{line}");
        } else {
            println!(
                "{}: {} stands still from position {} on, {} version {} of {stream}: {}",
                one.projection, one.subject, one.position, one.event_type, one.event_version, one.error
            );
        }
    }
    if !json {
        println!("{}", if aside.is_empty() { "nothing is set aside" } else { MENDING });
    }
    stores.log_service.shutdown().await;
    Ok(if aside.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
