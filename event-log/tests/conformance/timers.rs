//! Timers: written with the domain event, due by the store's clock, held by one poller at a time.

use std::{collections::BTreeSet, time::Duration};

use chrono::{TimeDelta, Utc};
use tickiz_domain::timer::TimerKind;
use tickiz_event_log::{EventLog, LeasedTimer};
use uuid::Uuid;

use crate::support::{Happened, Place, append_of, new_stream, on_every_store};

on_every_store!(
    a_timer_is_due_by_the_stores_clock_and_not_before,
    two_pollers_never_hold_the_same_timer,
    a_lease_that_ran_out_is_taken_over_and_its_old_owner_can_do_nothing,
    a_timer_is_finished_or_given_back_by_its_owner,
    many_timers_are_finished_at_once_and_only_by_their_owner,
    one_timer_of_a_subject_is_leased_due_or_not,
    many_who_want_a_timer_of_their_own_each_get_it_and_one_timer_has_one_owner,
    the_same_timer_set_twice_is_one,
);

const LONG: Duration = Duration::from_secs(3600);
const PAST_MS: i64 = -60_000;
const FUTURE_MS: i64 = 3_600_000;

async fn set(log: &EventLog, timers: Vec<(TimerKind, Uuid, i64)>) {
    let event = Happened { timers, ..Happened::default() };
    log.append(append_of(new_stream(), 0, &[event])).await.unwrap();
}

async fn lease(log: &EventLog, kinds: &[TimerKind]) -> Vec<LeasedTimer> {
    log.lease_timers(kinds, LONG, 1000).await.unwrap()
}

