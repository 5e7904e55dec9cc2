//! Every wrong value of a request is refused at its own path, by the documented code, and all of them at once.

use serde_json::{Value, json};
use tickiz_command_api::validation::{booking, create_event, limits, update_event};
use tickiz_contract::{PathSegment, Refusals, request};

const ID: &str = "0190a8f2-3c1d-7e55-9b0a-6f1d2c3b4a59";

fn path_of(refusal_path: Option<&Vec<PathSegment>>) -> String {
    let steps = refusal_path.expect("every fault of the input has a path").iter().map(|step| match step {
        PathSegment::Key(key) => format!("/{key}"),
        PathSegment::Index(index) => format!("/{index}"),
    });
    steps.collect()
}

/// Each fault as `CODE path`.
fn faults<T: std::fmt::Debug>(result: Result<T, Refusals>) -> Vec<String> {
    let refusals = result.map(|_| ()).err().map(|refusals| refusals.0).unwrap_or_default();
    for refusal in &refusals {
        assert!(!refusal.message.is_empty() && refusal.message.len() < 400, "{refusal:?}");
    }
    refusals.iter().map(|refusal| format!("{} {}", refusal.code, path_of(refusal.path.as_ref()))).collect()
}

/// The base with the value at that JSON pointer replaced; a missing member is added.
fn with(base: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = base.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    match changed.pointer_mut(parent).expect("the pointer's parent is there") {
        Value::Object(object) => drop(object.insert(key.to_owned(), value)),
        Value::Array(array) => array[key.parse::<usize>().expect("an index")] = value,
        other => panic!("{other} has no members"),
    }
    changed
}

fn general_admission() -> Value {
    json!({
        "title": "Đêm nhạc Trịnh", "description": "", "category": "CONCERT",
        "startsAt": "2027-05-01T19:30:00", "endsAt": "2027-05-01T22:00:00", "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Nhà hát Lớn", "address": null, "city": "Hà Nội", "country": "VN", "latitude": 21.02, "longitude": 105.85},
        "ticketTypes": [
            {"name": "Standing", "price": {"amount": "450000", "currency": "VND"}, "capacity": 100, "quota": null,
             "seatCategories": [], "maxPerBooking": 10},
            {"name": "Student", "price": {"amount": "250000", "currency": "VND"}, "capacity": 20, "quota": null,
             "seatCategories": [], "maxPerBooking": 2},
        ],
        "seatingPlan": null, "holdSeconds": 600, "releaseOnDecline": false, "salesStart": null, "salesEnd": null,
        "maxPerPerson": null, "organizerId": null, "idempotencyKey": null,
    })
}

fn plan() -> Value {
    let seat = |guid: &str, category: &str, x: f64| json!({"seat_number": guid, "seat_guid": guid, "category": category, "position": {"x": x, "y": 0}});
    json!({
        "name": "Hall", "categories": [{"name": "A", "color": "#f00"}, {"name": "B", "color": "#0f0"}, {"name": "Empty", "color": "#00f"}],
        "size": {"width": 100, "height": 100},
        "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "areas": [], "rows": [
            {"row_number": "1", "row_number_position": "both", "position": {"x": 0, "y": 0},
             "seats": [seat("s1", "A", 0.0), seat("s2", "A", 20.0), seat("s3", "B", 40.0)]},
        ]}],
    })
}

fn seated() -> Value {
    let mut base = general_admission();
    base["seatingPlan"] = plan();
    base["ticketTypes"][0]["seatCategories"] = json!(["A", "B"]);
    base["ticketTypes"][0]["capacity"] = Value::Null;
    base
}

fn create(value: Value) -> Vec<String> {
    let request: request::CreateEvent = serde_json::from_value(value).expect("of the request's shape");
    faults(create_event::check(&request))
}

