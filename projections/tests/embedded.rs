//! The event log itself as the stream: what is appended is projected and seen live.

mod support;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use support::history::History;
use tickiz_domain::{
    event::{EventDomainEvent, EventPublished, SeatsBlocked},
    ids::{EventId, SeatId},
    stream::{StreamId, StreamType},
};
use tickiz_event_log::{Append, Attachment, EventLog, LogOptions, Metadata, NewEvent, StreamAppend};
use tickiz_projections::{
    DomainEventStream, LiveService, LogSource, ProjectorOptions, ProjectorService, compare_with_log, live::LiveOptions,
};
use tickiz_read_models::{Projection, ReadStore, SeatStatus};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

async fn append(log: &EventLog, id: EventId, expected: i64, event: EventDomainEvent, plan: Option<Attachment>) -> i64 {
    let append = Append {
        metadata: Metadata { command_id: Uuid::new_v4(), show_id: Some(id), ..Metadata::default() },
        streams: vec![StreamAppend {
            stream: StreamId::new(StreamType::Event, id.0),
            expected,
            events: vec![NewEvent::of(&event, id.0)],
        }],
        attachments: plan.into_iter().collect(),
        ..Append::default()
    };
    log.append(append).await.unwrap().position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_projected_and_seen_live() {
    let (log, service) = EventLog::open_memory(LogOptions::default()).await.unwrap();
    let store = ReadStore::open_memory().await.unwrap();
    let stream: Arc<dyn DomainEventStream> = Arc::new(log.clone());
    let source: Arc<dyn LogSource> = Arc::new(log.clone());
    let projector = ProjectorService::new(store.clone(), stream.clone(), source.clone(), ProjectorOptions::default());
    let handle = projector.handle();
    let live = LiveService::open(store.clone(), stream, source.clone(), LiveOptions::default()).await.unwrap();
    let feeds = live.feeds();
    let cancel = CancellationToken::new();
    let projecting = tokio::spawn(projector.run(cancel.clone()));
    let feeding = tokio::spawn(live.run(cancel.clone()));

    // Only its draft and its plan are wanted of it.
    let mut history = History::new();
    let id = EventId(Uuid::from_u128(5));
    let packed = history.plan.to_packed_json();
    let created = history.draft(true, true);
    let hash: Vec<u8> = (0..32)
        .map(|n| u8::from_str_radix(&created.plan.as_ref().unwrap().hash[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let plan = Attachment { hash: hash.try_into().unwrap(), bytes: packed.clone().into() };
    append(&log, id, 0, created.clone().into(), Some(plan)).await;
    let published = append(&log, id, 1, EventPublished {}.into(), None).await;
    assert!(store.wait_for(published, PATIENCE).await.unwrap());
    assert_eq!(store.event(id).await.unwrap().unwrap().show.title, created.title);
    assert_eq!(store.plan_bytes(&created.plan.unwrap().hash).await.unwrap(), Some(packed));

    let mut seats = feeds.subscribe_seats(id).await.unwrap().unwrap();
    assert!(seats.next().await.unwrap().snapshot);
    let seat = SeatId(history.plan.seat_ids()[4].clone());
    let blocked = append(&log, id, 2, SeatsBlocked { seat_ids: vec![seat.clone()] }.into(), None).await;
    let frame = tokio::time::timeout(PATIENCE, seats.next()).await.unwrap().unwrap();
    assert_eq!((frame.from_version, frame.version, frame.snapshot), (0, 1, false));
    assert_eq!(frame.changes(), [(seat, SeatStatus::Blocked)]);

    assert!(store.wait_for(blocked, PATIENCE).await.unwrap());
    assert_eq!(compare_with_log(&source, &store).await.unwrap(), []);
    cancel.cancel();
    projecting.await.unwrap().unwrap();
    feeding.await.unwrap().unwrap();
    assert_eq!(handle.progress(Projection::Events).position, blocked);
    service.shutdown().await;
}
