//! The walk through the log: one pass, in order.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::{Booking, BookingDomainEvent, BookingStatus},
    event::{Event, EventDomainEvent},
    ids::{BookingId, EventId, SeatId},
    person::PersonDomainEvent,
    stored::{DecodeError, StoredEvent},
    stream::{StreamId, StreamType},
};
use tickiz_event_log::record::{Position, Recorded};

use super::{
    claims::{Expected, Replay},
    money::HOLD_GRACE_SECONDS,
    report::{Promise, Report},
};

/// A booking as folded, with where its status came from.
#[derive(Default)]
pub struct WalkedBooking {
    /// As folded.
    pub booking: Booking,
    /// The position of its `BookingPlaced`.
    pub placed_at: Position,
    /// Its last position.
    pub last_at: Position,
}

/// Seats of one show by what they are, counted from bookings and blocks rather than from claims.
#[derive(Default)]
struct SeatTally {
    by_bookings: i64,
    blocked: i64,
}

/// The walk. Feed it every recorded domain event, then read what it knows.
#[derive(Default)]
pub struct Walk {
    /// What was found so far.
    pub report: Report,
    /// The claims as they ought to stand.
    pub claims: Replay,
    /// The shows.
    pub events: BTreeMap<EventId, Event>,
    /// The bookings.
    pub bookings: BTreeMap<BookingId, WalkedBooking>,
    /// The recorded time of the last domain event.
    pub last_recorded_at: Option<DateTime<Utc>>,
    /// Holds that ended by a recorded domain event, but later than promised: how many, and the latest, in seconds.
    pub late_ends: (u64, i64),
    sequences: BTreeMap<StreamId, i64>,
    seats: BTreeMap<EventId, SeatTally>,
}

impl Walk {
    /// Takes the next domain event of the log.
    pub fn take(&mut self, recorded: &Recorded) {
        self.check_order(recorded);
        self.report.head = recorded.position;
        self.report.events += 1;
        if recorded.leaf_hash != tickiz_event_log::leaf_hash(recorded) {
            let what = "what is stored does not have the leaf hash that it was recorded with";
            self.report.find(Promise::P3, recorded.position, recorded.stream, what);
        }
        let folded = match recorded.stream.stream_type {
            StreamType::Event => self.fold_event(recorded),
            StreamType::Booking => self.fold_booking(recorded),
            StreamType::Person => recorded.decode::<PersonDomainEvent>().map(drop),
        };
        if let Err(error) = folded {
            self.report.find(Promise::P3, recorded.position, recorded.stream, error.to_string());
        }
    }

    fn check_order(&mut self, recorded: &Recorded) {
        let wanted = self.report.head + 1;
        if recorded.position != wanted {
            let what = format!("the log goes on at {}, {wanted} was to come", recorded.position);
            self.report.find(Promise::P8, recorded.position, recorded.stream, what);
        }
        let sequence = self.sequences.entry(recorded.stream).or_insert(0);
        if recorded.sequence != *sequence + 1 {
            let what = format!("sequence {} follows {sequence}", recorded.sequence);
            self.report.find(Promise::P8, recorded.position, recorded.stream, what);
        }
        *sequence = recorded.sequence;
        if self.last_recorded_at.is_some_and(|before| before > recorded.recorded_at) {
            self.report.find(Promise::P3, recorded.position, recorded.stream, "its recorded time goes back");
        }
        self.last_recorded_at = Some(recorded.recorded_at);
    }

    fn replay_claims<E: StoredEvent>(&mut self, event: &E, recorded: &Recorded) {
        for change in event.claims(recorded.stream.id) {
            self.claims.apply(&change, recorded.position, &mut self.report);
        }
    }

    fn fold_event(&mut self, recorded: &Recorded) -> Result<(), DecodeError> {
        let event: EventDomainEvent = recorded.decode()?;
        let id = EventId(recorded.stream.id);
        self.replay_claims(&event, recorded);
        self.events.entry(id).or_default().fold(event);
        let blocked = self.events.get(&id).and_then(|event| event.0.as_ref()).map_or(0, |show| show.blocked.len());
        self.seats.entry(id).or_default().blocked = i64::try_from(blocked).unwrap_or(i64::MAX);
        self.check_capacity(id, recorded.position);
        Ok(())
    }

    fn fold_booking(&mut self, recorded: &Recorded) -> Result<(), DecodeError> {
        let event: BookingDomainEvent = recorded.decode()?;
        let id = BookingId(recorded.stream.id);
        self.check_transition(id, &event, recorded.position);
        self.replay_claims(&event, recorded);
        self.note_late_end(id, &event, recorded);
        let walked = self.bookings.entry(id).or_default();
        let before = seats_of(&walked.booking);
        if matches!(event, BookingDomainEvent::BookingPlaced(_)) {
            walked.placed_at = recorded.position;
        }
        walked.last_at = recorded.position;
        walked.booking.fold(event);
        let after = seats_of(&walked.booking);
        let Some(show) = walked.booking.0.as_ref().map(|purchase| purchase.event_id) else { return Ok(()) };
        self.seats.entry(show).or_default().by_bookings += after - before;
        if after != before {
            self.check_capacity(show, recorded.position);
        }
        Ok(())
    }

