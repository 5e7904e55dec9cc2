//! Malformed and hostile requests. Each gets its status, its code, the path where a value is at fault; none gets a 5xx, `INTERNAL`,
//! or as far as a resolver.

mod house;

use house::{House, ORGANIZER_TOKEN, http::send};
use serde_json::{Value, json};

/// A request, and what it gets.
struct Case {
    name: String,
    method: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    /// `None` where the answer needs no GraphQL body.
    code: Option<&'static str>,
    path: Value,
}

const GRAPHQL: &str = "application/graphql-response+json";
const INVALID: Option<&str> = Some("INVALID_INPUT");
const LIMIT: Option<&str> = Some("LIMIT_EXCEEDED");

fn case(
    name: impl Into<String>,
    body: impl Into<Vec<u8>>,
    status: u16,
    code: Option<&'static str>,
    path: Value,
) -> Case {
    let headers = vec![("content-type", "application/json".to_owned())];
    Case { name: name.into(), method: "POST", headers, body: body.into(), status, code, path }
}

/// A document, sent twice: to a client of old it is 200 with errors, to one of today 400.
fn document(
    cases: &mut Vec<Case>,
    query: impl Into<String>,
    variables: Value,
    code: Option<&'static str>,
    path: Value,
) {
    let query = query.into();
    let name: String = query.chars().take(100).collect();
    let body = json!({"query": query, "variables": variables}).to_string();
    cases.push(case(format!("{name} (json)"), body.clone(), 200, code, path.clone()));
    let mut modern = case(format!("{name} (graphql)"), body, 400, code, path);
    modern.headers.push(("accept", GRAPHQL.to_owned()));
    cases.push(modern);
}

