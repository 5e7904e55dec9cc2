//! Sealed personal data: who is erased cannot be read any more, and the log stays as it is.

use tickiz_domain::stream::StreamType;
use tickiz_event_log::{Append, AppendError, EventLog, SealError, leaf_hash, runtime::Runtime};

use crate::support::{Happened, MASTER_KEY, Place, append_of, new_stream, on_every_store};

on_every_store!(
    what_is_sealed_opens_until_the_person_is_erased,
    erasing_leaves_the_log_as_it_was,
    another_master_key_opens_nothing,
    ten_who_seal_a_new_person_at_once_share_one_key,
    a_new_persons_key_comes_into_being_with_the_append_and_only_once,
);

async fn what_is_sealed_opens_until_the_person_is_erased(place: Place) {
    let (log, service) = place.open().await;
    let sealer = log.sealer();
    let lan = sealer.seal("lan@example.com", b"Lan").await.unwrap();
    let again = sealer.seal("lan@example.com", b"Lan").await.unwrap();
    let minh = sealer.seal("minh@example.com", b"Minh").await.unwrap();
    assert_eq!(lan.person_id, again.person_id);
    assert_ne!(lan.sealed, again.sealed, "the same text sealed twice must not look the same");
    assert_ne!(lan.person_id, minh.person_id);
    assert_eq!(sealer.open(&lan).await.unwrap().unwrap(), b"Lan");
    assert_eq!(sealer.person_for("lan@example.com").await.unwrap(), Some(lan.person_id));
    let more = sealer.seal_for(lan.person_id, b"Hanoi").await.unwrap().unwrap();
    assert_eq!(sealer.open(&more).await.unwrap().unwrap(), b"Hanoi");

    // A field cannot be moved to another person, nor changed.
    let moved = tickiz_domain::sealed::Sealed { person_id: minh.person_id, sealed: lan.sealed.clone() };
    assert!(matches!(sealer.open(&moved).await, Err(SealError::Broken(_))));
    let changed = tickiz_domain::sealed::Sealed { person_id: lan.person_id, sealed: minh.sealed.clone() };
    assert!(matches!(sealer.open(&changed).await, Err(SealError::Broken(_))));

    assert!(log.erase(lan.person_id).await.unwrap());
    assert!(!log.erase(lan.person_id).await.unwrap(), "there is nobody left to erase");
    assert_eq!(sealer.open(&lan).await.unwrap(), None);
    assert_eq!(sealer.open(&more).await.unwrap(), None);
    assert!(sealer.seal_for(lan.person_id, b"Hanoi").await.unwrap().is_none());
    assert_eq!(sealer.person_for("lan@example.com").await.unwrap(), None);
    assert_eq!(sealer.open(&minh).await.unwrap().unwrap(), b"Minh");

    // Who comes back is a new person.
    let back = sealer.seal("lan@example.com", b"Lan").await.unwrap();
    assert_ne!(back.person_id, lan.person_id);
    assert_eq!(sealer.open(&back).await.unwrap().unwrap(), b"Lan");
    assert_eq!(sealer.open(&lan).await.unwrap(), None);
    service.shutdown().await;
}

async fn erasing_leaves_the_log_as_it_was(place: Place) {
    let (log, service) = place.open().await;
    let sealed = log.sealer().seal("lan@example.com", b"Lan").await.unwrap();
    let event = Happened { note: serde_json::to_string(&sealed).unwrap(), ..Happened::default() };
    log.append(append_of(new_stream(), 0, &[event])).await.unwrap();
    let before = place.store().await.read(0, 10).await.unwrap();
    log.erase(sealed.person_id).await.unwrap();
    let after = place.store().await.read(0, 10).await.unwrap();
    assert_eq!(after[..1], before[..]);
    assert!(after.iter().all(|event| leaf_hash(event) == event.leaf_hash));
    let erased = &after[1];
    assert_eq!((erased.stream.stream_type, erased.stream.id), (StreamType::Person, sealed.person_id.0));
    assert_eq!((erased.event_type.as_str(), &*erased.payload), ("PersonErased", b"{}".as_slice()));
    service.shutdown().await;
}

