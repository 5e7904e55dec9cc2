//! What the log is measured against: the same rows written by hand, as directly as the server takes them.
//!
//! The tables are the log's own, from its migrations, so columns and keys are the same. Statements are prepared once a connection,
//! positions come from a counter in memory, and the document is serialised once before the clock starts: nothing here is slower
//! than it has to be.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use anyhow::{Result, ensure};
use chrono::Utc;
use sqlx::{AssertSqlSafe, MySqlConnection};
use tickiz_domain::{booking::BookingDomainEvent, claim::ClaimChange, stored::StoredEvent};
use tickiz_event_log::metadata_json;
use uuid::Uuid;

use crate::{
    drive::{Measured, Timing, Worker, drive},
    server::{Database, ensure_equal},
    show::{Show, Taking},
};

/// Rows in one statement of the bulk side.
pub const BULK_ROWS: usize = 100;

const CREATE_EVENTS: &str = include_str!("../../../migrations/mysql/log/0001_events.sql");
/// The tables that an append writes, in the log's own migrations.
const CREATE_ALL: [&str; 6] = [
    CREATE_EVENTS,
    include_str!("../../../migrations/mysql/log/0002_log_head.sql"),
    include_str!("../../../migrations/mysql/log/0003_log_head_row.sql"),
    include_str!("../../../migrations/mysql/log/0004_claims.sql"),
    include_str!("../../../migrations/mysql/log/0005_timers.sql"),
    include_str!("../../../migrations/mysql/log/0006_receipts.sql"),
];

const INSERT_EVENTS: &str = "INSERT INTO events (shard, position, recorded_at, organizer_id, stream_type, stream_id, \
     sequence, event_type, event_version, payload, metadata, leaf_hash, show_id) VALUES ";
const EVENT_VALUES: &str = "(0, ?, UTC_TIMESTAMP(6), ?, 'Booking', ?, 1, 'BookingPlaced', 1, ?, ?, ?, ?)";
const INSERT_CLAIMS: &str = "INSERT INTO claims (shard, resource, holder, used, max_used, fence) VALUES ";
const CLAIM_VALUES: &str = "(0, ?, ?, 1, ?, ?)";
const INSERT_TIMER: &str = "INSERT INTO timers (timer_id, kind, stream_type, stream_id, subject, due_at, attempts) \
     VALUES (?, 'hold-ends', 'Booking', ?, ?, ?, 0)";
const INSERT_RECEIPT: &str = "INSERT INTO receipts (scope, operation, idempotency_key, request_hash, first_position, \
     last_position, result) VALUES (?, ?, ?, ?, ?, ?, ?)";
const UPDATE_HEAD: &str = "UPDATE log_head SET position = ?, recorded_at = UTC_TIMESTAMP(6) WHERE shard = 0";

const CREATE_STOCK: &str = "CREATE TABLE stock (id INT NOT NULL PRIMARY KEY, `left` BIGINT NOT NULL) ENGINE = InnoDB";
const STOCK: u64 = 1 << 40;
const INSERT_STOCK: &str = "INSERT INTO stock (id, `left`) VALUES (1, 1 << 40)";
const CREATE_ORDERS: &str = "CREATE TABLE orders (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     buyer CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, placed_at DATETIME(6) NOT NULL) ENGINE = InnoDB";
const TAKE_STOCK: &str = "UPDATE stock SET `left` = `left` - 1 WHERE id = 1 AND `left` > 0";
const INSERT_ORDER: &str = "INSERT INTO orders (buyer, placed_at) VALUES (?, UTC_TIMESTAMP(6))";

/// What is the same in every row of a side.
struct Template {
    organizer_id: String,
    show_id: String,
    payload: Vec<u8>,
    metadata: Vec<u8>,
    leaf_hash: Vec<u8>,
    position: AtomicI64,
}

impl Template {
    fn new(show: &Show) -> Self {
        let payload = BookingDomainEvent::from(show.placed(Taking::Seat)).payload();
        Self {
            organizer_id: show.organizer_id().to_string(),
            show_id: show.stream().id.as_hyphenated().to_string(),
            payload,
            metadata: metadata_json(&show.metadata()).into_bytes(),
            leaf_hash: rand::random::<[u8; 32]>().to_vec(),
            position: AtomicI64::new(1),
        }
    }
}

/// Inserts rows, so many a statement, each statement its own transaction.
struct Inserter {
    connection: MySqlConnection,
    template: Arc<Template>,
    statement: Arc<str>,
    rows: usize,
}

impl Worker for Inserter {
    async fn work(&mut self) -> Result<u64> {
        let template = &*self.template;
        let count = i64::try_from(self.rows)?;
        let first = template.position.fetch_add(count, Ordering::Relaxed);
        let mut query = sqlx::query(AssertSqlSafe(self.statement.clone()));
        for position in first..first + count {
            query = query
                .bind(position)
                .bind(template.organizer_id.as_str())
                .bind(Uuid::new_v4().as_hyphenated().to_string())
                .bind(template.payload.as_slice())
                .bind(template.metadata.as_slice())
                .bind(template.leaf_hash.as_slice())
                .bind(template.show_id.as_str());
        }
        let done = query.execute(&mut self.connection).await?;
        ensure!(done.rows_affected() == count.unsigned_abs(), "a statement of {count} rows wrote others");
        Ok(done.rows_affected())
    }
}

