//! Faults of connections and processes, on the servers: everybody is told the truth, nothing is written twice, nothing is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, MySqlConnection};
use tickiz_event_log::{Append, AppendError, EventLog, runtime::Runtime, stores::mysql::MySqlStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Kind, MASTER_KEY, Place, a_command, append_of, happened, new_stream, on_stores, receipt_of};

on_stores!(mysql: MySql, mariadb: MariaDb; [
    a_connection_cut_before_commit_arrives_loses_nothing,
    a_connection_cut_after_commit_arrived_writes_nothing_twice,
    receipts_alone_survive_a_commit_without_an_answer,
    a_session_that_fell_silent_over_the_lock_is_ended_by_the_server,
    a_killed_writer_goes_on,
    a_log_that_stopped_dead_over_the_lock_stalls_nobody_for_ever,
]);

/// No cut is asked for.
const PASS: u8 = 0;
/// Cut the next connection that sends COMMIT, before the server gets it.
const CUT_BEFORE: u8 = 1;
/// Let the next COMMIT through, and cut before its answer gets back.
const CUT_AFTER: u8 = 2;

/// How the one text that the log sends at a transaction's end ends, with or without the head's move before it.
const COMMIT: &[u8] = b"COMMIT";

/// Passes bytes on between the log and the server, and cuts a connection at COMMIT when told to.
#[derive(Clone)]
struct Proxy {
    port: u16,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), cut: Arc::new(AtomicU8::new(PASS)) };
        let cut = proxy.cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(Self::pass(client, upstream, cut.clone()));
            }
        });
        proxy
    }

    async fn pass(client: TcpStream, server: TcpStream, cut: Arc<AtomicU8>) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let answers = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        });
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            let bytes = &buffer[..length];
            let wanted = if bytes.ends_with(COMMIT) { cut.swap(PASS, Ordering::SeqCst) } else { PASS };
            match wanted {
                CUT_BEFORE => break,
                CUT_AFTER => {
                    answers.abort();
                    to_server.write_all(bytes).await.unwrap();
                    // The server commits; its answer is read by nobody.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    break;
                }
                _ => {
                    if to_server.write_all(bytes).await.is_err() {
                        break;
                    }
                }
            }
        }
        answers.abort();
    }
}

/// A log whose connections go through a proxy.
async fn open_through_proxy(place: &Place) -> (EventLog, tickiz_event_log::LogService, Proxy) {
    let url = url::Url::parse(&place.url()).unwrap();
    let proxy = Proxy::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())).await;
    let mut through = url;
    through.set_port(Some(proxy.port)).unwrap();
    // In the clear, or the proxy could not tell COMMIT.
    through.query_pairs_mut().append_pair("ssl-mode", "DISABLED");
    let store = MySqlStore::connect_to(through.as_str()).await.unwrap();
    let (log, service) = EventLog::start(Arc::new(store), MASTER_KEY, Runtime::default()).await.unwrap();
    (log, service, proxy)
}

/// Appends from many callers while COMMIT is cut several times; afterwards the log holds what the callers were told, once.
async fn appends_meet_cuts(place: Place, cut: u8) {
    let (log, service, proxy) = open_through_proxy(&place).await;
    log.append(append_of(new_stream(), 0, &[happened(0)])).await.unwrap();
    let mut expected = 1;
    for round in 0..3 {
        proxy.cut.store(cut, Ordering::SeqCst);
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let log = log.clone();
                tokio::spawn(async move {
                    let append = Append {
                        receipt: Some(receipt_of("buyer", &format!("{round}/{number}"), "{}")),
                        ..append_of(new_stream(), 0, &[happened(number)])
                    };
                    let command = append.metadata.command_id;
                    (command, log.append(append).await.unwrap())
                })
            })
            .collect();
        for task in tasks {
            let (command, appended) = task.await.unwrap();
            assert_eq!(appended.events[0].metadata.command_id, command);
            let stored = place_read(&place, appended.position).await;
            assert_eq!(stored, *appended.events[0], "a waiter was told of what is not in the log");
            expected += 1;
        }
        assert_eq!(proxy.cut.load(Ordering::SeqCst), PASS, "the cut was made");
    }
    assert_eq!(log.head().await.unwrap(), expected, "something is in the log twice, or lost");
    assert_eq!(log.evidence().await.unwrap().receipts.len(), 60);
    service.shutdown().await;
}

/// Not through the proxy.
async fn place_read(place: &Place, position: i64) -> tickiz_event_log::Recorded {
    place.store().await.read(position - 1, 1).await.unwrap().remove(0)
}

async fn a_connection_cut_before_commit_arrives_loses_nothing(place: Place) {
    appends_meet_cuts(place, CUT_BEFORE).await;
}

async fn a_connection_cut_after_commit_arrived_writes_nothing_twice(place: Place) {
    appends_meet_cuts(place, CUT_AFTER).await;
}

