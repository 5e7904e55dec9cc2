//! Receipts: a command that succeeded is answered when it comes again, and happens once.

use std::collections::{BTreeMap, BTreeSet};

use tickiz_event_log::{Append, AppendError, Receipt, ReceiptKey};
use uuid::Uuid;

use crate::support::{Place, a_command, append_of, happened, new_stream, on_every_store, receipt_of};

on_every_store!(
    of_ten_at_once_under_one_key_one_happens_and_nine_are_answered,
    a_refusal_leaves_no_receipt,
    a_command_that_changes_nothing_leaves_a_receipt_all_the_same,
    keys_compare_byte_for_byte_and_belong_to_scope_and_operation,
);

async fn of_ten_at_once_under_one_key_one_happens_and_nine_are_answered(place: Place) {
    let mut logs = Vec::new();
    for _ in 0..3 {
        logs.push(place.open().await);
    }
    for key in ["first", "second", "third"] {
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let log = logs[number % 3].0.clone();
                tokio::spawn(async move {
                    let append = Append {
                        receipt: Some(receipt_of("buyer", key, &format!("{{\"booking\":{number}}}"))),
                        ..append_of(new_stream(), 0, &[happened(1), happened(2)])
                    };
                    log.append(append).await
                })
            })
            .collect();
        let mut appended = Vec::new();
        let mut answered: Vec<Receipt> = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(one) => appended.push(one),
                Err(AppendError::Answered(receipt)) => answered.push(*receipt),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((appended.len(), answered.len()), (1, 9));
        let kept = logs[0].0.receipt("buyer", "placeBooking", key).await.unwrap().unwrap();
        assert!(answered.iter().all(|receipt| *receipt == kept), "two were answered differently");
        assert_eq!((kept.first_position, kept.last_position), (appended[0].position - 1, appended[0].position));
        assert_eq!(kept.request_hash, [3; 32]);
    }
    assert_eq!(logs[0].0.head().await.unwrap(), 6);
    assert_eq!(logs[0].0.evidence().await.unwrap().receipts.len(), 3);
    for (_, service) in logs {
        service.shutdown().await;
    }
}

async fn a_refusal_leaves_no_receipt(place: Place) {
    let (log, service) = place.open().await;
    let stream = new_stream();
    let with_key = |expected| Append {
        receipt: Some(receipt_of("buyer", "key", "{}")),
        ..append_of(stream, expected, &[happened(1)])
    };
    assert!(matches!(log.append(with_key(5)).await, Err(AppendError::Conflict { .. })));
    assert!(log.receipt("buyer", "placeBooking", "key").await.unwrap().is_none());
    log.append(with_key(0)).await.unwrap();
    // Answered, though by now the sequence has moved too: the command did happen.
    assert!(matches!(log.append(with_key(0)).await, Err(AppendError::Answered(_))));
    service.shutdown().await;
}

async fn a_command_that_changes_nothing_leaves_a_receipt_all_the_same(place: Place) {
    let (log, service) = place.open().await;
    let nothing = || Append {
        receipt: Some(receipt_of("buyer", "key", "{\"n\":1}")),
        metadata: a_command(),
        ..Append::default()
    };
    let appended = log.append(nothing()).await.unwrap();
    assert_eq!((appended.events.len(), appended.position), (0, 0));
    let Err(AppendError::Answered(receipt)) = log.append(nothing()).await else { panic!("it was not answered") };
    assert_eq!((receipt.first_position, receipt.last_position), (0, 0));
    assert_eq!(receipt.result, b"{\"n\":1}");
    assert_eq!(log.head().await.unwrap(), 0);
    service.shutdown().await;
}

async fn keys_compare_byte_for_byte_and_belong_to_scope_and_operation(place: Place) {
    let (log, service) = place.open().await;
    let longest = "ế".repeat(200);
    let names = [
        ("buyer", "placeBooking", "key"),
        ("Buyer", "placeBooking", "key"),
        ("buyer", "payBooking", "key"),
        ("buyer", "placeBooking", "KEY"),
        ("buyer", "placeBooking", "key "),
        ("buyer", "placeBooking", "kéy"),
        ("buyer ", "placeBooking", "key"),
        ("buyer", "placeBooking", longest.as_str()),
    ];
    let name_of = |(scope, operation, key): (&str, &str, &str)| ReceiptKey {
        scope: scope.to_owned(),
        operation: operation.to_owned(),
        key: key.to_owned(),
    };
    let mut kept_by_name = BTreeMap::new();
    for (scope, operation, key) in names {
        let result = Uuid::new_v4().to_string();
        let mut receipt = receipt_of(scope, key, &result);
        receipt.operation = operation;
        log.append(Append { receipt: Some(receipt), ..append_of(new_stream(), 0, &[happened(1)]) }).await.unwrap();
        let kept = log.receipt(scope, operation, key).await.unwrap().unwrap();
        assert_eq!(kept.result, result.as_bytes(), "{scope:?} {operation:?} {key:?}");
        kept_by_name.insert(name_of((scope, operation, key)), kept);
    }
    let unknown = ("buyer", "placeBooking", "nobody's");
    let asked = names.into_iter().chain([unknown]).map(name_of).collect();
    assert_eq!(log.receipts(&asked).await.unwrap(), kept_by_name, "by one look, those that there are");
    assert!(log.receipts(&BTreeSet::new()).await.unwrap().is_empty());
    assert_eq!(log.evidence().await.unwrap().receipts.len(), names.len());
    service.shutdown().await;
}
