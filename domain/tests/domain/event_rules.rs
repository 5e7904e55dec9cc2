//! What an Event refuses and what it makes of what it takes, beyond the table.

use chrono::{DateTime, Duration, Utc};
use tickiz_domain::{
    claim::{ClaimChange, Holder, Resource},
    event::{
        ChangeEvent, ChangeTicketType, Event, EventChanged, EventCommand, EventCreated, EventDomainEvent, EventError,
        EventPublished, NotOnSale, Quota, Show,
    },
    ids::TicketTypeId,
    money::{Currency, Money},
    stored::StoredEvent,
    timer::TimerKind,
};
use uuid::Uuid;

use crate::{
    examples::{FLOOR, SHOW, STANDING, STUDENT, VIP, event_created, seat},
    support::{handle, id, now, starts, venue_time, vnd},
};

fn created(of: EventCreated) -> Result<Vec<EventDomainEvent>, EventError> {
    handle(&mut Event::default(), EventCommand::Create(Box::new(of)))
}

fn published(of: EventCreated) -> Event {
    let mut event = Event::default();
    handle(&mut event, EventCommand::Create(Box::new(of))).unwrap();
    handle(&mut event, EventCommand::Publish { now: now() }).unwrap();
    event
}

fn show(event: &Event) -> &Show {
    event.0.as_ref().unwrap()
}

fn change(event: &mut Event, change: ChangeEvent) -> Result<Vec<EventDomainEvent>, EventError> {
    handle(event, EventCommand::Change { change: Box::new(change), now: now() })
}

fn change_types(event: &mut Event, ticket_types: Vec<ChangeTicketType>) -> Result<Vec<EventDomainEvent>, EventError> {
    change(event, ChangeEvent { ticket_types, ..ChangeEvent::default() })
}

fn capacity(of: u128, capacity: i64) -> ChangeTicketType {
    ChangeTicketType { capacity: Some(capacity), ..ChangeTicketType::new(id(of)) }
}

/// Wrong in one place, and what is said about it.
type Fault = (fn(&mut EventCreated), EventError);

#[test]
fn a_draft_that_could_not_be_sold_is_refused_where_it_is_wrong() {
    let (begins, before) = (starts(), starts() - Duration::hours(1));
    let usd = Money::parse("10.00", "USD").unwrap();
    let other = |index| EventError::PriceCurrency { index, expected: Currency::VND, found: Currency::USD };
    assert_eq!(usd.currency(), Currency::USD);
    let faults: Vec<Fault> = vec![
        (|e| e.ends_at = Some(e.starts_at), EventError::EndsBeforeStart { starts_at: begins, ends_at: begins }),
        (
            |e| (e.sales_start, e.sales_end) = (Some(e.starts_at), Some(venue_time(starts() - Duration::hours(1)))),
            EventError::SaleEndsBeforeStart { sales_start: begins, sales_end: before },
        ),
        (
            |e| e.sales_start = Some(e.starts_at),
            EventError::SaleStartsAfterShow { sales_start: begins, starts_at: begins },
        ),
        (|e| e.hold_seconds = 0, EventError::HoldSeconds),
        (|e| e.max_per_person = Some(0), EventError::MaxPerPerson),
        (|e| e.ticket_types.clear(), EventError::NoTicketTypes),
        (|e| e.ticket_types[2].price = Money::parse("10.00", "USD").unwrap(), other(2)),
        (|e| e.ticket_types[1].max_per_booking = 0, EventError::MaxPerBooking { index: 1 }),
        (|e| e.quotas[0].capacity = 0, EventError::Capacity { index: 1 }),
        (|e| e.ticket_types[0].seat_categories.clear(), EventError::NoPlaces { index: 0 }),
        (|e| e.ticket_types[0].quota_id = Some(id(FLOOR)), EventError::SeatsAndQuota { index: 0 }),
        (
            |e| e.ticket_types[0].seat_categories.push("Balcony".to_owned()),
            EventError::UnknownCategory { index: 0, category_index: 1, category: "Balcony".to_owned() },
        ),
        (|e| e.plan = None, EventError::UnknownCategory { index: 0, category_index: 0, category: "Stalls".to_owned() }),
        (
            |e| e.ticket_types[0].seat_categories = vec!["Stalls".to_owned(), "Stalls".to_owned()],
            EventError::CategoryTwice { index: 0, category_index: 1, category: "Stalls".to_owned() },
        ),
        (|e| e.quotas.clear(), EventError::Malformed("a ticket type draws on a quota that is not given")),
        (|e| e.quotas.push(e.quotas[0].clone()), EventError::Malformed("two quotas have one id")),
        (
            |e| e.quotas.push(Quota { id: id(0x22), name: None, capacity: 1 }),
            EventError::Malformed("no ticket type draws on a quota"),
        ),
        (|e| e.ticket_types[1].id = id(VIP), EventError::Malformed("two ticket types have one id")),
        (|e| e.ticket_types[1].admission_class = 0, EventError::Malformed("two ticket types have one admission class")),
    ];
    for (spoil, expected) in faults {
        let mut of = event_created();
        spoil(&mut of);
        assert_eq!(created(of), Err(expected));
    }
}

