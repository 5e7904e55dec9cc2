//! The second step of the validation: what a request asks of a show that is there.

mod world;

use serde_json::{Value, json};
use tickiz_contract::{Commands, ErrorCode, Refusals, Request};
use tickiz_domain::ids::EventId;
use world::{Store, World, anybody, event, general_admission, hall, in_hours, money, organizer, type_id};

/// Sends a `placeBooking` with these members.
async fn place(world: &World, show: EventId, seats: Value, tickets: Value) -> Result<(), Refusals> {
    let key = uuid::Uuid::new_v4().to_string();
    let request = json!({"operation": "placeBooking", "input": {"eventId": show.to_string(), "seats": seats, "tickets": tickets,
        "buyer": {"name": "Lan", "email": "lan@example.com"}, "locale": null, "idempotencyKey": key}});
    let request: Request = serde_json::from_value(request).expect("of the request's shape");
    world.service.execute(anybody(), request).await.map(|_| ())
}

/// Each fault as `CODE path`.
fn faults(result: Result<(), Refusals>) -> Vec<String> {
    let refusals = result.err().map(|refusals| refusals.0).unwrap_or_default();
    let path = |path: Option<&Vec<tickiz_contract::PathSegment>>| serde_json::to_string(&path).expect("a path is JSON");
    refusals.iter().map(|refusal| format!("{} {}", refusal.code, path(refusal.path.as_ref()))).collect()
}

