//! The decision of a batch against a model that knows of no batches: one append after the other, on plain maps.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use tickiz_domain::{
    claim::{ClaimChange, Holder, Resource},
    ids::{BookingId, EventId, QuotaId, SeatId},
    stream::StreamId,
};
use tickiz_event_log::{
    Append, AppendError, ClaimRow, LostReason, Receipt, StreamAppend,
    decide::decide,
    store::{Head, Loaded, ReceiptKey},
};
use uuid::Uuid;

use crate::support::{append_of, booking, claiming, receipt_of};

/// What may be asked of one resource, by small numbers.
#[derive(Clone, Copy, Debug)]
enum Change {
    Take(u8, u8),
    Release(u8, u8),
    SetLimit(u8, i64),
    Use(u8, i64, Option<i64>),
    Return(u8, i64),
}

/// One append, by small numbers: streams with what the sequence is guessed to be off by, a read, a key.
#[derive(Clone, Debug)]
struct Asked {
    streams: BTreeMap<u8, (i64, Vec<Vec<Change>>)>,
    read: Option<(u8, i64)>,
    key: Option<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..3_u8, 0..3_u8).prop_map(|(seat, who)| Change::Take(seat, who)),
        (0..3_u8, 0..3_u8).prop_map(|(seat, who)| Change::Release(seat, who)),
        (0..2_u8, 0..6_i64).prop_map(|(quota, limit)| Change::SetLimit(quota, limit)),
        (0..2_u8, 1..4_i64, prop::option::of(0..6_i64))
            .prop_map(|(quota, amount, limit)| Change::Use(quota, amount, limit)),
        (0..2_u8, 1..4_i64).prop_map(|(quota, amount)| Change::Return(quota, amount)),
    ]
}

/// Mostly what is right, so that most appends get as far as their claims.
fn off() -> impl Strategy<Value = i64> {
    prop_oneof![8 => Just(0_i64), 1 => Just(1), 1 => Just(-1)]
}

fn asked() -> impl Strategy<Value = Asked> {
    let events = prop::collection::vec(prop::collection::vec(change(), 0..3), 1..3);
    let streams = prop::collection::btree_map(0..4_u8, (off(), events), 0..3);
    let read = prop::option::of((0..4_u8, off()));
    (streams, read, prop::option::of(0..5_u8)).prop_map(|(streams, read, key)| {
        let key = if streams.is_empty() { Some(key.unwrap_or(0)) } else { key };
        Asked { streams, read, key }
    })
}

fn stream(number: u8) -> StreamId {
    booking(Uuid::from_u128(u128::from(number)))
}

fn holder(number: u8) -> Holder {
    Holder::Booking(BookingId(Uuid::from_u128(u128::from(number))))
}

fn event() -> EventId {
    EventId(Uuid::from_u128(77))
}

fn seat(number: u8) -> Resource {
    Resource::Seat(event(), SeatId(number.to_string()))
}

fn quota(number: u8) -> Resource {
    Resource::Quota(event(), QuotaId(Uuid::from_u128(u128::from(number))))
}

impl Change {
    fn claim(self) -> ClaimChange {
        match self {
            Self::Take(number, who) => ClaimChange::Take { resource: seat(number), holder: holder(who) },
            Self::Release(number, who) => ClaimChange::Release { resource: seat(number), holder: holder(who) },
            Self::SetLimit(number, limit) => ClaimChange::SetLimit { resource: quota(number), limit },
            Self::Use(number, amount, limit) => ClaimChange::Use { resource: quota(number), amount, limit },
            Self::Return(number, amount) => ClaimChange::Return { resource: quota(number), amount },
        }
    }
}

/// The model: what one append after the other makes of the world.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    position: i64,
    sequences: BTreeMap<u8, i64>,
    /// Who has a seat, and since which position.
    seats: BTreeMap<u8, (u8, i64)>,
    /// What is used of a quota, its limit, and the position of the last change.
    quotas: BTreeMap<u8, (i64, i64, i64)>,
    receipts: BTreeMap<u8, (i64, i64)>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Appended(i64, usize),
    Answered(i64, i64),
    Conflict(u8, i64, i64),
    Lost(Vec<LostReason>),
}

