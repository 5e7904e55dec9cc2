//! How fast `tickiz replay` builds read models anew on MySQL, against writing the same rows and nothing else.
//!
//! The log has one booking of one seat after the other. Ours reads it, folds it, and writes every row into the tables of the next
//! version, page by page with its checkpoint, until that version answers. The raw side has the rows in memory, and writes them into
//! tables of the same shape, as many in a transaction, by statements as long as ours are at most.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tickiz_event_log::{EventLog, LogOptions};
use tickiz_projections::{
    LogSource,
    rebuild::{Goal, PAGE, rebuild},
};
use tickiz_read_models::{MySqlOptions, Projection, ReadStore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    server::{Database, Server, ensure_equal},
    show::{Show, Taking},
    stats::Spread,
};

/// Rows of a raw statement.
const ROWS_PER_STATEMENT: usize = 500;
/// At least so much of the raw rate.
const TARGET: f64 = 0.5;
/// Bookings that are appended at once while the log is made.
const APPENDERS: usize = 256;

/// Options of the measurement.
#[derive(Args)]
pub struct RebuildArgs {
    /// How many bookings the log has.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..=200_000))]
    bookings: u32,
    /// How often each side has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// A table that a rebuild writes a row a booking of.
struct Table {
    projection: Projection,
    /// Its name without the version.
    name: &'static str,
    columns: &'static str,
    places: &'static str,
}

const BOOKINGS: Table = Table {
    projection: Projection::Bookings,
    name: "rm_bookings",
    columns: "booking_id, event_id, status, document, position",
    places: "(?, ?, ?, ?, ?)",
};
const SEATS: Table = Table {
    projection: Projection::Events,
    name: "rm_seats",
    columns: "event_id, seat_index, seat_id, status",
    places: "(?, ?, ?, ?)",
};

type Booking = (Uuid, Uuid, String, String, i64);
type Seat = (Uuid, i32, String, String);

/// The rows that a rebuild wrote.
enum Rows {
    Bookings(Vec<Booking>),
    Seats(Vec<Seat>),
}

impl Rows {
    async fn read(connection: &mut MySqlConnection, table: &Table, version: i32) -> Result<Self> {
        let sql = format!("SELECT {} FROM {}_v{version} ORDER BY 1, 2", table.columns, table.name);
        let sql = AssertSqlSafe(sql);
        Ok(match table.projection {
            Projection::Bookings => Self::Bookings(sqlx::query_as(sql).fetch_all(connection).await?),
            _ => Self::Seats(sqlx::query_as(sql).fetch_all(connection).await?),
        })
    }

    const fn len(&self) -> usize {
        match self {
            Self::Bookings(rows) => rows.len(),
            Self::Seats(rows) => rows.len(),
        }
    }

    /// Writes some of them, in one statement.
    async fn write(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::MySql>,
        table: &Table,
        from: usize,
        to: usize,
    ) -> Result<()> {
        let places = vec![table.places; to - from].join(", ");
        let sql = AssertSqlSafe(format!("INSERT INTO raw_{} ({}) VALUES {places}", table.name, table.columns));
        let mut query = sqlx::query(sql);
        match self {
            Self::Bookings(rows) => {
                for (id, event, status, document, position) in &rows[from..to] {
                    query = query.bind(id).bind(event).bind(status).bind(document).bind(position);
                }
            }
            Self::Seats(rows) => {
                for (event, index, seat, status) in &rows[from..to] {
                    query = query.bind(event).bind(index).bind(seat).bind(status);
                }
            }
        }
        query.execute(&mut **transaction).await?;
        Ok(())
    }
}

/// The log that is folded, and the store that is written.
struct Stage {
    database: Database,
    reads: ReadStore,
    source: Arc<dyn LogSource>,
}

impl Stage {
    /// Rows a second of one rebuild; the version it made.
    async fn ours(&self, table: &Table) -> Result<(f64, i32)> {
        let began = Instant::now();
        let stop = CancellationToken::new();
        let built = rebuild(&self.reads, &self.source, table.projection, Goal::Next, &stop, |_| {}).await?;
        let seconds = began.elapsed().as_secs_f64();
        let rows = self.database.number(format!("SELECT COUNT(*) FROM {}_v{}", table.name, built.version)).await?;
        Ok((rows as f64 / seconds, built.version))
    }