#[tokio::test]
async fn a_seat_is_of_the_one_type_that_covers_it_or_of_the_one_that_is_named() {
    let world = World::new(Store::Memory).await;
    let mut request = hall(2, 5);
    let reduced = json!({"name": "Reduced", "price": money("200000"), "capacity": null, "quota": null,
        "seatCategories": ["Regular"], "maxPerBooking": 2});
    let standing = json!({"name": "Standing", "price": money("100000"), "capacity": 5, "quota": null,
        "seatCategories": [], "maxPerBooking": 2});
    request["ticketTypes"].as_array_mut().expect("a list").extend([reduced, standing]);
    let show = world.show(request).await;
    let (vip, reduced) = (type_id(&show.show, "VIP"), type_id(&show.show, "Reduced"));
    let nobodys = uuid::Uuid::nil().to_string();
    let seat = |id: &str, of: Option<&str>| json!({"seatId": id, "ticketTypeId": of});
    let none = json!([]);
    let cases = [
        (json!([seat("B-1", None)]), none.clone(), r#"INVALID_INPUT ["input","seats",0,"ticketTypeId"]"#),
        (
            json!([seat("A-1", None), seat("A-2", Some(&reduced))]),
            none.clone(),
            r#"INVALID_INPUT ["input","seats",1,"ticketTypeId"]"#,
        ),
        (json!([seat("A-1", Some(&nobodys))]), none.clone(), r#"INVALID_INPUT ["input","seats",0,"ticketTypeId"]"#),
        (json!([seat("a-1", None)]), none.clone(), r#"INVALID_INPUT ["input","seats",0,"seatId"]"#),
        (json!([seat("A-1 ", None)]), none.clone(), r#"INVALID_INPUT ["input","seats",0,"seatId"]"#),
        (
            none.clone(),
            json!([{"ticketTypeId": nobodys, "quantity": 1}]),
            r#"INVALID_INPUT ["input","tickets",0,"ticketTypeId"]"#,
        ),
        (
            none.clone(),
            json!([{"ticketTypeId": vip, "quantity": 1}, {"ticketTypeId": reduced, "quantity": 3}]),
            r#"LIMIT_EXCEEDED ["input","tickets",1,"quantity"]"#,
        ),
        (
            json!([seat("B-1", Some(&reduced)), seat("B-2", Some(&reduced)), seat("B-3", Some(&reduced))]),
            none.clone(),
            r#"LIMIT_EXCEEDED ["input","seats"]"#,
        ),
        (
            json!([seat("B-1", Some(&reduced)), seat("B-2", Some(&reduced))]),
            json!([{"ticketTypeId": reduced, "quantity": 1}]),
            r#"LIMIT_EXCEEDED ["input","tickets",0,"quantity"]"#,
        ),
    ];
    for (seats, tickets, wanted) in cases {
        assert_eq!(faults(place(&world, show.id, seats.clone(), tickets.clone()).await), [wanted], "{seats} {tickets}");
    }
    let all_wrong = json!([seat("B-1", None), seat("Z", None)]);
    let both = faults(place(&world, show.id, all_wrong, json!([{"ticketTypeId": nobodys, "quantity": 1}])).await);
    assert_eq!(both.len(), 3, "{both:?}");
    place(&world, show.id, json!([seat("B-1", Some(&reduced)), seat("A-1", None)]), none).await.expect("that is clear");
    world.end().await;
}

#[tokio::test]
async fn a_show_without_a_plan_has_no_seats() {
    let world = World::new(Store::Memory).await;
    let show = world.show(general_admission(5)).await;
    let seats = json!([{"seatId": "A-1", "ticketTypeId": null}]);
    assert_eq!(
        faults(place(&world, show.id, seats, json!([])).await),
        [r#"INVALID_INPUT ["input","seats",0,"seatId"]"#]
    );
    let block = Request::BlockSeats(tickiz_contract::request::BlockSeats {
        event_id: show.id.to_string(),
        seat_ids: vec!["A-1".to_owned()],
        blocked: true,
    });
    let refused = world.service.execute(organizer(), block).await.map(|_| ());
    assert_eq!(faults(refused), [r#"INVALID_INPUT ["seatIds",0]"#]);
    world.end().await;
}

#[tokio::test]
async fn a_change_is_judged_with_what_stays() {
    let world = World::new(Store::Memory).await;
    let mut request = hall(2, 5);
    request["endsAt"] = json!(in_hours(50));
    request["salesStart"] = json!(in_hours(1));
    let show = world.show(request).await;
    let (vip, regular) = (type_id(&show.show, "VIP"), type_id(&show.show, "Regular"));
    let update = |changes: Value| {
        let mut base = json!({"id": show.id.to_string(), "title": null, "description": null, "startsAt": null, "endsAt": null,
            "venue": null, "ticketTypes": null, "salesStart": null, "salesEnd": null, "maxPerPerson": null, "idempotencyKey": null});
        for (key, value) in changes.as_object().expect("an object") {
            base[key] = value.clone();
        }
        Request::UpdateEvent(Box::new(serde_json::from_value(base).expect("of the request's shape")))
    };
    let of = |id: &str, changes: Value| {
        let mut base =
            json!({"ticketTypeId": id, "name": null, "price": null, "capacity": null, "maxPerBooking": null});
        for (key, value) in changes.as_object().expect("an object") {
            base[key] = value.clone();
        }
        base
    };
    let dollars = json!({"price": {"amount": "1.00", "currency": "USD"}});
    let cases = [
        (json!({"startsAt": in_hours(51)}), vec![r#"INVALID_INPUT ["input","startsAt"]"#]),
        (json!({"startsAt": in_hours(-1)}), vec![r#"INVALID_INPUT ["input","startsAt"]"#]),
        (json!({"endsAt": in_hours(47)}), vec![r#"INVALID_INPUT ["input","endsAt"]"#]),
        (json!({"salesEnd": in_hours(0)}), vec![r#"INVALID_INPUT ["input","salesEnd"]"#]),
        (json!({"salesStart": in_hours(49)}), vec![r#"INVALID_INPUT ["input","salesStart"]"#]),
        (
            json!({"ticketTypes": [of(&vip, json!({"capacity": 4})), of(&regular, dollars), of(&uuid::Uuid::nil().to_string(), json!({}))]}),
            vec![
                r#"INVALID_INPUT ["input","ticketTypes",0,"capacity"]"#,
                r#"INVALID_INPUT ["input","ticketTypes",1,"price","currency"]"#,
                r#"INVALID_INPUT ["input","ticketTypes",2,"ticketTypeId"]"#,
            ],
        ),
    ];
    for (changes, wanted) in cases {
        let refused = world.service.execute(organizer(), update(changes.clone())).await.map(|_| ());
        assert_eq!(faults(refused), wanted, "{changes}");
    }
    let length = world.types().await.len();
    event(world.service.execute(organizer(), update(json!({}))).await);
    event(world.service.execute(organizer(), update(json!({"ticketTypes": [of(&vip, json!({"capacity": 5}))]}))).await);
    assert_eq!(world.types().await.len(), length, "what changes nothing leaves nothing");
    let changed =
        event(world.service.execute(organizer(), update(json!({"title": "Another", "maxPerPerson": 4}))).await);
    assert_eq!((changed.show.title.as_str(), changed.show.max_per_person), ("Another", Some(4)));
    world.end().await;
}

#[tokio::test]
async fn publication_of_what_is_past_is_refused_by_the_state() {
    let world = World::new(Store::Memory).await;
    let mut past = general_admission(5);
    past["startsAt"] = json!(in_hours(-3));
    let draft = world.create(past).await;
    let publish = Request::PublishEvent { id: draft.id.to_string() };
    let refused = world.service.execute(organizer(), publish).await.expect_err("it is past");
    assert_eq!((refused.0[0].code, refused.0[0].path.clone()), (ErrorCode::Conflict, None));
    world.end().await;
}
