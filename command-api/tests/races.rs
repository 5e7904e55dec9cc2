//! Many at once: nothing is sold twice, nothing is lost, and one key has one effect.

mod world;

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use serde_json::json;
use tickiz_contract::{Answer, BookingAnswer, Commands, ErrorCode, Refusals, Request, request};
use tickiz_domain::{booking::BookingStatus, ids::EventId};
use world::{
    Order, Store, World, anybody, code, event, general_admission, hall, is_held, money, organizer, place_by,
    stores_and_servers, type_id,
};

/// Sends all the orders at once, half of them to another process, each in a task of its own.
async fn all_at_once(world: &World, orders: Vec<Order>) -> Vec<Result<BookingAnswer, Refusals>> {
    let processes = [world.service.clone(), world.other_process().await];
    let tasks = orders.into_iter().enumerate().map(|(at, order)| {
        let service = processes[at % 2].clone();
        tokio::spawn(async move { place_by(&service, order).await })
    });
    join_all(tasks).await.into_iter().map(|task| task.expect("no task panics")).collect()
}

fn codes(results: &[Result<BookingAnswer, Refusals>]) -> BTreeSet<&'static str> {
    results.iter().filter_map(|result| result.as_ref().err()).map(|refusals| refusals.0[0].code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_hundred_buyers_want_the_same_forty_seats_in_opposite_orders_and_each_seat_is_sold_once() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(hall(4, 10)).await;
        let seats: Vec<String> =
            "ABCD".chars().flat_map(|row| (1..=10).map(move |seat| format!("{row}-{seat}"))).collect();
        let orders = (0..300).map(|buyer| {
            let mut wanted: Vec<&str> = (0..4).map(|at| seats[(buyer * 7 + at) % 40].as_str()).collect();
            if buyer % 2 == 1 {
                wanted.reverse();
            }
            Order::of(show.id, &format!("buyer{buyer}@example.com"), "k").seats(&wanted)
        });
        let results = all_at_once(&world, orders.collect()).await;
        let taken = world.check_conservation(show.id).await;
        let won: Vec<&BookingAnswer> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(taken.seats.len(), won.len() * 4, "every winner has all his seats, every loser none");
        assert!(won.iter().all(|booking| is_held(booking)));
        assert_eq!(codes(&results), BTreeSet::from(["SEAT_TAKEN"]));
        // What is left is less than anybody asked for in one piece: nobody was turned away for nothing.
        let free: BTreeSet<&String> = seats.iter().filter(|seat| !taken.seats.contains_key(*seat)).collect();
        for start in 0..40 {
            let whole = (0..4).all(|at| free.contains(&seats[(start + at) % 40]));
            assert!(!whole, "four neighbours from {start} on are free and somebody wanted them");
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_that_types_share_is_never_oversold_and_sold_to_the_last_place() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(general_admission(100)).await;
        let (adult, child) = (type_id(&show.show, "Adult"), type_id(&show.show, "Child"));
        let orders = (0..150).map(|buyer| {
            let of = if buyer % 2 == 0 { &adult } else { &child };
            Order::of(show.id, &format!("buyer{buyer}@example.com"), "k").tickets(of, 1)
        });
        let results = all_at_once(&world, orders.collect()).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
        assert_eq!(codes(&results), BTreeSet::from(["SOLD_OUT"]));
        assert_eq!(world.check_conservation(show.id).await.quotas.values().copied().collect::<Vec<_>>(), [100]);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_persons_limit_counts_all_his_bookings_however_he_writes_his_address() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let mut request = general_admission(100);
        request["maxPerPerson"] = json!(3);
        let show = world.show(request).await;
        let standing = type_id(&show.show, "Standing");
        let orders = (0..20).map(|at| {
            let email = if at % 2 == 0 { "Lan@Example.com" } else { "lan@EXAMPLE.com" };
            Order::of(show.id, email, &format!("k{at}")).tickets(&standing, 1)
        });
        let results = all_at_once(&world, orders.collect()).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
        assert_eq!(codes(&results), BTreeSet::from(["LIMIT_EXCEEDED"]));
        let at_once = Order::of(show.id, "other@example.com", "k").tickets(&standing, 4);
        assert_eq!(code(world.place(at_once).await), ErrorCode::LimitExceeded);
        // What he gives back he may have again.
        let given_back = results.into_iter().find_map(Result::ok).expect("three were placed");
        world.cancel(given_back.id, given_back.access_token, "c").await.expect("a hold can be given up");
        world
            .place(Order::of(show.id, "LAN@example.com", "again").tickets(&standing, 1))
            .await
            .expect("one is free again");
        assert_eq!(world.check_conservation(show.id).await.persons.values().copied().max(), Some(3));
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_at_once_under_one_new_key_all_get_the_one_answer() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(hall(2, 10)).await;
        let vip = type_id(&show.show, "VIP");
        for order in [
            Order::of(show.id, "lan@example.com", "chosen").seats(&["B-1", "B-2"]),
            Order::of(show.id, "lan@example.com", "best").tickets(&vip, 3),
        ] {
            let answers = all_at_once(&world, vec![order.clone(); 10]).await;
            let answers: Vec<BookingAnswer> =
                answers.into_iter().map(|answer| answer.expect("all of them get it")).collect();
            assert!(answers.iter().all(|answer| answer == &answers[0]), "and the same one, its secret included");
            assert!(answers[0].access_token.is_some());
        }
        assert_eq!(world.types().await.iter().filter(|of| *of == "BookingPlaced").count(), 2);

        // The address in another case is the same buyer; another body under his key is an error; another buyer is not him.
        let mut again = Order::of(show.id, "LAN@example.com", "chosen").seats(&["B-1", "B-2"]);
        let repeated = world.place(again.clone()).await.expect("the repetition");
        again.seats.pop();
        assert_eq!(code(world.place(again).await), ErrorCode::IdempotencyKeyReused);
        let other = Order::of(show.id, "len@example.com", "chosen").seats(&["B-1", "B-2"]);
        assert_eq!(code(world.place(other).await), ErrorCode::SeatTaken);
        // The answer is the booking as it is now.
        world.cancel(repeated.id, repeated.access_token.clone(), "c").await.expect("a hold can be given up");
        let now = world
            .place(Order::of(show.id, "lan@example.com", "chosen").seats(&["B-1", "B-2"]))
            .await
            .expect("answered");
        assert_eq!((now.purchase.status, &now.access_token), (BookingStatus::Cancelled, &repeated.access_token));
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_cancellations_and_payments_under_one_key_have_one_effect() {
    for store in stores_and_servers() {
        let world = Arc::new(World::new(store).await);
        let show = world.show(general_admission(100)).await;
        let placed =
            world.place(Order::of(show.id, "a@example.com", "k").tickets(&type_id(&show.show, "Standing"), 1)).await;
        let placed = placed.expect("places are free");
        let pays = join_all((0..10).map(|_| {
            let (world, placed) = (world.clone(), placed.clone());
            tokio::spawn(async move { world.pay(&placed, tickiz_domain::booking::PaymentMethod::Sandbox, "p").await })
        }));
        let pays: Vec<_> =
            pays.await.into_iter().map(|task| task.expect("no panic").expect("all are answered")).collect();
        assert!(pays.iter().all(|pay| pay.payment_id == pays[0].payment_id));
        let cancels = join_all((0..10).map(|_| {
            let (world, placed) = (world.clone(), placed.clone());
            tokio::spawn(async move { world.cancel(placed.id, placed.access_token, "c").await })
        }));
        for cancelled in cancels.await {
            let cancelled = cancelled.expect("no panic").expect("all are answered");
            assert_eq!(cancelled.purchase.status, BookingStatus::Cancelled);
        }
        let types = world.types().await;
        for once in ["PaymentCreated", "BookingCancelled"] {
            assert_eq!(types.iter().filter(|of| *of == once).count(), 1, "{once}");
        }
        assert_eq!(code(world.cancel(placed.id, placed.access_token, "another").await), ErrorCode::Conflict);
        Arc::into_inner(world).expect("every task has ended").end().await;
    }
}

/// Sells best seats to many at once and checks what they got.
async fn sell_best(
    world: &World,
    show: EventId,
    ticket_type: &str,
    buyers: usize,
    each: i64,
) -> Vec<Result<BookingAnswer, Refusals>> {
    let orders = (0..buyers)
        .map(|buyer| Order::of(show, &format!("buyer{buyer}@example.com"), "k").tickets(ticket_type, each))
        .collect();
    all_at_once(world, orders).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_want_the_best_seats_get_different_ones_until_none_are_left() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(hall(5, 10)).await;
        let regular = type_id(&show.show, "Regular");
        let results = sell_best(&world, show.id, &regular, 30, 2).await;
        let taken = world.check_conservation(show.id).await;
        assert_eq!(taken.seats.len(), 40, "20 pairs in 40 seats: {:?}", codes(&results));
        assert_eq!(codes(&results), BTreeSet::from(["SOLD_OUT"]));
        for booking in results.iter().flatten() {
            let mut rows =
                booking.purchase.lines.iter().filter_map(|line| line.seat_id.as_ref()).map(|seat| &seat.0[..1]);
            assert_eq!(rows.next(), rows.next(), "two sit in one row");
        }
        // What comes free is found again, also by a process that had it in mind as taken.
        let back = results.into_iter().flatten().next().expect("20 were sold");
        let freed: BTreeSet<String> =
            back.purchase.lines.iter().filter_map(|line| line.seat_id.clone()).map(|seat| seat.0).collect();
        world.cancel(back.id, back.access_token, "c").await.expect("a hold can be given up");
        let last =
            world.place(Order::of(show.id, "last@example.com", "k").tickets(&regular, 2)).await.expect("two are free");
        let found: BTreeSet<String> =
            last.purchase.lines.iter().filter_map(|line| line.seat_id.clone()).map(|seat| seat.0).collect();
        assert_eq!(found, freed);
        world.end().await;
    }
}

#[tokio::test]
async fn chosen_and_found_seats_of_one_booking_are_different_seats() {
    let world = World::new(Store::Memory).await;
    let show = world.show(hall(2, 3)).await;
    let vip = type_id(&show.show, "VIP");
    let order = Order::of(show.id, "a@example.com", "k").seats(&["A-2"]).tickets(&vip, 2);
    let placed = world.place(order).await.expect("three are there");
    assert_eq!(placed.purchase.lines.len(), 3);
    assert_eq!(world.check_conservation(show.id).await.seats.len(), 3);
    let sold_out = world.place(Order::of(show.id, "b@example.com", "k").tickets(&vip, 1)).await;
    assert_eq!(code(sold_out), ErrorCode::SoldOut);
    world.end().await;
}

#[tokio::test]
async fn a_price_that_changes_between_decision_and_append_is_decided_on_again() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(general_admission(100)).await;
        let standing = type_id(&show.show, "Standing");
        let elsewhere = world.other_process().await;
        let old =
            place_by(&elsewhere, Order::of(show.id, "a@example.com", "k").tickets(&standing, 1)).await.expect("free");
        assert_eq!(old.purchase.total.minor(), 450_000);
        let update = json!({"id": show.id.to_string(), "startsAt": null, "title": null, "description": null, "endsAt": null,
            "venue": null, "salesStart": null, "salesEnd": null, "maxPerPerson": null, "idempotencyKey": null,
            "ticketTypes": [{"ticketTypeId": standing, "name": null, "price": money("500000"), "capacity": null, "maxPerBooking": null}]});
        let request = Request::UpdateEvent(Box::new(serde_json::from_value(update).expect("of the request's shape")));
        event(world.service.execute(organizer(), request).await);
        // That process still remembers the show at yesterday's price.
        let new =
            place_by(&elsewhere, Order::of(show.id, "b@example.com", "k").tickets(&standing, 1)).await.expect("free");
        assert_eq!(new.purchase.total.minor(), 500_000);
        world.end().await;
    }
}

