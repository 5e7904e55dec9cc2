//! The webhook inbox and the consumers' checkpoints, in memory, in a file, on MySQL and on MariaDB.

mod servers;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use futures::future::join_all;
use servers::{Server, VARIABLES};
use tickiz_command_api::{
    gateways::{AttemptRef, Webhook},
    stores::{Database, INBOX, StoreAt},
    webhooks::inbox::{Inbox, Message, State, Stored},
    workers::checkpoint::Checkpoint,
};
use tickiz_event_log::runtime::ManualClock;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);

fn webhook(key: &str) -> Webhook {
    let attempt = AttemptRef { booking_id: Uuid::from_u128(1).into(), payment_id: Uuid::from_u128(2).into() };
    Webhook { event_key: key.to_owned(), attempt, amount: None }
}

async fn two_processes(at: &StoreAt<'_>) -> (Database, Database) {
    let database = Database::open(at).await.expect("the store opens");
    database.migrate(&INBOX).await.expect("its tables");
    let other = match at {
        StoreAt::Memory => database.clone(),
        _ => Database::open(at).await.expect("a second process"),
    };
    other.check_schema(&INBOX).await.expect("of this version");
    (database, other)
}

async fn each_message_is_kept_once(at: &StoreAt<'_>) {
    let (database, other) = two_processes(at).await;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).expect("a time")));
    let (one, two) = (Inbox::new(database.clone(), clock.clone()), Inbox::new(other.clone(), clock.clone()));

    // Twenty at once, by two processes: one is new. Keys compare byte for byte, whatever a server's collation thinks.
    let body = Bytes::from_static(&[0_u8, 159, 146, 150, b'\'', b'\\', 255]);
    let stored = join_all((0..20).map(|number| {
        let (inbox, body) = (if number % 2 == 0 { &one } else { &two }, body.clone());
        async move { inbox.store("sandbox", &webhook("evt_A"), r#"{"a":"ö"}"#.to_owned(), body, LEASE).await }
    }))
    .await;
    let new = stored.iter().filter(|stored| matches!(stored, Ok(Stored::New(_)))).count();
    assert_eq!((new, stored.iter().all(Result::is_ok)), (1, true));
    for (gateway, key) in [("sandbox", "evt_a"), ("stripe", "evt_A")] {
        let stored = two.store(gateway, &webhook(key), "{}".to_owned(), Bytes::new(), LEASE).await.expect("stored");
        assert!(matches!(stored, Stored::New(_)), "{gateway} {key}");
    }

    // Under a lease nobody else sees it; after it, one of two takes it.
    assert!(one.due(10).await.expect("read").is_empty());
    clock.advance(TimeDelta::seconds(31));
    let due = two.due(10).await.expect("read");
    assert_eq!(due.len(), 3);
    let message =
        due.iter().find(|due| due.event_key == "evt_A" && due.gateway == "sandbox").expect("it is due").clone();
    assert_eq!(message.attempt, webhook("").attempt);
    let taken: Vec<Message> = join_all([one.take(&message, LEASE), two.take(&message, LEASE)])
        .await
        .into_iter()
        .filter_map(|taken| taken.expect("answered"))
        .collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].attempts, 2);

    // Who has lost his lease settles nothing any more.
    one.settle(&message, State::Applied, "stale", None).await.expect("written");
    clock.advance(TimeDelta::seconds(31));
    assert!(two.due(10).await.expect("read").iter().any(|due| due.event_key == "evt_A"));
    one.settle(&taken[0], State::New, "later", Some(Duration::from_secs(5))).await.expect("written");
    clock.advance(TimeDelta::seconds(6));
    let again = two.take(&taken[0], LEASE).await.expect("answered").expect("it is due again");
    two.settle(&again, State::Applied, &"é".repeat(900), None).await.expect("a long outcome is cut");
    clock.advance(TimeDelta::hours(1));
    assert!(
        one.due(10).await.expect("read").iter().all(|due| due.event_key != again.event_key || due.gateway != "sandbox")
    );
    let seen = one.store("sandbox", &webhook("evt_A"), "{}".to_owned(), Bytes::new(), LEASE).await.expect("stored");
    assert_eq!(seen, Stored::Seen, "also when it is long settled");
    database.close().await;
    other.close().await;
}

async fn one_process_moves_a_checkpoint(at: &StoreAt<'_>) {
    let (database, other) = two_processes(at).await;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).expect("a time")));
    let process = |database: &Database, number| {
        Checkpoint::new(database.clone(), clock.clone(), "mails", Uuid::from_u128(number), LEASE)
    };
    let (one, two) = (process(&database, 1), process(&other, 2));
    let taken: Vec<_> =
        join_all([one.take(), two.take()]).await.into_iter().map(|taken| taken.expect("answered")).collect();
    assert_eq!(taken.iter().filter(|taken| **taken == Some(0)).count(), 1, "{taken:?}");
    let (holder, stand_by) = if taken[0].is_some() { (&one, &two) } else { (&two, &one) };
    assert!(holder.move_to(7).await.expect("answered"));
    assert!(!stand_by.move_to(9).await.expect("answered"));
    clock.advance(TimeDelta::seconds(31));
    assert_eq!(stand_by.take().await.expect("answered"), Some(7));
    assert!(!holder.move_to(8).await.expect("answered"), "it has lost its lease");
    stand_by.give_back().await.expect("answered");
    assert_eq!(holder.take().await.expect("answered"), Some(7));
    database.close().await;
    other.close().await;
}

#[tokio::test]
async fn messages_and_checkpoints_are_right_in_memory_and_in_a_file() {
    each_message_is_kept_once(&StoreAt::Memory).await;
    one_process_moves_a_checkpoint(&StoreAt::Memory).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("inbox.db");
    each_message_is_kept_once(&StoreAt::File(&path)).await;
    one_process_moves_a_checkpoint(&StoreAt::File(&path)).await;
}

#[tokio::test]
async fn messages_and_checkpoints_are_right_on_mysql_and_on_mariadb() {
    for variable in VARIABLES {
        let Some(server) = Server::create(variable).await else { continue };
        each_message_is_kept_once(&StoreAt::Server(&server.url)).await;
        one_process_moves_a_checkpoint(&StoreAt::Server(&server.url)).await;
        server.drop_it().await;
    }
}
