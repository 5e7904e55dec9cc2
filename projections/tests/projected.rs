//! What is projected equals the fold of the log, however the stream behaves.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::{prelude::*, strategy::ValueTree, test_runner::FileFailurePersistence};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use support::{
    history::{History, Op},
    naive::Naive,
    on_every_store,
};
use tickiz_domain::{
    booking::{BookingStatus, RefundStatus},
    event::EventPublished,
    ids::{EventId, TicketTypeId},
};
use tickiz_projections::{
    bookings::BookingsProjector,
    compare_with_log,
    events::EventsProjector,
    plans::PlanSource,
    project::{Outcome, WarmProjector, project},
    reports::ReportsProjector,
    stream::Ordered,
};
use tickiz_read_models::{
    Projection, ReadStore,
    reports::queries::{SalesQuery, SalesSums},
};

fn any_op() -> impl Strategy<Value = Op> {
    let n = 0_usize..40;
    let seats = || prop::collection::vec(0_usize..10, 0..4);
    prop_oneof![
        1 => (any::<bool>(), any::<bool>()).prop_map(|(seated, places)| Op::Create { seated, places }),
        2 => n.clone().prop_map(Op::Publish),
        1 => n.clone().prop_map(Op::Retitle),
        1 => (n.clone(), 0_i64..2_000_000).prop_map(|(n, minor)| Op::Reprice(n, minor)),
        1 => (n.clone(), 0_i64..9).prop_map(|(n, capacity)| Op::Resize(n, capacity)),
        1 => (n.clone(), any::<bool>()).prop_map(|(n, dated)| Op::Postpone(n, dated)),
        1 => n.clone().prop_map(Op::CancelShow),
        1 => n.clone().prop_map(Op::Complete),
        2 => (n.clone(), seats()).prop_map(|(n, seats)| Op::Block(n, seats)),
        2 => (n.clone(), seats()).prop_map(|(n, seats)| Op::Unblock(n, seats)),
        9 => (n.clone(), seats(), 0_i64..4).prop_map(|(n, seats, places)| Op::Place(n, seats, places)),
        2 => n.clone().prop_map(Op::Pay),
        5 => n.clone().prop_map(Op::Confirm),
        3 => n.clone().prop_map(Op::Expire),
        2 => n.clone().prop_map(Op::CancelBooking),
        2 => n.clone().prop_map(Op::Reinstate),
        2 => (n.clone(), 0_usize..4).prop_map(|(n, ticket)| Op::TakeBack(n, ticket)),
        1 => n.prop_map(Op::Refund),
    ]
}

fn any_history() -> impl Strategy<Value = Vec<Op>> {
    let begin = vec![
        Op::Create { seated: true, places: true },
        Op::Create { seated: false, places: true },
        Op::Publish(0),
        Op::Publish(1),
    ];
    prop::collection::vec(any_op(), 0..90).prop_map(move |ops| [begin.clone(), ops].concat())
}

fn history_of(ops: &[Op]) -> History {
    let mut history = History::new();
    for op in ops {
        history.run(op);
    }
    history
}

fn projectors(history: &History) -> [WarmProjector; 3] {
    let plans = Arc::new(PlanSource::new(history.log.source()));
    [
        WarmProjector::new(EventsProjector::new(plans)),
        WarmProjector::new(BookingsProjector::default()),
        WarmProjector::new(ReportsProjector::default()),
    ]
}

/// Projects everything there is, in batches as an unruly stream gives them, by three processes that take turns as they like: each
/// remembers what it had in memory when it wrote last.
async fn project_all(store: &ReadStore, history: &History, seed: u64, limit: usize) {
    let mut processes: Vec<[WarmProjector; 3]> = (0..3).map(|_| projectors(history)).collect();
    let mut random = StdRng::seed_from_u64(seed);
    for projection in Projection::ALL {
        let mut position = store.checkpoint_of(projection, 1).await.unwrap();
        let stream = history.log.unruly_stream(seed);
        let mut events = Ordered::open(&*stream, history.log.source(), position).await.unwrap();
        while position < history.log.head() {
            let batch = events.next_batch(limit).await.unwrap();
            let projector = &mut processes[random.random_range(0..3)][projection as usize];
            assert_eq!(projector.projection(), projection);
            let outcome = project(projector, store, 1, position, &batch).await.unwrap();
            assert_eq!(outcome, Outcome::Projected);
            position = batch.last().unwrap().position;
        }
    }
}

