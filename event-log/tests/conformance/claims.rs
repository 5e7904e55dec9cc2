//! Claims: unique resources have one holder, counters stay between zero and their limit, whoever fights over them.

use std::sync::Arc;

use tickiz_domain::{
    claim::{ClaimChange, Holder, Resource},
    ids::{BookingId, EventId, PersonMark, QuotaId, SeatId},
};
use tickiz_event_log::{AppendError, EventLog, LostReason, store::LogStore};
use uuid::Uuid;

use crate::support::{Place, append_of, booking, claiming, new_stream, on_every_store};

on_every_store!(
    a_unique_resource_has_one_holder,
    a_counter_stays_between_zero_and_its_limit,
    a_limit_that_comes_with_the_use_counts_what_was_used_before,
    an_expiry_and_a_new_hold_of_the_seat_meet_in_one_batch,
    of_sixty_four_who_want_one_seat_one_gets_it,
    as_many_as_the_quota_has_places_get_one,
    seat_ids_compare_byte_for_byte,
    thousands_of_seats_go_in_one_append,
);

fn seat(event: EventId, id: &str) -> Resource {
    Resource::Seat(event, SeatId(id.to_owned()))
}

fn take(resource: Resource, holder: Uuid) -> ClaimChange {
    ClaimChange::Take { resource, holder: Holder::Booking(BookingId(holder)) }
}

fn release(resource: Resource, holder: Uuid) -> ClaimChange {
    ClaimChange::Release { resource, holder: Holder::Booking(BookingId(holder)) }
}

async fn claim(log: &EventLog, changes: Vec<ClaimChange>) -> Result<i64, AppendError> {
    log.append(append_of(new_stream(), 0, &[claiming(changes)])).await.map(|appended| appended.position)
}

fn lost(outcome: Result<i64, AppendError>) -> Vec<(Resource, LostReason)> {
    match outcome {
        Err(AppendError::ClaimsLost(lost)) => lost.into_iter().map(|lost| (lost.resource, lost.reason)).collect(),
        other => panic!("{other:?}"),
    }
}

async fn a_unique_resource_has_one_holder(place: Place) {
    let (log, service) = place.open().await;
    let (event, first, second) = (EventId(Uuid::new_v4()), Uuid::new_v4(), Uuid::new_v4());
    let (a1, a2, a3) = (seat(event, "A1"), seat(event, "A2"), seat(event, "A3"));
    let position = claim(&log, vec![take(a1.clone(), first), take(a2.clone(), first)]).await.unwrap();
    let row = log.claim(&a1).await.unwrap().unwrap();
    assert_eq!(row.holder.as_deref(), Some(format!("booking/{first}").as_str()));
    assert_eq!((row.used, row.limit, row.fence), (1, 1, position));

    // All that were lost are told, and the one that was free stays free.
    let outcome = claim(&log, vec![take(a1.clone(), second), take(a3.clone(), second), take(a2.clone(), second)]).await;
    let holder = format!("booking/{first}");
    let taken = LostReason::Taken { holder };
    assert_eq!(lost(outcome), [(a1.clone(), taken.clone()), (a2.clone(), taken)]);
    assert!(log.claim(&a3).await.unwrap().is_none());

    assert_eq!(
        lost(claim(&log, vec![release(a1.clone(), second)]).await),
        [(a1.clone(), LostReason::NotHeld)],
        "nobody gives back what another holds"
    );
    assert_eq!(lost(claim(&log, vec![release(a3.clone(), first)]).await), [(a3, LostReason::NotHeld)]);
    claim(&log, vec![release(a1.clone(), first)]).await.unwrap();
    assert!(log.claim(&a1).await.unwrap().is_none());
    claim(&log, vec![take(a1.clone(), second)]).await.unwrap();
    let seats = log.claims_with_prefix(&format!("seat/{event}/")).await.unwrap();
    assert_eq!(seats.iter().map(|row| row.resource.clone()).collect::<Vec<_>>(), [a1.to_string(), a2.to_string()]);
    service.shutdown().await;
}

