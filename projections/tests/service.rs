//! The projector service: several on one store, streams that misbehave, stores that fail, a log with a gap.

mod support;

use std::{sync::Arc, time::Duration};

use support::{
    Server,
    history::{History, Op},
    log::FakeLog,
    on_every_server, on_every_store,
};
use tickiz_domain::event::EventPublished;
use tickiz_event_log::record::Recorded;
use tickiz_projections::{
    DomainEventStream, LogSource, ProjectorOptions, ProjectorService, compare_with_log,
    service::Activity,
    stream::{Ordered, StreamError},
};
use tickiz_read_models::{Projection, ReadStore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<Result<(), tickiz_projections::service::ServiceError>>,
}

fn run(store: &ReadStore, stream: Arc<dyn DomainEventStream>, log: Arc<dyn LogSource>) -> Running {
    let options = ProjectorOptions { standby: Duration::from_millis(5), batch: 20, ..ProjectorOptions::default() };
    let service = ProjectorService::new(store.clone(), stream, log, options);
    let cancel = CancellationToken::new();
    Running { task: tokio::spawn(service.run(cancel.clone())), cancel }
}

impl Running {
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn busy_history(shows: usize, rounds: usize) -> History {
    let mut history = History::new();
    for _ in 0..shows {
        let draft = history.draft(true, true);
        let show = history.create(draft);
        history.append_to_show(show, EventPublished {});
    }
    more(&mut history, rounds);
    history
}

fn more(history: &mut History, rounds: usize) {
    for round in 0..rounds {
        let shows = history.shows.len();
        let placed = history.place(round % shows, &[round % 10], 0);
        if let Some(booking) = placed {
            history.run(&[Op::Confirm(booking), Op::Expire(booking), Op::CancelBooking(booking)][round % 3]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_projectors_on_one_store_give_what_one_would() {
    on_every_store(async |store: ReadStore| {
        let mut history = busy_history(3, 60);
        let log = history.log.clone();
        let all: Vec<Running> = (0..3).map(|seed| run(&store, log.unruly_stream(seed), log.source())).collect();
        for _ in 0..15 {
            more(&mut history, 7);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        assert!(store.wait_for(log.head(), PATIENCE).await.unwrap());
        // Whoever is stopped, the others go on.
        for running in all {
            running.stop().await;
            more(&mut history, 5);
        }
        let last = run(&store, log.stream(), log.source());
        assert!(store.wait_for(log.head(), PATIENCE).await.unwrap());
        last.stop().await;
        assert_eq!(compare_with_log(&log.source(), &store).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_log_that_fails_is_tried_again() {
    let store = ReadStore::open_memory().await.unwrap();
    let history = busy_history(1, 5);
    history.log.fail(true);
    let service =
        ProjectorService::new(store.clone(), history.log.stream(), history.log.source(), ProjectorOptions::default());
    let handle = service.handle();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(service.run(cancel.clone()));
    assert!(!store.wait_for(1, Duration::from_millis(120)).await.unwrap());
    assert_eq!(handle.progress(Projection::Events).activity, Activity::Retrying);
    history.log.fail(false);
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    assert_eq!(handle.progress(Projection::Events).activity, Activity::Active);
    cancel.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_that_stopped_dead_inside_its_transaction_stalls_nobody_for_long() {
    on_every_server(async |store: ReadStore, server: Option<&Server>| {
        let history = busy_history(1, 5);
        let head = history.log.head();
        let mut dead = store.begin(Projection::Events, 1).await.unwrap();
        assert!(dead.advance(0, head).await.unwrap());
        let running = run(&store, history.log.stream(), history.log.source());
        assert!(!store.wait_for(head, Duration::from_millis(500)).await.unwrap(), "it has the checkpoint's row");
        if server.is_some() {
            assert!(store.wait_for(head, PATIENCE).await.unwrap());
            dead.commit().await.expect_err("the server has ended its session");
        } else {
            // SQLite has one process, and what stops it stops all of it; here only the end of the process can be tried.
            drop(dead);
            assert!(store.wait_for(head, PATIENCE).await.unwrap());
        }
        running.stop().await;
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_are_made_again() {
    on_every_server(async |store: ReadStore, server: Option<&Server>| {
        let mut history = busy_history(2, 20);
        let running = run(&store, history.log.stream(), history.log.source());
        for _ in 0..5 {
            more(&mut history, 10);
            if let Some(server) = server {
                server.kill_sessions().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reached = async {
            // A reader's own connection may be one of the broken.
            while store.wait_for(history.log.head(), PATIENCE).await.is_err() {}
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
        running.stop().await;
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
    })
    .await;
}

/// A log with a hole.
struct Holed(Arc<FakeLog>, i64);

#[async_trait::async_trait]
impl LogSource for Holed {
    async fn read(&self, after: i64, limit: usize) -> Result<Vec<Arc<Recorded>>, tickiz_event_log::StoreError> {
        let mut batch = self.0.read(after, limit).await?;
        batch.retain(|recorded| recorded.position != self.1);
        Ok(batch)
    }
    async fn attachment(&self, hash: [u8; 32]) -> Result<Option<Arc<[u8]>>, tickiz_event_log::StoreError> {
        self.0.attachment(hash).await
    }
}

#[tokio::test]
async fn only_a_gap_in_the_log_itself_stops_a_projection() {
    let store = ReadStore::open_memory().await.unwrap();
    let history = busy_history(1, 10);
    let holed: Arc<dyn LogSource> = Arc::new(Holed(history.log.clone(), 8));
    // The stream has it: nothing is asked of the log.
    let whole = run(&store, history.log.stream(), holed.clone());
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    whole.stop().await;

    let holed_stream = HoledStream(history.log.clone(), 8);
    let mut events = Ordered::open(&holed_stream, history.log.source(), 0).await.unwrap();
    let mut seen = 0;
    while seen < history.log.head() {
        for recorded in events.next_batch(5).await.unwrap() {
            assert_eq!(recorded.position, seen + 1, "a gap in the stream is filled from the log");
            seen = recorded.position;
        }
    }
    let mut events = Ordered::open(&holed_stream, holed.clone(), 0).await.unwrap();
    let error = loop {
        match events.next_batch(5).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StreamError::GapInLog { wanted: 8, .. }), "{error}");

    let other = ReadStore::open_memory().await.unwrap();
    let service = ProjectorService::new(other.clone(), Arc::new(holed_stream), holed, ProjectorOptions::default());
    let error = service.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error.source, StreamError::GapInLog { wanted: 8, .. }));
    assert_eq!(other.checkpoint().await.unwrap(), 7, "what is before the gap is projected");
}

/// A stream that never gives one position.
struct HoledStream(Arc<FakeLog>, i64);

struct HoledReader(Arc<FakeLog>, i64, i64);

#[async_trait::async_trait]
impl DomainEventStream for HoledStream {
    async fn open(
        &self,
        after: i64,
    ) -> Result<Box<dyn tickiz_projections::DomainEventReader>, tickiz_event_log::StoreError> {
        Ok(Box::new(HoledReader(self.0.clone(), self.1, after)))
    }
}

#[async_trait::async_trait]
impl tickiz_projections::DomainEventReader for HoledReader {
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, tickiz_event_log::StoreError> {
        loop {
            let mut batch = self.0.read(self.2, limit).await?;
            let Some(last) = batch.last() else { std::future::pending().await };
            self.2 = last.position;
            batch.retain(|recorded| recorded.position != self.1);
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_is_lost_moved_or_invented_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.db");
    let store = ReadStore::open_sqlite(&path).await.unwrap();
    store.migrate().await.unwrap();
    let history = busy_history(2, 40);
    let running = run(&store, history.log.stream(), history.log.source());
    assert!(store.wait_for_all(&Projection::ALL, history.log.head(), PATIENCE).await.unwrap());
    running.stop().await;
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for (damage, repaired_by, said) in [
        (
            "DELETE FROM rm_bookings_v1 WHERE booking_id = (SELECT MIN(booking_id) FROM rm_bookings_v1)",
            "bookings",
            "missing",
        ),
        (
            "UPDATE rm_seats_v1 SET status = 'X' WHERE seat_index = (SELECT MIN(seat_index) FROM rm_seats_v1)",
            "events",
            "Blocked",
        ),
        ("DELETE FROM rm_seats_v1", "events", "it is free"),
        ("UPDATE rm_availability_v1 SET taken = taken + 1", "events", "what is taken"),
        ("DELETE FROM rm_events_v1", "events", "missing"),
        ("UPDATE rm_events_v1 SET starts_at = starts_at + 1", "events", "sorted by something else"),
        ("UPDATE rm_availability_v1 SET price_key = 'VND0000000000000001'", "events", "sorted by something else"),
        ("UPDATE rm_bookings_v1 SET status = 'REFUNDED'", "bookings", "sorted by something else"),
        ("DELETE FROM rm_reports_v1", "reports", "missing"),
        ("DELETE FROM rm_reports_v1 WHERE line = 0", "reports", "missing"),
        ("UPDATE rm_reports_v1 SET received_minor = received_minor + 1", "reports", "sorted by something else"),
        (
            "UPDATE rm_reports_v1 SET document = REPLACE(document, '\"CONFIRMED\"', '\"EXPIRED\"')",
            "reports",
            "it comes to",
        ),
    ] {
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
        let mut tx = pool.begin().await.unwrap();
        sqlx::query(damage).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let found = compare_with_log(&history.log.source(), &store).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|d| d.projection.name() == repaired_by), "{damage}: {found:?}");
        assert!(found.iter().any(|d| d.what.contains(said) && d.position > 0), "{damage}: {found:?}");
        // Built anew.
        for table in ["rm_events_v1", "rm_availability_v1", "rm_seats_v1", "rm_bookings_v1", "rm_reports_v1"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&pool).await.unwrap();
        }
        sqlx::query("UPDATE projection_checkpoints SET position = 0").execute(&pool).await.unwrap();
        let running = run(&store, history.log.stream(), history.log.source());
        let built = async {
            for projection in Projection::ALL {
                while store.checkpoint_of(projection, 1).await.unwrap() < history.log.head() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, built).await.unwrap();
        running.stop().await;
    }
}
