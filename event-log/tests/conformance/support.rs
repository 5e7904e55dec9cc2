//! Stores to try on, and small domain events whose claims and timers a test chooses.

use std::{io::Write, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, MySqlConnection, SqliteConnection};
use tickiz_domain::{
    claim::ClaimChange,
    stored::{DecodeError, StoredEvent, decode_body},
    stream::{StreamId, StreamType},
    timer::{Timer, TimerKind},
};
use tickiz_event_log::{
    Append, EventLog, LogService, Metadata, NewEvent, NewReceipt, Sequence, StreamAppend, migrate,
    runtime::{Runtime, SystemClock},
    store::LogStore,
    stores::{memory::MemoryStore, mysql::MySqlStore, sqlite::SqliteStore},
};
use uuid::Uuid;

/// The master key of all tests.
pub const MASTER_KEY: [u8; 32] = [7; 32];

/// Something happened; `value` is what a fold sums up. Claims and timers are the test's, and not stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    pub value: i64,
    #[serde(default)]
    pub note: String,
    #[serde(skip)]
    pub claims: Vec<ClaimChange>,
    /// Kind, subject, and how many milliseconds after the recorded time.
    #[serde(skip)]
    pub timers: Vec<(TimerKind, Uuid, i64)>,
    /// A name that a store refuses, where it is set.
    #[serde(skip)]
    pub long_name: bool,
}

impl cqrs_es::DomainEvent for Happened {
    fn event_type(&self) -> String {
        self.type_name().to_owned()
    }
    fn event_version(&self) -> String {
        self.version().to_string()
    }
}

impl StoredEvent for Happened {
    const STREAM_TYPE: StreamType = StreamType::Booking;

    fn type_name(&self) -> &'static str {
        if self.long_name { LONG_NAME } else { "Happened" }
    }
    fn version(&self) -> i32 {
        1
    }
    fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }
    fn decode(event_type: &str, version: i32, payload: &[u8]) -> Result<Self, DecodeError> {
        decode_body(event_type, version, 1, &[], payload)
    }
    fn claims(&self, _: Uuid) -> Vec<ClaimChange> {
        self.claims.clone()
    }
    fn timers(&self, stream: Uuid, recorded_at: DateTime<Utc>) -> Vec<Timer> {
        let timer = |(kind, subject, after_ms): &(TimerKind, Uuid, i64)| Timer {
            kind: *kind,
            stream: StreamId::new(StreamType::Booking, stream),
            subject: *subject,
            due_at: recorded_at + TimeDelta::milliseconds(*after_ms),
        };
        self.timers.iter().map(timer).collect()
    }
    fn catalogue() -> Vec<(&'static str, i32, schemars::Schema)> {
        Vec::new()
    }
}

/// Longer than the column on MySQL; SQLite and memory take it.
pub const LONG_NAME: &str = "HappenedWithANameThatIsFarLongerThanTheSixtyFourBytesThatTheColumnOnMySqlTakes";

pub fn happened(value: i64) -> Happened {
    Happened { value, ..Happened::default() }
}

pub fn claiming(claims: Vec<ClaimChange>) -> Happened {
    Happened { claims, ..Happened::default() }
}

pub fn booking(id: Uuid) -> StreamId {
    StreamId::new(StreamType::Booking, id)
}

pub fn new_stream() -> StreamId {
    booking(Uuid::new_v4())
}

/// Where an append comes from: a command that nobody else has.
pub fn a_command() -> Metadata {
    Metadata { command_id: Uuid::new_v4(), ..Metadata::default() }
}

pub fn append_of(stream: StreamId, expected: Sequence, events: &[Happened]) -> Append {
    let events = events.iter().map(|event| NewEvent::of(event, stream.id)).collect();
    Append { metadata: a_command(), streams: vec![StreamAppend { stream, expected, events }], ..Append::default() }
}

pub fn receipt_of(scope: &str, key: &str, result: &str) -> NewReceipt {
    NewReceipt {
        scope: scope.to_owned(),
        operation: "placeBooking",
        key: key.to_owned(),
        request_hash: [3; 32],
        result: result.as_bytes().to_vec(),
    }
}

/// Which backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Sqlite,
    MySql,
    MariaDb,
}

enum At {
    Memory(Arc<MemoryStore>),
    File(tempfile::TempDir),
    Server { url: String, database: String },
}

/// One store, which any number of logs may be opened on. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    pub kind: Kind,
    at: Arc<At>,
}

