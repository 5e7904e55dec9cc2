//! The log in memory, for simulation: the same contract, nothing durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use tickiz_domain::{
    ids::PersonId,
    stream::StreamId,
    timer::{Timer, TimerKind},
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use crate::{
    record::{LeafHash, Position, Receipt, Recorded, Sequence, StoreError},
    runtime::Clock,
    store::{
        AppendTransaction, ClaimRow, CommitError, Evidence, Head, LeasedTimer, Loaded, LogFilter, LogStore, Needs,
        PersonKey, ReceiptKey, Snapshot, WantedKey, Writes,
    },
};

struct TimerRow {
    timer: Timer,
    attempts: i64,
    lease: Option<(Uuid, DateTime<Utc>)>,
}

#[derive(Default)]
struct Tables {
    events: Vec<Recorded>,
    claims: BTreeMap<String, ClaimRow>,
    receipts: BTreeMap<ReceiptKey, Receipt>,
    attachments: BTreeMap<LeafHash, Vec<u8>>,
    timers: BTreeMap<Uuid, TimerRow>,
    people: BTreeMap<[u8; 32], PersonKey>,
    snapshots: BTreeMap<StreamId, Snapshot>,
    keyring: BTreeMap<&'static str, [u8; 32]>,
}

impl Tables {
    fn head(&self, now: DateTime<Utc>) -> Head {
        let last = self.events.last();
        Head {
            position: last.map_or(0, |last| last.position),
            recorded_at: last.map_or(DateTime::<Utc>::UNIX_EPOCH, |last| last.recorded_at),
            now,
        }
    }
}

