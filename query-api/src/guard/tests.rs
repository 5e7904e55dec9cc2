//! What the guard lets through, what it refuses, with which code and path, and that it does so whatever comes.

use async_graphql::parser::types::{DocumentOperations, Selection};
use serde_json::{Value as Json, json};
use tickiz_contract::ErrorCode;

use super::{Baked, Fault, Guard, RawRequest, json};
use crate::{limits::*, schema::sdl};

fn guard() -> Guard {
    Guard::new(&sdl(), true)
}

fn request(query: &str, variables: Json) -> RawRequest {
    let Json::Object(variables) = variables else { panic!("variables are an object") };
    RawRequest { query: query.to_owned(), operation_name: None, variables }
}

fn admit(query: &str, variables: Json) -> Result<Baked, Vec<Fault>> {
    guard().admit(request(query, variables))
}

/// The arguments of the first field at the root, as they were baked.
fn arguments(baked: &Baked) -> String {
    let DocumentOperations::Single(operation) = &baked.document.operations else { panic!("one operation") };
    let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else { panic!("a field") };
    let arguments: Vec<_> =
        field.node.arguments.iter().map(|(name, value)| format!("{}: {}", name.node, value.node)).collect();
    arguments.join(", ")
}

/// Code and path of each fault.
fn faults(query: &str, variables: Json) -> Vec<(ErrorCode, String)> {
    let faults = admit(query, variables).expect_err(query);
    let told = |fault: &Fault| {
        let path = fault.refusal.path.as_ref().map(|path| serde_json::to_string(path).unwrap());
        (fault.refusal.code, path.unwrap_or_default())
    };
    faults.iter().map(told).collect()
}

fn paths(query: &str, variables: Json) -> Vec<String> {
    let (codes, paths): (Vec<_>, Vec<_>) = faults(query, variables).into_iter().unzip();
    assert!(codes.iter().all(|code| *code == ErrorCode::InvalidInput), "{query}: {codes:?}");
    paths
}

const CREATE: &str = "mutation($i: CreateEventInput!) { createEvent(input: $i) { id } }";

fn event() -> Json {
    json!({
        "title": "T", "category": "CONCERT", "startsAt": "2027-05-01T19:30:00", "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "V", "city": "C", "country": "VN"},
        "ticketTypes": [{"name": "A", "price": {"amount": "450000", "currency": "VND"}, "capacity": 10}],
    })
}

fn with(pointer: &str, value: Json) -> Json {
    let mut event = event();
    match event.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            event.pointer_mut(parent).unwrap()[name] = value;
        }
    }
    json!({ "i": event })
}

#[test]
fn a_variable_that_was_not_given_leaves_the_default_in_its_place() {
    let query = "query($first: Int, $order: EventOrder, $after: String) {
        events(first: $first, orderBy: $order, after: $after) { totalCount } }";
    assert_eq!(arguments(&admit(query, json!({})).unwrap()), "");
    assert_eq!(arguments(&admit(query, json!({"first": null, "after": null})).unwrap()), "after: null");
    assert_eq!(
        arguments(&admit(query, json!({"first": 5, "order": "PRICE", "more": 1})).unwrap()),
        "orderBy: PRICE, first: 5"
    );
    let query = "query($first: Int = 7) { events(first: $first) { totalCount } }";
    assert_eq!(arguments(&admit(query, json!({})).unwrap()), "first: 7");
    assert_eq!(arguments(&admit(query, json!({"first": 3.0})).unwrap()), "first: 3");
}

#[test]
fn lists_and_ids_are_coerced_as_the_specification_says() {
    let query = "mutation { blockSeats(eventId: 5, seatIds: \"A\", blocked: true) { id } }";
    assert_eq!(arguments(&admit(query, json!({})).unwrap()), "eventId: \"5\", seatIds: [\"A\"], blocked: true");
    let query = "mutation($s: [ID!]!, $b: Boolean!) { blockSeats(eventId: \"e\", seatIds: $s, blocked: $b) { id } }";
    let baked = admit(query, json!({"s": ["A", 2], "b": false})).unwrap();
    assert_eq!(arguments(&baked), "eventId: \"e\", seatIds: [\"A\", \"2\"], blocked: false");
    let query = "mutation($s: ID!) { blockSeats(eventId: \"e\", seatIds: [$s, \"B\"], blocked: true) { id } }";
    assert_eq!(
        arguments(&admit(query, json!({"s": "A"})).unwrap()),
        "eventId: \"e\", seatIds: [\"A\", \"B\"], blocked: true"
    );
}

