//! Random histories of an Event: whatever is asked of it in whatever order, these hold.

use std::collections::BTreeSet;

use chrono::Duration;
use proptest::{collection::vec, option, prelude::*, sample::select};
use tickiz_domain::{
    claim::{ClaimChange, Holder, Resource},
    event::{ChangeEvent, ChangeTicketType, Event, EventCommand, EventDomainEvent, EventStatus, VenueTime},
    ids::{SeatId, TicketTypeId},
    stored::StoredEvent,
};
use uuid::Uuid;

use crate::{
    examples::{SHOW, STANDING, STUDENT, VIP, event_created, seat},
    support::{handle, id, now, starts, venue_time, vnd},
};

/// A moment around the show and the sale, in hours from the show's first beginning.
fn moment() -> impl Strategy<Value = VenueTime> {
    (-3_000_i64..3_000).prop_map(|hours| venue_time(starts() + Duration::hours(hours)))
}

fn type_change() -> impl Strategy<Value = ChangeTicketType> {
    let ids: Vec<TicketTypeId> = [VIP, STANDING, STUDENT, 0x77].into_iter().map(id).collect();
    (select(ids), option::of(0_u32..5), option::of(-1_i64..200), option::of(0_i32..9)).prop_map(
        |(id, price, capacity, max_per_booking)| ChangeTicketType {
            id,
            name: None,
            price: price.map(|n| vnd(n * 50_000)),
            capacity,
            max_per_booking,
        },
    )
}

fn change() -> impl Strategy<Value = ChangeEvent> {
    let times = (option::of(moment()), option::of(moment()), option::of(moment()), option::of(moment()));
    (option::of(select(vec!["One", "Two"])), times, vec(type_change(), 0..3), option::of(0_i32..5)).prop_map(
        |(title, (starts_at, ends_at, sales_start, sales_end), ticket_types, max_per_person)| ChangeEvent {
            title: title.map(ToOwned::to_owned),
            starts_at,
            ends_at,
            ticket_types,
            sales_start,
            sales_end,
            max_per_person,
            ..ChangeEvent::default()
        },
    )
}

fn seats() -> impl Strategy<Value = Vec<SeatId>> {
    vec(select(vec!["A-1", "A-2", "A-3", "A-4"]).prop_map(seat), 0..5)
}

fn command() -> impl Strategy<Value = EventCommand> {
    let clock = || moment().prop_map(|at| at.instant);
    prop_oneof![
        2 => clock().prop_map(|now| EventCommand::Publish { now }),
        8 => (change(), clock()).prop_map(|(change, now)| EventCommand::Change { change: Box::new(change), now }),
        3 => (option::of(moment()), option::of(moment()), select(vec!["storm", "no hall"]), clock()).prop_map(
            |(starts_at, ends_at, reason, now)| EventCommand::Postpone { starts_at, ends_at, reason: reason.to_owned(), now }
        ),
        4 => seats().prop_map(|seat_ids| EventCommand::BlockSeats { seat_ids, unknown: vec![] }),
        3 => seats().prop_map(|seat_ids| EventCommand::UnblockSeats { seat_ids, unknown: vec![] }),
        1 => clock().prop_map(|now| EventCommand::Complete { now }),
        1 => Just(EventCommand::Cancel { reason: "storm".to_owned() }),
    ]
}

/// The seats that the Event's claims have, by the claims alone.
fn apply_claims(blocked: &mut BTreeSet<SeatId>, event: &EventDomainEvent) {
    for claim in event.claims(Uuid::from_u128(SHOW)) {
        match claim {
            ClaimChange::Take { resource: Resource::Seat(_, seat), holder } => {
                assert_eq!(holder, Holder::Block(id(SHOW)));
                assert!(blocked.insert(seat), "nobody takes what he has already");
            }
            ClaimChange::Release { resource: Resource::Seat(_, seat), holder } => {
                assert_eq!(holder, Holder::Block(id(SHOW)));
                assert!(blocked.remove(&seat), "nobody gives back what he has not");
            }
            ClaimChange::SetLimit { resource: Resource::Quota(..), limit } => assert!(limit >= 1),
            other => panic!("an Event that exists makes no such claim: {other:?}"),
        }
    }
}

fn check(event: &Event, claimed: &BTreeSet<SeatId>) {
    let show = event.0.as_ref().unwrap();
    assert_eq!(&show.blocked, claimed, "what is blocked is what is claimed");
    assert!(show.ends_at.is_none_or(|end| end.instant > show.starts_at.instant), "an end is after its beginning");
    if let (Some(from), Some(to)) = (show.sales_start, show.sales_end) {
        assert!(from.instant < to.instant, "a sale ends after it begins");
    }
    assert!(show.postponed || show.sales_start.is_none_or(|from| from.instant < show.sales_end_instant()));
    assert!(show.max_per_person.is_none_or(|most| most >= 1));
    let made = event_created();
    assert_eq!(show.ticket_types.len(), made.ticket_types.len());
    for (new, old) in show.ticket_types.iter().zip(&made.ticket_types) {
        let fixed = |t: &tickiz_domain::event::TicketType| {
            (t.id, t.quota_id, t.seat_categories.clone(), t.admission_class, t.price.currency())
        };
        assert_eq!(fixed(new), fixed(old), "what a type is does not change");
        assert!(new.max_per_booking >= 1 && show.capacity_of(new) >= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_history_of_an_event_keeps_its_invariants(commands in vec(command(), 1..40)) {
        let mut event = Event::default();
        let mut history = handle(&mut event, EventCommand::Create(Box::new(event_created()))).unwrap();
        let mut claimed = BTreeSet::new();
        for command in commands {
            let before = event.0.as_ref().unwrap().status;
            let Ok(recorded) = handle(&mut event, command.clone()) else { continue };
            prop_assert!(recorded.len() <= 1, "a command to an Event comes to one domain event at most");
            for one in &recorded {
                prop_assert!(
                    !matches!(before, EventStatus::Cancelled | EventStatus::Completed),
                    "{} after the end", one.type_name()
                );
                apply_claims(&mut claimed, one);
                let decoded = EventDomainEvent::decode(one.type_name(), one.version(), &one.payload()).unwrap();
                prop_assert_eq!(&decoded, one, "what is stored is what was said");
            }
            history.extend(recorded);
            check(&event, &claimed);
            // A repeated command is answered, not redone: of all but the final ones, nothing is left to do.
            let is_final = matches!(command, EventCommand::Cancel { .. });
            if !is_final {
                prop_assert_eq!(handle(&mut event, command).unwrap_or_default(), vec![], "said twice, done once");
            }
        }
        let mut folded = Event::default();
        history.into_iter().for_each(|one| folded.fold(one));
        prop_assert_eq!(&folded, &event, "the history folds to the aggregate");
        let snapshot = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Event>(&snapshot).unwrap(), event, "a snapshot is the aggregate");
    }
}

#[test]
fn a_random_moment_may_be_before_and_after_the_clock() {
    assert!(now() < starts() && now() > starts() - Duration::hours(3_000), "the histories meet the past as well");
}
