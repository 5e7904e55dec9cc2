//! The main flow, and every way in which it ends.

mod world;

use chrono::Duration;
use serde_json::{Value, json};
use tickiz_contract::{Commands, ErrorCode, Request, request};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod, PaymentStatus},
    event::EventStatus,
};
use world::{
    Order, STORES, Store, World, anybody, code, context, event, general_admission, hall, in_hours, money, organizer,
    type_id,
};

#[tokio::test]
async fn a_show_is_made_sold_paid_and_its_tickets_are_issued() {
    for store in STORES {
        let world = World::new(store).await;
        let draft = world.create(hall(3, 10)).await;
        assert_eq!(
            (draft.show.status, draft.show.slug.as_str(), draft.position),
            (EventStatus::Draft, "dem-nhac-trinh", 1)
        );
        let plan = draft.show.plan.as_ref().expect("the plan");
        let sizes: Vec<(&str, u32)> = plan.categories.iter().map(|c| (c.category.as_str(), c.seats)).collect();
        assert_eq!(sizes, [("VIP", 10), ("Regular", 20)]);
        let show = world.publish(draft.id).await;
        assert_eq!(show.show.status, EventStatus::Published);

        let order = Order::of(show.id, "lan@example.com", "k").seats(&["A-5", "B-1"]);
        let placed = world.place(order).await.expect("the seats are free");
        let purchase = &placed.purchase;
        assert_eq!((purchase.status, purchase.total.minor()), (BookingStatus::Held, 1_350_000));
        assert_eq!(purchase.lines[0].seat_label.as_deref(), Some("Floor, A, 5"));
        let recorded_at = world.log.read(2, 1).await.expect("the log reads")[0].recorded_at;
        let hold = purchase.hold_expires_at - recorded_at;
        assert!(Duration::seconds(590) < hold && hold <= Duration::seconds(600), "by the store's clock: {hold}");
        assert_eq!(placed.position, 3);
        assert!(placed.access_token.is_some());

        let paid = world.pay(&placed, PaymentMethod::Sandbox, "p").await.expect("it can be paid");
        let attempt = paid.booking.purchase.payment(paid.payment_id).expect("the attempt").clone();
        assert_eq!((attempt.status, attempt.amount), (PaymentStatus::Pending, purchase.total));
        assert_eq!(attempt.redirect_url, Some(format!("https://pay.example/{}", paid.payment_id)));
        assert_eq!(paid.booking.access_token, None, "only placeBooking's answer has it");

        let confirmed = world.succeed(placed.id, paid.payment_id).await;
        assert_eq!((confirmed.status, confirmed.tickets.len()), (BookingStatus::Confirmed, 2));
        let ticket = &confirmed.tickets[0];
        assert_eq!((ticket.event_number, ticket.kid, ticket.admission_class), (show.show.event_number, 1, 0));
        assert_eq!(confirmed.tickets[1].admission_class, 1);
        assert!(i64::from(ticket.expires) > show.show.over_at().timestamp());
        assert_ne!(confirmed.tickets[0].number, confirmed.tickets[1].number);
        assert_eq!(world.check_conservation(show.id).await.seats.len(), 2);

        let cancelled = world.cancel(placed.id, placed.access_token.clone(), "c").await.expect("until the show starts");
        assert_eq!((cancelled.purchase.status, cancelled.purchase.refunds.len()), (BookingStatus::Cancelled, 1));
        assert!(world.check_conservation(show.id).await.seats.is_empty());
        assert_eq!(
            world.types().await,
            [
                "EventCreated",
                "EventPublished",
                "BookingPlaced",
                "PaymentCreated",
                "PaymentPending",
                "PaymentSucceeded",
                "BookingConfirmed",
                "BookingCancelled",
                "RefundRequested"
            ]
        );
        world.end().await;
    }
}

#[tokio::test]
async fn what_is_in_the_log_tells_nobody_who_the_buyer_is_or_how_to_act_for_him() {
    let world = World::new(Store::Memory).await;
    let show = world.show(general_admission(10)).await;
    let order = Order::of(show.id, "Lan.Secret@example.com", "k").tickets(&type_id(&show.show, "Free"), 1);
    let placed = world.place(order).await.expect("places are free");
    let token = placed.access_token.clone().expect("the buyer's answer has it");
    world.cancel(placed.id, Some(token.clone()), "c").await.expect("a free booking can be cancelled");
    for event in world.whole_log().await {
        let text = String::from_utf8_lossy(&event.payload).to_lowercase();
        let metadata = format!("{:?}", event.metadata).to_lowercase();
        // None of them can come up by chance in the base64 of a seal.
        for secret in ["lan.secret", "@", "ill\"", &token.0.to_lowercase()] {
            assert!(!text.contains(secret) && !metadata.contains(secret), "{secret} in {}", event.event_type);
        }
    }
    let buyer = world.system.buyer_of(&placed.purchase).await.expect("it opens").expect("he was not erased");
    assert_eq!(buyer.email, "Lan.Secret@example.com");
    world.end().await;
}

