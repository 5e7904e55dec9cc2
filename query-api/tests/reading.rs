//! Queries and mutations, as a client sees them.

mod house;

use house::{ACCESS_TOKEN, AUDITOR_TOKEN, House, ORGANIZER_TOKEN, OTHER_ORGANIZER_TOKEN, http::send};
use serde_json::{Value, json};
use tickiz_contract::{Caller, Request};
use tickiz_domain::event::{EventDomainEvent, EventPublished};

#[tokio::test(flavor = "multi_thread")]
async fn shows_are_listed_and_drafts_are_their_organisers_own() {
    let house = House::default().open().await;
    let list = house.ask(None, "{ events { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id title status priceFrom { amount currency } ticketTypes { available capacity } venue { city } hasSeatingPlan position } } } }", json!({})).await;
    let events = &list["data"]["events"];
    assert_eq!(events["totalCount"], 2, "{list}");
    assert_eq!(events["edges"][0]["node"]["title"], "Đêm nhạc 11");
    assert_eq!(events["edges"][0]["node"]["priceFrom"], json!({"amount": "450000", "currency": "VND"}));
    assert_eq!(events["edges"][0]["node"]["ticketTypes"][0], json!({"available": 6, "capacity": 10}));
    assert_eq!(events["edges"][1]["cursor"], events["pageInfo"]["endCursor"]);
    let draft = house.stage.draft.0.to_string();
    let query = "query($id: ID!) { event(id: $id) { status } }";
    assert_eq!(house.ask(None, query, json!({"id": draft})).await["data"]["event"], Value::Null);
    assert_eq!(house.ask(Some(AUDITOR_TOKEN), query, json!({"id": draft})).await["data"]["event"], Value::Null);
    assert_eq!(house.ask(Some(ORGANIZER_TOKEN), query, json!({"id": draft})).await["data"]["event"]["status"], "DRAFT");
    assert_eq!(house.ask(None, query, json!({"id": "no id"})).await["data"]["event"], Value::Null);
    let page = house.ask(None, "{ events(first: 1) { pageInfo { hasNextPage endCursor } } }", json!({})).await;
    let cursor = page["data"]["events"]["pageInfo"]["endCursor"].clone();
    let next = house
        .ask(
            None,
            "query($a: String) { events(first: 1, after: $a) { edges { node { title } } pageInfo { hasNextPage } } }",
            json!({"a": cursor}),
        )
        .await;
    assert_eq!(
        next["data"]["events"],
        json!({"edges": [{"node": {"title": "Đêm nhạc 12"}}], "pageInfo": {"hasNextPage": false}})
    );
    let found = house.ask(None, "{ events(filter: {text: \"dem nhac 12\", near: {latitude: 21, longitude: 105, radiusKm: 200}, availableOnly: true}, orderBy: RELEVANCE) { totalCount } }", json!({})).await;
    assert_eq!(found["data"]["events"]["totalCount"], 1, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_map_is_a_tree_a_string_and_a_cacheable_plan() {
    let house = House::default().open().await;
    let id = house.stage.seated.0.to_string();
    let query = "query($id: ID!) { seatMap(eventId: $id) { eventId version planHash statuses sections { id name rows { label seats { id number category status x y } } } } }";
    let map = house.ask(None, query, json!({"id": id})).await["data"]["seatMap"].clone();
    assert_eq!(map["statuses"], "BBHFXFFFFF", "{map}");
    assert_eq!(map["version"], 4, "a block, two bookings, one of them confirmed");
    assert_eq!(map["sections"][0]["id"], "stalls");
    assert_eq!(
        map["sections"][0]["rows"][1]["seats"][0],
        json!({"id": "B-1", "number": "1", "category": "Regular", "status": "FREE", "x": 20.0, "y": 20.0})
    );
    let hash = map["planHash"].as_str().unwrap();
    let plan = house.get(&format!("/seat-plans/{hash}")).await;
    assert_eq!(plan.status, 200);
    assert_eq!(plan.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(plan.json()["seats"]["id"][0], "A-1");
    let tag = plan.header("etag").unwrap().replace("w/", "W/");
    assert_eq!(
        send(house.addr, "GET", &format!("/seat-plans/{hash}"), &[("if-none-match", &tag)], b"").await.status,
        304
    );
    let packed = send(house.addr, "GET", &format!("/seat-plans/{hash}"), &[("accept-encoding", "gzip")], b"").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    for wrong in ["0".repeat(64), "x".to_owned(), hash.to_uppercase(), "..%2f..%2fetc%2fpasswd".to_owned()] {
        assert_eq!(house.get(&format!("/seat-plans/{wrong}")).await.status, 404, "{wrong}");
    }
    let floor = house.stage.floor.0.to_string();
    assert_eq!(house.ask(None, query, json!({"id": floor})).await["data"]["seatMap"], Value::Null);
    assert_eq!(
        house.ask(None, query, json!({"id": house.stage.draft.0.to_string()})).await["data"]["seatMap"],
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_its_buyers_and_its_organisers() {
    let house = House::default().open().await;
    let query = "query($id: ID!, $t: String) { booking(id: $id, accessToken: $t) { status code accessToken holdExpiresAt total { amount } event { title } payments { status redirectUrl } \
                 tickets { code seatId seatLabel ticketType { name available } svg: qr png: qr(format: PNG) } } }";
    let confirmed = house.stage.confirmed.0.to_string();
    let booking = house.ask(None, query, json!({"id": confirmed, "t": ACCESS_TOKEN})).await["data"]["booking"].clone();
    assert_eq!(booking["status"], "CONFIRMED", "{booking}");
    assert_eq!(booking["accessToken"], Value::Null);
    assert_eq!(booking["holdExpiresAt"], Value::Null);
    assert_eq!(booking["total"]["amount"], "900000");
    assert_eq!(booking["event"]["title"], "Đêm nhạc 11");
    assert_eq!(booking["payments"], json!([{"status": "SUCCEEDED", "redirectUrl": null}]));
    let ticket = &booking["tickets"][0];
    assert!(ticket["code"].as_str().unwrap().starts_with("TKZ1:") && ticket["code"].as_str().unwrap().len() == 149);
    assert!(ticket["svg"].as_str().unwrap().contains("<svg") && ticket["png"].as_str().unwrap().starts_with("iVBOR"));
    assert_eq!((&ticket["seatId"], &ticket["ticketType"]["available"]), (&json!("A-1"), &json!(6)));

    let held = house.stage.held.0.to_string();
    let booking = house.ask(Some(ORGANIZER_TOKEN), query, json!({"id": held})).await["data"]["booking"].clone();
    assert_eq!(booking["tickets"][0]["code"], Value::Null);
    assert_eq!(booking["tickets"][0]["svg"], Value::Null);
    assert!(booking["holdExpiresAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(booking["payments"][0]["redirectUrl"], "http://pay.example/1");

    for (bearer, id, token) in [
        (None, &confirmed, json!(null)),
        (None, &confirmed, json!("wrong")),
        (Some(AUDITOR_TOKEN), &confirmed, json!(null)),
        (None, &"nonsense".to_owned(), json!(ACCESS_TOKEN)),
        (None, &uuid::Uuid::nil().to_string(), json!(ACCESS_TOKEN)),
    ] {
        let answer = house.ask(bearer, query, json!({"id": id, "t": token})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer}");
        assert_eq!(answer["data"], json!({"booking": null}));
    }
    let beside = house.ask(None, "{ booking(id: \"x\") { id } events { totalCount } }", json!({})).await;
    assert_eq!(beside["data"], json!({"booking": null, "events": {"totalCount": 2}}), "one field's failure is its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_the_auditors() {
    let house = House::default().open().await;
    let query = "query($after: Position, $type: String, $id: ID, $first: Int) { log(after: $after, streamType: $type, streamId: $id, first: $first) { position streamType streamId sequence type version data actor recordedAt organizerId } }";
    let log = house.ask(Some(AUDITOR_TOKEN), query, json!({"first": 2})).await["data"]["log"].clone();
    assert_eq!(log[0]["position"], "1");
    assert_eq!(
        (&log[1]["type"], &log[1]["sequence"], &log[1]["data"]),
        (&json!("EventPublished"), &json!(2), &json!({}))
    );
    assert_eq!(log.as_array().unwrap().len(), 2);
    let id = house.stage.held.0.to_string();
    let log = house.ask(Some(AUDITOR_TOKEN), query, json!({"type": "Booking", "id": id})).await["data"]["log"].clone();
    assert_eq!(log[0]["type"], "BookingPlaced");
    assert!(log.as_array().unwrap().iter().all(|entry| entry["streamId"] == id));
    assert_eq!(house.ask(Some(AUDITOR_TOKEN), query, json!({"after": "100000"})).await["data"]["log"], json!([]));
    assert_eq!(house.ask(Some(AUDITOR_TOKEN), query, json!({"id": "no id"})).await["data"]["log"], json!([]));
    for (bearer, code) in
        [(None, "UNAUTHENTICATED"), (Some(ORGANIZER_TOKEN), "FORBIDDEN"), (Some("wrong"), "UNAUTHENTICATED")]
    {
        let answer = house.ask(bearer, query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code);
        assert_eq!(answer["data"], Value::Null);
    }
    let open = house.ask(Some("wrong"), "{ events { totalCount } }", json!({})).await;
    assert_eq!(
        open["errors"][0]["extensions"]["code"], "UNAUTHENTICATED",
        "an unknown bearer shows on open fields too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_is_handed_over_as_it_came_and_answered_as_folded() {
    let house = House::default().open().await;
    let create = "mutation($i: CreateEventInput!) { createEvent(input: $i) { id status ticketTypes { available capacity } position } }";
    let input = json!({
        "title": "T", "category": "SPORTS", "startsAt": "2027-05-01T19:30:00", "timeZone": "UTC", "venue": {"name": "V", "city": "C", "country": "VN"},
        "ticketTypes": [{"name": "A", "price": {"amount": "1", "currency": "VND"}}], "seatingPlan": {"zones": [1, {"x": null}]}, "idempotencyKey": 7,
    });
    let answer = house.ask(Some(ORGANIZER_TOKEN), create, json!({"i": input})).await["data"]["createEvent"].clone();
    assert_eq!(answer["ticketTypes"], json!([{"available": 100, "capacity": 100}]), "{answer}");
    assert_eq!(answer["position"], house.stage.head().to_string());
    let (context, request) = house.asked.lock().pop().unwrap();
    assert_eq!(context.caller, Caller::Organizer { organizer_id: house::ORGANIZER });
    let Request::CreateEvent(request) = request else { panic!("{request:?}") };
    assert_eq!(request.seating_plan, Some(json!({"zones": [1, {"x": null}]})));
    assert_eq!((request.hold_seconds, request.release_on_decline, request.description.as_str()), (600, false, ""));
    assert_eq!((request.ticket_types[0].max_per_booking, request.ticket_types[0].seat_categories.len()), (10, 0));
    assert_eq!(request.idempotency_key.as_deref(), Some("7"));

    let place = "mutation { placeBooking(input: {eventId: \"e\", seats: [{seatId: \"A-1\"}], buyer: {name: \"n\", email: \"e\"}, idempotencyKey: \"k\"}) { id accessToken event { title } } }";
    let answer = house.ask(None, place, json!({})).await["data"]["placeBooking"].clone();
    assert_eq!(answer["accessToken"], ACCESS_TOKEN);
    assert_eq!(answer["event"]["title"], "Đêm nhạc 11");
    let pay = "mutation { payBooking(input: {bookingId: \"b\", method: SANDBOX, accessToken: \"t\", idempotencyKey: \"k\"}) { status method } }";
    assert_eq!(
        house.ask(None, pay, json!({})).await["data"]["payBooking"],
        json!({"status": "SUCCEEDED", "method": "SANDBOX"})
    );
    for (bearer, code) in [(None, "UNAUTHENTICATED"), (Some(AUDITOR_TOKEN), "FORBIDDEN")] {
        let answer = house.ask(bearer, "mutation { cancelEvent(id: \"1\", reason: \"r\") { id } }", json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code);
    }
    assert_eq!(house.ask(Some(AUDITOR_TOKEN), place, json!({})).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_of_the_write_side_are_told_and_faults_are_not() {
    let house = House::default().open().await;
    let publish = |id: &'static str| {
        house.ask(Some(ORGANIZER_TOKEN), "mutation($id: ID!) { publishEvent(id: $id) { id } }", json!({"id": id}))
    };
    let two = publish("two").await;
    assert_eq!(two["errors"].as_array().unwrap().len(), 2, "{two}");
    assert_eq!(two["errors"][1]["extensions"], json!({"code": "INVALID_INPUT", "path": ["input", "ticketTypes", 0]}));
    assert_eq!(two["errors"][0]["path"], json!(["publishEvent"]));
    assert_eq!(publish("taken").await["errors"][0]["extensions"]["seatIds"], json!(["A-1"]));
    assert_eq!(
        publish("overloaded").await["errors"][0]["extensions"],
        json!({"code": "OVERLOADED", "retryAfterMs": 250})
    );
    for id in ["internal", "unfit", "panic"] {
        let answer = publish(id).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "INTERNAL", "{answer}");
        assert!(error["extensions"]["traceId"].is_string());
        assert!(!answer.to_string().contains("asked to") && !answer.to_string().contains("does not fit"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn min_position_waits_within_its_bound() {
    let house = House::default().open().await;
    let query = "query($p: Position) { events(minPosition: $p) { totalCount } }";
    assert_eq!(
        house.ask(None, query, json!({"p": house.stage.head().to_string()})).await["data"]["events"]["totalCount"],
        2
    );
    let far = house.ask(None, query, json!({"p": "1000000"})).await;
    assert_eq!(far["errors"][0]["extensions"]["code"], "OVERLOADED", "{far}");
    assert!(far["errors"][0]["extensions"]["retryAfterMs"].is_u64());
    for wrong in ["", "-1", "1.5", "abc", "99999999999999999999", " 1"] {
        let answer = house.ask(None, query, json!({"p": wrong})).await;
        assert_eq!(
            answer["errors"][0]["extensions"],
            json!({"code": "INVALID_INPUT", "path": ["minPosition"]}),
            "{wrong}"
        );
    }
}

/// The read models may stand still for long, with their stream or their store; that is no reason to tell somebody that what he just
/// made is not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_made_is_never_denied() {
    let house = House::default().open().await;
    let place = "mutation { placeBooking(input: {eventId: \"unread\", seats: [{seatId: \"A-1\"}], buyer: {name: \"n\", email: \"e\"}, idempotencyKey: \"k\"}) { id } }";
    let booking = "query($id: ID!) { booking(id: $id, accessToken: \"buyer-token\") { status } }";
    let event = "query($id: ID!) { event(id: $id) { status } }";
    let (unread, unseen) = (json!({"id": house::UNREAD.to_string()}), json!({"id": house.stage.unseen.0.to_string()}));
    let code = |answer: Value| answer["errors"][0]["extensions"]["code"].clone();
    assert_eq!(code(house.ask(None, booking, unread.clone()).await), "NOT_FOUND", "nobody made it yet");
    assert_eq!(house.ask(None, event, unseen.clone()).await, json!({"data": {"event": null}}));

    let placed = house.ask(None, place, json!({})).await;
    assert_eq!(placed["data"]["placeBooking"]["id"], unread["id"], "{placed}");
    let late = house.ask(None, booking, unread.clone()).await;
    assert_eq!(late["errors"][0]["extensions"]["code"], "OVERLOADED", "{late}");
    assert!(late["errors"][0]["extensions"]["retryAfterMs"].is_u64());
    let page = house.get(&format!("/tickets/{}?token={ACCESS_TOKEN}", house::UNREAD)).await;
    assert_eq!(page.status, 503, "the page says to come again");

    let publish = "mutation { publishEvent(id: \"unread\") { id } }";
    assert_eq!(house.ask(Some(ORGANIZER_TOKEN), publish, json!({})).await["data"]["publishEvent"]["id"], unseen["id"]);
    assert_eq!(code(house.ask(None, event, unseen).await), "OVERLOADED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_cannot_mean_is_told_by_path() {
    let house = House::default().open().await;
    let query = "query($f: EventFilter, $o: EventOrder, $n: Int, $a: String) { events(filter: $f, orderBy: $o, first: $n, after: $a) { totalCount } }";
    for (variables, paths) in [
        (json!({"n": 0}), json!([["first"]])),
        (json!({"n": 101}), json!([["first"]])),
        (json!({"n": -1, "o": "RELEVANCE"}), json!([["first"], ["orderBy"]])),
        (json!({"a": "nonsense"}), json!([["after"]])),
        (
            json!({"f": {"near": {"latitude": 91, "longitude": -181, "radiusKm": -1}}}),
            json!([["filter", "near", "latitude"], ["filter", "near", "longitude"], ["filter", "near", "radiusKm"]]),
        ),
        (json!({"f": {"priceMax": {"amount": "10", "currency": "USD"}}}), json!([["filter", "priceMax", "amount"]])),
        (json!({"f": {"priceMax": {"amount": "10", "currency": "usd"}}}), json!([["filter", "priceMax", "currency"]])),
        (
            json!({"f": {"startsAfter": "yesterday", "startsBefore": "2027-01-01"}}),
            json!([["filter", "startsAfter"], ["filter", "startsBefore"]]),
        ),
        (json!({"f": {"text": "x".repeat(201)}}), json!([["filter", "text"]])),
        (json!({"f": {"text": "\u{0}"}}), json!([["filter", "text"]])),
        (json!({"f": {"city": "\u{1}"}}), json!([["filter", "city"]])),
    ] {
        let answer = house.ask(None, query, variables.clone()).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{variables}: {answer}"));
        let found: Value = errors.iter().map(|error| error["extensions"]["path"].clone()).collect();
        assert_eq!(found, paths, "{variables}");
        assert!(errors.iter().all(|error| error["extensions"]["code"] == "INVALID_INPUT"));
    }
    assert!(
        house.ask(None, query, json!({"f": {"text": "  ", "city": "hà nội"}})).await["data"]["events"]["totalCount"]
            == 2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_keys_metrics_and_the_landing_page_are_there() {
    let house = House::default().open().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(house.get(path).await.status, 200, "{path}");
    }
    let keys = house.get("/.well-known/jwks.json").await.json();
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["use"]), (&json!("tkz1-1"), &json!("sig")));
    assert_eq!((&keys["keys"][1]["kid"], &keys["keys"][1]["use"]), (&json!("bundle"), &json!("sig")));
    house.ask(None, "{ events { totalCount } }", json!({})).await;
    let metrics = String::from_utf8(house.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("tickiz_graphql_operations_total{operation=\"events\",code=\"OK\"} 1"), "{metrics}");
    assert!(metrics.contains(&format!("tickiz_log_head_position {}", house.stage.head())));
    let landing = house.get("/").await;
    assert!(landing.status == 200 && landing.header("x-content-type-options") == Some("nosniff"));
    let evil = house::http::raw(house.addr, b"GET / HTTP/1.1\r\nconnection: close\r\nhost: <script>\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&evil.body).contains("<script>"));
    assert_eq!(house.get("/nowhere").await.status, 404);
    let preflight = send(
        house.addr,
        "OPTIONS",
        "/graphql",
        &[
            ("origin", "https://shop.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,authorization"),
        ],
        b"",
    )
    .await;
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert!(preflight.header("access-control-allow-credentials").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn production_says_nothing_of_its_schema() {
    let house = House { production: true, ..House::default() }.open().await;
    for query in ["{ __schema { types { name } } }", "{ __type(name: \"Event\") { name } }", "{ evnt { id } }"] {
        let answer = house.ask(None, query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_INPUT");
        assert!(answer.get("data").is_none() && !answer.to_string().contains("Did you mean"));
    }
    assert_eq!(house.ask(None, "{ __typename }", json!({})).await["data"]["__typename"], "Query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_goes_on_when_its_client_has_left_and_is_waited_for() {
    let house = House::default().open().await;
    let body = json!({"query": "mutation { publishEvent(id: \"slow\") { id } }"}).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nauthorization: Bearer {ORGANIZER_TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(house.addr).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    while house.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    house.shutdown.cancel();
    assert!(house.api.drain(house::PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_everybody_opens_is_answered_from_memory_until_somebody_changes_a_show_here() {
    let house = House::default().open().await;
    let list = async || house.ask(None, "{ events { totalCount edges { node { title } } } }", json!({})).await;
    let before = list().await;
    assert_eq!(list().await, before);
    let metrics = String::from_utf8(house.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("{operation=\"events\",code=\"OK\"} 2"), "answered from memory it counts too: {metrics}");

    let id = uuid::Uuid::from_u128(60);
    let show = [EventDomainEvent::from(house::shows::created(60, None)), EventPublished {}.into()];
    list().await;
    house.stage.append(id, 0, &show).await;
    house.ask(Some(ORGANIZER_TOKEN), "mutation { publishEvent(id: \"60\") { id } }", json!({})).await;
    let after = list().await;
    let count = |list: &Value| list["data"]["events"]["totalCount"].as_i64().unwrap();
    assert_eq!(count(&after), count(&before) + 1, "{after}");
    assert!(after.to_string().contains("Đêm nhạc 60"), "{after}");
}

/// A report of these groups, as `who`.
async fn sales(house: &house::Open, who: Option<&str>, arguments: &str) -> Value {
    let fields = "event { title } ticketType { name } day city tickets { placed held expired abandoned sold valid returned } conversion \
                  received { amount currency } refunded { amount } net { amount } capacity fillRate";
    let reached = house.log.head().await.unwrap();
    let query =
        format!("{{ salesReport({arguments}, minPosition: \"{reached}\") {{ rows {{ {fields} }} position }} }}");
    house.ask(who, &query, json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sales_report_is_of_an_organisers_own_shows() {
    let house = House::default().open().await;
    let by_show = sales(&house, Some(ORGANIZER_TOKEN), "groupBy: [SHOW]").await;
    let rows = by_show["data"]["salesReport"]["rows"].as_array().unwrap_or_else(|| panic!("{by_show}"));
    let seated = rows.iter().find(|row| row["event"]["title"] == "Đêm nhạc 11").unwrap_or_else(|| panic!("{by_show}"));
    // One booking of two seats is confirmed, one of one seat is held.
    assert_eq!(
        seated["tickets"],
        json!({"placed": 3, "held": 1, "expired": 0, "abandoned": 0, "sold": 2, "valid": 2, "returned": 0})
    );
    assert_eq!(seated["received"], json!({"amount": "900000", "currency": "VND"}));
    assert_eq!((&seated["refunded"]["amount"], &seated["net"]["amount"]), (&json!("0"), &json!("900000")));
    assert_eq!((&seated["capacity"], &seated["fillRate"]), (&json!(10), &json!(0.2)));
    assert_eq!(seated["conversion"], json!(2.0 / 3.0));
    assert_eq!((&seated["day"], &seated["city"], &seated["ticketType"]), (&Value::Null, &Value::Null, &Value::Null));

    let other = sales(&house, Some(OTHER_ORGANIZER_TOKEN), "groupBy: [SHOW]").await;
    assert_eq!(other["data"]["salesReport"]["rows"], json!([]), "what others sold is none of his business: {other}");

    // Everything together is the sum of its parts, whatever these are.
    let auditor = async |arguments: &str| {
        let report = sales(&house, Some(AUDITOR_TOKEN), arguments).await;
        report["data"]["salesReport"]["rows"].as_array().unwrap_or_else(|| panic!("{report}")).clone()
    };
    let whole = auditor("groupBy: []").await;
    assert_eq!(whole.len(), 1, "one currency: {whole:?}");
    for groups in ["[SHOW]", "[TICKET_TYPE]", "[DAY]", "[CITY]", "[CITY, DAY, TICKET_TYPE]"] {
        let rows = auditor(&format!("groupBy: {groups}")).await;
        for count in ["placed", "held", "sold", "valid"] {
            let sum: i64 = rows.iter().map(|row| row["tickets"][count].as_i64().unwrap()).sum();
            assert_eq!(whole[0]["tickets"][count], sum, "{groups} {count}");
        }
        let money = |row: &Value| row["received"]["amount"].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(money(&whole[0]), rows.iter().map(money).sum::<i64>(), "{groups}");
    }
    let days = auditor("groupBy: [DAY]").await;
    let log = house.log.read(0, 100).await.unwrap();
    let placed = log.iter().find(|recorded| recorded.event_type == "BookingPlaced").unwrap();
    let local = (placed.recorded_at + chrono::TimeDelta::hours(7)).date_naive();
    assert_eq!(days[0]["day"], local.to_string(), "a day is that of the show's zone");
    assert_eq!(days[0]["capacity"], Value::Null);
    assert!(auditor("filter: {city: \"Nowhere\"}").await.is_empty());
    assert!(auditor("filter: {eventId: \"no id\"}").await.is_empty());
    assert!(auditor("filter: {to: \"2020-01-01T00:00:00Z\"}").await.is_empty());
    let seated = house.stage.seated.0;
    assert_eq!(auditor(&format!("filter: {{eventId: \"{seated}\"}}")).await[0]["tickets"]["placed"], 3);

    for (who, arguments, code, path) in [
        (None, "groupBy: [SHOW]", "UNAUTHENTICATED", Value::Null),
        (Some(AUDITOR_TOKEN), "filter: {from: \"soon\"}", "INVALID_INPUT", json!(["filter", "from"])),
        (
            Some(AUDITOR_TOKEN),
            "filter: {from: \"2027-01-02T00:00:00Z\", to: \"2027-01-01T00:00:00Z\"}",
            "INVALID_INPUT",
            json!(["filter", "to"]),
        ),
    ] {
        let answer = sales(&house, who, arguments).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["path"], path, "{answer}");
    }
    let other = house.ask(Some(AUDITOR_TOKEN), "{ salesReport(minPosition: \"x\") { position } }", json!({})).await;
    assert_eq!(other["errors"][0]["extensions"]["path"], json!(["minPosition"]), "{other}");
}
