//! Reports of what was sold, asked through the API: what is added to what, by whose clock, and what is not guessed.

mod house;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use house::{
    AUDITOR_TOKEN, House, Open,
    shows::{created, placed},
};
use serde_json::{Value, json};
use tickiz_domain::{
    booking::{
        BookingCancelled, BookingConfirmed, BookingDomainEvent, BookingExpired, CancelledBy, PaymentCreated,
        PaymentMethod, PaymentSucceeded, Places, RefundFailed, RefundRequested, RefundSucceeded,
    },
    event::{Event, EventCreated, EventDomainEvent, EventPublished, Show},
    ids::{BookingId, EventId, PaymentId, PersonMark, RefundId, TicketTypeId},
    money::{Currency, Money},
};
use tickiz_event_log::runtime::{ManualClock, Runtime};
use tickiz_projections::{
    events::EventsProjector,
    plans::PlanSource,
    project::{WarmProjector, project},
    reports::ReportsProjector,
};
use tickiz_query_api::ReportLimits;
use tickiz_read_models::Projection;
use uuid::Uuid;

/// A published show without seats, other than the house's own in what `change` changes.
async fn publish(house: &Open, number: u32, change: impl FnOnce(&mut EventCreated)) -> (EventId, Show) {
    let mut show = created(number, None);
    change(&mut show);
    let id = EventId(Uuid::from_u128(u128::from(number)));
    house.stage.append(id.0, 0, &[EventDomainEvent::from(show.clone()), EventPublished {}.into()]).await;
    let mut event = Event::default();
    event.fold(show.into());
    (id, event.0.expect("a show"))
}

/// Appends a booking of places for that price in minor units each, whose types these are, and `then` after it; what ends it gives back
/// all of it.
async fn book(
    house: &Open,
    show: &(EventId, Show),
    types: &[TicketTypeId],
    price: i64,
    mut then: Vec<BookingDomainEvent>,
) {
    let currency = show.1.currency;
    let seats = vec!["A-1"; types.len()];
    let mut booking = placed(&seats, show);
    for (line, of) in booking.lines.iter_mut().zip(types) {
        line.ticket_type_id = *of;
        // Reports count what was placed, wherever it is.
        (line.seat_id, line.seat_label) = (None, None);
        line.price = Money::try_new(price, currency).expect("an amount");
    }
    booking.total = Money::sum(currency, booking.lines.iter().map(|line| line.price)).expect("a sum");
    let places = Places::of(show.0, &booking.lines, booking.person.clone(), None);
    for event in &mut then {
        match event {
            BookingDomainEvent::BookingExpired(expired) => expired.released = places.clone(),
            BookingDomainEvent::BookingCancelled(cancelled) => cancelled.released = places.clone(),
            _ => {}
        }
    }
    let events: Vec<BookingDomainEvent> = std::iter::once(booking.into()).chain(then).collect();
    house.stage.append(BookingId(Uuid::new_v4()).0, 0, &events).await;
}

/// What makes a booking sold.
fn paid(show: &(EventId, Show), payment: PaymentId, minor: i64) -> Vec<BookingDomainEvent> {
    let amount = Money::try_new(minor, show.1.currency).expect("an amount");
    let created = PaymentCreated {
        payment_id: payment,
        method: PaymentMethod::Sandbox,
        amount,
        return_url: None,
        pay_until: Utc::now(),
    };
    vec![
        created.into(),
        PaymentSucceeded { payment_id: payment, gateway_reference: "g".into(), amount }.into(),
        BookingConfirmed { event_id: show.0, tickets: Vec::new(), payment_id: Some(payment) }.into(),
    ]
}

/// What an auditor is answered, about everything that is in the log by now.
async fn answer(house: &Open, arguments: &str) -> Value {
    let fields = "event { title } day city tickets { placed held expired abandoned sold valid returned } received { amount currency } \
                  refunded { amount currency } net { amount currency } capacity fillRate";
    let reached = house.stage.head();
    let query =
        format!("{{ salesReport({arguments}, minPosition: \"{reached}\") {{ rows {{ {fields} }} position }} }}");
    house.ask(Some(AUDITOR_TOKEN), &query, json!({})).await
}