/// Past the test harness, which keeps what a passing test prints.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

impl Kind {
    /// The server's URL, which ends with `/`; `None` where there is no such server to try on.
    pub fn server(self) -> Option<String> {
        let variable = match self {
            Self::MySql => "TICKIZ_TEST_MYSQL_URL",
            Self::MariaDb => "TICKIZ_TEST_MARIADB_URL",
            Self::Memory | Self::Sqlite => return None,
        };
        let url = std::env::var(variable).ok();
        if url.is_none() {
            let required = std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
            assert!(!required, "{variable} is not set, and TICKIZ_TEST_REQUIRE_SERVERS=1");
        }
        url
    }
}

impl Place {
    /// A new, empty store with its schema; `None` where there is no such server.
    pub async fn make(kind: Kind) -> Option<Self> {
        let at = match kind {
            Kind::Memory => At::Memory(Arc::new(MemoryStore::new(Arc::new(SystemClock)))),
            Kind::Sqlite => At::File(tempfile::tempdir().unwrap()),
            Kind::MySql | Kind::MariaDb => {
                let Some(server) = kind.server() else {
                    say(&format!("skipped: there is no {kind:?} to try on"));
                    return None;
                };
                let database = format!("tickiz_test_{}", Uuid::new_v4().simple());
                let mut connection = MySqlConnection::connect(&server).await.unwrap();
                let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"));
                sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
                At::Server { url: format!("{server}{database}"), database }
            }
        };
        let place = Self { kind, at: Arc::new(at) };
        match &*place.at {
            At::Memory(_) => {}
            At::File(_) => migrate::sqlite(&place.sqlite().await).await.unwrap(),
            At::Server { url, .. } => migrate::mysql(&MySqlStore::connect_to(url).await.unwrap()).await.unwrap(),
        }
        Some(place)
    }

    pub fn path(&self) -> std::path::PathBuf {
        let At::File(folder) = &*self.at else { panic!("{:?} has no file", self.kind) };
        folder.path().join("log.db")
    }

    pub fn url(&self) -> String {
        let At::Server { url, .. } = &*self.at else { panic!("{:?} has no server", self.kind) };
        url.clone()
    }

    async fn sqlite(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }

    /// Another process's view of the store.
    pub async fn store(&self) -> Arc<dyn LogStore> {
        match &*self.at {
            At::Memory(store) => store.clone(),
            At::File(_) => Arc::new(self.sqlite().await),
            At::Server { url, .. } => Arc::new(MySqlStore::connect_to(url).await.unwrap()),
        }
    }

    /// Another process's log on the store.
    pub async fn open(&self) -> (EventLog, LogService) {
        EventLog::start(self.store().await, MASTER_KEY, Runtime::default()).await.unwrap()
    }

    /// Runs SQL by hand; what the store answers.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match &*self.at {
            At::Memory(_) => panic!("memory takes no SQL"),
            At::File(_) => {
                let url = format!("sqlite://{}", self.path().display());
                let mut connection = SqliteConnection::connect(&url).await?;
                Ok(sqlx::raw_sql(sql).execute(&mut connection).await?.rows_affected())
            }
            At::Server { url, .. } => {
                let mut connection = MySqlConnection::connect(url).await?;
                Ok(sqlx::raw_sql(sql).execute(&mut connection).await?.rows_affected())
            }
        }
    }

    async fn drop_it(&self) {
        let At::Server { url, database } = &*self.at else { return };
        let mut connection = MySqlConnection::connect(url).await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {database}"));
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }
}

/// Runs `test` on a new store of that kind, and removes the store however it ends.
pub async fn on<F: Future<Output = ()> + Send + 'static>(kind: Kind, test: impl FnOnce(Place) -> F) {
    let Some(place) = Place::make(kind).await else { return };
    let ended = tokio::spawn(test(place.clone())).await;
    place.drop_it().await;
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Each of these functions of the module as a test on each of these stores.
macro_rules! on_stores {
    ($($module:ident: $kind:ident),+; $tests:tt) => { $( crate::support::on_stores!(@ $module $kind $tests); )+ };
    (@ $module:ident $kind:ident [$($test:ident),+ $(,)?]) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::support::on(crate::support::Kind::$kind, super::$test).await;
                }
            )+
        }
    };
}
pub(crate) use on_stores;

macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        crate::support::on_stores!(memory: Memory, sqlite: Sqlite, mysql: MySql, mariadb: MariaDb; [$($test),+]);
    };
}
pub(crate) use on_every_store;