#[test]
fn every_wrong_value_of_a_new_event_is_refused_at_its_path() {
    assert_eq!(create(general_admission()), Vec::<String>::new());
    let long = |chars: usize| json!("ü".repeat(chars));
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/title", json!(""), "/title"),
        ("/title", json!("   "), "/title"),
        ("/title", long(limits::MAX_TITLE_CHARS + 1), "/title"),
        ("/title", json!("a\u{0}b"), "/title"),
        ("/title", json!("a\nb"), "/title"),
        ("/title", json!("a\u{202E}b"), "/title"),
        ("/description", long(limits::MAX_DESCRIPTION_CHARS + 1), "/description"),
        ("/description", json!("\u{1B}[31m"), "/description"),
        ("/startsAt", json!(""), "/startsAt"),
        ("/startsAt", json!("2027-05-01"), "/startsAt"),
        ("/startsAt", json!("2027-05-01T19:30:00Z"), "/startsAt"),
        ("/startsAt", json!("2027-05-01T19:30:00+07:00"), "/startsAt"),
        ("/startsAt", json!("2027-02-29T19:30:00"), "/startsAt"),
        ("/startsAt", json!("0001-01-01T00:00:00"), "/startsAt"),
        ("/startsAt", json!("9999-12-31T23:59:59"), "/startsAt"),
        ("/endsAt", json!("2027-05-01T19:30:00"), "/endsAt"),
        ("/endsAt", json!("2027-04-30T19:30:00"), "/endsAt"),
        ("/endsAt", json!("later"), "/endsAt"),
        ("/timeZone", json!("Hanoi"), "/timeZone"),
        ("/timeZone", json!("+07:00"), "/timeZone"),
        ("/timeZone", json!(""), "/timeZone"),
        ("/venue/name", json!(""), "/venue/name"),
        ("/venue/name", long(limits::MAX_VENUE_NAME_CHARS + 1), "/venue/name"),
        ("/venue/address", json!(" "), "/venue/address"),
        ("/venue/address", long(limits::MAX_ADDRESS_CHARS + 1), "/venue/address"),
        ("/venue/city", json!(""), "/venue/city"),
        ("/venue/city", long(limits::MAX_CITY_CHARS + 1), "/venue/city"),
        ("/venue/country", json!("vn"), "/venue/country"),
        ("/venue/country", json!("Vietnam"), "/venue/country"),
        ("/venue/country", json!("ZZ"), "/venue/country"),
        ("/venue/latitude", json!(90.1), "/venue/latitude"),
        ("/venue/latitude", json!(-1e300), "/venue/latitude"),
        ("/venue/latitude", Value::Null, "/venue/latitude"),
        ("/venue/longitude", json!(180.5), "/venue/longitude"),
        ("/venue/longitude", Value::Null, "/venue/longitude"),
        ("/ticketTypes", json!([]), "/ticketTypes"),
        ("/ticketTypes/0/name", json!("\t"), "/ticketTypes/0/name"),
        ("/ticketTypes/1/name", long(limits::MAX_TYPE_NAME_CHARS + 1), "/ticketTypes/1/name"),
        ("/ticketTypes/0/price/amount", json!("-1"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("450000.00"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("1e3"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("NaN"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("٤٥"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!(""), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("99999999999999999999999"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/0/price/amount", json!("10000000000001"), "/ticketTypes/0/price/amount"),
        ("/ticketTypes/1/price/currency", json!("vnd"), "/ticketTypes/1/price/currency"),
        ("/ticketTypes/1/price/currency", json!("XXX"), "/ticketTypes/1/price/currency"),
        ("/ticketTypes/1/price", json!({"amount": "10.00", "currency": "USD"}), "/ticketTypes/1/price/currency"),
        ("/ticketTypes/0/capacity", Value::Null, "/ticketTypes/0/capacity"),
        ("/ticketTypes/0/capacity", json!(0), "/ticketTypes/0/capacity"),
        ("/ticketTypes/0/capacity", json!(-5), "/ticketTypes/0/capacity"),
        ("/ticketTypes/0/capacity", json!(i64::MAX), "/ticketTypes/0/capacity"),
        ("/ticketTypes/0/quota", json!(""), "/ticketTypes/0/quota"),
        ("/ticketTypes/0/seatCategories", json!(["A"]), "/ticketTypes/0/seatCategories"),
        ("/ticketTypes/0/maxPerBooking", json!(0), "/ticketTypes/0/maxPerBooking"),
        ("/ticketTypes/0/maxPerBooking", json!(101), "/ticketTypes/0/maxPerBooking"),
        ("/seatingPlan", json!(1), "/seatingPlan"),
        ("/seatingPlan", json!([]), "/seatingPlan"),
        ("/holdSeconds", json!(0), "/holdSeconds"),
        ("/holdSeconds", json!(86_401), "/holdSeconds"),
        ("/holdSeconds", json!(i64::MIN), "/holdSeconds"),
        ("/salesStart", json!("2027-05-01T19:30:00"), "/salesStart"),
        ("/salesStart", json!("soon"), "/salesStart"),
        ("/salesEnd", json!("2027-05-01 12:00"), "/salesEnd"),
        ("/maxPerPerson", json!(0), "/maxPerPerson"),
        ("/maxPerPerson", json!(i64::MAX), "/maxPerPerson"),
        ("/organizerId", json!("me"), "/organizerId"),
        ("/idempotencyKey", json!(""), "/idempotencyKey"),
        ("/idempotencyKey", json!("k".repeat(201)), "/idempotencyKey"),
        ("/idempotencyKey", json!("a\u{7}"), "/idempotencyKey"),
    ];
    for (pointer, value, wanted) in cases {
        let found = create(with(&general_admission(), pointer, value.clone()));
        let wanted = format!("INVALID_INPUT /input{wanted}");
        assert!(found.first() == Some(&wanted), "{pointer} = {value}: {found:?}, not {wanted}");
    }
}

#[test]
fn what_lies_at_the_limit_is_taken() {
    for (pointer, value) in [
        ("/title", json!("ü".repeat(limits::MAX_TITLE_CHARS))),
        ("/description", json!("ü".repeat(limits::MAX_DESCRIPTION_CHARS))),
        ("/holdSeconds", json!(1)),
        ("/holdSeconds", json!(86_400)),
        ("/idempotencyKey", json!("k".repeat(200))),
        ("/idempotencyKey", json!("ж".repeat(200))),
        ("/ticketTypes/0/price/amount", json!("0")),
        ("/ticketTypes/0/price/amount", json!("10000000000000")),
        ("/ticketTypes/0/capacity", json!(limits::MAX_CAPACITY)),
        ("/venue/latitude", json!(-90)),
        ("/venue/longitude", json!(180)),
        ("/endsAt", Value::Null),
        ("/salesEnd", json!("2027-05-01T22:00:00")),
    ] {
        assert_eq!(
            create(with(&general_admission(), pointer, value.clone())),
            Vec::<String>::new(),
            "{pointer} = {value}"
        );
    }
}

#[test]
fn an_hour_that_the_zone_skips_is_refused_and_one_that_it_has_twice_is_the_earlier() {
    let mut base = with(&general_admission(), "/timeZone", json!("Europe/Berlin"));
    base["endsAt"] = Value::Null;
    assert_eq!(create(with(&base, "/startsAt", json!("2027-03-28T02:30:00"))), ["INVALID_INPUT /input/startsAt"]);
    let twice = with(&base, "/startsAt", json!("2027-10-31T02:30:00"));
    let event = create_event::check(&serde_json::from_value(twice).unwrap()).unwrap();
    assert_eq!(event.starts_at.instant.to_rfc3339(), "2027-10-31T00:30:00+00:00");
    assert_eq!(event.starts_at.local.to_string(), "2027-10-31 02:30:00");
}

#[test]
fn a_type_covers_seats_or_draws_on_a_quota() {
    assert_eq!(create(seated()), Vec::<String>::new());
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/ticketTypes/0/seatCategories", json!(["A", "A"]), "/ticketTypes/0/seatCategories/1"),
        ("/ticketTypes/0/seatCategories", json!(["A", "C"]), "/ticketTypes/0/seatCategories/1"),
        ("/ticketTypes/0/seatCategories", json!(["a"]), "/ticketTypes/0/seatCategories/0"),
        ("/ticketTypes/0/seatCategories", json!(["Empty"]), "/ticketTypes/0/seatCategories"),
        ("/ticketTypes/0/seatCategories", json!(vec!["A"; 100_000]), "/ticketTypes/0/seatCategories"),
        ("/ticketTypes/0/capacity", json!(4), "/ticketTypes/0/capacity"),
        ("/ticketTypes/0/quota", json!("shared"), "/ticketTypes/0/quota"),
        ("/seatingPlan", Value::Null, "/ticketTypes/0/seatCategories"),
        ("/seatingPlan/zones/0/rows/0/seats/1/category", json!("C"), "/seatingPlan/zones/0/rows/0/seats/1/category"),
        ("/seatingPlan/zones/0/rows/0/seats/1/seat_guid", json!("s1"), "/seatingPlan/zones/0/rows/0/seats/1/seat_guid"),
        (
            "/seatingPlan/zones/0/rows/0/seats/2/seat_guid",
            json!("x".repeat(300)),
            "/seatingPlan/zones/0/rows/0/seats/2/seat_guid",
        ),
        ("/seatingPlan/zones", json!({}), "/seatingPlan/zones"),
    ];
    for (pointer, value, wanted) in cases {
        let found = create(with(&seated(), pointer, value.clone()));
        let wanted = format!("INVALID_INPUT /input{wanted}");
        assert!(found.contains(&wanted), "{pointer} = {value}: {found:?}, not {wanted}");
    }
    // The plan says it already; who repeats it contradicts nothing.
    assert_eq!(create(with(&seated(), "/ticketTypes/0/capacity", json!(3))), Vec::<String>::new());
    let mut nothing_covered = seated();
    nothing_covered["ticketTypes"][0]["seatCategories"] = json!([]);
    nothing_covered["ticketTypes"][0]["capacity"] = json!(5);
    assert_eq!(create(nothing_covered), ["INVALID_INPUT /input/ticketTypes"]);
}

#[test]
fn types_that_share_a_quota_say_its_capacity_once_or_alike() {
    let shared = |first: Value, second: Value| {
        let mut base = general_admission();
        for (at, capacity) in [first, second].into_iter().enumerate() {
            base["ticketTypes"][at]["quota"] = json!("floor");
            base["ticketTypes"][at]["capacity"] = capacity;
        }
        base
    };
    assert_eq!(create(shared(json!(50), Value::Null)), Vec::<String>::new());
    assert_eq!(create(shared(Value::Null, json!(50))), Vec::<String>::new());
    assert_eq!(create(shared(json!(50), json!(50))), Vec::<String>::new());
    assert_eq!(create(shared(json!(50), json!(60))), ["INVALID_INPUT /input/ticketTypes/1/capacity"]);
    assert_eq!(create(shared(Value::Null, Value::Null)), ["INVALID_INPUT /input/ticketTypes/0/capacity"]);
    assert_eq!(create(shared(json!(0), Value::Null)), ["INVALID_INPUT /input/ticketTypes/0/capacity"]);
    let event = create_event::check(&serde_json::from_value(shared(Value::Null, json!(50))).unwrap()).unwrap();
    assert_eq!((event.quotas.len(), event.quotas[0].capacity, event.quotas[0].name.as_deref()), (1, 50, Some("floor")));
}

#[test]
fn all_faults_come_at_once_and_no_more_than_anybody_reads() {
    let mut wrong = general_admission();
    wrong["title"] = json!("");
    wrong["timeZone"] = json!("Nowhere");
    wrong["startsAt"] = json!("soon");
    wrong["venue"]["country"] = json!("");
    wrong["ticketTypes"][0]["price"]["amount"] = json!("free");
    wrong["ticketTypes"][1]["capacity"] = json!(-1);
    wrong["holdSeconds"] = json!(0);
    assert_eq!(
        create(wrong),
        [
            "INVALID_INPUT /input/title",
            "INVALID_INPUT /input/timeZone",
            "INVALID_INPUT /input/startsAt",
            "INVALID_INPUT /input/venue/country",
            "INVALID_INPUT /input/ticketTypes/0/price/amount",
            "INVALID_INPUT /input/ticketTypes/1/capacity",
            "INVALID_INPUT /input/holdSeconds",
        ]
    );
    let mut many = general_admission();
    let bad = json!({"name": "", "price": {"amount": "x", "currency": "y"}, "capacity": null, "quota": null,
        "seatCategories": [], "maxPerBooking": 0});
    many["ticketTypes"] = Value::Array(vec![bad.clone(); limits::MAX_TICKET_TYPES]);
    assert_eq!(create(many.clone()).len(), limits::MAX_FAULTS);
    many["ticketTypes"] = Value::Array(vec![bad; limits::MAX_TICKET_TYPES + 1]);
    assert_eq!(create(many), ["INVALID_INPUT /input/ticketTypes"]);
}

fn order() -> Value {
    json!({
        "eventId": ID, "seats": [{"seatId": "s1", "ticketTypeId": null}], "tickets": [{"ticketTypeId": ID, "quantity": 2}],
        "buyer": {"name": "Lan", "email": "Lan@example.com"}, "locale": "vi-VN", "idempotencyKey": "k1",
    })
}

fn place(value: Value) -> Vec<String> {
    faults(booking::check_order(
        &serde_json::from_value::<request::PlaceBooking>(value).expect("of the request's shape"),
    ))
}

#[test]
fn every_wrong_value_of_an_order_is_refused_at_its_path() {
    assert_eq!(place(order()), Vec::<String>::new());
    let seats = |count: usize| {
        Value::Array((0..count).map(|at| json!({"seatId": format!("s{at}"), "ticketTypeId": null})).collect())
    };
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/eventId", json!("1"), "INVALID_INPUT /input/eventId"),
        ("/eventId", json!(""), "INVALID_INPUT /input/eventId"),
        ("/seats/0/seatId", json!(""), "INVALID_INPUT /input/seats/0/seatId"),
        ("/seats/0/seatId", json!("x".repeat(300)), "INVALID_INPUT /input/seats/0/seatId"),
        ("/seats/0/ticketTypeId", json!("VIP"), "INVALID_INPUT /input/seats/0/ticketTypeId"),
        (
            "/seats",
            json!([{"seatId": "s1", "ticketTypeId": null}, {"seatId": "s2", "ticketTypeId": null}, {"seatId": "s1", "ticketTypeId": null}]),
            "INVALID_INPUT /input/seats/2/seatId",
        ),
        ("/seats", seats(101), "LIMIT_EXCEEDED /input/seats"),
        ("/seats", seats(99), "LIMIT_EXCEEDED /input"),
        ("/tickets/0/ticketTypeId", json!("VIP"), "INVALID_INPUT /input/tickets/0/ticketTypeId"),
        ("/tickets/0/quantity", json!(0), "INVALID_INPUT /input/tickets/0/quantity"),
        ("/tickets/0/quantity", json!(-3), "INVALID_INPUT /input/tickets/0/quantity"),
        ("/tickets/0/quantity", json!(101), "LIMIT_EXCEEDED /input/tickets/0/quantity"),
        ("/tickets/0/quantity", json!(i64::MAX), "LIMIT_EXCEEDED /input/tickets/0/quantity"),
        ("/buyer/name", json!(""), "INVALID_INPUT /input/buyer/name"),
        ("/buyer/name", json!("Lan\r\nBcc: x@example.com"), "INVALID_INPUT /input/buyer/name"),
        ("/buyer/name", json!("x".repeat(201)), "INVALID_INPUT /input/buyer/name"),
        ("/buyer/email", json!("lan"), "INVALID_INPUT /input/buyer/email"),
        ("/buyer/email", json!("lan@example.com\r\nBcc: x@example.com"), "INVALID_INPUT /input/buyer/email"),
        ("/buyer/email", json!("a,b@example.com"), "INVALID_INPUT /input/buyer/email"),
        ("/locale", json!("vi_VN"), "INVALID_INPUT /input/locale"),
        ("/locale", json!(""), "INVALID_INPUT /input/locale"),
        ("/idempotencyKey", json!(""), "INVALID_INPUT /input/idempotencyKey"),
        ("/idempotencyKey", json!("k".repeat(201)), "INVALID_INPUT /input/idempotencyKey"),
    ];
    for (pointer, value, wanted) in cases {
        let found = place(with(&order(), pointer, value.clone()));
        assert_eq!(found, [wanted], "{pointer} = {value}");
    }
    let mut nothing = with(&order(), "/seats", json!([]));
    nothing["tickets"] = json!([]);
    assert_eq!(place(nothing), ["INVALID_INPUT /input"]);
}

#[test]
fn the_same_type_again_is_more_of_it() {
    let twice =
        with(&order(), "/tickets", json!([{"ticketTypeId": ID, "quantity": 2}, {"ticketTypeId": ID, "quantity": 3}]));
    let order = booking::check_order(&serde_json::from_value(twice).unwrap()).unwrap();
    assert_eq!(order.tickets.iter().map(|wish| wish.quantity).collect::<Vec<_>>(), [5]);
}

#[test]
fn the_other_commands_name_their_own_arguments() {
    assert_eq!(faults(update_event::check_id("x")), ["INVALID_INPUT /id"]);
    assert_eq!(faults(update_event::check_cancel("x", " ")), ["INVALID_INPUT /id", "INVALID_INPUT /reason"]);
    assert_eq!(faults(update_event::check_cancel(ID, &"x".repeat(1_001))), ["INVALID_INPUT /reason"]);
    let postpone = |starts_at: Option<&str>, ends_at: Option<&str>| request::PostponeEvent {
        id: ID.to_owned(),
        starts_at: starts_at.map(str::to_owned),
        ends_at: ends_at.map(str::to_owned),
        reason: "flood".to_owned(),
    };
    assert_eq!(
        faults(update_event::check_postpone(&postpone(Some("soon"), Some("later")))),
        ["INVALID_INPUT /startsAt", "INVALID_INPUT /endsAt"]
    );
    assert_eq!(
        faults(update_event::check_postpone(&postpone(None, Some("2027-05-01T22:00:00")))),
        ["INVALID_INPUT /endsAt"]
    );
    assert_eq!(faults(update_event::check_postpone(&postpone(None, None))), Vec::<String>::new());
    let block = |seats: &[&str]| request::BlockSeats {
        event_id: ID.to_owned(),
        seat_ids: seats.iter().map(|seat| (*seat).to_owned()).collect(),
        blocked: true,
    };
    assert_eq!(faults(update_event::check_block(&block(&[]))), ["INVALID_INPUT /seatIds"]);
    assert_eq!(
        faults(update_event::check_block(&block(&["a", "", "b", "a"]))),
        ["INVALID_INPUT /seatIds/1", "INVALID_INPUT /seatIds/3"]
    );
    let many: Vec<String> = (0..=limits::MAX_SEATS_PER_BLOCK).map(|at| at.to_string()).collect();
    assert_eq!(
        faults(update_event::check_block(&block(&many.iter().map(String::as_str).collect::<Vec<_>>()))),
        ["INVALID_INPUT /seatIds"]
    );
}

#[test]
fn payment_and_cancellation_are_read_by_the_same_rules() {
    let pay = |changes: &[(&str, Value)]| {
        let mut base = json!({"bookingId": ID, "method": "SANDBOX", "returnUrl": "https://example.com/thanks", "accessToken": null,
            "idempotencyKey": "p1"});
        for (key, value) in changes {
            base[*key] = value.clone();
        }
        faults(booking::check_pay(serde_json::from_value(base).expect("of the request's shape")))
    };
    assert_eq!(pay(&[]), Vec::<String>::new());
    assert_eq!(pay(&[("returnUrl", Value::Null)]), Vec::<String>::new());
    for wrong in ["/thanks", "javascript:alert(1)", "https://user:pw@example.com", "https://example.com/\u{0}"] {
        assert_eq!(pay(&[("returnUrl", json!(wrong))]), ["INVALID_INPUT /input/returnUrl"], "{wrong}");
    }
    assert_eq!(
        pay(&[("bookingId", json!("b")), ("accessToken", json!("")), ("idempotencyKey", json!(""))]),
        ["INVALID_INPUT /input/bookingId", "INVALID_INPUT /input/accessToken", "INVALID_INPUT /input/idempotencyKey"]
    );
    let cancel = json!({"bookingId": "b", "reason": "x".repeat(1_001), "accessToken": null, "idempotencyKey": ""});
    assert_eq!(
        faults(booking::check_cancel(serde_json::from_value(cancel).unwrap())),
        ["INVALID_INPUT /input/bookingId", "INVALID_INPUT /input/reason", "INVALID_INPUT /input/idempotencyKey"]
    );
}

#[test]
fn an_update_is_read_by_the_same_rules_and_needs_only_its_id() {
    let update = |changes: &[(&str, Value)]| {
        let mut base = json!({"id": ID, "title": null, "description": null, "startsAt": null, "endsAt": null, "venue": null,
            "ticketTypes": null, "salesStart": null, "salesEnd": null, "maxPerPerson": null, "idempotencyKey": null});
        for (key, value) in changes {
            base[*key] = value.clone();
        }
        faults(update_event::check(&serde_json::from_value(base).expect("of the request's shape")))
    };
    let change = |changes: &[(&str, Value)]| {
        let mut base =
            json!({"ticketTypeId": ID, "name": null, "price": null, "capacity": null, "maxPerBooking": null});
        for (key, value) in changes {
            base[*key] = value.clone();
        }
        base
    };
    assert_eq!(update(&[]), Vec::<String>::new());
    assert_eq!(
        update(&[("title", json!("")), ("startsAt", json!("x"))]),
        ["INVALID_INPUT /input/title", "INVALID_INPUT /input/startsAt"]
    );
    assert_eq!(update(&[("maxPerPerson", json!(-1))]), ["INVALID_INPUT /input/maxPerPerson"]);
    assert_eq!(
        update(&[("ticketTypes", json!([change(&[]), change(&[])]))]),
        ["INVALID_INPUT /input/ticketTypes/1/ticketTypeId"]
    );
    assert_eq!(
        update(&[(
            "ticketTypes",
            json!([change(&[("price", json!({"amount": "10", "currency": "USD"})), ("capacity", json!(0))])])
        )]),
        ["INVALID_INPUT /input/ticketTypes/0/price/amount", "INVALID_INPUT /input/ticketTypes/0/capacity"]
    );
}