async fn rows(house: &Open, arguments: &str) -> Vec<Value> {
    let answer = answer(house, arguments).await;
    answer["data"]["salesReport"]["rows"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_of_two_currencies_are_two_rows_and_never_one_sum() {
    let house = House::default().open().await;
    let dollars = publish(&house, 41, |show| show.currency = Currency::USD).await;
    let of = dollars.1.ticket_types[0].id;
    book(&house, &dollars, &[of], 2_550, paid(&dollars, PaymentId(Uuid::new_v4()), 2_550)).await;
    for arguments in ["groupBy: []", "groupBy: [CITY]"] {
        let rows = rows(&house, arguments).await;
        let received: Vec<_> = rows.iter().map(|row| &row["received"]).collect();
        // The house's own booking was paid in VND.
        let expected = [json!({"amount": "25.50", "currency": "USD"}), json!({"amount": "900000", "currency": "VND"})];
        assert_eq!(received, expected.iter().collect::<Vec<_>>(), "{arguments}");
        let placed: Vec<_> = rows.iter().map(|row| &row["tickets"]["placed"]).collect();
        assert_eq!(placed, [1, 3], "tickets are counted beside the money that they cost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_back_is_counted_when_it_went_and_not_when_it_was_asked_for() {
    let house = House::default().open().await;
    let show = publish(&house, 42, |_| {}).await;
    let of = show.1.ticket_types[0].id;
    let money = |minor| Money::try_new(minor, Currency::VND).expect("an amount");
    let ended = |tail: &[BookingDomainEvent]| {
        let payment_id = PaymentId(Uuid::new_v4());
        let mut events = paid(&show, payment_id, 200_000);
        events.push(cancelled());
        let refund_id = RefundId(Uuid::from_u128(7));
        events.push(RefundRequested::whole(refund_id, payment_id, money(150_000), "cancelled".into()).into());
        events.extend_from_slice(tail);
        events
    };
    let refund_id = RefundId(Uuid::from_u128(7));
    let failed = BookingDomainEvent::from(RefundFailed { refund_id, reason: "later".into() });
    let back = BookingDomainEvent::from(RefundSucceeded { refund_id, gateway_reference: "r".into() });
    // Two places each: one booking's money is under way, one's was refused, one's was refused and went back after all, one is sold.
    for tail in [&[][..], std::slice::from_ref(&failed), &[failed.clone(), back]] {
        book(&house, &show, &[of, of], 100_000, ended(tail)).await;
    }
    book(&house, &show, &[of, of], 100_000, paid(&show, PaymentId(Uuid::new_v4()), 200_000)).await;
    // Neither was ever paid.
    book(&house, &show, &[of], 100_000, vec![cancelled()]).await;
    book(&house, &show, &[of], 100_000, vec![BookingExpired { released: nothing() }.into()]).await;

    let rows = rows(&house, &format!("filter: {{eventId: \"{}\"}}, groupBy: [SHOW]", show.0)).await;
    let tickets = json!({"placed": 10, "held": 0, "expired": 1, "abandoned": 1, "sold": 8, "valid": 2, "returned": 6});
    assert_eq!(rows[0]["tickets"], tickets);
    let amount = |name: &str| rows[0][name]["amount"].as_str().expect("an amount").to_owned();
    assert_eq!(
        (amount("received"), amount("refunded"), amount("net")),
        ("800000".into(), "150000".into(), "650000".into())
    );
    assert_eq!((&rows[0]["capacity"], &rows[0]["fillRate"]), (&json!(100), &json!(0.02)), "who has a ticket in force");
}

/// What is given back, until [`book`] says it.
fn nothing() -> Places {
    Places::of(EventId(Uuid::nil()), &[], PersonMark(String::new()), None)
}

fn cancelled() -> BookingDomainEvent {
    BookingCancelled { by: CancelledBy::Buyer, reason: None, released: nothing() }.into()
}

fn at(instant: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(instant).expect("an instant").to_utc()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_as_long_as_the_clocks_of_its_city_make_it() {
    let clock = Arc::new(ManualClock::new(at("2026-03-01T00:00:00Z")));
    let house = House::default().open_at(Runtime::at(clock.clone())).await;
    let show = publish(&house, 43, |show| show.time_zone = "America/New_York".into()).await;
    let of = show.1.ticket_types[0].id;
    // On 8 March the clocks of New York went from UTC-5 to UTC-4, on 1 November back: a day of 23 hours, and one of 25.
    let instants = [
        ("2026-03-08T04:59:59Z", 1),
        ("2026-03-08T05:00:00Z", 2),
        ("2026-03-09T03:59:59Z", 3),
        ("2026-03-09T04:00:00Z", 4),
        ("2026-11-01T03:59:59Z", 1),
        ("2026-11-01T04:00:00Z", 2),
        ("2026-11-02T04:59:59Z", 3),
        ("2026-11-02T05:00:00Z", 4),
    ];
    for (instant, places) in instants {
        use tickiz_event_log::runtime::Clock;
        clock.advance(at(instant) - clock.now());
        book(&house, &show, &vec![of; places], 100, Vec::new()).await;
    }
    let filter = format!("eventId: \"{}\"", show.0);
    let by_day = rows(&house, &format!("filter: {{{filter}}}, groupBy: [DAY, SHOW]")).await;
    let days: Vec<_> = by_day.iter().map(|row| json!([row["day"], row["tickets"]["placed"]])).collect();
    let expected = [
        ("2026-03-07", 1),
        ("2026-03-08", 5),
        ("2026-03-09", 4),
        ("2026-10-31", 1),
        ("2026-11-01", 5),
        ("2026-11-02", 4),
    ];
    assert_eq!(days, expected.map(|(day, placed)| json!([day, placed])));
    assert!(by_day.iter().all(|row| row["capacity"].is_null() && row["fillRate"].is_null()), "a day has no house");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_span_of_time_the_fill_rate_is_its_share_of_the_whole_house() {
    let clock = Arc::new(ManualClock::new(at("2026-03-01T00:00:00Z")));
    let house = House::default().open_at(Runtime::at(clock.clone())).await;
    let show = publish(&house, 44, |_| {}).await;
    let of = show.1.ticket_types[0].id;
    for places in [10, 30] {
        clock.advance(chrono::Duration::days(10));
        let minor = 100 * i64::try_from(places).expect("few");
        book(&house, &show, &vec![of; places], 100, paid(&show, PaymentId(Uuid::new_v4()), minor)).await;
    }
    let id = show.0;
    for (span, share) in [
        ("", 0.4),
        ("to: \"2026-03-15T00:00:00Z\"", 0.1),
        ("from: \"2026-03-15T00:00:00Z\"", 0.3),
        ("from: \"2026-03-11T00:00:00Z\", to: \"2026-03-21T00:00:00Z\"", 0.1),
    ] {
        let rows = rows(&house, &format!("filter: {{eventId: \"{id}\", {span}}}, groupBy: [TICKET_TYPE]")).await;
        assert_eq!((&rows[0]["capacity"], &rows[0]["fillRate"]), (&json!(100), &json!(share)), "{span}");
    }
    let whole = rows(&house, &format!("filter: {{eventId: \"{id}\"}}")).await;
    assert!(whole[0]["fillRate"].is_null(), "of a row that is not of one show");

    // A house without places cannot be full.
    let none = publish(&house, 45, |show| show.quotas[0].capacity = 0).await;
    book(&house, &none, &[none.1.ticket_types[0].id], 100, Vec::new()).await;
    let rows = rows(&house, &format!("filter: {{eventId: \"{}\"}}, groupBy: [SHOW]", none.0)).await;
    assert_eq!((&rows[0]["capacity"], &rows[0]["fillRate"]), (&json!(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_too_long_is_refused_and_a_city_of_its_own_is_not_for_the_others_sake() {
    let reports = ReportLimits { max_groups: 3, max_rows: 2 };
    let house = House { reports, ..House::default() }.open().await;
    let city = async |number, city: &str| {
        let show = publish(&house, number, |show| show.venue.city = city.to_owned()).await;
        book(&house, &show, &[show.1.ticket_types[0].id], 100, Vec::new()).await;
    };
    // With the house's own show three sums.
    city(46, "Huế").await;
    city(47, "Huế").await;
    let refused = async |arguments: &str, why: &str| {
        let answer = answer(&house, arguments).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED", "{answer}");
        assert!(error["message"].as_str().expect("words").contains(why), "{answer}");
    };
    refused("groupBy: [SHOW]", "3 rows, and 2 are possible").await;
    assert_eq!(rows(&house, "groupBy: [CITY]").await.len(), 2);
    city(48, "HUẾ ").await;
    city(49, "Đà Nẵng").await;
    refused("groupBy: [CITY]", "more than 3 sums").await;
    let hue = rows(&house, "filter: {city: \"huế\"}, groupBy: [CITY]").await;
    assert_eq!((hue.len(), &hue[0]["city"], &hue[0]["tickets"]["placed"]), (1, &json!("Huế"), &json!(3)));
    assert_eq!(rows(&house, "filter: {city: \"Đà Nẵng\"}, groupBy: [SHOW]").await.len(), 1);
    assert!(rows(&house, "filter: {city: \"Da Nang\"}").await.is_empty(), "another city, without its marks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_waits_for_the_shows_that_it_names() {
    let house = House::default().open().await;
    // Sums are gathered for a moment.
    let all = house.reads.wait_for_all(&Projection::ALL, house.stage.head(), house::PATIENCE).await;
    assert!(all.expect("the read models answer"), "everything so far is projected");
    house.projecting.cancel();
    while !house.projector.is_finished() {
        tokio::task::yield_now().await;
    }
    let before = house.stage.head();
    let show = publish(&house, 50, |show| show.title = "Not there yet".into()).await;
    book(&house, &show, &[show.1.ticket_types[0].id], 100, Vec::new()).await;
    let log = house.log.read(before, 100).await.expect("the log");
    let plans = Arc::new(PlanSource::new(Arc::new(house.log.clone())));
    let go_on = async |mut projector: WarmProjector| {
        let version = house.reads.version(projector.projection());
        project(&mut projector, &house.reads, version, before, &log).await.expect("it is projected");
    };
    // The sums are as far as the log, the shows are not.
    go_on(WarmProjector::new(ReportsProjector::default())).await;
    assert!(house.reads.known_checkpoint(Projection::Reports) > before);
    let query = "{ salesReport(groupBy: [SHOW]) { rows { event { title } capacity } position } }";
    let (none, at_head) =
        tokio::join!(house.ask(Some(AUDITOR_TOKEN), query, json!({})), answer(&house, "filter: {city: \"Hà Nội\"}"),);
    for answer in [none, at_head] {
        assert_eq!(answer["errors"][0]["extensions"]["code"], "OVERLOADED", "no row without its show: {answer}");
    }
    // What is not of that show waits for nothing, and says how far it goes.
    let known = format!("{{ salesReport(filter: {{eventId: \"{}\"}}) {{ position }} }}", house.stage.seated.0);
    let known = house.ask(Some(AUDITOR_TOKEN), &known, json!({})).await;
    assert_eq!(known["data"]["salesReport"]["position"], before.to_string(), "{known}");

    // It comes while somebody waits.
    let (there, ()) = tokio::join!(
        house.ask(Some(AUDITOR_TOKEN), query, json!({})),
        go_on(WarmProjector::new(EventsProjector::new(plans)))
    );
    let rows = there["data"]["salesReport"]["rows"].as_array().unwrap_or_else(|| panic!("{there}"));
    let named = json!({"event": {"title": "Not there yet"}, "capacity": 100});
    assert!(rows.contains(&named), "{there}");
    assert_eq!(there["data"]["salesReport"]["position"], house.stage.head().to_string());
}
