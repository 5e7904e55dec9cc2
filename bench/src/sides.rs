//! The sides of the comparison, each for a fixed time on the same server, each checked afterwards.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use sqlx::{
    AssertSqlSafe, Connection, Executor, MySqlConnection, MySqlPool, QueryBuilder, Row, mysql::MySqlPoolOptions,
};
use tickiz_domain::{
    ids::{EventId, QuotaId},
    stored::StoredEvent,
};
use tickiz_event_log::{EventLog, LogOptions, LogService};
use uuid::Uuid;

use crate::{
    purchase::{self, Place},
    report::{self, Report},
};

/// Appenders, committers and buyers at once.
const MANY: usize = 256;
/// Concurrencies at which raw single-row INSERTs are tried; the best counts.
const CONCURRENCIES: [usize; 6] = [1, 8, 32, 64, 128, 256];
/// Rows of a raw multi-row INSERT.
const BATCH_ROWS: usize = 100;
/// Places of the quota: more than anybody can buy here.
const QUOTA_PLACES: i64 = 1 << 40;
/// What the server is asked to show of itself.
const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'sync_binlog', \
    'log_bin', 'innodb_buffer_pool_size', 'innodb_flush_method', 'max_connections', 'innodb_doublewrite')";

const RAW_EVENTS: &str = "CREATE TABLE raw_events (shard INT NOT NULL, position BIGINT NOT NULL AUTO_INCREMENT, \
    recorded_at DATETIME(6) NOT NULL, organizer_id CHAR(36) CHARACTER SET ascii NULL, stream_type VARCHAR(32) CHARACTER SET ascii NOT NULL, \
    stream_id CHAR(36) CHARACTER SET ascii NOT NULL, sequence BIGINT NOT NULL, event_type VARCHAR(64) CHARACTER SET ascii NOT NULL, \
    event_version INT NOT NULL, payload LONGBLOB NOT NULL, metadata BLOB NOT NULL, leaf_hash BINARY(32) NOT NULL, \
    PRIMARY KEY (position), UNIQUE KEY (stream_type, stream_id, sequence)) ENGINE = InnoDB";
const RAW_CLAIMS: &str = "CREATE TABLE raw_claims (resource VARBINARY(255) NOT NULL PRIMARY KEY, holder VARCHAR(64) NULL, \
    used BIGINT NOT NULL, max_used BIGINT NOT NULL, fence BIGINT NOT NULL) ENGINE = InnoDB";
const RAW_TIMERS: &str = "CREATE TABLE raw_timers (timer_id BINARY(16) NOT NULL PRIMARY KEY, kind VARCHAR(32) NOT NULL, \
    stream_id CHAR(36) NOT NULL, subject BINARY(16) NOT NULL, due_at DATETIME(6) NOT NULL, KEY (due_at), KEY (subject)) ENGINE = InnoDB";
const RAW_RECEIPTS: &str = "CREATE TABLE raw_receipts (scope VARBINARY(200) NOT NULL, operation VARCHAR(32) NOT NULL, \
    idempotency_key VARBINARY(800) NOT NULL, request_hash BINARY(32) NOT NULL, first_position BIGINT NOT NULL, \
    last_position BIGINT NOT NULL, result BLOB NOT NULL, PRIMARY KEY (scope, operation, idempotency_key)) ENGINE = InnoDB";
const RAW_HEAD: &str =
    "CREATE TABLE raw_head (shard INT NOT NULL PRIMARY KEY, position BIGINT NOT NULL) ENGINE = InnoDB";
const RAW_QUOTA: &str = "CREATE TABLE raw_quota (id INT NOT NULL PRIMARY KEY, places BIGINT NOT NULL) ENGINE = InnoDB";
const RAW_ORDERS: &str =
    "CREATE TABLE raw_orders (id CHAR(36) NOT NULL PRIMARY KEY, payload BLOB NOT NULL) ENGINE = InnoDB";

const INSERT_EVENT: &str = "INSERT INTO raw_events (shard, recorded_at, organizer_id, stream_type, stream_id, sequence, event_type, \
    event_version, payload, metadata, leaf_hash) VALUES (0, ?, NULL, 'Booking', ?, 1, 'BookingPlaced', 1, ?, ?, ?)";

