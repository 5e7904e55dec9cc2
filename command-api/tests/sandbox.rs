//! The sandbox gateway itself, over its API and its books: in memory, in a file, on MySQL and on MariaDB.

mod servers;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use servers::{Server, VARIABLES};
use tickiz_command_api::{
    gateways::sandbox::provider::{
        self, Provider,
        account::{BooksError, NewPayment, NewRefund, Once},
        books::Books,
        machine::{Act, Button, Decision, State},
    },
    ids::SystemEntropy,
    stores::{Database, SANDBOX, StoreAt},
};
use tickiz_domain::money::Money;
use tickiz_event_log::runtime::{Clock, ManualClock};

fn new_payment(key: &str, minor: i64, now: DateTime<Utc>) -> NewPayment {
    NewPayment {
        idempotency_key: key.to_owned(),
        request_hash: "a".repeat(64),
        reference: "0".repeat(64),
        amount: Money::parse(&minor.to_string(), "VND").expect("an amount"),
        title: "Đêm nhạc 🎵".to_owned(),
        locale: Some("vi-VN".to_owned()),
        return_url: None,
        pay_until: now + TimeDelta::seconds(60),
        hold_ends_at: now + TimeDelta::seconds(60),
    }
}

fn new_refund(key: &str, payment_id: &str, amount_minor: i64) -> NewRefund {
    NewRefund {
        idempotency_key: key.to_owned(),
        request_hash: format!("{amount_minor:064}"),
        payment_id: payment_id.to_owned(),
        amount_minor,
        reason: "late".to_owned(),
    }
}

