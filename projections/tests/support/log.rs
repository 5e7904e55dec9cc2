//! A log in memory that can be told what to hold, and streams of it that misbehave as far as a stream may.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use std::sync::Mutex;
use tickiz_domain::{
    ids::EventId,
    stored::StoredEvent,
    stream::{StreamId, StreamType},
};
use tickiz_event_log::record::{Metadata, Position, Recorded, StoreError};
use tickiz_projections::{DomainEventReader, DomainEventStream, LogSource};
use tokio::sync::watch;
use uuid::Uuid;

pub struct FakeLog {
    events: Mutex<Vec<Arc<Recorded>>>,
    attachments: Mutex<HashMap<[u8; 32], Arc<[u8]>>>,
    head: watch::Sender<Position>,
    failing: AtomicBool,
}

impl FakeLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            attachments: Mutex::default(),
            head: watch::Sender::new(0),
            failing: AtomicBool::new(false),
        })
    }

    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    pub fn all(&self) -> Vec<Arc<Recorded>> {
        self.events.lock().unwrap().clone()
    }

    /// Reads fail until it is told otherwise.
    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    pub fn attach(&self, bytes: Vec<u8>) -> String {
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        self.attachments.lock().unwrap().insert(hash, bytes.into());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn append<E: StoredEvent>(&self, stream: Uuid, show: Option<EventId>, event: &E) -> Position {
        self.append_together(stream, show, std::slice::from_ref(event))
    }

    /// One append of several domain events.
    pub fn append_together<E: StoredEvent>(&self, stream: Uuid, show: Option<EventId>, new: &[E]) -> Position {
        let command_id = Uuid::new_v4();
        let stored = new.iter().map(|e| (e.type_name().to_owned(), e.version(), e.payload())).collect();
        self.append_stored(StreamId::new(E::STREAM_TYPE, stream), show, command_id, stored)
    }

    /// The domain event at that position says something else from now on: what a program reads that knows its shape.
    pub fn mend<E: StoredEvent>(&self, position: Position, event: &E) {
        let mut events = self.events.lock().unwrap();
        let at = usize::try_from(position).unwrap() - 1;
        let mended = Recorded {
            event_type: event.type_name().to_owned(),
            event_version: event.version(),
            payload: event.payload().into(),
            ..(*events[at]).clone()
        };
        events[at] = Arc::new(mended);
    }

    /// Bytes that may be anything.
    pub fn append_raw(
        &self,
        stream_type: StreamType,
        stream: Uuid,
        show: Option<EventId>,
        name: &str,
        payload: &str,
    ) -> Position {
        let stored = vec![(name.to_owned(), 1, payload.as_bytes().to_vec())];
        self.append_stored(StreamId::new(stream_type, stream), show, Uuid::new_v4(), stored)
    }

    fn append_stored(
        &self,
        stream: StreamId,
        show_id: Option<EventId>,
        command_id: Uuid,
        new: Vec<(String, i32, Vec<u8>)>,
    ) -> Position {
        let mut events = self.events.lock().unwrap();
        for (event_type, event_version, payload) in new {
            let position = i64::try_from(events.len()).unwrap() + 1;
            let sequence = events.iter().rev().find(|e| e.stream == stream).map_or(1, |last| last.sequence + 1);
            events.push(Arc::new(Recorded {
                shard: 0,
                position,
                recorded_at: time(position),
                organizer_id: None,
                stream,
                sequence,
                event_type,
                event_version,
                payload: payload.into(),
                metadata: Metadata { command_id, show_id, ..Metadata::default() },
                leaf_hash: [0; 32],
            }));
        }
        let head = i64::try_from(events.len()).unwrap();
        drop(events);
        self.head.send_replace(head);
        head
    }

    /// A well-behaved stream.
    pub fn stream(self: &Arc<Self>) -> Arc<dyn DomainEventStream> {
        Arc::new(FakeStream { log: self.clone(), seed: None })
    }

    /// A stream that gives batches of random sizes, some domain events twice, and leaves some out.
    pub fn unruly_stream(self: &Arc<Self>, seed: u64) -> Arc<dyn DomainEventStream> {
        Arc::new(FakeStream { log: self.clone(), seed: Some(seed) })
    }

    pub fn source(self: &Arc<Self>) -> Arc<dyn LogSource> {
        self.clone()
    }
}

/// When a position was recorded.
pub fn time(position: Position) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + position, 0).unwrap()
}

#[async_trait]
impl LogSource for FakeLog {
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError("the log was told to fail".into()));
        }
        let events = self.events.lock().unwrap();
        Ok(events.iter().skip(usize::try_from(after).unwrap()).take(limit).cloned().collect())
    }

    async fn attachment(&self, hash: [u8; 32]) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.attachments.lock().unwrap().get(&hash).cloned())
    }
}

struct FakeStream {
    log: Arc<FakeLog>,
    seed: Option<u64>,
}

#[async_trait]
impl DomainEventStream for FakeStream {
    async fn open(&self, after: Position) -> Result<Box<dyn DomainEventReader>, StoreError> {
        let unruly = self.seed.map(StdRng::seed_from_u64);
        Ok(Box::new(FakeReader { log: self.log.clone(), head: self.log.head.subscribe(), cursor: after, unruly }))
    }
}

struct FakeReader {
    log: Arc<FakeLog>,
    head: watch::Receiver<Position>,
    cursor: Position,
    unruly: Option<StdRng>,
}

#[async_trait]
impl DomainEventReader for FakeReader {
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        self.head.wait_for(|head| *head > self.cursor).await.map_err(|_| StoreError("closed".into()))?;
        let head = *self.head.borrow();
        let (mut from, mut limit) = (self.cursor, limit);
        if let Some(random) = &mut self.unruly {
            limit = random.random_range(1..=limit);
            match random.random_range(0..4) {
                // Some again.
                0 => from -= random.random_range(0..=from.min(7)),
                // Some left out; never the last, which nothing would follow.
                1 => from += random.random_range(0..head - from),
                _ => {}
            }
        }
        let batch = self.log.read(from, limit).await?;
        self.cursor = self.cursor.max(batch.last().map_or(0, |last| last.position));
        Ok(batch)
    }
}