async fn a_timer_is_due_by_the_stores_clock_and_not_before(place: Place) {
    let (log, service) = place.open().await;
    let [past, future, other, soon] = [(); 4].map(|()| Uuid::new_v4());
    set(
        &log,
        vec![
            (TimerKind::HoldEnds, past, PAST_MS),
            (TimerKind::HoldEnds, future, FUTURE_MS),
            (TimerKind::RefundStart, other, PAST_MS),
            (TimerKind::PaymentStart, soon, 300),
        ],
    )
    .await;
    assert!(lease(&log, &[]).await.is_empty());
    assert!(lease(&log, &[TimerKind::EventEnds]).await.is_empty());
    let due = lease(&log, &[TimerKind::HoldEnds, TimerKind::PaymentStart]).await;
    assert_eq!(due.iter().map(|leased| leased.timer.subject).collect::<Vec<_>>(), [past]);
    assert_eq!((due[0].attempts, due[0].timer.kind), (1, TimerKind::HoldEnds));
    let stream = log.read(0, 1).await.unwrap()[0].stream;
    assert_eq!(due[0].timer.stream, stream);
    let recorded_at = log.read(0, 1).await.unwrap()[0].recorded_at;
    assert_eq!(due[0].timer.due_at, recorded_at + TimeDelta::milliseconds(PAST_MS));
    assert_eq!(lease(&log, &TimerKind::ALL).await.len(), 1, "the refund's; the other is leased, the third not due");
    let mut came = Vec::new();
    while came.is_empty() {
        came = lease(&log, &[TimerKind::PaymentStart]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(came[0].timer.subject, soon);
    service.shutdown().await;
}

async fn two_pollers_never_hold_the_same_timer(place: Place) {
    const TIMERS: usize = 60;
    let (log, service) = place.open().await;
    let mut services = vec![service];
    set(&log, (0..TIMERS).map(|_| (TimerKind::HoldEnds, Uuid::new_v4(), PAST_MS)).collect()).await;
    let mut pollers = Vec::new();
    for _ in 0..4 {
        let (log, service) = place.open().await;
        services.push(service);
        pollers.push(tokio::spawn(async move {
            let mut held = Vec::new();
            // A poller whose candidates were all leased by others in between gets none, and looks again.
            let mut empty = 0;
            while empty < 5 {
                let leased = log.lease_timers(&[TimerKind::HoldEnds], LONG, 7).await;
                let Ok(leased) = leased else { continue };
                empty = if leased.is_empty() { empty + 1 } else { 0 };
                held.extend(leased.into_iter().map(|leased| leased.timer_id));
            }
            held
        }));
    }
    let mut held = Vec::new();
    for poller in pollers {
        held.extend(poller.await.unwrap());
    }
    assert_eq!(held.len(), TIMERS, "a timer was leased twice or never");
    assert_eq!(held.into_iter().collect::<BTreeSet<_>>().len(), TIMERS);
    for service in services {
        service.shutdown().await;
    }
}

async fn a_lease_that_ran_out_is_taken_over_and_its_old_owner_can_do_nothing(place: Place) {
    let (log, service) = place.open().await;
    set(&log, vec![(TimerKind::HoldEnds, Uuid::new_v4(), PAST_MS)]).await;
    let old = log.lease_timers(&[TimerKind::HoldEnds], Duration::from_millis(1), 10).await.unwrap().remove(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let new = lease(&log, &[TimerKind::HoldEnds]).await.remove(0);
    assert_eq!((new.timer_id, new.attempts), (old.timer_id, 2));
    assert_ne!(new.lease_token, old.lease_token);
    assert!(!log.finish_timer(&old).await.unwrap());
    assert!(!log.reschedule_timer(&old, Utc::now()).await.unwrap());
    assert!(log.finish_timer(&new).await.unwrap());
    assert!(!log.finish_timer(&new).await.unwrap());
    assert!(lease(&log, &TimerKind::ALL).await.is_empty());
    service.shutdown().await;
}

async fn a_timer_is_finished_or_given_back_by_its_owner(place: Place) {
    let (log, service) = place.open().await;
    set(&log, vec![(TimerKind::PaymentCheck, Uuid::new_v4(), PAST_MS)]).await;
    let first = lease(&log, &TimerKind::ALL).await.remove(0);
    assert!(log.reschedule_timer(&first, Utc::now() + TimeDelta::hours(1)).await.unwrap());
    assert!(lease(&log, &TimerKind::ALL).await.is_empty());
    assert!(!log.finish_timer(&first).await.unwrap(), "who gave it back does not own it any more");
    let again = log.lease_timer(TimerKind::PaymentCheck, first.timer.subject, LONG).await.unwrap().unwrap();
    assert!(log.reschedule_timer(&again, Utc::now() - TimeDelta::minutes(1)).await.unwrap());
    let third = lease(&log, &TimerKind::ALL).await.remove(0);
    assert_eq!((third.timer_id, third.attempts), (first.timer_id, 3));
    service.shutdown().await;
}

async fn many_timers_are_finished_at_once_and_only_by_their_owner(place: Place) {
    const TIMERS: usize = 150;
    let (log, service) = place.open().await;
    set(&log, (0..TIMERS).map(|_| (TimerKind::HoldEnds, Uuid::new_v4(), PAST_MS)).collect()).await;
    // Of several leases, as a poller has them that took them one after the other.
    let mut ours = log.lease_timers(&[TimerKind::HoldEnds], LONG, 90).await.unwrap();
    let lost = log.lease_timers(&[TimerKind::HoldEnds], Duration::from_millis(1), 20).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let others = lease(&log, &[TimerKind::HoldEnds]).await;
    assert_eq!((lost.len(), others.len()), (20, TIMERS - 90), "what was leased for a moment is somebody else's now");
    ours.extend(lost);
    assert_eq!(log.finish_timers(&ours).await.unwrap(), 90);
    assert_eq!(log.finish_timers(&ours).await.unwrap(), 0);
    assert_eq!(log.finish_timers(&[]).await.unwrap(), 0);
    assert_eq!(log.finish_timers(&others).await.unwrap(), TIMERS - 90);
    service.shutdown().await;
}

async fn one_timer_of_a_subject_is_leased_due_or_not(place: Place) {
    let (log, service) = place.open().await;
    let subject = Uuid::new_v4();
    set(
        &log,
        vec![
            (TimerKind::PaymentCheck, subject, FUTURE_MS),
            (TimerKind::PaymentCheck, subject, PAST_MS),
            (TimerKind::PaymentCancel, subject, PAST_MS),
        ],
    )
    .await;
    let first = log.lease_timer(TimerKind::PaymentCheck, subject, LONG).await.unwrap().unwrap();
    assert!(first.timer.due_at < Utc::now(), "the one that is due first");
    let second = log.lease_timer(TimerKind::PaymentCheck, subject, LONG).await.unwrap().unwrap();
    assert_ne!(first.timer_id, second.timer_id);
    assert!(log.lease_timer(TimerKind::PaymentCheck, subject, LONG).await.unwrap().is_none());
    assert!(log.lease_timer(TimerKind::RefundStart, subject, LONG).await.unwrap().is_none());
    assert_eq!(lease(&log, &TimerKind::ALL).await.len(), 1);
    service.shutdown().await;
}

async fn many_who_want_a_timer_of_their_own_each_get_it_and_one_timer_has_one_owner(place: Place) {
    let (log, service) = place.open().await;
    let subjects: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    set(&log, subjects.iter().map(|subject| (TimerKind::PaymentStart, *subject, FUTURE_MS)).collect()).await;
    // Each is wanted by two, and one that is not there by somebody.
    let wanted = subjects.iter().chain(&subjects).copied().chain([Uuid::new_v4()]);
    let asked = wanted.map(|subject| {
        let log = log.clone();
        tokio::spawn(async move { (subject, log.lease_timer(TimerKind::PaymentStart, subject, LONG).await.unwrap()) })
    });
    let mut leased = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        let (subject, timer) = task.await.unwrap();
        if let Some(timer) = timer {
            assert_eq!((timer.timer.subject, timer.attempts), (subject, 1));
            leased.push(timer);
        }
    }
    let owned: std::collections::BTreeSet<Uuid> = leased.iter().map(|timer| timer.timer.subject).collect();
    assert_eq!((leased.len(), owned), (40, subjects.iter().copied().collect()));
    // Each is its owner's to end, whoever was leased one beside it.
    for timer in &leased {
        assert!(log.finish_timer(timer).await.unwrap());
    }
    assert!(lease(&log, &TimerKind::ALL).await.is_empty());
    service.shutdown().await;
}

async fn the_same_timer_set_twice_is_one(place: Place) {
    let (log, service) = place.open().await;
    let subject = Uuid::new_v4();
    let timer = (TimerKind::EventEnds, subject, PAST_MS);
    // The same due time needs the same recorded time: two domain events of one append.
    let event = Happened { timers: vec![timer, timer], ..Happened::default() };
    log.append(append_of(new_stream(), 0, &[event.clone(), event])).await.unwrap();
    assert_eq!(lease(&log, &TimerKind::ALL).await.len(), 1);
    service.shutdown().await;
}