#[test]
fn two_types_may_cover_the_same_seats() {
    let mut of = event_created();
    of.ticket_types[1].quota_id = None;
    of.ticket_types[1].seat_categories = vec!["Stalls".to_owned(), "Wheelchair".to_owned()];
    let event = published(of);
    let covering: Vec<TicketTypeId> = show(&event).types_covering("Stalls").map(|t| t.id).collect();
    assert_eq!(covering, [id(VIP), id(STANDING)]);
    assert_eq!(show(&event).capacity_of(&show(&event).ticket_types[1]), 6);
}

#[test]
fn a_change_records_only_what_really_changes() {
    let mut event = published(event_created());
    let price = Some(vnd(500_000));
    let wanted = ChangeEvent {
        title: Some(show(&event).title.clone()),
        description: Some("Mới.".to_owned()),
        ticket_types: vec![
            ChangeTicketType { price, ..ChangeTicketType::new(id(STANDING)) },
            ChangeTicketType { price: Some(vnd(300_000)), capacity: Some(120), ..ChangeTicketType::new(id(STUDENT)) },
        ],
        ..ChangeEvent::default()
    };
    let mut standing = show(&event).ticket_types[1].clone();
    standing.price = vnd(500_000);
    let expected = EventChanged {
        description: Some("Mới.".to_owned()),
        ticket_types: vec![standing],
        quotas: vec![Quota { id: id(FLOOR), name: Some("floor".to_owned()), capacity: 120 }],
        ..EventChanged::default()
    };
    assert_eq!(change(&mut event, wanted.clone()), Ok(vec![expected.into()]));
    assert_eq!(change(&mut event, wanted), Ok(vec![]), "the same change again");
    assert_eq!(show(&event).capacity_of(&show(&event).ticket_types[1]), 120, "whoever shares the quota");
}

#[test]
fn a_changed_capacity_is_a_claim() {
    let mut event = published(event_created());
    let recorded = change_types(&mut event, vec![capacity(STANDING, 7)]).unwrap();
    let resource = Resource::Quota(id(SHOW), id(FLOOR));
    assert_eq!(recorded[0].claims(Uuid::from_u128(SHOW)), [ClaimChange::SetLimit { resource, limit: 7 }]);
}

#[test]
fn a_change_of_types_is_refused_where_it_is_wrong() {
    let usd = Some(Money::parse("10.00", "USD").unwrap());
    let unknown = id(0x77);
    let faults: Vec<(Vec<ChangeTicketType>, EventError)> = vec![
        (
            vec![capacity(STANDING, 1), ChangeTicketType::new(unknown)],
            EventError::UnknownTicketType { index: 1, id: unknown },
        ),
        (
            vec![capacity(STANDING, 1), capacity(STANDING, 1)],
            EventError::TicketTypeTwice { index: 1, id: id(STANDING) },
        ),
        (vec![capacity(VIP, 4)], EventError::CapacityOfSeats { index: 0 }),
        (vec![capacity(STANDING, 0)], EventError::Capacity { index: 0 }),
        (vec![capacity(STANDING, 100), capacity(STUDENT, 90)], EventError::SharedCapacity { index: 1 }),
        (
            vec![ChangeTicketType { price: usd, ..ChangeTicketType::new(id(VIP)) }],
            EventError::PriceCurrency { index: 0, expected: Currency::VND, found: Currency::USD },
        ),
        (
            vec![ChangeTicketType { max_per_booking: Some(0), ..ChangeTicketType::new(id(VIP)) }],
            EventError::MaxPerBooking { index: 0 },
        ),
    ];
    for (types, expected) in faults {
        assert_eq!(change_types(&mut published(event_created()), types), Err(expected));
    }
    let mut event = published(event_created());
    let both = vec![capacity(STANDING, 90), capacity(STUDENT, 90)];
    assert_eq!(change_types(&mut event, both).map(|events| events.len()), Ok(1), "the same on all that share it");
}