#[tokio::test]
async fn a_process_that_remembers_a_draft_does_not_refuse_what_is_on_sale() {
    let world = World::new(Store::Memory).await;
    let draft = world.create(general_admission(10)).await;
    let order = |key: &str| Order::of(draft.id, "a@example.com", key).tickets(&type_id(&draft.show, "Standing"), 1);
    let elsewhere = world.other_process().await;
    assert_eq!(code(place_by(&elsewhere, order("1")).await), ErrorCode::NotFound);
    world.publish(draft.id).await;
    place_by(&elsewhere, order("2")).await.expect("it is on sale now");
    world.end().await;
}

#[tokio::test]
async fn what_a_process_remembers_as_taken_is_sold_once_it_came_free() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let mut request = hall(2, 5);
        let standing = json!({"name": "Standing", "price": money("100000"), "capacity": 2, "quota": null, "seatCategories": [],
            "maxPerBooking": 10});
        request["ticketTypes"].as_array_mut().expect("a list").push(standing);
        let show = world.show(request).await;
        let standing = type_id(&show.show, "Standing");
        let elsewhere = world.other_process().await;
        let orders = |email: &str, key: &str| {
            let seats = Order::of(show.id, email, &format!("{key}-seats")).seats(&["A-1", "A-2"]);
            let places = Order::of(show.id, email, &format!("{key}-places")).tickets(&standing, 2);
            [(seats, ErrorCode::SeatTaken), (places, ErrorCode::SoldOut)]
        };
        let mut placed = Vec::new();
        for (order, _) in orders("a@example.com", "k") {
            placed.push(world.place(order).await.expect("it is free"));
        }
        for attempt in ["1", "2", "3"] {
            for (order, wanted) in orders("b@example.com", attempt) {
                assert_eq!(code(place_by(&elsewhere, order).await), wanted, "attempt {attempt}");
            }
        }
        for booking in placed {
            // One buyer's keys of one show are compared with each other, so each cancellation has its own.
            let key = format!("cancel-{}", booking.id);
            world.cancel(booking.id, booking.access_token, &key).await.expect("a hold can be given up");
        }
        for (order, _) in orders("b@example.com", "4") {
            place_by(&elsewhere, order).await.expect("it came free");
        }
        world.check_conservation(show.id).await;
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_show_that_is_cancelled_amid_a_rush_has_no_booking_after_its_cancellation() {
    for store in stores_and_servers() {
        let world = World::new(store).await;
        let show = world.show(general_admission(1_000)).await;
        let standing = type_id(&show.show, "Standing");
        let orders: Vec<Order> = (0..120)
            .map(|buyer| Order::of(show.id, &format!("buyer{buyer}@example.com"), "k").tickets(&standing, 1))
            .collect();
        let cancel = async {
            tokio::task::yield_now().await;
            let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
            world.service.execute(organizer(), cancel).await.expect("it can be cancelled")
        };
        let (results, _) = tokio::join!(all_at_once(&world, orders), cancel);
        let log = world.whole_log().await;
        let cancelled_at = log.iter().find(|event| event.event_type == "EventCancelled").expect("it was").position;
        let late =
            log.iter().filter(|event| event.event_type == "BookingPlaced" && event.position > cancelled_at).count();
        assert_eq!(late, 0);
        assert!(codes(&results).is_subset(&BTreeSet::from(["CONFLICT"])), "{:?}", codes(&results));
        world.check_conservation(show.id).await;
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn success_and_expiry_at_once_end_as_a_ticket_or_a_way_back_and_never_as_both() {
    for store in stores_and_servers() {
        let mut request = hall(2, 10);
        request["holdSeconds"] = json!(1);
        let world = Arc::new(World::new(store).await);
        let show = world.show(request).await;
        let mut attempts = Vec::new();
        for seat in 1..=10 {
            let order = Order::of(show.id, &format!("buyer{seat}@example.com"), "k").seats(&[&format!("A-{seat}")]);
            let placed = world.place(order).await.expect("it is free");
            let paid = world.pay(&placed, tickiz_domain::booking::PaymentMethod::Sandbox, "p").await.expect("in time");
            attempts.push((placed.id, paid.payment_id));
        }
        world.clock.advance(chrono::Duration::seconds(1));
        if store != Store::Memory {
            tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
        }
        let tasks = attempts.iter().flat_map(|(booking, payment)| {
            let (paying, expiring) = (world.clone(), world.clone());
            let (booking, payment) = (*booking, *payment);
            [
                tokio::spawn(async move { paying.succeed(booking, payment).await }),
                tokio::spawn(async move { expiring.expire(booking).await }),
            ]
        });
        for task in join_all(tasks).await {
            task.expect("no task panics");
        }
        for (booking, _) in attempts {
            let purchase = world.purchase(booking).await;
            let sold = purchase.status == BookingStatus::Confirmed
                && purchase.tickets.len() == 1
                && purchase.refunds.is_empty();
            assert!(sold, "the seat was free or still his: {purchase:?}");
        }
        assert_eq!(world.check_conservation(show.id).await.seats.len(), 10);
        Arc::into_inner(world).expect("every task has ended").end().await;
    }
}

#[tokio::test]
async fn what_is_over_the_bound_of_commands_under_way_is_told_when_to_come_back() {
    let world = World::new(Store::Memory).await;
    let options = tickiz_command_api::CommandOptions {
        max_in_flight: 0,
        admission_wait: std::time::Duration::from_millis(1),
        ..tickiz_command_api::CommandOptions::default()
    };
    let full = tickiz_command_api::CommandService::new(world.system.clone(), None, &options);
    let show = world.show(general_admission(10)).await;
    let order = Order::of(show.id, "a@example.com", "k").tickets(&type_id(&show.show, "Standing"), 1);
    let refusals = place_by(&full, order.clone()).await.expect_err("there is no turn to be had");
    assert_eq!(refusals.0[0].code, ErrorCode::Overloaded);
    assert!(refusals.0[0].retry_after_ms.is_some_and(|ms| ms > 0));
    // Wrong input is told before anything is waited for.
    let wrong = Order { email: "nobody".to_owned(), ..order };
    assert_eq!(code(place_by(&full, wrong).await), ErrorCode::InvalidInput);
    let pay = request::PayBooking {
        booking_id: uuid::Uuid::nil().to_string(),
        method: tickiz_domain::booking::PaymentMethod::Sandbox,
        return_url: None,
        access_token: None,
        idempotency_key: "p".to_owned(),
    };
    let answer: Result<Answer, Refusals> = full.execute(anybody(), Request::PayBooking(pay)).await;
    assert_eq!(code(answer), ErrorCode::Overloaded);
    world.end().await;
}
