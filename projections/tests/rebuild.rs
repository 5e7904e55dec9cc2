//! Another version beside the one that answers: built whole, interrupted, under way while the log goes on, and back.

mod support;

use std::{sync::Arc, time::Duration};

use support::{
    history::{History, hall},
    on_every_server, on_every_store, on_every_store_twice, project_all,
};
use tickiz_domain::event::EventPublished;
use tickiz_projections::{
    ProjectorOptions, ProjectorService, compare_with_log,
    project::{Flip, WarmProjector, project_and_flip},
    rebuild::{Goal, RebuildError, rebuild},
};
use tickiz_read_models::{EventFilter, EventOrder, EventQuery, Projection, ReadStore};
use tokio_util::sync::CancellationToken;

/// A show with some of everything.
fn history() -> History {
    let mut history = History::in_hall(hall(6, 20, 1));
    let created = history.draft(true, true);
    let show = history.create(created);
    history.append_to_show(show, EventPublished {});
    let mut bookings = Vec::new();
    for seat in 0..60 {
        bookings.extend(history.place(show, &[seat], i64::try_from(seat % 2).unwrap()));
    }
    for (at, booking) in bookings.into_iter().enumerate() {
        match at % 3 {
            0 => drop(history.confirm(booking)),
            1 => drop(history.expire(booking)),
            _ => {}
        }
    }
    history
}

async fn assert_equal_to_the_log(store: &ReadStore, history: &History) {
    assert_eq!(compare_with_log(&history.log.source(), store).await.unwrap(), []);
}

#[tokio::test]
async fn a_new_version_is_the_log_and_the_old_one_may_come_back() {
    on_every_store(async |store| {
        let mut history = history();
        project_all(&store, &history).await;
        let stop = CancellationToken::new();
        for projection in Projection::ALL {
            let mut told = Vec::new();
            let tell = |progress: tickiz_projections::rebuild::Progress| told.push(progress.position);
            let log = history.log.source();
            let rebuilt = rebuild(&store, &log, projection, Goal::Next, &stop, tell).await.unwrap();
            assert_eq!((rebuilt.before, rebuilt.version, rebuilt.position), (1, 2, history.log.head()));
            assert_eq!((store.version(projection), told.first(), told.last()), (2, Some(&0), Some(&rebuilt.position)));
        }
        assert_equal_to_the_log(&store, &history).await;
        // The log goes on; nobody projects the version that was left.
        history.place(0, &[100], 1);
        for projection in Projection::ALL {
            let log = history.log.source();
            let back = rebuild(&store, &log, projection, Goal::Back, &stop, |_| {}).await.unwrap();
            assert_eq!((back.before, back.version, back.position), (2, 1, history.log.head()));
        }
        assert_equal_to_the_log(&store, &history).await;
        // The next one is a new one, from the beginning, and what was left is gone.
        let log = history.log.source();
        let third = rebuild(&store, &log, Projection::Events, Goal::Next, &stop, |_| {}).await.unwrap();
        assert_eq!((third.before, third.version), (1, 3));
        assert_equal_to_the_log(&store, &history).await;
        let versions = store.versions_of(Projection::Events).await.unwrap();
        assert_eq!((versions.active, versions.building, versions.left), (3, None, vec![1]));
        store.drop_version(Projection::Events, 1).await.unwrap();
        let nothing = rebuild(&store, &log, Projection::Events, Goal::Back, &stop, |_| {}).await;
        assert!(matches!(nothing, Err(RebuildError::NothingLeft(Projection::Events))));
    })
    .await;
}