#[test]
fn an_end_stays_after_the_beginning_and_a_sale_can_take_place() {
    let at = |instant: DateTime<Utc>| Some(venue_time(instant));
    let end = starts() + Duration::hours(3);
    let ends = |starts_at, ends_at| EventError::EndsBeforeStart { starts_at, ends_at };
    let faults: Vec<(ChangeEvent, EventError)> = vec![
        (ChangeEvent { starts_at: at(end), ..ChangeEvent::default() }, ends(end, end)),
        (ChangeEvent { ends_at: at(starts()), ..ChangeEvent::default() }, ends(starts(), starts())),
        (
            ChangeEvent { sales_start: at(starts()), ..ChangeEvent::default() },
            EventError::SaleStartsAfterShow { sales_start: starts(), starts_at: starts() },
        ),
        (
            ChangeEvent { sales_start: at(end), sales_end: at(end), ..ChangeEvent::default() },
            EventError::SaleEndsBeforeStart { sales_start: end, sales_end: end },
        ),
        (ChangeEvent { max_per_person: Some(0), ..ChangeEvent::default() }, EventError::MaxPerPerson),
    ];
    for (wanted, expected) in faults {
        assert_eq!(change(&mut published(event_created()), wanted), Err(expected));
    }
    let mut event = published(event_created());
    let both = ChangeEvent { starts_at: at(end), ends_at: at(end + Duration::hours(1)), ..ChangeEvent::default() };
    assert_eq!(change(&mut event, both).map(|events| events.len()), Ok(1));
}

#[test]
fn a_postponement_without_a_date_is_ended_by_a_beginning_alone() {
    let mut event = published(event_created());
    let reason = "no hall".to_owned();
    handle(&mut event, EventCommand::Postpone { starts_at: None, ends_at: None, reason, now: now() }).unwrap();
    assert_eq!((show(&event).postponed, show(&event).ends_at), (true, None));
    assert_eq!(show(&event).check_on_sale(now()), Err(NotOnSale::Postponed));
    let end = Some(venue_time(starts() + Duration::days(9)));
    let alone = ChangeEvent { ends_at: end, ..ChangeEvent::default() };
    assert_eq!(change(&mut event, alone), Err(EventError::EndWithoutStart));
    let later = starts() + Duration::days(60);
    let dated = ChangeEvent { starts_at: Some(venue_time(later)), ..ChangeEvent::default() };
    assert_eq!(change(&mut event, dated).map(|events| events.len()), Ok(1));
    assert_eq!((show(&event).postponed, show(&event).starts_at.instant), (false, later));
    assert_eq!(show(&event).check_on_sale(now()), Ok(()));
}

#[test]
fn a_postponement_keeps_the_sale_possible() {
    let mut of = event_created();
    of.sales_start = Some(venue_time(starts() - Duration::days(1)));
    let mut event = published(of);
    let earlier = Some(venue_time(starts() - Duration::days(2)));
    let reason = "sooner".to_owned();
    let result = handle(&mut event, EventCommand::Postpone { starts_at: earlier, ends_at: None, reason, now: now() });
    assert!(matches!(result, Err(EventError::SaleStartsAfterShow { .. })), "{result:?}");
}

#[test]
fn the_timer_of_a_date_that_counts_no_more_ends_nothing() {
    let mut event = published(event_created());
    let old_end = show(&event).over_at();
    let later = venue_time(starts() + Duration::days(7));
    let reason = "storm".to_owned();
    let moved = EventCommand::Postpone { starts_at: Some(later), ends_at: None, reason, now: now() };
    let recorded = handle(&mut event, moved).unwrap();
    assert_eq!(handle(&mut event, EventCommand::Complete { now: old_end }), Ok(vec![]));
    let timers = recorded[0].timers(Uuid::from_u128(SHOW), now());
    let kinds: Vec<_> = timers.iter().map(|timer| timer.kind).collect();
    assert_eq!(kinds, [TimerKind::EventEnds, TimerKind::EventReminder]);
    assert_eq!(handle(&mut event, EventCommand::Complete { now: timers[0].due_at }).map(|events| events.len()), Ok(1));
}

