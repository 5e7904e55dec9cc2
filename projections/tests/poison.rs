//! Domain events that cannot be read: what stands still, what is said of it, and how a build by a program that can read them lets
//! it go on.

mod support;

use std::time::Duration;

use futures::StreamExt;
use support::{history::History, on_every_store, project_all};
use tickiz_domain::{
    booking::{BookingDomainEvent, BookingExpired},
    event::{EventDomainEvent, EventPublished},
    stream::StreamType,
};
use tickiz_projections::{
    LiveService, ProjectorOptions, ProjectorService, compare_with_log,
    live::LiveOptions,
    rebuild::{Goal, rebuild},
};
use tickiz_read_models::{Projection, ReadStore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn on_sale(history: &mut History) -> usize {
    let draft = history.draft(true, true);
    let show = history.create(draft);
    history.append_to_show(show, EventPublished {});
    show
}

#[tokio::test]
async fn a_booking_whose_beginning_is_lost_takes_its_show_along_once_that_is_known() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let show = on_sale(&mut history);
        let id = history.shows[show].0;
        let first = history.place(show, &[0], 0).unwrap();
        let places = history.purchase(first).places();
        // Nobody knows what it took.
        let lost = Uuid::from_u128(77);
        history.log.append_raw(StreamType::Booking, lost, None, "BookingPlaced", "nonsense");
        history.place(show, &[1], 0).unwrap();
        project_all(&store, &history).await;
        let statuses = async || store.seat_statuses(id).await.unwrap().unwrap().statuses;
        assert_eq!(statuses().await, "HHFFFFFFFF");
        // What it gives back says which show it is of; to take that would free what others have.
        let expired = BookingDomainEvent::from(BookingExpired { released: places });
        let at = history.log.append(lost, None, &expired);
        history.place(show, &[2], 0).unwrap();
        project_all(&store, &history).await;
        assert_eq!(statuses().await, "HHFFFFFFFF", "it stands still");
        let aside = store.set_aside().await.unwrap();
        let show_aside = aside.iter().find(|aside| aside.subject == id.0).expect("it is noted");
        assert_eq!((show_aside.projection, show_aside.position), (Projection::Events, at));
        assert!(show_aside.error.contains(&lost.to_string()), "{}", show_aside.error);
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_a_domain_event_that_cannot_be_read_quotes_nothing_of_it() {
    let store = ReadStore::open_memory().await.unwrap();
    let mut history = History::new();
    let show = on_sale(&mut history);
    let id = history.shows[show].0;
    let booking = history.place(show, &[0], 0).unwrap();
    let payload = "{\"released\": \"linh@example.com\", \"linh\": true}";
    history.log.append_raw(StreamType::Event, id.0, Some(id), "EventChanged", payload);
    history.log.append_raw(StreamType::Booking, history.bookings[booking].0.0, Some(id), "BookingExpired", payload);
    project_all(&store, &history).await;
    let aside = store.set_aside().await.unwrap();
    assert_eq!(aside.len(), 3, "the show, the booking, and what that comes to");
    for aside in aside {
        assert!(!aside.error.contains("linh"), "{}", aside.error);
        assert!(aside.error.contains(&aside.event_type), "{}", aside.error);
        assert!(aside.error.contains("line 1"), "it says where: {}", aside.error);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_by_a_program_that_can_read_it_lets_a_show_go_on_and_whoever_watches_it() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let show = on_sale(&mut history);
        let id = history.shows[show].0;
        let cancel = CancellationToken::new();
        let service = ProjectorService::new(
            store.clone(),
            history.log.stream(),
            history.log.source(),
            ProjectorOptions::default(),
        );
        let live = LiveService::open(store.clone(), history.log.stream(), history.log.source(), LiveOptions::default());
        let live = live.await.unwrap();
        let feeds = live.feeds();
        let (stop_service, stop_live) = (cancel.clone(), cancel.clone());
        let projecting = tokio::spawn(service.run(stop_service));
        let handing_out = tokio::spawn(live.run(stop_live));
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        let mut seats = Box::pin(feeds.subscribe_seats(id).await.unwrap().expect("the show is there"));
        assert_eq!(seats.next().await.expect("a snapshot").version, 0);

        let poison = history.log.append_raw(StreamType::Event, id.0, Some(id), "EventOpenedByNewerProgram", "{}");
        history.place(show, &[3], 0).unwrap();
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        assert_eq!(store.seat_statuses(id).await.unwrap().unwrap().statuses, "FFFFFFFFFF");
        assert_eq!(store.set_aside().await.unwrap().len(), 1);

        // The newer program.
        history.log.mend(poison, &EventDomainEvent::from(EventPublished {}));
        let found = compare_with_log(&history.log.source(), &store).await.unwrap();
        assert_eq!(found.len(), 1, "it is said once: {found:?}");
        assert!(found[0].what.contains("rebuild the projection"));
        let (log, stop) = (history.log.source(), CancellationToken::new());
        rebuild(&store, &log, Projection::Events, Goal::Next, &stop, |_| {}).await.unwrap();
        assert_eq!(store.set_aside().await.unwrap(), []);
        assert_eq!(store.seat_statuses(id).await.unwrap().unwrap().statuses, "FFFHFFFFFF");
        let frame = tokio::time::timeout(PATIENCE, seats.next()).await.expect("in time").expect("a frame");
        assert_eq!((frame.snapshot, frame.version), (true, 1));
        // And it goes on from there.
        history.place(show, &[4], 0).unwrap();
        let frame = tokio::time::timeout(PATIENCE, seats.next()).await.expect("in time").expect("a frame");
        assert_eq!((frame.snapshot, frame.version), (false, 2));
        assert!(store.wait_for(history.log.head(), PATIENCE).await.unwrap());
        assert_eq!(compare_with_log(&history.log.source(), &store).await.unwrap(), []);
        cancel.cancel();
        projecting.await.unwrap().unwrap();
        handing_out.await.unwrap().unwrap();
    })
    .await;
}
