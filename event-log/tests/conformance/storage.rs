//! What is kept, how it is found, and that it stays as it was written.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use tickiz_domain::{
    ids::{EventId, OrganizerId},
    stream::{StreamId, StreamType},
};
use tickiz_event_log::{
    Append, Attachment, EventLog, LogFilter, LogOptions, Metadata, OpenError, Recorded, leaf_hash, migrate,
    stores::{mysql::MySqlStore, sqlite::SqliteStore},
};
use uuid::Uuid;

use crate::support::{Kind, MASTER_KEY, Place, append_of, happened, new_stream, on_every_store, on_stores};

on_every_store!(
    everything_that_a_domain_event_says_is_read_back,
    an_attachment_is_kept_once_under_its_hash,
    a_filter_finds_what_it_names,
);
on_stores!(sqlite_only: Sqlite, mysql_only: MySql, mariadb_only: MariaDb; [
    domain_events_are_never_changed_or_deleted,
    a_schema_that_is_too_old_is_refused,
    another_master_key_than_the_first_is_refused,
    several_processes_may_bring_the_schema_up_at_once,
]);
on_stores!(mysql_migrations: MySql, mariadb_migrations: MariaDb; [
    a_migration_that_was_killed_is_done_again,
    a_user_who_may_make_no_triggers_works_without_them,
]);