#[tokio::test]
async fn interrupted_it_goes_on_and_nobody_sees_half_of_it() {
    on_every_store(async |store| {
        let history = history();
        project_all(&store, &history).await;
        let before = store.seat_statuses(history.shows[0].0).await.unwrap();
        // The log fails in the middle, as a process that is killed there would leave it.
        let version = store.begin_build(Projection::Events).await.unwrap();
        let plans = Arc::new(tickiz_projections::plans::PlanSource::new(history.log.source()));
        let mut half = WarmProjector::new(tickiz_projections::events::EventsProjector::new(plans));
        let batch = &history.log.all()[..20];
        tickiz_projections::project::project_beside(&mut half, &store, version, 0, batch).await.unwrap();
        assert_eq!(store.version(Projection::Events), 1);
        assert_eq!(store.seat_statuses(history.shows[0].0).await.unwrap(), before);
        let log = history.log.source();
        let flipped = project_and_flip(&mut half, &store, &log, version, 10).await.unwrap();
        assert_eq!(flipped, Flip::TooFarBehind);
        let mut first = None;
        let tell = |progress: tickiz_projections::rebuild::Progress| {
            first.get_or_insert(progress.position);
        };
        let stop = CancellationToken::new();
        let rebuilt = rebuild(&store, &log, Projection::Events, Goal::Next, &stop, tell).await.unwrap();
        assert_eq!((rebuilt.version, first), (version, Some(20)), "it goes on where it was");
        assert_eq!(store.seat_statuses(history.shows[0].0).await.unwrap(), before);
        assert_equal_to_the_log(&store, &history).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_log_goes_on_no_answer_is_older_than_the_one_before() {
    on_every_store(async |store| {
        let mut history = history();
        let stop = CancellationToken::new();
        let log = &history.log;
        let service = ProjectorService::new(store.clone(), log.stream(), log.source(), ProjectorOptions::default());
        let running = tokio::spawn(service.run(stop.clone()));
        assert!(store.wait_for(log.head(), Duration::from_secs(20)).await.unwrap());
        let show = history.shows[0].0;
        let builder = tokio::spawn({
            let (store, log, stop) = (store.clone(), history.log.source(), stop.clone());
            async move {
                for _ in 0..3 {
                    for projection in Projection::ALL {
                        rebuild(&store, &log, projection, Goal::Next, &stop, |_| {}).await.unwrap();
                    }
                }
            }
        });
        let mut last = (0, 0);
        let mut seat = 60;
        while !builder.is_finished() {
            if seat < 119 {
                seat += 1;
                history.place(0, &[seat], 0);
            }
            let now = store.seat_statuses(show).await.unwrap().unwrap();
            assert!((now.position, now.version) >= last, "{:?} after {last:?}", (now.position, now.version));
            last = (now.position, now.version);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        builder.await.unwrap();
        // The running projector goes on with the version that answers now.
        history.place(0, &[], 1);
        assert!(store.wait_for(history.log.head(), Duration::from_secs(20)).await.unwrap());
        assert_eq!(store.version(Projection::Events), 4);
        assert_equal_to_the_log(&store, &history).await;
        stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_a_version_that_is_dropped_gets_the_answer_of_the_one_that_answers() {
    on_every_store_twice(async |store, other| {
        let history = history();
        project_all(&store, &history).await;
        let show = history.shows[0].0;
        let (booking, _) = history.bookings[0];
        let bookings = history.bookings.len();
        let wanted = store.seat_statuses(show).await.unwrap().unwrap().statuses;
        let builder = tokio::spawn({
            let (store, log, stop) = (store.clone(), history.log.source(), CancellationToken::new());
            async move {
                for turn in 0..8 {
                    for projection in Projection::ALL {
                        let goal = if turn % 4 == 3 { Goal::Back } else { Goal::Next };
                        let built = rebuild(&store, &log, projection, goal, &stop, |_| {}).await.unwrap();
                        if turn % 4 != 2 {
                            store.drop_version(projection, built.before).await.unwrap();
                        }
                    }
                }
            }
        });
        // Nobody tells this handle that the pointer was moved.
        let mut rounds = 0;
        while !builder.is_finished() || rounds < 10 {
            rounds += 1;
            assert_eq!(other.seat_statuses(show).await.unwrap().expect("the show is there").statuses, wanted);
            assert!(other.event(show).await.unwrap().is_some());
            assert!(other.booking(booking).await.unwrap().is_some());
            assert_eq!(other.bookings_of_event(show, None, 1_000).await.unwrap().len(), bookings);
            assert_eq!(other.list_events(&everything()).await.unwrap().rows.len(), 1);
        }
        builder.await.unwrap();
        assert_equal_to_the_log(&other, &history).await;
    })
    .await;
}

fn everything() -> EventQuery {
    EventQuery {
        filter: EventFilter::default(),
        order: EventOrder::StartsAt,
        first: 10,
        after: None,
        now: support::history::now() - chrono::Duration::days(3_000),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_build_the_same_at_once_take_turns() {
    on_every_store_twice(async |store, other| {
        let history = history();
        project_all(&store, &history).await;
        let (log, stop) = (history.log.source(), CancellationToken::new());
        for projection in Projection::ALL {
            let (one, two) = tokio::join!(
                rebuild(&store, &log, projection, Goal::Next, &stop, |_| {}),
                rebuild(&other, &log, projection, Goal::Next, &stop, |_| {}),
            );
            let (one, two) = (one.unwrap(), two.unwrap());
            assert_eq!(one.position, history.log.head());
            assert_eq!(two.position, history.log.head());
            assert_eq!(store.versions_of(projection).await.unwrap().building, None);
        }
        assert_equal_to_the_log(&store, &history).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_or_a_store_that_fails_for_a_while_does_not_end_a_build() {
    on_every_server(async |store: ReadStore, server: Option<&support::Server>| {
        let history = history();
        project_all(&store, &history).await;
        history.log.fail(true);
        let builder = tokio::spawn({
            let (store, log, stop) = (store.clone(), history.log.source(), CancellationToken::new());
            async move { rebuild(&store, &log, Projection::Events, Goal::Next, &stop, |_| {}).await }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let Some(server) = server {
            server.kill_sessions().await;
        }
        assert!(!builder.is_finished(), "it waits");
        history.log.fail(false);
        let rebuilt = builder.await.unwrap().unwrap();
        assert_eq!((rebuilt.version, rebuilt.position), (2, history.log.head()));
        assert_equal_to_the_log(&store, &history).await;
    })
    .await;
}
