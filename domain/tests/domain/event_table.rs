//! Every cell of the Event's state × command table. The states are reached by commands alone.

use chrono::{DateTime, Duration, Utc};
use tickiz_domain::{
    event::{ChangeEvent, Event, EventCommand, EventStatus, Show, VenueTime},
    stored::StoredEvent,
};

use crate::{
    examples::{event_created, seat},
    pictures::Move,
    support::{afterwards, handle, now, starts, venue_time},
    table::{Outcome, cells},
};

const STATES: [&str; 6] = ["none", "draft", "published", "postponed", "cancelled", "completed"];

fn postpone(starts_at: Option<VenueTime>, ends_at: Option<VenueTime>, reason: &str) -> EventCommand {
    EventCommand::Postpone { starts_at, ends_at, reason: reason.to_owned(), now: now() }
}

/// The commands that lead to a state. In every one but `none`, seat A-2 is blocked.
fn history(state: &str) -> Vec<EventCommand> {
    let draft = [
        EventCommand::Create(Box::new(event_created())),
        EventCommand::BlockSeats { seat_ids: vec![seat("A-2")], unknown: vec![] },
    ];
    let later = starts() + Duration::days(1);
    let publish = EventCommand::Publish { now: now() };
    let moved = postpone(Some(venue_time(later)), Some(venue_time(later + Duration::hours(3))), "storm");
    let more: Vec<EventCommand> = match state {
        "none" => return vec![],
        "draft" => vec![],
        "published" => vec![publish, moved],
        "postponed" => vec![publish, postpone(None, None, "no hall")],
        "cancelled" => vec![publish, EventCommand::Cancel { reason: "no hall".to_owned() }],
        "completed" => vec![publish, EventCommand::Complete { now: afterwards() }],
        _ => panic!("unknown state {state}"),
    };
    draft.into_iter().chain(more).collect()
}

fn change(change: ChangeEvent) -> EventCommand {
    EventCommand::Change { change: Box::new(change), now: now() }
}

fn change_start(starts_at: DateTime<Utc>) -> EventCommand {
    change(ChangeEvent { starts_at: Some(venue_time(starts_at)), ..ChangeEvent::default() })
}

/// The command of a column, for the show as it is.
type Column = (&'static str, fn(&Show) -> EventCommand);

const COLUMNS: [Column; 25] = [
    ("Create", |_| EventCommand::Create(Box::new(event_created()))),
    ("Publish", |_| EventCommand::Publish { now: now() }),
    ("Publish, start is past", |show| EventCommand::Publish { now: show.starts_at.instant }),
    ("Cancel", |_| EventCommand::Cancel { reason: "storm".to_owned() }),
    ("Complete, over", |_| EventCommand::Complete { now: afterwards() }),
    ("Complete, early", |show| EventCommand::Complete { now: show.over_at() - Duration::seconds(1) }),
    ("Change", |_| change(ChangeEvent { title: Some("Another".to_owned()), ..ChangeEvent::default() })),
    ("Change, nothing new", |show| {
        change(ChangeEvent {
            title: Some(show.title.clone()),
            ends_at: show.ends_at,
            venue: Some(show.venue.clone()),
            max_per_person: show.max_per_person,
            ..ChangeEvent::default()
        })
    }),
    ("Change, same start", |show| change_start(show.starts_at.instant)),
    ("Change, start is past", |_| change_start(now())),
    ("Change, start past the end", |show| change_start(show.over_at() + Duration::hours(1))),
    ("Postpone", |_| postpone(Some(venue_time(starts() + Duration::days(30))), None, "storm")),
    ("Postpone, no date", |_| postpone(None, None, "storm")),
    ("Postpone, as it is", |show| {
        let date = (!show.postponed).then_some(show.starts_at);
        postpone(date, show.ends_at, show.reason.as_deref().unwrap_or_default())
    }),
    ("Postpone, date is past", |_| postpone(Some(venue_time(now())), None, "storm")),
    ("Postpone, end alone", |_| postpone(None, Some(venue_time(starts() + Duration::days(30))), "storm")),
    ("BlockSeats", |_| EventCommand::BlockSeats { seat_ids: vec![seat("A-1"), seat("A-2")], unknown: vec![] }),
    ("BlockSeats, all blocked", |_| EventCommand::BlockSeats { seat_ids: vec![seat("A-2")], unknown: vec![] }),
    ("BlockSeats, unknown", |_| EventCommand::BlockSeats {
        seat_ids: vec![seat("A-1"), seat("Z-9")],
        unknown: vec![seat("Z-9")],
    }),
    ("UnblockSeats", |_| EventCommand::UnblockSeats { seat_ids: vec![seat("A-1"), seat("A-2")], unknown: vec![] }),
    ("UnblockSeats, none blocked", |_| EventCommand::UnblockSeats { seat_ids: vec![seat("A-1")], unknown: vec![] }),
    ("Remind, near", |show| EventCommand::Remind { now: show.reminder_at() }),
    ("Remind, early", |show| EventCommand::Remind { now: show.reminder_at() - Duration::seconds(1) }),
    ("Remind, begun", |show| EventCommand::Remind { now: show.starts_at.instant }),
    ("Remind, done", |show| EventCommand::Remind { now: show.reminder_at() }),
];

fn in_state(state: &str) -> Event {
    let mut event = Event::default();
    for command in history(state) {
        let said = format!("{command:?}");
        let recorded = handle(&mut event, command).unwrap_or_else(|error| panic!("{said}: {error}"));
        assert_eq!(recorded.len(), 1, "{said}");
    }
    event
}

/// What an Event is in, as its picture calls it.
fn stage(event: &Event) -> String {
    match &event.0 {
        None => "none".to_owned(),
        Some(show) if show.postponed && show.status == EventStatus::Published => "Postponed".to_owned(),
        Some(show) => format!("{:?}", show.status),
    }
}

/// From where to where, by which domain event: every cell of the table that moves an Event.
pub fn moves() -> Vec<Move> {
    let mut moves = Vec::new();
    for (state, (_, column)) in STATES.iter().flat_map(|state| COLUMNS.iter().map(move |column| (state, column))) {
        let mut event = in_state(state);
        let show = event.0.clone().or_else(|| in_state("draft").0).unwrap();
        let recorded = handle(&mut event, column(&show)).unwrap_or_default();
        let mut event = in_state(state);
        for recorded in recorded {
            let (from, name) = (stage(&event), recorded.type_name());
            event.fold(recorded);
            moves.push(Move { from, to: stage(&event), name });
        }
    }
    moves
}

#[test]
fn every_cell_of_the_events_table_is_what_it_says() {
    let names = COLUMNS.map(|(name, _)| name);
    for cell in cells(include_str!("../../src/event/command.rs"), &STATES, &names) {
        let mut event = in_state(&cell.state);
        if cell.command == "Remind, done"
            && let Some(show) = event.0.clone()
        {
            handle(&mut event, EventCommand::Remind { now: show.reminder_at() }).expect("the first");
        }
        let (_, column) = COLUMNS.iter().find(|(name, _)| *name == cell.command).unwrap();
        // A command to a stream without a history is the one that a draft would get.
        let show = event.0.clone().or_else(|| in_state("draft").0).unwrap();
        let result = handle(&mut event, column(&show));
        assert_eq!(Outcome::of(&result), cell.outcome, "{} in state {}", cell.command, cell.state);
    }
}