async fn everything_that_a_domain_event_says_is_read_back(place: Place) {
    let (log, service) = place.open().await;
    let note = "Đêm nhạc \u{0} 😀 \"\\".to_owned();
    let event = crate::support::Happened { note, ..happened(i64::MIN) };
    let append = Append {
        metadata: Metadata {
            command_id: Uuid::new_v4(),
            causation_id: Some(Uuid::new_v4()),
            correlation_id: Some(Uuid::new_v4()),
            actor: Some("system:expiry".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            show_id: Some(EventId(Uuid::new_v4())),
        },
        organizer_id: Some(OrganizerId(Uuid::new_v4())),
        ..append_of(new_stream(), 0, std::slice::from_ref(&event))
    };
    let metadata = append.metadata.clone();
    let organizer_id = append.organizer_id;
    let appended = log.append(append).await.unwrap();
    let stored = place.store().await.read(0, 10).await.unwrap();
    assert_eq!(stored, [(*appended.events[0]).clone()]);
    assert_eq!((&stored[0].metadata, stored[0].organizer_id), (&metadata, organizer_id));
    assert_eq!(stored[0].decode::<crate::support::Happened>().unwrap(), event);
    assert_eq!(*stored[0].payload, *serde_json::to_vec(&event).unwrap());
    assert_eq!(leaf_hash(&stored[0]), stored[0].leaf_hash);
    assert!((log.now() - stored[0].recorded_at).abs() < TimeDelta::minutes(1));
    service.shutdown().await;
}

async fn an_attachment_is_kept_once_under_its_hash(place: Place) {
    let (log, service) = place.open().await;
    // More than a page of any store, and every byte there is.
    let bytes: Arc<[u8]> = (0..2_000_000_u32).map(|index| (index * 31 % 256) as u8).collect();
    let attachment = Attachment { hash: Sha256::digest(&bytes).into(), bytes: bytes.clone() };
    for _ in 0..2 {
        let append = Append { attachments: vec![attachment.clone()], ..append_of(new_stream(), 0, &[happened(1)]) };
        log.append(append).await.unwrap();
    }
    assert_eq!(log.attachment(&attachment.hash).await.unwrap().unwrap(), bytes);
    assert!(log.attachment(&[0; 32]).await.unwrap().is_none());
    service.shutdown().await;
}

async fn a_filter_finds_what_it_names(place: Place) {
    let (log, service) = place.open().await;
    let (wanted, show) = (new_stream(), StreamId::new(StreamType::Event, Uuid::new_v4()));
    let mut recorded: Vec<Recorded> = Vec::new();
    for number in 0..30 {
        let stream = match number % 3 {
            0 => wanted,
            1 => show,
            _ => new_stream(),
        };
        let expected = if number % 3 == 2 { 0 } else { number / 3 };
        let event = crate::support::Happened { long_name: false, ..happened(number) };
        let mut append = append_of(stream, expected, &[event]);
        append.streams[0].stream = stream;
        recorded.extend(log.append(append).await.unwrap().events.iter().map(|event| (**event).clone()));
        if number == 14 {
            // So that a span of time is not a single millisecond.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    let found = async |filter: LogFilter, limit| {
        let events = log.query(&filter, limit).await.unwrap();
        events.into_iter().map(|event| event.position).collect::<Vec<_>>()
    };
    let expected = |wanted: &dyn Fn(&Recorded) -> bool| {
        recorded.iter().filter(|event| wanted(event)).map(|event| event.position).collect::<Vec<_>>()
    };
    let all = LogFilter::default();
    assert_eq!(found(all.clone(), 1000).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(found(LogFilter { after: 27, ..all.clone() }, 2).await, [28, 29]);
    assert_eq!(
        found(LogFilter { stream_id: Some(wanted.id), ..all.clone() }, 1000).await,
        expected(&|event| event.stream == wanted)
    );
    assert_eq!(
        found(LogFilter { stream_type: Some(StreamType::Event), after: 10, ..all.clone() }, 1000).await,
        expected(&|event| event.stream == show && event.position > 10)
    );
    let types = vec!["Happened".to_owned(), "Other".to_owned()];
    assert_eq!(found(LogFilter { event_types: types, ..all.clone() }, 1000).await.len(), 30);
    assert!(found(LogFilter { event_types: vec!["Other".to_owned()], ..all.clone() }, 1000).await.is_empty());
    for at in [0, 7, 15, 29] {
        let time: DateTime<Utc> = recorded[at].recorded_at;
        assert_eq!(
            found(LogFilter { since: Some(time), ..all.clone() }, 1000).await,
            expected(&|event| event.recorded_at >= time)
        );
        assert_eq!(
            found(LogFilter { until: Some(time), ..all.clone() }, 1000).await,
            expected(&|event| event.recorded_at < time)
        );
        let span = LogFilter { since: Some(time), until: Some(recorded[20].recorded_at), ..all.clone() };
        assert_eq!(
            found(span, 1000).await,
            expected(&|event| event.recorded_at >= time && event.recorded_at < recorded[20].recorded_at)
        );
    }
    let never = LogFilter { since: Some(Utc::now() + TimeDelta::days(1)), ..all.clone() };
    assert!(found(never, 1000).await.is_empty());
    assert!(found(LogFilter { after: i64::MAX, ..all }, 1000).await.is_empty());
    assert!(log.read(i64::MAX, 10).await.unwrap().is_empty());
    service.shutdown().await;
}

async fn domain_events_are_never_changed_or_deleted(place: Place) {
    let (log, service) = place.open().await;
    let appended = log.append(append_of(new_stream(), 0, &[happened(1)])).await.unwrap();
    for sql in ["UPDATE events SET event_type = 'Other'", "DELETE FROM events", "DELETE FROM events WHERE position = 1"]
    {
        let error = place.execute(sql).await.unwrap_err();
        assert!(error.to_string().contains("domain events are immutable"), "{error}");
    }
    assert_eq!(place.store().await.read(0, 10).await.unwrap(), [(*appended.events[0]).clone()]);
    service.shutdown().await;
}

async fn open(place: &Place, migrate: bool) -> Result<EventLog, OpenError> {
    let options = LogOptions { master_key: Some(MASTER_KEY), migrate, ..LogOptions::default() };
    let (log, service) = match place.kind {
        Kind::Sqlite => EventLog::open_sqlite(&place.path(), options).await?,
        _ => EventLog::open_mysql(&place.url(), options).await?,
    };
    service.shutdown().await;
    Ok(log)
}

async fn another_master_key_than_the_first_is_refused(place: Place) {
    open(&place, true).await.unwrap();
    let options = LogOptions { master_key: Some([8; 32]), ..LogOptions::default() };
    let opened = match place.kind {
        Kind::Sqlite => EventLog::open_sqlite(&place.path(), options).await,
        _ => EventLog::open_mysql(&place.url(), options).await,
    };
    let Err(error) = opened else { panic!("it was opened with another key") };
    assert!(matches!(error, OpenError::OtherMasterKey));
    assert!(error.to_string().contains("TICKIZ_MASTER_KEY"), "{error}");
    open(&place, true).await.expect("with the first one it still opens");
}

async fn a_schema_that_is_too_old_is_refused(place: Place) {
    open(&place, false).await.unwrap();
    let wanted = match place.kind {
        Kind::Sqlite => migrate::sqlite_version(&SqliteStore::open(&place.path()).await.unwrap()).await.unwrap(),
        _ => migrate::mysql_version(&MySqlStore::connect_to(&place.url()).await.unwrap()).await.unwrap(),
    };
    assert!(wanted.serves() && wanted.found == wanted.wanted);
    // A newer schema serves, an older one does not, and says so.
    place.execute("UPDATE log_migrations SET version = version + 1000").await.unwrap();
    open(&place, false).await.unwrap();
    place.execute("DELETE FROM log_migrations").await.unwrap();
    let Err(OpenError::Schema { found: 0, wanted: needed }) = open(&place, false).await else { panic!("it was taken") };
    assert_eq!(needed, wanted.wanted);
    place.execute("DROP TABLE log_migrations").await.unwrap();
    assert!(matches!(open(&place, false).await, Err(OpenError::Schema { found: 0, .. })));
    // Each migration may be repeated.
    open(&place, true).await.unwrap();
}

async fn several_processes_may_bring_the_schema_up_at_once(place: Place) {
    match place.kind {
        Kind::Sqlite => {
            for file in ["log.db", "log.db-wal", "log.db-shm"] {
                let _ = std::fs::remove_file(place.path().with_file_name(file));
            }
        }
        _ => {
            place.execute("DROP TABLE log_migrations, events, log_head, claims, timers, receipts").await.unwrap();
        }
    }
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move { open(&place, true).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(place.store().await.head().await.unwrap().position, 0);
}

async fn a_migration_that_was_killed_is_done_again(place: Place) {
    place.execute("UPDATE log_migrations SET success = FALSE WHERE version = 6").await.unwrap();
    place.execute("DELETE FROM log_migrations WHERE version > 6").await.unwrap();
    open(&place, true).await.unwrap();
    open(&place, false).await.unwrap();
}

async fn a_user_who_may_make_no_triggers_works_without_them(place: Place) {
    let user = format!("t{}", &Uuid::new_v4().simple().to_string()[..20]);
    let mut url = url::Url::parse(&place.url()).unwrap();
    let database = url.path().trim_start_matches('/').to_owned();
    place.execute("DROP TRIGGER events_are_never_updated").await.unwrap();
    place.execute("DROP TRIGGER events_are_never_deleted").await.unwrap();
    place.execute(&format!("CREATE USER {user} IDENTIFIED BY 'secret'")).await.unwrap();
    let grant = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP";
    place.execute(&format!("GRANT {grant} ON {database}.* TO {user}")).await.unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("secret")).unwrap();
    let options = || LogOptions { master_key: Some(MASTER_KEY), ..LogOptions::default() };
    let opened = EventLog::open_mysql(url.as_str(), options()).await;
    let appended = match &opened {
        Ok((log, _)) => log.append(append_of(new_stream(), 0, &[happened(1)])).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    // With every privilege on the database the server may still refuse, for its binary log's sake.
    place.execute(&format!("GRANT ALL ON {database}.* TO {user}")).await.unwrap();
    let again = EventLog::open_mysql(url.as_str(), options()).await.map(drop).map_err(|error| error.to_string());
    place.execute(&format!("DROP USER {user}")).await.unwrap();
    assert_eq!(appended.map(|appended| appended.position), Ok(1));
    assert_eq!(again, Ok(()));
}

/// Hand-made after the text of the module `leaf`; an auditor's program must come to the same.
#[test]
fn the_leaf_hash_is_what_its_text_says() {
    let recorded = Recorded {
        shard: 0,
        position: 42,
        recorded_at: "2026-05-01T10:00:00.123456Z".parse().unwrap(),
        organizer_id: Some("0192d3a0-0000-7000-8000-000000000001".parse().unwrap()),
        stream: StreamId::new(StreamType::Booking, "0192d3a0-0000-7000-8000-000000000002".parse().unwrap()),
        sequence: 3,
        event_type: "BookingConfirmed".to_owned(),
        event_version: 1,
        payload: br#"{"a":1}"#.to_vec().into(),
        metadata: Metadata {
            command_id: "0192d3a0-0000-7000-8000-000000000003".parse().unwrap(),
            actor: Some("buyer".to_owned()),
            ..Metadata::default()
        },
        leaf_hash: [9; 32],
    };
    let mut encoded = b"\0tickiz-event-v1\0".to_vec();
    let fields: [&[u8]; 11] = [
        b"0",
        b"42",
        b"1777629600123456",
        b"0192d3a0-0000-7000-8000-000000000001",
        b"Booking",
        b"0192d3a0-0000-7000-8000-000000000002",
        b"3",
        b"BookingConfirmed",
        b"1",
        br#"{"a":1}"#,
        br#"{"commandId":"0192d3a0-0000-7000-8000-000000000003","actor":"buyer"}"#,
    ];
    for field in fields {
        encoded.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        encoded.extend(field);
    }
    assert_eq!(leaf_hash(&recorded), <[u8; 32]>::from(Sha256::digest(&encoded)));
    assert_eq!(hex::encode(leaf_hash(&recorded)), "1f2ca73e88d1b2c53b95433a4dc6e0163ac18fe5a04757d8440299a91dd0b175");
}
