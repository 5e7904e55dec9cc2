//! Positions, conflicts, group commit, and what an answer promises.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use sha2::{Digest, Sha256};
use tickiz_domain::stream::{StreamId, StreamType};
use tickiz_event_log::{
    Append, AppendError, Attachment, EventLog, Metadata, Position, Recorded, StreamAppend, leaf_hash,
    runtime::{Clock, ManualClock, Runtime},
    stores::memory::MemoryStore,
    writer::{MAX_BATCH_APPENDS, MAX_QUEUED_APPENDS},
};
use uuid::Uuid;

use crate::support::{
    Kind, MASTER_KEY, Place, append_of, happened, new_stream, on_every_store, on_stores, receipt_of, say,
};

on_every_store!(
    the_server_says_its_version,
    positions_have_no_gap_and_no_reader_sees_one,
    what_waits_together_is_committed_together,
    a_moved_stream_is_a_conflict_that_says_where_it_stands,
    a_named_read_that_moved_is_a_conflict,
    of_two_in_one_batch_on_the_same_sequence_one_wins,
    a_refused_append_leaves_nothing,
    a_malformed_append_is_refused_at_the_door,
    what_was_acknowledged_survives_a_process_that_just_ends,
    shutdown_writes_what_was_queued_and_takes_no_more,
    what_waits_is_bounded_by_count_and_by_bytes,
);
on_stores!(sqlite_clock: Sqlite, mysql_clock: MySql, mariadb_clock: MariaDb; [recorded_time_never_sinks]);
on_stores!(mysql_refuses: MySql, mariadb_refuses: MariaDb; [one_append_that_the_store_refuses_does_not_fail_its_batch]);

async fn the_server_says_its_version(place: Place) {
    let (log, service) = place.open().await;
    let version = log.server_version().await.unwrap();
    say(&format!("{:?}: VERSION() = {version}", place.kind));
    assert!(!version.is_empty());
    assert_eq!(version.contains("MariaDB"), place.kind == Kind::MariaDb);
    service.shutdown().await;
}

/// Everything in the log, by pages, asserting what every reader may rely on.
async fn read_all(log: &EventLog) -> Vec<Arc<Recorded>> {
    let mut all: Vec<Arc<Recorded>> = Vec::new();
    loop {
        let page = log.read(all.last().map_or(0, |last| last.position), 100).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn positions_have_no_gap_and_no_reader_sees_one(place: Place) {
    const WRITERS: i64 = 3;
    const TASKS: i64 = 4;
    const APPENDS: i64 = 12;
    const TOTAL: i64 = WRITERS * TASKS * APPENDS * 2;
    let mut services = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..WRITERS {
        let (log, service) = place.open().await;
        services.push(service);
        for _ in 0..TASKS {
            let log = log.clone();
            tasks.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                for value in 0..APPENDS {
                    let append = append_of(new_stream(), 0, &[happened(value), happened(-value)]);
                    let appended = log.append(append).await.unwrap();
                    assert_eq!(appended.events.len(), 2);
                    assert_eq!(appended.position, appended.events[1].position);
                    seen.extend(appended.events);
                }
                seen
            }));
        }
    }
    let mut readers = Vec::new();
    for page in [1, 7, 1000] {
        let (log, service) = place.open().await;
        services.push(service);
        readers.push(tokio::spawn(async move {
            let mut checkpoint: Position = 0;
            let mut seen = Vec::new();
            let mut head = log.watch();
            while checkpoint < TOTAL {
                let events = log.read(checkpoint, page).await.unwrap();
                for event in &events {
                    assert_eq!(event.position, checkpoint + 1, "a reader that checkpoints saw a gap");
                    checkpoint = event.position;
                }
                if events.is_empty() {
                    head.wait_for(|head| *head > checkpoint).await.unwrap();
                }
                seen.extend(events);
            }
            seen
        }));
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    acknowledged.sort_by_key(|event| event.position);
    assert!(acknowledged.windows(2).all(|pair| pair[0].recorded_at <= pair[1].recorded_at), "recorded time sank");
    for event in &acknowledged {
        assert_eq!(event.leaf_hash, leaf_hash(event));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), acknowledged, "a reader saw another log than the writers were told");
    }
    for service in services {
        service.shutdown().await;
    }
}