/// Bodies that are no GraphQL request.
fn bodies() -> Vec<Case> {
    let none = Value::Null;
    let mut cases = vec![
        case("no body", "", 400, INVALID, none.clone()),
        case("no JSON", "NONSENSE", 400, INVALID, none.clone()),
        case("half a JSON", r#"{"query":"#, 400, INVALID, none.clone()),
        case("JSON and more", r#"{"query":"{__typename}"} x"#, 400, INVALID, none.clone()),
        case("a string", r#""{__typename}""#, 400, INVALID, none.clone()),
        case("a number", "1", 400, INVALID, none.clone()),
        case("null", "null", 400, INVALID, none.clone()),
        case("a batch", r#"[{"query":"{__typename}"},{"query":"{__typename}"}]"#, 400, INVALID, none.clone()),
        case("an empty batch", "[]", 400, INVALID, none.clone()),
        case("an empty object", "{}", 400, INVALID, json!(["query"])),
        case("a typing error", r#"{"qeury":"{__typename}"}"#, 400, INVALID, json!(["query"])),
        case("query null", r#"{"query":null}"#, 400, INVALID, json!(["query"])),
        case("query a number", r#"{"query":5}"#, 400, INVALID, json!(["query"])),
        case("query an object", r#"{"query":{"a":1}}"#, 400, INVALID, json!(["query"])),
        case(
            "query twice",
            r#"{"query":"{__typename}","query":"mutation{publishEvent(id:\"1\"){id}}"}"#,
            400,
            INVALID,
            json!(["query"]),
        ),
        case("variables a list", r#"{"query":"{__typename}","variables":[7]}"#, 400, INVALID, json!(["variables"])),
        case("variables a string", r#"{"query":"{__typename}","variables":"{}"}"#, 400, INVALID, json!(["variables"])),
        case(
            "a variable twice",
            r#"{"query":"query($a:ID!){event(id:$a){id}}","variables":{"a":"1","a":"2"}}"#,
            400,
            INVALID,
            json!(["a"]),
        ),
        case(
            "operationName a number",
            r#"{"query":"{__typename}","operationName":1}"#,
            400,
            INVALID,
            json!(["operationName"]),
        ),
        case("extensions a list", r#"{"query":"{__typename}","extensions":[]}"#, 400, INVALID, json!(["extensions"])),
        case("invalid UTF-8", b"{\"query\":\"{__typename \xff\xfe}\"}".to_vec(), 400, INVALID, none.clone()),
        case("overlong UTF-8", b"{\"query\":\"\xc0\x80\"}".to_vec(), 400, INVALID, none.clone()),
        case("a lone surrogate", r#"{"query":"\ud800"}"#, 400, INVALID, none.clone()),
        case(
            "UTF-16",
            "{\"query\":\"{__typename}\"}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
            400,
            INVALID,
            none.clone(),
        ),
        case("a byte order mark", b"\xef\xbb\xbf{\"query\":\"{__typename}\"}".to_vec(), 400, INVALID, none.clone()),
        case("a NUL byte", b"{\"query\":\"{__typename}\0\"}".to_vec(), 400, INVALID, none.clone()),
        case("NUL bytes only", vec![0; 100], 400, INVALID, none.clone()),
        case("deep JSON", format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)), 400, LIMIT, Value::Null),
        case(
            "deep JSON in variables",
            format!(r#"{{"query":"{{__typename}}","variables":{{"a":{}1{}}}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
            400,
            LIMIT,
            Value::Null,
        ),
        case(
            "a number beyond all numbers",
            r#"{"query":"{__typename}","variables":{"a":1e999999}}"#,
            400,
            INVALID,
            none,
        ),
    ];
    // Where it lies in such a heap of lists says nothing; only that it has a path is sure.
    for case in cases.iter_mut().filter(|case| case.name.starts_with("deep")) {
        case.path = json!("any");
    }
    cases
}

/// Requests that HTTP itself refuses.
fn protocol() -> Vec<Case> {
    let good = r#"{"query":"{__typename}"}"#;
    let with = |name: &str, method, header: Option<(&'static str, &str)>, status, code| Case {
        method,
        headers: header.map(|(name, value)| (name, value.to_owned())).into_iter().collect(),
        ..case(name, good, status, code, Value::Null)
    };
    vec![
        with("no content type", "POST", None, 415, None),
        with("text", "POST", Some(("content-type", "text/plain")), 415, None),
        with("a form", "POST", Some(("content-type", "application/x-www-form-urlencoded")), 415, None),
        with("an upload", "POST", Some(("content-type", "multipart/form-data; boundary=x")), 415, None),
        with("another charset", "POST", Some(("content-type", "application/json; charset=utf-16")), 415, None),
        with("application/graphql", "POST", Some(("content-type", "application/graphql")), 415, None),
        with("GET", "GET", None, 405, None),
        with("PUT", "PUT", Some(("content-type", "application/json")), 405, None),
        with("DELETE", "DELETE", None, 405, None),
        with("PATCH", "PATCH", None, 405, None),
        with("TRACE", "TRACE", None, 405, None),
        with("an invented method", "FETCH", None, 405, None),
    ]
}

fn documents() -> Vec<Case> {
    let mut cases = Vec::new();
    let none = || json!({});
    for query in [
        "",
        "{",
        "}",
        "{}",
        "query",
        "{ nope }",
        "{ event(id: \"1\") }",
        "{ events { totalCount { x } } }",
        "mutation { nope }",
        "subscription { nope }",
        "{ __typename } { __typename }",
        "query A { __typename } query A { __typename }",
        "{ ...F }",
        "{ ...F } fragment F on Query { ...F }",
        "{ __typename } fragment F on Query { __typename }",
        "{ __typename @nope }",
        "type X { a: Int }",
        "{ \u{0} }",
        "{ __typename } \u{1f600}",
        "subscription { seatAvailability(eventId: \"1\") { version } }",
    ] {
        document(&mut cases, query, none(), INVALID, Value::Null);
    }
    for (query, variables, path) in [
        ("{ event { id } }", none(), json!(["id"])),
        ("{ event(id: \"1\", x: 1) { id } }", none(), json!(["x"])),
        ("{ event(id: {a: 1}) { id } }", none(), json!(["id"])),
        ("{ event(id: \"\\ud800\") { id } }", none(), json!(["id"])),
        ("{ event(id: \"unclosed) { id } }", none(), json!(["id"])),
        ("{ events(first: \"5\") { totalCount } }", none(), json!(["first"])),
        ("{ events(first: 2147483648) { totalCount } }", none(), json!(["first"])),
        ("{ events(orderBy: BY_MAGIC) { totalCount } }", none(), json!(["orderBy"])),
        (
            "{ events(filter: {near: {latitude: 1, longitude: 1}}) { totalCount } }",
            none(),
            json!(["filter", "near", "radiusKm"]),
        ),
        ("{ events(filter: {category: \"CONCERT\"}) { totalCount } }", none(), json!(["filter", "category"])),
        (
            "query($f: EventFilter) { events(filter: $f) { totalCount } }",
            json!({"f": {"near": {"latitude": "x", "longitude": 1, "radiusKm": 1}}}),
            json!(["filter", "near", "latitude"]),
        ),
        (
            "query($f: EventFilter) { events(filter: $f) { totalCount } }",
            json!({"f": {"price": 1}}),
            json!(["filter", "price"]),
        ),
        ("query($id: ID!) { event(id: $id) { id } }", none(), json!(["id"])),
        ("query($id: ID!) { event(id: $id) { id } }", json!({"id": null}), json!(["id"])),
        ("query($id: ID!) { event(id: $id) { id } }", json!({"id": {"$ne": ""}}), json!(["id"])),
        ("query($id: ID!) { event(id: $id) { id } }", json!({"id": ["1"]}), json!(["id"])),
        ("query($id: Int!) { event(id: $id) { id } }", json!({"id": 1}), json!(["id"])),
        ("query($p: Position) { events(minPosition: $p) { totalCount } }", json!({"p": 5}), json!(["minPosition"])),
        (
            "mutation($i: PlaceBookingInput!) { placeBooking(input: $i) { id } }",
            json!({"i": {"eventId": "e", "tickets": [{"ticketTypeId": "t", "quantity": 1e10}], "buyer": {"name": "n", "email": "e"}, "idempotencyKey": "k"}}),
            json!(["input", "tickets", 0, "quantity"]),
        ),
        (
            "mutation($i: PlaceBookingInput!) { placeBooking(input: $i) { id } }",
            json!({"i": {"eventId": "e", "buyer": {"name": ["n"], "email": "e"}, "idempotencyKey": "k"}}),
            json!(["input", "buyer", "name"]),
        ),
        (
            "mutation($i: PlaceBookingInput!) { placeBooking(input: $i) { id } }",
            json!({"i": {"eventId": "e", "buyer": {"name": "n", "email": "e", "admin": true}, "idempotencyKey": "k"}}),
            json!(["input", "buyer", "admin"]),
        ),
        (
            "mutation($i: PlaceBookingInput!) { placeBooking(input: $i) { id } }",
            json!({"i": {"eventId": "e", "buyer": {"name": "n", "email": "e"}}}),
            json!(["input", "idempotencyKey"]),
        ),
        (
            "mutation { payBooking(input: {bookingId: \"b\", method: CASH, idempotencyKey: \"k\"}) { id } }",
            none(),
            json!(["input", "method"]),
        ),
        (
            "mutation { blockSeats(eventId: \"e\", seatIds: [null], blocked: true) { id } }",
            none(),
            json!(["seatIds", 0]),
        ),
        ("mutation { blockSeats(eventId: \"e\", seatIds: [], blocked: \"yes\") { id } }", none(), json!(["blocked"])),
        ("mutation { cancelEvent(id: \"e\") { id } }", none(), json!(["reason"])),
        ("mutation { cancelEvent(id: \"e\", reason: \"a\", reason: \"b\") { id } }", none(), json!(["reason"])),
        ("{ event(id: \"1\") { id @include(if: \"true\") } }", none(), json!(["if"])),
    ] {
        document(&mut cases, query, variables, INVALID, path);
    }
    let doubling: String =
        (0..90).map(|i| format!("fragment F{i} on Query {{ ...F{n} ...F{n} }} ", n = i + 1)).collect();
    for query in [
        format!("{{ {} }}", (0..1_000).map(|i| format!("a{i}: __typename ")).collect::<String>()),
        format!("{}{}", "{ a ".repeat(40), "}".repeat(40)),
        format!("{}{}", "{a".repeat(50_000), "}".repeat(50_000)),
        format!("{{ event(id: {}) {{ id }} }}", "[".repeat(50_000)),
        format!("{{ ...F0 }} {doubling} fragment F90 on Query {{ __typename }}"),
        format!("{{ event(id: \"1\") {{ {} }} }}", "id ".repeat(5_000)),
        format!("{{ __typename {} }}", "@skip(if: false) ".repeat(1_000)),
        format!("{{ {} }}", "__typename ".repeat(20_000)),
        format!("{{ __typename }} # {}", "x".repeat(300_000)),
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }".to_owned(),
        "{ a: log(first: 1000) { position data } b: log(first: 1000) { position data type } c: log(first: 1000) { position recordedAt organizerId streamType streamId sequence type version data actor position recordedAt organizerId streamType streamId sequence type version data actor } }".to_owned(),
    ] {
        document(&mut cases, query, none(), LIMIT, Value::Null);
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_gets_its_code_and_path_and_no_resolver_runs() {
    let house = House::default().open().await;
    let cases: Vec<Case> = [bodies(), protocol(), documents()].into_iter().flatten().collect();
    assert!(cases.len() >= 80);
    for case in &cases {
        let mut headers: Vec<(&str, &str)> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let bearer = format!("Bearer {ORGANIZER_TOKEN}");
        headers.push(("authorization", &bearer));
        let answer = send(house.addr, case.method, "/graphql", &headers, &case.body).await;
        assert_eq!(answer.status, case.status, "{}: {answer:?}", case.name);
        let Some(code) = case.code else { continue };
        assert!(
            answer.codes().iter().all(|found| found == code) && !answer.codes().is_empty(),
            "{}: {}",
            case.name,
            answer.json()
        );
        assert!(answer.json().get("data").is_none(), "{}: nothing was executed", case.name);
        let paths: Vec<Value> =
            answer.json()["errors"].as_array().unwrap().iter().map(|e| e["extensions"]["path"].clone()).collect();
        if case.path == "any" {
            assert!(!paths[0].is_null(), "{}", case.name);
        } else if !case.path.is_null() {
            assert!(paths.contains(&case.path), "{}: {paths:?}", case.name);
        }
        let content_type = answer.header("content-type").unwrap();
        let modern = case.headers.iter().any(|(name, _)| *name == "accept");
        assert!(
            content_type.starts_with(if modern { GRAPHQL } else { "application/json" }),
            "{}: {content_type}",
            case.name
        );
    }
    assert!(house.asked.lock().is_empty(), "no command was asked for");
    assert_eq!(
        house.ask(None, "{ events { totalCount } }", json!({})).await["data"]["events"]["totalCount"],
        2,
        "and all is well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_himself_something_unknown_is_unauthenticated() {
    let house = House::default().open().await;
    let body = json!({"query": "{ events { totalCount } }"}).to_string();
    let long = format!("Bearer {}", "x".repeat(20_000));
    for authorization in [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic b3JnOnRva2Vu",
        "organizer-token",
        "Bearer organizer-token,auditor-token",
        "Bearer \u{e9}",
        &long,
    ] {
        let headers = [("content-type", "application/json"), ("authorization", authorization)];
        let answer = send(house.addr, "POST", "/graphql", &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.codes()), (200, vec!["UNAUTHENTICATED".to_owned()]), "{authorization}");
    }
    let twice = [
        ("content-type", "application/json"),
        ("authorization", "Bearer organizer-token"),
        ("authorization", "Bearer auditor-token"),
    ];
    assert_eq!(send(house.addr, "POST", "/graphql", &twice, body.as_bytes()).await.codes(), ["UNAUTHENTICATED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_413_whether_announced_or_not() {
    use tickiz_query_api::limits::{MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES};
    let house = House::default().open().await;
    let bearer = format!("Bearer {ORGANIZER_TOKEN}");
    let organizer = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let padded = |bytes: usize| {
        let mut body = br#"{"query":"{__typename}"}"#.to_vec();
        body.resize(bytes, b' ');
        body
    };
    assert_eq!(send(house.addr, "POST", "/graphql", &organizer, &padded(MAX_BODY_BYTES)).await.status, 200);
    assert_eq!(send(house.addr, "POST", "/graphql", &organizer, &padded(MAX_BODY_BYTES + 1)).await.status, 413);
    assert_eq!(send(house.addr, "POST", "/graphql", &organizer[..1], &padded(MAX_SMALL_BODY_BYTES)).await.status, 200);
    let big = padded(MAX_SMALL_BODY_BYTES + 1);
    let announced = send(house.addr, "POST", "/graphql", &organizer[..1], &big).await;
    assert_eq!((announced.status, announced.codes()), (413, vec!["LIMIT_EXCEEDED".to_owned()]));
    let mut chunked = b"POST /graphql HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in big.chunks(1 << 20) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(house::http::raw(house.addr, &chunked).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_by_its_status_or_cut() {
    let house = House::default().open().await;
    const CUT: u16 = 0;
    let many: String = (0..100).map(|i| format!("x-{i}: y\r\n")).collect();
    for (bytes, status) in [
        (format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "y".repeat(100_000)), 431),
        (format!("GET / HTTP/1.1\r\nhost: t\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "y".repeat(100_000)), 414),
        ("NONSENSE\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), CUT),
        ("POST /graphql HTTP/1.1\r\nhost: t\r\ncontent-length: -1\r\n\r\n".to_owned(), 400),
        ("POST /graphql HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n".to_owned(), 400),
        ("POST /graphql HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked, x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: t\r\nx : y\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: t\r\nx: a\u{0}b\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned() + &"\u{0}".repeat(200), 400),
    ] {
        let answer = house::http::raw(house.addr, bytes.as_bytes()).await;
        let name: String = bytes.chars().take(80).collect();
        // 431 and 414 are one matter to some parsers: the head is too large.
        let fits = answer.status == status || (status == 414 && answer.status == 431);
        assert!(fits, "{name:?}: {}", answer.status);
    }
    assert_eq!(house.get("/healthz").await.status, 200);
}
