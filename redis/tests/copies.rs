//! Copies of shows and pages in a real Redis, beside rows in SQLite: they are the rows, or they are not believed.

mod house;
#[path = "../../projections/tests/support/mod.rs"]
mod support;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use house::House;
use support::history::{History, hall};
use tickiz_domain::{
    event::{EventPublished, SeatsBlocked},
    ids::EventId,
};
use tickiz_projections::{
    ProjectorOptions, ProjectorService,
    mirror::{Mirror, Projected},
};
use tickiz_read_models::{
    EventFilter, EventOrder, EventQuery, Position, Projection, ReadFront, ReadStore,
    cache::{ReadCache, ShowCopy, ShowFound},
};
use tickiz_redis::{RedisCache, RedisMirror, signals};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

/// Rows, their projector with its mirror, and readers.
struct Stage {
    house: House,
    history: History,
    store: ReadStore,
    cache: Arc<RedisCache>,
    front: ReadFront,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn open() -> Option<Self> {
        let house = House::open().await?;
        let folder = tempfile::tempdir().unwrap();
        let store = ReadStore::open_sqlite(&folder.path().join("read.db")).await.unwrap();
        store.migrate().await.unwrap();
        let cache = Arc::new(RedisCache::new(house.redis.clone()));
        let front = ReadFront::new(store.clone(), Some(cache.clone()));
        let stop = CancellationToken::new();
        Some(Self { house, history: History::in_hall(hall(4, 10, 1)), store, cache, front, stop, _folder: folder })
    }

    fn project(&self) {
        let options = ProjectorOptions {
            batch: 3,
            mirror: Some(Arc::new(RedisMirror::new(self.house.redis.clone()))),
            ..ProjectorOptions::default()
        };
        let log = &self.history.log;
        let service = ProjectorService::new(self.store.clone(), log.stream(), log.source(), options);
        let stop = self.stop.clone();
        tokio::spawn(async move { service.run(stop).await.unwrap() });
    }

    fn show(&mut self) -> EventId {
        let created = self.history.draft(true, true);
        let show = self.history.create(created);
        self.history.append_to_show(show, EventPublished {});
        self.history.shows[show].0
    }