/// The server, with a database of this run's own.
pub struct Bench {
    server: String,
    name: String,
    pool: MySqlPool,
    log: EventLog,
    service: LogService,
    show: EventId,
    quota: QuotaId,
    payload: Vec<u8>,
    peer: PathBuf,
    appended: AtomicU64,
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the peer; its sqlx is older, so it has a workspace of its own.
fn build_peer() -> Result<PathBuf> {
    let target = top().join("target/mysql-es");
    let status = std::process::Command::new("cargo")
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(top().join("bench/mysql-es/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "the mysql-es peer does not build");
    Ok(target.join("release/mysql-es-peer"))
}

impl Bench {
    /// A database of its own on that server, the log in it, everything connected.
    pub async fn open(server: &str) -> Result<Self> {
        let peer = build_peer()?;
        let name = format!("tickiz_bench_{}", Uuid::new_v4().simple());
        let mut connection = MySqlConnection::connect(server).await.context("the server")?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let url = format!("{}/{name}", server.trim_end_matches('/'));
        let pool =
            MySqlPoolOptions::new().max_connections(MANY as u32).min_connections(MANY as u32).connect(&url).await?;
        for table in [RAW_EVENTS, RAW_CLAIMS, RAW_TIMERS, RAW_RECEIPTS, RAW_HEAD, RAW_QUOTA, RAW_ORDERS] {
            pool.execute(table).await?;
        }
        pool.execute("INSERT INTO raw_head (shard, position) VALUES (0, 0)").await?;
        sqlx::query("INSERT INTO raw_quota (id, places) VALUES (1, ?)").bind(QUOTA_PLACES).execute(&pool).await?;
        let options = LogOptions { master_key: Some([1; 32]), ..LogOptions::default() };
        let (log, service) = EventLog::open_mysql(&url, options).await?;
        let (show, quota) = (EventId(Uuid::new_v4()), QuotaId(Uuid::new_v4()));
        log.append(purchase::open_quota(show, quota, QUOTA_PLACES)).await?;
        let (_, placed) = purchase::placed(show, Place::OwnSeat);
        let payload = tickiz_domain::booking::BookingDomainEvent::from(placed).payload();
        let appended = AtomicU64::new(1);
        Ok(Self { server: server.to_owned(), name, pool, log, service, show, quota, payload, peer, appended })
    }

    /// Drops the database.
    pub async fn close(self) -> Result<()> {
        self.service.shutdown().await;
        self.pool.close().await;
        let mut connection = MySqlConnection::connect(&self.server).await?;
        connection.execute(AssertSqlSafe(format!("DROP DATABASE {}", self.name))).await?;
        Ok(())
    }

    /// The settings that the figures stand under.
    pub async fn print_settings(&self) -> Result<()> {
        println!("| setting | value |\n|---|---|");
        for row in sqlx::query(SETTINGS).fetch_all(&self.pool).await? {
            println!("| {} | {} |", row.get::<String, _>(0), row.get::<String, _>(1));
        }
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        println!("| cores, shared with the server | {cores} |");
        println!("| payload of the domain event, bytes | {} |", self.payload.len());
        Ok(())
    }

    /// Every side once.
    pub async fn round(&self, report: &mut Report, slice: Duration) -> Result<()> {
        let mut best = 0.0_f64;
        for concurrency in CONCURRENCIES {
            best = best.max(self.raw_single(concurrency, slice / 2).await?);
        }
        report.add(report::RAW_SINGLE, best);
        report.add(report::LOG, self.appends(Place::OwnSeat, slice).await?);
        report.add(report::RAW_BATCH, self.raw_batches(slice).await?);
        report.add(report::MYSQL_ES, self.mysql_es(slice).await?);
        let (raw, ours) = self.latencies(slice).await?;
        report.add(report::RAW_LATENCY, raw);
        report.add(report::LOG_LATENCY, ours);
        report.add(report::RAW_QUOTA, self.raw_quota(slice).await?);
        report.add(report::LOG_QUOTA, self.appends(Place::Quota(self.quota), slice).await?);
        self.check().await
    }

    async fn raw_single(&self, concurrency: usize, slice: Duration) -> Result<f64> {
        let rate = timed(concurrency, slice, || async {
            let id = Uuid::now_v7();
            sqlx::query(INSERT_EVENT)
                .bind(Utc::now())
                .bind(id.as_hyphenated().to_string())
                .bind(self.payload.as_slice())
                .bind(b"{}".as_slice())
                .bind([0_u8; 32].as_slice())
                .execute(&self.pool)
                .await?;
            Ok(1)
        });
        rate.await
    }

    async fn raw_batches(&self, slice: Duration) -> Result<f64> {
        timed(1, slice, || async {
            let mut query = QueryBuilder::<sqlx::MySql>::new(
                "INSERT INTO raw_events (shard, recorded_at, organizer_id, stream_type, stream_id, sequence, event_type, \
                 event_version, payload, metadata, leaf_hash) ",
            );
            let now: DateTime<Utc> = Utc::now();
            query.push_values(0..BATCH_ROWS, |mut row, _| {
                row.push("0").push_bind(now).push("NULL").push("'Booking'");
                row.push_bind(Uuid::now_v7().as_hyphenated().to_string()).push("1").push("'BookingPlaced'").push("1");
                row.push_bind(self.payload.as_slice()).push_bind(b"{}".as_slice()).push_bind([0_u8; 32].as_slice());
            });
            query.build().execute(&self.pool).await?;
            Ok(BATCH_ROWS as u64)
        })
        .await
    }

    async fn appends(&self, place: Place, slice: Duration) -> Result<f64> {
        timed(MANY, slice, || async {
            self.log.append(purchase::append(self.show, place)).await?;
            self.appended.fetch_add(1, Ordering::Relaxed);
            Ok(1)
        })
        .await
    }

    async fn mysql_es(&self, slice: Duration) -> Result<f64> {
        let url = format!("{}/{}", self.server.trim_end_matches('/'), self.name);
        let output = std::process::Command::new(&self.peer)
            .arg(url)
            .arg(slice.as_secs_f64().to_string())
            .arg(MANY.to_string())
            .arg(self.payload.len().to_string())
            .output()
            .context("the mysql-es peer")?;
        ensure!(output.status.success(), "the mysql-es peer: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
    }

    /// One appender, and a raw transaction of the same rows, taking turns; the median of each in microseconds.
    async fn latencies(&self, slice: Duration) -> Result<(f64, f64)> {
        let mut connection = self.pool.acquire().await?;
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        let until = Instant::now() + slice * 2;
        while Instant::now() < until {
            let begun = Instant::now();
            self.raw_transaction(&mut connection).await?;
            raw.push(begun.elapsed().as_secs_f64() * 1e6);
            let append = purchase::append(self.show, Place::OwnSeat);
            let begun = Instant::now();
            self.log.append(append).await?;
            ours.push(begun.elapsed().as_secs_f64() * 1e6);
            self.appended.fetch_add(1, Ordering::Relaxed);
        }
        Ok((median(&mut raw), median(&mut ours)))
    }

    /// The rows that one append writes, by one statement a table, as plainly as one would write them by hand.
    async fn raw_transaction(&self, connection: &mut MySqlConnection) -> Result<()> {
        let id = Uuid::now_v7();
        let text = id.as_hyphenated().to_string();
        let (_, placed) = purchase::placed(self.show, Place::OwnSeat);
        let event = tickiz_domain::booking::BookingDomainEvent::from(placed);
        let mut transaction = connection.begin().await?;
        sqlx::query(INSERT_EVENT)
            .bind(Utc::now())
            .bind(&text)
            .bind(event.payload())
            .bind(b"{}".as_slice())
            .bind([0_u8; 32].as_slice())
            .execute(&mut *transaction)
            .await?;
        let claims = event.claims(id);
        let mut query =
            QueryBuilder::<sqlx::MySql>::new("INSERT INTO raw_claims (resource, holder, used, max_used, fence) ");
        query.push_values(&claims, |mut row, claim| {
            row.push_bind(claim.resource().to_string().into_bytes()).push_bind(&text).push("1").push("1").push("1");
        });
        query.build().execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT INTO raw_timers (timer_id, kind, stream_id, subject, due_at) VALUES (?, 'hold-ends', ?, ?, ?)",
        )
        .bind(Uuid::new_v4())
        .bind(&text)
        .bind(id)
        .bind(Utc::now())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO raw_receipts (scope, operation, idempotency_key, request_hash, first_position, last_position, result) \
             VALUES (?, 'placeBooking', ?, ?, 1, 1, ?)",
        )
        .bind(format!("{}/{}", self.show, id.simple()).into_bytes())
        .bind(text.clone().into_bytes())
        .bind([7_u8; 32].as_slice())
        .bind(text.into_bytes())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE raw_head SET position = position + 1 WHERE shard = 0").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn raw_quota(&self, slice: Duration) -> Result<f64> {
        timed(MANY, slice, || async {
            let mut transaction = self.pool.begin().await?;
            let taken = sqlx::query("UPDATE raw_quota SET places = places - 1 WHERE id = 1 AND places > 0")
                .execute(&mut *transaction)
                .await?;
            ensure!(taken.rows_affected() == 1, "the raw quota is never empty");
            sqlx::query("INSERT INTO raw_orders (id, payload) VALUES (?, ?)")
                .bind(Uuid::now_v7().as_hyphenated().to_string())
                .bind(self.payload.as_slice())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(1)
        })
        .await
    }

    /// What was acknowledged is there, without a gap.
    async fn check(&self) -> Result<()> {
        let appended = i64::try_from(self.appended.load(Ordering::Relaxed))?;
        let (rows, last): (i64, i64) =
            sqlx::query_as("SELECT COUNT(*), MAX(position) FROM events").fetch_one(&self.pool).await?;
        ensure!(rows == appended && last == appended, "{appended} were acknowledged, {rows} are there, up to {last}");
        let (raw_left,): (i64,) = sqlx::query_as("SELECT places FROM raw_quota").fetch_one(&self.pool).await?;
        let (orders,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM raw_orders").fetch_one(&self.pool).await?;
        ensure!(QUOTA_PLACES - raw_left == orders, "the raw side sold what it took");
        Ok(())
    }
}

/// Runs `work` in a loop, so many at once, for that long; units a second.
async fn timed<W, F>(concurrency: usize, slice: Duration, work: W) -> Result<f64>
where
    W: Fn() -> F,
    F: Future<Output = Result<u64>>,
{
    let begun = Instant::now();
    let until = begun + slice;
    let work = &work;
    let units = try_join_all((0..concurrency).map(|_| async move {
        let mut units = 0;
        while Instant::now() < until {
            units += work().await?;
        }
        Ok::<u64, anyhow::Error>(units)
    }))
    .await?;
    Ok(units.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
