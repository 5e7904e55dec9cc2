//! Whoever watches misses nothing: not at the seam between snapshot and stream, not when he is slow, and whoever projects.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use support::{
    history::{History, Op, hall},
    log::FakeLog,
    on_every_store, on_every_store_twice, project_all,
};
use tickiz_domain::{
    booking::{BookingRefunded, BookingStatus, PaymentStatus},
    event::{EventChanged, EventPublished},
    ids::{BookingId, EventId, SeatId, TicketTypeId},
    stream::StreamType,
};
use tickiz_projections::{
    LiveFeeds, LiveService, ProjectorOptions, ProjectorService,
    events::EventsProjector,
    live::{LiveOptions, SeatFrame, SeatStream},
    plans::PlanSource,
    project::{WarmProjector, project},
};
use tickiz_read_models::{Projection, ReadStore, SeatStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// A process: live feeds, and a projector if it is to have one.
struct Process {
    feeds: LiveFeeds,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    async fn start(store: &ReadStore, log: &Arc<FakeLog>, projects: bool) -> Self {
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let live = LiveService::open(store.clone(), log.unruly_stream(3), log.source(), LiveOptions::default());
        let live = live.await.unwrap();
        let feeds = live.feeds();
        let stop = cancel.clone();
        tasks.spawn(async move { live.run(stop).await.unwrap() });
        if projects {
            let service =
                ProjectorService::new(store.clone(), log.unruly_stream(4), log.source(), ProjectorOptions::default());
            let stop = cancel.clone();
            tasks.spawn(async move { service.run(stop).await.unwrap() });
        }
        Self { feeds, cancel, tasks }
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// A client as the contract describes it.
struct Client {
    stream: SeatStream,
    version: i64,
    seats: BTreeMap<SeatId, SeatStatus>,
    left: BTreeMap<TicketTypeId, i64>,
    snapshots: usize,
}

impl Client {
    async fn subscribe(feeds: &LiveFeeds, show: EventId) -> Self {
        let stream = feeds.subscribe_seats(show).await.unwrap().expect("the show is on sale");
        let mut client = Self { stream, version: -1, seats: BTreeMap::new(), left: BTreeMap::new(), snapshots: 0 };
        let first = client.stream.next().await.unwrap();
        assert!(first.snapshot, "a snapshot comes first");
        client.take(&first);
        client
    }

    fn take(&mut self, frame: &SeatFrame) {
        if frame.snapshot {
            self.seats.clear();
            self.left.clear();
            self.snapshots += 1;
        } else {
            assert_eq!(frame.from_version, self.version, "no change is missing");
            assert!(frame.statuses.is_none());
        }
        assert!(frame.version > self.version, "from {} to {}", self.version, frame.version);
        self.version = frame.version;
        for (seat, status) in frame.changes() {
            if *status == SeatStatus::Free {
                assert!(!frame.snapshot);
                self.seats.remove(seat);
            } else {
                self.seats.insert(seat.clone(), *status);
            }
        }
        self.left.extend(frame.availability.iter().map(|a| (a.ticket_type_id, a.available)));
    }

    async fn follow_to(&mut self, version: i64) {
        while self.version < version {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the next frame comes");
            self.take(&frame.expect("the stream goes on"));
        }
        assert_eq!(self.version, version);
    }

    async fn assert_sees(&self, store: &ReadStore, history: &History, show: EventId) {
        let seats = store.seat_statuses(show).await.unwrap().unwrap();
        assert_eq!(self.version, seats.version);
        let statuses: String = history
            .plan
            .seat_ids()
            .iter()
            .map(|id| self.seats.get(&SeatId(id.clone())).copied().unwrap_or(SeatStatus::Free).as_char())
            .collect();
        assert_eq!(statuses, seats.statuses);
        let left: BTreeMap<_, _> = seats.availability.iter().map(|a| (a.ticket_type_id, a.available)).collect();
        assert_eq!(self.left, left);
    }
}

fn on_sale(history: &mut History) -> usize {
    let draft = history.draft(true, true);
    let show = history.create(draft);
    history.append_to_show(show, EventPublished {});
    show
}

/// A room lives as long as its watchers; what hands out may have it in hand for a moment longer.
async fn assert_nobody_watches(feeds: &LiveFeeds) {
    let empty = async {
        while feeds.watched() != (0, 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, empty).await.expect("the rooms are gone");
}

/// One thing that changes the seats of a show.
fn change(history: &mut History, show: usize, round: usize) {
    let placed = history.place(show, &[round * 7 % 40, round * 3 % 40], i64::from(round.is_multiple_of(5)));
    if let Some(booking) = placed {
        history.run(&[Op::Confirm(booking), Op::Expire(booking), Op::Pay(booking)][round % 3]);
    }
    if round.is_multiple_of(3) && !history.bookings.is_empty() {
        history.run(&Op::CancelBooking(round % history.bookings.len()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_snapshot_and_stream_while_seats_change() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::in_hall(hall(4, 10, 3));
        let show = on_sale(&mut history);
        let id = history.shows[show].0;
        let process = Process::start(&store, &history.log, true).await;
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        let end = CancellationToken::new();
        let mut watching = JoinSet::new();
        for round in 0..60 {
            for _ in 0..6 {
                change(&mut history, show, round);
            }
            let (feeds, store, end) = (process.feeds.clone(), store.clone(), end.clone());
            watching.spawn(async move {
                let before = store.seat_statuses(id).await.unwrap().unwrap().version;
                let mut client = Client::subscribe(&feeds, id).await;
                assert!(client.version >= before, "who has read {before} gets no snapshot of {}", client.version);
                loop {
                    tokio::select! {
                        biased;
                        frame = client.stream.next() => client.take(&frame.unwrap()),
                        () = end.cancelled() => return client,
                    }
                }
            });
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        let version = store.seat_statuses(id).await.unwrap().unwrap().version;
        end.cancel();
        while let Some(client) = watching.join_next().await {
            let mut client = client.unwrap();
            client.follow_to(version).await;
            client.assert_sees(&store, &history, id).await;
        }
        assert_nobody_watches(&process.feeds).await;
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_matter_which_process_projects() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::in_hall(hall(4, 10, 3));
        let show = on_sale(&mut history);
        let id = history.shows[show].0;
        let projecting = Process::start(&store, &history.log, true).await;
        // Only this one's own handle on the store: it is told nothing by the projector.
        let watching = Process::start(&store, &history.log, false).await;
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        let mut client = Client::subscribe(&watching.feeds, id).await;
        for round in 0..30 {
            change(&mut history, show, round);
        }
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        client.follow_to(store.seat_statuses(id).await.unwrap().unwrap().version).await;
        client.assert_sees(&store, &history, id).await;
        projecting.stop().await;
        watching.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_a_snapshot_instead_of_a_growing_buffer() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::in_hall(hall(4, 10, 3));
    let show = on_sale(&mut history);
    let id = history.shows[show].0;
    let process = Process::start(&store, &history.log, true).await;
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    let mut slow = Client::subscribe(&process.feeds, id).await;
    let mut quick = Client::subscribe(&process.feeds, id).await;
    for round in 0..70 {
        // One seat taken, and the next time given back: a frame each.
        let held = history.place(show, &[round % 40], 0).unwrap();
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        quick.follow_to(i64::try_from(round).unwrap() * 2 + 1).await;
        history.expire(held);
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        quick.follow_to(i64::try_from(round).unwrap() * 2 + 2).await;
    }
    slow.follow_to(quick.version).await;
    slow.assert_sees(&store, &history, id).await;
    assert_eq!((quick.snapshots, slow.snapshots), (1, 2));
    // He goes on as before.
    change(&mut history, show, 1);
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    slow.follow_to(store.seat_statuses(id).await.unwrap().unwrap().version).await;
    slow.assert_sees(&store, &history, id).await;
    assert_eq!(slow.snapshots, 2);
    process.stop().await;
    assert!(slow.stream.next().await.is_none(), "the stream ends with the process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_passes_frames_on_can_give_a_snapshot_to_whom_comes_and_lead_him_on_from_it() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::in_hall(hall(4, 10, 3));
    let show = on_sale(&mut history);
    let id = history.shows[show].0;
    let process = Process::start(&store, &history.log, true).await;
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    let mut watch = process.feeds.watch_seats(id).await.unwrap().expect("the show is on sale");
    let mut passed_on = watch.snapshot().version;
    for round in 0..10 {
        history.place(show, &[round], 0).unwrap();
        // One who comes now has what is behind the last frame, or not yet: the next one leads on from either.
        let comes = watch.snapshot();
        assert!(comes.snapshot && comes.version >= passed_on, "{} is before {passed_on}", comes.version);
        let version = i64::try_from(round).unwrap() + 1;
        while passed_on < version {
            let frame = tokio::time::timeout(PATIENCE, watch.next()).await.expect("a frame in time").expect("a frame");
            assert!(!frame.snapshot && frame.from_version == passed_on, "no change is missing");
            let based = frame.from(comes.version);
            assert_eq!((based.from_version, based.version), (comes.version, frame.version));
            assert_eq!(based.changes(), frame.changes());
            passed_on = frame.version;
        }
    }
    process.stop().await;
    assert!(watch.next().await.is_none(), "it ends with the process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_do_not_wait_for_the_read_model_of_bookings() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::in_hall(hall(4, 10, 3));
    let show = on_sale(&mut history);
    let id = history.shows[show].0;
    project_all(&store, &history).await;
    let process = Process::start(&store, &history.log, false).await;
    let mut client = Client::subscribe(&process.feeds, id).await;
    history.place(show, &[0, 1], 0).unwrap();
    let from = store.checkpoint_of(Projection::Events, 1).await.unwrap();
    let mut events = WarmProjector::new(EventsProjector::new(Arc::new(PlanSource::new(history.log.source()))));
    let batch = history.log.all().split_off(usize::try_from(from).unwrap());
    project(&mut events, &store, 1, from, &batch).await.unwrap();
    client.follow_to(1).await;
    client.assert_sees(&store, &history, id).await;
    assert!(store.checkpoint_of(Projection::Bookings, 1).await.unwrap() < history.log.head(), "and it is still behind");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_told_of_his_projecting_hears_of_the_one_who_takes_over() {
    on_every_store_twice(async |ours: ReadStore, theirs: ReadStore| {
        let mut history = History::in_hall(hall(4, 10, 3));
        let show = on_sale(&mut history);
        project_all(&ours, &history).await;
        assert!(ours.wait_for(history.log.head(), PATIENCE).await.unwrap());
        history.place(show, &[0], 0).unwrap();
        project_all(&theirs, &history).await;
        assert!(ours.wait_for(history.log.head(), PATIENCE).await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_of_bookings_is_few_frames_that_all_readers_share() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::in_hall(hall(20, 50, 3));
    let show = on_sale(&mut history);
    let id = history.shows[show].0;
    let process = Process::start(&store, &history.log, true).await;
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = process.feeds.subscribe_seats(id).await.unwrap().unwrap();
        let snapshot = stream.next().await.unwrap();
        assert_eq!((snapshot.changes().len(), snapshot.statuses.as_deref().map(str::len)), (0, Some(1_000)));
        streams.push((stream, snapshot));
    }
    assert!(streams.iter().all(|(_, snapshot)| Arc::ptr_eq(snapshot, &streams[0].1)), "one snapshot for all");
    for seat in 0..400 {
        history.place(show, &[seat], 0).unwrap();
    }
    let mut frames: Vec<Vec<Arc<SeatFrame>>> = Vec::new();
    for (mut stream, _) in streams {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last: &Arc<SeatFrame>| last.version < 400) {
            seen.push(tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap());
        }
        frames.push(seen);
    }
    assert!(frames[0].len() < 100, "{} frames for 400 bookings", frames[0].len());
    for other in &frames[1..] {
        assert!(other.iter().zip(&frames[0]).all(|(a, b)| Arc::ptr_eq(a, b)), "one frame for all");
    }
    // A change that watchers do not see makes no frame.
    history.append_to_show(show, EventChanged { title: Some("x".into()), ..EventChanged::default() });
    history.place(show, &[999], 0).unwrap();
    process.stop().await;
}

#[tokio::test]
async fn what_was_never_published_cannot_be_watched() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::new();
    let draft = history.draft(true, false);
    let show = history.create(draft);
    let id = history.shows[show].0;
    let process = Process::start(&store, &history.log, true).await;
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    assert!(process.feeds.subscribe_seats(id).await.unwrap().is_none());
    assert!(process.feeds.subscribe_seats(EventId(uuid::Uuid::nil())).await.unwrap().is_none());
    assert!(process.feeds.subscribe_booking(BookingId(uuid::Uuid::nil())).await.unwrap().is_none());
    history.append_to_show(show, EventPublished {});
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    let client = Client::subscribe(&process.feeds, id).await;
    assert_eq!(client.version, 0);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_is_seen_after_each_append_and_never_half_of_one() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let show = on_sale(&mut history);
        let booking = history.place(show, &[0, 1], 0).unwrap();
        let id = history.bookings[booking].0;
        let process = Process::start(&store, &history.log, true).await;
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        let mut stream = process.feeds.subscribe_booking(id).await.unwrap().unwrap();
        history.run(&Op::Pay(booking));
        history.confirm(booking);
        history.run(&Op::CancelBooking(booking));
        let amount = history.purchase(booking).total;
        history.append_to_booking(booking, vec![BookingRefunded { amount }.into()]);
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let view = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap();
            let paid = view.purchase.payments.first().map(|payment| payment.status);
            assert!(
                (paid == Some(PaymentStatus::Succeeded)) == (seen.len() >= 2),
                "the money and the tickets come together"
            );
            seen.push(view.purchase.status);
        }
        use BookingStatus as S;
        assert_eq!(seen, [S::Held, S::Held, S::Confirmed, S::Cancelled, S::Refunded]);
        drop(stream);
        assert_nobody_watches(&process.feeds).await;
        process.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_show_that_stands_still_is_watched_as_it_is_queried() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::new();
    let (stuck, healthy) = (on_sale(&mut history), on_sale(&mut history));
    let (stuck_id, healthy_id) = (history.shows[stuck].0, history.shows[healthy].0);
    let process = Process::start(&store, &history.log, true).await;
    assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
    let before = Client::subscribe(&process.feeds, stuck_id).await;
    let mut other = Client::subscribe(&process.feeds, healthy_id).await;
    history.log.append_raw(StreamType::Event, stuck_id.0, Some(stuck_id), "EventChanged", "{\"title\":7}");
    history.place(stuck, &[0], 0).unwrap();
    history.place(healthy, &[0], 0).unwrap();
    other.follow_to(1).await;
    let after = Client::subscribe(&process.feeds, stuck_id).await;
    assert_eq!((before.version, after.version), (0, 0));
    process.stop().await;
    for mut client in [before, after] {
        assert!(client.stream.next().await.is_none(), "no frame that no query would show");
    }
}