async fn a_counter_stays_between_zero_and_its_limit(place: Place) {
    let (log, service) = place.open().await;
    let quota = Resource::Quota(EventId(Uuid::new_v4()), QuotaId(Uuid::new_v4()));
    let limit = |limit| vec![ClaimChange::SetLimit { resource: quota.clone(), limit }];
    let using = |amount| vec![ClaimChange::Use { resource: quota.clone(), amount, limit: None }];
    let giving = |amount| vec![ClaimChange::Return { resource: quota.clone(), amount }];
    let state = async || {
        let row = log.claim(&quota).await.unwrap().unwrap();
        assert_eq!(row.holder, None);
        (row.used, row.limit)
    };
    let exhausted = |used, limit| [(quota.clone(), LostReason::Exhausted { used, limit })];

    assert_eq!(lost(claim(&log, using(1)).await), exhausted(0, 0), "nobody uses a counter that was never set up");
    claim(&log, limit(10)).await.unwrap();
    claim(&log, using(7)).await.unwrap();
    assert_eq!(lost(claim(&log, using(4)).await), exhausted(7, 10));
    claim(&log, using(3)).await.unwrap();
    assert_eq!(state().await, (10, 10));
    assert_eq!(lost(claim(&log, limit(9)).await), exhausted(10, 9));
    claim(&log, giving(4)).await.unwrap();
    assert_eq!(lost(claim(&log, giving(7)).await), [(quota.clone(), LostReason::NotHeld)]);
    claim(&log, limit(6)).await.unwrap();
    assert_eq!(state().await, (6, 6));
    // Within one append each change sees the ones before it.
    claim(&log, [giving(6), using(5), limit(5)].concat()).await.unwrap();
    assert_eq!(state().await, (5, 5));
    assert_eq!(lost(claim(&log, [giving(1), using(2)].concat()).await), exhausted(4, 5));
    assert_eq!(state().await, (5, 5));
    let beyond = append_of(new_stream(), 0, &[claiming(using(0))]);
    assert!(matches!(log.append(beyond).await, Err(AppendError::Malformed(_))));
    service.shutdown().await;
}

async fn a_limit_that_comes_with_the_use_counts_what_was_used_before(place: Place) {
    let (log, service) = place.open().await;
    let person = Resource::Person(EventId(Uuid::new_v4()), PersonMark("ab".repeat(32)));
    let using = |amount, limit| vec![ClaimChange::Use { resource: person.clone(), amount, limit: Some(limit) }];
    claim(&log, using(30, tickiz_domain::claim::NO_LIMIT)).await.unwrap();
    assert_eq!(lost(claim(&log, using(1, 8)).await), [(person.clone(), LostReason::Exhausted { used: 30, limit: 8 })]);
    claim(&log, vec![ClaimChange::Return { resource: person.clone(), amount: 24 }]).await.unwrap();
    claim(&log, using(2, 8)).await.unwrap();
    let row = log.claim(&person).await.unwrap().unwrap();
    assert_eq!((row.used, row.limit), (8, 8));
    service.shutdown().await;
}

/// Locks the head as another process would, queues what `work` appends behind it, and lets go.
async fn in_one_batch<T>(place: &Place, work: impl Future<Output = T>) -> T {
    let store: Arc<dyn LogStore> = place.store().await;
    let transaction = store.begin().await.unwrap();
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        transaction.rollback().await;
    };
    tokio::join!(work, release).0
}

async fn an_expiry_and_a_new_hold_of_the_seat_meet_in_one_batch(place: Place) {
    let (log, service) = place.open().await;
    let event = EventId(Uuid::new_v4());
    let (kept, freed, moved) = (seat(event, "kept"), seat(event, "freed"), seat(event, "moved"));
    let (old, new, late) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    claim(&log, vec![take(kept.clone(), old), take(freed.clone(), old), take(moved.clone(), old)]).await.unwrap();

    let (expired, held, third, back) = in_one_batch(&place, async {
        tokio::join!(
            claim(&log, vec![release(kept.clone(), old), release(freed.clone(), old), release(moved.clone(), old)]),
            claim(&log, vec![take(kept.clone(), new), take(moved.clone(), new)]),
            claim(&log, vec![take(moved.clone(), late)]),
            // Given back and taken again by the same booking, all in the batch: no net change but the fence.
            claim(&log, vec![release(kept.clone(), new), take(kept.clone(), new)]),
        )
    })
    .await;
    assert_eq!(expired.unwrap() + 1, held.unwrap());
    let holder = format!("booking/{new}");
    assert_eq!(lost(third), [(moved.clone(), LostReason::Taken { holder: holder.clone() })]);
    let position = back.unwrap();
    let rows = log.claims_with_prefix("seat/").await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.resource.clone(), row.holder.clone().unwrap(), row.fence)).collect();
    assert_eq!(
        rows,
        [(kept.to_string(), holder.clone(), position), (moved.to_string(), holder, position - 1)],
        "the seats are the new holder's, and the freed one is nobody's"
    );
    service.shutdown().await;
}

