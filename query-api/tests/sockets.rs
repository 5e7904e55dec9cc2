//! `graphql-transport-ws`, as a client of it sees it.

mod house;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use house::{ACCESS_TOKEN, AUDITOR_TOKEN, House, ORGANIZER_TOKEN, Open, PATIENCE, http::send};
use serde_json::{Value, json};
use tickiz_query_api::SocketLimits;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn connect(house: &Open) -> Self {
        Self::connect_over(house, TcpSocket::new_v4().unwrap()).await
    }

    async fn connect_over(house: &Open, tcp: TcpSocket) -> Self {
        let mut request = format!("ws://{}/graphql", house.addr).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let stream = tcp.connect(house.addr).await.unwrap();
        let (socket, response) = client_async(request, stream).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Self(socket)
    }

    async fn open(house: &Open, payload: Value) -> Self {
        Self::connect(house).await.initialised(payload).await
    }

    async fn initialised(mut self, payload: Value) -> Self {
        self.say(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(self.hear().await, json!({"type": "connection_ack"}));
        self
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        self.say(json!({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})).await;
    }

    /// The next text message.
    async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message in time").expect("a message").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The close code, whatever comes before.
    async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.next().await {
                return frame.expect("a reason").code.into();
            }
        }
    }
}

const SEATS: &str = "subscription($id: ID!) { seatAvailability(eventId: $id) { fromVersion version snapshot statuses changes { seatId status } ticketTypes { available } } }";

