//! Appending to the event log on MySQL.
//!
//! A measurement has sides. In a round every side has one short turn on an empty database of its own, and the next round begins
//! with the next side, so that what the machine does beside it falls on all of them alike. After its turn a side's tables are
//! counted: a figure whose rows are not there is an error, not a figure.
//!
//! # Layout
//!
//! * [`appends`]: the log; [`raw`]: the same rows by hand; [`mysql_es`]: another store.
//! * [`report`]: targets and tables.

mod appends;
mod mysql_es;
pub mod raw;
mod report;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::{
    drive::{Measured, Timing},
    server::{Database, Server},
    show::Taking,
};

/// Appenders, committers and buyers at once, as the targets say.
const CROWD: usize = 256;
/// Connections at once that raw single-row INSERTs are tried with.
const RAW_CONNECTIONS: [usize; 6] = [1, 8, 32, 64, 128, 256];
/// Connections that the committers of mysql-es share: what its own `default_mysql_pool` has, and one for each of some more.
const POOLS: [usize; 3] = [10, 64, 256];
/// Before each turn's measured time.
const WARM_UP: Duration = Duration::from_millis(700);
/// So that a run ends by itself.
const MAX_ROUNDS: u32 = 100;
const MAX_SECONDS: u32 = 60;

/// Options of the measurement.
#[derive(Args)]
pub struct LogArgs {
    /// How often every side is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ROUNDS)))]
    rounds: u32,
    /// How many seconds each time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SECONDS)))]
    seconds: u32,
    /// Only the sides whose name contains one of these.
    #[arg(long)]
    only: Vec<String>,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Single-row INSERTs on so many connections.
    Inserts(usize),
    /// 100-row INSERTs on one connection.
    Bulk,
    /// mysql-es, with so many connections in its pool.
    MysqlEs(usize),
    /// The log, many appenders.
    Appends,
    /// A transaction by hand that writes an append's rows, one connection.
    Transaction,
    /// The log, one appender.
    Append,
    /// A counter in a row, a transaction a buyer.
    Stock,
    /// The log, every buyer from one quota.
    Quota,
}

impl Side {
    fn all() -> Vec<Self> {
        let raw = RAW_CONNECTIONS.into_iter().map(Self::Inserts);
        let others = POOLS.into_iter().map(Self::MysqlEs);
        let pairs = [Self::Bulk, Self::Appends, Self::Transaction, Self::Append, Self::Stock, Self::Quota];
        raw.chain(others).chain(pairs).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Inserts(connections) => format!("raw single-row INSERTs, {connections} connections"),
            Self::Bulk => format!("raw {}-row INSERTs, 1 connection", raw::BULK_ROWS),
            Self::MysqlEs(pool) => format!("mysql-es 0.5, {CROWD} committers, pool of {pool}"),
            Self::Appends => format!("EventLog::append, {CROWD} appenders"),
            Self::Transaction => "raw transaction of the same rows, 1 connection".to_owned(),
            Self::Append => "EventLog::append, 1 appender".to_owned(),
            Self::Stock => format!("UPDATE … SET left = left - 1, {CROWD} buyers"),
            Self::Quota => format!("EventLog::append, {CROWD} buyers of one quota"),
        }
    }

    async fn turn(self, server: &Server, timing: Timing) -> Result<Measured> {
        let database = server.create().await?;
        let measured = tokio::select! {
            measured = self.measure(&database, timing) => measured,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        };
        server.drop(&database).await?;
        measured
    }

    async fn measure(self, database: &Database, timing: Timing) -> Result<Measured> {
        match self {
            Self::Inserts(connections) => raw::inserts(database, connections, 1, timing).await,
            Self::Bulk => raw::inserts(database, 1, raw::BULK_ROWS, timing).await,
            Self::MysqlEs(pool) => mysql_es::commits(database, CROWD, pool, timing).await,
            Self::Appends => appends::appends(database, CROWD, Taking::Seat, timing).await,
            Self::Transaction => raw::transactions(database, timing).await,
            Self::Append => appends::appends(database, 1, Taking::Seat, timing).await,
            Self::Stock => raw::stock(database, CROWD, timing).await,
            Self::Quota => appends::appends(database, CROWD, Taking::Place, timing).await,
        }
    }
}

/// What every side gave, round by round.
pub(crate) type Rounds = BTreeMap<Side, Vec<Measured>>;

/// Measures, and prints the report on standard output.
pub async fn run(args: &LogArgs) -> Result<()> {
    let chosen = |side: &Side| args.only.is_empty() || args.only.iter().any(|part| side.name().contains(part));
    let sides: Vec<Side> = Side::all().into_iter().filter(chosen).collect();
    if sides.is_empty() {
        bail!("no side's name contains that");
    }
    let server = Server::from_environment()?;
    let settings = server.settings().await?;
    if sides.iter().any(|side| matches!(side, Side::MysqlEs(_))) {
        mysql_es::build().await?;
    }
    let timing = Timing { warm_up: WARM_UP, measured: Duration::from_secs(args.seconds.into()) };
    let mut rounds = Rounds::new();
    for round in 0..args.rounds as usize {
        for turn in 0..sides.len() {
            let side = sides[(round + turn) % sides.len()];
            let measured = side.turn(&server, timing).await.with_context(|| side.name())?;
            eprintln!("round {}: {}: {:.0}/s", round + 1, side.name(), measured.rate);
            rounds.entry(side).or_default().push(measured);
        }
    }
    print!("{}", report::report(&rounds, &settings, timing, args.rounds));
    Ok(())
}