/// Everything that must hold of the books, whatever they are written in. Two handles stand for two processes.
async fn books_are_right(at: &StoreAt<'_>) {
    let database = Database::open(at).await.expect("the store opens");
    database.migrate(&SANDBOX).await.expect("its tables");
    database.check_schema(&SANDBOX).await.expect("of this version");
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 123_456_000).expect("a time")));
    let books = |database: &Database| Books::new(database.clone(), clock.clone(), Arc::new(SystemEntropy));
    let other = match at {
        StoreAt::Memory => database.clone(),
        _ => Database::open(at).await.expect("a second process"),
    };
    let (one, two) = (books(&database), books(&other));

    // The same key at once is one payment; another request under it is refused.
    let new = new_payment("key-1", 500_000, clock.now());
    let made = join_all((0..10).map(|number| if number % 2 == 0 { one.create(&new) } else { two.create(&new) })).await;
    let made: Vec<_> = made.into_iter().map(|made| made.expect("it is made or found")).collect();
    assert_eq!(made.iter().filter(|(_, once)| *once == Once::First).count(), 1);
    let payment = made[0].0.clone();
    assert!(made.iter().all(|(of, _)| of.id == payment.id));
    assert_eq!(payment.asked, new, "it is kept as it was asked for");
    let changed = NewPayment { request_hash: "b".repeat(64), ..new.clone() };
    assert!(matches!(two.create(&changed).await, Err(BooksError::KeyReused)));

    // Two buttons at once: one of them counts.
    let pressed = join_all((0..8).map(|number| {
        let button = if number % 2 == 0 { Button::Pay } else { Button::Decline };
        let books = if number % 3 == 0 { &one } else { &two };
        books.act(&payment.id, Act::Press(button))
    }))
    .await;
    let moved = pressed.iter().filter(|done| matches!(done, Ok((_, Decision::Moves(_))))).count();
    assert_eq!((moved, pressed.iter().all(Result::is_ok)), (1, true));

    // A paid one: refunds at once never give back more than came, and each key once.
    let paid = two.create(&new_payment("key-2", 100_000, clock.now())).await.expect("made").0;
    assert!(matches!(one.refund(&new_refund("early", &paid.id, 1)).await, Err(BooksError::NothingToRefund)));
    one.act(&paid.id, Act::Press(Button::Pay)).await.expect("paid");
    let refunds: Vec<_> =
        (0..12).map(|number| new_refund(&format!("refund-{}", number / 2), &paid.id, 30_000)).collect();
    let given =
        join_all(refunds.iter().zip([&one, &two].iter().cycle()).map(|(refund, books)| books.refund(refund))).await;
    let mut first = 0;
    let mut ids = std::collections::BTreeMap::new();
    for (refund, done) in refunds.iter().zip(&given) {
        match done {
            Ok((done, once)) => {
                first += usize::from(*once == Once::First);
                let id = ids.entry(&refund.idempotency_key).or_insert_with(|| done.id.clone());
                assert_eq!(*id, done.id);
            }
            Err(BooksError::NothingToRefund) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((first, ids.len()), (3, 3), "three times 30,000 fit into 100,000");
    let key = ids.keys().next().expect("three");
    assert!(matches!(
        two.refund(&NewRefund { request_hash: "c".repeat(64), ..new_refund(key, &paid.id, 1) }).await,
        Err(BooksError::KeyReused)
    ));

    // A late payment survives its process and goes through when it is due.
    let late = one.create(&new_payment("key-3", 70_000, clock.now())).await.expect("made").0;
    one.act(&late.id, Act::Press(Button::PayLate)).await.expect("late");
    let forgotten = one.create(&new_payment("key-4", 70_000, clock.now())).await.expect("made").0;
    assert!(two.due().await.expect("read").is_empty());
    clock.advance(TimeDelta::seconds(65));
    assert_eq!(two.due().await.expect("read"), std::slice::from_ref(&late.id));
    join_all([one.act(&late.id, Act::Due), two.act(&late.id, Act::Due)])
        .await
        .into_iter()
        .for_each(|done| drop(done.expect("done")));
    clock.advance(TimeDelta::minutes(30));
    assert_eq!(two.due().await.expect("read"), std::slice::from_ref(&forgotten.id));
    two.act(&forgotten.id, Act::Due).await.expect("closed");

    // Each decided payment owes one webhook, and two couriers do not both take it.
    let owed = one.owed(100).await.expect("read");
    assert_eq!(owed.len(), 4);
    for delivery in &owed {
        let until = clock.now() + TimeDelta::seconds(5);
        let this = || vec![delivery.clone()];
        let taken = join_all([one.take_deliveries(this(), until), two.take_deliveries(this(), until)]).await;
        assert_eq!(taken.into_iter().map(|taken| taken.expect("answered").len()).sum::<usize>(), 1);
    }
    assert!(two.owed(100).await.expect("read").is_empty(), "all of them are leased");
    one.settle_delivery(&owed[0].id, 1, "200 OK", true, None).await.expect("written");
    one.settle_delivery(&owed[1].id, 1, "503", false, Some(clock.now() + TimeDelta::seconds(1)))
        .await
        .expect("written");
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(two.owed(100).await.expect("read").iter().map(|owed| &owed.id).collect::<Vec<_>>(), [&owed[1].id]);
    clock.advance(TimeDelta::seconds(5));
    assert_eq!(two.owed(100).await.expect("read").len(), 3, "what a dead courier had taken is owed again");

    let ledger = provider::ledger(database.clone()).await.expect("read");
    assert_eq!(ledger.len(), 4);
    for entry in &ledger {
        assert_eq!(entry.returned_minor, entry.refunded_minor);
        assert_eq!(entry.charged_minor, if entry.state == State::Paid { entry.amount.minor() } else { 0 });
    }
    assert_eq!(ledger.iter().map(|entry| entry.returned_minor).sum::<i64>(), 90_000);
    database.close().await;
    other.close().await;
}

#[tokio::test]
async fn the_books_are_right_in_memory_and_in_a_file() {
    books_are_right(&StoreAt::Memory).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    books_are_right(&StoreAt::File(&folder.path().join("sandbox.db"))).await;
}

#[tokio::test]
async fn the_books_are_right_on_mysql_and_on_mariadb() {
    for variable in VARIABLES {
        let Some(server) = Server::create(variable).await else { continue };
        books_are_right(&StoreAt::Server(&server.url)).await;
        server.drop_it().await;
    }
}

#[tokio::test]
async fn a_merchant_is_known_by_his_key_and_errors_say_what_is_wrong() {
    let database = Database::open(&StoreAt::Memory).await.expect("the store opens");
    database.migrate(&SANDBOX).await.expect("its tables");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let clock = Arc::new(ManualClock::new(Utc::now()));
    let provider = Provider::try_new(provider::Options {
        database,
        public_url: url.clone(),
        notify_url: format!("{url}/nobody"),
        api_key: "right".to_owned(),
        webhook_secret: b"secret".to_vec(),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
    })
    .expect("a provider");
    let routes = provider.routes();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let good = json!({
        "reference": "r", "amount_minor": 1000, "currency": "USD", "title": "t",
        "pay_until": clock.now(), "hold_ends_at": clock.now(),
    });
    let post = async |path: &str, token: &str, key: &str, body: &Value| {
        let request =
            http.post(format!("{url}/sandbox/api/{path}")).bearer_auth(token).header("idempotency-key", key).json(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    assert_eq!(post("payments", "wrong", "k", &good).await.0, 401);
    let (status, made) = post("payments", "right", "k", &good).await;
    assert_eq!((status, &made["state"], &made["amount_minor"]), (201, &json!("OPEN"), &json!(1000)));
    assert_eq!(post("payments", "right", "k", &good).await, (200, made.clone()));
    let mut other = good.clone();
    other["amount_minor"] = json!(1001);
    let (status, refused) = post("payments", "right", "k", &other).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("idempotency_key_reused")));
    assert_eq!(post("payments", "right", "", &good).await.0, 400);
    for (field, value) in [
        ("amount_minor", json!(0)),
        ("amount_minor", json!(-5)),
        ("amount_minor", json!("5")),
        ("currency", json!("usd")),
        ("currency", json!("XXX")),
        ("title", json!("")),
        ("reference", json!("é")),
        ("return_url", json!("javascript:alert(1)")),
        ("return_url", json!("nowhere")),
        ("pay_until", json!("tomorrow")),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        let (status, refused) = post("payments", "right", "bad", &bad).await;
        assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid_request")), "{field} {value}");
    }
    let id = made["id"].as_str().expect("an id");
    let refund = json!({"payment": id, "amount_minor": 1, "reason": "x"});
    assert_eq!(post("refunds", "right", "r", &refund).await.0, 422, "nothing was paid");
    assert_eq!(
        post("refunds", "right", "r", &json!({"payment": "sbx_no", "amount_minor": 1, "reason": "x"})).await.0,
        404
    );
    assert_eq!(post(&format!("payments/{id}/cancel"), "right", "", &Value::Null).await.1["state"], json!("EXPIRED"));
    assert_eq!(post("payments/sbx_no/cancel", "right", "", &Value::Null).await.0, 404);
    server.abort();
}
