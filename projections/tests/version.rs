//! The version of a show's seats counts what the contract says, and a domain event that cannot be read stops its own show alone.

mod support;

use support::{
    history::{History, Op},
    on_every_store, project_all,
};
use tickiz_domain::{
    event::{EventCancelled, EventChanged, EventPublished, SeatsBlocked},
    ids::{EventId, SeatId},
    stream::StreamType,
};
use tickiz_projections::compare_with_log;
use tickiz_read_models::{Projection, ReadStore};
use uuid::Uuid;

fn seats(history: &History, seats: &[usize]) -> Vec<SeatId> {
    seats.iter().map(|seat| SeatId(history.plan.seat_ids()[*seat].clone())).collect()
}

async fn version(store: &ReadStore, history: &History, show: usize) -> (i64, String) {
    project_all(store, history).await;
    let seats = store.seat_statuses(history.shows[show].0).await.unwrap().unwrap();
    (seats.version, seats.statuses)
}

#[tokio::test]
async fn the_version_rises_by_one_for_each_domain_event_that_changed_a_seat_or_what_is_left() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::new();
    let draft = history.draft(true, true);
    let show = history.create(draft);
    let after = async |history: &History| version(&store, history, show).await;

    // What happens to a draft does not count.
    history.append_to_show(show, SeatsBlocked { seat_ids: seats(&history, &[9]) });
    assert_eq!(after(&history).await, (0, "FFFFFFFFFX".into()));
    history.append_to_show(show, EventPublished {});
    assert_eq!(after(&history).await, (0, "FFFFFFFFFX".into()));

    // A booking is one domain event, whatever its seats.
    let seated = history.place(show, &[0, 1, 2], 0).unwrap();
    assert_eq!(after(&history).await, (1, "HHHFFFFFFX".into()));
    let standing = history.place(show, &[], 2).unwrap();
    assert_eq!(after(&history).await.0, 2);

    // An attempt to pay changes no seat; a confirmation does, where there are seats.
    history.run(&Op::Pay(seated));
    assert_eq!(after(&history).await.0, 2);
    history.confirm(seated);
    assert_eq!(after(&history).await, (3, "BBBFFFFFFX".into()));
    history.confirm(standing);
    assert_eq!(after(&history).await.0, 3);

    // A capacity changes what is left; a name does not, nor the same capacity again.
    history.run(&Op::Resize(show, 9));
    assert_eq!(after(&history).await.0, 4);
    history.run(&Op::Resize(show, 9));
    history.append_to_show(show, EventChanged { title: Some("x".into()), ..EventChanged::default() });
    assert_eq!(after(&history).await.0, 4);

    let held = history.place(show, &[4], 1).unwrap();
    history.expire(held);
    assert_eq!(after(&history).await, (6, "BBBFFFFFFX".into()));

    // After a cancellation the bookings end one by one.
    history.append_to_show(show, EventCancelled { reason: "rain".into() });
    assert_eq!(after(&history).await.0, 6);
    history.run(&Op::CancelBooking(seated));
    assert_eq!(after(&history).await, (7, "FFFFFFFFFX".into()));
}

#[tokio::test]
async fn types_on_one_quota_show_what_is_left_of_it() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::new();
    let draft = history.draft(true, true);
    let show = history.create(draft);
    history.append_to_show(show, EventPublished {});
    history.place(show, &[0, 3], 4).unwrap();
    project_all(&store, &history).await;
    let view = store.event(history.shows[show].0).await.unwrap().unwrap();
    let left: Vec<i64> = view.availability.iter().map(|a| a.available).collect();
    // VIP; any seat; adults and children on one floor.
    assert_eq!(left, [5, 8, 2, 2]);
    assert_eq!(view.price_from().unwrap().minor(), 100_000);
    history.place(show, &[], 2).unwrap();
    project_all(&store, &history).await;
    let view = store.event(history.shows[show].0).await.unwrap().unwrap();
    assert_eq!(view.price_from().unwrap().minor(), 500_000, "the floor is sold out");
}

#[tokio::test]
async fn a_poison_domain_event_is_set_aside_and_other_shows_go_on() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let mut on_sale = |seated| {
            let draft = history.draft(seated, true);
            let show = history.create(draft);
            history.append_to_show(show, EventPublished {});
            show
        };
        let (poisoned, healthy) = (on_sale(true), on_sale(true));
        let booking = history.place(poisoned, &[0], 0).unwrap();
        let id = history.shows[poisoned].0;
        let poison = history.log.append_raw(StreamType::Event, id.0, Some(id), "EventTeleported", "{}");
        history.place(poisoned, &[1], 0).unwrap();
        // A booking that cannot be read stops itself, and its show, whose seats it may change.
        let other = history.place(healthy, &[0], 0).unwrap();
        let (other_id, healthy_id) = (history.bookings[other].0, history.shows[healthy].0);
        history.log.append_raw(StreamType::Booking, other_id.0, None, "PaymentPending", "[]");
        history.place(healthy, &[5], 0).unwrap();
        // One of which not even the show is known stops nothing but itself.
        let lost = Uuid::from_u128(77);
        history.log.append_raw(StreamType::Booking, lost, None, "BookingPlaced", "nonsense");
        project_all(&store, &history).await;

        let seats = async |show: EventId| store.seat_statuses(show).await.unwrap().unwrap().statuses;
        assert_eq!(seats(id).await, "HFFFFFFFFF", "as it was before");
        assert_eq!(seats(healthy_id).await, "HFFFFHFFFF", "a payment's domain event is none of its business");
        assert_eq!(store.checkpoint().await.unwrap(), history.log.head());
        let aside = store.set_aside().await.unwrap();
        let noted: Vec<_> = aside.iter().map(|a| (a.projection, a.subject)).collect();
        assert_eq!(
            noted,
            [
                (Projection::Events, id.0),
                (Projection::Bookings, other_id.0),
                (Projection::Reports, other_id.0),
                (Projection::Events, lost),
                (Projection::Bookings, lost),
                (Projection::Reports, lost)
            ]
        );
        assert_eq!((aside[0].position, aside[0].event_type.as_str()), (poison, "EventTeleported"));
        assert!(aside[0].error.contains("EventTeleported"), "{}", aside[0].error);
        assert!(store.booking(history.bookings[booking].0).await.unwrap().is_some());

        // It stays so after a restart, and verify knows.
        history.place(poisoned, &[2], 0).unwrap();
        project_all(&store, &history).await;
        assert_eq!(seats(id).await, "HFFFFFFFFF");
        assert_eq!(store.set_aside().await.unwrap(), aside);
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
    })
    .await;
}
