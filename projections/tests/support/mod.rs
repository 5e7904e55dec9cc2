//! What the tests of the read side share: stores, a log that can be told what to hold, histories.
#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(missing_docs, reason = "test code")]

pub mod history;
pub mod log;
pub mod naive;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tickiz_projections::{
    bookings::BookingsProjector,
    events::EventsProjector,
    plans::PlanSource,
    project::{WarmProjector, project},
    reports::ReportsProjector,
};
use tickiz_read_models::{MySqlOptions, ReadStore};
use uuid::Uuid;

use self::history::History;

/// A server and the test's own database on it.
pub struct Server {
    admin: sqlx::MySqlPool,
    database: String,
    url: String,
    mariadb: bool,
}

impl Server {
    /// Ends every session of the test's database.
    pub async fn kill_sessions(&self) {
        // MySQL's `processlist` fails on the binary text of anybody's statement; MariaDB has no `threads`.
        let statement = if self.mariadb {
            "SELECT CAST(id AS UNSIGNED) FROM information_schema.processlist WHERE db = ?"
        } else {
            "SELECT CAST(processlist_id AS UNSIGNED) FROM performance_schema.threads WHERE processlist_db = ?"
        };
        let sessions: Vec<u64> =
            sqlx::query_scalar(statement).bind(&self.database).fetch_all(&self.admin).await.unwrap();
        for session in sessions {
            // It may be gone already.
            let _ = sqlx::query(sqlx::AssertSqlSafe(format!("KILL {session}"))).execute(&self.admin).await;
        }
    }
}

/// Runs a test against SQLite in a file, MySQL and MariaDB, each empty. A server that is not there is skipped with a printed line,
/// or is a failure where `TICKIZ_TEST_REQUIRE_SERVERS=1` promises it.
pub async fn on_every_store(test: impl AsyncFn(ReadStore)) {
    on_every_server(async |store: ReadStore, _: Option<&Server>| test(store).await).await;
}

/// The same for a test that does something to the server; `None` with SQLite.
pub async fn on_every_server(test: impl AsyncFn(ReadStore, Option<&Server>)) {
    let folder = tempfile::tempdir().unwrap();
    let store = ReadStore::open_sqlite(&folder.path().join("read.db")).await.unwrap();
    store.migrate().await.unwrap();
    println!("on SQLite");
    test(store, None).await;
    for variable in ["TICKIZ_TEST_MYSQL_URL", "TICKIZ_TEST_MARIADB_URL"] {
        on_server(variable, &test).await;
    }
}

/// The same with a second handle on each store, as another process has one.
pub async fn on_every_store_twice(test: impl AsyncFn(ReadStore, ReadStore)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.db");
    let store = ReadStore::open_sqlite(&path).await.unwrap();
    store.migrate().await.unwrap();
    println!("on SQLite");
    test(store, ReadStore::open_sqlite(&path).await.unwrap()).await;
    for variable in ["TICKIZ_TEST_MYSQL_URL", "TICKIZ_TEST_MARIADB_URL"] {
        on_server(variable, &async |store: ReadStore, server: Option<&Server>| {
            let url = &server.expect("a server").url;
            let other = ReadStore::open_mysql(url, MySqlOptions::default()).await.unwrap();
            test(store, other.clone()).await;
            other.close().await;
        })
        .await;
    }
}

async fn on_server(variable: &str, test: &impl AsyncFn(ReadStore, Option<&Server>)) {
    let Ok(address) = std::env::var(variable) else {
        assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").as_deref() != Ok("1"), "{variable} is not set");
        println!("skipped: {variable} is not set");
        return;
    };
    let database = format!("tickiz_rm_{}", Uuid::new_v4().simple());
    let admin = sqlx::MySqlPool::connect(&address).await.unwrap();
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&admin).await.unwrap();
    println!("on {version}");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&admin).await.unwrap();
    let url = format!("{}/{database}", address.trim_end_matches('/'));
    let server = Server { admin, database, url: url.clone(), mariadb: version.contains("MariaDB") };
    let outcome = AssertUnwindSafe(async {
        let store = ReadStore::open_mysql(&url, MySqlOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        test(store.clone(), Some(&server)).await;
        store.close().await;
    })
    .catch_unwind()
    .await;
    let Server { admin, database, .. } = server;
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE {database}"))).execute(&admin).await.unwrap();
    if let Err(panic) = outcome {
        eprintln!("on {version}");
        std::panic::resume_unwind(panic);
    }
}

/// Projects what is not projected yet, in one batch.
pub async fn project_all(store: &ReadStore, history: &History) {
    let plans = Arc::new(PlanSource::new(history.log.source()));
    let projectors = [
        WarmProjector::new(EventsProjector::new(plans)),
        WarmProjector::new(BookingsProjector::default()),
        WarmProjector::new(ReportsProjector::default()),
    ];
    for mut projector in projectors {
        let from = store.checkpoint_of(projector.projection(), 1).await.unwrap();
        let batch = history.log.all().split_off(usize::try_from(from).unwrap());
        if !batch.is_empty() {
            project(&mut projector, store, 1, from, &batch).await.unwrap();
        }
    }
}
