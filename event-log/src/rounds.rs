//! What many ask of the log's store at once, each kind in one look for all of them ([`tickiz_together`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tickiz_domain::{stream::StreamId, timer::TimerKind};
use tickiz_together::{Round, RoundError};
use uuid::Uuid;

use crate::{
    record::{Recorded, Sequence, StoreError},
    runtime::{Entropy, random_id},
    store::{LeasedTimer, LogStore, PersonKey, WantedKey},
};

/// The most domain events of one tail; one as long as this may go on. Also what one round reads of all its streams: where there are
/// more, each tail is read by itself.
pub(crate) const MAX_TAIL: usize = 1000;

impl RoundError for StoreError {
    fn shared(error: &Arc<Self>) -> Self {
        (**error).clone()
    }

    fn closed() -> Self {
        Self("the log is closed".into())
    }
}

/// Finds and makes data keys: a new one is durable before anything is sealed with it.
pub(crate) struct DataKeys(pub Arc<dyn LogStore>);

#[async_trait::async_trait]
impl Round for DataKeys {
    type Ask = WantedKey;
    type Answer = PersonKey;
    type Error = StoreError;

    async fn run(&self, asked: &[WantedKey]) -> Result<Vec<PersonKey>, StoreError> {
        self.0.person_keys_or(asked).await
    }
}

/// Reads what came after a sequence of a stream, [`MAX_TAIL`] domain events at most.
pub(crate) struct Tails(pub Arc<dyn LogStore>);

#[async_trait::async_trait]
impl Round for Tails {
    type Ask = (StreamId, Sequence);
    type Answer = Vec<Recorded>;
    type Error = StoreError;

    async fn run(&self, asked: &[(StreamId, Sequence)]) -> Result<Vec<Vec<Recorded>>, StoreError> {
        if let [(stream, after)] = asked {
            return Ok(vec![self.0.read_stream(*stream, *after, MAX_TAIL).await?]);
        }
        // Of two who ask for one stream, the one who knows less gets what the other does not need, and both are given theirs.
        let mut from: BTreeMap<StreamId, Sequence> = BTreeMap::new();
        for (stream, after) in asked {
            let lowest = from.entry(*stream).or_insert(*after);
            *lowest = (*lowest).min(*after);
        }
        let from: Vec<(StreamId, Sequence)> = from.into_iter().collect();
        let events = self.0.read_streams(&from, MAX_TAIL).await?;
        if events.len() == MAX_TAIL {
            // Some are missing, and nobody knows whose.
            let mut tails = Vec::with_capacity(asked.len());
            for (stream, after) in asked {
                tails.push(self.0.read_stream(*stream, *after, MAX_TAIL).await?);
            }
            return Ok(tails);
        }
        let mut found: BTreeMap<StreamId, Vec<Recorded>> = BTreeMap::new();
        for event in events {
            found.entry(event.stream).or_default().push(event);
        }
        found.values_mut().for_each(|tail| tail.sort_unstable_by_key(|event| event.sequence));
        let tail = |(stream, after): &(StreamId, Sequence)| {
            let tail = found.get(stream).map_or(&[][..], Vec::as_slice);
            tail.iter().filter(|event| event.sequence > *after).cloned().collect()
        };
        Ok(asked.iter().map(tail).collect())
    }
}

/// Leases timers by what they are about.
pub(crate) struct Leases {
    pub store: Arc<dyn LogStore>,
    pub entropy: Arc<dyn Entropy>,
}

/// A timer's kind and subject, and for how long it is wanted, in milliseconds.
pub(crate) type WantedTimer = (TimerKind, Uuid, i64);

#[async_trait::async_trait]
impl Round for Leases {
    type Ask = WantedTimer;
    type Answer = Option<LeasedTimer>;
    type Error = StoreError;

    async fn run(&self, asked: &[WantedTimer]) -> Result<Vec<Option<LeasedTimer>>, StoreError> {
        let mut leased: BTreeMap<WantedTimer, LeasedTimer> = BTreeMap::new();
        for lease_ms in asked.iter().map(|(.., lease_ms)| *lease_ms).collect::<BTreeSet<_>>() {
            let of_it = asked.iter().filter(|(.., wanted)| *wanted == lease_ms);
            let wanted: BTreeSet<(TimerKind, Uuid)> = of_it.map(|(kind, subject, _)| (*kind, *subject)).collect();
            let wanted: Vec<_> = wanted.into_iter().collect();
            for timer in self.store.lease_timers_of(&wanted, random_id(&*self.entropy), lease_ms).await? {
                leased.insert((timer.timer.kind, timer.timer.subject, lease_ms), timer);
            }
        }
        // Of two who want one timer, the first has it.
        Ok(asked.iter().map(|wanted| leased.remove(wanted)).collect())
    }
}