async fn another_master_key_opens_nothing(place: Place) {
    let (log, service) = place.open().await;
    let sealed = log.sealer().seal("lan@example.com", b"Lan").await.unwrap();
    let (other, other_service) = EventLog::start(place.store().await, [8; 32], Runtime::default()).await.unwrap();
    assert!(matches!(other.sealer().open(&sealed).await, Err(SealError::Broken(person)) if person == sealed.person_id));
    assert_eq!(other.sealer().person_for("lan@example.com").await.unwrap(), None);
    assert_ne!(other.secrets().derive("tickets"), log.secrets().derive("tickets"));
    assert_ne!(log.secrets().derive("tickets"), log.secrets().derive("ticket"));
    assert!(!format!("{:?}", log.secrets()).contains(&format!("{:?}", MASTER_KEY[0])));
    service.shutdown().await;
    other_service.shutdown().await;
}

async fn ten_who_seal_a_new_person_at_once_share_one_key(place: Place) {
    let (log, service) = place.open().await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let sealer = log.sealer();
            tokio::spawn(async move { sealer.seal("lan@example.com", b"Lan").await.unwrap() })
        })
        .collect();
    let mut people = std::collections::BTreeSet::new();
    for task in tasks {
        let sealed = task.await.unwrap();
        assert_eq!(log.sealer().open(&sealed).await.unwrap().unwrap(), b"Lan");
        people.insert(sealed.person_id);
    }
    assert_eq!(people.len(), 1);
    service.shutdown().await;
}

async fn a_new_persons_key_comes_into_being_with_the_append_and_only_once(place: Place) {
    let (log, service) = place.open().await;
    let sealer = log.sealer();
    // Ten bookings of one new person at once, and one of somebody else.
    let names = (0..10).map(|_| "lan@example.com").chain(["minh@example.com"]);
    let tasks: Vec<_> = names
        .map(|name| {
            let (log, (sealed, key)) = (log.clone(), sealer.seal_as_new(name, name.as_bytes()));
            let event = Happened { note: serde_json::to_string(&sealed).unwrap(), ..Happened::default() };
            let append = Append { new_person: Some(key), ..append_of(new_stream(), 0, &[event]) };
            tokio::spawn(async move { (name, sealed, log.append(append).await) })
        })
        .collect();
    let mut known = 0;
    for task in tasks {
        let (name, sealed, appended) = task.await.unwrap();
        match appended {
            Ok(_) => {
                assert_eq!(sealer.person_for(name).await.unwrap(), Some(sealed.person_id));
                assert_eq!(sealer.open(&sealed).await.unwrap().unwrap(), name.as_bytes());
            }
            Err(AppendError::PersonKnown) => {
                known += 1;
                assert_eq!(sealer.open(&sealed).await.unwrap(), None, "what was not appended has no key");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((known, log.head().await.unwrap()), (9, 2));

    // A refused append leaves no key; and who is known is sealed for with the key that he has.
    let (_, key) = sealer.seal_as_new("hoa@example.com", b"Hoa");
    let stream = new_stream();
    let late = Append { new_person: Some(key), ..append_of(stream, 7, &[Happened::default()]) };
    assert!(matches!(log.append(late).await, Err(AppendError::Conflict { .. })));
    assert_eq!(sealer.person_for("hoa@example.com").await.unwrap(), None);
    let known = sealer.person_for("lan@example.com").await.unwrap();
    assert_eq!(Some(sealer.seal("lan@example.com", b"Lan").await.unwrap().person_id), known);

    // Who was erased is new again.
    assert!(log.erase(known.unwrap()).await.unwrap());
    let (back, key) = sealer.seal_as_new("lan@example.com", b"Lan");
    log.append(Append { new_person: Some(key), ..append_of(new_stream(), 0, &[Happened::default()]) }).await.unwrap();
    assert_eq!(sealer.open(&back).await.unwrap().unwrap(), b"Lan");
    service.shutdown().await;
}