fn values(one: &str, rows: usize) -> String {
    vec![one; rows].join(", ")
}

/// Rows a second by INSERTs of `rows` rows on `connections` connections, autocommit.
pub async fn inserts(database: &Database, connections: usize, rows: usize, timing: Timing) -> Result<Measured> {
    database.execute(CREATE_EVENTS).await?;
    let template = Arc::new(Template::new(&Show::new()?));
    let statement: Arc<str> = format!("{INSERT_EVENTS}{}", values(EVENT_VALUES, rows)).into();
    let mut workers = Vec::new();
    for _ in 0..connections {
        let connection = database.connect().await?;
        workers.push(Inserter { connection, template: template.clone(), statement: statement.clone(), rows });
    }
    let measured = drive(workers, timing).await?;
    ensure_equal("events", database.number("SELECT COUNT(*) FROM events").await?, measured.acknowledged)?;
    Ok(measured)
}

/// One booking's rows in one transaction of single statements: the domain event, its claims, timer, receipt, and the head.
struct Transactor {
    connection: MySqlConnection,
    show: Show,
    template: Template,
}

impl Worker for Transactor {
    async fn work(&mut self) -> Result<u64> {
        let (connection, template) = (&mut self.connection, &self.template);
        let booking = Uuid::new_v4();
        let stream_id = booking.as_hyphenated().to_string();
        let placed = self.show.placed(Taking::Seat);
        let receipt = self.show.receipt(&placed, booking);
        let event = BookingDomainEvent::from(placed);
        let position = template.position.fetch_add(1, Ordering::Relaxed);

        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        let insert = sqlx::query(AssertSqlSafe(format!("{INSERT_EVENTS}{EVENT_VALUES}")));
        insert
            .bind(position)
            .bind(template.organizer_id.as_str())
            .bind(stream_id.as_str())
            .bind(event.payload())
            .bind(metadata_json(&self.show.metadata()))
            .bind(template.leaf_hash.as_slice())
            .bind(template.show_id.as_str())
            .execute(&mut *connection)
            .await?;
        let claims = event.claims(booking);
        let mut insert = sqlx::query(AssertSqlSafe(format!("{INSERT_CLAIMS}{}", values(CLAIM_VALUES, claims.len()))));
        for change in &claims {
            let (holder, limit) = match change {
                ClaimChange::Take { holder, .. } => (Some(holder.to_string()), 1),
                ClaimChange::Use { limit, .. } => (None, limit.unwrap_or(0)),
                _ => (None, 0),
            };
            insert = insert.bind(change.resource().to_string().into_bytes()).bind(holder).bind(limit).bind(position);
        }
        insert.execute(&mut *connection).await?;
        for timer in event.timers(booking, Utc::now()) {
            sqlx::query(INSERT_TIMER)
                .bind(Uuid::new_v4())
                .bind(stream_id.as_str())
                .bind(timer.subject)
                .bind(timer.due_at)
                .execute(&mut *connection)
                .await?;
        }
        sqlx::query(INSERT_RECEIPT)
            .bind(receipt.scope.into_bytes())
            .bind(receipt.operation)
            .bind(receipt.key.into_bytes())
            .bind(receipt.request_hash.as_slice())
            .bind(position)
            .bind(position)
            .bind(receipt.result)
            .execute(&mut *connection)
            .await?;
        sqlx::query(UPDATE_HEAD).bind(position).execute(&mut *connection).await?;
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        Ok(1)
    }
}

/// One connection that writes a booking's rows transaction by transaction.
pub async fn transactions(database: &Database, timing: Timing) -> Result<Measured> {
    for statement in CREATE_ALL {
        database.execute(statement).await?;
    }
    let show = Show::new()?;
    let template = Template::new(&show);
    let worker = Transactor { connection: database.connect().await?, show, template };
    let measured = drive(vec![worker], timing).await?;
    let count = async |query| database.number(query).await;
    ensure_equal("events", count("SELECT COUNT(*) FROM events").await?, measured.acknowledged)?;
    ensure_equal("claims", count("SELECT COUNT(*) FROM claims").await?, 3 * measured.acknowledged)?;
    ensure_equal("timers", count("SELECT COUNT(*) FROM timers").await?, measured.acknowledged)?;
    ensure_equal("receipts", count("SELECT COUNT(*) FROM receipts").await?, measured.acknowledged)?;
    Ok(measured)
}

/// Bookings' rows, many bookings a transaction and one statement a table: as directly as a batch can be written.
struct Batcher {
    connection: MySqlConnection,
    show: Show,
    template: Template,
    statements: [Arc<str>; 4],
}

/// Bookings in one transaction of [`batches`].
const BATCH_BOOKINGS: usize = 100;
/// Claims of a booking of one seat.
const CLAIMS: usize = 3;