    /// Waits until rows and chain have reached the log's head.
    async fn settle(&self) -> Position {
        let head = self.history.log.head();
        assert!(self.store.wait_for(head, PATIENCE).await.unwrap(), "the rows reach {head}");
        let chain = self.house.redis.key("events:1");
        let reached = async {
            while self.house.field(&chain, "position").await.is_none_or(|at| at.parse::<i64>().unwrap() < head) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the chain reaches the head");
        head
    }

    async fn copy(&self, id: EventId) -> Option<ShowCopy> {
        match self.cache.show(1, id, true).await {
            ShowFound::Copy(copy, _) => Some(*copy),
            ShowFound::Missing(_) => None,
            ShowFound::Unavailable => panic!("Redis is there"),
        }
    }

    /// What the readers get, and the copy where there is one, is what the rows say.
    async fn check(&self, ids: &[EventId]) {
        for id in ids {
            let (position, record, statuses) = self.store.event_with_seats(*id).await.unwrap().unwrap();
            assert_eq!(self.front.seat_statuses(*id).await.unwrap(), self.store.seat_statuses(*id).await.unwrap());
            assert_eq!(self.front.event(*id).await.unwrap().as_deref(), self.store.event(*id).await.unwrap().as_ref());
            if let Some(copy) = self.copy(*id).await {
                assert_eq!(copy, ShowCopy { position, record, statuses });
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_the_rows_through_any_history_and_any_loss() {
    let Some(mut stage) = Stage::open().await else { return };
    let ids = [stage.show(), stage.show()];
    stage.project();
    stage.settle().await;
    stage.check(&ids).await;
    let mut bookings = Vec::new();
    for step in 0..60 {
        let show = step % 2;
        match step % 5 {
            0..=2 => bookings.extend(stage.history.place(show, &[step % 40], 1)),
            3 if bookings.len() > 2 => drop(stage.history.confirm(bookings.remove(0))),
            4 if bookings.len() > 2 => drop(stage.history.expire(bookings.remove(0))),
            _ => {}
        }
        match step % 20 {
            // One copy is evicted; the chain is; all is.
            7 => stage.house.lose(&stage.house.keys("events:1:show:").await[..1]).await,
            11 => stage.house.lose(&[stage.house.redis.key("events:1")]).await,
            15 => stage.house.flush().await,
            _ => {}
        }
        stage.front.seat_statuses(ids[show]).await.unwrap();
        if step % 20 != 11 && step % 20 != 15 {
            stage.settle().await;
            stage.check(&ids).await;
        }
    }
    // After all this there are copies, which the readers had made.
    stage.history.place(0, &[], 1);
    stage.settle().await;
    stage.check(&ids).await;
    assert!(stage.copy(ids[0]).await.is_some() && stage.copy(ids[1]).await.is_some());
    stage.stop.cancel();
}

#[tokio::test]
async fn a_copy_that_was_read_before_a_change_is_not_kept_after_it() {
    let Some(mut stage) = Stage::open().await else { return };
    let id = stage.show();
    stage.project();
    stage.settle().await;
    let ShowFound::Missing(ticket) = stage.cache.show(1, id, true).await else { panic!("there is none yet") };
    let (position, record, statuses) = stage.store.event_with_seats(id).await.unwrap().unwrap();
    let old = ShowCopy { position, record, statuses };
    let seat = stage.history.free_seats(0).first().unwrap().clone();
    stage.history.append_to_show(0, SeatsBlocked { seat_ids: vec![seat] });
    stage.settle().await;
    stage.cache.keep_show(1, &ticket, &old).await;
    assert_eq!(stage.copy(id).await, None, "it is dropped");
    // Neither is one for a ticket that was lost, or that nobody gave.
    let ShowFound::Missing(ticket) = stage.cache.show(1, id, true).await else { panic!("there is none") };
    stage.house.flush().await;
    let (position, record, statuses) = stage.store.event_with_seats(id).await.unwrap().unwrap();
    let new = ShowCopy { position, record, statuses };
    for ticket in [ticket.as_str(), "made up", ""] {
        stage.cache.keep_show(1, ticket, &new).await;
    }
    assert_eq!(stage.house.keys("events:1:show:").await, Vec::<String>::new());
    stage.stop.cancel();
}

#[tokio::test]
async fn a_broken_chain_makes_all_copies_worthless_and_an_overtaken_projector_changes_nothing() {
    let Some(mut stage) = Stage::open().await else { return };
    let id = stage.show();
    stage.project();
    let head = stage.settle().await;
    stage.check(&[id]).await;
    let copy = stage.copy(id).await.expect("it was read");
    let mirror = RedisMirror::new(stage.house.redis.clone());
    let batch = |from, to| Projected { projection: Projection::Events, version: 1, from, to, shows: Vec::new() };
    let chain = stage.house.redis.key("events:1");
    let epoch = stage.house.field(&chain, "epoch").await;
    // A batch from before the head, by one who was overtaken.
    mirror.projected(batch(head - 1, head));
    // One that follows: the copy is good up to there.
    mirror.projected(batch(head, head + 1));
    let moved = async {
        while stage.copy(id).await.is_some_and(|copy| copy.position <= head) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the chain moves");
    assert_eq!(stage.house.field(&chain, "epoch").await, epoch);
    assert_eq!(stage.copy(id).await, Some(ShowCopy { position: head + 1, ..copy }));
    // One that does not follow.
    mirror.projected(batch(head + 2, head + 3));
    let lost = async {
        while stage.copy(id).await.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, lost).await.expect("no copy is believed any more");
    assert_ne!(stage.house.field(&chain, "epoch").await, epoch);
    stage.stop.cancel();
}

fn query(text: Option<&str>) -> EventQuery {
    EventQuery {
        filter: EventFilter { text: text.map(str::to_owned), ..EventFilter::default() },
        order: EventOrder::Newest,
        first: 20,
        after: None,
        now: support::history::now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_miss_a_page_at_once_make_one_question_and_a_change_shows_within_a_second() {
    let Some(mut stage) = Stage::open().await else { return };
    stage.show();
    stage.project();
    stage.settle().await;
    // Two processes.
    let other = ReadFront::new(stage.store.clone(), Some(Arc::new(RedisCache::new(stage.house.redis.clone()))));
    let asked = (0..1000).map(|nth| {
        let front = if nth % 2 == 0 { stage.front.clone() } else { other.clone() };
        tokio::spawn(async move { front.list_events(&query(None), 0).await.unwrap() })
    });
    for page in join_all(asked).await {
        assert_eq!(page.unwrap().total_count, 1);
    }
    assert_eq!(stage.front.pages_read() + other.pages_read(), 1);
    // Another page is another question.
    assert_eq!(other.list_events(&query(Some("nothing has this")), 0).await.unwrap().total_count, 0);
    assert_eq!(stage.front.pages_read() + other.pages_read(), 2);
    stage.show();
    let head = stage.settle().await;
    // Who knows of the change sees it at once; who does not, within a second.
    assert_eq!(stage.front.list_events(&query(None), head).await.unwrap().total_count, 2);
    let published = std::time::Instant::now();
    while other.list_events(&query(None), 0).await.unwrap().total_count != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("a change was visible in another process after {:?}", published.elapsed());
    stage.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_page_answers_while_the_rows_do_not_and_a_cold_one_says_so() {
    let Some(mut stage) = Stage::open().await else { return };
    let (hot, cold) = (stage.show(), stage.show());
    stage.project();
    stage.settle().await;
    let seats = stage.front.seat_statuses(hot).await.unwrap().expect("it is there");
    stage.front.list_events(&query(None), 0).await.unwrap();
    stage.stop.cancel();
    stage.store.close().await;
    // Longer than anything is fresh, and than the projector may be silent.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    for _ in 0..20 {
        assert_eq!(stage.front.seat_statuses(hot).await.unwrap().as_ref(), Some(&seats));
        assert_eq!(stage.front.event(hot).await.unwrap().map(|view| view.seat_version), Some(seats.version));
        assert_eq!(stage.front.list_events(&query(None), 0).await.unwrap().total_count, 2);
    }
    assert!(stage.front.event(cold).await.is_err(), "nothing is made up");
}

#[tokio::test]
async fn a_reader_elsewhere_hears_how_far_the_rows_are() {
    let Some(mut stage) = Stage::open().await else { return };
    stage.show();
    let deaf = ReadStore::open_memory().await.unwrap();
    tokio::spawn(signals::listen(stage.house.redis.clone(), deaf.clone(), stage.stop.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.project();
    let head = stage.settle().await;
    let heard = async {
        while deaf.known_checkpoint(Projection::Events) < head || deaf.known_checkpoint(Projection::Bookings) < head {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it is heard");
    stage.stop.cancel();
}