/// The log in memory.
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty one, whose clock is `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { tables: Arc::default(), clock }
    }
}

struct MemoryTransaction {
    tables: OwnedMutexGuard<Tables>,
    head: Head,
    writes: Option<Writes>,
}

#[async_trait]
impl AppendTransaction for MemoryTransaction {
    fn head(&self) -> Head {
        self.head
    }

    async fn load(&mut self, needs: &Needs) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for event in &self.tables.events {
            if needs.streams.contains(&event.stream) {
                loaded.sequences.insert(event.stream, event.sequence);
            }
        }
        for resource in &needs.resources {
            if let Some(row) = self.tables.claims.get(resource) {
                loaded.claims.insert(resource.clone(), row.clone());
            }
        }
        for key in &needs.receipts {
            if let Some(receipt) = self.tables.receipts.get(key) {
                loaded.receipts.insert(key.clone(), receipt.clone());
            }
        }
        loaded.people.extend(needs.people.iter().filter(|lookup| self.tables.people.contains_key(*lookup)));
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.writes = Some(writes.clone());
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
        let Some(writes) = self.writes.take() else { return Ok(()) };
        let tables = &mut *self.tables;
        tables.events.extend(writes.events.iter().map(|event| (**event).clone()));
        for write in writes.claims {
            match write.after {
                Some(after) => drop(tables.claims.insert(after.resource.clone(), after)),
                None => drop(write.before.and_then(|before| tables.claims.remove(&before.resource))),
            }
        }
        for timer in writes.timers {
            let id = super::row::timer_id(&timer);
            tables.timers.entry(id).or_insert(TimerRow { timer, attempts: 0, lease: None });
        }
        tables.receipts.extend(writes.receipts);
        for attachment in writes.attachments {
            tables.attachments.insert(attachment.hash, attachment.bytes.to_vec());
        }
        tables.people.extend(writes.people);
        tables.people.retain(|_, key| !writes.erased.contains(&key.person_id));
        Ok(())
    }

    async fn rollback(self: Box<Self>) {}
}

impl MemoryStore {
    fn lease(row: &mut TimerRow, id: Uuid, token: Uuid, until: DateTime<Utc>) -> LeasedTimer {
        row.attempts += 1;
        row.lease = Some((token, until));
        LeasedTimer { timer_id: id, timer: row.timer.clone(), attempts: row.attempts, lease_token: token }
    }
}

#[async_trait]
impl LogStore for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn AppendTransaction>, StoreError> {
        let tables = self.tables.clone().lock_owned().await;
        let head = tables.head(self.clock.now());
        Ok(Box::new(MemoryTransaction { tables, head, writes: None }))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.tables.lock().await.head(self.clock.now()))
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let skip = usize::try_from(after).unwrap_or(0);
        Ok(self.tables.lock().await.events.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn query(&self, filter: &LogFilter, up_to: Position, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let wanted = |event: &&Recorded| {
            event.position > filter.after
                && event.position <= up_to
                && filter.stream_type.is_none_or(|kind| event.stream.stream_type == kind)
                && filter.stream_id.is_none_or(|id| event.stream.id == id)
                && (filter.event_types.is_empty() || filter.event_types.contains(&event.event_type))
                && filter.since.is_none_or(|since| event.recorded_at >= since)
                && filter.until.is_none_or(|until| event.recorded_at < until)
        };
        Ok(self.tables.lock().await.events.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn read_stream(&self, stream: StreamId, after: Sequence, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let wanted = |event: &&Recorded| event.stream == stream && event.sequence > after;
        Ok(self.tables.lock().await.events.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn read_streams(&self, after: &[(StreamId, Sequence)], limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let wanted =
            |event: &&Recorded| after.iter().any(|(stream, after)| event.stream == *stream && event.sequence > *after);
        Ok(self.tables.lock().await.events.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn receipts(&self, names: &BTreeSet<ReceiptKey>) -> Result<BTreeMap<ReceiptKey, Receipt>, StoreError> {
        let tables = self.tables.lock().await;
        Ok(names.iter().filter_map(|name| Some((name.clone(), tables.receipts.get(name)?.clone()))).collect())
    }

    async fn claims(&self, prefix: &str) -> Result<Vec<ClaimRow>, StoreError> {
        let tables = self.tables.lock().await;
        Ok(tables
            .claims
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, row)| row.clone())
            .collect())
    }

    async fn evidence(&self) -> Result<Evidence, StoreError> {
        let tables = self.tables.lock().await;
        Ok(Evidence {
            head: tables.head(self.clock.now()).position,
            claims: tables.claims.values().cloned().collect(),
            receipts: tables.receipts.iter().map(|(key, receipt)| (key.clone(), receipt.clone())).collect(),
            timers: tables.timers.values().map(|row| row.timer.clone()).collect(),
        })
    }

    async fn attachment(&self, hash: &LeafHash) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables.lock().await.attachments.get(hash).cloned())
    }

    async fn lease_timers(
        &self,
        kinds: &[TimerKind],
        token: Uuid,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<LeasedTimer>, StoreError> {
        let now = self.clock.now();
        let until = now + Duration::milliseconds(lease_ms);
        let mut tables = self.tables.lock().await;
        let mut due: Vec<(DateTime<Utc>, Uuid)> = tables
            .timers
            .iter()
            .filter(|(_, row)| kinds.contains(&row.timer.kind) && row.timer.due_at <= now)
            .filter(|(_, row)| row.lease.is_none_or(|(_, until)| until <= now))
            .map(|(id, row)| (row.timer.due_at, *id))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        let ids = due.into_iter().map(|(_, id)| id).collect::<Vec<_>>();
        Ok(ids
            .into_iter()
            .filter_map(|id| tables.timers.get_mut(&id).map(|row| Self::lease(row, id, token, until)))
            .collect())
    }

    async fn lease_timers_of(
        &self,
        wanted: &[(TimerKind, Uuid)],
        token: Uuid,
        lease_ms: i64,
    ) -> Result<Vec<LeasedTimer>, StoreError> {
        let now = self.clock.now();
        let mut tables = self.tables.lock().await;
        let mut lease = |(kind, subject): &(TimerKind, Uuid)| {
            let free = tables
                .timers
                .iter_mut()
                .filter(|(_, row)| row.timer.kind == *kind && row.timer.subject == *subject)
                .filter(|(_, row)| row.lease.is_none_or(|(_, until)| until <= now))
                .min_by_key(|(id, row)| (row.timer.due_at, **id));
            free.map(|(id, row)| Self::lease(row, *id, token, now + Duration::milliseconds(lease_ms)))
        };
        Ok(wanted.iter().filter_map(&mut lease).collect())
    }

    async fn finish_timer(&self, timer: &LeasedTimer) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().await;
        let ours = tables
            .timers
            .get(&timer.timer_id)
            .is_some_and(|row| row.lease.is_some_and(|(token, _)| token == timer.lease_token));
        if ours {
            tables.timers.remove(&timer.timer_id);
        }
        Ok(ours)
    }

    async fn finish_timers(&self, timers: &[LeasedTimer]) -> Result<usize, StoreError> {
        let mut finished = 0;
        for timer in timers {
            finished += usize::from(self.finish_timer(timer).await?);
        }
        Ok(finished)
    }

    async fn reschedule_timer(&self, timer: &LeasedTimer, due_at: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().await;
        let row = tables.timers.get_mut(&timer.timer_id);
        let Some(row) = row.filter(|row| row.lease.is_some_and(|(token, _)| token == timer.lease_token)) else {
            return Ok(false);
        };
        row.lease = None;
        row.timer.due_at = due_at;
        Ok(true)
    }

    async fn person_keys_or(&self, wanted: &[WantedKey]) -> Result<Vec<PersonKey>, StoreError> {
        let mut tables = self.tables.lock().await;
        let found =
            wanted.iter().map(|(lookup, fresh)| tables.people.entry(*lookup).or_insert_with(|| fresh.clone()).clone());
        Ok(found.collect())
    }

    async fn person_by(&self, lookup: &[u8; 32]) -> Result<Option<PersonId>, StoreError> {
        Ok(self.tables.lock().await.people.get(lookup).map(|key| key.person_id))
    }

    async fn person_key(&self, person: PersonId) -> Result<Option<PersonKey>, StoreError> {
        Ok(self.tables.lock().await.people.values().find(|key| key.person_id == person).cloned())
    }

    async fn kept_or(&self, name: &'static str, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.tables.lock().await.keyring.entry(name).or_insert(*fresh))
    }

    async fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.tables.lock().await.snapshots.get(&stream).cloned())
    }

    async fn save_snapshot(&self, stream: StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().await;
        if tables
            .snapshots
            .get(&stream)
            .is_none_or(|old| old.sequence < snapshot.sequence || old.format != snapshot.format)
        {
            tables.snapshots.insert(stream, snapshot.clone());
        }
        Ok(())
    }

    async fn server_version(&self) -> Result<String, StoreError> {
        Ok("memory".to_owned())
    }
}
