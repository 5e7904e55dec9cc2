//! One trace from the request's headers to the subscription's frame, through every process; and nothing in traces, logs and
//! metrics that identifies a person or opens a door.

#![cfg(feature = "distributed")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::{SinkExt, StreamExt};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message;
use serde_json::{Value, json};
use support::{
    AUDITOR_TOKEN, ORGANIZER_TOKEN, PATIENCE, Tickiz,
    house::{House, PROCESSES},
    seated,
};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

/// What came to the collector, as it came.
type Received = Arc<Mutex<Vec<Vec<u8>>>>;

/// A collector of traces that keeps them.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let keep = received.clone();
    let routes = axum::Router::new().route(
        "/v1/traces",
        axum::routing::post(move |body: axum::body::Bytes| {
            keep.lock().expect("no panic while it is held").push(body.to_vec());
            async { "" }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

/// All spans by trace, with the service of each.
fn spans(received: &Received) -> BTreeMap<Vec<u8>, Vec<(String, Span)>> {
    let mut traces: BTreeMap<Vec<u8>, Vec<(String, Span)>> = BTreeMap::new();
    for body in received.lock().expect("no panic while it is held").iter() {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("it is OTLP");
        for resource in request.resource_spans {
            let attributes =
                resource.resource.as_ref().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
            let service = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = service.map(|attribute| format!("{:?}", attribute.value)).unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                traces.entry(span.trace_id.clone()).or_default().push((service.clone(), span));
            }
        }
    }
    traces
}

/// Follows the seats of a show over a WebSocket until the first frame after the snapshot.
async fn first_change(front: &Tickiz, show: &Value) -> tokio::task::JoinHandle<Value> {
    let url = format!("{}/graphql", front.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a URL");
    let protocol = tungstenite::http::HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("it upgrades");
    let query =
        "subscription($id: ID!) { seatAvailability(eventId: $id) { version snapshot changes { seatId status } } }";
    for message in [
        json!({"type": "connection_init"}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": {"id": show["id"]}}}),
    ] {
        socket.send(tungstenite::Message::text(message.to_string())).await.expect("it reads");
    }
    let (snapshot_seen, seen) = tokio::sync::oneshot::channel();
    let follows = tokio::spawn(async move {
        let mut snapshot_seen = Some(snapshot_seen);
        loop {
            let message = socket.next().await.expect("it stays open").expect("it is a frame");
            let Ok(text) = message.into_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
            let frame = &message["payload"]["data"]["seatAvailability"];
            if frame["snapshot"] == true {
                snapshot_seen.take().map(|seen| seen.send(()));
            } else if frame["snapshot"] == false {
                return frame.clone();
            }
        }
    });
    seen.await.expect("a snapshot comes first");
    follows
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_through_every_process_and_nobody_is_named_in_it() {
    let (collector, received) = collector().await;
    let environment =
        [("TICKIZ_OTLP_URL", collector.as_str()), ("TICKIZ_LOG_FORMAT", "json"), ("TICKIZ_LOG", "debug,rdkafka=info")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Some(house) = House::open(environment.to_vec()).await else { return };
    let front = house.front(0);
    let show = front.publish(seated("Traced", 2, 10)).await;
    let change = first_change(front, &show).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let email = "quynh.anh.secret@example.com";
    let input = json!({
        "eventId": show["id"], "seats": [{"seatId": "1-1"}], "idempotencyKey": "key-that-nobody-guesses",
        "buyer": {"name": "Nguyễn Quỳnh Anh", "email": email},
    });
    let answer: Value = front
        .http
        .post(format!("{}/graphql", front.url))
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .json(&json!({"query": support::PLACE, "variables": {"input": input}}))
        .send()
        .await
        .expect("it answers")
        .json()
        .await
        .expect("JSON");
    let booking = support::data(answer)["placeBooking"].clone();
    let frame = tokio::time::timeout(PATIENCE, change).await.expect("a frame comes").expect("no panic");
    assert_eq!(frame["changes"], json!([{"seatId": "1-1", "status": "HELD"}]));
    front.pay(&booking, "another-key-of-his", "pay").await;
    let paid = front.wait_for_status(&booking, "CONFIRMED").await;

    // What is not to be found anywhere.
    let code = paid["tickets"][0]["code"].as_str().expect("a code").to_owned();
    let access = booking["accessToken"].as_str().expect("an access token").to_owned();
    let secrets = [
        email,
        "quynh.anh",
        "Quỳnh",
        "key-that-nobody-guesses",
        "another-key-of-his",
        &code,
        &access,
        ORGANIZER_TOKEN,
        AUDITOR_TOKEN,
    ];
    let mut written = Vec::new();
    for (role, number) in PROCESSES {
        let url = format!("{}/metrics", house.url_of(role, number));
        let metrics = front.http.get(url).send().await.expect("it answers").text().await.expect("text");
        assert!(
            metrics.contains("tickiz_append_queue") && metrics.contains("tickiz_pool_connections"),
            "{role}: {metrics}"
        );
        written.push((format!("metrics of {role}"), metrics.into_bytes()));
    }
    let logs = house.logs();
    let _folder = house.close().await;
    for (process, path) in logs {
        let log = std::fs::read(path).expect("it has a log");
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line)
                .unwrap_or_else(|_| panic!("{process}: a line is no JSON: {}", String::from_utf8_lossy(line)));
            for field in ["@timestamp", "log.level", "message", "ecs.version", "service.name"] {
                assert!(line[field].is_string(), "{process}: {field} is missing: {line}");
            }
        }
        written.push((format!("the log of {process}"), log));
    }
    for body in received.lock().expect("no panic while it is held").iter() {
        written.push(("a trace".to_owned(), body.clone()));
    }
    for (what, bytes) in &written {
        let text = String::from_utf8_lossy(bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret:?} is in {what}");
        }
    }

    let traces = spans(&received);
    let id: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&trace[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let ours = traces.get(&id).expect("the caller's trace goes on");
    let names: BTreeSet<&str> = ours.iter().map(|(_, span)| span.name.as_str()).collect();
    for name in ["graphql", "command", "append", "publish", "project", "frame"] {
        assert!(names.contains(name), "{name} is missing: {names:?}");
    }
    for (name, service) in [
        ("graphql", "query-api"),
        ("command", "command-api"),
        ("publish", "relay"),
        ("project", "projector"),
        ("frame", "query-api"),
    ] {
        let of = ours.iter().find(|(_, span)| span.name == name).map(|(service, _)| service.as_str());
        assert!(of.is_some_and(|of| of.contains(&format!("tickiz-{service}"))), "{name} is of {of:?}");
    }
    // One tree, whose root is the caller's span.
    let known: BTreeSet<&[u8]> = ours.iter().map(|(_, span)| span.span_id.as_slice()).collect();
    for (_, span) in ours {
        let root = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
        assert!(
            known.contains(span.parent_span_id.as_slice()) || span.parent_span_id == root,
            "{} has no parent",
            span.name
        );
    }
}
