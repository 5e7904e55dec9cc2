//! Why cqrs-es's own snapshot and aggregate stores are not used. Should this test ever fail, they were repaired, and the reason in
//! `repository` can be read again.

use std::sync::Mutex;

use cqrs_es::{
    Aggregate, CqrsFramework, EventStore,
    persist::{
        PersistedEventRepository, PersistedEventStore, PersistenceError, ReplayStream, SerializedEvent,
        SerializedSnapshot,
    },
};
use serde_json::Value;

use crate::aggregates::{Add, Tally};

/// The tables of a store in memory, with what `persist` is handed and nothing else.
#[derive(Default)]
struct Tables(Mutex<(Vec<SerializedEvent>, Option<SerializedSnapshot>)>);

impl PersistedEventRepository for &'static Tables {
    async fn get_events<A: Aggregate>(&self, _: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
        Ok(self.0.lock().unwrap().0.clone())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        _: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let tables = self.0.lock().unwrap();
        Ok(tables.0.iter().filter(|event| event.sequence > last_sequence).cloned().collect())
    }

    async fn get_snapshot<A: Aggregate>(&self, _: &str) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(self.0.lock().unwrap().1.as_ref().map(|kept| SerializedSnapshot {
            aggregate_id: kept.aggregate_id.clone(),
            aggregate: kept.aggregate.clone(),
            current_sequence: kept.current_sequence,
            current_snapshot: kept.current_snapshot,
        }))
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let mut tables = self.0.lock().unwrap();
        tables.0.extend_from_slice(events);
        if let Some((aggregate_id, aggregate, current_snapshot)) = snapshot {
            let current_sequence = tables.0.len();
            tables.1 = Some(SerializedSnapshot { aggregate_id, aggregate, current_sequence, current_snapshot });
        }
        Ok(())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Result<ReplayStream, PersistenceError> {
        Ok(ReplayStream::new(1).1)
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Ok(ReplayStream::new(1).1)
    }
}

type Store = PersistedEventStore<&'static Tables, Tally>;

async fn four_commands(make: fn(&'static Tables) -> Store) -> Tally {
    let tables: &'static Tables = Box::leak(Box::default());
    let framework = CqrsFramework::new(make(tables), Vec::new(), ());
    for _ in 0..4 {
        framework.execute("one", Add(vec![1])).await.unwrap();
    }
    use cqrs_es::AggregateContext;
    make(tables).load_aggregate("one").await.unwrap().aggregate().clone()
}

#[tokio::test]
async fn the_snapshots_of_cqrs_es_apply_domain_events_twice() {
    assert_eq!(four_commands(Store::new_event_store).await.sum, 4);
    assert_ne!(four_commands(|tables| Store::new_snapshot_store(tables, 2)).await.sum, 4);
    assert_ne!(four_commands(Store::new_aggregate_store).await.sum, 4);
}