async fn of_sixty_four_who_want_one_seat_one_gets_it(place: Place) {
    let event = EventId(Uuid::new_v4());
    let mut services = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (log, service) = place.open().await;
        services.push(service);
        for _ in 0..16 {
            let log = log.clone();
            tasks.push(tokio::spawn(async move {
                let buyer = Uuid::new_v4();
                // Two seats in either order, so that two buyers could each get one of them and block the other.
                let mut seats = vec![take(seat(event, "A1"), buyer), take(seat(event, "A2"), buyer)];
                if buyer.as_u128().is_multiple_of(2) {
                    seats.reverse();
                }
                (buyer, log.append(append_of(booking(buyer), 0, &[claiming(seats)])).await)
            }));
        }
    }
    let mut winners = Vec::new();
    let mut losers = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (buyer, Ok(_)) => winners.push(buyer),
            (_, Err(AppendError::ClaimsLost(lost))) => losers.push(lost),
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!((winners.len(), losers.len()), (1, 63));
    let holder = format!("booking/{}", winners[0]);
    for lost in losers {
        assert_eq!(lost.len(), 2, "a loser is told of every seat that he lost");
        assert!(lost.iter().all(|lost| lost.reason == LostReason::Taken { holder: holder.clone() }));
    }
    let (log, service) = place.open().await;
    let rows = log.claims_with_prefix("seat/").await.unwrap();
    assert!(rows.iter().all(|row| row.holder.as_ref() == Some(&holder)) && rows.len() == 2);
    assert_eq!(log.head().await.unwrap(), 1);
    services.push(service);
    for service in services {
        service.shutdown().await;
    }
}

async fn as_many_as_the_quota_has_places_get_one(place: Place) {
    let quota = Resource::Quota(EventId(Uuid::new_v4()), QuotaId(Uuid::new_v4()));
    let (log, service) = place.open().await;
    claim(&log, vec![ClaimChange::SetLimit { resource: quota.clone(), limit: 25 }]).await.unwrap();
    let mut services = vec![service];
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let (log, service) = place.open().await;
        services.push(service);
        for _ in 0..16 {
            let (log, resource) = (log.clone(), quota.clone());
            tasks.push(tokio::spawn(async move {
                claim(&log, vec![ClaimChange::Use { resource, amount: 1, limit: None }]).await
            }));
        }
    }
    let mut sold = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => sold += 1,
            refused => assert!(matches!(lost(refused)[..], [(_, LostReason::Exhausted { used: 25, limit: 25 })])),
        }
    }
    assert_eq!(sold, 25);
    let row = log.claim(&quota).await.unwrap().unwrap();
    assert_eq!((row.used, row.limit), (25, 25));
    for service in services {
        service.shutdown().await;
    }
}

async fn seat_ids_compare_byte_for_byte(place: Place) {
    let (log, service) = place.open().await;
    let event = EventId(Uuid::new_v4());
    let ids = [
        "A1",
        "a1",
        "Á1",
        "A\u{301}1",
        "A1 ",
        "A1  ",
        " A1",
        "A1\u{a0}",
        "Ａ1",
        "ß",
        "ss",
        "A_",
        "A%",
        "座1",
        "A1\u{0}",
    ];
    for id in ids {
        claim(&log, vec![take(seat(event, id), Uuid::new_v4())]).await.unwrap();
    }
    for id in ids {
        let again = lost(claim(&log, vec![take(seat(event, id), Uuid::new_v4())]).await);
        assert_eq!(again.len(), 1, "{id:?}");
        assert_eq!(log.claim(&seat(event, id)).await.unwrap().unwrap().resource, seat(event, id).to_string());
    }
    let mut sorted: Vec<String> = ids.iter().map(|id| seat(event, id).to_string()).collect();
    sorted.sort_unstable();
    let rows = log.claims_with_prefix(&format!("seat/{event}/")).await.unwrap();
    assert_eq!(rows.into_iter().map(|row| row.resource).collect::<Vec<_>>(), sorted);
    assert_eq!(log.claims_with_prefix(&format!("seat/{event}/A_")).await.unwrap().len(), 1, "a prefix is no pattern");
    service.shutdown().await;
}

async fn thousands_of_seats_go_in_one_append(place: Place) {
    const SEATS: usize = 9000;
    let (log, service) = place.open().await;
    let (event, holder) = (EventId(Uuid::new_v4()), Uuid::new_v4());
    let seats: Vec<_> = (0..SEATS).map(|number| seat(event, &format!("{number:05}"))).collect();
    let taking = seats.iter().map(|seat| take(seat.clone(), holder)).collect();
    claim(&log, taking).await.unwrap();
    assert_eq!(log.claims_with_prefix("seat/").await.unwrap().len(), SEATS);
    let again = seats.iter().map(|seat| take(seat.clone(), Uuid::new_v4())).collect();
    assert_eq!(lost(claim(&log, again).await).len(), SEATS);
    let odd = seats.iter().skip(1).step_by(2).map(|seat| release(seat.clone(), holder)).collect();
    claim(&log, odd).await.unwrap();
    assert_eq!(log.claims_with_prefix("seat/").await.unwrap().len(), SEATS / 2);
    service.shutdown().await;
}