#[test]
fn a_seat_is_blocked_once_and_unblocked_once() {
    let mut event = published(event_created());
    let block =
        |ids: &[&str]| EventCommand::BlockSeats { seat_ids: ids.iter().map(|s| seat(s)).collect(), unknown: vec![] };
    let free =
        |ids: &[&str]| EventCommand::UnblockSeats { seat_ids: ids.iter().map(|s| seat(s)).collect(), unknown: vec![] };
    let claims = |recorded: Vec<EventDomainEvent>| -> Vec<ClaimChange> {
        recorded.iter().flat_map(|event| event.claims(Uuid::from_u128(SHOW))).collect()
    };
    let (resource, holder) = (|s: &str| Resource::Seat(id(SHOW), seat(s)), Holder::Block(id(SHOW)));
    let taken = |s: &str| ClaimChange::Take { resource: resource(s), holder };
    let released = |s: &str| ClaimChange::Release { resource: resource(s), holder };
    assert_eq!(claims(handle(&mut event, block(&["A-2", "A-1", "A-2"])).unwrap()), [taken("A-2"), taken("A-1")]);
    assert_eq!(claims(handle(&mut event, block(&["A-1", "A-3"])).unwrap()), [taken("A-3")]);
    assert_eq!(claims(handle(&mut event, free(&["A-4", "A-3", "A-3"])).unwrap()), [released("A-3")]);
    assert_eq!(show(&event).blocked.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["A-1", "A-2"]);
}

#[test]
fn seats_are_not_blocked_where_there_are_none() {
    let mut of = event_created();
    of.ticket_types.remove(0);
    of.plan = None;
    let mut event = published(of);
    let result =
        handle(&mut event, EventCommand::BlockSeats { seat_ids: vec![seat("A-1")], unknown: vec![seat("A-1")] });
    assert_eq!(result, Err(EventError::NoSeatingPlan));
}

#[test]
fn a_show_sells_within_its_window_and_stands_by_what_it_sold() {
    let (opens, closes) = (now() + Duration::days(1), starts() - Duration::hours(1));
    let mut of = event_created();
    (of.sales_start, of.sales_end) = (Some(venue_time(opens)), Some(venue_time(closes)));
    let instant = Duration::microseconds(1);
    let mut event = published(of.clone());
    let on_sale = |event: &Event, at| show(event).check_on_sale(at);
    assert_eq!(on_sale(&event, opens - instant), Err(NotOnSale::NotYet { from: opens }));
    assert_eq!(on_sale(&event, opens), Ok(()));
    assert_eq!(on_sale(&event, closes - instant), Ok(()));
    assert_eq!(on_sale(&event, closes), Err(NotOnSale::Ended { at: closes }));
    assert!(show(&event).honours_bookings(closes));
    assert!(!show(&event).has_started(starts() - instant) && show(&event).has_started(starts()));
    let over = show(&event).over_at();
    assert!(show(&event).honours_bookings(over - instant) && !show(&event).honours_bookings(over));

    let mut unlimited = of.clone();
    (unlimited.sales_start, unlimited.sales_end) = (None, None);
    let unlimited = published(unlimited);
    assert_eq!(on_sale(&unlimited, now()), Ok(()), "from publication on");
    assert_eq!(on_sale(&unlimited, starts()), Err(NotOnSale::Ended { at: starts() }), "until it starts");

    let mut draft = Event::default();
    handle(&mut draft, EventCommand::Create(Box::new(of))).unwrap();
    assert_eq!(on_sale(&draft, opens), Err(NotOnSale::Draft));
    assert!(!show(&draft).honours_bookings(opens));

    handle(&mut event, EventCommand::Cancel { reason: "storm".to_owned() }).unwrap();
    assert_eq!(on_sale(&event, opens), Err(NotOnSale::Cancelled));
    assert!(!show(&event).honours_bookings(opens));
}

#[test]
fn publication_says_nothing_but_that_it_happened() {
    let mut event = Event::default();
    handle(&mut event, EventCommand::Create(Box::new(event_created()))).unwrap();
    assert_eq!(handle(&mut event, EventCommand::Publish { now: now() }), Ok(vec![EventPublished {}.into()]));
}

#[test]
fn a_show_is_reminded_of_once_for_each_beginning_and_not_while_it_has_none() {
    let mut event = published(event_created());
    let remind = |event: &mut Event, at| handle(event, EventCommand::Remind { now: at }).unwrap().len();
    let near = show(&event).reminder_at();
    let moved = |starts_at| EventCommand::Postpone { starts_at, ends_at: None, reason: "storm".to_owned(), now: now() };
    assert_eq!((remind(&mut event, near), remind(&mut event, near)), (1, 0));
    handle(&mut event, moved(None)).unwrap();
    assert_eq!(remind(&mut event, near), 0, "its date is open");
    let later = starts() + Duration::days(7);
    handle(&mut event, moved(Some(venue_time(later)))).unwrap();
    assert_eq!(remind(&mut event, near), 0, "the old beginning counts no more");
    assert_eq!(remind(&mut event, later - Duration::hours(24)), 1);
}
