//! What happens without anybody asking: many holds that end at once, a cancelled show.

mod house;
mod world;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, stream};
use house::{House, LogList, Plan};
use tickiz_command_api::workers::cancellation::{BookingList, ListError};
use tickiz_contract::{Commands, Request};
use tickiz_domain::{
    booking::BookingStatus,
    event::EventStatus,
    ids::{BookingId, EventId},
    timer::TimerKind,
};
use tickiz_event_log::Position;
use world::{Order, Store, general_admission, hall, organizer, type_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_holds_that_end_at_once_all_end_and_each_once() {
    const BOOKINGS: usize = 1_500;
    for store in [Store::Memory, Store::Sqlite] {
        // In a file the store's own clock counts, and a hold ends by itself.
        let hold_seconds = if store == Store::Memory { 60 } else { 3 };
        let mut house = House::new(Plan { store, ..Plan::default() }).await;
        let mut request = general_admission(10_000);
        request["holdSeconds"] = hold_seconds.into();
        let show = house.world.show(request).await;
        let standing = type_id(&show.show, "Standing");
        let bookings: Vec<BookingId> = stream::iter(0..BOOKINGS)
            .map(|number| {
                let order = Order::of(show.id, &format!("b{number}@example.com"), "k").tickets(&standing, 1);
                let house = &house;
                async move { house.place(order).await.id }
            })
            .buffer_unordered(200)
            .collect()
            .await;
        house.advance(hold_seconds + 1);
        house.work();
        house.soon("the end of all", async || (house.count("BookingExpired").await == BOOKINGS).then_some(())).await;
        for id in bookings {
            assert_eq!(house.purchase(id).await.status, BookingStatus::Expired);
        }
        let taken = house.world.check_conservation(show.id).await;
        assert!(taken.quotas.values().all(|places| *places == 0));
        house
            .soon("the end of all timers", async || {
                let left = house.world.log.lease_timers(&[TimerKind::HoldEnds], std::time::Duration::ZERO, 10).await;
                left.expect("the log answers").is_empty().then_some(())
            })
            .await;
        assert_eq!(house.count("BookingExpired").await, BOOKINGS);
        house.end().await;
    }
}

#[tokio::test]
async fn a_show_that_is_over_is_completed_and_a_moved_one_is_not() {
    let house = House::working(Plan::default()).await;
    let over = house.world.show(general_admission(10)).await;
    let moved = house.world.show(general_admission(10)).await;
    let postpone = Request::PostponeEvent(tickiz_contract::request::PostponeEvent {
        id: moved.id.to_string(),
        starts_at: Some(world::in_hours(24 * 30)),
        ends_at: None,
        reason: "rain".to_owned(),
    });
    house.service.execute(organizer(), postpone).await.expect("it is moved");
    house.advance(60 * 60 * (48 + 6) + 60);
    house.soon("its end", async || (house.count("EventCompleted").await == 1).then_some(())).await;
    let status = async |id| {
        let loaded =
            house.world.system.event(id, tickiz_command_api::executor::Reading::Fresh).await.expect("it loads");
        loaded.aggregate.0.as_ref().expect("a show").status
    };
    assert_eq!((status(over.id).await, status(moved.id).await), (EventStatus::Completed, EventStatus::Published));
    house.end().await;
}

/// A list that is behind at first.
struct SlowList(LogList, AtomicUsize);

#[async_trait::async_trait]
impl BookingList for SlowList {
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(None),
            2 => Err(ListError("on order".to_owned())),
            _ => self.0.bookings_of(event, at_least, after, limit.min(20)).await,
        }
    }
}

#[tokio::test]
async fn a_cancelled_show_ends_every_booking_once_its_list_is_there_and_gives_all_money_back() {
    let mut house = House::new(Plan::default()).await;
    house.work_with(Arc::new(SlowList(LogList(house.world.log.clone()), AtomicUsize::new(0))));
    let show = house.world.show(hall(10, 10)).await;
    let mut bookings = Vec::new();
    for row in ["A", "B", "C", "D", "E", "F"] {
        for seat in 1..=10 {
            let seat = format!("{row}-{seat}");
            bookings.push(house.place(Order::of(show.id, &format!("{seat}@example.com"), "k").seats(&[&seat])).await);
        }
    }
    let mut paid = Vec::new();
    for booking in bookings.iter().take(5) {
        let (_, page) = house.pay(booking, "p").await;
        house.press(&page, "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        paid.push(booking.id);
    }
    // One is at the gateway when the show is called off, and pays all the same.
    let (_, page) = house.pay(&bookings[5], "p").await;
    house.press(&page, "pay-late").await;
    let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
    house.service.execute(organizer(), cancel).await.expect("it is cancelled");
    for booking in &bookings {
        let expected = if paid.contains(&booking.id) { BookingStatus::Refunded } else { BookingStatus::Cancelled };
        house.status(booking.id, expected).await;
    }
    house
        .until("the last money is back", async || {
            let ledger = house.ledger().await;
            let back = ledger
                .iter()
                .filter(|entry| entry.charged_minor > 0 && entry.charged_minor == entry.returned_minor)
                .count();
            (back == 6 && house.count("RefundSucceeded").await == 6).then_some(())
        })
        .await;
    for booking in &bookings {
        house.check_money(booking.id).await;
    }
    assert!(house.world.check_conservation(show.id).await.seats.is_empty());
    house.end().await;
}