/// Holds the head's lock as another process does, while `work` queues up behind it.
async fn while_locked<T: Send + 'static>(place: &Place, work: impl Future<Output = T> + Send + 'static) -> T {
    let store = place.store().await;
    let transaction = store.begin().await.unwrap();
    let work = tokio::spawn(work);
    tokio::time::sleep(Duration::from_millis(300)).await;
    transaction.rollback().await;
    work.await.unwrap()
}

async fn what_waits_together_is_committed_together(place: Place) {
    let (log, service) = place.open().await;
    let appending = log.clone();
    let appended = while_locked(&place, async move {
        let tasks: Vec<_> = (0..200)
            .map(|value| {
                let log = appending.clone();
                tokio::spawn(async move { log.append(append_of(new_stream(), 0, &[happened(value)])).await.unwrap() })
            })
            .collect();
        let mut appended = Vec::new();
        for task in tasks {
            appended.push(task.await.unwrap());
        }
        appended
    })
    .await;
    let positions: BTreeSet<_> = appended.iter().map(|appended| appended.position).collect();
    assert_eq!(positions.into_iter().collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    // One transaction has one recorded time. What was drained before the lock was waited for is the first.
    let times: BTreeSet<_> = appended.iter().map(|appended| appended.events[0].recorded_at).collect();
    assert!(times.len() <= 3, "200 appends that waited together took {} transactions", times.len());
    service.shutdown().await;
}

async fn a_moved_stream_is_a_conflict_that_says_where_it_stands(place: Place) {
    let (log, service) = place.open().await;
    let stream = new_stream();
    log.append(append_of(stream, 0, &[happened(1), happened(2)])).await.unwrap();
    for expected in [0, 1, 3] {
        let error = log.append(append_of(stream, expected, &[happened(3)])).await.unwrap_err();
        let AppendError::Conflict { stream: moved, expected: was, actual } = error else { panic!("{error}") };
        assert_eq!((moved, was, actual), (stream, expected, 2));
    }
    // The same id in another kind is another stream.
    let mut other = append_of(stream, 0, &[happened(3)]);
    other.streams[0].stream = StreamId::new(StreamType::Event, stream.id);
    log.append(other).await.unwrap();
    log.append(append_of(stream, 2, &[happened(3)])).await.unwrap();
    let sequences: Vec<_> = log.read_stream(stream, 0, 10).await.unwrap().iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert_eq!(log.read_stream(stream, 1, 1).await.unwrap()[0].sequence, 2);
    service.shutdown().await;
}

async fn a_named_read_that_moved_is_a_conflict(place: Place) {
    let (log, service) = place.open().await;
    let show = new_stream();
    log.append(append_of(show, 0, &[happened(1)])).await.unwrap();
    let reading = |sequence| Append { reads: vec![(show, sequence)], ..append_of(new_stream(), 0, &[happened(2)]) };
    log.append(reading(1)).await.unwrap();
    let (other, other_service) = place.open().await;
    other.append(append_of(show, 1, &[happened(3)])).await.unwrap();
    let error = log.append(reading(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Conflict { stream, expected: 1, actual: 2 } if stream == show), "{error}");
    log.append(reading(2)).await.unwrap();
    // A stream that was read as missing must still be missing.
    let missing = new_stream();
    let absent = || Append { reads: vec![(missing, 0)], ..append_of(new_stream(), 0, &[happened(2)]) };
    log.append(absent()).await.unwrap();
    other.append(append_of(missing, 0, &[happened(1)])).await.unwrap();
    assert!(matches!(log.append(absent()).await, Err(AppendError::Conflict { expected: 0, actual: 1, .. })));
    service.shutdown().await;
    other_service.shutdown().await;
}

async fn of_two_in_one_batch_on_the_same_sequence_one_wins(place: Place) {
    let (log, service) = place.open().await;
    let stream = new_stream();
    let appending = log.clone();
    let (first, second) = while_locked(&place, async move {
        tokio::join!(
            appending.append(append_of(stream, 0, &[happened(1)])),
            appending.append(append_of(stream, 0, &[happened(2)])),
        )
    })
    .await;
    assert_eq!(first.unwrap().position, 1);
    assert!(matches!(second, Err(AppendError::Conflict { expected: 0, actual: 1, .. })));
    service.shutdown().await;
}

async fn a_refused_append_leaves_nothing(place: Place) {
    let (log, service) = place.open().await;
    let stream = new_stream();
    log.append(append_of(stream, 0, &[happened(1)])).await.unwrap();
    let other = new_stream();
    let mut append = append_of(stream, 0, &[happened(2)]);
    append.streams.insert(0, append_of(other, 0, &[happened(3)]).streams.remove(0));
    append.receipt = Some(receipt_of("buyer", "key", "{}"));
    append.attachments = vec![Attachment { hash: sha256(b"plan"), bytes: b"plan".to_vec().into() }];
    assert!(matches!(log.append(append).await, Err(AppendError::Conflict { .. })));
    assert_eq!(log.head().await.unwrap(), 1);
    assert!(log.read_stream(other, 0, 10).await.unwrap().is_empty());
    assert!(log.receipt("buyer", "placeBooking", "key").await.unwrap().is_none());
    assert!(log.attachment(&sha256(b"plan")).await.unwrap().is_none());
    assert_eq!(read_all(&log).await.len(), 1);
    service.shutdown().await;
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

async fn a_malformed_append_is_refused_at_the_door(place: Place) {
    let (log, service) = place.open().await;
    let good = || append_of(new_stream(), 0, &[happened(1)]);
    let twice = {
        let append = good();
        Append { streams: [append.streams.clone(), append.streams].concat(), ..good() }
    };
    let huge = crate::support::Happened { note: "x".repeat(1 << 20), ..happened(1) };
    let malformed = [
        Append::default(),
        twice,
        Append { streams: vec![StreamAppend { stream: new_stream(), expected: 0, events: Vec::new() }], ..good() },
        append_of(new_stream(), -1, &[happened(1)]),
        append_of(new_stream(), 0, &[huge]),
        Append { receipt: Some(receipt_of(&"s".repeat(201), "k", "{}")), ..good() },
        Append { receipt: Some(receipt_of("s", &"k".repeat(801), "{}")), ..good() },
        Append { receipt: Some(receipt_of("s", "k", &"r".repeat(1 << 16))), ..good() },
        Append { metadata: Metadata::default(), ..good() },
        Append { attachments: vec![Attachment { hash: [0; 32], bytes: b"plan".to_vec().into() }], ..good() },
    ];
    for (index, append) in malformed.into_iter().enumerate() {
        let error = log.append(append).await.unwrap_err();
        assert!(matches!(error, AppendError::Malformed(_)), "{index}: {error}");
    }
    assert_eq!(log.head().await.unwrap(), 0);
    service.shutdown().await;
}

async fn what_was_acknowledged_survives_a_process_that_just_ends(place: Place) {
    let (log, service) = place.open().await;
    let mut acknowledged = Vec::new();
    for value in 0..20 {
        let append = Append {
            receipt: Some(receipt_of("buyer", &value.to_string(), "{}")),
            ..append_of(new_stream(), 0, &[happened(value)])
        };
        acknowledged.extend(log.append(append).await.unwrap().events);
    }
    drop((log, service));
    let (again, service) = place.open().await;
    assert_eq!(again.head().await.unwrap(), 20);
    assert_eq!(*again.watch().borrow(), 20);
    assert_eq!(read_all(&again).await, acknowledged);
    assert_eq!(again.evidence().await.unwrap().receipts.len(), 20);
    assert_eq!(again.append(append_of(new_stream(), 0, &[happened(1)])).await.unwrap().position, 21);
    service.shutdown().await;
}

async fn shutdown_writes_what_was_queued_and_takes_no_more(place: Place) {
    let (log, service) = place.open().await;
    let service = Arc::new(service);
    let (appending, stopping) = (log.clone(), service.clone());
    let outcomes = while_locked(&place, async move {
        let tasks: Vec<_> = (0..50)
            .map(|value| {
                let log = appending.clone();
                tokio::spawn(async move { log.append(append_of(new_stream(), 0, &[happened(value)])).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let stopping = tokio::spawn(async move { stopping.shutdown().await });
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        stopping.await.unwrap();
        outcomes
    })
    .await;
    assert!(outcomes.iter().all(Result::is_ok), "an append that was queued before the shutdown was lost");
    let late = log.append(append_of(new_stream(), 0, &[happened(1)])).await;
    assert!(matches!(late, Err(AppendError::Closed)));
    log.closed().await;
    assert_eq!(place.store().await.head().await.unwrap().position, 50);
}

fn light(value: u64) -> Append {
    append_of(new_stream(), 0, &[happened(i64::try_from(value).unwrap())])
}

/// An append with a plan of 8 MiB, different from all others.
fn heavy(value: u64) -> Append {
    let mut bytes = vec![0; 8 << 20];
    bytes[..8].copy_from_slice(&value.to_be_bytes());
    let hash = Sha256::digest(&bytes).into();
    let attachments = vec![Attachment { hash, bytes: bytes.into() }];
    Append { attachments, ..append_of(new_stream(), 0, &[happened(1)]) }
}

async fn what_waits_is_bounded_by_count_and_by_bytes(place: Place) {
    let (log, service) = place.open().await;
    for append in [heavy as fn(u64) -> Append, light] {
        let before = log.head().await.unwrap();
        let lock = place.store().await.begin().await.unwrap();
        let mut waiting = FuturesUnordered::new();
        // Nothing is written, so sooner or later one too many waits, and is told at once.
        let refused = (0..).find_map(|value| {
            waiting.push(log.append(append(value)));
            waiting.next().now_or_never()
        });
        assert!(matches!(refused, Some(Some(Err(AppendError::Overloaded { retry_after_ms: 1.. })))), "{refused:?}");
        assert!(waiting.len() <= MAX_QUEUED_APPENDS + MAX_BATCH_APPENDS);
        lock.rollback().await;
        let outcomes: Vec<_> = waiting.collect().await;
        assert!(outcomes.iter().all(Result::is_ok), "who was taken in is not let down");
        assert_eq!(log.head().await.unwrap() - before, i64::try_from(outcomes.len()).unwrap());
        assert_eq!(log.queued().0, 0);
    }
    log.append(heavy(u64::MAX)).await.expect("there is room again");
    service.shutdown().await;
}

async fn recorded_time_never_sinks(place: Place) {
    let ahead = Utc::now() + TimeDelta::hours(3);
    let time = match place.kind {
        Kind::Sqlite => ahead.timestamp_micros().to_string(),
        _ => format!("'{}'", ahead.format("%Y-%m-%d %H:%M:%S%.6f")),
    };
    // As if the store's clock had gone back three hours.
    place.execute(&format!("UPDATE log_head SET recorded_at = {time}")).await.unwrap();
    let (log, service) = place.open().await;
    for _ in 0..2 {
        let appended = log.append(append_of(new_stream(), 0, &[happened(1)])).await.unwrap();
        assert_eq!(appended.events[0].recorded_at.timestamp_micros(), ahead.timestamp_micros());
    }
    assert_eq!(read_all(&log).await[1].recorded_at.timestamp_micros(), ahead.timestamp_micros());
    service.shutdown().await;
}

#[tokio::test]
async fn recorded_time_stands_still_while_the_clock_goes_back() {
    let start = "2026-05-01T10:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let (log, service) = EventLog::start(store, MASTER_KEY, Runtime::at(clock.clone())).await.unwrap();
    let mut recorded = Vec::new();
    for minutes in [0, 5, -60, 10, 50] {
        clock.advance(TimeDelta::minutes(minutes));
        recorded.push(log.append(append_of(new_stream(), 0, &[happened(1)])).await.unwrap().events[0].recorded_at);
    }
    let minutes: Vec<_> = recorded.iter().map(|at| (*at - start).num_minutes()).collect();
    assert_eq!(minutes, [0, 5, 5, 5, 5]);
    assert_eq!(clock.now(), start + TimeDelta::minutes(5));
    service.shutdown().await;
}

async fn one_append_that_the_store_refuses_does_not_fail_its_batch(place: Place) {
    let (log, service) = place.open().await;
    let appending = log.clone();
    let outcomes = while_locked(&place, async move {
        let tasks: Vec<_> = (0..20)
            .map(|value| {
                let log = appending.clone();
                let event = crate::support::Happened { long_name: value == 7, ..happened(value) };
                let id = Uuid::new_v4();
                tokio::spawn(async move { log.append(append_of(crate::support::booking(id), 0, &[event])).await })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    })
    .await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(matches!(outcome, Err(AppendError::Store(_))), index == 7, "{index}: {outcome:?}");
    }
    assert_eq!(read_all(&log).await.len(), 19);
    service.shutdown().await;
}