impl Model {
    fn sequence(&self, stream: u8) -> i64 {
        self.sequences.get(&stream).copied().unwrap_or(0)
    }

    fn apply(&mut self, asked: &Asked) -> Outcome {
        if let Some((first, last)) = asked.key.and_then(|key| self.receipts.get(&key)) {
            return Outcome::Answered(*first, *last);
        }
        let named = asked.streams.iter().map(|(stream, (off, _))| (*stream, *off)).chain(asked.read);
        for (stream, off) in named {
            let expected = (self.sequence(stream) + off).max(0);
            if expected != self.sequence(stream) {
                return Outcome::Conflict(stream, expected, self.sequence(stream));
            }
        }
        let mut next = self.clone();
        let mut lost = Vec::new();
        let first = self.position + 1;
        for (stream, (_, events)) in &asked.streams {
            for changes in events {
                next.position += 1;
                *next.sequences.entry(*stream).or_default() += 1;
                lost.extend(changes.iter().filter_map(|change| next.change(*change).err()));
            }
        }
        if !lost.is_empty() {
            return Outcome::Lost(lost);
        }
        let last = next.position;
        if let Some(key) = asked.key {
            next.receipts.insert(key, if last < first { (0, 0) } else { (first, last) });
        }
        *self = next;
        if last < first {
            Outcome::Appended(0, 0)
        } else {
            Outcome::Appended(last, usize::try_from(last - first + 1).unwrap())
        }
    }

    fn change(&mut self, change: Change) -> Result<(), LostReason> {
        let position = self.position;
        match change {
            Change::Take(seat, who) => match self.seats.get(&seat) {
                Some((other, _)) => return Err(LostReason::Taken { holder: holder(*other).to_string() }),
                None => drop(self.seats.insert(seat, (who, position))),
            },
            Change::Release(seat, who) => match self.seats.get(&seat) {
                Some((other, _)) if *other == who => drop(self.seats.remove(&seat)),
                _ => return Err(LostReason::NotHeld),
            },
            Change::SetLimit(quota, limit) => {
                let used = self.quotas.get(&quota).map_or(0, |row| row.0);
                if used > limit {
                    return Err(LostReason::Exhausted { used, limit });
                }
                self.quotas.insert(quota, (used, limit, position));
            }
            Change::Use(quota, amount, given) => {
                let (used, kept, _) = self.quotas.get(&quota).copied().unwrap_or_default();
                let limit = given.unwrap_or(kept);
                if used + amount > limit {
                    return Err(LostReason::Exhausted { used, limit });
                }
                self.quotas.insert(quota, (used + amount, limit, position));
            }
            Change::Return(quota, amount) => {
                let (used, limit, _) = self.quotas.get(&quota).copied().unwrap_or_default();
                if used < amount {
                    return Err(LostReason::NotHeld);
                }
                self.quotas.insert(quota, (used - amount, limit, position));
            }
        }
        Ok(())
    }

    /// The rows of the claims, as a store would have them.
    fn rows(&self) -> BTreeMap<String, ClaimRow> {
        let seats = self.seats.iter().map(|(number, (who, fence))| ClaimRow {
            resource: seat(*number).to_string(),
            holder: Some(holder(*who).to_string()),
            used: 1,
            limit: 1,
            fence: *fence,
        });
        let quotas = self.quotas.iter().map(|(number, (used, limit, fence))| ClaimRow {
            resource: quota(*number).to_string(),
            holder: None,
            used: *used,
            limit: *limit,
            fence: *fence,
        });
        seats.chain(quotas).map(|row| (row.resource.clone(), row)).collect()
    }
}