#[tokio::test]
async fn a_total_of_0_is_confirmed_by_placing_it_and_cannot_be_paid() {
    for store in STORES {
        let world = World::new(store).await;
        let show = world.show(general_admission(10)).await;
        let order = Order::of(show.id, "lan@example.com", "k").tickets(&type_id(&show.show, "Free"), 2);
        let placed = world.place(order).await.expect("places are free");
        assert_eq!((placed.purchase.status, placed.purchase.tickets.len()), (BookingStatus::Confirmed, 2));
        assert!(placed.purchase.payments.is_empty());
        assert_eq!(placed.position, 4, "of the last domain event that the answer contains");
        assert_eq!(code(world.pay(&placed, PaymentMethod::Sandbox, "p").await), ErrorCode::Conflict);
        world.end().await;
    }
}

#[tokio::test]
async fn a_late_payment_brings_the_booking_back_or_goes_back_itself() {
    let world = World::new(Store::Memory).await;
    let show = world.show(hall(2, 5)).await;
    let mut attempts = Vec::new();
    for (email, seat) in [("a@example.com", "A-1"), ("b@example.com", "A-2")] {
        let placed = world.place(Order::of(show.id, email, "k").seats(&[seat])).await.expect("the seat is free");
        let paid = world.pay(&placed, PaymentMethod::Sandbox, "p").await.expect("it can be paid");
        attempts.push((placed, paid.payment_id));
    }
    assert_eq!(
        world.expire(attempts[0].0.id).await.status,
        BookingStatus::Held,
        "a timer that comes early finds nothing to do"
    );
    world.clock.advance(Duration::seconds(600));
    for (placed, _) in &attempts {
        assert_eq!(world.expire(placed.id).await.status, BookingStatus::Expired);
    }
    assert_eq!(code(world.pay(&attempts[0].0, PaymentMethod::Stripe, "p2").await), ErrorCode::HoldExpired);
    // Somebody else takes the second one's seat.
    world.place(Order::of(show.id, "c@example.com", "k").seats(&["A-2"])).await.expect("it came free");

    let back = world.succeed(attempts[0].0.id, attempts[0].1).await;
    assert_eq!((back.status, back.tickets.len(), back.refunds.len()), (BookingStatus::Confirmed, 1, 0));
    let lost = world.succeed(attempts[1].0.id, attempts[1].1).await;
    assert_eq!((lost.status, lost.tickets.len(), lost.refunds.len()), (BookingStatus::Expired, 0, 1));
    let length = world.types().await.len();
    world.succeed(attempts[0].0.id, attempts[0].1).await;
    world.succeed(attempts[1].0.id, attempts[1].1).await;
    assert_eq!(world.types().await.len(), length, "a success that comes twice is recorded once");
    assert_eq!(world.check_conservation(show.id).await.seats.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn nothing_is_booked_or_confirmed_after_a_show_is_cancelled_and_its_bookings_end() {
    for store in STORES {
        let world = World::new(store).await;
        let show = world.show(hall(2, 5)).await;
        let placed = world.place(Order::of(show.id, "a@example.com", "k").seats(&["A-1"])).await.expect("it is free");
        let paid = world.pay(&placed, PaymentMethod::Sandbox, "p").await.expect("it can be paid");
        // Another process has the show in mind as it was.
        let elsewhere = world.other_process().await;
        world::place_by(&elsewhere, Order::of(show.id, "b@example.com", "k").seats(&["A-2"]))
            .await
            .expect("it is free");
        let untouched =
            world.system.end_booking_of_cancelled_show(placed.id, &world::test_origin()).await.expect("answered");
        assert_eq!(
            untouched.aggregate.0.as_ref().map(|p| p.status),
            Some(BookingStatus::Held),
            "the show is not cancelled"
        );

        let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
        assert_eq!(event(world.service.execute(organizer(), cancel.clone()).await).show.status, EventStatus::Cancelled);
        let again = world.service.execute(organizer(), cancel).await;
        assert_eq!(again.expect_err("it is cancelled already").0[0].code, ErrorCode::Conflict);
        for service in [&world.service, &elsewhere] {
            let late = world::place_by(service, Order::of(show.id, "c@example.com", "k2").seats(&["A-3"])).await;
            assert_eq!(code(late), ErrorCode::Conflict);
        }
        let refunded = world.succeed(placed.id, paid.payment_id).await;
        assert_eq!((refunded.tickets.len(), refunded.refunds.len()), (0, 1));
        let ended =
            world.system.end_booking_of_cancelled_show(placed.id, &world::test_origin()).await.expect("answered");
        assert_eq!(ended.aggregate.0.as_ref().map(|p| p.status), Some(BookingStatus::Cancelled));
        world.end().await;
    }
}

#[tokio::test]
async fn a_postponed_show_sells_nothing_until_it_has_a_new_date() {
    for store in STORES {
        let world = World::new(store).await;
        let show = world.show(general_admission(10)).await;
        let standing = type_id(&show.show, "Standing");
        let postpone = |starts_at: Option<String>| {
            Request::PostponeEvent(request::PostponeEvent {
                id: show.id.to_string(),
                starts_at,
                ends_at: None,
                reason: "storm".to_owned(),
            })
        };
        assert!(event(world.service.execute(organizer(), postpone(None)).await).show.postponed);
        let order = Order::of(show.id, "a@example.com", "k").tickets(&standing, 1);
        assert_eq!(code(world.place(order.clone()).await), ErrorCode::Conflict);
        let past = world.service.execute(organizer(), postpone(Some(in_hours(-5)))).await.expect_err("that is past");
        assert_eq!(past.0[0].path, Some(vec!["startsAt".into()]));

        let mut update = json!({"id": show.id.to_string(), "startsAt": in_hours(500), "title": null, "description": null,
            "endsAt": null, "venue": null, "ticketTypes": null, "salesStart": null, "salesEnd": null, "maxPerPerson": null,
            "idempotencyKey": "u"});
        let request = |value: &Value| Request::UpdateEvent(Box::new(serde_json::from_value(value.clone()).unwrap()));
        assert!(!event(world.service.execute(organizer(), request(&update)).await).show.postponed);
        // The repetition is answered, another body under the key is an error.
        let length = world.types().await.len();
        event(world.service.execute(organizer(), request(&update)).await);
        assert_eq!(world.types().await.len(), length);
        update["title"] = json!("Another");
        let reused = world.service.execute(organizer(), request(&update)).await;
        assert_eq!(reused.expect_err("another body").0[0].code, ErrorCode::IdempotencyKeyReused);
        world.place(order).await.expect("it is on sale again");
        world.end().await;
    }
}

#[tokio::test]
async fn the_sale_window_is_the_shows() {
    let world = World::new(Store::Memory).await;
    let mut early = general_admission(10);
    early["salesStart"] = json!(in_hours(1));
    early["salesEnd"] = json!(in_hours(2));
    let show = world.show(early).await;
    let order = |key: &str| Order::of(show.id, "a@example.com", key).tickets(&type_id(&show.show, "Standing"), 1);
    assert_eq!(code(world.place(order("1")).await), ErrorCode::Conflict);
    world.clock.advance(Duration::minutes(61));
    world.place(order("2")).await.expect("the sale has begun");
    world.clock.advance(Duration::minutes(60));
    assert_eq!(code(world.place(order("3")).await), ErrorCode::Conflict);
    world.end().await;
}

#[tokio::test]
async fn what_is_not_the_callers_reads_as_not_there() {
    let world = World::new(Store::Memory).await;
    let draft = world.create(general_admission(10)).await;
    let other = || {
        context(tickiz_contract::Caller::Organizer { organizer_id: tickiz_domain::ids::OrganizerId(uuid::Uuid::nil()) })
    };
    let auditor = || context(tickiz_contract::Caller::Auditor);
    let publish = || Request::PublishEvent { id: draft.id.to_string() };
    for (caller, wanted) in
        [(other(), ErrorCode::NotFound), (auditor(), ErrorCode::Forbidden), (anybody(), ErrorCode::Unauthenticated)]
    {
        assert_eq!(world.service.execute(caller, publish()).await.expect_err("refused").0[0].code, wanted);
    }
    let order = Order::of(draft.id, "a@example.com", "k").tickets(&type_id(&draft.show, "Standing"), 1);
    assert_eq!(code(world.place(order.clone()).await), ErrorCode::NotFound, "a draft");
    let nowhere = Order::of(tickiz_domain::ids::EventId(uuid::Uuid::nil()), "a@example.com", "k")
        .tickets(&type_id(&draft.show, "Standing"), 1);
    assert_eq!(code(world.place(nowhere).await), ErrorCode::NotFound);
    world.publish(draft.id).await;
    let placed = world.place(order).await.expect("it is on sale");

    let mut stranger = placed.clone();
    for token in [None, Some("guess".to_owned())] {
        stranger.access_token = token.map(request::AccessToken);
        assert_eq!(code(world.pay(&stranger, PaymentMethod::Sandbox, "p").await), ErrorCode::NotFound);
        assert_eq!(code(world.cancel(placed.id, stranger.access_token.clone(), "c").await), ErrorCode::NotFound);
    }
    let cancel = |key: &str| {
        Request::CancelBooking(request::CancelBooking {
            booking_id: placed.id.to_string(),
            reason: None,
            access_token: None,
            idempotency_key: key.to_owned(),
        })
    };
    assert_eq!(world.service.execute(other(), cancel("c")).await.expect_err("refused").0[0].code, ErrorCode::NotFound);
    assert_eq!(
        world.service.execute(auditor(), cancel("c")).await.expect_err("refused").0[0].code,
        ErrorCode::Forbidden
    );
    let by_organizer = world::booking(world.service.execute(organizer(), cancel("c")).await).expect("it is his Event");
    assert_eq!(by_organizer.purchase.status, BookingStatus::Cancelled);
    assert_eq!(by_organizer.access_token, None);
    assert_eq!(code(world.pay(&placed, PaymentMethod::Sandbox, "p").await), ErrorCode::Conflict);
    world.end().await;
}

#[tokio::test]
async fn a_method_that_is_not_configured_and_a_method_that_is_changed() {
    let world = World::new(Store::Memory).await;
    let show = world.show(general_admission(10)).await;
    let order = Order::of(show.id, "a@example.com", "k").tickets(&type_id(&show.show, "Standing"), 1);
    let placed = world.place(order).await.expect("places are free");
    let refused = world.pay(&placed, PaymentMethod::Momo, "p").await.expect_err("it is not configured");
    assert_eq!(refused.0[0].path, Some(vec!["input".into(), "method".into()]));
    let first = world.pay(&placed, PaymentMethod::Sandbox, "p").await.expect("it is");
    let same = world.pay(&placed, PaymentMethod::Sandbox, "p2").await.expect("the open attempt");
    assert_eq!(first.payment_id, same.payment_id, "while an attempt is open, the same method gives that attempt");
    let other = world.pay(&placed, PaymentMethod::Stripe, "p3").await.expect("another");
    assert_ne!(first.payment_id, other.payment_id);
    let given_up = other.booking.purchase.payment(first.payment_id).expect("it is never deleted");
    assert_eq!(given_up.status, PaymentStatus::Cancelled);
    let repeated = world.pay(&placed, PaymentMethod::Sandbox, "p2").await.expect("the repetition");
    assert_eq!(repeated.payment_id, first.payment_id);
    world.end().await;
}

#[tokio::test]
async fn capacity_never_goes_below_what_is_taken() {
    for store in STORES {
        let world = World::new(store).await;
        let show = world.show(general_admission(10)).await;
        let (adult, child) = (type_id(&show.show, "Adult"), type_id(&show.show, "Child"));
        let order = Order::of(show.id, "a@example.com", "k").tickets(&adult, 2).tickets(&child, 4);
        world.place(order).await.expect("places are free");
        let update = |ticket_type: &str, change: Value| {
            let mut of = json!({"ticketTypeId": ticket_type, "name": null, "price": null, "capacity": null, "maxPerBooking": null});
            for (key, value) in change.as_object().expect("an object") {
                of[key] = value.clone();
            }
            let update = json!({"id": show.id.to_string(), "startsAt": null, "title": null, "description": null, "endsAt": null,
                "venue": null, "ticketTypes": [of], "salesStart": null, "salesEnd": null, "maxPerPerson": null, "idempotencyKey": null});
            Request::UpdateEvent(Box::new(serde_json::from_value(update).expect("of the request's shape")))
        };
        let below =
            world.service.execute(organizer(), update(&child, json!({"capacity": 5}))).await.expect_err("6 are taken");
        let wanted = vec!["input".into(), "ticketTypes".into(), 0.into(), "capacity".into()];
        assert_eq!((below.0[0].code, below.0[0].path.clone()), (ErrorCode::InvalidInput, Some(wanted)));
        event(world.service.execute(organizer(), update(&child, json!({"capacity": 6}))).await);
        let sold_out = world.place(Order::of(show.id, "b@example.com", "k").tickets(&adult, 1)).await;
        assert_eq!(code(sold_out), ErrorCode::SoldOut);
        event(world.service.execute(organizer(), update(&adult, json!({"capacity": 7}))).await);
        world.place(Order::of(show.id, "b@example.com", "k").tickets(&adult, 1)).await.expect("one more");
        let dollars = json!({"price": {"amount": "1.00", "currency": "USD"}});
        let currency = world.service.execute(organizer(), update(&adult, dollars)).await.expect_err("one currency");
        assert_eq!(currency.0[0].path.as_ref().and_then(|path| path.last().cloned()), Some("currency".into()));
        assert_eq!(world.check_conservation(show.id).await.quotas.values().sum::<i64>(), 7);
        world.end().await;
    }
}

#[tokio::test]
async fn a_block_takes_free_seats_all_or_none() {
    for store in STORES {
        let world = World::new(store).await;
        let show = world.show(hall(2, 5)).await;
        let block = |seats: &[&str], blocked: bool| {
            Request::BlockSeats(request::BlockSeats {
                event_id: show.id.to_string(),
                seat_ids: seats.iter().map(|seat| (*seat).to_owned()).collect(),
                blocked,
            })
        };
        let placed = world.place(Order::of(show.id, "a@example.com", "k").seats(&["A-1"])).await.expect("it is free");
        let taken = world.service.execute(organizer(), block(&["B-1", "A-1"], true)).await.expect_err("one is taken");
        assert_eq!((taken.0[0].code, taken.0[0].seat_ids.clone()), (ErrorCode::SeatTaken, vec!["A-1".to_owned()]));
        let unknown =
            world.service.execute(organizer(), block(&["B-1", "Z-9"], true)).await.expect_err("one is unknown");
        assert_eq!(unknown.0[0].path, Some(vec!["seatIds".into(), 1.into()]));
        let blocked = event(world.service.execute(organizer(), block(&["B-1", "B-2"], true)).await);
        assert_eq!(blocked.show.blocked.len(), 2);
        let refused =
            world.place(Order::of(show.id, "b@example.com", "k").seats(&["B-2", "B-3"])).await.expect_err("blocked");
        assert_eq!((refused.0[0].code, refused.0[0].seat_ids.clone()), (ErrorCode::SeatTaken, vec!["B-2".to_owned()]));
        event(world.service.execute(organizer(), block(&["B-2", "B-3"], false)).await);
        world.place(Order::of(show.id, "b@example.com", "k").seats(&["B-2", "B-3"])).await.expect("both are free");
        assert_eq!(world.check_conservation(show.id).await.seats.len(), 4);
        world.cancel(placed.id, placed.access_token, "c").await.expect("a hold can be given up");
        event(world.service.execute(organizer(), block(&["A-1"], true)).await);
        world.end().await;
    }
}

#[tokio::test]
async fn a_slug_is_unique_and_an_event_is_made_once_under_a_key() {
    for store in STORES {
        let world = World::new(store).await;
        let mut request = general_admission(10);
        let first = world.create(request.clone()).await;
        let second = world.create(request.clone()).await;
        assert_eq!(first.show.slug, "dem-nhac-trinh");
        assert!(second.show.slug.starts_with("dem-nhac-trinh-"), "{}", second.show.slug);
        request["title"] = json!("音楽の夜");
        assert!(world.create(request.clone()).await.show.slug.starts_with("event-"));

        request["idempotencyKey"] = json!("once");
        let made: Vec<_> = futures::future::join_all((0..10).map(|_| world.create(request.clone()))).await;
        assert!(made.iter().all(|answer| answer.id == made[0].id));
        request["ticketTypes"][0]["price"] = money("1");
        let reused =
            world.service.execute(organizer(), world::create_request(request)).await.expect_err("another body");
        assert_eq!(reused.0[0].code, ErrorCode::IdempotencyKeyReused);
        world.end().await;
    }
}
