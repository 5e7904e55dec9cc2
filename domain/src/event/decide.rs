//! The decisions: from a state and a command to domain events or a named error, by the table in [`command`](super::command).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};

use super::{
    command::{ChangeEvent, EventCommand},
    error::EventError,
    event::{
        EventCancelled, EventChanged, EventCompleted, EventDomainEvent, EventPostponed, EventPublished,
        EventRemindersDue, SeatsBlocked, SeatsUnblocked, VenueTime,
    },
    state::{Event, EventStatus, Show},
    validate,
};
use crate::ids::SeatId;

/// What a decision comes to; empty where there is nothing to do.
type Decision = Result<Vec<EventDomainEvent>, EventError>;

impl Aggregate for Event {
    const TYPE: &'static str = "Event";
    type Command = EventCommand;
    type Event = EventDomainEvent;
    type Error = EventError;
    type Services = ();

    async fn handle(&mut self, command: EventCommand, (): &(), sink: &EventSink<Self>) -> Result<(), EventError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: EventDomainEvent) {
        self.fold(event);
    }
}

impl Event {
    /// What a command comes to in this state: domain events, nothing, or a refusal. Pure.
    ///
    /// # Errors
    /// Where the table says so, and where `Create` or `Change` is given something that cannot be.
    pub fn decide(&self, command: EventCommand) -> Decision {
        let Some(show) = self.0.as_ref() else {
            let EventCommand::Create(created) = command else { return Err(EventError::NotFound) };
            validate::created(&created)?;
            return Ok(vec![(*created).into()]);
        };
        match command {
            EventCommand::Create(_) => Err(EventError::AlreadyExists),
            EventCommand::Publish { now } => publish(show, now),
            EventCommand::Change { change, now } => change_show(show, *change, now),
            EventCommand::Postpone { starts_at, ends_at, reason, now } => {
                postpone(show, EventPostponed { starts_at, ends_at, reason }, now)
            }
            EventCommand::Cancel { reason } => {
                check_not_ended(show)?;
                Ok(vec![EventCancelled { reason }.into()])
            }
            EventCommand::Complete { now } => Ok(complete(show, now)),
            EventCommand::Remind { now } => Ok(remind(show, now)),
            EventCommand::BlockSeats { seat_ids, unknown } => {
                let seat_ids = seats_to_move(show, seat_ids, unknown, |blocked| !blocked)?;
                Ok(pieces(seat_ids).map(|seat_ids| SeatsBlocked { seat_ids }.into()).collect())
            }
            EventCommand::UnblockSeats { seat_ids, unknown } => {
                let seat_ids = seats_to_move(show, seat_ids, unknown, |blocked| blocked)?;
                Ok(pieces(seat_ids).map(|seat_ids| SeatsUnblocked { seat_ids }.into()).collect())
            }
        }
    }
}

/// The most seats of one domain event. With the longest seat ids it has some 43 KB, which is less than an entry of an auditor's tree
/// may have.
pub const MAX_SEATS_PER_EVENT: usize = 200;

/// Several domain events of one append, where there are many seats.
fn pieces(seat_ids: Option<Vec<SeatId>>) -> impl Iterator<Item = Vec<SeatId>> {
    let seat_ids = seat_ids.unwrap_or_default();
    let pieces: Vec<Vec<SeatId>> = seat_ids.chunks(MAX_SEATS_PER_EVENT).map(<[SeatId]>::to_vec).collect();
    pieces.into_iter()
}

/// Cancelled and completed are final.
const fn check_not_ended(show: &Show) -> Result<(), EventError> {
    match show.status {
        EventStatus::Draft | EventStatus::Published => Ok(()),
        EventStatus::Cancelled => Err(EventError::Cancelled),
        EventStatus::Completed => Err(EventError::Completed),
    }
}

fn check_future(starts_at: VenueTime, now: DateTime<Utc>) -> Result<(), EventError> {
    let starts_at = starts_at.instant;
    if starts_at <= now { Err(EventError::StartsInPast { starts_at }) } else { Ok(()) }
}

/// A repeated publication is answered, not redone.
fn publish(show: &Show, now: DateTime<Utc>) -> Decision {
    check_not_ended(show)?;
    if show.status == EventStatus::Published {
        return Ok(Vec::new());
    }
    check_future(show.starts_at, now)?;
    Ok(vec![EventPublished {}.into()])
}

/// A draft may have any date, since publication looks at it again.
fn change_show(show: &Show, change: ChangeEvent, now: DateTime<Utc>) -> Decision {
    check_not_ended(show)?;
    let changed = validate::changed(show, change)?;
    if let Some(starts_at) = changed.starts_at
        && show.status == EventStatus::Published
    {
        check_future(starts_at, now)?;
    }
    Ok(if changed == EventChanged::default() { Vec::new() } else { vec![changed.into()] })
}

fn postpone(show: &Show, postponed: EventPostponed, now: DateTime<Utc>) -> Decision {
    check_not_ended(show)?;
    if show.status == EventStatus::Draft {
        return Err(EventError::NotPublished);
    }
    if postponed.starts_at.is_none() && postponed.ends_at.is_some() {
        return Err(EventError::EndWithoutStart);
    }
    let date = (!show.postponed).then_some(show.starts_at);
    let same_date = postponed.starts_at == date && postponed.ends_at == show.ends_at;
    if same_date && show.reason.as_ref() == Some(&postponed.reason) {
        return Ok(Vec::new());
    }
    if let Some(starts_at) = postponed.starts_at {
        check_future(starts_at, now)?;
        validate::moved(show, starts_at, postponed.ends_at)?;
    }
    Ok(vec![postponed.into()])
}

/// A timer asks; of one that comes early, late, or for a date that does not count any more, nothing is left to do.
fn complete(show: &Show, now: DateTime<Utc>) -> Vec<EventDomainEvent> {
    if show.status == EventStatus::Published && show.is_over(now) { vec![EventCompleted {}.into()] } else { Vec::new() }
}

/// Once for each beginning, and only while there is something to be in time for.
fn remind(show: &Show, now: DateTime<Utc>) -> Vec<EventDomainEvent> {
    let starts_at = show.starts_at;
    let is_due = show.awaits_reminder() && now >= show.reminder_at() && now < starts_at.instant;
    if is_due { vec![EventRemindersDue { starts_at }.into()] } else { Vec::new() }
}

/// The seats that a block or its end is really about: each once, in the order given, without those that are so already.
/// `None` where none is left.
fn seats_to_move(
    show: &Show,
    seat_ids: Vec<SeatId>,
    unknown: Vec<SeatId>,
    is_to_move: impl Fn(bool) -> bool,
) -> Result<Option<Vec<SeatId>>, EventError> {
    check_not_ended(show)?;
    if show.plan.is_none() {
        return Err(EventError::NoSeatingPlan);
    }
    if !unknown.is_empty() {
        return Err(EventError::UnknownSeats(unknown));
    }
    let mut seen = BTreeSet::new();
    let moved: Vec<SeatId> = seat_ids
        .into_iter()
        .filter(|seat| is_to_move(show.blocked.contains(seat)) && seen.insert(seat.clone()))
        .collect();
    Ok((!moved.is_empty()).then_some(moved))
}