    /// P5 in the past: told as a note, since it also happens where no process was running, and nothing can mend it.
    fn note_late_end(&mut self, id: BookingId, event: &BookingDomainEvent, recorded: &Recorded) {
        let BookingDomainEvent::BookingExpired(_) = event else { return };
        let Some(purchase) = self.bookings.get(&id).and_then(|walked| walked.booking.0.as_ref()) else { return };
        let late = (recorded.recorded_at - purchase.hold_expires_at).num_seconds();
        if late > HOLD_GRACE_SECONDS {
            self.late_ends = (self.late_ends.0 + 1, self.late_ends.1.max(late));
        }
    }

    /// P12: what may follow what. `BookingReinstated` is the one way back, and it takes its places anew.
    fn check_transition(&mut self, id: BookingId, event: &BookingDomainEvent, position: Position) {
        use BookingDomainEvent as E;
        use BookingStatus as S;
        let status =
            self.bookings.get(&id).and_then(|walked| walked.booking.0.as_ref()).map(|purchase| purchase.status);
        let legal = match event {
            E::BookingPlaced(_) => status.is_none(),
            E::BookingConfirmed(_) | E::BookingExpired(_) => status == Some(S::Held),
            E::BookingCancelled(_) => matches!(status, Some(S::Held | S::Confirmed)),
            E::BookingReinstated(_) => status == Some(S::Expired),
            E::BookingRefunded(_) => status == Some(S::Cancelled),
            E::TicketsReissued(_) | E::TicketsRevoked(_) => status == Some(S::Confirmed),
            _ => status.is_some(),
        };
        if !legal {
            let what = format!("{} of a booking that is {status:?}", event.type_name());
            self.report.find(Promise::P12, position, format!("Booking/{id}"), what);
        }
    }

    /// P2 for one show: the seats that bookings and blocks have are the seats that are claimed, and fit into the house.
    fn check_capacity(&mut self, id: EventId, position: Position) {
        let Some(show) = self.events.get(&id).and_then(|event| event.0.as_ref()) else { return };
        let Some(plan) = &show.plan else { return };
        let capacity: i64 = plan.categories.iter().map(|category| i64::from(category.seats)).sum();
        let tally = self.seats.entry(id).or_default();
        let taken = tally.by_bookings + tally.blocked;
        if taken > capacity {
            let what = format!(
                "{} seats of bookings and {} blocked are more than the {capacity} there are",
                tally.by_bookings, tally.blocked
            );
            self.report.find(Promise::P2, position, format!("Event/{id}"), what);
        }
    }

    /// P2 at the end: seats claimed equal seats of bookings and blocks, places claimed equal places of bookings.
    pub fn check_conservation(&mut self) {
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for walked in self.bookings.values() {
            let Some(purchase) = &walked.booking.0 else { continue };
            if !matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed) {
                continue;
            }
            let places = purchase.places();
            for (quota, amount) in &places.quotas {
                *expected.entry(format!("quota/{}/{quota}", places.event_id)).or_default() += amount;
            }
            *expected.entry(format!("person/{}/{}", places.event_id, places.person.0)).or_default() += places.count;
            for seat in &places.seat_ids {
                *expected.entry(seat_key(places.event_id, seat)).or_default() += 1;
            }
        }
        for (id, event) in &self.events {
            for seat in event.0.iter().flat_map(|show| &show.blocked) {
                *expected.entry(seat_key(*id, seat)).or_default() += 1;
            }
        }
        let head = self.report.head;
        for (resource, row) in &self.claims.rows {
            let claimed = match row {
                Expected::Counted { used, .. } => *used,
                Expected::Held { .. } if resource.starts_with("seat/") => 1,
                Expected::Held { .. } => continue,
            };
            let booked = expected.remove(resource).unwrap_or(0);
            if booked != claimed {
                let what = format!("{claimed} are claimed, bookings and blocks have {booked}");
                self.report.find(Promise::P2, head, resource, what);
            }
        }
        for (resource, booked) in expected {
            self.report.find(
                Promise::P2,
                head,
                resource,
                format!("bookings and blocks have {booked}, nothing is claimed"),
            );
        }
    }
}

fn seat_key(event: EventId, seat: &SeatId) -> String {
    format!("seat/{event}/{seat}")
}

fn seats_of(booking: &Booking) -> i64 {
    booking
        .0
        .as_ref()
        .filter(|purchase| matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed))
        .map_or(0, |purchase| i64::try_from(purchase.places().seat_ids.len()).unwrap_or(i64::MAX))
}