async fn receipts_alone_survive_a_commit_without_an_answer(place: Place) {
    let (log, service, proxy) = open_through_proxy(&place).await;
    for (key, cut) in [("a", CUT_BEFORE), ("b", CUT_AFTER)] {
        proxy.cut.store(cut, Ordering::SeqCst);
        let nothing =
            || Append { receipt: Some(receipt_of("buyer", key, key)), metadata: a_command(), ..Append::default() };
        log.append(nothing()).await.unwrap();
        assert_eq!(proxy.cut.load(Ordering::SeqCst), PASS, "the cut was made");
        assert!(matches!(log.append(nothing()).await, Err(AppendError::Answered(_))));
    }
    assert_eq!(log.evidence().await.unwrap().receipts.len(), 2);
    service.shutdown().await;
}

/// The server needs three seconds for it; how long a busy machine needs is not what is tried.
const PATIENCE: Duration = Duration::from_secs(30);

async fn a_session_that_fell_silent_over_the_lock_is_ended_by_the_server(place: Place) {
    let (log, service) = place.open().await;
    let mut blocker = MySqlConnection::connect(&place.url()).await.unwrap();
    sqlx::raw_sql("SET SESSION wait_timeout = 3, autocommit = 0").execute(&mut blocker).await.unwrap();
    sqlx::raw_sql("SELECT position FROM log_head WHERE shard = 0 FOR UPDATE").execute(&mut blocker).await.unwrap();
    let append = log.append(append_of(new_stream(), 0, &[happened(1)]));
    let appended = tokio::time::timeout(PATIENCE, append).await.expect("the log stood still").unwrap();
    assert_eq!(appended.position, 1);
    assert!(blocker.ping().await.is_err(), "the silent session was ended");
    service.shutdown().await;
}

async fn a_log_that_stopped_dead_over_the_lock_stalls_nobody_for_ever(place: Place) {
    let dead = place.store().await;
    let mut transaction = dead.begin().await.unwrap();
    transaction.load(&tickiz_event_log::store::Needs::default()).await.unwrap();
    let (log, service) = place.open().await;
    let append = log.append(append_of(new_stream(), 0, &[happened(1)]));
    let appended = tokio::time::timeout(PATIENCE, append).await.expect("the log stood still").unwrap();
    assert_eq!(appended.position, 1);
    // It wakes and wants to go on: it must not.
    let late = tickiz_event_log::decide::decide(
        &[&append_of(new_stream(), 0, &[happened(2)])],
        transaction.head(),
        &tickiz_event_log::store::Loaded::default(),
    );
    assert!(transaction.write(&late.writes).await.is_err(), "a transaction that lost its lock wrote");
    drop(transaction);
    assert_eq!(log.head().await.unwrap(), 1);
    service.shutdown().await;
}

/// Kills every session of this database that has no wait time but the writer's three seconds. The server does not tell
/// which session that is, so all of them are killed but the one that asks.
async fn kill_sessions(place: &Place) {
    let mut connection = MySqlConnection::connect(&place.url()).await.unwrap();
    // MySQL's `processlist` fails on the binary text of anybody's statement; MariaDB has no `threads`.
    let statement = match place.kind {
        Kind::MariaDb => {
            "SELECT CAST(id AS UNSIGNED) FROM information_schema.processlist \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        }
        _ => {
            "SELECT CAST(processlist_id AS UNSIGNED) FROM performance_schema.threads \
             WHERE processlist_db = DATABASE() AND processlist_id <> CONNECTION_ID()"
        }
    };
    let sessions: Vec<u64> = sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap();
    for id in sessions {
        let kill = sqlx::AssertSqlSafe(format!("KILL {id}"));
        // One that ended by itself meanwhile is no fault.
        let _ = sqlx::raw_sql(kill).execute(&mut connection).await;
    }
}

async fn a_killed_writer_goes_on(place: Place) {
    let (log, service) = place.open().await;
    log.append(append_of(new_stream(), 0, &[happened(0)])).await.unwrap();
    // Between batches.
    kill_sessions(&place).await;
    log.append(append_of(new_stream(), 0, &[happened(0)])).await.unwrap();
    // In the middle, again and again.
    let killer = {
        let place = place.clone();
        tokio::spawn(async move {
            for _ in 0..8 {
                kill_sessions(&place).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        })
    };
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move {
                for value in 0..30 {
                    // The same key until it is known what became of it: as a client does.
                    let key = format!("{number}/{value}");
                    let stream = new_stream();
                    loop {
                        let receipt = Some(receipt_of("buyer", &key, "{}"));
                        let append = Append { receipt, ..append_of(stream, 0, &[happened(value)]) };
                        match log.append(append).await {
                            Ok(_) => break,
                            Err(AppendError::Store(_)) => {}
                            Err(error) => panic!("told {error} of an append that was made once"),
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    killer.await.unwrap();
    let (fresh, fresh_service) = place.open().await;
    assert_eq!(fresh.head().await.unwrap(), 2 + 8 * 30, "something is in the log twice, or lost");
    assert_eq!(fresh.evidence().await.unwrap().receipts.len(), 8 * 30);
    service.shutdown().await;
    fresh_service.shutdown().await;
}