impl Worker for Batcher {
    async fn work(&mut self) -> Result<u64> {
        let template = &self.template;
        let first = template.position.fetch_add(i64::try_from(BATCH_BOOKINGS)?, Ordering::Relaxed);
        let bookings: Vec<_> = (first..)
            .take(BATCH_BOOKINGS)
            .map(|position| {
                let booking = Uuid::new_v4();
                let placed = self.show.placed(Taking::Seat);
                let receipt = self.show.receipt(&placed, booking);
                (position, booking, booking.as_hyphenated().to_string(), BookingDomainEvent::from(placed), receipt)
            })
            .collect();
        let [mut events, mut claims, mut timers, mut receipts] =
            self.statements.clone().map(|text| sqlx::query(AssertSqlSafe(text)));
        let metadata = metadata_json(&self.show.metadata());
        for (position, booking, stream_id, event, receipt) in bookings {
            events = events
                .bind(position)
                .bind(template.organizer_id.as_str())
                .bind(stream_id.clone())
                .bind(event.payload())
                .bind(metadata.clone())
                .bind(template.leaf_hash.as_slice())
                .bind(template.show_id.as_str());
            for change in event.claims(booking) {
                let (holder, limit) = match &change {
                    ClaimChange::Take { holder, .. } => (Some(holder.to_string()), 1),
                    ClaimChange::Use { limit, .. } => (None, limit.unwrap_or(0)),
                    _ => (None, 0),
                };
                claims =
                    claims.bind(change.resource().to_string().into_bytes()).bind(holder).bind(limit).bind(position);
            }
            for timer in event.timers(booking, Utc::now()) {
                timers = timers.bind(Uuid::new_v4()).bind(stream_id.clone()).bind(timer.subject).bind(timer.due_at);
            }
            receipts = receipts
                .bind(receipt.scope.into_bytes())
                .bind(receipt.operation)
                .bind(receipt.key.into_bytes())
                .bind(receipt.request_hash.to_vec())
                .bind(position)
                .bind(position)
                .bind(receipt.result);
        }
        let connection = &mut self.connection;
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        for statement in [events, claims, timers, receipts] {
            statement.execute(&mut *connection).await?;
        }
        sqlx::query(UPDATE_HEAD).bind(first).execute(&mut *connection).await?;
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        Ok(u64::try_from(BATCH_BOOKINGS)?)
    }
}

/// Bookings a second whose rows one connection writes in batches.
pub async fn batches(database: &Database, timing: Timing) -> Result<Measured> {
    for statement in CREATE_ALL {
        database.execute(statement).await?;
    }
    let show = Show::new()?;
    let template = Template::new(&show);
    let many = |insert: &str, one: &str, rows: usize| -> Arc<str> {
        let head = insert.split(" VALUES ").next().unwrap_or(insert);
        format!("{head} VALUES {}", values(one, rows)).into()
    };
    let statements = [
        many(INSERT_EVENTS, EVENT_VALUES, BATCH_BOOKINGS),
        many(INSERT_CLAIMS, CLAIM_VALUES, BATCH_BOOKINGS * CLAIMS),
        many(INSERT_TIMER, "(?, 'hold-ends', 'Booking', ?, ?, ?, 0)", BATCH_BOOKINGS),
        many(INSERT_RECEIPT, "(?, ?, ?, ?, ?, ?, ?)", BATCH_BOOKINGS),
    ];
    let worker = Batcher { connection: database.connect().await?, show, template, statements };
    let measured = drive(vec![worker], timing).await?;
    ensure_equal("events", database.number("SELECT COUNT(*) FROM events").await?, measured.acknowledged)?;
    Ok(measured)
}

/// One buyer of a counter that stands in a row.
struct Buyer(MySqlConnection);

impl Worker for Buyer {
    async fn work(&mut self) -> Result<u64> {
        sqlx::raw_sql("BEGIN").execute(&mut self.0).await?;
        let taken = sqlx::query(TAKE_STOCK).execute(&mut self.0).await?;
        ensure!(taken.rows_affected() == 1, "the stock is at an end");
        sqlx::query(INSERT_ORDER).bind(Uuid::new_v4().as_hyphenated().to_string()).execute(&mut self.0).await?;
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await?;
        Ok(1)
    }
}

/// So many buyers who each take one from the same row in a transaction of their own.
pub async fn stock(database: &Database, buyers: usize, timing: Timing) -> Result<Measured> {
    for statement in [CREATE_STOCK, INSERT_STOCK, CREATE_ORDERS] {
        database.execute(statement).await?;
    }
    let mut workers = Vec::new();
    for _ in 0..buyers {
        workers.push(Buyer(database.connect().await?));
    }
    let measured = drive(workers, timing).await?;
    ensure_equal("orders", database.number("SELECT COUNT(*) FROM orders").await?, measured.acknowledged)?;
    let left = database.number("SELECT `left` FROM stock WHERE id = 1").await?;
    ensure_equal("stock", STOCK - left, measured.acknowledged)?;
    Ok(measured)
}
