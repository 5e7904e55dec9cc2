//! `tickiz replay --as-of TIME`: read models as they stood at a moment, as CSV and Parquet, for analysts.
//!
//! The log is projected up to the last domain event that was recorded by then, by the same projectors, and nothing of today's tables
//! is looked at. Recorded times never sink, so that position is found by halving.
//!
//! # Why an interrupted run may go on
//! * What is projected goes into a hidden SQLite file in the output folder, whose checkpoint moves with its rows.
//! * The file is named by the leaf hash of the last domain event that counts. That hash covers the domain event's place too, so a
//!   file of that name is of this log and this moment, and cannot have come further.
//! * What is written from it appears under its name whole or not at all; the hidden file goes last.

mod rows;
mod table;

#[cfg(feature = "parquet")]
mod parquet;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use table::Writer;
use tickiz_event_log::{EventLog, record::Position};
use tickiz_projections::{LogSource, rebuild::PAGE, up_to::project_up_to};
use tickiz_read_models::{Projection, ReadStore};

/// How often progress is told to a person who looks at it.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How often it is told to a file.
const TELL_FILE_EVERY: Duration = Duration::from_secs(5);
/// Said where Parquet is wanted and not there.
#[cfg(not(feature = "parquet"))]
const NO_PARQUET: &str =
    "this program was built without Parquet; build it with `--features parquet`, or leave --parquet out";

/// What is wanted.
pub struct AsOf<'a> {
    /// Which projections.
    pub wanted: &'a [Projection],
    /// At which moment.
    pub at: DateTime<Utc>,
    /// Into which folder.
    pub out: &'a Path,
    /// Whether Parquet is written beside the CSV.
    pub parquet: bool,
}

/// The last position that was recorded at or before an instant; 0 where there is none.
async fn position_at(log: &EventLog, at: DateTime<Utc>) -> anyhow::Result<Position> {
    let (mut within, mut behind) = (0, log.head().await? + 1);
    while behind - within > 1 {
        let middle = within + (behind - within) / 2;
        let found = log.read(middle - 1, 1).await?;
        let recorded = found.first().with_context(|| format!("the log has no position {middle}"))?;
        if recorded.recorded_at <= at { within = middle } else { behind = middle }
    }
    Ok(within)
}

/// The hidden file of a position.
async fn working_file(log: &EventLog, out: &Path, position: Position) -> anyhow::Result<PathBuf> {
    let last = if position == 0 { Vec::new() } else { log.read(position - 1, 1).await? };
    let name = last.first().map_or_else(|| "empty".to_owned(), |last| hex::encode(&last.leaf_hash[..16]));
    Ok(out.join(format!(".as-of-{name}.db")))
}

/// Writes the files.
///
/// # Errors
/// When the log cannot be read or a file not be written. What was projected is kept for the next time.
pub async fn run(log: &EventLog, AsOf { wanted, at, out, parquet }: AsOf<'_>) -> anyhow::Result<()> {
    #[cfg(not(feature = "parquet"))]
    anyhow::ensure!(!parquet, NO_PARQUET);
    let position = position_at(log, at).await?;
    std::fs::create_dir_all(out).with_context(|| format!("{}", out.display()))?;
    let working = working_file(log, out, position).await?;
    let store = ReadStore::open_sqlite(&working).await.with_context(|| format!("{}", working.display()))?;
    store.migrate().await?;
    let source: Arc<dyn LogSource> = Arc::new(log.clone());
    for projection in wanted {
        let mut progress = Progress::new(*projection, position);
        project_up_to(&store, &source, *projection, position, PAGE, |at| progress.tell(at)).await?;
    }
    let mut files = Vec::new();
    for projection in wanted {
        files.extend(write(&store, *projection, out, parquet).await?);
    }
    let still = store.set_aside().await?.len();
    let manifest = json!({"asOf": at, "position": position, "files": files, "standingStill": still});
    table::put(out, "manifest.json", serde_json::to_string_pretty(&manifest)?.as_bytes())?;
    store.close().await;
    clear(&working)?;
    println!("{manifest}");
    Ok(())
}

/// Writes a projection's tables.
async fn write(store: &ReadStore, projection: Projection, out: &Path, parquet: bool) -> anyhow::Result<Vec<Value>> {
    let mut scan = store.scan(projection).await?;
    let begin = |shape| Writer::begin(out, shape, parquet);
    let written = match projection {
        Projection::Events => {
            let (mut events, mut types, mut seats) =
                (begin(rows::EVENTS)?, begin(rows::TICKET_TYPES)?, begin(rows::SEATS)?);
            rows::shows(&mut scan, &mut events, &mut types).await?;
            rows::seats(&mut scan, &mut seats).await?;
            vec![events, types, seats]
        }
        Projection::Bookings => {
            let mut bookings = begin(rows::BOOKINGS)?;
            rows::bookings(&mut scan, &mut bookings).await?;
            vec![bookings]
        }
        Projection::Reports => {
            let mut sales = begin(rows::SALES)?;
            rows::sales(&mut scan, &mut sales).await?;
            vec![sales]
        }
    };
    let mut files = Vec::new();
    for table in written {
        files.extend(table.finish()?);
    }
    Ok(files)
}

/// Removes the hidden file and what SQLite and the migration keep beside it.
fn clear(working: &Path) -> anyhow::Result<()> {
    for ending in ["", "-wal", "-shm", ".migrating"] {
        let mut path = working.as_os_str().to_owned();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{}", Path::new(&path).display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Tells on stderr how far a projection is.
struct Progress {
    projection: Projection,
    to: Position,
    from: Option<Position>,
    began: Instant,
    told: Instant,
    every: Duration,
}

impl Progress {
    fn new(projection: Projection, to: Position) -> Self {
        let every = if std::io::stderr().is_terminal() { TELL_EVERY } else { TELL_FILE_EVERY };
        Self { projection, to, from: None, began: Instant::now(), told: Instant::now(), every }
    }

    fn tell(&mut self, at: Position) {
        let Self { projection, to, .. } = *self;
        let Some(from) = self.from else {
            self.from = Some(at);
            if at > 0 {
                eprintln!("{projection}: goes on at {at} of {to}");
            }
            return;
        };
        if self.told.elapsed() >= self.every || at == to {
            self.told = Instant::now();
            let rate = (at - from) as f64 / self.began.elapsed().as_secs_f64().max(0.001);
            let share = 100.0 * at as f64 / to.max(1) as f64;
            eprintln!("{projection}: {at} of {to} ({share:.0} %), {rate:.0} a second");
        }
    }
}