    /// Rows a second of writing the same rows.
    async fn raw(&self, table: &Table, version: i32) -> Result<f64> {
        let mut connection = MySqlConnection::connect(self.database.url()).await?;
        let rows = Rows::read(&mut connection, table, version).await?;
        let name = table.name;
        for sql in
            [format!("DROP TABLE IF EXISTS raw_{name}"), format!("CREATE TABLE raw_{name} LIKE {name}_v{version}")]
        {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        let began = Instant::now();
        let mut written = 0;
        while written < rows.len() {
            let mut transaction = connection.begin().await?;
            let page_end = (written + PAGE).min(rows.len());
            while written < page_end {
                let to = (written + ROWS_PER_STATEMENT).min(page_end);
                rows.write(&mut transaction, table, written, to).await?;
                written = to;
            }
            transaction.commit().await?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let counted = self.database.number(format!("SELECT COUNT(*) FROM raw_{name}")).await?;
        ensure_equal("raw rows", counted, rows.len() as u64)?;
        Ok(rows.len() as f64 / seconds)
    }
}

/// A log of so many bookings.
async fn fill(database: &Database, bookings: u32) -> Result<EventLog> {
    let options = LogOptions { master_key: Some([7; 32]), ..LogOptions::default() };
    let (log, service) = EventLog::open_mysql(database.url(), options).await?;
    let show = Arc::new(Show::in_hall(bookings.into())?);
    show.put_on_sale(&log).await?;
    stream::iter(0..bookings)
        .map(|_| log.append(show.append(Taking::Seat)))
        .buffer_unordered(APPENDERS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    service.shutdown().await;
    Ok(log)
}

/// Measures.
pub async fn run(args: &RebuildArgs) -> Result<()> {
    let server = Server::from_environment()?;
    let settings = server.settings().await?;
    let database = server.create().await?;
    eprintln!("a log of {} bookings is made", args.bookings);
    let log = fill(&database, args.bookings).await?;
    let reads = ReadStore::open_mysql(database.url(), MySqlOptions::default()).await?;
    reads.migrate().await?;
    let stage = Stage { database, reads, source: Arc::new(log) };
    let said: Vec<String> = settings.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
    println!("{} rounds, {} bookings; server: {}.\n", args.rounds, args.bookings, said.join(", "));
    println!(
        "| rebuild, rows a second: median (min to max) | ours | raw | ratio | wanted | |\n|---|---|---|---|---|---|"
    );
    for table in [&BOOKINGS, &SEATS] {
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        // The first makes the rows that the raw side writes, and is not counted.
        let (_, mut version) = stage.ours(table).await?;
        for round in 0..args.rounds {
            if round.is_multiple_of(2) {
                raw.push(stage.raw(table, version).await?);
            }
            let (rate, built) = stage.ours(table).await?;
            ours.push(rate);
            version = built;
            if !round.is_multiple_of(2) {
                raw.push(stage.raw(table, version).await?);
            }
        }
        let ours = Spread::of(ours).context("there was a round")?;
        let raw = Spread::of(raw).context("there was a round")?;
        let (name, ratio) = (table.projection, ours.median / raw.median);
        let reached = if ratio >= TARGET { "reached" } else { "**missed**" };
        let shown = |spread: &Spread| format!("{:.0} ({:.0} to {:.0})", spread.median, spread.min, spread.max);
        println!("| {name} | {} | {} | {ratio:.2} | ≥ {TARGET} | {reached} |", shown(&ours), shown(&raw));
        ensure!(ours.min > 0.0, "rows were written");
    }
    stage.reads.close().await;
    server.drop(&stage.database).await
}