#[tokio::test(flavor = "multi_thread")]
async fn seats_come_as_a_snapshot_and_then_as_changes() {
    let house = House::default().open().await;
    let id = house.stage.seated.0.to_string();
    let mut socket = Socket::open(&house, Value::Null).await;
    socket.subscribe("s", SEATS, json!({"id": id})).await;
    let first = socket.hear().await;
    assert_eq!((&first["id"], &first["type"]), (&json!("s"), &json!("next")));
    let snapshot = &first["payload"]["data"]["seatAvailability"];
    assert_eq!(
        (&snapshot["snapshot"], &snapshot["version"], &snapshot["statuses"]),
        (&json!(true), &json!(4), &json!("BBHFXFFFFF")),
        "{first}"
    );
    assert_eq!(snapshot["changes"].as_array().unwrap().len(), 4);
    house.stage.block(3, &["B-1"]).await;
    let change = socket.hear().await["payload"]["data"]["seatAvailability"].clone();
    assert_eq!(
        change,
        json!({"fromVersion": 4, "version": 5, "snapshot": false, "statuses": null, "changes": [{"seatId": "B-1", "status": "BLOCKED"}], "ticketTypes": [{"available": 5}]})
    );
    socket.say(json!({"id": "s", "type": "complete"})).await;
    house.stage.block(4, &["B-2"]).await;
    socket.say(json!({"type": "ping", "payload": {"n": 1}})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong", "payload": {"n": 1}}), "nothing comes of what is complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_the_same_gets_a_frame_that_was_encoded_once() {
    let house = House::default().open().await;
    let id = house.stage.seated.0.to_string();
    let mut sockets = Vec::new();
    for n in 0..5 {
        let mut socket = Socket::open(&house, Value::Null).await;
        socket.subscribe(&format!("own-{n}"), SEATS, json!({"id": id})).await;
        assert_eq!(socket.hear().await["payload"]["data"]["seatAvailability"]["snapshot"], true);
        sockets.push(socket);
    }
    house.stage.block(3, &["B-1"]).await;
    for (n, socket) in sockets.iter_mut().enumerate() {
        let frame = socket.hear().await;
        assert_eq!(
            (&frame["id"], &frame["payload"]["data"]["seatAvailability"]["version"]),
            (&json!(format!("own-{n}")), &json!(5))
        );
    }
    // Counted once the frames are on their way, which the clients may see before.
    let all_counted = async {
        loop {
            let metrics = String::from_utf8(house.get("/metrics").await.body).unwrap();
            if metrics.contains("tickiz_seat_frames_sent_total 10\n") {
                break metrics;
            }
        }
    };
    let metrics = timeout(PATIENCE, all_counted).await.expect("ten frames are counted");
    assert!(metrics.contains("tickiz_seat_frames_encoded_total 2\n"), "one snapshot, one change: {metrics}");
}

/// What a client knows who follows frames as the contract says.
#[derive(Default)]
struct Followed {
    version: i64,
    snapshots: usize,
}

impl Followed {
    fn take(&mut self, frame: &Value) {
        let number = |name: &str| frame[name].as_i64().unwrap();
        if frame["snapshot"] == true {
            self.snapshots += 1;
        } else {
            assert_eq!(number("fromVersion"), self.version, "no change is missing: {frame}");
        }
        assert!(number("version") > self.version, "nothing comes twice: {frame}");
        self.version = number("version");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_for_a_while_gets_a_snapshot_and_misses_nothing() {
    const SUBSCRIPTIONS: usize = 255;
    const SEATS_OF_ROW_B: [&str; 5] = ["B-1", "B-2", "B-3", "B-4", "B-5"];
    let house = House::default().open().await;
    let id = house.stage.seated.0.to_string();
    // Frames of 2 kB, for many subscriptions of one socket: that fills what the system keeps for it.
    let names: String = (0..28).map(|n| format!(" name_{n}: seatId")).collect();
    let query = format!(
        "subscription($id: ID!) {{ seatAvailability(eventId: $id) {{ fromVersion version snapshot changes {{{names} }} }} }}"
    );
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4 * 1024).unwrap();
    let mut slow = Socket::connect_over(&house, tcp).await.initialised(Value::Null).await;
    let mut followed: Vec<Followed> = Vec::new();
    for n in 0..SUBSCRIPTIONS {
        slow.subscribe(&n.to_string(), &query, json!({"id": id})).await;
        let mut first = Followed::default();
        first.take(&slow.hear().await["payload"]["data"]["seatAvailability"]);
        followed.push(first);
    }
    let mut quick = Socket::open(&house, Value::Null).await;
    quick.subscribe("q", SEATS, json!({"id": id})).await;
    let mut seen = Followed::default();
    for round in 0..50 {
        if round % 2 == 0 {
            house.stage.block(3 + round, &SEATS_OF_ROW_B).await;
        } else {
            house.stage.unblock(3 + round, &SEATS_OF_ROW_B).await;
        }
        // One frame each: the next change comes when this one has been seen.
        while seen.version < 5 + round {
            seen.take(&quick.hear().await["payload"]["data"]["seatAvailability"]);
        }
    }
    assert_eq!(seen.snapshots, 1, "one who is slow holds up nobody");
    while followed.iter().any(|followed| followed.version < seen.version) {
        let message = slow.hear().await;
        assert_eq!(message["type"], "next");
        let of: usize = message["id"].as_str().unwrap().parse().unwrap();
        followed[of].take(&message["payload"]["data"]["seatAvailability"]);
    }
    assert!(followed.iter().any(|followed| followed.snapshots > 1), "nothing grew without bound for him");
    // He goes on as everybody else.
    house.stage.block(53, &SEATS_OF_ROW_B).await;
    for _ in 0..SUBSCRIPTIONS {
        let message = slow.hear().await;
        let of: usize = message["id"].as_str().unwrap().parse().unwrap();
        followed[of].take(&message["payload"]["data"]["seatAvailability"]);
    }
    assert!(followed.iter().all(|followed| followed.version == seen.version + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_may_watch_a_show_than_one_task_writes_to() {
    let house = House::default().open().await;
    let id = house.stage.seated.0.to_string();
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::open(&house, Value::Null).await;
        for n in 0..250 {
            socket.subscribe(&n.to_string(), SEATS, json!({"id": id})).await;
            assert_eq!(socket.hear().await["payload"]["data"]["seatAvailability"]["snapshot"], true);
        }
        sockets.push(socket);
    }
    house.stage.block(3, &["B-1"]).await;
    for socket in &mut sockets {
        let mut came = std::collections::BTreeSet::new();
        for _ in 0..250 {
            let frame = socket.hear().await;
            assert_eq!(frame["payload"]["data"]["seatAvailability"]["version"], 5);
            came.insert(frame["id"].to_string());
        }
        assert_eq!(came.len(), 250, "each subscription got the frame once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_followed_by_who_may_see_it() {
    let house = House::default().open().await;
    let query = "subscription($id: ID!, $t: String) { bookingChanged(id: $id, accessToken: $t) { status event { title } payments { status } } }";
    let id = house.stage.held.0.to_string();
    let mut socket = Socket::open(&house, Value::Null).await;
    socket.subscribe("b", query, json!({"id": id, "t": ACCESS_TOKEN})).await;
    let now = socket.hear().await;
    assert_eq!(
        now["payload"]["data"]["bookingChanged"],
        json!({"status": "HELD", "event": {"title": "Đêm nhạc 11"}, "payments": [{"status": "PENDING"}]}),
        "{now}"
    );
    for token in [Value::Null, json!("wrong")] {
        socket.subscribe("x", query, json!({"id": id, "t": token})).await;
        let refused = socket.hear().await;
        assert_eq!(
            (&refused["type"], &refused["payload"][0]["extensions"]["code"]),
            (&json!("error"), &json!("NOT_FOUND"))
        );
    }
    let mut organizer = Socket::open(&house, json!({"authorization": format!("Bearer {ORGANIZER_TOKEN}")})).await;
    organizer.subscribe("b", query, json!({"id": id})).await;
    assert_eq!(organizer.hear().await["type"], "next");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_mutations_go_over_a_socket_too_and_errors_as_they_are() {
    let house = House::default().open().await;
    let mut socket = Socket::open(&house, json!({"authorization": format!("Bearer {ORGANIZER_TOKEN}")})).await;
    socket.subscribe("q", "{ events { totalCount } }", json!({})).await;
    assert_eq!(
        socket.hear().await,
        json!({"id": "q", "type": "next", "payload": {"data": {"events": {"totalCount": 2}}}})
    );
    assert_eq!(socket.hear().await, json!({"id": "q", "type": "complete"}));
    socket.subscribe("q", "mutation { publishEvent(id: \"taken\") { id } }", json!({})).await;
    let next = socket.hear().await;
    assert_eq!(
        (&next["type"], &next["payload"]["errors"][0]["extensions"]["code"]),
        (&json!("next"), &json!("SEAT_TAKEN"))
    );
    assert_eq!(socket.hear().await["type"], "complete");
    for (query, code, path) in [
        ("{ nope }", "INVALID_INPUT", Value::Null),
        ("{ event(id: 1.5) { id } }", "INVALID_INPUT", json!(["id"])),
        ("subscription { seatAvailability(eventId: \"x\") { version } }", "NOT_FOUND", Value::Null),
        (
            "subscription { a: seatAvailability(eventId: \"x\") { version } b: seatAvailability(eventId: \"y\") { version } }",
            "INVALID_INPUT",
            Value::Null,
        ),
    ] {
        socket.subscribe("e", query, json!({})).await;
        let error = socket.hear().await;
        assert_eq!(
            (&error["type"], &error["payload"][0]["extensions"]["code"]),
            (&json!("error"), &json!(code)),
            "{error}"
        );
        assert_eq!(error["payload"][0]["extensions"]["path"], path);
    }
    let long = format!("subscription {{ seatAvailability(eventId: \"x\") {{ version }} }} #{}", "x".repeat(20_000));
    socket.subscribe("e", &long, json!({})).await;
    assert_eq!(socket.hear().await["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    socket.say(json!({"id": "e", "type": "subscribe", "payload": {"query": 1}})).await;
    assert_eq!(socket.hear().await["payload"][0]["extensions"]["path"], json!(["query"]));

    let draft = house.stage.draft.0.to_string();
    socket.subscribe("d", SEATS, json!({"id": draft})).await;
    assert_eq!(socket.hear().await["payload"][0]["extensions"]["code"], "NOT_FOUND", "nothing is sold yet");
    for (authorization, code) in
        [(format!("Bearer {AUDITOR_TOKEN}"), None), ("Bearer wrong".to_owned(), Some("UNAUTHENTICATED"))]
    {
        let mut socket = Socket::open(&house, json!({"authorization": authorization})).await;
        socket.subscribe("l", "{ log(first: 1) { position } }", json!({})).await;
        let answer = socket.hear().await;
        assert_eq!(
            answer["payload"]["errors"][0]["extensions"]["code"]
                .as_str()
                .or(answer["payload"][0]["extensions"]["code"].as_str()),
            code,
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let sockets = SocketLimits { init_timeout: Duration::from_millis(300), ..SocketLimits::default() };
    let house = House { sockets, ..House::default() }.open().await;
    let mut silent = Socket::connect(&house).await;
    assert_eq!(silent.closed().await, 4408);

    let mut early = Socket::connect(&house).await;
    early.subscribe("s", "{ __typename }", json!({})).await;
    assert_eq!(early.closed().await, 4401);

    let mut twice = Socket::open(&house, Value::Null).await;
    twice.say(json!({"type": "connection_init"})).await;
    assert_eq!(twice.closed().await, 4429);

    let mut same = Socket::open(&house, Value::Null).await;
    let id = house.stage.seated.0.to_string();
    same.subscribe("s", SEATS, json!({"id": id})).await;
    same.subscribe("s", SEATS, json!({"id": id})).await;
    assert_eq!(same.closed().await, 4409);

    for bad in [
        Message::text("nonsense"),
        Message::text("{\"type\":\"start\"}"),
        Message::binary(vec![1, 2, 3]),
        Message::text("[]"),
        Message::text("{\"type\":\"subscribe\",\"id\":7}"),
    ] {
        let mut socket = Socket::open(&house, Value::Null).await;
        socket.0.send(bad).await.unwrap();
        assert_eq!(socket.closed().await, 4400);
    }
    let mut big = Socket::open(&house, Value::Null).await;
    let _ = big.0.send(Message::text("x".repeat(1_000_000))).await;
    assert_eq!(big.closed().await, 1009);

    for headers in [vec![], vec![("sec-websocket-protocol", "graphql-ws")]] {
        let mut all = vec![
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend(headers);
        assert_eq!(
            send(house.addr, "GET", "/graphql", &all, b"").await.status,
            400,
            "the subprotocol must be asked for"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_carries_so_many_operations_and_no_more() {
    let sockets = SocketLimits { max_subscriptions: 16, ..SocketLimits::default() };
    let house = House { sockets, ..House::default() }.open().await;
    let id = house.stage.seated.0.to_string();
    let mut socket = Socket::open(&house, Value::Null).await;
    for n in 0..16 {
        socket.subscribe(&n.to_string(), SEATS, json!({"id": id})).await;
        assert_eq!(socket.hear().await["type"], "next");
    }
    socket.subscribe("one more", SEATS, json!({"id": id})).await;
    let refused = socket.hear().await;
    assert_eq!(
        (&refused["type"], &refused["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("LIMIT_EXCEEDED"))
    );
    socket.say(json!({"id": "3", "type": "complete"})).await;
    socket.subscribe("3", SEATS, json!({"id": id})).await;
    assert_eq!(socket.hear().await["type"], "next", "a place that became free can be used");
    for n in 0..1_000 {
        if socket.0.send(Message::text(json!({"id": format!("more-{n}"), "type": "subscribe", "payload": {"query": SEATS, "variables": {"id": id}}}).to_string())).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.closed().await, 4429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_is_noticed() {
    let sockets = SocketLimits {
        ping_after: Duration::from_millis(50),
        dead_after: Duration::from_millis(300),
        ..SocketLimits::default()
    };
    let house = House { sockets, ..House::default() }.open().await;
    let mut alive = Socket::open(&house, Value::Null).await;
    let gone = Socket::open(&house, Value::Null).await;
    // The library answers pings while it is read, and only then.
    let listening = tokio::spawn(async move { alive.next().await });
    let open = async || String::from_utf8(house.get("/metrics").await.body).unwrap().contains("tickiz_websockets 1\n");
    let noticed = async { while !open().await {} };
    timeout(PATIENCE, noticed).await.expect("the silent one is given up");
    assert!(!listening.is_finished(), "the one that answers stays");
    drop(gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_sockets_are_told_to_go() {
    let house = House::default().open().await;
    let mut socket = Socket::open(&house, Value::Null).await;
    socket.subscribe("s", SEATS, json!({"id": house.stage.seated.0.to_string()})).await;
    assert_eq!(socket.hear().await["type"], "next");
    house.shutdown.cancel();
    assert_eq!(socket.closed().await, 1001);
    drop(socket);
    assert!(house.api.drain(PATIENCE).await);
}