/// The append, its guesses made real by where the model stands when its turn comes.
fn append_for(asked: &Asked, model: &Model) -> Append {
    let guess = |number: u8, off: i64| (model.sequence(number) + off).max(0);
    let streams: Vec<StreamAppend> = asked
        .streams
        .iter()
        .map(|(number, (off, events))| {
            let events: Vec<_> =
                events.iter().map(|changes| claiming(changes.iter().map(|change| change.claim()).collect())).collect();
            append_of(stream(*number), guess(*number, *off), &events).streams.remove(0)
        })
        .collect();
    Append {
        streams,
        reads: asked.read.iter().map(|(number, off)| (stream(*number), guess(*number, *off))).collect(),
        receipt: asked.key.map(|key| receipt_of("buyer", &key.to_string(), "{}")),
        ..append_of(new_id(), 0, &[])
    }
}

fn new_id() -> StreamId {
    booking(Uuid::new_v4())
}

fn outcome_of(outcome: &Result<tickiz_event_log::Appended, AppendError>) -> Outcome {
    match outcome {
        Ok(appended) => Outcome::Appended(appended.position, appended.events.len()),
        Err(AppendError::Answered(receipt)) => Outcome::Answered(receipt.first_position, receipt.last_position),
        Err(AppendError::Conflict { stream, expected, actual }) => {
            Outcome::Conflict(u8::try_from(stream.id.as_u128()).unwrap(), *expected, *actual)
        }
        Err(AppendError::ClaimsLost(lost)) => Outcome::Lost(lost.iter().map(|lost| lost.reason.clone()).collect()),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_what_its_appends_are_one_by_one(
        batches in prop::collection::vec(prop::collection::vec(asked(), 1..8), 1..6),
    ) {
        let mut model = Model::default();
        let mut loaded = Loaded::default();
        let mut head = Head { position: 0, recorded_at: DateTime::UNIX_EPOCH, now: Utc::now() };
        for batch in batches {
            let mut expected = Vec::new();
            let mut appends = Vec::new();
            for asked in &batch {
                appends.push(append_for(asked, &model));
                expected.push(model.apply(asked));
            }
            let decision = decide(&appends.iter().collect::<Vec<_>>(), head, &loaded);
            prop_assert_eq!(decision.outcomes.iter().map(outcome_of).collect::<Vec<_>>(), expected);

            // What is written onto what was there is what the model has.
            for event in &decision.writes.events {
                head.position += 1;
                prop_assert_eq!(event.position, head.position);
                let sequence = loaded.sequences.entry(event.stream).or_default();
                *sequence += 1;
                prop_assert_eq!(event.sequence, *sequence);
            }
            for write in decision.writes.claims {
                prop_assert_ne!(&write.before, &write.after, "only what changes is written");
                let key = write.before.iter().chain(&write.after).next().unwrap().resource.clone();
                let before = match write.after {
                    Some(after) => loaded.claims.insert(key, after),
                    None => loaded.claims.remove(&key),
                };
                prop_assert_eq!(before, write.before, "a write stands on the row that was read");
            }
            for (key, receipt) in decision.writes.receipts {
                prop_assert!(loaded.receipts.insert(key, receipt).is_none());
            }
            prop_assert_eq!(&loaded.claims, &model.rows());
            let receipts: BTreeMap<ReceiptKey, Receipt> = std::mem::take(&mut loaded.receipts);
            let kept: Vec<_> =
                receipts.iter().map(|(key, one)| (key.key.parse().unwrap(), (one.first_position, one.last_position))).collect();
            prop_assert_eq!(kept, model.receipts.clone().into_iter().collect::<Vec<_>>());
            loaded.receipts = receipts;
            prop_assert_eq!(head.position, model.position);
        }
    }
}

#[test]
fn what_is_told_and_what_is_written_are_the_same_domain_events() {
    let append = append_of(new_id(), 0, &[claiming(vec![Change::Take(1, 1).claim()])]);
    let head = Head { position: 9, recorded_at: DateTime::UNIX_EPOCH, now: Utc::now() };
    let decision = decide(&[&append], head, &Loaded::default());
    let told = decision.outcomes[0].as_ref().unwrap();
    assert!(Arc::ptr_eq(&told.events[0], &decision.writes.events[0]));
}