/// The sums of the reports are those of the bookings as the domain folds them.
async fn assert_reports(store: &ReadStore, naive: &Naive) {
    let mut expected = BTreeMap::<(EventId, TicketTypeId), SalesSums>::new();
    let mut money = BTreeMap::<EventId, (i64, i64)>::new();
    for purchase in naive.bookings.values().filter_map(|(booking, _)| booking.0.as_ref()) {
        let sold = !purchase.tickets.is_empty();
        for line in &purchase.lines {
            let sums = expected.entry((purchase.event_id, line.ticket_type_id)).or_default();
            sums.placed += 1;
            sums.sold += i64::from(sold);
            match purchase.status {
                _ if purchase.revoked.contains(&line.ticket_id) => sums.returned += 1,
                BookingStatus::Held => sums.held += 1,
                BookingStatus::Confirmed => sums.valid += 1,
                BookingStatus::Expired => sums.expired += 1,
                BookingStatus::Cancelled | BookingStatus::Refunded if sold => sums.returned += 1,
                BookingStatus::Cancelled | BookingStatus::Refunded => sums.abandoned += 1,
            }
        }
        let (received, refunded) = money.entry(purchase.event_id).or_default();
        *received += purchase.payments.iter().filter_map(|payment| payment.received).map(|m| m.minor()).sum::<i64>();
        let done = purchase.refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
        *refunded += done.map(|refund| refund.amount.minor()).sum::<i64>();
    }
    for by_time in [false, true] {
        let groups = store.sales(&SalesQuery { by_time, ..SalesQuery::default() }, 10_000).await.unwrap();
        let mut found = BTreeMap::<(EventId, TicketTypeId), SalesSums>::new();
        let mut found_money = BTreeMap::<EventId, (i64, i64)>::new();
        for group in groups {
            let SalesSums { received_minor, refunded_minor, .. } = group.sums;
            assert!(refunded_minor <= received_minor, "{group:?}");
            let sums = SalesSums { received_minor: 0, refunded_minor: 0, ..group.sums };
            found.entry((group.event_id, group.ticket_type_id)).or_default().add(&sums);
            let (received, refunded) = found_money.entry(group.event_id).or_default();
            (*received, *refunded) = (*received + received_minor, *refunded + refunded_minor);
        }
        assert_eq!((&found, &found_money), (&expected, &money), "by time: {by_time}");
    }
}

async fn assert_is_naive(store: &ReadStore, history: &History) {
    let mut naive = Naive::default();
    for recorded in history.log.all() {
        naive.take(&history.plan, &recorded);
    }
    let head = history.log.head();
    assert_eq!(store.checkpoint().await.unwrap(), head);
    for id in naive.shows.keys() {
        let look = naive.look(&history.plan, *id);
        let view = store.event(*id).await.unwrap().unwrap();
        let mut show = naive.show(*id).clone();
        show.blocked.clear();
        assert_eq!(view.show, show);
        assert_eq!((view.seat_version, view.position), (naive.version(*id), head));
        let left: Vec<_> = view.availability.iter().map(|a| (a.ticket_type_id, a.available)).collect();
        assert_eq!(left, look.left);
        let seats = store.seat_statuses(*id).await.unwrap().unwrap();
        assert_eq!((seats.version, seats.statuses, seats.position), (naive.version(*id), look.statuses, head));
        assert_eq!(seats.plan_hash, show.plan.as_ref().map_or("", |plan| &plan.hash));
        assert_eq!(seats.availability, view.availability);
        if let Some(plan) = &show.plan {
            let bytes = store.plan_bytes(&plan.hash).await.unwrap().unwrap();
            assert_eq!(bytes, history.plan.to_packed_json());
        }
        let of_event = store.bookings_of_event(*id, None, 1_000).await.unwrap();
        let mut expected: Vec<_> = naive
            .bookings
            .iter()
            .filter_map(|(booking, (folded, _))| Some((*booking, folded.0.as_ref()?)))
            .filter(|(_, purchase)| purchase.event_id == *id)
            .map(|(booking, purchase)| (booking, purchase.status))
            .collect();
        expected.sort_by_key(|(id, _)| *id);
        assert_eq!(of_event, expected);
    }
    assert_reports(store, &naive).await;
    for (id, (booking, position)) in &naive.bookings {
        let view = store.booking(*id).await.unwrap().unwrap();
        assert_eq!((Some(&view.purchase), view.position), (booking.0.as_ref(), *position));
    }
    assert_eq!(compare_with_log(&history.log.source(), store).await.unwrap(), []);
    assert_eq!(store.set_aside().await.unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/projected.regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_histories_in_random_batches_equal_the_fold(ops in any_history(), seed in any::<u64>(), limit in 1_usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let history = history_of(&ops);
            let store = ReadStore::open_memory().await.unwrap();
            project_all(&store, &history, seed, limit).await;
            assert_is_naive(&store, &history).await;
        });
    }
}

/// The same on every store, with a few histories that are long instead of many that are short.
#[tokio::test]
async fn a_long_history_equals_the_fold_on_every_store() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let long = prop::collection::vec(any_op(), 600..700);
    let mut history = History::new();
    for (n, op) in long.new_tree(&mut runner).unwrap().current().iter().enumerate() {
        if n % 16 == 0 {
            let draft = history.draft(true, true);
            let show = history.create(draft);
            history.append_to_show(show, EventPublished {});
        }
        history.run(op);
    }
    assert!(history.bookings.len() > 40, "the history is worth the name: {} bookings", history.bookings.len());
    on_every_store(async |store: ReadStore| {
        project_all(&store, &history, 7, 64).await;
        assert_is_naive(&store, &history).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_at_or_below_the_checkpoint_has_no_effect() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let draft = history.draft(true, true);
        let show = history.create(draft);
        history.append_to_show(show, EventPublished {});
        history.place(show, &[0, 1], 2);
        project_all(&store, &history, 1, 100).await;
        let before = store.seat_statuses(history.shows[show].0).await.unwrap();
        // Another process has the same batch and an older checkpoint in mind.
        let plans = Arc::new(PlanSource::new(history.log.source()));
        let mut late = WarmProjector::new(EventsProjector::new(plans));
        let outcome = project(&mut late, &store, 1, 0, &history.log.all()).await.unwrap();
        assert_eq!(outcome, Outcome::Overtaken);
        assert_eq!(store.seat_statuses(history.shows[show].0).await.unwrap(), before);
        assert_eq!(store.checkpoint_of(Projection::Events, 1).await.unwrap(), history.log.head());
        assert!(store.wait_for(history.log.head(), Duration::ZERO).await.unwrap());
        assert!(!store.wait_for(history.log.head() + 1, Duration::from_millis(20)).await.unwrap());
    })
    .await;
}
