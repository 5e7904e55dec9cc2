//! Aggregates: what is loaded is what the log folds to, by snapshot, warm or cold; and cqrs-es over the log.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use cqrs_es::{Aggregate, AggregateError, CqrsFramework, EventStore, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use tickiz_domain::stream::StreamId;
use tickiz_event_log::{EventLog, Loaded, Repository, cqrs::CqrsStore, repository::SNAPSHOT_FORMAT, store::Snapshot};
use uuid::Uuid;

use crate::support::{Happened, Place, append_of, booking, happened, new_stream, on_every_store};

on_every_store!(
    random_histories_with_snapshots_load_equal_to_the_full_fold,
    a_snapshot_of_another_format_is_not_used,
    a_warm_aggregate_is_absorbed_kept_and_evicted,
    many_that_are_loaded_at_once_are_what_each_is_by_itself,
    aggregates_of_cqrs_es_run_on_the_log,
);

/// What tells a fold that applied something twice, or in another order, from one that did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub sum: i64,
    pub applied: u64,
    pub digest: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// Adds values, one domain event each; refuses where one is negative.
pub struct Add(pub Vec<i64>);

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";
    type Command = Add;
    type Event = Happened;
    type Error = Refused;
    type Services = ();

    async fn handle(&mut self, command: Add, (): &(), sink: &EventSink<Self>) -> Result<(), Refused> {
        if command.0.iter().any(|value| *value < 0) {
            return Err(Refused("a value is negative"));
        }
        for value in command.0 {
            sink.write(happened(value), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Happened) {
        self.sum += event.value;
        self.applied += 1;
        self.digest = self.digest.wrapping_mul(31).wrapping_add(event.value.cast_unsigned());
    }
}

fn every(events: usize) -> NonZeroUsize {
    NonZeroUsize::new(events).unwrap()
}

/// The fold of the whole stream, by nothing but the domain events.
async fn full_fold(log: &EventLog, stream: StreamId) -> Tally {
    let mut tally = Tally::default();
    for recorded in log.read_stream(stream, 0, usize::MAX).await.unwrap() {
        tally.apply(recorded.decode().unwrap());
    }
    tally
}

/// Waits until a snapshot at that sequence or later is there: it is written in the background.
async fn snapshot_at(place: &Place, stream: StreamId, sequence: i64) -> Snapshot {
    let store = place.store().await;
    for _ in 0..600 {
        if let Some(snapshot) = store.snapshot(stream).await.unwrap().filter(|kept| kept.sequence >= sequence) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no snapshot of {stream} at {sequence} was ever written");
}

async fn random_histories_with_snapshots_load_equal_to_the_full_fold(place: Place) {
    let (log, service) = place.open().await;
    for snapshot_every in [1, 2, 7] {
        let writing = Repository::<Tally>::with_snapshots_every(log.clone(), every(snapshot_every));
        let stream = new_stream();
        let mut loaded = writing.load(stream).await.unwrap();
        assert_eq!((loaded.sequence, &loaded.aggregate), (0, &Tally::default()));
        for _ in 0..8 {
            let events: Vec<_> =
                (0..rand::random_range(1..5)).map(|_| happened(rand::random_range(-1000..1000))).collect();
            let appended = log.append(append_of(stream, loaded.sequence, &events)).await.unwrap();
            loaded = match rand::random_range(0..3) {
                0 => {
                    writing.evict(stream);
                    writing.load(stream).await.unwrap()
                }
                1 => writing.load_fresh(stream).await.unwrap(),
                _ => writing.absorb(stream, &loaded, &appended.events).unwrap(),
            };
            let expected = full_fold(&log, stream).await;
            assert_eq!(loaded.aggregate, expected, "the repository that wrote");
            // Another process: nothing warm, whatever snapshot there is by now.
            let other = Repository::<Tally>::with_snapshots_every(log.clone(), every(snapshot_every));
            let cold = other.load(stream).await.unwrap();
            assert_eq!((&cold.aggregate, cold.sequence, cold.position), (&expected, loaded.sequence, loaded.position));
        }
        let snapshot = snapshot_at(&place, stream, loaded.sequence / snapshot_every as i64).await;
        let kept: Tally = serde_json::from_slice(&snapshot.state).unwrap();
        let mut prefix = Tally::default();
        for recorded in log.read_stream(stream, 0, usize::try_from(snapshot.sequence).unwrap()).await.unwrap() {
            prefix.apply(recorded.decode().unwrap());
        }
        assert_eq!(kept, prefix, "a snapshot holds what the log holds up to its sequence, once");
    }
    service.shutdown().await;
}

async fn a_snapshot_of_another_format_is_not_used(place: Place) {
    let (log, service) = place.open().await;
    let stream = new_stream();
    log.append(append_of(stream, 0, &[happened(1), happened(2), happened(3)])).await.unwrap();
    let store = place.store().await;
    let wrong =
        |sequence, format, state: &[u8]| Snapshot { sequence, position: sequence, format, state: state.to_vec() };
    let state = serde_json::to_vec(&Tally { sum: 1000, applied: 2, digest: 0 }).unwrap();
    for snapshot in [wrong(2, SNAPSHOT_FORMAT + 1, &state), wrong(2, SNAPSHOT_FORMAT, b"{\"sum\":\"?\"}")] {
        store.save_snapshot(stream, &snapshot).await.unwrap();
        assert_eq!(store.snapshot(stream).await.unwrap().unwrap(), snapshot);
        let loaded = Repository::<Tally>::new(log.clone()).load(stream).await.unwrap();
        assert_eq!((loaded.aggregate.sum, loaded.sequence), (6, 3));
    }
    // An older one does not replace a newer of the same format.
    let newer = wrong(3, SNAPSHOT_FORMAT, &state);
    store.save_snapshot(stream, &newer).await.unwrap();
    store.save_snapshot(stream, &wrong(2, SNAPSHOT_FORMAT, &state)).await.unwrap();
    assert_eq!(store.snapshot(stream).await.unwrap().unwrap(), newer);
    service.shutdown().await;
}

async fn a_warm_aggregate_is_absorbed_kept_and_evicted(place: Place) {
    let (log, service) = place.open().await;
    let repository = Repository::<Tally>::new(log.clone());
    let stream = new_stream();
    let appended = log.append(append_of(stream, 0, &[happened(1)])).await.unwrap();
    let first = repository.absorb(stream, &Loaded::default(), &appended.events).unwrap();
    assert_eq!((first.aggregate.sum, first.sequence, first.position), (1, 1, appended.position));
    // Another process goes on; what is warm here is old, and only a fresh load sees it.
    let (other, other_service) = place.open().await;
    other.append(append_of(stream, 1, &[happened(10)])).await.unwrap();
    assert!(Arc::ptr_eq(&repository.load(stream).await.unwrap(), &first));
    assert_eq!(repository.load_fresh(stream).await.unwrap().aggregate.sum, 11);
    assert_eq!(repository.load(stream).await.unwrap().aggregate.sum, 11);
    other.append(append_of(stream, 2, &[happened(100)])).await.unwrap();
    repository.evict(stream);
    assert_eq!(repository.load(stream).await.unwrap().aggregate.sum, 111);
    // What is not of the stream is not absorbed.
    let elsewhere = log.append(append_of(new_stream(), 0, &[happened(5)])).await.unwrap();
    let before = repository.load(stream).await.unwrap();
    assert_eq!(repository.absorb(stream, &before, &elsewhere.events).unwrap().aggregate.sum, 111);
    service.shutdown().await;
    other_service.shutdown().await;
}

async fn aggregates_of_cqrs_es_run_on_the_log(place: Place) {
    let (log, service) = place.open().await;
    let repository = Repository::<Tally>::with_snapshots_every(log.clone(), every(2));
    let framework = CqrsFramework::new(CqrsStore::new(repository.clone()), Vec::new(), ());
    let id = Uuid::new_v4();
    for values in [vec![1, 2, 3], vec![], vec![4], vec![5, 6]] {
        framework.execute(&id.to_string(), Add(values)).await.unwrap();
    }
    let refused = framework.execute(&id.to_string(), Add(vec![7, -1])).await;
    assert!(matches!(refused, Err(AggregateError::UserError(Refused(_)))));
    let loaded = Repository::<Tally>::new(log.clone()).load(booking(id)).await.unwrap();
    assert_eq!((loaded.aggregate.sum, loaded.aggregate.applied, loaded.sequence), (21, 6, 6));

    let store = CqrsStore::new(repository);
    let envelopes = store.load_events(&id.to_string()).await.unwrap();
    assert_eq!(envelopes.iter().map(|one| one.payload.value).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(envelopes.iter().map(|one| one.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    // Two decide on the same state: the later is a conflict.
    let first = store.load_aggregate(&id.to_string()).await.unwrap();
    let second = store.load_aggregate(&id.to_string()).await.unwrap();
    store.commit(vec![happened(7)], first, Default::default()).await.unwrap();
    let late = store.commit(vec![happened(8)], second, Default::default()).await;
    assert!(matches!(late, Err(AggregateError::AggregateConflict)));
    framework.execute(&id.to_string(), Add(vec![8])).await.unwrap();
    assert_eq!(full_fold(&log, booking(id)).await.sum, 36);
    assert!(framework.execute("no id", Add(vec![1])).await.is_err());
    service.shutdown().await;
}

async fn many_that_are_loaded_at_once_are_what_each_is_by_itself(place: Place) {
    let (log, service) = place.open().await;
    // A stream that is longer than what one look reads of all, some short ones, one that is not there.
    let mut streams = Vec::new();
    for length in [1, 2, 3, 30, 1_200] {
        let stream = new_stream();
        let mut sequence = 0;
        while sequence < length {
            let events: Vec<Happened> = (sequence..length.min(sequence + 400)).map(happened).collect();
            log.append(append_of(stream, sequence, &events)).await.unwrap();
            sequence += i64::try_from(events.len()).unwrap();
        }
        streams.push((stream, length));
    }
    streams.push((new_stream(), 0));
    for take in [4, streams.len()] {
        let repository: Repository<Tally> = Repository::new(log.clone());
        // Twice each, one of the two with some of it in memory.
        let asked = streams.iter().take(take).chain(&streams[..take]).map(|(stream, length)| {
            let (repository, stream, length) = (repository.clone(), *stream, *length);
            tokio::spawn(async move { (length, repository.load_fresh(stream).await.unwrap()) })
        });
        for task in asked.collect::<Vec<_>>() {
            let (length, loaded) = task.await.unwrap();
            let expected = (0..length).fold(Tally::default(), |mut tally, value| {
                tally.apply(happened(value));
                tally
            });
            assert_eq!((loaded.sequence, &loaded.aggregate), (length, &expected));
        }
    }
    service.shutdown().await;
}