#[test]
fn json_is_put_aside_and_found_again() {
    let mut baked = admit(CREATE, with("/seatingPlan", json!({"zones": [{"a": null}]}))).unwrap();
    assert_eq!(baked.json.take(0), Some(json!({"zones": [{"a": null}]})));
    assert_eq!(baked.json.take(0), None);
    assert_eq!(baked.json.take(1), None);
    let query = "mutation($i: CreateEventInput!, $x: String) { a: createEvent(input: $i) { id } b: createEvent(input: $i) { id } \
                 c: createEvent(input: {title: \"\", category: OTHER, startsAt: \"\", timeZone: \"\", venue: {name: \"\", city: \"\", country: \"\"}, \
                 ticketTypes: [], seatingPlan: {a: [1, X, $x]}}) { id } }";
    let mut variables = with("/seatingPlan", json!([1]));
    variables["x"] = json!("y");
    let mut baked = admit(query, variables).unwrap();
    assert_eq!(
        (baked.json.take(0), baked.json.take(0), baked.json.take(0)),
        (Some(json!([1])), Some(json!([1])), None)
    );
    assert_eq!(baked.json.take(1), Some(json!({"a": [1, "X", "y"]})));
}

#[test]
fn a_wrong_value_in_a_variable_has_its_path() {
    for (pointer, value, path) in [
        ("/ticketTypes/0/price/amount", json!(450_000), r#"["input","ticketTypes",0,"price","amount"]"#),
        ("/ticketTypes/0/price/amount", json!(null), r#"["input","ticketTypes",0,"price","amount"]"#),
        ("/ticketTypes/0/price/currency", json!(["VND"]), r#"["input","ticketTypes",0,"price","currency"]"#),
        ("/ticketTypes/0/capacity", json!(1.5), r#"["input","ticketTypes",0,"capacity"]"#),
        ("/ticketTypes/0/capacity", json!(3_000_000_000_u64), r#"["input","ticketTypes",0,"capacity"]"#),
        ("/ticketTypes/0/capacity", json!("10"), r#"["input","ticketTypes",0,"capacity"]"#),
        ("/ticketTypes/0/seatCategories", json!([1]), r#"["input","ticketTypes",0,"seatCategories",0]"#),
        ("/ticketTypes/0/more", json!(1), r#"["input","ticketTypes",0,"more"]"#),
        ("/ticketTypes/0", json!("x"), r#"["input","ticketTypes",0]"#),
        ("/ticketTypes", json!([null]), r#"["input","ticketTypes",0]"#),
        ("/category", json!("concert"), r#"["input","category"]"#),
        ("/category", json!(1), r#"["input","category"]"#),
        ("/title", json!(1), r#"["input","title"]"#),
        ("/title", json!(null), r#"["input","title"]"#),
        ("/venue", json!([]), r#"["input","venue"]"#),
        ("/venue/latitude", json!("10"), r#"["input","venue","latitude"]"#),
        ("/startsAt", json!(2027), r#"["input","startsAt"]"#),
        ("/releaseOnDecline", json!("true"), r#"["input","releaseOnDecline"]"#),
        ("/idempotencyKey", json!({}), r#"["input","idempotencyKey"]"#),
    ] {
        assert_eq!(paths(CREATE, with(pointer, value)), [path]);
    }
    assert_eq!(paths(CREATE, json!({})), [r#"["input"]"#]);
    assert_eq!(paths(CREATE, json!({"i": null})), [r#"["input"]"#]);
    assert_eq!(paths(CREATE, json!({"i": "x"})), [r#"["input"]"#]);
}

#[test]
fn a_wrong_literal_has_its_path() {
    for (arguments, path) in [
        ("input: {bookingId: \"b\", method: SANDBOX}", r#"["input","idempotencyKey"]"#),
        ("input: {bookingId: \"b\", method: CASH, idempotencyKey: \"k\"}", r#"["input","method"]"#),
        ("input: {bookingId: \"b\", method: \"SANDBOX\", idempotencyKey: \"k\"}", r#"["input","method"]"#),
        ("input: {bookingId: true, method: SANDBOX, idempotencyKey: \"k\"}", r#"["input","bookingId"]"#),
        (
            "input: {bookingId: \"b\", bookingId: \"c\", method: SANDBOX, idempotencyKey: \"k\"}",
            r#"["input","bookingId"]"#,
        ),
        ("input: {bookingId: \"b\", method: , idempotencyKey: \"k\"}", r#"["input"]"#),
        ("input: {bookingId: \"b\", method: SANDBOX, idempotencyKey: }", r#"["input","idempotencyKey"]"#),
        ("input: {bookingId: \"\\ud800\", method: SANDBOX, idempotencyKey: \"k\"}", r#"["input","bookingId"]"#),
        ("input: null", r#"["input"]"#),
        ("input: 1", r#"["input"]"#),
        ("inputs: {}", r#"["input"]"#),
        ("input: $x", r#"["input"]"#),
    ] {
        let query = format!("mutation {{ payBooking({arguments}) {{ id }} }}");
        assert_eq!(paths(&query, json!({}))[0], path, "{arguments}");
    }
    assert_eq!(paths("{ event { id } }", json!({})), [r#"["id"]"#]);
    assert_eq!(paths("{ event(id: \"1\", id: \"2\") { id } }", json!({})), [r#"["id"]"#]);
    assert_eq!(paths("{ event(id: 1.5) { id } }", json!({})), [r#"["id"]"#]);
    assert_eq!(paths("{ event(id: \"1\", nope: 2) { id } }", json!({})), [r#"["nope"]"#]);
    assert_eq!(paths("{ events(first: 99999999999) { totalCount } }", json!({})), [r#"["first"]"#]);
    assert_eq!(paths("{ events(first: 1e999) { totalCount } }", json!({})), [r#"["first"]"#]);
    assert_eq!(paths("{ event(id: \"1\", minPosition: 5) { id } }", json!({})), [r#"["minPosition"]"#]);
}

#[test]
fn all_faults_are_told_at_once_up_to_a_limit() {
    let mut event = event();
    event["title"] = json!(1);
    event["venue"]["city"] = json!(2);
    event["ticketTypes"][0]["price"]["amount"] = json!(3);
    let found = paths(CREATE, json!({ "i": event }));
    assert_eq!(
        found,
        [r#"["input","title"]"#, r#"["input","venue","city"]"#, r#"["input","ticketTypes",0,"price","amount"]"#]
    );
    let many: Vec<Json> = (0..10_000).map(|_| json!(1)).collect();
    let query = "mutation($s: [ID!]!) { blockSeats(eventId: \"e\", seatIds: $s, blocked: true) { id } }";
    assert!(admit(query, json!({ "s": many })).is_ok());
    let many: Vec<Json> = (0..10_000).map(|_| json!(null)).collect();
    assert_eq!(faults(query, json!({ "s": many })).len(), MAX_FAULTS);
}

#[test]
fn variables_are_used_as_declared() {
    for (query, path) in [
        ("query($id: String!) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: ID) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: [ID!]!) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: Nothing!) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: Event!) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: ID!) { event(id: $di) { id } }", r#"["id"]"#),
        ("query($id: ID!, $id: ID!) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($id: ID!, $x: Int) { event(id: $id) { id } }", r#"["x"]"#),
        ("query($id: ID! = true) { event(id: $id) { id } }", r#"["id"]"#),
        ("query($if: Boolean) { event(id: \"1\") { id @include(if: $if) } }", r#"["if"]"#),
    ] {
        assert!(paths(query, json!({})).contains(&path.to_owned()), "{query}");
    }
    assert!(admit("query($id: ID = \"x\") { event(id: $id) { id } }", json!({})).is_ok());
    assert_eq!(paths("query($id: ID = \"x\") { event(id: $id) { id } }", json!({"id": null})), [r#"["id"]"#]);
    assert!(admit("query($id: ID!) { event(id: $id) { id } }", json!({"id": 7})).is_ok());
    let included = "query($if: Boolean! = true) { event(id: \"1\") { id @include(if: $if) } }";
    assert!(admit(included, json!({})).is_ok());
}

#[test]
fn documents_that_the_schema_does_not_know_are_refused() {
    for query in [
        "",
        " ",
        "# only a comment",
        "{",
        "}",
        "{}",
        "{ }",
        "query",
        "query {",
        "{ event }",
        "{ event(id: \"1\") }",
        "{ event(id: \"1\") { } }",
        "{ event(id: \"1\") { id { x } } }",
        "{ nope }",
        "{ event(id: \"1\") { nope } }",
        "subscription { nope }",
        "mutation { nope }",
        "type Query { a: Int }",
        "{ a } { b }",
        "query A { __typename } query A { __typename }",
        "{ __typename } query B { __typename }",
        "fragment F on Query { __typename }",
        "{ ...F }",
        "{ ...F } fragment F on Event { id }",
        "{ ...F } fragment F on Nope { id }",
        "{ ...F } fragment F on Query { ...F }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ __typename } fragment F on Query { __typename }",
        "{ ... on Event { id } }",
        "{ __typename @nope }",
        "{ __typename @include }",
        "{ __typename @include(if: 1) }",
        "{ __typename @include(if: true) @include(if: true) }",
        "query @include(if: true) { __typename }",
        "{ event(id: \"1\")) { id } }",
        "{ event((id: \"1\") { id } }",
        "{ event() { id } }",
        "{ event(id: ) { id } }",
        "query($x) { __typename }",
        "query($x: ) { __typename }",
        "query() { __typename }",
        "query($x: [Int) { __typename }",
        "{ __typename \u{0} }",
        "{ __typename } \u{7f}",
        "{ \u{201c}event\u{201d} }",
        "{ events(filter: {near: {latitude: 1}}) { totalCount } }",
        "subscription { seatAvailability(eventId: \"1\") { version } bookingChanged(id: \"1\") { id } }",
        "subscription { ...S } fragment S on Subscription { a: seatAvailability(eventId: \"1\") { version } b: seatAvailability(eventId: \"1\") { version } }",
        "{ event(id: \"1\") { ...F } } fragment F on Query { __typename }",
        "{ __schema { types { nope } } }",
        "{ __type { name } }",
        "mutation { createEvent { id } }",
        "{ a: b: event(id: \"1\") { id } }",
        "{ event(id: \"1\") { id } } garbage",
        "null",
        "[]",
        "query Q { ...on }",
    ] {
        for (code, _) in faults(query, json!({})) {
            assert_eq!(code, ErrorCode::InvalidInput, "{query}");
        }
    }
}

#[test]
fn the_operation_is_the_one_that_is_named() {
    let several = "query A { __typename } mutation B { publishEvent(id: \"1\") { id } } query C { ...F } fragment F on Query { __typename }";
    let named = |name: Option<&str>| {
        let operation_name = name.map(str::to_owned);
        guard().admit(RawRequest { operation_name, ..request(several, json!({})) })
    };
    assert_eq!(named(Some("A")).unwrap().roots, ["__typename"]);
    assert_eq!(named(Some("B")).unwrap().roots, ["publishEvent"]);
    assert_eq!(named(Some("C")).unwrap().roots, ["__typename"]);
    for wrong in [None, Some("D"), Some("F")] {
        let path = named(wrong).unwrap_err()[0].refusal.path.clone();
        assert_eq!(path, Some(vec!["operationName".into()]));
    }
    let anonymous = RawRequest { operation_name: Some("A".to_owned()), ..request("{ __typename }", json!({})) };
    assert!(guard().admit(anonymous).is_err());
}

#[test]
fn what_is_too_much_is_over_a_limit() {
    let aliases = |count: usize| (0..count).map(|i| format!("a{i}: __typename ")).collect::<String>();
    let deep = |depth: usize| format!("{}{}", "{ __schema { types { fields { type ".repeat(depth), "}".repeat(depth));
    let doubling: String =
        (0..60).map(|i| format!("fragment F{i} on Query {{ ...F{} ...F{} }} ", i + 1, i + 1)).collect();
    for query in [
        format!("{{ {} }}", aliases(MAX_ALIASES as usize + 1)),
        format!("{{ {} }}", "__typename ".repeat(MAX_ROOT_FIELDS as usize + 1)),
        format!("{{ event(id: \"1\") {{ {} }} }}", "id ".repeat(MAX_FIELDS as usize)),
        format!("{{ __typename {} }}", "@include(if: true) ".repeat(MAX_DIRECTIVES as usize + 1)),
        format!("{{ ...F0 }} {doubling} fragment F60 on Query {{ __typename }}"),
        format!("{}{}", "{ a ".repeat(MAX_DEPTH + 1), "}".repeat(MAX_DEPTH + 1)),
        format!("{}{}", "{a".repeat(100_000), "}".repeat(100_000)),
        deep(40),
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
        format!("{{ event(id: {}1{}) {{ id }} }}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{{ event(id: {}1{}) {{ id }} }}", "{a:".repeat(10_000), "}".repeat(10_000)),
        format!("query($x: {}Int{}) {{ __typename }}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{{ __typename }} #{}", "x".repeat(MAX_DOCUMENT_BYTES)),
        format!("{{ {} }}", "__typename ".repeat(MAX_DOCUMENT_TOKENS)),
        format!("{{ {} }}", "... { ".repeat(1_000)),
        (0..=MAX_OPERATIONS_IN_DOCUMENT).map(|i| format!("query Q{i} {{ __typename }} ")).collect(),
        format!(
            "{{ __typename }} {}",
            (0..=MAX_FRAGMENTS).map(|i| format!("fragment F{i} on Query {{ __typename }} ")).collect::<String>()
        ),
        format!("query({}) {{ __typename }}", (0..=MAX_VARIABLES).map(|i| format!("$v{i}: Int ")).collect::<String>()),
        "{ log(first: 1000) { position recordedAt organizerId streamType streamId sequence type version data actor \
          position recordedAt organizerId streamType streamId sequence type version data actor \
          position recordedAt organizerId streamType streamId sequence type version data actor } }"
            .to_owned(),
        format!(
            "{{ {} }}",
            (0..20)
                .map(|i| format!(
                    "a{i}: seatMap(eventId: \"1\") {{ sections {{ rows {{ seats {{ id number x y }} }} }} }} "
                ))
                .collect::<String>()
        ),
    ] {
        let codes: Vec<_> = faults(&query, json!({})).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [ErrorCode::LimitExceeded], "{}", &query[..query.len().min(120)]);
    }
}

#[test]
fn what_clients_ask_is_within_the_limits() {
    let everything = "title slug organizerId description category status postponed startsAt endsAt timeZone \
        venue { name address city country latitude longitude } ticketTypes { id name price { amount currency } available capacity \
        seatCategories maxPerBooking quota } priceFrom { amount currency } hasSeatingPlan salesStart salesEnd maxPerPerson position";
    for query in [
        include_str!("introspection.graphql").to_owned(),
        format!("{{ events(first: 100) {{ totalCount pageInfo {{ hasNextPage endCursor }} edges {{ cursor node {{ id {everything} }} }} }} }}"),
        "{ log(first: 1000) { position recordedAt organizerId streamType streamId sequence type version data actor } }".to_owned(),
        "{ seatMap(eventId: \"1\") { eventId version planHash statuses sections { id name rows { label seats { id number category status x y } } } } }".to_owned(),
        format!("{{ booking(id: \"1\", accessToken: \"t\") {{ id code status event {{ id {everything} }} tickets {{ id ticketType {{ id name \
            price {{ amount currency }} available }} seatId seatLabel price {{ amount currency }} code qr png: qr(format: PNG) }} total {{ amount currency }} \
            holdExpiresAt payments {{ id method status amount {{ amount currency }} redirectUrl position }} accessToken position }} }}"),
        "subscription { seatAvailability(eventId: \"1\") { eventId fromVersion version planHash snapshot changes { seatId status } statuses ticketTypes { ticketTypeId available } } }".to_owned(),
        "subscription S { ... on Subscription { ...F } } fragment F on Subscription { bookingChanged(id: \"1\") { id status } }".to_owned(),
    ] {
        let admitted = admit(&query, json!({}));
        assert!(admitted.is_ok(), "{query}: {:?}", admitted.map(|_| ()));
    }
}

#[test]
fn introspection_can_be_switched_off() {
    let production = Guard::new(&sdl(), false);
    for query in ["{ __schema { types { name } } }", "{ __type(name: \"Event\") { name } }"] {
        assert!(production.admit(request(query, json!({}))).is_err(), "{query}");
    }
    assert!(production.admit(request("{ __typename }", json!({}))).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_bytes_make_the_guard_panic(
        text in "[{}()\\[\\]:!$@.\"\\\\a-z0-9 #\n]{0,80}", any in ".{0,60}", bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
    ) {
        let guard = guard();
        for query in [text.clone(), any.clone(), format!("{{ event(id: {text}) {{ id }} }}"), format!("query({text}) {{ __typename }}"), format!("{{ event(id: \"{any}\") {{ id }} }}")] {
            let _ = guard.admit(request(&query, json!({"a": any})));
        }
        let _ = json::parse_request(&bytes);
        let _ = json::parse_request(format!("{{\"query\":{text}}}").as_bytes());
    }
}
